"""What a player has read of a world's names, and has seen of it: what may be completed, be meant by
half a name, or be asked about. What was read or seen can't be forgotten.

Knows a world, texts and records; no game.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from adventure.play import phrases, readings
from adventure.play.readings import Records
from adventure.world.parts import World

KINDS = ("names", "seen", "rooms", "lit")
"""What a `Known` has sets of."""


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

    @property
    def kept(self) -> dict[str, list[str]]:
        """All of it, for a save."""
        return {kind: sorted(getattr(self, kind)) for kind in KINDS}

    def add(self, kept: Mapping[str, Iterable[str]]) -> None:
        """Know this, too, as far as the world has it; kept: of each of KINDS what `kept` gave."""
        for kind in KINDS:
            getattr(self, kind).update(kept[kind])
        self.go_on_in(self._world)

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
