"""Names for the parts of a random world, and what its people and rules speak of. Knows no prose."""

from __future__ import annotations

import random

from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS
from adventure.world.parts import DIRECTIONS
from adventure.world.verbs import SHORT
from adventure.world.words import (
    ADJECTIVES,
    COMMON,
    PEOPLE,
    PLACES,
    SHAPES,
    STUFF,
    VERBS,
    Stock,
)

_OF_RECORDS = frozenset("you worn nowhere at deeds clocks game the say".split())
"""Words of the records: in a name now and then, so that names are read whole."""
_NOT_BORROWED = frozenset(
    ("at", "you", "game", "the", "end", "exits", "see", "carry", "treasures", "found", *DIRECTIONS)
)
_NOTED = frozenset(("key", "holds", "was", "awaits", *DIRECTIONS))
"""What follows a name in the key of a record on it."""
_WAYS = frozenset((*DIRECTIONS, *SHORT))
_SMALL = ("of", "the")
_LONGEST = 40


class Names:
    """Draws names that an author could use. given: those in use, in the order they came in."""

    def __init__(self, rng: random.Random, stock: Stock) -> None:
        self.rng, self.stock = rng, stock
        self.given: list[str] = []
        self._taken: set[str] = set(_OF_RECORDS)
        self.house = rng.random() < 0.12
        """Named as in a house drawn by lot: everything has a shape, and keys that of their lock."""
        self._alike = rng.choice((0.2, 0.3, 0.6))
        """How many adjectives are in use already."""
        self._adjectives = 0.95 if self.house else rng.choice((0.4, 0.6, 0.75, 0.9))

    def name(self, nouns: list[str], room: bool = False) -> str:
        """A noun of the list, most often with an adjective or two; a room's has capitals."""
        while True:
            words = [self._noun(nouns)]
            roll = self.rng.random()
            if roll < (0.3 if room and self.house else self._adjectives):
                words.insert(0, self._adjective())
            if roll < 0.08:
                words.insert(0, self._adjective())
            words = self._as_authors_do(words, 0.1 if room else 0.02)
            name = " ".join(words)
            if room:
                name = " ".join(w if w in _SMALL else w.capitalize() for w in words)
            if self._give(name):
                return name

    def _as_authors_do(self, words: list[str], of: float) -> list[str]:
        """`keeper's kitchen`, `ash-bright bowl`, `hall of mist`, `behind the screen`."""
        roll = self.rng.random()
        if len(words) < 3 and roll < of:
            return [*words, "of", self.stock.draw(STUFF)]
        if len(words) == 2 and roll < of + 0.05:
            return [f"{self.stock.draw(PEOPLE)}'s", words[1]]
        if len(words) == 2 and roll < of + 0.08:
            return [f"{self.stock.draw(STUFF)}-{words[0]}", words[1]]
        if len(words) == 1 and roll < of + 0.1:
            return [self.rng.choice(("behind", "beyond", "under")), "the", words[0]]
        return words

    def like(self, name: str, nouns: list[str]) -> str:
        """A name that begins as another does: `wicker key` for the wicker gate; else any."""
        for _ in range(5):
            found = f"{name.split()[0].lower()} {self.stock.draw(nouns)}"
            if self._give(found):
                return found
        return self.name(nouns)

    def person(self, proper: bool) -> str:
        """`ferryman`, or `Old Ferryman` as a proper name."""
        owners = [name.split("'s ")[0].split()[-1] for name in self.given if "'s " in name]
        while True:
            words = [self.stock.draw(PEOPLE)]
            if owners and self.rng.random() < 0.15:
                words = [self.rng.choice(owners).lower()]
            if self.rng.random() < 0.6:
                words.insert(0, self._adjective())
            name = " ".join(w.capitalize() for w in words) if proper else " ".join(words)
            if self._give(name):
                return name

    def topic(self) -> str:
        """What somebody can be asked about: a name of this world, or any word."""
        while True:
            found = self.stock.draw(self.rng.choice((STUFF, COMMON, PLACES)))
            if self.given and self.rng.random() < 0.4:
                found = self.rng.choice(self.given)
            if found != "anything":
                return found

    def deed(self) -> str:
        """What can be achieved: `lights the great lamp` with less sense."""
        while True:
            words = [self.stock.draw(VERBS)]
            words += [self.stock.draw(COMMON) for _ in range(self.rng.randint(0, 2))]
            name = " ".join((*words, self.stock.draw(STUFF)))
            if not RESERVED_WORDS & set(name.split()) and name not in self._taken:
                self._taken.add(name)
                return name

    def clock(self) -> str:
        """One small word that nothing else is called by."""
        while True:
            name = self.stock.draw(STUFF)
            if name not in self._taken and name not in RESERVED_NAMES | RESERVED_WORDS:
                self._taken.add(name)
                return name

    def _give(self, name: str) -> bool:
        """Take a name into use if it is free."""
        if len(name) > _LONGEST or name.startswith("say ") or not self._is_free(name.lower()):
            return False
        self._taken.add(name.lower())
        self.given.append(name)
        return True

    def _is_free(self, name: str) -> bool:
        """Whether a name is neither taken nor forbidden, nor reads like the key of a record."""
        if name in self._taken or name in RESERVED_NAMES or RESERVED_WORDS & set(name.split()):
            return False
        if name in _WAYS or name.split()[0] in ("a", "an", "the"):
            return False
        owner, _, word = name.rpartition(" ")
        if word in _NOTED and owner in self._taken:
            return False
        return not any(f"{name} {word}" in self._taken for word in _NOTED)

    def _noun(self, nouns: list[str]) -> str:
        """Sometimes one that is already in use: `royal wicket` beside `gilded royal wicket`."""
        if nouns is not PLACES and self.rng.random() < 0.15:
            last = self.rng.choice(sorted(self._taken)).split()[-1]
            if last not in _NOT_BORROWED:
                return last
        return self.stock.draw(nouns)

    def _adjective(self) -> str:
        """Sometimes one that is in use, so that names share words and must be told apart."""
        if self.rng.random() < self._alike:
            first = self.rng.choice(sorted(self._taken)).split()[0]
            if first not in _NOT_BORROWED:
                return first
        return self.stock.draw(SHAPES if self.house else ADJECTIVES)
