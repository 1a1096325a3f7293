"""The places being copied from, token by token: what the channels of copy hints point at.

Knows the log of what was read; how a value of it all is kept is copyhints.py's affair.
"""

from __future__ import annotations

from array import array

from engine.hintconfig import (
    ABOUT,
    CHANNELS,
    DUE,
    ELSE,
    KEY,
    NEXT,
    NOUN,
    NOUN2,
    PLACE,
    RECORD,
    SEQUEL,
    SKIP,
    TO,
    VALUE,
    HintConfig,
)
from engine.hintlog import HintLog
from engine.hintrecords import VERB, RecordThreads, prefix_of
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
        self._idle: frozenset[int] = frozenset()  # channels that have no say in this line
        self._forget_turn()

    def copy(self, tokens: int) -> Threads:
        """The same threads to read on with, from where the log had that many tokens."""
        new = object.__new__(Threads)
        new.__dict__.update(self.__dict__)
        new._names, new._threads = self._names.copy(), self._threads.copy()
        new._made = self._made.copy()
        if len(self.log.tok) != tokens:  # another continuation went on from here
            new.log = self.log.branch(tokens)
        new._record = self._record.copy(new.log)
        return new

    def _forget_turn(self) -> None:
        self._names: dict[int, tuple[int, ...]] = {}
        # channel -> source's start, position, whether the last token came from there
        self._threads: dict[int, tuple[int, int, bool]] = {}
        self._made: dict[int, tuple[int, ...]] = {}  # channel -> its source, if that isn't the log
        self._heading: tuple[int, ...] = ()  # of the block that is followed
        self._due: tuple[tuple[int, ...], ...] = ()  # headings of clocks' blocks yet to be run
        self._way = False  # whether the step followed last makes a way
        self._key = self._value = (-1, -1)  # where the last record's parts begin and end
        self._holder = False  # whether what VALUE names is the key of a record
        self._went = self._ticked = False  # whether the player has gone; the clocks gone on
        self._told_of = self._sent = False  # whether this block has told something; moved them
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
            if token == c.colon and self._reading == _HIDDEN:
                self._begin_value(here)
            if token == c.newline:
                self._end_line(here)

    def _new_line(self, start: int) -> None:
        self._line_start, self._idle = start, frozenset()
        self._record.new_line()
        self._next_at, self._other_at = self._next, self._other

    def _follow(self, channel: int, start: int) -> None:
        """The channel's source begins at `start` of the log from now on."""
        self._threads[channel] = (start, start, False)
        self._made.pop(channel, None)

    def _follow_made(self, channel: int, tokens: tuple[int, ...]) -> None:
        """The channel's source is `tokens`, which stand nowhere in the log together; (): none."""
        self._threads.pop(channel, None)
        self._made.pop(channel, None)
        if tokens:
            self._threads[channel], self._made[channel] = (0, 0, False), tokens

    def _end_command(self, here: int) -> None:
        tok = self.log.tok
        parts = [*self.log.fields(self._line_start, here)]
        self._names[VERB] = tuple(tok[slice(*parts[0])])
        self._follow_made(DUE, (self._c.clocks, self._c.colon))
        for channel, (start, stop) in zip((NOUN, NOUN2), parts[1:], strict=False):
            self._names[channel] = tuple(tok[start:stop])
            self._follow(channel, start)
        heading = prefix_of(self._c.when, *tok[self._line_start : here + 1])
        block = self.log.after.at.get(heading, -1)
        # From the mark before the heading to its newline.
        self._go_to(block - (here - self._line_start + 2) if block >= 0 else -1)
        self._reading = _HIDDEN
        self._new_line(here + 1)

    def _advance_threads(self, token: int) -> None:
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
        c, token = self._c, self.log.tok[last]
        made = self._made.get(channel)
        if made and made[-1] in (c.colon, c.newline, c.say):
            return token == c.newline
        return token in self.log.marks or token == c.when

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

    def _begin_value(self, here: int) -> None:
        """No record has its own key for a value, and none has that of the record before; a list
        has nothing of what the latter was either."""
        key = tuple(self.log.tok[self._line_start : here])
        own = [channel for channel, name in self._names.items() if name == key]
        self._idle = frozenset((KEY, *((VALUE,) if self._record.listing else ()), *own))

    # -- a line is complete ----------------------------------------------------------------------

    def _end_line(self, here: int) -> None:
        log, length = self.log, here + 1 - self._line_start
        if self._reading == _PACK:
            log.after.note(self._record.prefix, here + 1)
        elif self._record.key_done:
            self._end_record(here)
        elif log.tok[self._line_start] == self._c.when:
            if not (self._other >= 0 and self._other_at == self._other + length):
                self._told_of = self._sent = False  # another block, not the rest of this one
            self._go_to(log.after.at.get(self._record.prefix, -1))
            self._heading = tuple(log.tok[self._line_start + 1 : here])
            line = (self._c.when, *self._heading, self._c.newline)
            if self._due and line == self._due[0]:
                self._due = self._due[1:]
                self._go_on_with_due()
        elif self._next >= 0 and self._next_at == self._next + length:
            self._end_step(here)
        elif self._other >= 0 and self._other_at == self._other + length:
            self._leave_block()
        elif (at := log.after.at.get(self._record.prefix, -1)) >= 0:
            self._will_tell(at)
        self._new_line(here + 1)

    def _end_record(self, here: int) -> None:
        start, tok = self._line_start, self.log.tok
        value = tok.index(self._c.colon, start) + 1
        self._key, self._value = (start, value - 1), (value, here - 1)
        key = tuple(tok[start : value - 1])
        if self._record.listing:
            self._end_list(key)
        elif key == (self._c.at,):
            self._end_place(value)
        else:
            self._end_part(key, value)
        if self._way and key == self._names.get(ABOUT):
            # A new way's direction goes into the list of exits.
            was = self._record.former
            new = was < 0 or tok[was] == self._c.nothing
            self._names[TO], self._way = key[-1:], False
            self._follow_made(TO, key[-1:] if new else ())
        if self._record.clocks and self._next < 0:
            self._clocks_went_on(value, here)

    def _end_list(self, key: tuple[int, ...]) -> None:
        """What is next to be written isn't this list, nor anything in it."""
        line = (*key, self._c.colon)
        for channel in (KEY, VALUE, TO):
            if channel != TO or self._made.get(TO) == line:
                self._follow_made(channel, ())

    def _end_place(self, value: int) -> None:
        """Where the player is: to be told of, or to be left by a way."""
        place = tuple(self._item(value))
        self._went = self._went or self._names.get(PLACE, place) != place
        self._names[PLACE] = place
        self._follow(VALUE, value)
        self._holder = False
        arrival = (self._c.when, self._c.arrive, self._c.field, *place, self._c.newline)
        arrives = self._went and prefix_of(*arrival) in self.log.after.at
        self._follow_made(KEY, arrival if arrives else ())
        self._follow(PLACE, value)
        if self._names.get(VERB) == (self._c.go,) and not self._went:
            self._follow_made(PLACE, (*place, *self._names.get(NOUN, ()), self._c.colon))

    def _end_part(self, key: tuple[int, ...], value: int) -> None:
        """A thing, a person, a door or a way: of what was moved, both lists are next."""
        was = self._record.former
        self._follow(KEY, self._key[0])
        way = (*key, *self._names.get(NOUN, ()), self._c.colon)
        if self._names.get(VERB) == (self._c.go,) and self._is_line(way):
            self._follow_made(KEY, way)  # a door to go through
        self._follow(VALUE, value)
        self._holder = self._is_line((*self._item(value), self._c.colon))
        if was >= 0 and (before := self._item(was)) != (after := self._item(value)):
            self._holder = False
            self._follow_made(VALUE, self._list_of(before))
            self._follow_made(TO, self._list_of(after))

    def _list_of(self, place: list[int]) -> tuple[int, ...]:
        """The key of the list of what is there, with its colon; () if there is none."""
        c = self._c
        if place in ([c.you], [c.worn]):
            return (*c.carry, c.colon)
        line = (*place, c.holds, c.colon)
        return line if self._is_line(line) else ()

    def _item(self, start: int) -> list[int]:
        """The tokens of the item at `start`."""
        return self.log.tok[start : self.log.delimiter(start)]

    def _is_line(self, tokens: tuple[int, ...]) -> bool:
        """Whether a line was read that begins so."""
        return prefix_of(*tokens) in self.log.starts.at

    def _clocks_went_on(self, start: int, stop: int) -> None:
        """The list of clocks was written at the turn's end: those that have run out are due."""
        c, tok, due = self._c, self.log.tok, list[tuple[int, ...]]()
        while start < stop:
            end = self.log.delimiter(start)
            heading = (c.when, c.clock, c.field, *tok[start : end - 1], c.newline)
            if tok[end - 1] == c.zero and prefix_of(*heading) in self.log.after.at:
                due.append(heading)
            start = end + 1
        self._due, self._ticked = tuple(due), True
        self._go_on_with_due()

    def _go_on_with_due(self) -> None:
        """The next clock's block is due, or the reply."""
        self._follow_made(DUE, self._due[0] if self._due else (self._c.say,))

    def _go_to(self, position: int) -> None:
        """The block's line at `position` is next; -1: there is none."""
        self._next, self._other = position, -1

    def _leave_block(self) -> None:
        """What its lines were about doesn't matter any more; where they led to is told."""
        c = self._c
        self._go_to(-1)
        self._follow_made(KEY, (c.at, c.colon) if self._sent else ())
        if self._heading[:1] == (c.arrive,):
            self._follow_made(KEY, (*self._names.get(PLACE, ()), c.newline))
        for channel in (ABOUT, TO):
            self._names.pop(channel, None)
            self._follow_made(channel, ())

    def _end_step(self, here: int) -> None:
        """A block's line was followed: subject and object, and what comes after it."""
        c, log = self._c, self.log
        then = self._next_at  # after its newline in the pack
        first = log.tok[self._line_start]
        if first in (c.condition, c.does):
            self._hold([*log.fields(self._line_start, here)], first == c.does)
        if first == c.condition:
            self._next, self._other = log.line_after(then), then
        elif first == c.does:
            self._go_to(then)
        elif first == c.tell:
            self._will_tell(then)
            self._told_of = True
            self._go_to(log.line_after(then))
        else:
            self._leave_block()

    def _hold(self, parts: list[tuple[int, int]], does: bool) -> None:
        """What a condition or effect, split into its fields, is about, and its object."""
        c, tok = self._c, self.log.tok
        words = [tuple(tok[start:stop]) for start, stop in parts]
        to = 2 if does and len(parts) == 3 else 3  # `so deed X`; `so X moves to Y`
        for channel, number in ((ABOUT, 1), (TO, to)):
            self._names.pop(channel, None)
            self._follow_made(channel, ())
            if number < len(parts):
                self._names[channel] = words[number]
                self._follow(channel, parts[number][0])
        if words[1] == (c.you,):
            self._follow_made(ABOUT, (c.at, c.colon))
            self._sent = self._sent or does
        if words[1] == (c.game,) and does and not self._ticked:
            self._follow_made(DUE, (c.say,))  # it is over, and no clock goes on
        if does and to + 1 < len(parts):  # `so you go to X, dark`: a field here is an item there
            items = ((c.comma, *item) for item in words[to + 1 :])
            self._follow_made(TO, sum(items, words[to]))
        self._way = does and len(parts) > 2 and words[2][:1] == (c.leads,)
        if does and words[1] == (c.clock,) and len(parts) == 4:  # `so clock X 5`: the item `X 5`
            self._names[TO] = words[2]
            self._follow_made(TO, () if words[3] == (c.off,) else words[2] + words[3])
        if words[1] == (c.new,):
            key = tuple(token for token in self._heading if token != c.field)
            self._follow_made(KEY, (*key, c.was, c.colon))

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
        item = self._record.item() if self._record.listing else ()
        for channel, (_, at, runs) in self._threads.items():
            source = self._made.get(channel, tok)
            if at >= len(source) or channel in self._idle:
                continue
            if not runs and not self._may_begin(channel):
                continue
            if item and self._names.get(channel, item) != item:
                continue  # a list is added to at its end
            token = ids[row + channel] = source[at]
            codes[row + channel] = (2 if runs else 1) + (2 if token == record else 0)
        self._mark_places(ids, codes, row)
        if 0 <= self._next_at < n:
            token = ids[row + NEXT] = tok[self._next_at]
            runs = self._next_at != self._next
            codes[row + NEXT] = (2 if runs else 1) + (2 if token == record else 0)
        if 0 <= self._other_at < n:
            token = ids[row + ELSE] = tok[self._other_at]
            runs = self._other_at != self._other
            codes[row + ELSE] = (2 if runs else 1) + (2 if token == record else 0)
        if record >= 0 and not self._record.key_done and self._in_a_name(ids, codes, row):
            ids[row + RECORD] = codes[row + RECORD] = 0

    def _mark_places(self, ids: array[int], codes: array[int], row: int) -> None:
        """Say of fresh hints what they name (see CODES)."""
        here = () if self._told_of else self._list_of([*self._names.get(PLACE, ())])
        for channel in (VALUE, TO):
            if codes[row + channel] == 1 and here and self._made.get(channel) == here:
                codes[row + channel] = 6
        if codes[row + VALUE] not in (1, 3) or VALUE in self._made or self._record.key_done:
            return
        if self._holder:
            codes[row + VALUE] = 5
        else:  # no line begins with it
            ids[row + VALUE] = codes[row + VALUE] = 0

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
