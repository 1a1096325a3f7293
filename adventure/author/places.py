"""Where what a search or a lint speaks of stands in a pack, and how one would type it."""

from __future__ import annotations

from collections import Counter

from adventure.world.grammar import Command
from adventure.world.lines import Place
from adventure.world.parts import World

Source = tuple[str, int]
"""The key of a block, and its place among those with this key."""


def rule_places(world: World) -> dict[Source, Place]:
    """Where the rules and clocks stand in the pack, by the blocks that they become."""
    found = dict[Source, Place]()
    count = Counter(f"arrive|{room.name}" for room in world.rooms if room.first)
    for i, rule in enumerate(world.rules):
        found[rule.first, count[rule.first]] = ("rules", i, "when")
        count[rule.first] += 1
    for i, clock in enumerate(world.clocks):
        found[f"clock|{clock.name}", 0] = ("clocks", i, "name")
    if world.ending:
        found[f"drop|{world.ending.thing}", count[f"drop|{world.ending.thing}"]] = ("ending",)
    return found


def effects(world: World) -> list[str]:
    """The effects of all rules and clocks, as the author wrote them."""
    rules = [text for rule in world.rules for text in rule.then]
    return rules + [text for clock in world.clocks for text in clock.then]


def phrase(line: str) -> str:
    """A canonical line as one would type it."""
    return Command(line).phrase
