"""The block that is followed line by line, NEXT and ELSE, and what its lines are about: ABOUT, TO.

Knows nothing of what is told and of no record but that of a way.
"""

from __future__ import annotations

from array import array

from engine.hintconfig import ABOUT, ELSE, KEY, NEXT, PLACE, TO, VALUE
from engine.hintdue import Due
from engine.hintsources import Sources


class Block:
    """The block's lines that may be next: one, or after a condition two. -1 as a position: nowhere.

    told: whether it has told something; sent: whether it has sent the player somewhere, be it where
    they are; does: whether the step followed last is an effect.
    """

    __slots__ = (
        "_due",
        "_heading",
        "_next",
        "_next_at",
        "_other",
        "_other_at",
        "_sources",
        "_way",
        "does",
        "sent",
        "told",
    )

    def __init__(self, sources: Sources, due: Due) -> None:
        self._sources, self._due = sources, due
        self.told = self.does = False
        self.sent = False
        self._heading: tuple[int, ...] = ()
        self._way = False  # whether the step followed last makes a way
        # Where each line begins, and how far it has been followed in this line.
        self._next = self._next_at = self._other = self._other_at = -1

    def copy(self, sources: Sources, due: Due) -> Block:
        """The same block, with these sources from now on."""
        new = object.__new__(Block)
        new._sources, new._due = sources, due
        new.told, new.does, new.sent = self.told, self.does, self.sent
        new._heading, new._way = self._heading, self._way
        new._next, new._next_at = self._next, self._next_at
        new._other, new._other_at = self._other, self._other_at
        return new

    # -- reading ---------------------------------------------------------------------------------

    @property
    def goes_on(self) -> bool:
        """Whether a line of it is next."""
        return self._next >= 0

    def go_to(self, position: int) -> None:
        """The block's line at `position` is next; -1: there is none."""
        self._next, self._other = position, -1

    def new_line(self) -> None:
        """Nothing of the line has been read."""
        self._next_at, self._other_at = self._next, self._other

    def advance(self, token: int) -> None:
        """Follow `token` in both lines."""
        tok = self._sources.log.tok
        if self._next_at >= 0:
            self._next_at = self._next_at + 1 if tok[self._next_at] == token else -1
        if self._other_at >= 0:
            self._other_at = self._other_at + 1 if tok[self._other_at] == token else -1

    def was_next(self, length: int) -> bool:
        """Whether the line of `length` tokens that was read is the one hinted by NEXT."""
        return self._next >= 0 and self._next_at == self._next + length

    def was_other(self, length: int) -> bool:
        """Whether it is the one hinted by ELSE."""
        return self._other >= 0 and self._other_at == self._other + length

    # -- a line is complete ----------------------------------------------------------------------

    def begin(self, start: int, here: int, first: int) -> None:
        """A heading was read, from `start` to its newline at `here`; its first line is `first`."""
        if not self.was_other(here + 1 - start):
            self.told = self.sent = False  # another block, not the rest of this one
        self.go_to(first)
        self._heading = tuple(self._sources.log.tok[start + 1 : here])

    def end_step(self, start: int, here: int) -> int:
        """Its next line was followed, from `start` to its newline at `here`: subject and object,
        and what comes after it. Returns where the prose begins that it tells, -1 if it tells none.
        """
        log = self._sources.log
        c, first = log.config, log.tok[start]
        then = self._next_at  # after its newline in the pack
        self.does = first == c.does
        if first in (c.condition, c.does) and c.field in log.tok[start:here]:
            self._hold([*log.fields(start, here)])
        if first == c.condition:
            self._next, self._other = log.line_after(then), then
        elif first == c.does:
            self.go_to(then)
        elif first == c.tell:
            self.told = True
            self.go_to(log.line_after(then))
            return then
        else:
            self.leave()
        return -1

    def leave(self) -> None:
        """What its lines were about doesn't matter any more; where they led to is told."""
        sources, c = self._sources, self._sources.log.config
        self.go_to(-1)
        sources.follow_made(KEY, (c.at, c.colon) if self.sent else ())
        if self._heading[:1] == (c.arrive,):
            sources.follow_made(KEY, (*sources.names.get(PLACE, ()), c.newline))
        for channel in (ABOUT, TO):
            sources.forget(channel)

    def _hold(self, parts: list[tuple[int, int]]) -> None:
        """What a condition or effect, split into its fields, is about, and its object."""
        does, sources, log = self.does, self._sources, self._sources.log
        c = log.config
        words = [tuple(log.tok[start:stop]) for start, stop in parts]
        to = 2 if does and len(parts) == 3 else 3  # `so deed X`; `so X moves to Y`
        for channel, number in ((ABOUT, 1), (TO, to)):
            sources.forget(channel)
            if number < len(parts):
                sources.names[channel] = words[number]
                sources.follow(channel, parts[number][0])
        if words[1] == (c.you,):
            sources.follow_made(ABOUT, (c.at, c.colon))
            self.sent = self.sent or does
        if words[1] == (c.game,) and does:
            self._due.game_over()
        if does and to + 1 < len(parts):  # `so you go to X, dark`: a field here is an item there
            items = ((c.comma, *item) for item in words[to + 1 :])
            sources.follow_made(TO, sum(items, words[to]))
        self._way = does and len(parts) > 2 and words[2][:1] == (c.leads,)
        clock = does and words[1] == (c.clock,) and len(parts) == 4
        if clock and log.is_heading((c.when, c.clock, c.field, *words[2], c.newline)):
            # `so clock X 5`: the item `X 5`. Without such a block it is a thing of that name.
            sources.names[TO] = words[2]
            sources.follow_made(TO, () if words[3] == (c.off,) else words[2] + words[3])
        if words[1] == (c.new,):
            key = tuple(token for token in self._heading if token != c.field)
            sources.follow_made(KEY, (*key, c.was, c.colon))

    def end_record(self, key: tuple[int, ...], former: int) -> None:
        """A record was read, whose value began at `former` before, -1: nowhere. If it is that of a
        way which the step makes, its direction goes into the list of exits."""
        sources, log = self._sources, self._sources.log
        if self._way and key == sources.names.get(ABOUT):
            new = former < 0 or log.tok[former] == log.config.nothing
            sources.names[TO], self._way = key[-1:], False
            sources.follow_made(TO, key[-1:] if new else ())
            sources.follow_made(VALUE, ())  # nothing was moved

    # -- the hints -------------------------------------------------------------------------------

    def hints(self, ids: array[int], codes: array[int], row: int, record: int) -> None:
        """Write both hints from `row` on; record: the token that RECORD names, -1 if none."""
        tok = self._sources.log.tok
        if 0 <= self._next_at < len(tok):
            token = ids[row + NEXT] = tok[self._next_at]
            runs = self._next_at != self._next
            codes[row + NEXT] = (2 if runs else 1) + (2 if token == record else 0)
        if 0 <= self._other_at < len(tok):
            token = ids[row + ELSE] = tok[self._other_at]
            runs = self._other_at != self._other
            codes[row + ELSE] = (2 if runs else 1) + (2 if token == record else 0)
