"""What a record that is finished leads to: places, lists, and parts of the world that have moved.

Sets VALUE, KEY, PLACE and TO. Of blocks it knows whether one is followed, and what it does.
"""

from __future__ import annotations

from array import array

from engine.hintblock import Block
from engine.hintconfig import ABOUT, KEY, NOUN, PLACE, TO, VALUE
from engine.hintrecords import VERB, RecordThreads
from engine.hintsources import Sources


class Finished:
    """The turn's record finished last. key, value: where its parts begin and end, -1: nowhere."""

    __slots__ = ("_dark", "_holder", "_sources", "_went", "key", "value")

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.key = self.value = (-1, -1)
        self._holder = False  # whether what VALUE names is the key of a record
        self._went = False  # whether the player has gone
        self._dark = False  # whether light is being looked for

    def copy(self, sources: Sources) -> Finished:
        """The same record, with these sources from now on."""
        new = object.__new__(Finished)
        new._sources, new.key, new.value = sources, self.key, self.value
        new._holder, new._went, new._dark = self._holder, self._went, self._dark
        return new

    def end_record(
        self, start: int, here: int, record: RecordThreads, block: Block
    ) -> tuple[int, ...]:
        """A record was read, from `start` to its newline at `here`. Returns its key."""
        log = self._sources.log
        value = log.tok.index(log.config.colon, start) + 1
        self.key, self.value = (start, value - 1), (value, here - 1)
        key = tuple(log.tok[start : value - 1])
        if record.listing:
            self._end_list(key, block)
        elif key == (log.config.at,):
            self._end_place(value, block)
        else:
            self._end_part(key, value, record.former, block)
        return key

    def _end_list(self, key: tuple[int, ...], block: Block) -> None:
        """What is next to be written isn't this list, nor anything in it."""
        sources, c = self._sources, self._sources.log.config
        line = (*key, c.colon)
        for channel in (KEY, VALUE, TO):
            if channel != TO or sources.made(TO) == line:
                sources.follow_made(channel, ())
        if self._dark and not block.goes_on:  # whether something lit is there was read
            place = sources.names[PLACE]
            self._follow_way(place)
            self._dark = key == c.carry
            if self._dark:
                sources.follow_made(KEY, (*place, c.holds, c.colon))

    def _end_place(self, value: int, block: Block) -> None:
        """Where the player is: to be told of, or to be left by a way."""
        sources, log, names = self._sources, self._sources.log, self._sources.names
        c, place = log.config, tuple(log.item(value))
        self._went = self._went or block.sent or names.get(PLACE, place) != place
        names[PLACE] = place
        sources.follow(VALUE, value)
        self._holder = False
        arrival = (c.when, c.arrive, c.field, *place, c.newline)
        arrives = self._went and not block.goes_on and log.is_heading(arrival)
        sources.follow_made(KEY, arrival if arrives else ())
        sources.follow(PLACE, value)
        self._dark = [c.dark] in log.items(value)
        if not self._dark:
            self._follow_way(place)

    def _follow_way(self, place: tuple[int, ...]) -> None:
        """Whoever wants to go takes the way from the place."""
        names, c = self._sources.names, self._sources.log.config
        if names.get(VERB) == (c.go,) and not self._went:
            self._sources.follow_made(PLACE, (*place, *names.get(NOUN, ()), c.colon))

    def _end_part(self, key: tuple[int, ...], value: int, was: int, block: Block) -> None:
        """A thing, a person, a door or a way: of what was moved, both lists are next.

        was: where the value began that it had before, -1: nowhere.
        """
        sources, log, names = self._sources, self._sources.log, self._sources.names
        c = log.config
        self._dark = False
        sources.follow(KEY, self.key[0])
        way = (*key, *names.get(NOUN, ()), c.colon)
        if names.get(VERB) == (c.go,) and log.is_line(way):
            sources.follow_made(KEY, way)  # a door to go through
        sources.follow(VALUE, value)
        self._holder = log.is_line((*log.item(value), c.colon))
        if was >= 0 and (before := log.item(was)) != (after := log.item(value)):
            self._holder = False
            left, now = self._list_of(before), self._list_of(after)
            sources.follow_made(VALUE, left)
            sources.follow_made(TO, now)
            here = self._list_of([*names.get(PLACE, ())])
            if here and here in (left, now) and [c.person] in log.items(value) and not block.told:
                sources.follow_made(KEY, (c.tell,))  # somebody who comes or goes is told
        elif [c.light] in log.items(value):
            effect = block.does and key == names.get(ABOUT)
            if effect or (was >= 0 and log.items(was) != log.items(value)):  # lit, or put out
                self._holder = False
                sources.follow_made(VALUE, self._list_of(log.item(value)))

    def _list_of(self, place: list[int]) -> tuple[int, ...]:
        """The key of the list of what is there, with its colon; () if there is none."""
        log, c = self._sources.log, self._sources.log.config
        if place in ([c.you], [c.worn]):
            return (*c.carry, c.colon)
        line = (*place, c.holds, c.colon)
        return line if log.is_line(line) else ()

    def mark(
        self, ids: array[int], codes: array[int], row: int, told: bool, key_done: bool
    ) -> None:
        """Say of fresh hints from `row` on what they name (see CODES).

        told: whether the block has told something; key_done: a colon has been read in this line.
        """
        sources = self._sources
        for channel in (VALUE, TO):
            made = sources.made(channel)
            if codes[row + channel] != 1 or not made or told:
                continue
            if made == self._list_of([*sources.names.get(PLACE, ())]):
                codes[row + channel] = 6
        if codes[row + KEY] == 1 and sources.made(KEY) == (sources.log.config.tell,):
            codes[row + KEY] = 7
        if sources.made(VALUE) or key_done:
            return
        if not self._holder:  # no line begins with it
            ids[row + VALUE] = codes[row + VALUE] = 0
        elif codes[row + VALUE] in (1, 3):
            codes[row + VALUE] = 5
