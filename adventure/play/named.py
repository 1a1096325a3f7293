"""SAVE, RESTORE, SAVES: games under names that the player gives. Knows no terminal or network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adventure.play.saves import find_save, prove_saves, read_saved
from adventure.play.transcript import Said, note

if TYPE_CHECKING:
    from adventure.play.saves import Saves
    from adventure.play.session import Session


class Named:
    """name: of the save that the game in play was last written to or read from; or empty."""

    def __init__(self, session: Session, saves: Saves) -> None:
        self.session, self.saves = session, saves
        self.name, self._time = "", 0.0

    @property
    def usual(self) -> str:
        """What a save is called where nobody says."""
        return self.saves.identity.world or "game"

    def question(self, name: str) -> str:
        """What to ask before a save is replaced; empty where none is, or only this game's own."""
        there = self.saves.existing(name)
        if there is None or (there.name, there.about.time) == (self.name, self._time):
            return ""
        about = there.about
        same = about.identity.digest == self.saves.identity.digest
        other = "" if same else f"{about.identity.title}, "
        what = f"{other}{about.room}, turn {about.turns}"
        return f'There is a save "{name}" already ({what}). Replace it?'

    def save(self, name: str) -> list[Said]:
        """Write the game. Raises SaveError; then what was there before is still there."""
        self._is_in(self.saves.save(name, self.session))
        return note(f'[Saved as "{self.name}".]')

    def _is_in(self, path: Path) -> None:
        """SAVE may replace this save without asking, as long as it is the one that it was."""
        saved = read_saved(path)
        self.name, self._time = saved.name, saved.about.time

    def restore(self, name: str) -> list[Said]:
        """Go on with a saved game. Raises SaveError; then this game goes on."""
        self.session.resume(self.saves.load(name, self.session))
        self.saves.go_on(same=False)  # the game that is left here stays on the disk
        self._is_in(find_save(self.saves.folder, name))
        place = Said("heading", self.session.room)
        return [place, *note(f'[Restored "{name}": turn {self.session.turns}.]')]

    def listed(self) -> list[Said]:
        """The saves of this world, and why others can't be restored."""
        sound, others = prove_saves(self.saves.folder, self.saves.identity)
        lines = [f"{saved.name}: {saved.about.room}, turn {saved.about.turns}" for saved in sound]
        said = note("\n".join(lines) or "There are no saves of this world yet.")
        for path, why in others.items():
            said += note(f'"{path}" {why}')
        return said
