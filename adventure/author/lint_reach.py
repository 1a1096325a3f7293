"""What can never happen in a world, as relax.py proves it: rooms, keys, rules, deeds, endings."""

from __future__ import annotations

from collections.abc import Iterator

from adventure.author.facts import Fact
from adventure.author.findings import Finding, note, warning
from adventure.author.gates import against
from adventure.author.places import rule_places
from adventure.author.relax import Reach, Relaxed
from adventure.referee.rules import start
from adventure.world.doing import in_words
from adventure.world.lines import Place
from adventure.world.parts import NOWHERE, Door, Thing, World


def reach_lints(world: World) -> Iterator[Finding]:
    """Everything unreachable, each with the nearest reason."""
    relaxed = Relaxed(world)
    reach = relaxed.reach(start(world))
    yield from _rooms(world, reach)
    yield from _locks(world, reach)
    yield from _things(world, reach)
    yield from _rules(world, relaxed, reach)
    yield from _refusals(world, relaxed, reach)
    yield from _deeds(world, relaxed, reach)


def _rooms(world: World, reach: Reach) -> Iterator[Finding]:
    for i, room in enumerate(world.rooms):
        place: Place = ("rooms", i, "name")
        if not reach.possible(("at", room.name)):
            said = f"nobody can ever come to {room.name!r}"
            yield warning("unreachable-room", place, f"{said}; lead an exit or a rule there.")
        elif room.dark and not reach.possible(("see", room.name)):
            said = f"{room.name!r} is dark, and no light can be brought there"
            yield warning("no-light", place, f"{said}; add a thing with light = true.")


def _locks(world: World, reach: Reach) -> Iterator[Finding]:
    parts: list[tuple[Place, Door | Thing]] = [
        *((("doors", i), door) for i, door in enumerate(world.doors)),
        *((("things", i), thing) for i, thing in enumerate(world.things) if thing.openable),
    ]
    for place, part in parts:
        if reach.possible(("is", part.name, "open")) or not reach.possible(("near", part.name)):
            continue
        key = part.key
        what = "door" if isinstance(part, Door) else "thing"
        if key and part.state == "locked" and not reach.possible(("carried", key)):
            said = f"the {what} {part.name!r} can't be unlocked: its key {key!r} can't be had first"
            yield warning("key-out-of-reach", (*place, "key"), f"{said}; put the key elsewhere.")
        else:
            said = f"the {what} {part.name!r} can never be opened"
            yield warning("never-opens", place, f"{said}; let a key or a rule open it.")


def _things(world: World, reach: Reach) -> Iterator[Finding]:
    for kind in ("things", "people"):
        for i, part in enumerate(getattr(world, kind)):
            if reach.possible(("near", part.name)):
                continue
            said = f"nobody can ever come across {part.name!r}"
            if part.in_ == NOWHERE:
                said = f"{part.name!r} is nowhere, and no rule that can be followed brings it"
                if reach.possible(("out", part.name, NOWHERE)):
                    continue  # a mark, which rules move about and ask for
            how = "move it somewhere, or leave it out"
            yield warning("unreachable", (kind, i, "in"), f"{said}; {how}.")


def _rules(world: World, relaxed: Relaxed, reach: Reach) -> Iterator[Finding]:
    names: dict[Place, str] = {
        ("rules", i): f"the rule {in_words(rule.first, world)!r}"
        for i, rule in enumerate(world.rules)
    }
    names |= {("clocks", i): f"the clock {c.name!r}" for i, c in enumerate(world.clocks)}
    places = rule_places(world)
    for i, operator in enumerate(relaxed.operators):
        place = places.get(operator.source, ()) if operator.source else ()
        if place[:2] not in names or reach.fires(i):
            continue
        lacking = reach.lacking(i)
        if any(fact[0] in ("near", "at") for fact in lacking):
            continue  # told of the thing or the room already
        yield warning("rule-never-fires", place, f"{names[place[:2]]} {_why(lacking)}")


def _why(lacking: list[Fact]) -> str:
    if any(fact[0] == "shadowed" for fact in lacking):
        how = "give that one a condition, or put this one first"
        return f"is never tried: an earlier one for the same command always answers; {how}."
    if any(fact[0] == "clock" for fact in lacking):
        return "never runs; begin it with running = true, or by an effect such as 'clock NAME 5'."
    said = next((s for fact in lacking if (s := _said(fact))), "")
    if not said:
        return "can never be followed: an earlier one for the same command always answers first."
    return f"can never be followed: {said} never comes true; let a rule bring it about."


def _said(fact: Fact) -> str:
    """A fact as a condition says it; empty for one that authors don't write."""
    match fact:
        case ("carried" | "near", name):
            return f"'{name} {'carried' if fact[0] == 'carried' else 'here'}'"
        case ("free", name):
            return f"'{name} not carried'"
        case ("at", room):
            return f"'you in {room}'"
        case ("elsewhere", room):
            return f"'you not in {room}'"
        case ("place" | "out", name, place):
            return f"'{name} {'in' if fact[0] == 'place' else 'not in'} {place}'"
        case ("is" | "isnt", name, state):
            return f"'{name} {'is' if fact[0] == 'is' else 'is not'} {state}'"
        case ("deed" | "undone", deed):
            return f"'{deed} {'done' if fact[0] == 'deed' else 'not done'}'"
    return ""


def _refusals(world: World, relaxed: Relaxed, reach: Reach) -> Iterator[Finding]:
    """Words for a condition that always holds."""
    for (key, j), place in rule_places(world).items():
        if place[0] != "rules":
            continue
        i = int(place[1])
        rule = world.rules[i]
        facts = relaxed.model.facts
        branch = facts.branches[key][j]
        own = dict(rule.needs) if isinstance(rule.needs, dict) else {}
        skipped = len(branch.needs) - len(rule.conditions)
        for (text, _), (need, _) in zip(rule.conditions, branch.needs[skipped:], strict=True):
            if not own.get(text):
                continue
            failing = against(facts, need, key + " or" * j, rule.in_, [])
            if failing is None or (isinstance(failing, tuple) and not reach.possible(failing)):
                said = f"the rule {in_words(key, world)!r} has words for when '{text}' fails"
                said += ", and it never does; leave them out."
                yield note("refusal-never-told", ("rules", i, "needs"), said)


def _deeds(world: World, relaxed: Relaxed, reach: Reach) -> Iterator[Finding]:
    done = {fact for adds in relaxed.operators for fact in adds.adds}
    for deed in world.deeds:
        if reach.possible(("deed", deed)):
            continue
        place: Place = ("deeds", deed)
        if ("deed", deed) not in done:
            said = f"no rule does the deed {deed!r}; add the effect 'deed {deed}' to one"
        else:
            said = f"the deed {deed!r} can never be done, for what does it never happens"
        yield warning("deed-never-done", place, f"{said}.")
    if ("game", "won") not in done:
        how = "add an effect 'game won' to a rule, or an [ending]"
        yield warning("no-ending", (), f"the game can't be won, for nothing ends it so; {how}.")
    elif not reach.possible(("game", "won")):
        said = "the game can't be won: what would end it so can never happen"
        yield warning("unwinnable", (), f"{said}; see the other warnings.")
