"""What is wrong with a world: names that don't exist, aren't unique or can't be told apart.

Knows the parts of a world; its rules and its prose are the affair of rule_faults.py and
prose_faults.py, the keys of its file that of keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from adventure.world.keys import Fault, nearest, quoted
from adventure.world.lines import Place
from adventure.world.parts import (
    DIRECTIONS,
    DOOR_RECORDS,
    OPPOSITE,
    ROOM_RECORDS,
    Noun,
    Part,
    Person,
    Room,
    World,
    spoken,
)
from adventure.world.prose_faults import prose_faults
from adventure.world.rule_faults import rule_faults
from adventure.world.thing_faults import thing_faults
from adventure.world.verbs import SHORT

RESERVED_WORDS = frozenset(
    "with using nothing and then all it everything except or but in is to here not carried done "
    "becomes".split()
)
"""What no name may contain: commands, conditions and effects need them."""
RESERVED_NAMES = frozenset(
    "you worn nowhere at deeds clocks game say usual end new old the a an my me myself self".split()
)
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z'-]*[A-Za-z])?( [A-Za-z](?:[A-Za-z'-]*[A-Za-z])?){0,3}")
_LONGEST_NAME = 40
_WAYS = frozenset({*DIRECTIONS, *SHORT})


def faults(world: World) -> Iterator[Fault]:
    """What the types can't say: names that exist, are unique, and can be told apart."""
    yield from _names(world)
    yield from _name_clashes(world)
    yield from _room_faults(world)
    yield from _door_faults(world)
    yield from thing_faults(world)
    yield from rule_faults(world)
    yield from prose_faults(world)


def places(world: World) -> Iterator[tuple[Place, Part]]:
    """Every part that has a name, with where it stands."""
    for kind in ("rooms", "doors", "things", "people"):
        for i, part in enumerate(getattr(world, kind)):
            yield (kind, i), part


def unknown(place: Place, what: str, name: str, known: Sequence[str]) -> Iterator[Fault]:
    """A fault if a name isn't among those known."""
    if name not in known:
        yield place, f"{what} {quoted(name)}, which doesn't exist{nearest(name, known)}"


# -- names ---------------------------------------------------------------------------------------


def _names(world: World) -> Iterator[Fault]:
    for place, part in places(world):
        yield from _name_faults((*place, "name"), part.name)
        yield from _capital(place, part)
        for synonym in part.synonyms if isinstance(part, Noun) else ():
            yield from _name_faults((*place, "synonyms"), synonym)
    for i, room in enumerate(world.rooms):
        for names in room.scenery:
            for name in names.split(","):
                yield from _name_faults(("rooms", i, "scenery", names), name.strip())


def _name_faults(place: Place, name: str) -> Iterator[Fault]:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        yield (
            place,
            f"the name {quoted(name)} won't do: one to four words of letters, hyphens and "
            f"apostrophes, {_LONGEST_NAME} characters at most.",
        )
        return
    words = spoken(name).split()
    for word in sorted(RESERVED_WORDS & set(words)):
        yield place, f"the name {name!r} contains {word!r}, a word that the game needs; change it."
    if spoken(name) in RESERVED_NAMES:
        yield place, f"the name {name!r} is taken by the game itself; choose another."
    elif spoken(name) in _WAYS:
        yield place, f"the name {name!r} is a direction; choose another, or add a word."
    elif words[0] in ("the", "a", "an") and name[0].islower():
        yield place, f"the name {name!r} begins with an article, which the game adds; leave it out."
    elif name.startswith("say ") and "synonyms" not in place:
        own = "as the game master's own lines do"
        yield place, f"the name {name!r} begins with 'say', {own}; change that word."


def _capital(place: Place, part: Part) -> Iterator[Fault]:
    """Rooms begin with a capital, doors and things don't, people may: the article hangs on it."""
    if isinstance(part, Person) or isinstance(part, Room) == part.name[:1].isupper():
        return
    want = "a capital letter" if isinstance(part, Room) else "a small letter"
    rule = "rooms: capital, doors and things: small"
    yield (*place, "name"), f"the name {quoted(part.name)} should begin with {want} ({rule})."


def _name_clashes(world: World) -> Iterator[Fault]:
    """Names that are alike, and names that read like the key of another part's record."""
    seen: dict[str, str] = {}
    for place, part in places(world):
        other = seen.setdefault(spoken(part.name), part.name)
        if other is not part.name:
            both = f"two parts are both called {part.name!r}"
            if other != part.name:
                both = f"the names {other!r} and {part.name!r} sound alike"
            yield (*place, "name"), f"{both}; give each a name of its own."
    keys = {f"{r.name} {word}": r.name for r in world.rooms for word in ROOM_RECORDS}
    keys |= {f"{d.name} {word}": d.name for d in world.doors for word in DOOR_RECORDS}
    keys |= {f"{p.name} {word}": p.name for p in world.nouns for word in ("key", "holds", "was")}
    small = {key.lower(): owner for key, owner in keys.items()}
    for place, part in places(world):
        owner = small.get(part.name.lower())
        if owner:
            said = f"the name {part.name!r} is also what the game master calls a note on {owner!r}"
            yield (*place, "name"), f"{said}; choose another."
    prose: dict[str, tuple[str, str]] = {}
    for i, room in enumerate(world.rooms):
        for names, text in room.scenery.items():
            where, name = ("rooms", i, "scenery", names), names.split(",")[0].strip()
            other = seen.get(spoken(name), "")
            if other:
                said = f"the scenery {name!r} of {room.name!r} is called like {other!r}"
                yield where, f"{said}; give it a name of its own."
            elif small.get(name.lower()):
                said = f"the scenery {name!r} is also what the game master calls a note"
                yield where, f"{said} on {small[name.lower()]!r}; choose another name."
            first, told = prose.setdefault(name, (room.name, text))
            if told != text:
                said = f"the scenery {name!r} of {room.name!r} reads otherwise than in {first!r}"
                yield where, f"{said}; give both the same words, or one another name."


# -- rooms and doors -----------------------------------------------------------------------------


def _room_faults(world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    if not rooms:
        yield ("rooms",), "there are no rooms; write at least one."
    yield from unknown(("start",), "the world starts in", world.start, rooms)
    for i, room in enumerate(world.rooms):
        for direction, target in room.exits.items():
            where = ("rooms", i, "exits", direction)
            if direction not in DIRECTIONS:
                said = f"{room.name!r} has an exit {quoted(direction)}"
                full = SHORT.get(direction.lower())
                end = f"; did you mean {full!r}?" if full else nearest(direction, DIRECTIONS)
                yield where, said + end
                continue
            what = f"the exit {direction} of {room.name!r} leads to"
            yield from unknown(where, what, target, rooms)
            if target == room.name:
                yield where, f"{what} that room itself; lead it elsewhere, or leave it out."


def _door_faults(world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    taken = {(r.name, way): "an exit" for r in world.rooms for way in r.exits}
    for i, door in enumerate(world.doors):
        where, it = ("doors", i), f"door {door.name!r}"
        own = f"the {it}"
        if door.direction not in DIRECTIONS:
            said = f"{it}: direction {quoted(door.direction)}"
            yield (*where, "direction"), said + nearest(door.direction, DIRECTIONS)
            continue
        yield from unknown((*where, "from"), f"{it} is in", door.from_, rooms)
        yield from unknown((*where, "to"), f"{it} leads to", door.to, rooms)
        if door.from_ == door.to:
            yield (*where, "to"), f"{it} leads from {door.to!r} back to it; lead it elsewhere."
        for way in ((door.from_, door.direction), (door.to, OPPOSITE[door.direction])):
            other = taken.setdefault(way, own)
            if other != own:
                both = f"{way[0]!r} has both {other} and {own} to the {way[1]}"
                yield where, f"{both}; each way has room for one."
