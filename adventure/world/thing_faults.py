"""What is wrong with things, people and the ending. Knows no rules but what they unlock."""

from __future__ import annotations

from collections.abc import Iterator

from adventure.world.keys import Fault, nearest, quoted
from adventure.world.lines import Place
from adventure.world.parts import NOWHERE, WORN, YOU, Door, Person, Thing, World, words_of

LOCK, SWITCH = ("open", "closed", "locked"), ("on", "off")
_NOT_IN_STATES = frozenset("in is not done carried here becomes".split())
_NO_STATES = frozenset(
    "fixed treasure portable container supporter light switch wearable edible drinkable door "
    "person scenery dark story nothing new old".split()
)
"""What the records say of a thing beside its state."""
_SEVERAL = {"openable": "openable", "switch": "light or switch", "states": "states"}


def holders(world: World) -> list[str]:
    """Everything that a thing can be in or on."""
    things = [thing.name for thing in world.things if thing.container or thing.supporter]
    people = [person.name for person in world.people]
    return [*(room.name for room in world.rooms), *things, *people, YOU, WORN, NOWHERE]


def states_of(part: object) -> tuple[str, ...]:
    """The words for the state that a part may be in; nothing if it has no state."""
    if isinstance(part, Door):
        return LOCK
    if not isinstance(part, Thing):
        return ()
    if part.states:
        return part.states
    return LOCK if part.openable else SWITCH if part.light or part.switch else ()


def holder_fault(place: Place, what: str, name: str, world: World) -> Iterator[Fault]:
    """A fault if nothing can be in `name`."""
    known = holders(world)
    if name in known:
        return
    if name in world.by_name:
        yield place, f"{what} {name!r}, which is neither a container nor a supporter; make it one."
    else:
        yield place, f"{what} {quoted(name)}, which doesn't exist{nearest(name, known)}"


def thing_faults(world: World) -> Iterator[Fault]:
    """All of them, doors' locks among them."""
    for i, thing in enumerate(world.things):
        place = ("things", i)
        yield from holder_fault((*place, "in"), f"{thing.name!r} is in", thing.in_, world)
        yield from _in_itself((*place, "in"), thing, world)
        yield from _trait_faults(place, thing)
        yield from _state_faults((*place, "states"), thing)
        yield from _lock_faults(place, thing, world)
    for i, door in enumerate(world.doors):
        yield from _lock_faults(("doors", i), door, world)
    for i, person in enumerate(world.people):
        yield from _person_faults(("people", i), person, world)
    yield from _ending_faults(world)


def _in_itself(place: Place, thing: Thing, world: World) -> Iterator[Fault]:
    chain, at = [thing.name], thing.in_
    while isinstance(holder := world.by_name.get(at), Thing):
        if at == thing.name and at == min(chain):  # one sentence for a ring
            several = chain if len(chain) < 4 else [*chain[:3], "..."]
            how = " in ".join(map(repr, [*several, at])).replace("'...'", "...")
            yield place, f"{thing.name!r} would be in itself ({how}); put it somewhere else."
        if at in chain:
            return
        chain.append(at)
        at = holder.in_


def _trait_faults(place: Place, thing: Thing) -> Iterator[Fault]:
    it = repr(thing.name)
    if thing.fixed and thing.treasure:
        yield (*place, "treasure"), f"{it} is fixed, so it can't be a treasure; choose one."
    if thing.fixed and thing.in_ in (YOU, WORN):
        yield (*place, "fixed"), f"{it} is fixed, so it can't be carried; choose one."
    if thing.in_ == WORN and not thing.wearable:
        yield (*place, "in"), f"{it} is worn, but it isn't wearable; add wearable = true."
    kinds = {
        "openable": thing.openable,
        "switch": thing.switch or thing.light,
        "states": bool(thing.states),
    }
    several = [_SEVERAL[key] for key, has in kinds.items() if has]
    if len(several) > 1:
        both = " and ".join(several)
        yield place, f"{it} has several kinds of state ({both}); a thing has one at most."
    for key, needs, not_ in (
        ("open", "openable", "doesn't open"),
        ("locked", "openable", "doesn't open"),
        ("key", "openable", "doesn't open"),
        ("on", "switch", "can't be switched"),
    ):
        if getattr(thing, key) and not kinds[needs]:
            yield (*place, key), f"{it} has {key!r} but {not_}; add {needs} = true."


def _state_faults(place: Place, thing: Thing) -> Iterator[Fault]:
    it = repr(thing.name)
    if len(thing.states) == 1:
        yield place, f"{it} has one state, which can't change; list two or more, or none."
    for state in thing.states:
        words = state.split(" ")
        if state in (*LOCK, *SWITCH):
            said = f"the state {state!r} of {it} belongs to things that open or switch"
            yield place, f"{said}; choose another word."
        elif words_of(state) != state.lower().split(" ") or len(words) > 6 or len(state) > 40:
            said = f"the state {quoted(state)} of {it} won't do"
            yield place, f"{said}: one to six words of small or capital letters, no commas."
        elif state in _NO_STATES or _NOT_IN_STATES & set(words):
            yield place, f"the state {state!r} of {it} holds a word that the game needs; change it."
        elif thing.states.count(state) > 1:
            yield place, f"the state {state!r} of {it} is listed twice; leave one out."


def _lock_faults(place: Place, part: Door | Thing, world: World) -> Iterator[Fault]:
    it = repr(part.name)
    if part.locked and part.open:
        yield (*place, "open"), f"{it} is both open and locked; choose one."
    if part.key is None:
        if part.locked and not _freed(part.name, world):
            yield (*place, "locked"), f"{it} is locked but has no key; give it one, or a rule."
        return
    key = world.by_name.get(part.key)
    where = (*place, "key")
    if not isinstance(key, Thing):
        known = [thing.name for thing in world.things]
        said = f"{it} has the key {quoted(part.key)}"
        yield where, f"{said}, which is no thing{nearest(part.key, known)}"
    elif key.fixed:
        yield where, f"{it} has the key {part.key!r}, which can't be carried; don't fix it."
    elif key is part:
        yield where, f"{it} is its own key; name another thing."


def _freed(name: str, world: World) -> bool:
    """Whether a rule or a clock opens or unlocks it."""
    freeing = {f"{name} becomes open", f"{name} becomes closed"}
    return any(freeing & set(rule.then) for rule in world.rules) or any(
        freeing & set(clock.then) for clock in world.clocks
    )


def _person_faults(place: Place, person: Person, world: World) -> Iterator[Fault]:
    rooms, it = [room.name for room in world.rooms], repr(person.name)
    if person.in_ not in (*rooms, NOWHERE):
        said = f"{it} is in {quoted(person.in_)}, which is no room"
        yield (*place, "in"), said + nearest(person.in_, rooms)
    where = (*place, "route")
    for room in person.route:
        if room not in rooms:
            yield where, f"the route of {it} leads to {quoted(room)}{nearest(room, rooms)}"
        elif person.route.count(room) > 1:
            yield where, f"the route of {it} passes {room!r} twice; list each room once."
    if len(person.route) == 1:
        yield where, f"the route of {it} has one room; list two or more, or leave it out."
    elif person.route and person.in_ in rooms and person.in_ not in person.route:
        yield where, f"the route of {it} never passes {person.in_!r}, where it is; add that room."
    topics: dict[str, str] = {}
    for key in person.topics:
        where = (*place, "topics", key)
        first = key.split(",")[0].strip()
        if topics.setdefault(first, key) != key:
            yield where, f"{it} has the topic {quoted(first)} twice; leave one out."
        for said in key.split(","):
            topic = said.strip()
            if not topic or not words_of(topic) or set(topic) & set(":.<>|"):
                yield where, f"the topic {quoted(topic)} of {it} won't do; write a word or two."
            elif topic == "anything":
                yield where, f"{it} has the topic 'anything'; write it as other = \"...\"."


def _ending_faults(world: World) -> Iterator[Fault]:
    ending = world.ending
    if ending is None:
        return
    things = {thing.name: thing for thing in world.things}
    rooms = [room.name for room in world.rooms]
    if ending.room not in rooms:
        said = f"the ending happens in {quoted(ending.room)}, which doesn't exist"
        yield ("ending", "room"), said + nearest(ending.room, rooms)
    if ending.thing not in things:
        said = f"the ending needs {quoted(ending.thing)}, which doesn't exist"
        yield ("ending", "thing"), said + nearest(ending.thing, list(things))
    elif things[ending.thing].fixed:
        said = f"the ending needs {ending.thing!r}, which is fixed, so nobody can bring it"
        yield ("ending", "thing"), f"{said}; choose another thing."
