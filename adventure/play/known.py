"""What a player has read of a world's names, and has seen of it: what may be completed, be meant by
half a name, or be asked about. What was read or seen can't be forgotten.

Knows a world, texts and records; no game.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from adventure.play import phrases, readings
from adventure.play.readings import Records
from adventure.world.parts import World
from adventure.world.prompt import parse_record


class Known:
    """names: those that have been read, synonyms among them. seen: nouns that have been at hand;
    rooms: where the player has been; lit: those of them where there was light to see by."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.names: set[str] = set()
        self.seen: set[str] = set()
        self.rooms: set[str] = set()
        self.lit: set[str] = set()

    def read(self, *texts: str) -> None:
        """Note the names in what the player is shown."""
        low = "\n".join(texts).lower()
        for names in self._world.names.values():
            new = (name for name in names if name not in self.names)
            self.names.update(name for name in new if phrases.mentions(low, name.lower()))

    def look_round(self, records: Records) -> None:
        """Note where the player is, and what there is to see."""
        room = readings.room_of(self._world, records)
        if room not in self._world.by_name:  # a record may say anything
            return
        self.rooms.add(room)
        self.seen.update(readings.at_hand(self._world, records))
        if not readings.too_dark(self._world, records):
            self.lit.add(room)

    def follow(self, records: Records, turns: Iterable[Iterable[str]]) -> None:
        """Look round in every turn of a game: these were its records at first, and its turns'
        hidden lines."""
        now = dict(records)
        self.look_round(now)
        for lines in turns:
            for record in map(parse_record, lines):
                if record and record[0] in now:
                    now[record[0]] = record[1]
            self.look_round(now)

    def go_on_in(self, world: World) -> None:
        """The world was edited: its names are others."""
        self._world = world
        self.names &= {name for names in world.names.values() for name in names}
        self.seen &= set(world.names)
        rooms = {room.name for room in world.rooms}
        self.rooms, self.lit = self.rooms & rooms, self.lit & rooms

    @property
    def nouns(self) -> set[str]:
        """What has been read of, by its name or by a word that is its alone."""
        names = self._world.names
        named = Counter(name for known in names.values() for name in known)
        alone = {name for name in self.names if named[name] == 1}
        return {noun for noun, known in names.items() if noun in self.names or alone & set(known)}
