"""The record that the present line copies, RECORD and SKIP. Knows no turn.

RECORD follows the latest line that begins like this one; SKIP is one list item further.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from engine.hintconfig import ABOUT, NOUN, NOUN2, PLACE, RECORD, SKIP, TO
from engine.hintlog import SEED, HintLog, prefix_of

VERB = -1
"""The command's first word: a name like a channel's, but hinted by none."""
_FLAGS = ((ABOUT, 2), (TO, 8), (NOUN, 5), (NOUN2, 6), (PLACE, 7), (VERB, 9))
"""Which code of RECORD says that the item is the channel's name (see CODES); the first that is."""


class RecordThreads:
    """Both threads; -1 as a position: nowhere. key_done: a colon has been read in this line.

    listing: its value is a list, which only its end can be added to; clocks: that of the clocks;
    former: where the value begins that it had before.
    """

    __slots__ = (
        "_rec",
        "_skip",
        "_skip_runs",
        "clocks",
        "former",
        "key_done",
        "listing",
        "log",
        "prefix",
    )

    def __init__(self, log: HintLog) -> None:
        self.log = log
        self.new_line()

    def new_line(self) -> None:
        """Nothing of the line has been read. prefix: the hash of what has been."""
        self.prefix, self.key_done, self.listing, self.clocks = SEED, False, False, False
        self._rec = self._skip = self.former = -1
        self._skip_runs = False

    def copy(self, log: HintLog) -> RecordThreads:
        """The same threads over a log that holds the same tokens."""
        new = object.__new__(RecordThreads)
        new.log, new.prefix = log, self.prefix
        new.key_done, new.former = self.key_done, self.former
        new.listing, new.clocks = self.listing, self.clocks
        new._rec, new._skip, new._skip_runs = self._rec, self._skip, self._skip_runs
        return new

    def advance(self, token: int, here: int) -> None:
        """Follow `token`, the log's last, at position `here`, and note the line's beginning."""
        self.prefix = prefix = hash((self.prefix, token))
        starts, colon = self.log.starts, self.log.config.colon
        if not self.key_done:
            self._rec = starts.at.get(prefix, -1)
            starts.note(prefix, here + 1)
            if token == colon:
                self.key_done, self.former = True, self._rec
                self._note_kind(here)
                self._place_skip()
            return
        self._advance_value(token)
        if token == colon:
            starts.note(prefix, here + 1)

    def _note_kind(self, colon: int) -> None:
        c, tok = self.log.config, self.log.tok
        self.clocks = prefix_of(c.clocks, c.colon) == self.prefix
        named = {prefix_of(*c.carry, c.colon), prefix_of(c.deeds, c.colon)}
        self.listing = self.clocks or self.prefix in named or tok[colon - 1] in (c.holds, c.exits)

    def _advance_value(self, token: int) -> None:
        """A token that is only in the other thread moves there."""
        tok, rec, skip = self.log.tok, self._rec, self._skip
        if not 0 <= rec < len(tok):
            return
        if tok[rec] == token:
            self._rec = rec + 1
            in_both = 0 <= skip < len(tok) and tok[skip] == token
            if in_both and not self.log.at_boundary(self._rec):
                self._skip, self._skip_runs = skip + 1, True
            else:
                self._place_skip()
        elif 0 <= skip < len(tok) and tok[skip] == token:
            self._rec = skip + 1
            self._place_skip()
        elif tok[rec] not in self.log.delims:
            # The item, or its end, is another now (`tide 4` for `tide 5`): the next is as it was.
            end = self.log.delimiter(rec)
            self._rec = end + (tok[end] == token == self.log.config.comma)
            self._place_skip()
        # else: something was put in; the thread waits where it is

    def _place_skip(self) -> None:
        """One item further than the record thread; nowhere if that is inside an item."""
        self._skip, self._skip_runs = -1, False
        if self.clocks:
            self._leave_out_spent()
        log, i = self.log, self._rec
        if not 0 <= i < len(log.tok) or not log.at_boundary(i):
            return
        if log.tok[i] == log.config.comma:
            self._skip = log.delimiter(i + 1)
        elif log.tok[i] not in log.delims:
            self._skip = log.delimiter(i) + 1

    def _leave_out_spent(self) -> None:
        """Clocks that have run out aren't listed again."""
        log, tok = self.log, self.log.tok
        while 0 <= self._rec < len(tok) and log.at_boundary(self._rec):
            after = tok[self._rec] == log.config.comma
            first = self._rec + after
            end = log.delimiter(first)
            if first == end or tok[end - 1] != log.config.zero:
                break
            self._rec = end if after else end + 1 if tok[end] == log.config.comma else -1

    def hints(
        self,
        ids: array[int],
        codes: array[int],
        row: int,
        names: Mapping[int, tuple[int, ...]],
    ) -> int:
        """Write both hints from `row` on; returns the token that RECORD names, -1 if none.

        names: channel -> the name that it stands for in this turn.
        """
        tok = self.log.tok
        record = -1
        if 0 <= self._rec < len(tok):
            record = ids[row + RECORD] = tok[self._rec]
            codes[row + RECORD] = self._flag(names) if self.key_done else 1
        if 0 <= self._skip < len(tok):
            token = ids[row + SKIP] = tok[self._skip]
            codes[row + SKIP] = (2 if self._skip_runs else 1) + (2 if token == record else 0)
        return record

    def item(self) -> tuple[int, ...]:
        """The name of the list item that RECORD is inside or in front of; () where there is none:
        behind the last one, or because the list is empty."""
        log, tok, at = self.log, self.log.tok, self._rec
        if not self.key_done or not 0 <= at < len(tok):
            return ()
        first = at + 1 if tok[at] == log.config.comma else at
        if first >= len(tok) or tok[first] in log.delims:
            return ()
        while not log.at_boundary(first):
            first -= 1
        name = tok[first : log.delimiter(first)]
        if self.clocks:
            name = name[:-1]  # the turns left, behind the name
        elif log.config.bracket in name:
            name = name[: name.index(log.config.bracket)]
        return () if name == [log.config.nothing] else tuple(name)

    def is_last(self) -> bool:
        """Whether the item that RECORD is inside or in front of is the list's last."""
        log, at = self.log, self._rec
        at += log.tok[at] == log.config.comma
        return log.tok[log.delimiter(at)] == log.config.stop

    def _flag(self, names: Mapping[int, tuple[int, ...]]) -> int:
        """RECORD's code inside a value."""
        item = self.item()
        # A clock may be called as somebody is: what the command does to them is nothing to it.
        flags = _FLAGS[:2] if self.clocks else _FLAGS
        return next((code for channel, code in flags if item and names.get(channel) == item), 4)
