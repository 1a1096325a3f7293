"""Prose and standing replies of a random world: words in order, without sense. Knows no rule."""

from __future__ import annotations

import random
from collections.abc import Sequence

from adventure.world.random_grammars import STYLES, WAYS, Grammar, curly, expand, finished
from adventure.world.random_names import Names
from adventure.world.random_words import plural
from adventure.world.voice import VOICES, voice
from adventure.world.words import (
    ADJECTIVES,
    ADVERBS,
    BASES,
    COMMON,
    DOINGS,
    PASTS,
    PEOPLE,
    PLACES,
    STUFF,
    THINGS,
    VERBS,
)

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
)
_OWN_WAYS = (
    "I don't {v}; nobody's {a} here.",
    "It's {a}: {s}, {s}, and a {p}'s worth of {s}.",
    '"{S}," it says. "{A} {s}, and {a}."',
    '"Is it {a}?" Somebody\'s {s} {v}.',
    "\"You'd {v} {d}, wouldn't you?\"",
    "Isn't that {a}! A half-{a} {p}, well-{a} and {d} {a}.",
    "(There are {s} and {s}, they've {d} said.)",
    "{A}; {a}; {d} {a}. The {p}'s {s} - or the {s}'s.",
    '"{A}! {D} {a}!" And then: {s}.',
)
"""What training's other sentences lack: speech, contractions, and every mark that authors set."""
_SLOTS = {
    "s": STUFF,
    "a": ADJECTIVES,
    "p": PLACES,
    "v": VERBS,
    "d": ADVERBS,
    "t": THINGS,
    "j": PEOPLE,
    "w": PASTS,
    "b": BASES,
    "g": DOINGS,
    "c": COMMON,
}
NUMBERS = "two three four five six seven nine ten twelve twenty forty".split()


class Prose:
    """Writes for one world. long: the chance that its paragraphs are, as an author's may be.

    brief: all sentences as short as the grammar allows, for worlds of many rooms.
    """

    def __init__(self, rng: random.Random, names: Names, long: float, brief: bool = False) -> None:
        self.rng, self.names, self.stock = rng, names, names.stock
        self.brief = brief
        self._long = rng.random() < long and not brief
        self._essay = self._long and rng.random() < 0.3
        self._mentions = rng.choice((0.0, 0.1, 0.3))
        self._style = "house" if names.house else rng.choice(("", "", *STYLES))
        self._depth = 1 if brief else rng.choice((1, 2, 2, 3))
        self._salad_share = (0.3 if brief else 0.25) if not self._style else 0.1
        self._exits_told = rng.random() < 0.3
        self._curly = rng.random() < 0.08

    def text(self, sentences: int = 1) -> str:
        """A paragraph of at least that many sentences."""
        if self._essay or (self._long and self.rng.random() < 0.4):
            sentences += self.rng.randint(1, 3)
        told = " ".join(self._sentence() for _ in range(sentences))
        return curly(told) if self._curly else told

    def say(self) -> str:
        """What a rule tells: of one sentence, and in wordy worlds of up to three."""
        return self.text(self.rng.choice((1, 1, 1, 1, 2)) if self._depth > 1 else 1)

    def room(self, exits: Sequence[str]) -> str:
        """A room's description, in some worlds with the ways out of it."""
        sentences = self.rng.choice((1, 1, 2)) if self._depth > 1 else 1
        if not self._exits_told or not exits:
            return self.text(sentences)
        ways = list(exits)
        said = " and ".join((", ".join(ways[:-1]), ways[-1])) if len(ways) > 1 else ways[0]
        grammar: Grammar = {"S": WAYS[1:] if len(ways) > 1 else WAYS[:-1]}
        told = expand(
            grammar, "S", self.rng, lambda slot: said if slot == "x" else self._word(slot), 1
        )
        return f"{self.text()} {finished(told)}" if self.rng.random() < 0.7 else finished(told)

    def replies(self) -> dict[str, tuple[str, ...]]:
        """Standing replies in this world's words: some of the program's, some of nobody's."""
        rng, found = self.rng, dict[str, tuple[str, ...]]()
        person, tense = rng.choice(("first", "second", "second")), rng.choice(("present", "past"))
        name = self.names.person(proper=True) if rng.random() < 0.06 else ""
        table = voice(rng.choice(sorted(VOICES)), "third" if name else person, tense, name)
        own = rng.choice((0.0, 0.2, 0.5))
        for kind, templates in table.items():
            forms = list(templates)
            rng.shuffle(forms)
            forms = forms[: rng.choice((1, 1, 1, 2, 3))]
            if kind not in ("place", "exits", "see") and rng.random() < own:
                forms = [self._reply(text) for text in forms]
            found[kind] = tuple(forms)
        return found

    def _reply(self, text: str) -> str:
        """Any words, with the marks of a reply among them."""
        words = [self.stock.draw(COMMON) for _ in range(self.rng.randint(2, 6))]
        for mark in (m for m in "*#~@&^" if m in text):
            words.insert(self.rng.randint(1, len(words)), mark)
        text = " ".join(words)
        return f"{text[0].upper()}{text[1:]}."

    def _sentence(self) -> str:
        if (
            self.rng.random() < self._salad_share
        ):  # no grammar: authors' sentences won't follow ours
            return self._salad()
        if self._style and self.rng.random() < 0.9:
            name = self._style if self.rng.random() < 0.8 else self.rng.choice((*STYLES,))
            return finished(expand(STYLES[name], "S", self.rng, self._word, self._depth))
        ways = _OWN_WAYS if self.rng.random() < 0.25 else _PATTERNS
        pieces = self.rng.choice(ways).split("{")
        out = [pieces[0]]
        for piece in pieces[1:]:
            slot, _, rest = piece.partition("}")
            word = self._mentioned() or self.stock.draw(_SLOTS[slot.lower()])
            out += [word.capitalize() if slot.isupper() else word, rest]
        return finished("".join(out))

    def _word(self, slot: str) -> str:
        """What fills a slot of a grammar (random_grammars.py)."""
        if slot == "x":
            return str(self.rng.randint(2, 99))
        if slot == "n":
            return self.rng.choice(NUMBERS)
        name = self._mentioned()
        if slot == "m":
            name = name or self.stock.draw(PEOPLE)
            return name if name[0].isupper() else f"the {name}"
        if len(slot) > 1:
            return self.stock.draw(_SLOTS[slot[0]], plural)
        return (name if slot in "tsp" else "") or self.stock.draw(_SLOTS[slot])

    def _salad(self) -> str:
        words = [self.stock.draw(COMMON) for _ in range(self.rng.randint(4, 12))]
        at = self.rng.randrange(1, len(words))
        words[at] = self._mentioned() or words[at]
        if self.rng.random() < 0.3:
            words[self.rng.randrange(1, len(words))] += ","
        text = " ".join(words)
        return f"{text[0].upper()}{text[1:]}."

    def _mentioned(self) -> str:
        """Now and then a name of this world: authors speak of things that the records list too."""
        if not self.names.given or self.rng.random() >= self._mentions:
            return ""
        return self.rng.choice(self.names.given)
