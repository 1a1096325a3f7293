"""Gives a command where it can be given: walks there, waits for people and clocks. Really plays.

Knows the referee and the operators of model.py, no search.
"""

from __future__ import annotations

from collections import deque

from adventure.author.model import Operator
from adventure.referee.planner import exits, room_of
from adventure.referee.rules import play
from adventure.world.parts import WORN, YOU, World
from adventure.world.prompt import Records

_STUCK = 6
"""Ways found shut in one walk before it is given up."""
_PATIENCE = 60
"""Turns spent on somebody who walks about, or on a clock."""


class Steps:
    """Commands being played from a state. walkers: who may be elsewhere by the next turn."""

    def __init__(self, world: World, records: Records) -> None:
        self.world, self.records = world, records
        self.walkers = {p.name for p in world.people if p.route}
        self.commands: list[str] = []
        self.last: list[str] = []
        """The hidden lines of the last turn."""

    @property
    def here(self) -> str:
        """The room that the player is in."""
        return self.records["At"][0]

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return self.records["Game"] != ("on",)

    def do(self, line: str) -> None:
        """Give one command."""
        outcome = play(self.world, self.records, line)
        self.records, self.last = outcome.records, outcome.lines
        self.commands.append(line)

    def perform(self, operator: Operator) -> None:
        """Walk to where a command can be given and give it; wait, where it is a clock's."""
        if not self._meet(operator) or self.over:
            return
        if operator.line == "wait" and operator.source:
            self._wait_for(operator.source[0].partition("|")[2])
        else:
            self.do(operator.line)

    def _meet(self, operator: Operator) -> bool:
        """Go where all is that the command is about; whether that went well."""
        walkers = self.walkers & set(operator.near)
        for _ in range(_PATIENCE):
            goals = self._rooms(operator)
            if goals is None or self.here in goals:
                return True
            if not walkers:
                return self._walk(goals, len(self.world.rooms))
            goals = goals or {operator.where or self.here}  # to wait there
            if self.here in goals:
                self.do("wait")
            elif not self._walk(goals, 1):
                return False
            if self.over:
                return False
        return False

    def _rooms(self, operator: Operator) -> set[str] | None:
        """The rooms in which all is at hand; None: any."""
        found = {operator.where} if operator.where else None
        for name in operator.near:
            items = self.records.get(name, ())
            if not items or items[0] in (YOU, WORN):
                continue
            rooms = {room_of(self.records, name)}
            if "door" in items or "scenery" in items:
                rooms = set(items)
            found = rooms if found is None else found & rooms
        return found

    def _walk(self, goals: set[str], furthest: int) -> bool:
        """Some moves towards the goals; whether that got nearer."""
        shut = set[tuple[str, str]]()
        moves = 0
        while len(shut) < _STUCK and not self.over:
            if self.here in goals or moves >= furthest:
                return True
            direction = self._towards(goals, shut)
            if not direction:
                return False
            before = self.here
            self.do(f"go|{direction}")
            moves += 1
            if self.here == before:
                shut.add((before, direction))
        return False

    def _towards(self, goals: set[str], shut: set[tuple[str, str]]) -> str:
        """The first direction of the shortest way; empty if there is none."""
        came = {self.here: ""}
        queue = deque(came)
        while queue:
            room = queue.popleft()
            if room in goals:
                return came[room]
            for direction, target in exits(self.records, room):
                if target not in came and (room, direction) not in shut:
                    came[target] = came[room] or direction
                    queue.append(target)
        return ""

    def _wait_for(self, clock: str) -> None:
        """Wait until a clock has run out, or is off."""
        for _ in range(1000):  # the most turns that a clock can have
            left = next((i for i in self.records["Clocks"] if i.rpartition(" ")[0] == clock), "")
            if self.over or not left:
                return
            self.do("wait")
            if left.endswith(" 1"):
                return
