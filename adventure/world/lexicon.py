"""The words of one world: which noun a phrase means, which of its rules a command is about.

Knows what the pack says, not where anything is: `near` names the things at hand, as far as anybody
knows, and `seen` those that the player has come across. Made once for a world, since every command
asks it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from typing import cast

from adventure.world.commands import Rejection
from adventure.world.parts import DIRECTIONS, Door, Part, Person, Thing, World, spoken, words_of
from adventure.world.verbs import ANSWERED, BY_NAME, COMMAND_WORDS, VERB_OF, Verb

ARTICLES = frozenset("the a an my some this that his her their your".split())
NOT_FOR_YOU = "You don't need to trouble yourself with that."
NOT_HERE = "You can see nothing like that here."
_ALIKE = 0.72
"""How like a word must be to be offered for one that isn't known."""


def the(name: str) -> str:
    """A name with its article: none for a proper one."""
    return name if name[:1].isupper() else f"the {name}"


def plain(words: Sequence[str]) -> list[str]:
    """Without articles."""
    return [word for word in words if word not in ARTICLES]


class Lexicon:
    """rules: a command as it is typed -> the line of the rule's block; own: verbs of the world's,
    as they are spoken; rooms: names as they are spoken -> name.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = {spoken(name): name for name in world.names}
        self.phrases = {n: [words_of(p) for p in known] for n, known in world.names.items()}
        self.rooms = {spoken(room.name): room.name for room in world.rooms}
        self.rules: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self.seen: Collection[str] | None = None
        self._known: frozenset[str] | None = None
        for do, line in world.alias.items():
            self.rules[do] = line
            if _verb(do) not in BY_NAME:
                self.own.setdefault(spoken(_verb(do)), _verb(do))
        # What an author calls by another name is meant too: `board|bus` by `enter|bus`.
        for do, line in world.alias.items():
            name, bar, rest = do.partition("|")
            verb = VERB_OF.get(spoken(name), "")
            if bar and verb and verb not in ANSWERED:
                self.rules.setdefault(f"{verb}|{rest}", line)

    def for_one_who_saw(self, seen: Collection[str] | None) -> Lexicon:
        """The same words for a player who has come across these nouns; None: across all."""
        if seen is None:
            return self
        mine = copy.copy(self)
        mine.seen = seen
        return mine

    # -- rules

    def rule(self, verb: Verb, said: str, *nouns: str) -> str:
        """The line of the rule that a command is about; empty where there is none."""
        fields = "|".join(nouns)
        longer = [own for own in self.own if own.startswith(f"{said} ")]  # `wind up` for `wind`
        names = (self.own.get(said), verb.name, verb.otherwise, *(self.own[own] for own in longer))
        for name in names:
            if name and (line := self.rules.get(f"{name}|{fields}")):
                return line
        return ""

    def bare(self, words: Sequence[str]) -> str:
        """The line of a rule about a verb alone; empty where there is none."""
        said = " ".join(words)
        return self.rules.get(self.own.get(said, said), "")

    # -- nouns

    def named(self, words: Sequence[str]) -> str | None:
        """The noun that the words name in full, with or without an article before them."""
        return self.names.get(" ".join(words)) or self.names.get(" ".join(plain(words)))

    def empty(self, words: Sequence[str]) -> bool:
        """Whether no noun was given: only articles, which aren't a name either."""
        return not plain(words) and not self.named(words) and not self._pronoun(words)

    def _pronoun(self, words: Sequence[str]) -> bool:
        return bool(self.world.people) and list(words) in (["him"], ["her"])

    def resolve(
        self, words: Sequence[str], near: Collection[str], verb: Verb | None = None
    ) -> str | Rejection:
        """The one noun that a phrase means: its name, a synonym, or some of its words.

        What is at hand comes first, then what has been seen: half a name is no way to learn of
        what is far away.
        """
        name = self.named(words)
        if name:
            return name
        if self._pronoun(words):
            return self.person(near, "")
        said, bare = list(words), plain(words)
        known = self.phrases.items()
        exact = [n for n, phrases in known if said in phrases or bare in phrases]
        loose = [n for n, phrases in known if any(set(bare) <= set(p) for p in phrases)]
        at_hand = [[n for n in found if n in near] for found in (exact, loose)]
        met = [[n for n in found if self._met(n)] for found in (exact, loose)]
        found = next((names for names in (*at_hand, *met) if names and bare), [])
        if len(found) > 1:
            found = self._fit(found, verb) or found
        if len(found) == 1:
            return found[0]
        if found:
            return Rejection(f"Which do you mean, {_either(found)}?", among=tuple(found))
        if loose and bare:
            return Rejection(NOT_HERE)
        return self._unknown(bare, near)

    def _met(self, name: str) -> bool:
        return self.seen is None or name in self.seen

    def _fit(self, names: list[str], verb: Verb | None) -> list[str]:
        """Of several, those that the verb makes sense with."""
        test = _FITTING.get(verb.name) if verb else None
        if verb is None or test is None:
            return []
        parts = self.world.by_name
        return [n for n in names if f"{verb.name}|{n}" in self.rules or test(parts.get(n))]

    def person(self, near: Collection[str], pending: str) -> str | Rejection:
        """The only person who can be meant where nobody is named."""
        people = [p.name for p in self.world.people]
        here = [name for name in people if name in near] if near else people
        if len(here) == 1:
            return here[0]
        if not here:
            return Rejection("There is nobody here to talk to.")
        question = f"Whom do you mean, {_either(here)}?" if near else "Whom do you mean?"
        return Rejection(question, pending, tuple(here))

    def _unknown(self, words: list[str], near: Collection[str]) -> Rejection:
        """No noun: a word that occurs nowhere, or one that is only talk."""
        if self._known is None:
            world = self.world
            prose = [world.intro, *(text for p in world.parts for text in (p.name, p.description))]
            phrases = [phrase for names in world.names.values() for phrase in names]
            self._known = frozenset((*words_of(" ".join((*prose, *phrases))), *DIRECTIONS))
        stranger = next((w for w in words if w not in self._known), None)
        if stranger is None:
            return Rejection(NOT_FOR_YOU)
        here = {w for n in near for phrase in self.phrases.get(n, ()) for w in phrase}
        return Rejection(f'I don\'t know the word "{stranger}"{_meant(stranger, here) or "."}')

    def unknown_verb(self, word: str) -> Rejection:
        """No command begins like this."""
        verbs = {verb for verb in COMMAND_WORDS if " " not in verb and verb != word}
        meant = _meant(word, verbs) or ". (HELP lists what you can say.)"
        return Rejection(f'I don\'t know how to "{word}"{meant}')


def lexicon_of(world: World) -> Lexicon:
    """The world's words, gathered when they are first asked for."""
    if (made := world.__dict__.get("_lexicon")) is None:
        made = world.__dict__["_lexicon"] = Lexicon(world)
    return cast(Lexicon, made)


def _verb(do: str) -> str:
    return do.partition("|")[0]


def _either(names: Sequence[str]) -> str:
    return ", ".join(the(n) for n in names[:-1]) + f" or {the(names[-1])}"


def _meant(word: str, known: Collection[str]) -> str:
    """The end of a complaint about a word that is like one that the player may know."""
    like = get_close_matches(word, sorted(w for w in known if len(w) > 2), 1, _ALIKE)
    return f'; did you mean "{like[0]}"?' if like and len(word) > 2 else ""


def _trait(*names: str) -> Callable[[Part | None], bool]:
    return lambda part: any(getattr(part, name, False) for name in names)


def _shuts(part: Part | None) -> bool:
    return isinstance(part, Door) or (isinstance(part, Thing) and part.openable)


def _someone(part: Part | None) -> bool:
    return isinstance(part, Person)


def _portable(part: Part | None) -> bool:
    return isinstance(part, Thing) and not part.fixed


_FITTING: dict[str, Callable[[Part | None], bool]] = {
    "take": _portable,
    "drop": _portable,
    "open": _shuts,
    "close": _shuts,
    "unlock": _shuts,
    "lock": _shuts,
    "wear": _trait("wearable"),
    "remove": _trait("wearable"),
    "eat": _trait("edible"),
    "drink": _trait("drinkable"),
    "on": _trait("switch", "light"),
    "off": _trait("switch", "light"),
    "read": _trait("text"),
    "ask": _someone,
    "tell": _someone,
    "talk": _someone,
    "wake": _someone,
}
"""Verb -> what it makes sense with, where a phrase could mean several things."""
