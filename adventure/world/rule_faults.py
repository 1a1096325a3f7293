"""What is wrong with rules, clocks and deeds: commands, conditions and effects that can't be meant.

Knows the verbs that players use, and how conditions and effects are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adventure.world.command_faults import command_faults
from adventure.world.compile import condition, effect
from adventure.world.doing import in_words
from adventure.world.keys import Fault, nearest, quoted
from adventure.world.lines import Place
from adventure.world.parts import (
    DIRECTIONS,
    LONGEST_CLOCK,
    LONGEST_STEP,
    NOWHERE,
    WORN,
    Person,
    Room,
    Rule,
    Thing,
    World,
)
from adventure.world.thing_faults import holder_fault, states_of

CONDITIONS = (
    "'lamp carried', 'lamp here', 'lamp in Hall', 'lamp is on', 'you in Hall', 'lit the lamp done' "
    "or, with not, 'lamp not carried', 'lamp is not on'"
)
EFFECTS = (
    "'gate becomes open', 'lamp moves to Hall', 'Hall north leads to Crypt', 'you go to Hall', "
    "'deed lit the lamp', 'clock tide 5', 'clock tide off', 'game won' or 'game lost'"
)
_CLOCK = re.compile(r"[a-z](?:[a-z'-]*[a-z])?")
_DEED = re.compile(r"[A-Za-z0-9](?:[\w' !?-]*[\w'!?])?")


def rule_faults(world: World) -> Iterator[Fault]:
    """All of them."""
    yield from command_faults(world)
    for i, rule in enumerate(world.rules):
        yield from _rule_faults(("rules", i), rule, world)
    yield from _clock_faults(world)
    yield from _deed_faults(world)


def _rule_faults(place: Place, rule: Rule, world: World) -> Iterator[Fault]:
    it = f"the rule {quoted(in_words(rule.first, world))}"
    rooms = [room.name for room in world.rooms]
    if rule.in_ and rule.in_ not in rooms:
        said = f"{it} holds in {quoted(rule.in_)}, which is no room"
        yield (*place, "in"), said + nearest(rule.in_, rooms)
    if rule.again and not rule.once:
        yield (*place, "again"), f"{it} has 'again' but not 'once'; add once = true."
    if rule.otherwise and all(refusal for _, refusal in rule.conditions):
        said = f"{it} has 'otherwise', but no condition that it would be told for"
        yield (*place, "otherwise"), f"{said}; add one to needs, or leave it out."
    for text, _ in rule.conditions:
        yield from condition_faults((*place, "needs"), it, text, world)
    for text in rule.then:
        yield from effect_faults((*place, "then"), it, text, world)


def condition_faults(place: Place, it: str, text: str, world: World) -> Iterator[Fault]:
    """What is wrong with one condition."""
    try:
        subject, relation, *rest = condition(text).fields
    except ValueError:
        yield place, f"{it} has the condition {quoted(text)}; write one like {CONDITIONS}."
        return
    end = f" (in the condition {quoted(text, 60)})"
    other = rest[0] if rest else ""
    relation = relation.removeprefix("not ").removesuffix(" not")
    part = world.by_name.get(subject)
    if subject == "Deeds":
        if other not in world.points:
            known = nearest(other, list(world.points))
            yield place, f"{it} asks for the deed {quoted(other)}{end}, not in [deeds]{known}"
    elif subject == "you":
        yield from _room(place, f"{it} asks whether you are in", other, end, world)
    elif subject not in world.names:
        yield place, f"{it} asks about {quoted(subject)}{end}{meant(subject, world)}"
    elif relation == "is":
        yield from _state(place, it, subject, other, end, world)
    elif relation in ("carried", "in") and not isinstance(part, Thing | Person):
        said = f"{it} asks where {subject!r} is{end}, but doors and scenery stay where they are"
        yield place, f"{said}; ask whether it is here."
    elif relation == "in":
        yield from holder_fault(place, f"{it}{end} asks about", other, world)


def effect_faults(place: Place, it: str, text: str, world: World) -> Iterator[Fault]:
    """What is wrong with one effect."""
    try:
        fields = effect(text, world).fields
    except ValueError:
        yield place, f"{it} has the effect {quoted(text)}; write one like {EFFECTS}."
        return
    end = f" (in the effect {quoted(text, 60)})"
    match fields:
        case (subject, "becomes", state):
            if subject not in world.names:
                yield place, f"{it} changes {quoted(subject)}{end}{meant(subject, world)}"
            else:
                yield from _state(place, it, subject, state, end, world)
        case (subject, "moves to", to):
            yield from _move_faults(place, it, subject, to, end, world)
        case (way, "leads to", to, *_):
            room, _, direction = way.rpartition(" ")
            yield from _room(place, f"{it} opens a way out of", room or way, end, world)
            yield from _room(place, f"{it} leads a way to", to, end, world)
            if room and direction not in DIRECTIONS:
                said = f"{it} opens the way {quoted(direction)}{end}"
                yield place, said + nearest(direction, DIRECTIONS)
        case (_, "go to", to, *_):
            yield from _room(place, f"{it} leads you to", to, end, world)
        case ("deed", deed):
            if deed not in world.points:
                known = nearest(deed, list(world.points))
                yield place, f"{it} does the deed {quoted(deed)}, which isn't in [deeds]{known}"
        case ("clock", name, turns):
            walkers = [person.name for person in world.people if person.route]
            known_clocks = [*dict.fromkeys((*(clock.name for clock in world.clocks), *walkers))]
            if name not in known_clocks:
                said = f"{it} sets the clock {quoted(name)}, which doesn't exist"
                yield place, said + nearest(name, known_clocks)
            most = LONGEST_STEP if name in walkers else LONGEST_CLOCK
            count = int(turns) if turns.isascii() and turns.isdigit() and len(turns) < 4 else 0
            if turns != "off" and not 0 < count <= most:
                how = f"write 1 to {most}, or off"
                yield place, f"{it} sets a clock to {quoted(turns)}{end}; {how}."


def _move_faults(
    place: Place, it: str, subject: str, to: str, end: str, world: World
) -> Iterator[Fault]:
    part = world.by_name.get(subject)
    if subject == "you":
        yield place, f"{it} moves you{end}; write 'you go to {to}'."
    elif subject not in world.names:
        yield place, f"{it} moves {quoted(subject)}{end}{meant(subject, world)}"
    elif not isinstance(part, Thing | Person):
        yield place, f"{it} moves {subject!r}{end}, but doors and scenery stay; make it a thing."
    elif isinstance(part, Person) and not isinstance(world.by_name.get(to), Room):
        if to != NOWHERE:
            rooms = [room.name for room in world.rooms]
            said = f"{it} moves {subject!r} to {quoted(to)}{end}; people are in rooms or nowhere"
            yield place, said + nearest(to, rooms)
    elif to == subject:
        yield place, f"{it} moves {subject!r} into itself{end}; move it elsewhere."
    elif to == WORN and isinstance(part, Thing) and not part.wearable:
        yield place, f"{it} has {subject!r} worn{end}, which isn't wearable; make it so."
    else:
        yield from holder_fault(place, f"{it} moves {subject!r} to", to, world)


def _state(
    place: Place, it: str, subject: str, state: str, end: str, world: World
) -> Iterator[Fault]:
    known = states_of(world.by_name.get(subject))
    if not known:
        said = f"{it} says that {subject!r} is {quoted(state)}{end}, but it has no states"
        yield place, f"{said}; list them as states = [...]."
    elif state not in known:
        one_of = ", ".join(map(repr, known))
        yield place, f"{it} says that {subject!r} is {quoted(state)}{end}; it can be {one_of}."


def _room(place: Place, what: str, name: str, end: str, world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    if name not in rooms:
        yield place, f"{what} {quoted(name)}{end}, which is no room{nearest(name, rooms)}"


def meant(name: str, world: World) -> str:
    """The end of a sentence about a noun that there isn't."""
    for noun, phrases in world.names.items():
        if name in phrases:
            return f", which is a synonym; write {noun!r}."
    if name in world.by_name:
        return ", which is a room; rooms have no states and go nowhere."
    return f", which doesn't exist{nearest(name, list(world.names))}"


# -- clocks and deeds ----------------------------------------------------------------------------


def _clock_faults(world: World) -> Iterator[Fault]:
    seen: set[str] = set()
    for i, clock in enumerate(world.clocks):
        place, it = ("clocks", i), f"the clock {quoted(clock.name)}"
        if not _CLOCK.fullmatch(clock.name) or len(clock.name) > 20 or clock.name == "off":
            yield (*place, "name"), f"{it} won't do for a name; take one word of small letters."
        elif clock.name in seen or any(person.name == clock.name for person in world.people):
            yield (*place, "name"), f"{it} has a name that is taken; choose another."
        seen.add(clock.name)
        if not clock.say and not clock.then:
            yield place, f"{it} does nothing when it runs out; add say or then."
        for text in clock.needs:
            yield from condition_faults((*place, "needs"), it, text, world)
        for text in clock.then:
            yield from effect_faults((*place, "then"), it, text, world)


def _deed_faults(world: World) -> Iterator[Fault]:
    for deed in world.deeds:
        read = _DEED.fullmatch(deed) and len(deed) <= 60
        try:
            done, asked = effect(f"deed {deed}", world), condition(f"{deed} done")
            read = read and (done.fields, asked.fields[2]) == (("deed", deed), deed)
        except ValueError:
            read = False
        if not read:
            said = f"the deed {quoted(deed)} won't do: a few words without commas, colons or stops"
            yield ("deeds", deed), f"{said}, and without 'becomes', 'moves to' or 'leads to'."
