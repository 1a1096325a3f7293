"""A player's shorthand: several commands a line, IT, ALL, lists, AGAIN, OOPS. Knows only words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINKS = re.compile(r"\s*(?:[.;]|,?\s*(?:\band\s+)?\bthen\b)[\s,.;]*", re.IGNORECASE)
_IT = re.compile(r"\b(?:it|them)\b", re.IGNORECASE)
_TAKE, _DROP = ("take", "get", "grab", "pick up"), ("drop", "put down", "discard")
_SEVERAL = re.compile(rf"({'|'.join((*_TAKE, *_DROP))})\s+(.+)", re.IGNORECASE)
_ALL = re.compile(r"(?:all|everything)(?:\s+(?:except|but)(?:\s+for)?\s+(.+))?", re.IGNORECASE)
_COMMAS = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Several:
    """One verb for several things. everything: all there is but `nouns`; else just `nouns`."""

    verb: str
    everything: bool
    nouns: tuple[str, ...]


@dataclass(frozen=True)
class Slip:
    """A command that wasn't understood: the wrong word, and what was still to be done after it."""

    command: str
    word: str
    rest: tuple[str, ...]

    def corrected(self, word: str) -> str:
        """The command with `word` in place of the wrong one."""
        return _whole(self.word).sub(lambda _: word, self.command, count=1)


def commands_of(line: str) -> list[str]:
    """`north. take lamp then east` -> its commands; an empty line is one empty command."""
    return [command for command in _LINKS.split(line.strip()) if command] or [""]


def is_again(command: str) -> bool:
    """Whether the last command is to be repeated."""
    return command.lower() in ("again", "g")


def oops(command: str) -> str | None:
    """The word that OOPS puts right, which may be empty; None for other commands."""
    first, _, word = command.partition(" ")
    return word.strip() if first.lower() in ("oops", "o") else None


def has_it(command: str) -> bool:
    """Whether the command speaks of something by a pronoun."""
    return _IT.search(command) is not None


def with_noun(command: str, noun: str) -> str:
    """The command with the noun in place of IT or THEM."""
    return _IT.sub(lambda _: noun, command)


def several(command: str) -> Several | None:
    """`take all but lamp`, `drop lamp and key` -> Several; None for a command about one thing."""
    match = _SEVERAL.fullmatch(command)
    if match is None:
        return None
    verb = "drop" if match.group(1).lower() in _DROP else "take"
    everything = _ALL.fullmatch(match.group(2))
    if everything is not None:
        return Several(verb, True, tuple(_COMMAS.split(everything.group(1) or "")))
    nouns = tuple(_COMMAS.split(match.group(2)))
    return Several(verb, False, nouns) if len(nouns) > 1 else None


def slip_of(command: str, complaint: str, rest: tuple[str, ...]) -> Slip | None:
    """What OOPS would put right: the word of the command that the complaint quotes, if it does."""
    quoted = re.search(r'"([^"]+)"', complaint)
    if quoted is None or not _whole(quoted.group(1)).search(command):
        return None
    return Slip(command, quoted.group(1), rest)


def mentions(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text as words of its own; both in small letters."""
    return phrase in text and _whole(phrase).search(text) is not None


def _whole(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(phrase)}\b", re.IGNORECASE)
