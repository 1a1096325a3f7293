"""The ways of a random world: which room leads where, and where it is dark. Knows no things."""

from __future__ import annotations

import random

from adventure.world.parts import DIRECTIONS, OPPOSITE
from adventure.world.random_parts import Parts, Table


class Map:
    """A spanning tree, some loops and some one-way exits. links: those that go both ways."""

    def __init__(self, rng: random.Random, rooms: list[str]) -> None:
        self.rng = rng
        self.ways: dict[tuple[str, str], str] = {}
        self.links: list[tuple[str, str, str]] = []
        self.doored: set[tuple[str, str]] = set()
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
        if parts.names.house:
            count = min(len(self.links), self.rng.randint(1, 5))
        for at, direction, to in self.rng.sample(self.links, count):
            del self.ways[at, direction], self.ways[to, OPPOSITE[direction]]
            doors.append(parts.door(at, direction, to))
            self.doored |= {(at, direction), (to, OPPOSITE[direction])}
        return doors

    def dark(self, rooms: list[str], most: int) -> set[str]:
        """Rooms in the dark that hang together, as a cellar's do: at most that many."""
        chosen = {self.rng.choice(rooms)}
        for _ in range(most * 2):
            near = [
                b if a in chosen else a for a, _, b in self.links if (a in chosen) != (b in chosen)
            ]
            if near and len(chosen) < most:
                chosen.add(self.rng.choice(near))
        return chosen

    def all_exits(self, room: str) -> list[str]:
        """The ways out of a room, doors or not, in compass order."""
        out = {d for at, d in (*self.ways, *self.doored) if at == room}
        return [d for d in DIRECTIONS if d in out]

    def exits(self, room: str) -> dict[str, str]:
        """The ways out of a room that have no door."""
        return {d: to for (at, d), to in self.ways.items() if at == room}
