"""The saves folder: names, lists, and the save after every turn.

Knows which files there are; what is in one is savefile.py's affair.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adventure.errors import SaveError
from adventure.play.header import (
    About,
    DamagedSave,
    Identity,
    OtherFormat,
    header_length,
    read_about,
)
from adventure.play.hold import Hold, take_hold
from adventure.play.proof import prove
from adventure.play.wholefile import is_odd, read_file, reading, stat_of, write_file

if TYPE_CHECKING:
    from adventure.play.moments import Game
    from adventure.play.session import Session

SUFFIX = ".save"
UNDO_KEPT, UNDO_KEPT_BYTES = 20, 8 << 20
"""Turns that can be undone after a save is restored; fewer where the states are large."""
UNDO_AUTOSAVED, UNDO_AUTOSAVED_BYTES = 4, 1 << 20
"""The same for the save written after every turn."""
_LARGEST_HEADER = 1 << 24
_NAME_LIMIT = 60
_STALE = 3600.0  # seconds after which a half-written file is what a crash left


@dataclass(frozen=True)
class SavedGame:
    """A line in a list of saves."""

    path: Path
    about: About

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(SUFFIX)


def read_saved(path: Path) -> SavedGame:
    """What a save says of itself; its contents are not checked. Raises SaveError."""
    with reading(path) as file:
        first = file.read(8)
        return SavedGame(
            path,
            read_about(first + file.read(min(header_length(first), _LARGEST_HEADER)), path.name),
        )


def list_saves(folder: Path) -> list[SavedGame]:
    """All saves in a folder that can be read, the latest first."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(SaveError):  # other files may lie there
            found.append(read_saved(path))
    return sorted(found, key=lambda saved: (-saved.about.time, saved.name))


def prove_saves(
    folder: Path, whose: Identity | None = None
) -> tuple[list[SavedGame], dict[Path, str]]:
    """The saves that can be restored, the latest first, and why others can't; reads them all.

    whose: leave out what says that it belongs to another world or master.
    """
    sound, others = [], dict[Path, str]()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(SaveError):  # other files may lie there
            try:
                if whose in (None, read_saved(path).about.identity):
                    sound.append(SavedGame(path, prove(read_file(path), path.name)))
            except DamagedSave:
                others[path] = "is damaged: put a copy in its place, or delete it."
            except OtherFormat:
                others[path] = "was written by another version of the program, which can read it."
    return sorted(sound, key=lambda saved: (-saved.about.time, saved.name)), others


def find_save(folder: Path, name: str) -> Path:
    """The file of a save that is there, by name or path. Raises SaveError."""
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (the other one raises for ~nobody)
    if os.sep not in name and not (name.endswith(SUFFIX) and stat_of(path)):
        path = save_path(folder, name)
    if stat_of(path) is None:
        known = ", ".join(saved.name for saved in prove_saves(folder)[0][:8])
        raise SaveError(
            f'There is no save called "{name}"; '
            f"{f'there is: {known}' if known else 'there are none yet'}."
        )
    return path


def save_path(folder: Path, name: str) -> Path:
    """Where a save goes. Raises SaveError for what is more than a name."""
    name = name.strip().removesuffix(SUFFIX)
    good = name and len(name) <= _NAME_LIMIT and not name.startswith(".")
    if not good or not all(c.isalnum() or c in " -_." for c in name):
        raise SaveError(
            f'"{name[:_NAME_LIMIT]}" won\'t do as the name of a save; use up to {_NAME_LIMIT} '
            "letters, digits, spaces, hyphens, underscores and dots."
        )
    return folder / f"{name}{SUFFIX}"


class Saves:
    """The saves folder, as one world and one game master see it."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self.folder, self.identity = folder, identity
        self.elsewhere = False  # whether another program was seen to play this world
        self._first = self._slot = autosave_name(identity.world, identity.weights)
        self._hold: Hold | None = None
        self._ours = False  # whether the autosave on the disk is of the game being played

    def existing(self, name: str) -> SavedGame | None:
        """The save that SAVE would replace, if it can be read. Raises SaveError for a bad name."""
        path = save_path(self.folder, name)
        try:
            return read_saved(path) if stat_of(path) else None
        except SaveError:
            return None

    def save(self, name: str, session: Session) -> Path:
        """Write the game. Raises SaveError; then what was there before is still there.

        A file that can't be read as a save is not replaced: it may be somebody's letters.
        """
        path = save_path(self.folder, name)
        if stat_of(path) is not None and not is_odd(path) and self.existing(name) is None:
            raise SaveError(
                f'"{name}" is there already and is not a saved game; choose another name.'
            )
        self._write(path, session, UNDO_KEPT, UNDO_KEPT_BYTES, small=True)
        return path

    def _write(self, path: Path, session: Session, undo: int, undo_bytes: int, small: bool) -> None:
        from adventure.play.savefile import pack_game  # the network's side of it, not for lists

        write_file(path, pack_game(session, self.identity, undo, undo_bytes, small))

    def load(self, name: str, session: Session) -> Game:
        """Read a game that `session` could go on with; changes nothing. Raises SaveError."""
        path = find_save(self.folder, name)
        from adventure.play.savefile import unpack_game

        return unpack_game(read_file(path), session, self.identity, path.name.removesuffix(SUFFIX))

    # -- the save after every turn -----------------------------------------------------------------

    @property
    def autosave_name(self) -> str:
        """One a world and model, and a further one for each program that plays it besides."""
        return self._slot

    def left_off(self) -> SavedGame | None:
        """The game in play when this world was last left; None when there is none or it is over.

        Its autosave is this program's from then on; those in play elsewhere are passed over.
        """
        pattern = re.compile(re.escape(self._first) + r"(\.\d+)?")
        kept = (saved for saved in list_saves(self.folder) if pattern.fullmatch(saved.name))
        mine = (saved for saved in kept if saved.about.identity == self.identity)
        last = next((saved for saved in mine if self._take(saved.name)), None)
        return last if last and last.about.turns and not last.about.over else None

    def left_behind(self) -> SavedGame | None:
        """The latest game of this world that was left in play, where it can't be gone on with: the
        world, the game master or the protocol was another one."""
        pattern = re.compile(re.escape(autosave_name(self.identity.world, "")) + r"[^.]+(\.\d+)?")
        kept = (saved for saved in list_saves(self.folder) if pattern.fullmatch(saved.name))
        other = (saved for saved in kept if saved.about.identity != self.identity)
        left = (saved for saved in other if saved.about.turns and not saved.about.over)
        return next((s for s in left if s.about.identity.world == self.identity.world), None)

    def _take(self, name: str) -> bool:
        """Whether no other program plays on this autosave; then none will until `release`."""
        if self._hold is not None and name == self._slot:
            return True
        hold = take_hold(save_path(self.folder, name))
        if hold is None:
            self.elsewhere = True
            return False
        self.release()
        self._hold, self._slot = hold, name
        return True

    def release(self) -> None:
        """Let other programs go on with the game in the autosave."""
        if self._hold is not None:
            self._hold.release()
        self._hold = None

    def go_on(self, same: bool = True) -> None:
        """Whether the game in the autosave is the one being played, so that it may be replaced."""
        self._ours = same

    def autosave(self, session: Session, leaving: bool = False) -> None:
        """Write the game as it is; `leaving` keeps as many turns to undo as SAVE does.

        An autosave of another game is kept under "NAME.previous". Raises SaveError.
        """
        if self._hold is None:
            with contextlib.suppress(OSError):  # the writing will tell
                self.folder.mkdir(parents=True, exist_ok=True)
            further = (f"{self._first}.{number}" for number in itertools.count(2))
            next(filter(self._take, itertools.chain([self._first], further)))
        path = save_path(self.folder, self.autosave_name)
        if not self._ours:
            self._put_aside(path)
            self._ours = True
        kept = (UNDO_KEPT, UNDO_KEPT_BYTES) if leaving else (UNDO_AUTOSAVED, UNDO_AUTOSAVED_BYTES)
        self._write(path, session, *kept, small=leaving)  # after every turn time counts more

    def _put_aside(self, path: Path) -> None:
        """Give another game's autosave a second name, so that there is one at every moment."""
        with contextlib.suppress(OSError):  # where it can't be, the game in play comes first
            if path.exists():
                second = path.with_name(f".{path.name}.{os.getpid()}.tmp")
                try:
                    os.link(path, second)
                except OSError:  # a file system without links, or what a crash left
                    shutil.copyfile(path, second)
                second.replace(path.with_name(f"{self.autosave_name}.previous{SUFFIX}"))
            for litter in self.folder.glob(f".*{SUFFIX}.*.tmp"):
                if time.time() - litter.stat().st_mtime > _STALE:
                    litter.unlink()


def autosave_name(world: str, weights: str) -> str:
    """The save after every turn, one a world and model."""
    readable = "".join(c if c.isalnum() or c in " -_" else "-" for c in world)[:30] or "world"
    return f"{readable}.autosave-{weights[:8]}"
