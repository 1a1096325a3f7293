"""TextWorld's facts, `at(c_0, r_1)`, read and looked up. Knows no world and no words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adventure.world.parts import OPPOSITE

Fact = tuple[str, tuple[str, ...]]
"""A predicate and what it is said of."""
WAYS = {f"{way}_of": way for way in ("north", "south", "east", "west")}
LOCK_STATES = ("open", "closed", "locked")
PLACES = ("at", "in", "on")
ALWAYS = ("match", "link", "free", "edible", *WAYS)
"""Facts that the rules of a game don't change, or that follow from others."""
PLAYER, PACK = "P", "I"


def read_facts(said: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """As a game's file has them."""
    return [(f["name"], tuple(a["name"] for a in f["arguments"])) for f in said]


class Facts:
    """What is so at the start of a game. types: of each thing, door and room."""

    def __init__(self, said: list[Mapping[str, Any]]) -> None:
        self.all = read_facts(said)
        types = {a["name"]: a["type"] for f in said for a in f["arguments"]}
        self.types = {i: t for i, t in types.items() if t not in (PLAYER, PACK)}
        self.linked = dict(self._linked())
        """(room, room) -> the door between them."""

    def args(self, name: str) -> Iterator[tuple[str, ...]]:
        """What a predicate is said of, each time."""
        return (args for said, args in self.all if said == name)

    def of(self, *types: str) -> list[str]:
        """All that is of these types."""
        return [i for i in self.types if self.types[i] in types]

    def states(self, one: str) -> list[str]:
        """Whether something is open, closed or locked, if it can be."""
        return [name for name, args in self.all if name in LOCK_STATES and args == (one,)]

    def ways(self) -> dict[tuple[str, str], str]:
        """(room, direction) -> room, whether it is barred or not."""
        found = {}
        for name, way in WAYS.items():
            for there, here in self.args(name):
                if self.types[there] == self.types[here] == "r":
                    found[here, way] = there
                    found[there, OPPOSITE[way]] = here
        return found

    def _linked(self) -> Iterator[tuple[tuple[str, str], str]]:
        for one, door, other in self.args("link"):
            yield (one, other), door
            yield (other, one), door
