"""What is wrong with a world: names that don't exist, aren't unique or can't be told apart.

Knows the parts of a world; the keys of its file are the affair of keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adventure.world.grammar import COMMAND_WORDS
from adventure.world.keys import Fault, Place, nearest, quoted
from adventure.world.parts import (
    DIRECTIONS,
    DOOR_RECORDS,
    OPPOSITE,
    ROOM_RECORDS,
    Part,
    Room,
    World,
    spoken,
)

RESERVED_WORDS = set("with using nothing and then all it everything except door's".split())
RESERVED_NAMES = {
    "at",
    "you",
    "game",
    "the end",
    "exits",
    "you see",
    "you carry",
    "treasures found",
}
"""Random worlds are drawn with the help of this set: changing it changes all of them."""
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z'-]*[A-Za-z'])?( [A-Za-z](?:[A-Za-z'-]*[A-Za-z'])?){0,3}")
_LONGEST_NAME = 40
_BLANK_LINE = re.compile(r"\n\s*\n")


def faults(world: World) -> Iterator[Fault]:
    """What the types can't say: names that exist, are unique, and can be told apart."""
    for place, part in _places(world):
        yield from _name_faults(place, part)
    yield from _name_clashes(world)
    yield from _room_faults(world)
    yield from _door_faults(world)
    yield from _thing_faults(world)
    yield from _prose_faults(world)


def _places(world: World) -> Iterator[tuple[Place, Part]]:
    for kind in ("rooms", "doors", "things"):
        for i, part in enumerate(getattr(world, kind)):
            yield (kind, i), part


def _name_faults(place: Place, part: Part) -> Iterator[Fault]:
    for name in (part.name, *getattr(part, "synonyms", ())):
        where = (*place, "name" if name == part.name else "synonyms")
        if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
            yield (
                where,
                f"the name {quoted(name)} won't do: one to four words of letters, hyphens and "
                f"apostrophes, {_LONGEST_NAME} characters at most.",
            )
        for word in sorted(RESERVED_WORDS & set(name.lower().split())):
            said = f"the name {name!r} contains {word!r}, a word that commands need"
            yield where, f"{said}; choose another."
    for synonym in getattr(part, "synonyms", ()):
        if spoken(synonym) in COMMAND_WORDS:
            said = f"the synonym {synonym!r} of {part.name!r} is a direction or a verb"
            yield (*place, "synonyms"), f"{said}; choose another, or add a word."
    where = (*place, "name")
    if part.name.lower() in RESERVED_NAMES or part.name.lower() in DIRECTIONS:
        yield where, f"the name {part.name!r} is taken by the game itself; choose another."
    if isinstance(part, Room) != part.name[:1].isupper():
        want = "a capital letter" if isinstance(part, Room) else "a small letter"
        rule = "rooms: capital, things and doors: small"
        yield where, f"the name {part.name!r} should begin with {want} ({rule})."


def _name_clashes(world: World) -> Iterator[Fault]:
    """Names that are alike, and names that read like the key of another part's record."""
    seen: dict[str, str] = {}
    for place, part in _places(world):
        other = seen.setdefault(spoken(part.name), part.name)
        if other is not part.name:
            both = f"two parts are both called {part.name!r}"
            if other != part.name:
                both = f"the names {other!r} and {part.name!r} sound alike"
            yield (*place, "name"), f"{both}; give each a name of its own."
    keys = {f"{r.name} {word}": r.name for r in world.rooms for word in ROOM_RECORDS}
    keys |= {f"{d.name} {word}": d.name for d in world.doors for word in DOOR_RECORDS}
    small = {key.lower(): owner for key, owner in keys.items()}
    for place, part in _places(world):
        owner = keys.get(part.name) or (
            None if isinstance(part, Room) else small.get(part.name.lower())
        )
        if owner:
            said = f"the name {part.name!r} is also what the game master calls a note on {owner!r}"
            yield (*place, "name"), f"{said}; choose another."


def _unknown(place: Place, what: str, name: str, known: list[str]) -> Iterator[Fault]:
    if name not in known:
        yield place, f"{what} {quoted(name)}, which doesn't exist{nearest(name, known)}"


def _room_faults(world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    if not rooms:
        yield ("rooms",), "there are no rooms; write at least one."
    yield from _unknown(("start",), "the world starts in", world.start, rooms)
    for i, room in enumerate(world.rooms):
        for direction, target in room.exits.items():
            where = ("rooms", i, "exits", direction)
            if direction not in DIRECTIONS:
                said = f"{room.name!r} has an exit {quoted(direction)}"
                yield where, said + nearest(direction, list(DIRECTIONS))
            what = f"the exit {direction} of {room.name!r} leads to"
            yield from _unknown(where, what, target, rooms)
            if target == room.name:
                yield where, f"{what} that room itself; lead it elsewhere, or leave it out."


def _door_faults(world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    fixed = {thing.name: not thing.portable for thing in world.things}
    taken = {(r.name, way): "an exit" for r in world.rooms for way in r.exits}
    for i, door in enumerate(world.doors):
        where, it = ("doors", i), f"door {door.name!r}"
        own = f"the {it}"
        if door.direction not in DIRECTIONS:
            said = f"{it}: direction {quoted(door.direction)}"
            yield (*where, "direction"), said + nearest(door.direction, list(DIRECTIONS))
            continue
        yield from _unknown((*where, "from"), f"{it} is in", door.from_, rooms)
        yield from _unknown((*where, "to"), f"{it} leads to", door.to, rooms)
        if door.from_ == door.to:
            yield (*where, "to"), f"{it} leads from {door.to!r} back to it; lead it elsewhere."
        if door.key is not None:
            yield from _unknown((*where, "key"), f"{it} has the key", door.key, list(fixed))
            if fixed.get(door.key):
                yield (*where, "key"), f"{it} has the key {door.key!r}, which can't be carried."
        elif door.locked:
            yield where, f"{it} is locked but has no key; give it one."
        if door.locked and door.open:
            yield where, f"{it} is both open and locked; choose one."
        for way in ((door.from_, door.direction), (door.to, OPPOSITE[door.direction])):
            other = taken.setdefault(way, own)
            if other != own:
                both = f"{way[0]!r} has both {other} and {own} to the {way[1]}"
                yield where, f"{both}; each way has room for one."


def _thing_faults(world: World) -> Iterator[Fault]:
    rooms = [room.name for room in world.rooms]
    things = {thing.name: thing for thing in world.things}
    for i, thing in enumerate(world.things):
        where = ("things", i)
        if (thing.room is None) != thing.carried:
            yield where, f'{thing.name!r} needs either room = "..." or carried = true.'
        elif thing.room is not None:
            yield from _unknown((*where, "room"), f"{thing.name!r} is in", thing.room, rooms)
        if not thing.portable and (thing.carried or thing.treasure):
            yield where, f"{thing.name!r} is fixed, so it can't be carried or be a treasure."
    ending = world.ending
    yield from _unknown(("ending", "thing"), "the ending needs", ending.thing, list(things))
    yield from _unknown(("ending", "room"), "the ending happens in", ending.room, rooms)
    if ending.thing in things and not things[ending.thing].portable:
        said = f"the ending needs {ending.thing!r}, which is fixed, so nobody can bring it"
        yield ("ending", "thing"), f"{said}; choose another thing."


def _prose_faults(world: World) -> Iterator[Fault]:
    texts: list[tuple[Place, str, str]] = [
        ((*place, "description"), f"the text of {part.name!r}", part.description)
        for place, part in _places(world)
    ]
    texts += [
        (("intro",), "the intro", world.intro),
        (("ending", "text"), "the text of the ending", world.ending.text),
        (("title",), "the title", world.title),
    ]
    for key in ("author", "headline", "genre", "description", "language", "released"):
        if getattr(world, key):
            texts.append(((key,), f"{key!r}", getattr(world, key)))
    names = {part.name for part in world.parts}
    for place, what, prose in texts:
        line = " ".join(prose.split())
        odd = next((c for c in prose if not c.isprintable() and c not in "\n\t"), None)
        if not line:
            yield place, f"{what} is empty; write a sentence."
        elif _BLANK_LINE.search(prose.strip()):
            yield place, f"{what} holds a blank line; write it as one paragraph."
        elif odd:
            yield place, f"{what} holds the character {odd!r}, which can't be shown; take it out."
        elif "<|" in prose:
            yield place, f"{what} holds '<|', which the engine uses itself; take it out."
        elif line in names and what.startswith("the ") and what != "the title":
            yield place, f"{what} is nothing but the name {line!r}; write a sentence."
        elif _reads_as_record(line, world):
            begin = f"{line.partition(':')[0]}:"
            said = f"{what} begins with {begin!r}, as the game master's notes do"
            yield place, f"{said}; begin it otherwise."


def _reads_as_record(line: str, world: World) -> bool:
    key, colon, _ = line.partition(":")
    name, _, word = key.rpartition(" ")
    return bool(colon) and (
        key.lower() in RESERVED_NAMES
        or key in (part.name for part in world.nouns)
        or (name in (r.name for r in world.rooms) and word in ROOM_RECORDS)
        or (name in (d.name for d in world.doors) and word in DOOR_RECORDS)
    )
