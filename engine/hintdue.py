"""What the turn goes on with, DUE: the clocks, the block of each that has run out, the reply.

Knows nothing of how a block is followed.
"""

from __future__ import annotations

from engine.hintconfig import DUE
from engine.hintsources import Sources


class Due:
    """The rest of the turn, as the command and the list of clocks have it."""

    __slots__ = ("_headings", "_sources", "_ticked")

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._headings: tuple[tuple[int, ...], ...] = ()  # of clocks' blocks yet to be run
        self._ticked = False  # whether the clocks have gone on

    def copy(self, sources: Sources) -> Due:
        """The same, with these sources from now on."""
        new = object.__new__(Due)
        new._sources, new._headings, new._ticked = sources, self._headings, self._ticked
        return new

    def begin(self) -> None:
        """A command was given: the clocks go on at the turn's end."""
        c = self._sources.log.config
        self._sources.follow_made(DUE, (c.clocks, c.colon))

    def game_over(self) -> None:
        """A rule ends the game: no clock goes on any more."""
        if not self._ticked:
            self._sources.follow_made(DUE, (self._sources.log.config.say,))

    def clocks_went_on(self, start: int, stop: int) -> None:
        """The list of clocks was written at the turn's end: those that have run out are due.

        start, stop: where its value begins, and its newline.
        """
        log, due = self._sources.log, list[tuple[int, ...]]()
        c, tok = log.config, log.tok
        while start < stop:
            end = log.delimiter(start)
            heading = (c.when, c.clock, c.field, *tok[start : end - 1], c.newline)
            if tok[end - 1] == c.zero and log.is_heading(heading):
                due.append(heading)
            start = end + 1
        self._headings, self._ticked = tuple(due), True
        self._go_on()

    def block_begins(self, heading: tuple[int, ...]) -> None:
        """A block's heading was read, a whole line."""
        if self._headings and heading == self._headings[0]:
            self._headings = self._headings[1:]
            self._go_on()

    def _go_on(self) -> None:
        """The next clock's block is due, or the reply."""
        reply = (self._sources.log.config.say,)
        self._sources.follow_made(DUE, self._headings[0] if self._headings else reply)
