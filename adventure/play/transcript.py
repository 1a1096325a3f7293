"""What was said in a game, kept and written down. Knows no network, no world and no terminal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from adventure.errors import SaveError

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])|\x9b[0-?]*[ -/]*[@-~]"
)
_UNFINISHED = re.compile(
    r"(?:\x1b(?:\[[0-?]{0,30}[ -/]{0,9}|\][^\x07\x1b]{0,300}\x1b?)?|\x9b[0-?]{0,30}[ -/]{0,9}|\r)\Z"
)
# C0 and C1 controls, marks that reorder or hide text, halves of surrogate pairs
_CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Text without escape sequences and control characters; newlines stay, tabs become spaces."""
    text = (
        text.replace("\r\n", "\n")
        .replace("\t", " ")
        .replace("\u2028", "\n")
        .replace("\u2029", "\n")
    )
    return _CONTROL.sub("", _ESCAPE.sub("", text))


class Cleaner:
    """`clean` for text that comes in pieces: an escape sequence that may go on is held back."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, piece: str) -> str:
        """What is certain by now."""
        text = self._held + piece
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        return clean(text[:end])


@dataclass(frozen=True)
class Said:
    """A piece of what appears on the page.

    text: the master's reply as it arrives; record: one hidden line of the master's;
    note: the program's own words, a paragraph; heading: a title, a line.
    """

    kind: Literal["text", "record", "note", "heading"]
    text: str


def note(text: str) -> list[Said]:
    """The program's own words."""
    return [Said("note", text)]


@dataclass(frozen=True)
class PlayedTurn:
    """One turn of the game: what was typed, the canonical line, the reply, the hidden lines."""

    typed: str
    line: str
    reply: str
    records: tuple[str, ...]


class Transcript:
    """The turns played since a game was begun or restored, oldest first, and how many there were
    before them; can be cut (undo)."""

    def __init__(self, before: int = 0) -> None:
        self._before = before
        self._turns: list[PlayedTurn] = []

    def __len__(self) -> int:
        """All turns of the game."""
        return self._before + len(self._turns)

    def __iter__(self) -> Iterator[PlayedTurn]:
        """Those since it was begun or restored."""
        return iter(self._turns)

    @property
    def last(self) -> PlayedTurn | None:
        return self._turns[-1] if self._turns else None

    def append(self, turn: PlayedTurn) -> None:
        self._turns.append(turn)

    def cut(self, length: int) -> None:
        """Forget all turns after the first `length` of the game."""
        del self._turns[max(0, length - self._before) :]
        self._before = min(self._before, length)


class TranscriptFile:
    """A text file that follows the game. Adds to a file that exists, never erases."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self.path: Path | None = None

    @property
    def on(self) -> bool:
        return self._file is not None

    def start(self, path: Path, title: str) -> None:
        """Raises SaveError when the file can't be opened."""
        self.stop()
        if path.exists() and not path.is_file():
            raise SaveError(f'"{path}" is not a file; name another one for the transcript.')
        try:
            self._file = path.open("a", encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SaveError(f'Can\'t write a transcript to "{path}": {why}.') from error
        self.path = path
        self.write(f"{title}\n\n")

    def write(self, text: str) -> None:
        """Raises SaveError, and ends the transcript, when the file takes no more."""
        if self._file is None:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self.stop()
            raise SaveError(f"The transcript has ended: {error.strerror or error}.") from error

    def stop(self) -> None:
        """Close the file; what could not be written is lost and was reported when it happened."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
