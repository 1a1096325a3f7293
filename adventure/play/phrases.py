"""A player's shorthand: chains of commands, IT, HIM, ALL, lists, AGAIN, OOPS. Knows only words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINKS = re.compile(r"\s*(?:[.;]|,?\s*(?:\band\s+)?\bthen\b)[\s,.;]*", re.IGNORECASE)
_IT = re.compile(r"\b(?:it|them)\b", re.IGNORECASE)
_WHOM = re.compile(
    r"\b(?:him|her(?=\s*$|\s+(?:about|for|to|with|from|the|a|an|some|my)\b))\b", re.IGNORECASE
)
"""HER before other words is an article: in `take her lamp` it means nobody."""
_TAKE = ("take", "get", "grab", "pick up", "pick")
_DROP = ("drop", "put down", "set down", "lay down", "discard", "leave")
_PUT, _GIVE = ("put", "place", "insert", "set", "lay"), ("give", "offer", "hand")
_WEAR, _UNDRESS = ("wear", "put on"), ("remove", "take off")
_OUT_OF = ("from", "out of", "off")
_INTO = ("into", "in", "inside", "onto", "on", "upon")
_VERBS = (*_DROP, *_WEAR, *_UNDRESS, "pick up", *_TAKE, *_PUT, *_GIVE)
_SEVERAL = re.compile(
    rf"(?P<head>(?P<verb>{'|'.join(_VERBS)})\s+(?P<what>.+?)"
    rf"(?:\s+(?P<particle>up|down))?(?:\s+(?P<link>{'|'.join((*_OUT_OF, *_INTO))}|to))?)"
    r"(?(link)(?:\s+(?P<other>.+))?)",
    re.IGNORECASE,
)
_ALL = re.compile(r"(?:all|everything)(?:\s+(?:except|but)(?:\s+for)?\s+(.+))?", re.IGNORECASE)
_COMMAS = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Several:
    """One verb for several things. everything: all there is but `nouns`; else just `nouns`.

    other: what they are taken from, put into or given to, and link the word before it; head: the
    command up to there.
    """

    verb: str
    everything: bool
    nouns: tuple[str, ...]
    link: str = ""
    other: str = ""
    head: str = field(default="", compare=False)

    @property
    def lacks_other(self) -> bool:
        """Whether it has yet to be said where they go, or to whom."""
        return self.verb in ("put", "give") and not self.other


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


def has_whom(command: str) -> bool:
    """Whether the command speaks of somebody by a pronoun."""
    return _WHOM.search(command) is not None


def with_noun(command: str, noun: str) -> str:
    """The command with the noun in place of IT or THEM."""
    return _IT.sub(lambda _: noun, command)


def with_person(command: str, person: str) -> str:
    """The command with the person in place of HIM or HER."""
    return _WHOM.sub(lambda _: person, command)


def several(command: str) -> Several | None:
    """`take all but lamp`, `drop lamp and key`, `put all in box` -> Several; None for a command
    about one thing."""
    match = _SEVERAL.fullmatch(command)
    verb, link = _meant(match) if match else ("", "")
    if match is None or not verb:
        return None
    everything = _ALL.fullmatch(match["what"])
    nouns = tuple(_COMMAS.split(everything[1] or "" if everything else match["what"]))
    if not everything and len(nouns) < 2:
        return None
    head = match["head"] if link else f"{match['head']} {'to' if verb == 'give' else 'in'}"
    return Several(verb, bool(everything), nouns, link, match["other"] or "", head)


def _meant(match: re.Match[str]) -> tuple[str, str]:
    """The verb as commands have it, and the word before the second noun; no verb: a command about
    something else."""
    said, particle, link = (" ".join((match[name] or "").lower().split()) for name in _PARTS)
    links: tuple[str, ...] = ()
    if said in _WEAR:
        verb = "wear" if not particle else ""
    elif said in _UNDRESS and not link:
        verb = "remove" if not particle else ""
    elif said in (*_TAKE, *_UNDRESS):
        verb, links = "take" if particle != "down" else "", (*_OUT_OF, "in", "inside", "on")
    elif said in _GIVE:
        verb, links = "give" if not particle else "", ("to",)
    elif link in _INTO:
        verb, links = "put" if particle != "up" else "", _INTO
    else:
        verb = "" if particle == "up" else "drop" if said in _DROP or particle else "put"
    return (verb, link) if link in ("", *links) else ("", "")


_PARTS = ("verb", "particle", "link")


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
