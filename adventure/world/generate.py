"""Random worlds by seed, for training and for judging. Knows the pack format, no network.

Held-out words, sizes beyond those trained on, and held-out features are set apart by construction.
"""

from __future__ import annotations

import random

from adventure.world.held_out import add_features, drop_features
from adventure.world.parts import World
from adventure.world.random_map import Map
from adventure.world.random_names import Names
from adventure.world.random_parts import MANY, Parts, Table
from adventure.world.random_prose import Prose
from adventure.world.random_rules import Rules
from adventure.world.words import PLACES, THINGS, Stock

TRAIN_ROOMS = (3, 12)
"""What most of training's worlds have; a few have up to MOST_ROOMS."""
MOST_ROOMS = 40
LARGER_ROOMS = (41, 50)
"""What no world of training has."""


def random_world(
    seed: int,
    held_out: bool = False,
    rooms: tuple[int, int] = TRAIN_ROOMS,
    pseudo: float | None = None,
    long_prose: float = 0.2,
    features: bool = False,
) -> World:
    """A world made from `seed` alone: a tree of rooms, loops, doors, keys, things, rules, endings.

    held_out: of words that no world without it has; features: the same world, with what no world
    without it has (held_out.py).
    """
    rng = random.Random(f"world-{seed}-{held_out}-{rooms}")
    share = rng.choice((0.0, 0.05, 0.1, 0.3)) if pseudo is None else pseudo
    stock = Stock(rng, held_out, share, more=rng.choice((0.0, 0.2, 0.5, 0.9)))
    names = Names(rng, stock)
    count = rng.randint(*rooms)
    # Few words leave more of what is learned from to what is decided.
    prose = Prose(rng, names, long_prose, brief=count > MANY or rng.random() < 0.5)
    places = [names.name(PLACES, room=True) for _ in range(count)]
    parts = Parts(prose, places)
    table = _without_rules(prose, parts, Map(rng, places))
    Rules(prose, table, parts).add()
    drop_features(table)
    if features:
        add_features(table, parts)
    return World.model_validate(table)


def _without_rules(prose: Prose, parts: Parts, ways: Map) -> Table:
    """A pack without deeds, rules and clocks."""
    rng, places = prose.rng, parts.rooms
    many = len(places) > MANY
    least = max(2, len(places) // (3 if many else 2))
    for _ in range(rng.randint(least, least * 2 if many else len(places) + 2)):
        parts.add_thing()
    people = [parts.person() for _ in range(rng.choice((0, 0, 1, 1, 2, 2)))]
    doors = ways.doors(parts)
    dark = set[str]()
    if rng.random() < 0.4:
        dark = ways.dark(places, rng.choice((1, 1, 2, 3, max(1, len(places) // 3))))
    if rng.random() < (0.85 if dark else 0.3):
        parts.add_lamp()
    parts.complete()
    parts.hand_out(people)
    things = parts.things
    if not any(not thing.get("fixed") for thing in things):
        things[0].pop("fixed")
    portable = [thing["name"] for thing in things if not thing.get("fixed")]
    lit = [place for place in places if place not in dark]
    table: Table = {
        "format": 1,
        "rooms": _rooms(prose, places, ways, dark),
        "title": " ".join(word.capitalize() for word in prose.names.name(PLACES).split()),
        "intro": prose.text(),
        "start": rng.choice(lit if lit and rng.random() < 0.8 else places),
        "replies": prose.replies(),
        "doors": doors,
        "things": things,
        "people": people,
    }
    if rng.random() < 0.6:
        ending = {"thing": rng.choice(portable), "room": rng.choice(places)}
        table["ending"] = {**ending, "text": prose.text()}
    return table


def _rooms(prose: Prose, places: list[str], ways: Map, dark: set[str]) -> list[Table]:
    rng, rooms = prose.rng, list[Table]()
    # In some worlds a room or two is full of what can only be looked at, as authors' rooms are.
    full = (
        set(rng.sample(places, rng.choice((0, 0, 0, 0, 1, 2)))) if len(places) > 2 else set[str]()
    )
    share = 0.05 if len(places) > MANY else 0.12
    for place in places:
        room: Table = {"name": place, "description": prose.room(ways.all_exits(place))}
        room["exits"] = ways.exits(place)
        room["dark"] = place in dark
        if rng.random() < 0.1:
            room["first"] = prose.text()
        count = rng.randint(3, 5) if place in full else rng.random() < share
        if count:
            seen = [prose.names.name(THINGS) for _ in range(count)]
            room["scenery"] = {name: prose.text() for name in seen}
        if rooms and rooms[-1].get("scenery") and rng.random() < 0.1:
            room["scenery"] = {**rooms[-1]["scenery"], **room.get("scenery", {})}
        rooms.append(room)
    return rooms
