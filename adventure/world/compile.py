"""A world's rules, clocks, topics and first visits -> blocks (script.py). Knows no network.

An author's conditions and effects are short sentences in plain words, each read by a pattern.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from adventure.world.parts import World
from adventure.world.script import Block, Op

_CONDITIONS = (
    (re.compile(r"(?P<o>.+?) (?P<r>not done|done)"), "Deeds"),
    (re.compile(r"you (?P<r>not in|in) (?P<o>.+)"), "you"),
    (re.compile(r"(?P<s>.+?) (?P<r>not carried|carried|not here|here)"), ""),
    (re.compile(r"(?P<s>.+?) (?P<r>not in|in) (?P<o>.+)"), ""),
    (re.compile(r"(?P<s>.+?) (?P<r>is not|is) (?P<o>.+)"), ""),
)
_CLOCK = re.compile(r"(?P<r>clock) (?P<s>.+?) (?P<o>\d+|off)")
_EFFECTS = (
    re.compile(r"(?P<s>.+?) (?P<r>becomes) (?P<o>.+)"),
    re.compile(r"(?P<s>.+?) (?P<r>moves to) (?P<o>.+)"),
    re.compile(r"(?P<s>.+?) (?P<r>leads to) (?P<o>.+)"),
    re.compile(r"(?P<s>you) (?P<r>go to) (?P<o>.+)"),
    re.compile(r"(?P<r>deed) (?P<o>.+)"),
    _CLOCK,
    re.compile(r"(?P<r>game) (?P<o>won|lost)"),
)
LONGEST_STAGE = 9
"""Turns that one item of the list of clocks counts: a digit, which the network counts down well."""
NEW = Op("if", ("new",))
OLD = Op("so", ("new", "becomes", "old"))
END = Op("end")


def condition(text: str) -> Op:
    """`crank carried` -> a line of a block. Raises ValueError for what isn't a condition."""
    for pattern, subject in _CONDITIONS:
        if found := pattern.fullmatch(text.strip()):
            said = found.groupdict()
            fields = (subject or said.get("s"), said["r"], said.get("o"))
            return Op("if", tuple(f for f in fields if f))
    raise ValueError(f"{text!r} is not a condition")


def effect(text: str, world: World) -> Op:
    """`gate becomes open` -> what it means. Raises ValueError for what isn't an effect."""
    for pattern in _EFFECTS:
        if found := pattern.fullmatch(text.strip()):
            said = found.groupdict()
            fields = [said.get("s"), said["r"], said["o"]]
            if said["r"] == "clock":
                fields = ["clock", said["s"], said["o"]]
            if said["r"] in ("leads to", "go to"):
                fields[2:] = room_items(world, said["o"])
            return Op("so", tuple(f for f in fields if f))
    raise ValueError(f"{text!r} is not an effect")


def effects(texts: tuple[str, ...], world: World) -> list[Op]:
    """Effects -> lines of a block, several for a clock that counts in stages. Raises ValueError."""
    found = list[Op]()
    staged = {clock.name for clock in world.clocks}  # those of people on a route aren't
    for text in texts:
        op, clock = effect(text, world), _CLOCK.fullmatch(text.strip())
        found += _setting(op, world) if clock and clock["s"] in staged else [op]
    return found


def stage(name: str, turns: int) -> tuple[str, int]:
    """A clock that runs for `turns`: the item that counts now, of several where these are many."""
    later = (turns - 1) // LONGEST_STAGE
    return name + " or" * later, turns - later * LONGEST_STAGE


def _stages(world: World, name: str) -> list[str]:
    """All names under which a clock can be counting, the last to count first."""
    longest = max((clock.turns for clock in world.clocks if clock.name == name), default=1)
    for then in (*(rule.then for rule in world.rules), *(clock.then for clock in world.clocks)):
        for text in then:
            if (found := _CLOCK.fullmatch(text.strip())) and found["s"] == name:
                longest = max(longest, int(found["o"]) if found["o"] != "off" else 1)
    return [stage(name, turns)[0] for turns in range(1, longest + 1, LONGEST_STAGE)]


def _setting(op: Op, world: World) -> list[Op]:
    """Lines that set a clock, or stop it, whatever stage it is in."""
    _, name, turns = op.fields
    now, left = (name, "off") if turns == "off" else stage(name, int(turns))
    others = [Op("so", ("clock", other, "off")) for other in _stages(world, name) if other != now]
    return [*others, Op("so", ("clock", now, str(left)))]


def room_items(world: World, room: str) -> tuple[str, ...]:
    """A room as the end of a way: its name and what one must know on entering."""
    part = next((r for r in world.rooms if r.name == room), None)
    if part is None:
        return (room,)
    return (room, *(["dark"] if part.dark else []), *(["story"] if part.first else []))


@dataclass(frozen=True)
class Branch:
    """What happens if all `needs` hold. Each is a condition and what is told if it fails; nothing:
    the next branch of the heading decides, or all goes on as usual. before: done in any case."""

    needs: tuple[tuple[Op, str], ...]
    body: tuple[Op, ...]
    before: tuple[Op, ...] = ()


def blocks_of(world: World) -> dict[str, Block]:
    """All blocks by heading, in the order of the pack's text."""
    if (made := world.__dict__.get("_blocks")) is None:
        made = world.__dict__["_blocks"] = _emit(branches_of(world))
    return made


def _emit(branches: dict[str, list[Branch]]) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    for key, several in branches.items():
        refusals: dict[str, str] = {}
        for i, branch in enumerate(several):
            last = i + 1 == len(several)
            on = Op("usual") if last else Op("goto", (key + " or" * (i + 1),))
            ops = list(branch.before)
            for need, refusal in branch.needs:
                if refusal:
                    label = refusals.setdefault(refusal, key + " but" * (len(refusals) + 1))
                    ops += [need, Op("goto", (label,))]
                else:
                    ops += [need, on]
            name = key + " or" * i
            blocks[name] = Block(name, (*ops, *branch.body))
        for refusal, label in refusals.items():
            blocks[label] = Block(label, (Op("say", prose=refusal), END))
    return blocks


def branches_of(world: World) -> dict[str, list[Branch]]:
    """Rules and all that is told like one, by heading, in the order in which they are tried."""
    found: dict[str, list[Branch]] = {}

    def add(
        key: str, needs: list[tuple[Op, str]], body: list[Op], before: tuple[Op, ...] = ()
    ) -> None:
        found.setdefault(key, []).append(Branch(tuple(needs), (*body, END), before))

    def here(name: str) -> tuple[Op, str]:
        return Op("if", (name, "here")), ""

    for room in world.rooms:
        if room.first:
            add(f"arrive|{room.name}", [(NEW, "")], [OLD, _say(room.first)])
    for rule in world.rules:
        verb, *nouns = rule.first.split("|")
        named = [n for n in nouns if n in world.names and verb != "arrive"]
        scope = [here(n) for n in named]
        if rule.in_:
            scope.append((Op("if", ("you", "in", rule.in_)), ""))
        if rule.once:
            scope.append((NEW, rule.again))
        needs = [(condition(text), refusal or rule.otherwise) for text, refusal in rule.conditions]
        body = [OLD] if rule.once else []
        body += [_say(rule.say), *effects(rule.then, world)]
        add(rule.first, [*scope, *needs], body)
    for thing in world.things:
        if thing.text:
            add(f"read|{thing.name}", [here(thing.name)], [_say(thing.text)])
    for person in world.people:
        for topics, prose in person.topics.items():
            topic = topics.split(",")[0].strip()
            add(f"ask|{person.name}|{topic}", [here(person.name)], [_say(prose)])
        if person.other:
            add(f"ask|{person.name}|anything", [here(person.name)], [_say(person.other)])
        if person.talk:
            add(f"talk|{person.name}", [here(person.name)], [_say(person.talk)])
    if e := world.ending:
        needs = [(condition(f"{e.thing} carried"), ""), (condition(f"you in {e.room}"), "")]
        body = [Op("so", (e.thing, "moves to", e.room)), Op("so", ("game", "won")), _say(e.text)]
        add(f"drop|{e.thing}", needs, body)
    for clock in world.clocks:
        body = [_say(clock.say)] if clock.say else []
        body += effects(clock.then, world)
        first, turns = stage(clock.name, clock.turns)
        again = (Op("so", ("clock", first, str(turns))),) if clock.every else ()
        needs = [(condition(text), "") for text in clock.needs]
        add(f"clock|{clock.name}", needs, body, again)
        stages = _stages(world, clock.name)
        for earlier, later in itertools.pairwise(stages):
            add(f"clock|{later}", [], [Op("so", ("clock", earlier, str(LONGEST_STAGE)))])
    for person in world.people:
        route = person.route
        again = (Op("so", ("clock", person.name, str(person.every))),)
        for i, (at, to) in enumerate(zip(route, (*route[1:], *route[:1]), strict=True)):
            # Wound again before anything else: somebody led off the route finds back to it.
            body = [Op("so", (person.name, "moves to", to))]
            needs = [(Op("if", (person.name, "in", at)), "")]
            add(f"clock|{person.name}", needs, body, () if i else again)
    return found


def _say(prose: str) -> Op:
    return Op("say", prose=" ".join(prose.split()))
