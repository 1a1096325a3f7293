"""What a player has read of a world's names: what may be completed, and be meant by half a name.

Knows a world and texts; no records and no game.
"""

from __future__ import annotations

from collections import Counter

from adventure.play import phrases
from adventure.world.parts import World


class Known:
    """names: those that have been read, synonyms among them. What was read can't be forgotten."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.names: set[str] = set()

    def read(self, *texts: str) -> None:
        """Note the names in what the player is shown."""
        low = "\n".join(texts).lower()
        for names in self._world.names.values():
            new = (name for name in names if name not in self.names)
            self.names.update(name for name in new if phrases.mentions(low, name.lower()))

    def go_on_in(self, world: World) -> None:
        """The world was edited: its names are others."""
        self._world = world
        self.names &= {name for names in world.names.values() for name in names}

    @property
    def nouns(self) -> set[str]:
        """What has been read of, by its name or by a word that is its alone."""
        names = self._world.names
        named = Counter(name for known in names.values() for name in known)
        alone = {name for name in self.names if named[name] == 1}
        return {noun for noun, known in names.items() if noun in self.names or alone & set(known)}
