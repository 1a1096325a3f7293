"""All threads of copy hints, token by token: what each line that was read means for them.

Knows which part has a say in which line, and none of their rules; how a value of it all is kept is
copyhints.py's affair.
"""

from __future__ import annotations

from array import array

from engine.hintblock import Block
from engine.hintconfig import ABOUT, CHANNELS, KEY, NOUN, NOUN2, RECORD, SEQUEL, SKIP, HintConfig
from engine.hintdue import Due
from engine.hintfinished import Finished
from engine.hintlog import HintLog, prefix_of
from engine.hintrecords import VERB, RecordThreads
from engine.hintsources import Sources
from engine.hinttemplates import Telling

_PACK, _COMMAND, _HIDDEN, _TOLD = range(4)  # what is being read


class Threads:
    """The log, and all that decides the next hints beside it. -1 as a position: nowhere."""

    __slots__ = (
        "_block",
        "_c",
        "_due",
        "_finished",
        "_line_start",
        "_reading",
        "_record",
        "_sources",
        "_telling",
        "_told",
        "log",
    )

    def __init__(self, config: HintConfig) -> None:
        self._c = config
        self.log = HintLog(config)
        self._record = RecordThreads(self.log)
        self._reading = _PACK
        self._line_start = 0
        self._new_turn()

    def copy(self, tokens: int) -> Threads:
        """The same threads to read on with, from where the log had that many tokens."""
        new = object.__new__(Threads)
        new._c, new._reading, new._line_start = self._c, self._reading, self._line_start
        new._telling, new._told = self._telling, self._told
        # If the log is longer by now, another continuation went on from here.
        same = len(self.log.tok) == tokens
        new.log = self.log if same else self.log.branch(tokens)
        new._record = self._record.copy(new.log)
        new._sources = self._sources.copy(new.log)
        new._due = self._due.copy(new._sources)
        new._block = self._block.copy(new._sources, new._due)
        new._finished = self._finished.copy(new._sources)
        return new

    def _new_turn(self) -> None:
        """Only the log and the record being copied outlast a turn."""
        self._sources = Sources(self.log)
        self._due = Due(self._sources)
        self._block = Block(self._sources, self._due)
        self._finished = Finished(self._sources)
        self._telling, self._told = Telling(), -1  # what is to be told; how far it has been

    # -- reading ---------------------------------------------------------------------------------

    def push(self, token: int) -> None:
        """Take in one token: advance every thread, then index the line."""
        c, tok = self._c, self.log.tok
        here = len(tok)
        tok.append(token)
        if token == c.command:
            self._reading = _COMMAND
            self._new_turn()
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
            self._told = self._telling.after(self._told, token)
            if token == c.newline:
                self._new_line(here + 1)
        else:
            if self._reading == _HIDDEN:
                self._sources.advance(token)
                self._block.advance(token)
            self._record.advance(token, here)
            if token == c.colon and self._reading == _HIDDEN:
                key, listing = tuple(tok[self._line_start : here]), self._record.listing
                self._sources.begin_value(key, listing, self._block.goes_on)
            if token == c.newline:
                self._end_line(here)

    def _new_line(self, start: int) -> None:
        self._line_start = start
        self._record.new_line()
        self._sources.new_line()
        self._block.new_line()

    # -- a line is complete, with its newline at `here` ------------------------------------------

    def _end_command(self, here: int) -> None:
        tok, start, sources = self.log.tok, self._line_start, self._sources
        parts = [*self.log.fields(start, here)]
        sources.names[VERB] = tuple(tok[slice(*parts[0])])
        for channel, (first, stop) in zip((NOUN, NOUN2), parts[1:], strict=False):
            sources.names[channel] = tuple(tok[first:stop])
            sources.follow(channel, first)
        self._due.begin()
        heading = prefix_of(self._c.when, *tok[start : here + 1])
        block = self.log.after.at.get(heading, -1)
        # From the mark before the heading to its newline.
        self._block.go_to(block - (here - start + 2) if block >= 0 else -1)
        self._reading = _HIDDEN
        self._new_line(here + 1)

    def _end_line(self, here: int) -> None:
        log, block, start = self.log, self._block, self._line_start
        length = here + 1 - start
        made = self._sources.made(KEY)
        if made and made == tuple(log.tok[start : start + len(made)]):
            self._sources.follow_made(KEY, ())  # it has been said
        if self._reading == _PACK:
            log.after.note(self._record.prefix, here + 1)
        elif self._record.key_done:
            self._end_record(here)
        elif log.tok[start] == self._c.when:
            block.begin(start, here, log.after.at.get(self._record.prefix, -1))
            self._due.block_begins(tuple(log.tok[start : here + 1]))
        elif block.was_next(length):
            if (prose := block.end_step(start, here)) >= 0:
                self._will_tell(prose)
        elif block.was_other(length):
            block.leave()
        elif (prose := log.after.at.get(self._record.prefix, -1)) >= 0:
            self._will_tell(prose)
        self._new_line(here + 1)

    def _end_record(self, here: int) -> None:
        key = self._finished.end_record(self._line_start, here, self._record, self._block)
        self._block.end_record(key, self._record.former)
        if self._record.clocks and not self._block.goes_on:
            self._due.clocks_went_on(self._finished.value[0], here)

    def _will_tell(self, at: int) -> None:
        """The pack's line at `at` will be told; its marks are filled in with what they mean now."""
        c, names = self._c, self._sources.names
        start, stop = self._finished.key
        meant = {
            c.noun: names.get(NOUN, ()),
            c.noun2: names.get(NOUN2, ()),
            c.about: names.get(ABOUT, ()),
            c.key: tuple(self.log.tok[start:stop]),
        }
        self._telling = self._telling.and_line(self.log, at, meant, self._finished.value)

    # -- the hints -------------------------------------------------------------------------------

    def hints(self, ids: array[int], codes: array[int], row: int) -> None:
        """Write the hinted ids and codes for the position after the last token, from `row` on."""
        if self._reading == _COMMAND:
            return
        if self._reading == _TOLD:
            self._hint_told(ids, codes, row)
            return
        record = self._record.hints(ids, codes, row, self._sources.names)
        if self._reading == _PACK:
            return
        key_done = self._record.key_done
        if self._ends_list():
            self._sources.hints(ids, codes, row, record)
        self._finished.mark(ids, codes, row, self._block.told, key_done)
        self._block.hints(ids, codes, row, record)
        if record >= 0 and not key_done and self._in_a_name(ids, codes, row):
            ids[row + RECORD] = codes[row + RECORD] = 0

    def _ends_list(self) -> bool:
        """Whether what a list is added may be next, if the line is one: at its end, or in place of
        its last item, where that is a clock."""
        record = self._record
        if not record.listing or not record.item():
            return True
        return record.clocks and self._block.goes_on and record.is_last()

    def _in_a_name(self, ids: array[int], codes: array[int], row: int) -> bool:
        """Whether some thread is inside a name, and none agrees with RECORD: that follows another
        line, one that begins with the same word."""
        inside = False
        for at in range(row + SKIP, row + CHANNELS):
            if codes[at] > 2 and codes[at] < 5:
                return False
            inside = inside or (codes[at] == 2 and ids[at] not in self.log.marks)
        return inside

    def _hint_told(self, ids: array[int], codes: array[int], row: int) -> None:
        text, i = self._telling.tokens, self._told
        if i < 0:
            return
        if i == len(text):
            ids[row + SEQUEL], codes[row + SEQUEL] = self._c.end, 2
            return
        ids[row + SEQUEL], codes[row + SEQUEL] = text[i], 2 if i else 1
