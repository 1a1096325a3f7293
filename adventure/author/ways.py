"""A world's rooms and the ways between them, as a map has them. Knows no places and no ink."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adventure.world.parts import OPPOSITE, World

PLANE = {
    "north": (0, -1),
    "south": (0, 1),
    "east": (1, 0),
    "west": (-1, 0),
    "northeast": (1, -1),
    "northwest": (-1, -1),
    "southeast": (1, 1),
    "southwest": (-1, 1),
}
"""Directions that a map can draw; y grows downwards. Up, down, in and out are put in words."""


@dataclass(frozen=True)
class Way:
    """A line of a map, from a by the direction `out` to b; back: from b to a, if there is a way.

    door: in between, or empty; hidden: it isn't there until a rule opens it.
    """

    a: str
    out: str
    b: str
    back: str = ""
    door: str = ""
    hidden: bool = False

    @property
    def flat(self) -> bool:
        """Whether it can be drawn."""
        return self.out in PLANE or self.back in PLANE

    @property
    def port(self) -> str:
        """The side of a that it leaves by."""
        return self.out if self.out in PLANE else OPPOSITE[self.back]

    @property
    def end(self) -> str:
        """The side of b that it comes to."""
        return self.back if self.back in PLANE else OPPOSITE[self.out]

    @property
    def straight(self) -> bool:
        """Whether its two ends face each other."""
        return self.end == OPPOSITE[self.port]


def ways_of(world: World, hidden: bool) -> list[Way]:
    """All ways, an exit and its way back as one; those that rules open only where `hidden`."""
    exits = [Way(room, d, to, door=door or "") for (room, d), (to, door) in world.ways.items()]
    if hidden:
        known = {(e.a, e.out, e.b) for e in exits}
        exits += [e for e in dict.fromkeys(opened(world)) if (e.a, e.out, e.b) not in known]
    found: list[Way] = []
    while exits:
        one = exits.pop(0)
        back = max(
            (e for e in exits if (e.a, e.b, e.door) == (one.b, one.a, one.door)),
            key=lambda e: (_likeness(one, e), -exits.index(e)),
            default=None,
        )
        if back is None:
            found.append(one)
            continue
        exits.remove(back)
        found.append(Way(one.a, one.out, one.b, back.out, one.door, one.hidden and back.hidden))
    return found


def _likeness(one: Way, other: Way) -> int:
    """How well an exit does for the way back of another."""
    if other.out == OPPOSITE[one.out]:
        return 3
    return 2 if (one.out in PLANE) == (other.out in PLANE) else 1


def opened(world: World) -> Iterator[Way]:
    """The exits that rules and clocks open: `Hall north leads to Crypt`."""
    for effect in _effects(world):
        way, leads, target = effect.partition(" leads to ")
        room, _, direction = way.rpartition(" ")
        if leads and direction in OPPOSITE:
            yield Way(room, direction, target.strip(), hidden=True)


def _effects(world: World) -> list[str]:
    return [e for rule in world.rules for e in rule.then] + [
        e for clock in world.clocks for e in clock.then
    ]


def carried(world: World) -> list[str]:
    """The rooms that rules and clocks take the player to: `you go to Far Bank`."""
    found = (
        e.removeprefix("you go to ").strip() for e in _effects(world) if e.startswith("you go to ")
    )
    return list(dict.fromkeys(found))


def reached(start: str, ways: Iterable[Way]) -> set[str]:
    """The rooms that one can walk to."""
    onward: dict[str, list[str]] = {}
    for way in ways:
        onward.setdefault(way.a, []).append(way.b)
        if way.back:
            onward.setdefault(way.b, []).append(way.a)
    found, waiting = {start}, deque([start])
    while waiting:
        for room in onward.get(waiting.popleft(), ()):
            if room not in found:
                found.add(room)
                waiting.append(room)
    return found


def sheets(rooms: list[str], ways: Iterable[Way]) -> list[list[str]]:
    """The rooms in groups that compass directions hold together, the highest floor first."""
    ways = list(ways)
    flat = [Way(w.a, w.out, w.b, w.back or w.out) for w in ways if w.flat]
    groups: list[list[str]] = []
    for room in rooms:
        if not any(room in group for group in groups):
            together = reached(room, flat)
            groups.append([r for r in rooms if r in together])
    height = _heights(groups, ways)
    return sorted(groups, key=lambda g: -height[g[0]])  # stable: else in the order of the pack


def _heights(groups: list[list[str]], ways: list[Way]) -> dict[str, int]:
    """Each room's floor, those of a group being level with one another."""
    group = {room: i for i, rooms in enumerate(groups) for room in rooms}
    steps: dict[int, list[tuple[int, int]]] = {}
    for way in ways:
        up = {"up": 1, "down": -1}.get(way.out, 0)
        steps.setdefault(group[way.a], []).append((group[way.b], up))
        steps.setdefault(group[way.b], []).append((group[way.a], -up))
    floor: dict[int, int] = {}
    for first in range(len(groups)):
        if first in floor:
            continue
        floor[first] = 0
        waiting = deque([first])
        while waiting:
            here = waiting.popleft()
            for there, up in steps.get(here, ()):
                if there not in floor:
                    floor[there] = floor[here] + up
                    waiting.append(there)
    return {room: floor[i] for room, i in group.items()}
