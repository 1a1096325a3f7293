"""What a world's prose says that isn't so, or won't stay so. Knows no rule of the game."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adventure.author.findings import Finding, note, warning
from adventure.world.lines import Place
from adventure.world.parts import DIRECTIONS, Room, Thing, World, words_of

COMPASS = DIRECTIONS[:8]
_SCREEN = 20 * 78
"""Characters that a reply may have before it runs out of a terminal of 24 lines."""
_LOOSE = frozenset("up down in out on off set full empty open closed locked hot cold".split())
"""States that prose says in passing, of something else."""
_SMALL = 4
"""Words shorter than this don't hint at a room's name."""
_HINTS = {
    "up": "up upstairs stair stairs climb ladder above rises rise steps loft roof".split(),
    "down": "down downstairs stair stairs ladder below steps descend falls hatch cellar".split(),
    "in": "in into inside enter door entrance".split(),
    "out": "out outside leave leaves leaving door lets back".split(),
}


def prose_lints(world: World) -> Iterator[Finding]:
    """Rooms against their exits, prose against what can change, and what is too long to be read."""
    made = {key.rpartition(" ")[::2] for key in world.ways_made}
    for i, room in enumerate(world.rooms):
        place: Place = ("rooms", i, "description")
        yield from _exits(world, room, place, made)
        yield from _portable(world, room, place)
        if len(room.first) + len(room.description) > _SCREEN:
            said = f"{room.name!r} is told at once on the first visit and fills a screen"
            yield note("long", ("rooms", i, "first"), f"{said}; shorten it.")
    for i, thing in enumerate(world.things):
        if not _told_by_rule(world, thing.name):
            yield from _states(("things", i, "description"), thing)


def _exits(world: World, room: Room, place: Place, made: set[tuple[str, str]]) -> Iterator[Finding]:
    said = set(words_of(room.description))
    exits = world.exits_of(room.name)
    answered = {do.split("|")[1] for do in world.alias if do.startswith("go|")}
    for direction in COMPASS:
        if direction not in said or direction in exits or direction in answered:
            continue
        if (room.name, direction) in made or not _as_a_way(room.description, direction):
            continue
        text = f"the prose of {room.name!r} names the {direction} as a way, and there is none"
        yield warning("no-such-exit", place, f"{text}; add the exit, or write it otherwise.")
    for direction in exits:
        target, door = world.ways[room.name, direction]
        hints = {direction, *_HINTS.get(direction, ())}
        hints |= {w for w in words_of(f"{target} {door or ''}") if len(w) >= _SMALL}
        if not hints & said and not any(w.startswith(direction) for w in said):
            text = f"the prose of {room.name!r} says nothing of the way {direction} to {target!r}"
            yield note("exit-unmentioned", place, f"{text}; mention it.")


def _as_a_way(prose: str, direction: str) -> bool:
    """Whether a direction is named as where one can go: `a door to the north`, `north lies`."""
    way = (
        rf"\b(?:door|path|way|exit|stairs?|steps|passage|corridor|road|leads?|goes|go|runs?|lies)"
        rf"\b[^.;]{{0,30}}\b{direction}\b|\b{direction} (?:is|are|lies|leads|to|through|lead)\b"
    )
    against = rf"\b(?:no|not|never|nothing|wall|walled|bricked|blocked)\b[^.;]*\b{direction}\b"
    return bool(re.search(way, prose, re.I)) and not re.search(against, prose, re.I)


def _portable(world: World, room: Room, place: Place) -> Iterator[Finding]:
    """What can be carried away stays in the prose of its room."""
    prose = " ".join(words_of(room.description))
    for thing in world.things:
        if thing.in_ != room.name or thing.fixed or thing.in_ not in world.by_name:
            continue
        name = " ".join(words_of(thing.name))
        if re.search(rf"\b{re.escape(name)}\b", prose):
            text = f"the prose of {room.name!r} speaks of {thing.name!r}, which can be carried away"
            yield warning("portable-in-prose", place, f"{text}; leave it to the list of things.")


def _told_by_rule(world: World, name: str) -> bool:
    """Whether a rule tells of a thing otherwise when its state has changed."""
    rules = (r for r in world.rules if r.first == f"examine|{name}")
    return any(text.startswith(f"{name} is ") for r in rules for text, _ in r.conditions)


def _states(place: Place, thing: Thing) -> Iterator[Finding]:
    prose = " ".join(words_of(thing.description))
    states = thing.states or (("open", "closed", "locked") if thing.openable else ("on", "off"))
    if not thing.state:
        return
    for state in states:
        plain = " ".join(words_of(state))
        pattern = rf"\b{re.escape(plain)}\b"
        if plain in _LOOSE:
            pattern = rf"\b(?:it|which|that|{re.escape(thing.name)}) (?:is|stands) {plain}\b"
        if re.search(pattern, prose):
            said = f"the prose of {thing.name!r} says {state!r}, a state that changes"
            yield warning("state-in-prose", place, f"{said}; leave it to the game to tell.")
