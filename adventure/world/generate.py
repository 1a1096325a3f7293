"""Random worlds by seed, for training and for judging. Knows the pack format, no network.

Held-out words, and sizes beyond those trained on, are set apart by construction.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

from adventure.errors import PackError
from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS
from adventure.world.pack import make_world
from adventure.world.parts import DIRECTIONS, DOOR_RECORDS, OPPOSITE, World
from adventure.world.words import (
    ADJECTIVES,
    ADVERBS,
    COMMON,
    DOORS,
    KEYS,
    PLACES,
    STUFF,
    THINGS,
    VERBS,
    Stock,
)

TRAIN_ROOMS = (3, 12)
LARGER_ROOMS = (14, 20)

_PATTERNS = (
    "The {s} {v} {d} over the {a} {p}.",
    "Here {s} and {s} {v} {d}.",
    "A {a}, {a} {p}, where {s} {v}.",
    "{S} {v} among the {s}.",
    "It smells of {s} and {a} {s}.",
    "You can hear the {s}, {d}, beyond the {p}.",
    "Someone has left {s} on the {a} floor.",
    "The {a} {s} {v}, and the {s} {v} {d}.",
    "There is {s} in every corner, {a} and {a}.",
    "Nothing here {v} but the {s}.",
    "Once this was a {p}; {d}, the {s} {v}.",
    "{D} the {s} {v}.",
    "What the {s} doesn't cover, the {s} does.",
    "You feel the {s} on your skin, {a} as {s}.",
    "In the {a} light the {p} {v} {d}.",
    "It is {a}, it is {a}, and it is {d} yours.",
    "Made of {s} and {s}, it looks {a}.",
    "The maker's mark is {a}, the rest {d} {a}.",
    "Its surface is {a}; {s} has got into the cracks.",
    "Not {a}, exactly: {a}, like the {s} of a {p}.",
)  # fmt: skip
_TRIES = 100
"""Worlds drawn for one without a fault; 3,000 seeds needed no more than one each."""
_OWN_WORDS = ("at", "you", "game", "the", "end", "exits", "see", "carry", "treasures", "found")


def random_world(
    seed: int,
    held_out: bool = False,
    rooms: tuple[int, int] = TRAIN_ROOMS,
    pseudo: float | None = None,
    long_prose: float = 0.3,
) -> World:
    """A world made from `seed` alone: a tree of rooms, loops, doors, keys, things, an ending.

    Raises PackError where it isn't chance that every world drawn has a fault.
    """
    rng = random.Random(f"world-{seed}-{held_out}-{rooms}")
    for _ in range(_TRIES - 1):
        # Chance may have made names that an author may not use: draw on.
        with contextlib.suppress(PackError):
            return _Maker(rng, held_out, rooms, pseudo, long_prose).make()
    return _Maker(rng, held_out, rooms, pseudo, long_prose).make()


class _Maker:
    def __init__(
        self,
        rng: random.Random,
        held_out: bool,
        rooms: tuple[int, int],
        pseudo: float | None,
        long: float,
    ) -> None:
        self.rng = rng
        share = rng.choice((0.0, 0.05, 0.2, 0.4)) if pseudo is None else pseudo
        self.stock = Stock(rng, held_out, share)
        self.n_rooms = rng.randint(*rooms)
        self.long = rng.random() < long
        self.taken: set[str] = set(RESERVED_NAMES) | set(DIRECTIONS)
        self.door_names: set[str] = set()
        self.ways: dict[tuple[str, str], str] = {}
        self.named: list[str] = []
        self.mentions = rng.choice((0.0, 0.1, 0.3))

    def make(self) -> World:
        """The finished world, through the same checks as an author's."""
        rng = self.rng
        names = [self._name(PLACES, room=True) for _ in range(self.n_rooms)]
        links = self._map(names)
        n_things = rng.randint(max(2, self.n_rooms // 2), self.n_rooms + 4)
        things = [self._thing(names) for _ in range(n_things)]
        doors = self._doors(links, things, names)
        portable = [t["name"] for t in things if t.get("portable", True)]
        if not portable:
            things[0]["portable"] = True
            portable = [things[0]["name"]]
        table: dict[str, Any] = {
            "format": 0,
            "title": " ".join(w.capitalize() for w in self._name(PLACES).split()),
            "intro": self._prose(1),
            "start": rng.choice(names),
            "ending": {
                "thing": rng.choice(portable),
                "room": rng.choice(names),
                "text": self._prose(1),
            },
            "rooms": [
                {
                    "name": name,
                    "description": self._prose(rng.randint(1, 2)),
                    "exits": {d: to for (at, d), to in self.ways.items() if at == name},
                }
                for name in names
            ],
            "doors": doors,
            "things": things,
        }
        return make_world(table, source="random world")

    def _name(self, nouns: list[str], room: bool = False) -> str:
        while True:
            words = [self._noun(nouns)]
            roll = self.rng.random()
            if roll < 0.75:
                words.insert(0, self._adjective())
            if roll < 0.1:
                words.insert(0, self._adjective())
            if room and len(words) < 3 and self.rng.random() < 0.1:
                words += ["of", self.stock.draw(STUFF)]
            name = " ".join(words)
            if room:
                name = " ".join(w if w == "of" else w.capitalize() for w in words)
            if len(name) <= 40 and self._is_free(name.lower(), nouns is DOORS):
                self.taken.add(name.lower())
                self.named.append(name)
                if nouns is DOORS:
                    self.door_names.add(name)
                return name

    def _is_free(self, name: str, door: bool) -> bool:
        """Whether a name is neither taken nor forbidden, nor the key of a record about a door."""
        if name in self.taken or RESERVED_WORDS & set(name.split()):
            return False
        if door:
            return not any(f"{name} {word}" in self.taken for word in DOOR_RECORDS)
        owner, _, word = name.rpartition(" ")
        return owner not in self.door_names or word not in DOOR_RECORDS

    def _noun(self, nouns: list[str]) -> str:
        """Sometimes one that is already in use: `royal wicket` beside `gilded royal wicket`."""
        if nouns is not PLACES and self.taken and self.rng.random() < 0.15:
            last = self.rng.choice(sorted(self.taken)).split()[-1]
            if last not in DIRECTIONS and last not in _OWN_WORDS:
                return last
        return self.stock.draw(nouns)

    def _adjective(self) -> str:
        """Sometimes one that is in use, so that names share words and must be told apart."""
        if self.taken and self.rng.random() < 0.3:
            first = self.rng.choice(sorted(self.taken)).split()[0]
            if first not in DIRECTIONS and first not in _OWN_WORDS:
                return first
        return self.stock.draw(ADJECTIVES)

    def _map(self, names: list[str]) -> list[tuple[str, str, str]]:
        """A spanning tree, some loops and some one-way exits; returns the two-way links."""
        rng, links = self.rng, list[tuple[str, str, str]]()
        compass = list(DIRECTIONS)
        if rng.random() < 0.7:
            compass = [d for d in DIRECTIONS if d not in ("in", "out")]
        for i, name in enumerate(names[1:], 1):
            for _ in range(50):
                other = rng.choice(names[:i])
                direction = rng.choice(compass[: rng.choice((4, 8, 12))])
                if self._link(other, direction, name, one_way=False):
                    links.append((other, direction, name))
                    break
        for _ in range(rng.randint(0, len(names) // 2)):
            a, b, direction = rng.choice(names), rng.choice(names), rng.choice(compass)
            one_way = rng.random() < 0.4
            if a != b and self._link(a, direction, b, one_way) and not one_way:
                links.append((a, direction, b))
        return links

    def _link(self, a: str, direction: str, b: str, one_way: bool) -> bool:
        back = (b, OPPOSITE[direction])
        if (a, direction) in self.ways or (not one_way and back in self.ways):
            return False
        self.ways[a, direction] = b
        if not one_way:
            self.ways[back] = a
        return True

    def _doors(
        self, links: list[tuple[str, str, str]], things: list[dict[str, Any]], names: list[str]
    ) -> list[dict[str, Any]]:
        """Some of the links get a door, some of those a lock, whose key is one of the things."""
        rng, doors = self.rng, list[dict[str, Any]]()
        count = min(len(links), rng.choice((0, 1, 2, 2, 3, 3)))
        for at, direction, to in rng.sample(links, count):
            del self.ways[at, direction], self.ways[to, OPPOSITE[direction]]
            door: dict[str, Any] = {
                "name": self._name(DOORS),
                "description": self._prose(1),
                "from": at,
                "direction": direction,
                "to": to,
            }
            roll = rng.random()
            if roll < 0.75:
                key = self._thing(names, nouns=KEYS if rng.random() < 0.7 else THINGS)
                key["portable"] = True
                things.append(key)
                door |= {"locked": roll < 0.6, "key": key["name"]}
            if not door.get("locked"):
                door["open"] = rng.random() < 0.3
            doors.append(door)
        return doors

    def _thing(self, rooms: list[str], nouns: list[str] = THINGS) -> dict[str, Any]:
        rng = self.rng
        roll = rng.random()
        thing: dict[str, Any] = {"name": self._name(nouns), "description": self._prose(1)}
        if roll < 0.2:
            thing["portable"] = False
        elif roll < 0.4:
            thing["treasure"] = True
        if roll >= 0.2 and rng.random() < 0.12:
            thing["carried"] = True
        else:
            thing["room"] = rng.choice(rooms)
        return thing

    def _prose(self, sentences: int) -> str:
        if self.long and self.rng.random() < 0.4:
            sentences += self.rng.randint(1, 3)
        return " ".join(self._sentence() for _ in range(sentences))

    def _sentence(self) -> str:
        draw, out = self.stock.draw, list[str]()
        if self.rng.random() < 0.3:  # no grammar at all: an author's sentences will not follow ours
            return self._salad()
        slots = {"s": STUFF, "a": ADJECTIVES, "p": PLACES, "v": VERBS, "d": ADVERBS}
        pieces = self.rng.choice(_PATTERNS).split("{")
        out.append(pieces[0])
        for piece in pieces[1:]:
            slot, _, rest = piece.partition("}")
            word = self._mentioned() or draw(slots[slot.lower()])
            out += [word.capitalize() if slot.isupper() else word, rest]
        return "".join(out)

    def _salad(self) -> str:
        words = [self.stock.draw(COMMON) for _ in range(self.rng.randint(4, 14))]
        at = self.rng.randrange(1, len(words))
        words[at] = self._mentioned() or words[at]
        if self.rng.random() < 0.3:
            words[self.rng.randrange(1, len(words))] += ","
        text = " ".join(words)
        return f"{text[0].upper()}{text[1:]}."

    def _mentioned(self) -> str:
        """Now and then a name of this world: authors speak of things that the records list too."""
        if not self.named or self.rng.random() >= self.mentions:
            return ""
        return self.rng.choice(self.named)
