"""Random worlds by seed, for training and for judging. Knows the pack format, no network.

Held-out words, sizes beyond those trained on, and held-out features are set apart by construction.
"""

from __future__ import annotations

import random

from adventure.world.held_out import add_features, drop_features
from adventure.world.parts import DIRECTIONS, OPPOSITE, World
from adventure.world.random_names import Names
from adventure.world.random_parts import Parts, Table
from adventure.world.random_prose import Prose
from adventure.world.random_rules import Rules
from adventure.world.words import PLACES, THINGS, Stock

TRAIN_ROOMS = (3, 12)
LARGER_ROOMS = (14, 20)


def random_world(
    seed: int,
    held_out: bool = False,
    rooms: tuple[int, int] = TRAIN_ROOMS,
    pseudo: float | None = None,
    long_prose: float = 0.3,
    features: bool = False,
) -> World:
    """A world made from `seed` alone: a tree of rooms, loops, doors, keys, things, an ending.

    held_out: of words that no world without it has; features: the same world, with what no world
    without it has (held_out.py).
    """
    rng = random.Random(f"world-{seed}-{held_out}-{rooms}")
    share = rng.choice((0.0, 0.05, 0.2, 0.4)) if pseudo is None else pseudo
    names = Names(rng, Stock(rng, held_out, share))
    count = rng.randint(*rooms)
    prose = Prose(rng, names, long_prose)
    places = [names.name(PLACES, room=True) for _ in range(count)]
    parts = Parts(prose, places)
    table = _without_rules(prose, parts, Map(rng, places))
    Rules(prose, table).add()
    drop_features(table)
    if features:
        add_features(table, parts)
    return World.model_validate(table)


class Map:
    """A spanning tree, some loops and some one-way exits. links: those that go both ways."""

    def __init__(self, rng: random.Random, rooms: list[str]) -> None:
        self.rng = rng
        self.ways: dict[tuple[str, str], str] = {}
        self.links: list[tuple[str, str, str]] = []
        compass = list(DIRECTIONS)
        if rng.random() < 0.7:
            compass = [d for d in DIRECTIONS if d not in ("in", "out")]
        for i, room in enumerate(rooms[1:], 1):
            for _ in range(50):
                other = rng.choice(rooms[:i])
                direction = rng.choice(compass[: rng.choice((4, 8, 12))])
                if self._link(other, direction, room):
                    break
        for _ in range(rng.randint(0, len(rooms) // 2)):
            a, b, direction = rng.choice(rooms), rng.choice(rooms), rng.choice(compass)
            one_way = rng.random() < 0.4
            if a != b:
                self._link(a, direction, b, one_way)

    def _link(self, a: str, direction: str, b: str, one_way: bool = False) -> bool:
        back = (b, OPPOSITE[direction])
        if (a, direction) in self.ways or (not one_way and back in self.ways):
            return False
        self.ways[a, direction] = b
        if not one_way:
            self.ways[back] = a
            self.links.append((a, direction, b))
        return True

    def doors(self, parts: Parts) -> list[Table]:
        """Some of the links get a door."""
        doors = list[Table]()
        count = min(len(self.links), self.rng.choice((0, 1, 2, 2, 3, 3)))
        for at, direction, to in self.rng.sample(self.links, count):
            del self.ways[at, direction], self.ways[to, OPPOSITE[direction]]
            doors.append(parts.door(at, direction, to))
        return doors

    def exits(self, room: str) -> dict[str, str]:
        """The ways out of a room that have no door."""
        return {d: to for (at, d), to in self.ways.items() if at == room}


def _without_rules(prose: Prose, parts: Parts, ways: Map) -> Table:
    """A pack without deeds, rules and clocks."""
    rng, places = prose.rng, parts.rooms
    for _ in range(rng.randint(max(2, len(places) // 2), len(places) + 4)):
        parts.add_thing()
    people = [parts.person() for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]
    parts.hand_out(people)
    doors = ways.doors(parts)
    dark = {name for name in places if rng.random() < rng.choice((0, 0, 0.1, 0.3))}
    if dark and rng.random() < 0.8:
        parts.add_lamp()
    things = parts.things
    if not any(not thing.get("fixed") for thing in things):
        things[0].pop("fixed")
    portable = [thing["name"] for thing in things if not thing.get("fixed")]
    table: Table = {
        "format": 1,
        "rooms": _rooms(prose, places, ways, dark),
        "title": " ".join(word.capitalize() for word in prose.names.name(PLACES).split()),
        "intro": prose.text(),
        "start": rng.choice(places),
        "replies": prose.replies(),
        "doors": doors,
        "things": things,
        "people": people,
    }
    if rng.random() < 0.7:
        ending = {"thing": rng.choice(portable), "room": rng.choice(places)}
        table["ending"] = {**ending, "text": prose.text()}
    return table


def _rooms(prose: Prose, places: list[str], ways: Map, dark: set[str]) -> list[Table]:
    rng, rooms = prose.rng, list[Table]()
    for place in places:
        room: Table = {"name": place, "description": prose.text(rng.randint(1, 2))}
        room["exits"] = ways.exits(place)
        room["dark"] = place in dark
        if rng.random() < 0.1:
            room["first"] = prose.text()
        if rng.random() < 0.25:
            seen = [prose.names.name(THINGS) for _ in range(rng.choice((1, 1, 2)))]
            room["scenery"] = {name: prose.text() for name in seen}
        if rooms and rooms[-1].get("scenery") and rng.random() < 0.2:
            room["scenery"] = {**rooms[-1]["scenery"], **room.get("scenery", {})}
        rooms.append(room)
    return rooms
