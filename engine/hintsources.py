"""The sources of the channels that a turn names: what each is copied from, where it is, and whether
its copying may begin here. Knows no record, no block, and not why a channel names what it does.
"""

from __future__ import annotations

from array import array

from engine.hintconfig import KEY, NOUN, NOUN2, VALUE
from engine.hintlog import HintLog


class Sources:
    """The sources of one turn. A source is a place in the log, or tokens that stand nowhere in it.

    names: channel -> the name that it stands for in this turn.
    """

    __slots__ = ("_idle", "_made", "_threads", "log", "names")

    def __init__(self, log: HintLog) -> None:
        self.log = log
        self.names: dict[int, tuple[int, ...]] = {}
        # channel -> source's start, position, whether the last token came from there
        self._threads: dict[int, tuple[int, int, bool]] = {}
        self._made: dict[int, tuple[int, ...]] = {}  # channel -> its source, if that isn't the log
        self._idle: frozenset[int] = frozenset()  # channels that have no say in this line

    def copy(self, log: HintLog) -> Sources:
        """The same sources over a log that holds the same tokens."""
        new = object.__new__(Sources)
        new.log, new.names, new._idle = log, self.names.copy(), self._idle
        new._threads, new._made = self._threads.copy(), self._made.copy()
        return new

    # -- what a channel is copied from -----------------------------------------------------------

    def follow(self, channel: int, start: int) -> None:
        """The channel's source begins at `start` of the log from now on."""
        self._threads[channel] = (start, start, False)
        self._made.pop(channel, None)

    def follow_made(self, channel: int, tokens: tuple[int, ...]) -> None:
        """The channel's source is `tokens`, which stand nowhere in the log together; (): none."""
        self._threads.pop(channel, None)
        self._made.pop(channel, None)
        if tokens:
            self._threads[channel], self._made[channel] = (0, 0, False), tokens

    def forget(self, channel: int) -> None:
        """The channel stands for nothing and has no source."""
        self.names.pop(channel, None)
        self.follow_made(channel, ())

    def made(self, channel: int) -> tuple[int, ...]:
        """The channel's source, if it stands nowhere in the log; () else."""
        return self._made.get(channel, ())

    # -- reading ---------------------------------------------------------------------------------

    def new_line(self) -> None:
        """A line begins, in which every channel has a say."""
        self._idle = frozenset()

    def begin_value(self, key: tuple[int, ...], listing: bool, in_block: bool) -> None:
        """No record has its own key for a value, and none has that of the record before; a list
        has nothing of what the latter was either, nor in a block of what the command is about."""
        idle = [channel for channel, name in self.names.items() if name == key]
        if listing:
            idle += [VALUE, NOUN, NOUN2] if in_block else [VALUE]
        self._idle = frozenset((KEY, *idle))

    def advance(self, token: int) -> None:
        """Follow `token`, the log's last, in every source."""
        for channel, (start, at, runs) in self._threads.items():
            tok, begins = self._made.get(channel, self.log.tok), self._may_begin(channel, -2)
            if (runs or begins) and at < len(tok) and tok[at] == token:
                self._threads[channel] = (start, at + 1, True)
            elif begins and tok[start] == token:
                self._threads[channel] = (start, start + 1, True)
            elif runs:
                self._threads[channel] = (start, start, False)

    def _may_begin(self, channel: int, last: int = -1) -> bool:
        """Whether the channel's source may be copied behind the last token, or the one before: a
        name where names begin, the beginning of a line where lines do."""
        log = self.log
        c, token = log.config, log.tok[last]
        made = self._made.get(channel)
        if made and made[-1] in (c.colon, c.newline, c.say):
            return token == c.newline
        return token in log.marks or token == c.when

    # -- the hints -------------------------------------------------------------------------------

    def hints(self, ids: array[int], codes: array[int], row: int, record: int) -> None:
        """Write every source's hint from `row` on; record: the token of RECORD's, -1 if none."""
        tok = self.log.tok
        for channel, (_, at, runs) in self._threads.items():
            source = self._made.get(channel, tok)
            if at >= len(source) or channel in self._idle:
                continue
            if not runs and not self._may_begin(channel):
                continue
            token = ids[row + channel] = source[at]
            codes[row + channel] = (2 if runs else 1) + (2 if token == record else 0)
