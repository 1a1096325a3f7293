"""Keeping the game on the disk after every turn and for next time. Knows saves; says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adventure.errors import SaveError

if TYPE_CHECKING:
    from adventure.play.saves import Saves
    from adventure.play.session import Session


class Keeping:
    """on: whether the game is kept at all; fault: why it can't be at present, or nothing."""

    def __init__(self, session: Session, saves: Saves, on: bool) -> None:
        self.session, self.saves, self.on = session, saves, on
        self.fault = ""
        self._kept = session.position
        self._moved = self._left = False

    def is_kept(self) -> None:
        """The game was read from the disk just now, so it is there."""
        self._kept = self.session.position

    def keep(self, leaving: bool = False) -> str:
        """Write the autosave if the game has moved; a fault that hasn't been told yet."""
        if not self.on or (self._kept is self.session.position and not leaving):
            return ""
        self._moved = True
        before, self.fault = self.fault, ""
        try:
            self.saves.autosave(self.session, leaving)
        except SaveError as error:
            self.fault = str(error)
        self._kept = self.session.position
        return self.fault if self.fault != before else ""

    def keep_for_next_time(self) -> str:
        """Write it as a game that was left, once; a fault that hasn't been told yet."""
        left, self._left = self._left, True
        return self.keep(leaving=True) if self._moved and not left else ""
