"""TextWorld's words -> a world's: names, descriptions, commands. Knows no facts and no quests."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from adventure.play.transcript import clean
from adventure.world.pack import RESERVED_NAMES, RESERVED_WORDS
from adventure.world.parts import spoken

_MOST_WORDS = 4
_FILLERS = ("style", "type", "looking", "usual", "normal", "edition", "standard", "of")
"""What a name of too many words can do without, first to go first."""
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_LONGEST = 1_000  # characters of a description, before its sentence on the exits
_BRACKET = re.compile(r"\[(end )?if\b[^\]]*\]")
_SENTENCE = re.compile(r"[^.!?]*[.!?]+[\"')]*|[^.!?]+$")
_COMMANDS = (
    (re.compile(r"(go) (north|south|east|west)"), "{0} {1}"),
    (re.compile(r"(look|inventory)"), "{0}"),
    (re.compile(r"(?:take|get|pick up) (.+?)(?: from (.+))?"), "take {0}"),
    (re.compile(r"(?:insert|put) (.+) (?:into|in) (.+)"), "put {0} in {1}"),
    (re.compile(r"put (.+) on (.+)"), "put {0} on {1}"),
    (re.compile(r"(unlock|lock) (.+) with (.+)"), "{0} {1} with {2}"),
    (re.compile(r"(open|close|drop|eat|examine) (.+)"), "{0} {1}"),
)
"""Commands of TextWorld's and how they are said here."""


class Names(dict[str, str]):
    """Identifiers -> names that a world may have: small letters for things, capitals for rooms."""

    def __init__(self, found: Mapping[str, tuple[str, str]]) -> None:
        """found: identifier -> its type, its name in TextWorld."""
        super().__init__()
        self._theirs = {one: name for one, (_, name) in found.items()}
        self._taken = {spoken(word) for word in (*RESERVED_NAMES, *RESERVED_WORDS)}
        for one, (kind, name) in found.items():
            words = self.new(name)
            self[one] = words.title() if kind == "r" else words
        self._ours = {name.lower(): self[one] for one, name in self._theirs.items()}

    def new(self, name: str) -> str:
        """A name like this one that nothing has yet."""
        words = next(words for words in _candidates(name) if spoken(words) not in self._taken)
        self._taken.add(spoken(words))
        return words

    def synonyms(self, one: str) -> list[str]:
        """What TextWorld calls it, where that is another name and can be said."""
        theirs = " ".join(_words_of(self._theirs[one]))
        known = {spoken(name) for name in self.values()}
        words = theirs.split()
        fit = 0 < len(words) <= _MOST_WORDS and not set(words) & set(RESERVED_WORDS)
        return [theirs] if fit and spoken(theirs) not in known else []

    def translated(self, command: str) -> tuple[str, bool]:
        """A command in the words of the world, and whether its form is known."""
        for pattern, form in _COMMANDS:
            if said := pattern.fullmatch(command.strip().lower()):
                return form.format(*(self._ours.get(w or "", w) for w in said.groups())), True
        return command, False


def _candidates(name: str) -> Iterator[str]:
    """Names that may do, the nearest first; never ends."""
    words = [w for w in _words_of(name) if w not in RESERVED_WORDS] or ["thing"]
    for filler in _FILLERS:
        while len(words) > _MOST_WORDS and filler in words:
            words.remove(filler)
    words = [*words[: _MOST_WORDS - 1], words[-1]] if len(words) > _MOST_WORDS else words
    yield " ".join(words)
    rest = words[-(_MOST_WORDS - 1) :]
    for ordinal in _ORDINALS:
        yield " ".join((ordinal, *rest))
    for number in itertools.count():
        yield " ".join((f"number-{letters(number)}", *rest))


def _words_of(name: str) -> list[str]:
    words = re.findall(r"[a-z](?:[a-z'-]*[a-z])?", clean(name).lower())
    return [word for word in words if word not in ("a", "an", "the")]


def prose_of(text: object, first_only: bool = False) -> str:
    """A description without what Inform decides as it is told; first_only: its first paragraph."""
    said = clean(text) if isinstance(text, str) else ""
    if first_only:
        said = said.strip().partition("\n\n")[0]
    depth, at, kept = 0, 0, []
    for mark in _BRACKET.finditer(said):
        if depth == 0:
            kept.append(said[at : mark.start()])
        depth = max(0, depth - 1) if mark[1] else depth + 1
        at = mark.end()
    kept.append(said[at:] if depth == 0 else "")
    plain = re.sub(r"\[[^\]]*\]", "", "".join(kept))
    plain = sentences_within(plain, _LONGEST)
    if plain and plain[-1] not in ".!?\"')":
        plain += "."
    return plain[:1].upper() + plain[1:]


def sentences_within(text: str, most: int) -> str:
    """As many whole sentences of a text, on one line, as are no longer than `most` characters."""
    said = ""
    for sentence in _SENTENCE.findall(" ".join(clean(text).split())):
        if len(said) + len(sentence) > most:
            break
        said += sentence
    return said.strip()


def letters(number: int) -> str:
    """0, 1, ... 26 -> a, b, ... aa: names have no digits."""
    letter = chr(ord("a") + number % 26)
    return letter if number < 26 else letters(number // 26 - 1) + letter
