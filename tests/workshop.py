"""The test pack with one of everything in it, and a player at a typewriter: text in, text out."""

from __future__ import annotations

from pathlib import Path

from adventure.referee.rules import Outcome, play, start
from adventure.world.grammar import Command, parse
from adventure.world.pack import load_world
from adventure.world.parts import World
from adventure.world.prompt import Records, shown

TESTS = Path(__file__).parent


def workshop() -> World:
    """A fresh world each time."""
    return load_world(TESTS / "packs" / "workshop")


def at_hand(world: World, records: Records) -> list[str]:
    """What a session gives the parser: the room, all that is in reach there, and its scenery."""
    room = records["At"][0]
    keys = [f"{room} holds", "You carry"]
    found = [room, *(name for name, rooms in world.scenery.items() if room in rooms)]
    while keys:
        for item in records.get(keys.pop(0), ()):
            name = item.partition(" (")[0]
            found.append(name)
            if f"{name} holds" in records and records[name][-1] not in ("closed", "locked"):
                keys.append(f"{name} holds")
    return found


class Typewriter:
    """One run of a world. kinds: those of all turns so far."""

    def __init__(self, world: World) -> None:
        self.world, self.records = world, start(world)
        self.kinds: list[str] = []

    def type(self, text: str) -> list[str]:
        """The lines of the answer; what the parser says is in brackets."""
        command = parse(text, self.world, at_hand(self.world, self.records))
        if not isinstance(command, Command):
            return [f"[{command.text}]"]
        lines: list[str] = []
        for line in command.lines:
            outcome: Outcome = play(self.world, self.records, line)
            self.records = outcome.records
            self.kinds.append(outcome.kind)
            lines += shown(outcome.reply).split("\n")
        if self.records["Game"] != ("on",):
            lines.append(f"*** {self.records['Game'][0]} ***")
        return lines
