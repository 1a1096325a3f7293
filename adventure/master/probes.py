"""Questions to a master about its world, and what their answers are worth. Knows no network.

A fact is a record under a key; it is asked for on a copied position (subjects.py). author/probes.py
asks other questions: of what a pack says, by commands, before anything was played.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adventure.world.parts import World
from adventure.world.prompt import Records, parse_record, record_line

FACTS = ("where", "carrying", "exits", "thing", "door")
"""Where am I, what do I carry, the exits of a room, where and how a thing or person is, a door."""
PROBED = tuple(n * 10**k for k in range(5) for n in (1, 2, 5) if n * 10**k <= 10_000)
"""Turns after which questions are asked: 1, 2, 5, 10, ... 10,000."""
MAPPED = (10, 100, 1000, 10_000)
"""Turns after which all ways are asked for."""
OPEN = 1 << 30
"""The end of a span that has none."""
AGES = ((0, 0), (1, 3), (4, 12), (13, 50), (51, 300), (301, OPEN))
"""Turns since a fact was last told that are counted together; a segment has twelve."""
OVERWRITTEN = ((0, 0), (1, 1), (2, 3), (4, 7), (8, OPEN))
"""Changes of a fact since the opening that are counted together."""


def facts_of(world: World) -> dict[str, list[str]]:
    """Kind of fact -> the keys of its records."""
    return {
        "where": ["At"],
        "carrying": ["You carry"],
        "exits": [f"{room.name} exits" for room in world.rooms],
        "thing": [part.name for part in (*world.things, *world.people)],
        "door": [door.name for door in world.doors],
    }


@dataclass
class Trace:
    """When the master last told each record, and how often each has changed in truth."""

    told: dict[str, int] = field(default_factory=dict)
    overwritten: Counter[str] = field(default_factory=Counter)

    def note(self, turn: int, said: Iterable[str], before: Records, after: Records) -> None:
        """Take in one turn: its number, the hidden lines of the master's, the records in truth.

        What the memory in words repeats is not a telling: it is the means that is judged.
        """
        for line in said:
            if record := parse_record(line):
                self.told[record[0]] = turn
        self.overwritten.update(key for key, items in after.items() if before.get(key) != items)

    def age(self, key: str, turn: int) -> str:
        """Turns since the record was told, as one of AGES; `never` since the opening."""
        return span(turn - self.told[key], AGES) if key in self.told else "never"

    def changes(self, key: str) -> str:
        """How often it has changed, as one of OVERWRITTEN."""
        return span(self.overwritten[key], OVERWRITTEN)


def span(number: int, spans: Sequence[tuple[int, int]]) -> str:
    """The span that a number lies in, as text. Raises ValueError where it lies in none."""
    for low, high in spans:
        if low <= number <= high:
            return f"{low}+" if high == OPEN else str(low) if low == high else f"{low}-{high}"
    raise ValueError(f"{number} lies in none of {spans}")


def pick_keys(
    facts: Mapping[str, Sequence[str]], trace: Trace, count: int, rng: random.Random
) -> Iterator[tuple[str, str]]:
    """(kind, key) of `count` facts or fewer, none twice: where and carrying, then the other kinds
    in turn; of a kind, every second time one that has changed, if there is any."""
    yield from ((kind, facts[kind][0]) for kind in FACTS[:2][:count])
    left = {kind: rng.sample(facts[kind], len(facts[kind])) for kind in FACTS[2:] if facts[kind]}
    for number in range(count - 2):
        if not left:
            return
        kind = [*left][number % len(left)]
        changed = [key for key in left[kind] if trace.overwritten[key]]
        key = changed[0] if changed and rng.random() < 0.5 else left[kind][0]
        left[kind].remove(key)
        if not left[kind]:
            del left[kind]
        yield kind, key


@dataclass
class Edges:
    """Ways of a map: how many were claimed, how many there are, how many are both."""

    claimed: int = 0
    true: int = 0
    both: int = 0

    def __add__(self, other: Edges) -> Edges:
        return Edges(self.claimed + other.claimed, self.true + other.true, self.both + other.both)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 1 where no way was claimed and none is."""
        whole = self.claimed + self.true
        return 2 * self.both / whole if whole else 1.0


def ways_by(world: World, answer: Callable[[str], str]) -> set[tuple[str, str, str]]:
    """(room, direction, room) of every way that the answers claim; doors lead on, open or not."""
    found = set[tuple[str, str, str]]()
    for room in world.rooms:
        for direction in items_of(answer(f"{room.name} exits")):
            way = items_of(answer(f"{room.name} {direction}"))
            if way[-1:] == ("a door",):
                way = items_of(answer(f"{way[0]} {direction}"))
            if way:
                found.add((room.name, direction, way[0]))
    return found


def compare_maps(world: World, truth: Records, answer: Callable[[str], str]) -> Edges:
    """A master's map, by its answers, beside the true one."""
    claimed = ways_by(world, answer)
    true = ways_by(world, lambda key: record_line(key, truth.get(key, ())))
    return Edges(len(claimed), len(true), len(claimed & true))


def items_of(line: str) -> tuple[str, ...]:
    """The items of a record's line; none of a line that is no record."""
    record = parse_record(line)
    return record[1] if record else ()
