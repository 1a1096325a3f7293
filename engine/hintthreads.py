"""The places being copied from, token by token: what the channels of copy hints point at.

Knows the log of what was read; how a value of it all is kept is copyhints.py's affair.
"""

from __future__ import annotations

from array import array

from engine.hintconfig import (
    ABOUT,
    ELSE,
    KEY,
    NEXT,
    NOUN,
    NOUN2,
    PLACE,
    SEQUEL,
    TO,
    VALUE,
    HintConfig,
)
from engine.hintlog import SEED, HintLog
from engine.hintrecords import RecordThreads
from engine.hinttemplates import Telling

_PACK, _COMMAND, _HIDDEN, _TOLD = range(4)  # what is being read


class Threads:
    """All that decides the next hints, beside the log. -1 as a position: nowhere."""

    def __init__(self, config: HintConfig) -> None:
        self._c = config
        self.log = HintLog(config)
        self._record = RecordThreads(self.log)
        self._reading = _PACK
        self._line_start = 0
        self._forget_turn()

    def copy(self, tokens: int) -> Threads:
        """The same threads to read on with, from where the log had that many tokens."""
        new = object.__new__(Threads)
        new.__dict__.update(self.__dict__)
        new._names, new._threads = self._names.copy(), self._threads.copy()
        new._values = self._values.copy()
        if len(self.log.tok) != tokens:  # another continuation went on from here
            new.log = self.log.branch(tokens)
        new._record = self._record.copy(new.log)
        return new

    def _forget_turn(self) -> None:
        self._names: dict[int, tuple[int, ...]] = {}
        # channel -> source's start, position, whether the last token came from there
        self._threads: dict[int, tuple[int, int, bool]] = {}
        self._values: dict[tuple[int, ...], int] = {}  # key -> where its latest value begins
        self._key = self._value = (-1, -1)  # where the last record's parts begin and end
        self._telling, self._told = Telling(), -1
        self._next = self._next_at = self._other = self._other_at = -1

    # -- reading ---------------------------------------------------------------------------------

    def push(self, token: int) -> None:
        """Take in one token: advance every thread, then index the line."""
        c, tok = self._c, self.log.tok
        here = len(tok)
        tok.append(token)
        if token == c.command:
            self._reading = _COMMAND
            self._forget_turn()
            self._new_line(here + 1)
        elif self._reading == _COMMAND:
            if token == c.newline:
                self._end_command(here)
        elif token == c.say:
            if self._reading == _HIDDEN or self._reading == _TOLD:
                self._reading, self._told = _TOLD, 0
            self._new_line(here + 1)
        elif token == c.end:
            self._new_line(here + 1)
        elif self._reading == _TOLD:
            self._advance_told(token)
            if token == c.newline:
                self._new_line(here + 1)
        else:
            if self._reading == _HIDDEN:
                self._advance_threads(token)
                self._advance_block(token)
            self._record.advance(token, here)
            if token == c.newline:
                self._end_line(here)

    def _new_line(self, start: int) -> None:
        self._line_start = start
        self._record.new_line()
        self._next_at, self._other_at = self._next, self._other

    def _follow(self, channel: int, start: int) -> None:
        """The channel's source begins at `start` from now on."""
        self._threads[channel] = (start, start, False)

    def _end_command(self, here: int) -> None:
        tok = self.log.tok
        parts = [*self.log.fields(self._line_start, here)]
        for channel, (start, stop) in zip((NOUN, NOUN2), parts[1:], strict=False):
            self._names[channel] = tuple(tok[start:stop])
            self._follow(channel, start)
        heading = hash((SEED, self._c.when))
        for token in tok[self._line_start : here + 1]:
            heading = hash((heading, token))
        block = self.log.after.at.get(heading, -1)
        # From the mark before the heading to its newline.
        self._go_to(block - (here - self._line_start + 2) if block >= 0 else -1)
        self._reading = _HIDDEN
        self._new_line(here + 1)

    def _advance_threads(self, token: int) -> None:
        tok = self.log.tok
        for channel, (start, at, runs) in self._threads.items():
            if tok[at] == token:
                self._threads[channel] = (start, at + 1, True)
            elif tok[start] == token:
                self._threads[channel] = (start, start + 1, True)
            elif runs:
                self._threads[channel] = (start, start, False)

    def _advance_told(self, token: int) -> None:
        text, i = self._telling.tokens, self._told
        if not 0 <= i < len(text):
            return
        if text[i] == token:
            self._told = i + 1
        elif i in self._telling.articles and text[i + 1] == token:
            self._told = i + 2  # a name that takes no article
        else:
            self._told = -1

    def _advance_block(self, token: int) -> None:
        tok = self.log.tok
        if self._next_at >= 0:
            self._next_at = self._next_at + 1 if tok[self._next_at] == token else -1
        if self._other_at >= 0:
            self._other_at = self._other_at + 1 if tok[self._other_at] == token else -1

    # -- a line is complete ----------------------------------------------------------------------

    def _end_line(self, here: int) -> None:
        log, length = self.log, here + 1 - self._line_start
        if self._reading == _PACK:
            log.after.note(self._record.prefix, here + 1)
        elif self._record.key_done:
            self._end_record(here)
        elif log.tok[self._line_start] == self._c.when:
            self._go_to(log.after.at.get(self._record.prefix, -1))
        elif self._next >= 0 and self._next_at == self._next + length:
            self._end_step(here)
        elif self._other >= 0 and self._other_at == self._other + length:
            self._go_to(-1)
        elif (at := log.after.at.get(self._record.prefix, -1)) >= 0:
            self._will_tell(at)
        self._new_line(here + 1)

    def _end_record(self, here: int) -> None:
        start, tok = self._line_start, self.log.tok
        value = tok.index(self._c.colon, start) + 1
        self._key, self._value = (start, value - 1), (value, here - 1)
        # Of a record written anew, what it was: the list that a thing has left bears that name.
        key = tuple(tok[start : value - 1])
        self._follow(VALUE, self._values.get(key, value))
        self._values[key] = value
        self._follow(KEY, start)
        if tok[start] == self._c.at and value == start + 2:
            self._names[PLACE] = tuple(tok[value : self.log.delimiter(value)])
            self._follow(PLACE, value)

    def _go_to(self, position: int) -> None:
        """The block's line at `position` is next; -1: there is none."""
        self._next, self._other = position, -1

    def _end_step(self, here: int) -> None:
        """A block's line was followed: subject and object, and what comes after it."""
        c, log = self._c, self.log
        then = self._next_at  # after its newline in the pack
        first = log.tok[self._line_start]
        if first in (c.condition, c.does):
            parts = [*log.fields(self._line_start, here)]
            to = 2 if first == c.does and len(parts) == 3 else 3  # `so deed X`; `so X moves to Y`
            for channel, number in ((ABOUT, 1), (TO, to)):
                self._names.pop(channel, None)
                self._threads.pop(channel, None)
                if number < len(parts):
                    start, stop = parts[number]
                    self._names[channel] = tuple(log.tok[start:stop])
                    self._follow(channel, start)
        if first == c.condition:
            self._next, self._other = log.line_after(then), then
        elif first == c.does:
            self._go_to(then)
        elif first == c.tell:
            self._will_tell(then)
            self._go_to(log.line_after(then))
        else:
            self._go_to(-1)

    def _will_tell(self, at: int) -> None:
        """The pack's line at `at` will be told; its marks are filled in with what they mean now."""
        c, names = self._c, self._names
        start, stop = self._key
        meant = {
            c.noun: names.get(NOUN, ()),
            c.noun2: names.get(NOUN2, ()),
            c.about: names.get(ABOUT, ()),
            c.key: tuple(self.log.tok[start:stop]),
        }
        self._telling = self._telling.and_line(self.log, at, meant, self._value)

    # -- the hints -------------------------------------------------------------------------------

    def hints(self, ids: array[int], codes: array[int], row: int) -> None:
        """Write the hinted ids and codes for the position after the last token, from `row` on."""
        if self._reading == _COMMAND:
            return
        if self._reading == _TOLD:
            self._hint_told(ids, codes, row)
            return
        record = self._record.hints(ids, codes, row, self._names)
        if self._reading == _PACK:
            return
        tok, n = self.log.tok, len(self.log.tok)
        for channel, (_, at, runs) in self._threads.items():
            token = ids[row + channel] = tok[at]
            codes[row + channel] = (2 if runs else 1) + (2 if token == record else 0)
        if 0 <= self._next_at < n:
            token = ids[row + NEXT] = tok[self._next_at]
            runs = self._next_at != self._next
            codes[row + NEXT] = (2 if runs else 1) + (2 if token == record else 0)
        if 0 <= self._other_at < n:
            token = ids[row + ELSE] = tok[self._other_at]
            runs = self._other_at != self._other
            codes[row + ELSE] = (2 if runs else 1) + (2 if token == record else 0)

    def _hint_told(self, ids: array[int], codes: array[int], row: int) -> None:
        text, i = self._telling.tokens, self._told
        if i < 0:
            return
        if i == len(text):
            ids[row + SEQUEL], codes[row + SEQUEL] = self._c.end, 2
            return
        ids[row + SEQUEL], codes[row + SEQUEL] = text[i], 2 if i else 1
        if i in self._telling.articles:  # the name itself, should it take none
            ids[row + NOUN], codes[row + NOUN] = text[i + 1], 1
