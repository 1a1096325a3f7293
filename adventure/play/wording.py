"""What a player's words mean at a moment: shorthand, things at hand, answers -> commands.

Knows a world and the master's records; not how a game goes on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from adventure.play import phrases, readings
from adventure.play.lists import each
from adventure.play.readings import Records
from adventure.world.grammar import Command, Rejection, parse
from adventure.world.parts import World


@dataclass(frozen=True)
class Wording:
    """Reads commands where these records hold. seen: nouns that the player has come across, beside
    those at hand; None: all."""

    world: World
    records: Records
    seen: Collection[str] | None = None

    def commands(self, text: str) -> list[Command] | Rejection:
        """What is to be played, several where there is ALL or a list; a rejection if any part of it
        can't be understood."""
        many = phrases.several(text)
        lines: list[str] | Rejection = [text]
        if many is not None:
            lines = each(many, self.world, self.records, self.parse)
        if isinstance(lines, Rejection):
            return lines
        commands = []
        for line in lines:
            command = self.parse(line)
            if isinstance(command, Rejection):
                return command
            commands.append(command)
        return commands

    def parse(self, text: str, among: tuple[str, ...] = ()) -> Command | Rejection:
        """One command about one thing. among: the only things that it can mean."""
        at_hand = readings.at_hand(self.world, self.records)
        room = readings.room_of(self.world, self.records)
        said = parse(text, self.world, among or (*at_hand, room), self.seen)
        if isinstance(said, Rejection) and said.among and not among:
            likely = readings.likely(self.records, said.pending, said.among)
            if len(likely) == 1:
                return self.parse(said.completed(likely[0]))
        return said

    def answered(self, question: Rejection, text: str) -> str:
        """The command that `text` completes as an answer; `text` where it is a command itself."""
        if not text or phrases.several(text) or isinstance(self.parse(text), Command):
            return text
        whole = question.completed(text)
        if phrases.several(whole):
            return text if isinstance(self.commands(whole), Rejection) else whole
        said = self.parse(whole, question.among)
        if isinstance(said, Command):
            return self.phrase(said, whole)
        return whole if said.pending else text

    def phrase(self, command: Command, text: str) -> str:
        """What can be typed for a command wherever the player is; `text` where nothing can."""
        return command.phrase if self.parse(command.phrase) == command else text
