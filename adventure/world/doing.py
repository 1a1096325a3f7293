"""A command in an author's words -> its canonical line: `give coin to Jo` -> `give|coin|Jo`.

Knows the verbs and a world's names, no rules: it has to hold before the rules can be read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from adventure.world.commands import Command
from adventure.world.keys import Fault, nearest, quoted
from adventure.world.lexicon import ARTICLES
from adventure.world.parts import DIRECTIONS, World, words_of
from adventure.world.verbs import BARE_OF, BEFORE, MOVES, SHORT, VERB_OF, VERBS

Names = Mapping[str, tuple[str, ...]]
"""Phrase, as commands compare it -> the names that it can mean."""
_LINKS = {link for verb in VERBS for link in verb.links} | set(
    "with using to into on onto in inside at from over under behind about of for against".split()
)
_ABOUT = {"ask": ("about", "for"), "tell": ("about", "of"), "talk": ("about",)}
_LONGEST_LINK = max(len(link.split()) for link in _LINKS)
_ARRIVE = "arrive"
_PRONOUNS = ("it", "them", "him")
"""A name is put in their place before a command is read."""
_LONGEST = 200  # characters
_SLIP = 0.75
"""How much a verb's own words must be like a name to be taken for it, misspelt."""


def canonical_rules(
    table: Mapping[str, Any],
) -> tuple[list[Fault], dict[str, Any], dict[str, str]]:
    """What isn't a command; the rules with canonical lines, to put over the pack's; and each line
    as the author typed it first."""
    rules = table.get("rules")
    typed = dict[str, str]()
    if not isinstance(rules, list):
        return [], {}, typed
    names = _names(table)
    slips, read = list[Fault](), list[Any]()
    for i, rule in enumerate(rules):
        said = rule.get("when") if isinstance(rule, dict) else None
        texts: list[Any] = said if isinstance(said, list) else [said]
        if not all(isinstance(text, str) for text in texts):
            read.append(rule)  # the types are the affair of keys.py
            continue
        lines = list[str]()
        for text in texts:
            try:
                lines.append(line := canonical(text, names))
                typed.setdefault(line, " ".join(text.split()) if "|" not in text else "")
            except ValueError as error:
                slips.append((("rules", i, "when"), f"the rule {quoted(text)} {error}"))
                lines.append(text)
        read.append({**rule, "when": tuple(lines) if isinstance(said, list) else lines[0]})
    return slips, {"rules": read}, {line: text for line, text in typed.items() if text}


def canonical(text: str, names: Names) -> str:
    """The line that the grammar makes of these words.

    A line that is canonical already stays as it is. Raises ValueError, with a clause that says what
    is wrong, where it is no command.
    """
    if "|" in text:
        return text
    if len(text) > _LONGEST:
        raise ValueError("is too long for a command; write one such as 'pull lever'.")
    words = _words(text)
    whole = " ".join(words)
    if not words:
        raise ValueError("says nothing to do; write a command such as 'pull lever'.")
    pronoun = next((word for word in words if word in _PRONOUNS), "")
    if pronoun or words_of(text)[-1] == "her":
        raise ValueError(f"says {pronoun or 'her'!r}, which players' words never keep; name it.")
    if whole in BARE_OF:
        return BARE_OF[whole]
    last = SHORT.get(words[-1], words[-1])
    if last in DIRECTIONS and (len(words) == 1 or (len(words) == 2 and words[0] in MOVES)):
        return f"go|{last}"
    for i in range(1, len(words)):
        verb = " ".join(words[:i])
        if found := _nouns(VERB_OF.get(verb, verb), words[i:], names):
            if i > 1 and verb not in VERB_OF and _misspelt(words[:i], names):
                break
            return "|".join(found)
    if fault := _unread(words, names):
        raise ValueError(fault)
    return whole


def keep_words(world: World, typed: dict[str, str]) -> None:
    """Remember a world's commands as its author typed them, for messages about its rules."""
    world.__dict__["_typed"] = typed


def in_words(line: str, world: World) -> str:
    """The inverse: a canonical line as the world's author typed it, else as players would."""
    typed: dict[str, str] = world.__dict__.get("_typed", {})
    return typed.get(line) or Command(line).phrase.removeprefix("go ")


def _nouns(verb: str, rest: list[str], names: Names) -> tuple[str, ...]:
    """The verb and the one or two nouns that `rest` is made of; nothing where it isn't."""
    if name := _one(" ".join(rest), names):
        return verb, name
    for j in range(1, len(rest) - 1):
        first = _one(" ".join(rest[:j]), names)
        if not first:
            continue
        if rest[j] in _ABOUT.get(verb, ()):
            return "ask" if verb == "talk" else verb, first, " ".join(rest[j + 1 :])
        for length in range(_LONGEST_LINK, 0, -1):
            second = _one(" ".join(rest[j + length :]), names)
            if second and " ".join(rest[j : j + length]) in _LINKS:
                return verb, first, second
    return ()


def _one(phrase: str, names: Names) -> str:
    """The name that a phrase means, if it means just one."""
    found = names.get(phrase, ())
    return found[0] if len(found) == 1 else ""


def _unread(words: list[str], names: Names) -> str:
    """What is wrong with words that make no line; nothing, if they are a verb of the world's."""
    if words[0] == _ARRIVE:
        return "is no command; what is told on a first visit stands in the room, as 'first'."
    known = _known_verb(words)
    if known == len(words):
        return "lacks a noun; say what it is done to."
    if not known:
        slips = (i for i in range(1, len(words)) if _misspelt(words[: i + 1], names))
        known = next(slips, 0)
        if not known and len(words) <= 3:
            return ""
        known = max(known, 1)
    while known < len(words) - 1 and words[known] in BEFORE:
        known += 1
    unknown = next(p for p in _phrases(words[known:]) if not _one(p, names))
    if several := names.get(unknown):
        return f"names {unknown!r}, which can be {' or '.join(map(repr, several))}; write which."
    end = nearest(unknown, list(names))
    return f"names {quoted(unknown)}, which is no door, thing, person or scenery{end}"


def _known_verb(words: list[str]) -> int:
    """How many words a verb of the game's takes at the beginning; none where there is none."""
    lengths = range(min(len(words), 4), 0, -1)
    return next((n for n in lengths if " ".join(words[:n]) in VERB_OF), 0)


def _misspelt(verb: list[str], names: Names) -> bool:
    """Whether a verb of the world's own is another with a slip in its noun: `give con to`."""
    said = verb[max(_known_verb(verb), 1) :]
    while said and said[-1] in _LINKS:
        said = said[:-1]
    phrase = " ".join(said)
    return bool(phrase not in names and difflib.get_close_matches(phrase, names, 1, _SLIP))


def _phrases(words: list[str]) -> Iterator[str]:
    """Words cut in two at what links nouns, if that stands among them; then all of them."""
    for i in range(1, len(words) - 1):
        if words[i] in _LINKS:
            yield " ".join(words[:i])
            yield " ".join(words[i + 1 :])
            break
    yield " ".join(words)


def _words(text: str) -> list[str]:
    return [word for word in words_of(text) if word not in ARTICLES]


def _names(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Every phrase of the table's nouns, as far as it has them; a name goes before synonyms."""
    own, others = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    for name, phrases in _nouns_of(table):
        own[" ".join(_words(name))] = (name,)
        for phrase in (" ".join(_words(p)) for p in phrases):
            others[phrase] = tuple(dict.fromkeys((*others.get(phrase, ()), name)))
    return {**others, **own}


def _nouns_of(table: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Names with their synonyms; a key of a room's scenery has both."""
    for kind in ("rooms", "doors", "things", "people"):
        parts = table.get(kind)
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict):
                continue
            name, synonyms, scenery = (part.get(k) for k in ("name", "synonyms", "scenery"))
            if kind != "rooms" and isinstance(name, str):
                yield name, [str(s) for s in synonyms] if isinstance(synonyms, list) else []
            for names in scenery if isinstance(scenery, dict) else ():
                first, *rest = (n.strip() for n in names.split(","))
                yield first, rest
