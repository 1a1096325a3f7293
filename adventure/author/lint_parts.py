"""What is left over or easily confused in a world: names, states, clocks, ways, what is missing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches

from adventure.author.findings import Finding, note, warning
from adventure.author.places import effects
from adventure.world.compile import blocks_of
from adventure.world.doing import in_words
from adventure.world.lines import Place
from adventure.world.parts import NOWHERE, World, spoken, words_of
from adventure.world.verbs import BARE_OF

_SLIP = 0.75
"""How much a word must be like one of a noun's to be taken for it, misspelt."""


def part_lints(world: World) -> Iterator[Finding]:
    """Loose ends, none of which keeps a world from being played."""
    yield from _ways(world)
    yield from _words(world)
    yield from _invented(world)
    yield from _topics(world)
    yield from _unused(world)
    yield from _missing(world)


def _ways(world: World) -> Iterator[Finding]:
    made = {key.rpartition(" ")[0] for key in world.ways_made}
    moved = any(text.startswith("you go to ") for text in effects(world))
    for i, room in enumerate(world.rooms):
        place: Place = ("rooms", i, "exits")
        if not world.exits_of(room.name) and room.name not in made and not moved:
            if len(world.rooms) > 1:
                said = f"nobody can leave {room.name!r}, which has no exits"
                yield warning("no-way-out", place, f"{said}; add one.")
            continue
        for direction, target in room.exits.items():
            back = any(world.ways[target, d][0] == room.name for d in world.exits_of(target))
            if not back and target not in made:
                said = f"the way {direction} from {room.name!r} to {target!r} has no way back"
                yield note("one-way", (*place, direction), f"{said}; add one if it should have.")


def _words(world: World) -> Iterator[Finding]:
    """Names that hide one another, or that the game will have to ask about."""
    full = {spoken(name): name for name in world.names}
    homes = {t.name: t.in_ for t in world.things} | {p.name: p.in_ for p in world.people}
    said_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    first: dict[str, list[str]] = defaultdict(list)
    for kind in ("doors", "things", "people"):
        for i, part in enumerate(getattr(world, kind)):
            first[part.name.split()[0].lower()].append(part.name)
            for synonym in part.synonyms:
                other = full.get(spoken(synonym), part.name)
                if other != part.name:
                    said = f"{synonym!r} is a synonym of {part.name!r} and the name of another"
                    how = "players will always get the latter"
                    yield warning(
                        "hidden-synonym", (kind, i, "synonyms"), f"{said}: {how}; take it out."
                    )
                said_of[spoken(synonym), homes.get(part.name, "")].append(part.name)
    for (synonym, home), names in said_of.items():
        if len(set(names)) > 1 and home not in ("", NOWHERE):
            both = " and ".join(map(repr, dict.fromkeys(names)))
            said = f"{synonym!r} means both {both}, which begin in the same place"
            yield note("same-words", (), f"{said}; the game will ask which.")
    for word, names in first.items():
        if len(names) > 1:
            alike = ", ".join(map(repr, names))
            yield note("same-first-word", (), f"the names {alike} all begin with {word!r}.")


def _invented(world: World) -> Iterator[Finding]:
    """Commands of the world's own that end like a noun: a name with a slip, or half of one."""
    nouns = {word: name for name in world.names for word in words_of(name) if len(word) > 3}
    for i, rule in enumerate(world.rules):
        for do in rule.commands:
            first, *others = words_of(do)
            if "|" in do or do in BARE_OF or not others:
                continue
            like = get_close_matches(others[-1], nouns, 1, _SLIP)
            if like:
                said = f"the rule {in_words(do, world)!r} is about no noun, so only these words"
                said += f" are understood; did you mean '{first} {nouns[like[0]]}'?"
                yield warning("invented-verb", ("rules", i, "when"), said)


def _topics(world: World) -> Iterator[Finding]:
    for i, person in enumerate(world.people):
        seen: dict[str, str] = {}
        for topics in person.topics:
            for topic in topics.split(","):
                other = seen.setdefault(spoken(topic), topics)
                if other != topics:
                    said = f"{person.name!r} has the topic {topic.strip()!r} twice"
                    place: Place = ("people", i, "topics", topics)
                    yield warning("topic-twice", place, f"{said}; only the first is told.")


def _unused(world: World) -> Iterator[Finding]:
    ops = [op for block in blocks_of(world).values() for op in block.ops]
    set_to = {(op.fields[0], op.fields[2]) for op in ops if op.fields[1:2] == ("becomes",)}
    asked = {field for op in ops for field in op.fields} | {
        noun for key in blocks_of(world) for noun in re.sub("( or| but)+$", "", key).split("|")
    }
    for i, thing in enumerate(world.things):
        for state in thing.states[1:]:
            if (thing.name, state) not in set_to:
                said = f"no rule makes {thing.name!r} {state!r}; add 'becomes {state}' to one"
                yield warning("state-never-set", ("things", i, "states"), f"{said}.")
    keys = {door.key for door in world.doors} | {thing.key for thing in world.things}
    for i, thing in enumerate(world.things):
        use = thing.name in asked or thing.name in keys or thing.treasure or thing.text
        trait = thing.light or thing.switch or thing.wearable or thing.edible or thing.drinkable
        holds = any(t.in_ == thing.name for t in world.things)
        if not (use or trait or holds or thing.fixed or thing.container or thing.supporter):
            said = f"nothing can be done with {thing.name!r} but carry it about"
            yield note("unused", ("things", i, "name"), f"{said}.")
    for i, person in enumerate(world.people):
        if not (person.topics or person.talk or person.other or person.name in asked):
            said = f"{person.name!r} has nothing to say"
            yield note("silent", ("people", i, "name"), f"{said}; add talk, topics or other.")


def _missing(world: World) -> Iterator[Finding]:
    for key, why in (
        ("ifid", "a number of its own, by which archives know a game"),
        ("author", "who wrote it"),
        ("description", "what a player reads before the choice"),
        ("hints", "help for players who are stuck"),
    ):
        if not getattr(world, key):
            yield note("missing", (key,), f"the pack has no {key} ({why}); add it.")
