"""What is shown and how: pieces of text laid out line by line, and a plain terminal for scripts,
pipes and screen readers. Knows text; no keys, no game and no network. Terminals are arguments.
"""

from __future__ import annotations

import contextlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TextIO

from adventure.play.flow import Sentences, Wrapper
from adventure.play.transcript import Said, clean

WIDEST = 80
_LONG = 2 * WIDEST  # characters of a line of the reply that stands apart from the next one
_LONGEST_LINE = 1 << 16  # characters of one line of input that are looked at
_PATIENCE = 0.5  # seconds before a progress bar is shown


class Stirred(Exception):
    """What a screen was to look out for while it waited for a command has come about."""


class Screen(ABC):
    """Lays out pieces of text; a kind of terminal says how they are printed and commands read.

    rooms: lines that equal one of these names are headings.
    interactive: a person is typing, who is asked before the game is left.
    stirred: what to look out for while waiting for a command, where the terminal can do that.
    """

    interactive = True
    stirred: Callable[[], bool] | None = None

    def __init__(self, rooms: Iterable[str] = ()) -> None:
        self.rooms = tuple(rooms)
        self._last = ""  # kind of the piece printed last in this reply
        self._lead: str | None = ""  # start of a line that could be a heading; None inside a line
        self._length = 0  # of the line of text that is being printed, or was printed last
        self._apart = False  # whether an empty line in the text came after that
        self._flow = self._new_flow()

    @abstractmethod
    def ask(self, left: str, right: str) -> str:
        """Read a command; left, right: the status line.

        Raises EOFError, KeyboardInterrupt, and Stirred: what was typed comes back next time.
        """

    def remember(self, typed: Iterable[str]) -> None:  # noqa: B027 (a terminal may have no memory)
        """Put earlier commands within reach of the up key, if there is one."""

    def quiet(self) -> contextlib.AbstractContextManager[None]:
        """Within it, keys pressed between two prompts are kept for the next one, not shown."""
        return contextlib.nullcontext()

    @abstractmethod
    def _print(self, style: str, text: str) -> None:
        """Put text on the terminal at once."""

    @abstractmethod
    def _new_flow(self) -> Wrapper | Sentences: ...

    @abstractmethod
    def progress(self) -> Progress:
        """A bar for what takes its time."""

    def show(self, said: Said) -> None:
        """Print a piece as soon as its words are complete."""
        if said.kind == "text":
            self._text(clean(said.text))
            return
        self._end_line()
        self._space(said.kind)
        style = {"record": "class:record", "heading": "class:heading"}.get(said.kind, "")
        text = (
            f"[{clean(said.text).strip()}]" if said.kind == "record" else clean(said.text).strip()
        )
        for line in text.split("\n"):
            flow = self._new_flow()
            self._print(style, flow.push(line) + flow.flush() + "\n")

    def end(self) -> None:
        """The reply is complete."""
        self._end_line()
        if self._last:
            self._print("", "\n")
        self._last = ""

    def _space(self, kind: str) -> None:
        """An empty line between paragraphs: not after a heading, not around records, and between
        two lines of a reply only after a long one, as what a room looks like is, or where the
        reply has one."""
        lines_of_text = (kind, self._last) == ("text", "text")
        close = (
            self._last in ("", "heading", "record")
            or kind == "record"
            or (lines_of_text and self._length <= _LONG and not self._apart)
        )
        if not close:
            self._print("", "\n")
        self._last = kind

    def _text(self, text: str) -> None:
        for part in re.split(r"(\n)", text):
            if part == "\n":
                self._apart = self._lead == ""
                self._end_line()
                continue
            if self._lead is not None:
                part = self._lead + part if self._lead else part.lstrip(" ")
                if not part or any(room.startswith(part) for room in self.rooms):
                    self._lead = part
                    continue
                self._begin_line()
            self._length += len(part)
            ready = self._flow.push(part)
            if ready:
                self._print("", ready)

    def _begin_line(self) -> None:
        self._space("text")
        self._lead, self._flow, self._length, self._apart = None, self._new_flow(), 0, False

    def _end_line(self) -> None:
        """Print what is held back and go to a new line; an empty line is left out."""
        lead, self._lead = self._lead, ""
        if lead is None:
            self._print("", self._flow.flush() + "\n")
        elif lead in self.rooms:
            if self._last:
                self._space("heading")
            self._print("class:heading", lead + "\n")
            self._last, self._length = "text", 0
        elif lead:
            self._begin_line()
            self._lead = ""
            self._print("", lead + "\n")


class Progress:
    """Called with (done, total) as work goes on; says something only when it takes long."""

    def __init__(self, draw: Callable[[float], None], erase: Callable[[], None]) -> None:
        self._draw, self._erase = draw, erase
        self._started = time.monotonic()
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._started > _PATIENCE and done < total:
            self._draw(done / max(1, total))
            self._drawn = True

    def close(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._erase()


class PlainScreen(Screen):
    """Whole sentences in order; no escapes, no redraws, nothing that moves.

    scripted: commands come from a file or a pipe: they are echoed, and empty lines and lines that
    begin with # are passed over. notices: where to say that something takes long.
    """

    def __init__(
        self,
        input: TextIO,
        output: TextIO,
        notices: TextIO,
        scripted: bool = False,
        rooms: Iterable[str] = (),
    ) -> None:
        self._in, self._out, self._notices = input, output, notices
        self.interactive = not scripted
        super().__init__(rooms)

    def ask(self, left: str, right: str) -> str:
        if self.interactive:
            self._print("", "> ")
            try:
                line = self._line()
            except (EOFError, KeyboardInterrupt):
                self._print("", "\n")
                raise
            if not line.endswith("\n"):
                self._print("", "\n")
            return line.rstrip("\r\n")
        line = self._line().strip()
        while not line or line.startswith("#"):
            line = self._line().strip()
        self._print("", f"> {clean(line)}\n")
        return line

    def _line(self) -> str:
        line = self._in.readline(_LONGEST_LINE)
        if not line:
            raise EOFError
        rest = line
        while rest and not rest.endswith("\n"):  # a line without end: read past it
            rest = self._in.readline(_LONGEST_LINE)
        return line

    def _print(self, style: str, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _new_flow(self) -> Sentences:
        return Sentences()

    def progress(self) -> Progress:
        said = False

        def draw(part: float) -> None:
            nonlocal said
            if not said:
                self._notices.write("Reading the world. This takes a moment.\n")
                self._notices.flush()
            said = True

        return Progress(draw, lambda: None)
