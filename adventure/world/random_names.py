"""Names for the parts of a random world, and what its people and rules speak of. Knows no prose."""

from __future__ import annotations

import random

from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS
from adventure.world.parts import DIRECTIONS, DOOR_RECORDS
from adventure.world.words import ADJECTIVES, COMMON, DOORS, PLACES, STUFF, VERBS, Stock

_PEOPLE = """
abbot aunt baker bishop boatman brewer captain carter clerk cobbler cook count cousin dancer doctor
duchess elder farmer ferryman fiddler fisher gardener ghost giant guard guide hermit hunter
inspector jailer jester judge keeper king knight lady landlord maid mason mayor merchant miller
miner monk nun nurse painter pedlar pilot piper poet porter priest prince queen ranger sailor
scholar sexton shepherd singer smith soldier squire stranger student tailor teacher thief tinker
uncle vicar warden watchman weaver widow witch wizard
""".split()
_OF_RECORDS = frozenset("you worn nowhere at deeds clocks game the say".split())
"""Words of the records: in a name now and then, so that names are read whole."""
_NOT_BORROWED = frozenset(
    ("at", "you", "game", "the", "end", "exits", "see", "carry", "treasures", "found", *DIRECTIONS)
)
_SMALL = ("of", "the")
_LONGEST = 40


class Names:
    """Draws names that an author could use. given: those in use, in the order they came in."""

    def __init__(self, rng: random.Random, stock: Stock) -> None:
        self.rng, self.stock = rng, stock
        self.given: list[str] = []
        self._taken: set[str] = {*_OF_RECORDS, *DIRECTIONS}
        self._doors: set[str] = set()

    def name(self, nouns: list[str], room: bool = False) -> str:
        """A noun of the list, most often with an adjective or two; a room's has capitals."""
        while True:
            words = [self._noun(nouns)]
            roll = self.rng.random()
            if roll < 0.75:
                words.insert(0, self._adjective())
            if roll < 0.1:
                words.insert(0, self._adjective())
            words = self._as_authors_do(words, 0.1 if room else 0.02)
            name = " ".join(words)
            if room:
                name = " ".join(w if w in _SMALL else w.capitalize() for w in words)
            if self._give(name, nouns is DOORS):
                return name

    def _as_authors_do(self, words: list[str], of: float) -> list[str]:
        """`keeper's kitchen`, `ash-bright bowl`, `hall of mist`, `behind the screen`."""
        roll = self.rng.random()
        if len(words) < 3 and roll < of:
            return [*words, "of", self.stock.draw(STUFF)]
        if len(words) == 2 and roll < of + 0.05:
            return [f"{self.stock.draw(_PEOPLE)}'s", words[1]]
        if len(words) == 2 and roll < of + 0.08:
            return [f"{self.stock.draw(STUFF)}-{words[0]}", words[1]]
        if len(words) == 1 and roll < of + 0.1:
            return [self.rng.choice(("behind", "beyond", "under")), "the", words[0]]
        return words

    def person(self, proper: bool) -> str:
        """`ferryman`, or `Old Ferryman` as a proper name."""
        while True:
            words = [self.stock.draw(_PEOPLE)]
            if self.rng.random() < 0.6:
                words.insert(0, self._adjective())
            name = " ".join(w.capitalize() for w in words) if proper else " ".join(words)
            if self._give(name, door=False):
                return name

    def topic(self) -> str:
        """What somebody can be asked about: a name of this world, or any word."""
        if self.given and self.rng.random() < 0.4:
            return self.rng.choice(self.given)
        return self.stock.draw(self.rng.choice((STUFF, COMMON, PLACES)))

    def deed(self) -> str:
        """What can be achieved: `lights the great lamp` with less sense."""
        words = [self.stock.draw(VERBS)]
        words += [self.stock.draw(COMMON) for _ in range(self.rng.randint(0, 2))]
        return " ".join((*words, self.stock.draw(STUFF)))

    def _give(self, name: str, door: bool) -> bool:
        """Take a name into use if it is free."""
        if len(name) > _LONGEST or not self._is_free(name.lower(), door):
            return False
        self._taken.add(name.lower())
        self.given.append(name)
        if door:
            self._doors.add(name)
        return True

    def _is_free(self, name: str, door: bool) -> bool:
        """Whether a name is neither taken nor forbidden, nor the key of a record about a door."""
        if name in self._taken or name in RESERVED_NAMES or RESERVED_WORDS & set(name.split()):
            return False
        if door:
            return not any(f"{name} {word}" in self._taken for word in DOOR_RECORDS)
        owner, _, word = name.rpartition(" ")
        return owner not in self._doors or word not in DOOR_RECORDS

    def _noun(self, nouns: list[str]) -> str:
        """Sometimes one that is already in use: `royal wicket` beside `gilded royal wicket`."""
        if nouns is not PLACES and self.rng.random() < 0.15:
            last = self.rng.choice(sorted(self._taken)).split()[-1]
            if last not in _NOT_BORROWED:
                return last
        return self.stock.draw(nouns)

    def _adjective(self) -> str:
        """Sometimes one that is in use, so that names share words and must be told apart."""
        if self.rng.random() < 0.3:
            first = self.rng.choice(sorted(self._taken)).split()[0]
            if first not in _NOT_BORROWED:
                return first
        return self.stock.draw(ADJECTIVES)
