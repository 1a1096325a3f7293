"""The tokens that copy hints were read from, and two indices over their lines. Knows no channel.

A log only grows. A value that was taken when it was shorter branches off: the indices are copied,
and what was noted since then is undone in the copy, so that nothing has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.hintconfig import HintConfig

SEED = 7
"""The hash of a line of which nothing has been read."""


def prefix_of(*tokens: int) -> int:
    """The hash of a line of which these tokens have been read."""
    prefix = SEED
    for token in tokens:
        prefix = hash((prefix, token))
    return prefix


class _Index:
    """Hash -> the latest position noted for it; can be copied as it was."""

    __slots__ = ("_journal", "at")

    def __init__(self) -> None:
        self.at: dict[int, int] = {}
        self._journal: list[tuple[int, int, int]] = []  # position, hash, what it replaced or -1

    def note(self, key: int, position: int) -> None:
        """From now on `key` is at `position`, the number of tokens read."""
        self._journal.append((position, key, self.at.get(key, -1)))
        self.at[key] = position

    def before(self, tokens: int) -> _Index:
        """A copy, as it was when no more than `tokens` were read."""
        new = _Index()
        new.at = self.at.copy()
        for position, key, replaced in reversed(self._journal):
            if position <= tokens:
                break
            if replaced < 0:
                del new.at[key]
            else:
                new.at[key] = replaced
        return new


class HintLog:
    """Of the latest line with a hash, starts: of its beginning -> where it went on;
    after: of a whole line of the pack -> where the next line is."""

    __slots__ = ("after", "capitals", "config", "delims", "marks", "starts", "tok")

    def __init__(self, config: HintConfig) -> None:
        self.config = config
        self.delims = frozenset((config.comma, config.stop, config.newline))
        self.capitals = frozenset(config.capitals)
        self.marks = self.delims | {config.colon, config.field, config.bracket}
        self.tok: list[int] = []
        self.starts, self.after = _Index(), _Index()

    def branch(self, tokens: int) -> HintLog:
        """The log as it was after its first `tokens`, to go on from."""
        new = HintLog(self.config)
        new.tok = self.tok[:tokens]
        new.starts, new.after = self.starts.before(tokens), self.after.before(tokens)
        return new

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Where each field of the line from `start` to before `stop` begins and ends."""
        for i in range(start, stop):
            if self.tok[i] == self.config.field:
                yield start, i
                start = i + 1
        yield start, stop

    def is_line(self, tokens: tuple[int, ...]) -> bool:
        """Whether a line was read that begins so."""
        return prefix_of(*tokens) in self.starts.at

    def is_heading(self, line: tuple[int, ...]) -> bool:
        """Whether `line` is a whole line of the pack, with another after it."""
        return prefix_of(*line) in self.after.at

    def item(self, start: int) -> list[int]:
        """The tokens of the list item at `start`."""
        return self.tok[start : self.delimiter(start)]

    def delimiter(self, i: int) -> int:
        """Where the list item at `i` ends; the last token if it doesn't."""
        tok, delims, last = self.tok, self.delims, len(self.tok) - 1
        while i < last and tok[i] not in delims:
            i += 1
        return i

    def items(self, start: int) -> list[list[int]]:
        """The tokens of each item of the value that begins at `start`."""
        items = list[list[int]]()
        while True:
            items.append(self.item(start))
            start += len(items[-1]) + 1
            if start > len(self.tok) or self.tok[start - 1] != self.config.comma:
                return items

    def line_after(self, i: int) -> int:
        """Where the line after that of position `i` begins."""
        return self.tok.index(self.config.newline, i) + 1

    def at_boundary(self, i: int) -> bool:
        """Whether a list item ends before position i or begins there."""
        tok = self.tok
        if i < len(tok) and tok[i] in self.delims:
            return True
        return tok[i - 1] in (self.config.comma, self.config.colon)
