"""Worlds and commands for networks that learn for minutes: rooms, things, five verbs.

Knows no network. A small part of the game has all that memory is needed for, and can be learned in
a hundredth of the tokens that the whole of it takes.
"""

from __future__ import annotations

import random

from adventure.referee.players import Player
from adventure.world.parts import World
from adventure.world.prompt import Records

VERBS = ("look", "inventory", "go", "take", "drop")
_TRIES = 50
_AUTHORS = {"rules", "clocks", "deeds", "ending"}


def simple_world(world: World) -> World:
    """The same world without rules, clocks, deeds, an ending, or what people do or say."""
    table = world.model_dump(by_alias=True, exclude=_AUTHORS)
    for room in table["rooms"]:
        del room["first"]
    for thing in table["things"]:
        del thing["treasure"]
    for person in table["people"]:
        for name in ("topics", "talk", "other", "route", "every"):
            del person[name]
    return World.model_validate(table)


def everyday(player: Player) -> Player:
    """What the player would do, if that has one of VERBS; else what it thinks of next."""

    def choose(world: World, records: Records, rng: random.Random) -> str:
        for _ in range(_TRIES):
            line = player(world, records, rng)
            if line.partition("|")[0] in VERBS:
                return line
        return VERBS[0]

    return choose
