"""Words of WordNet for random worlds (wordnet.txt), and verbs' regular forms. Knows no world."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

KINDS = (
    *("person", "place", "stuff", "artifact", "food", "plant", "animal", "natural"),
    *("adjective", "verb", "adverb"),
)


@cache
def wordnet(kind: str) -> tuple[str, ...]:
    """All words of a kind, the most frequent first. Raises KeyError for a kind that there isn't."""
    return _all()[kind]


@cache
def _all() -> dict[str, tuple[str, ...]]:
    text = files("adventure.world").joinpath("wordnet.txt").read_text(encoding="utf-8")
    found = dict[str, list[str]]()
    kind = ""
    for line in text.splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
            found[kind] = []
        elif line and not line.startswith("#"):
            found[kind] += line.split()
    return {kind: tuple(words) for kind, words in found.items()}


def third(verb: str) -> str:
    """`carry` -> `carries`."""
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if _ends_in_y(verb) else f"{verb}s"


def plural(noun: str) -> str:
    """`torch` -> `torches`; what ends in s stays as it is."""
    return noun if noun.endswith("s") else third(noun)


def past(verb: str) -> str:
    """`carry` -> `carried`; a regular verb that doubles nothing."""
    if verb.endswith("e"):
        return f"{verb}d"
    return f"{verb[:-1]}ied" if _ends_in_y(verb) else f"{verb}ed"


def doing(verb: str) -> str:
    """`carve` -> `carving`."""
    silent = verb.endswith("e") and not verb.endswith(("ee", "ye", "oe"))
    return f"{verb[:-1] if silent else verb}ing"


def _ends_in_y(verb: str) -> bool:
    return verb.endswith("y") and verb[-2:-1] not in "aeiou"
