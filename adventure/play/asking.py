"""Questions to the game master, as players type them behind `?`: which records they are about.

Knows a world, its words and what the player has seen; no network and no game. What hasn't been seen
can't be asked about, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from adventure.play import phrases, readings
from adventure.play.known import Known
from adventure.play.readings import Records
from adventure.play.telling import Asked, Kind, Read, Teller
from adventure.play.transcript import Said, clean
from adventure.world.commands import Rejection
from adventure.world.lexicon import lexicon_of, plain
from adventure.world.parts import World, words_of
from adventure.world.prompt import parse_record

UNSEEN = "You haven't seen any such thing."
NO_ANSWER = "The game master has no answer to that."
ALIKE = "[The game's own records differ from that.]"
"""Where what differs is nothing that the player has seen."""
_NAMELESS = "I don't know yet {}; say the name."
_SHORT = re.compile(r"\b(where|what|who|how)'s\b")
_HE = re.compile(r"\b(?:he|she)\b", re.IGNORECASE)
_PLEASE = re.compile(
    r"(?:(?:can|do) you )?(?:please )?(?:remember|recall|know|tell me) (?:about )?"
)
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "carried",
        re.compile(
            r"carrying|carried|i|inv|inventory|wearing|holding|my (?:things|hands|pockets)"
            r"|what (?=.*\b(?:carry|carrying|have|got|hold|holding|wear|wearing|me|my|hands?)\b)"
            r"(?:am i|do i|have i|i am|i have|i|is)(?: (?:carry|carrying|have|got|hold"
            r"|holding|wear|wearing|with|on|in|me|my|hands?))+"
        ),
    ),
    ("place", re.compile(r"where(?: am i)?(?: now)?|(?:what|which) (?:room|place) is (?:this|it)")),
    (
        "here",
        re.compile(
            r"here|around(?: me)?|look|l|(?:this )?(?:room|place)"
            r"|(?:what|who) (?:is|are|can i see|do i see) (?:there )?(?:here|around(?: me)?|there)"
        ),
    ),
)
_EXITS = re.compile(
    r"where can i go|where to|(?:how|where) do i (?:leave|get out)"
    r"|(?:(?:what|which|where) (?:is|are) )?(?:the |my )?(?:exits?|ways?|directions?)(?: out)?"
    r"(?: (?:of|from|in|at|for) (?P<of>.+)| here)?|(?P<room>.+?)(?:'s)? exits"
)
_INSIDE = re.compile(
    r"(?:(?:what|who) )?(?:(?:is|are|lies) )?(?:there )?(?:in|inside|on|upon|at) (?P<what>.+)"
    r"|what (?:has|does|do) (?P<who>.+?)(?: (?:got|have|hold|carry|contain))+|what has (?P<had>.+)"
)
_ABOUT = re.compile(
    r"(?:(?:where|what|who|how|which|whose|when|why)(?: (?:is|are|was|were|has|have|had|holds|about"
    r"|of|did i (?:leave|put|see|drop|find)))?|is|are|was|were|has|about) (?P<what>.+)"
)
_COMMAS = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)

Recall = Callable[[str], str]
"""A record's key -> the record as the master writes it, a line."""


@dataclass(frozen=True)
class Asking:
    """Reads questions where these records hold. noun, person: what IT and HIM or HER mean."""

    world: World
    known: Known
    records: Records
    noun: str = ""
    person: str = ""

    def answers(self, question: str, recall: Recall) -> Iterator[Said]:
        """What the master says to it, hidden lines included, and where the records differ."""
        asked = self.read(question)
        if isinstance(asked, str):
            yield Said("note", asked)
            return
        for one in asked:
            yield from self._answer(one, recall)

    def _answer(self, asked: Asked, recall: Recall) -> Iterator[Said]:
        lines, differs = list[str](), False

        def remembered(key: str) -> tuple[str, ...]:
            nonlocal differs
            lines.append(recall(key))
            record = parse_record(lines[-1])
            differs |= record != (key, tuple(self.records.get(key, ())))
            if record is None:
                raise ValueError(f"{lines[-1]!r}, wanted a record")
            return record[1]

        dark = readings.too_dark(self.world, self.records)
        teller = Teller(self.world, self.known, dark)
        told = _words(teller, asked, remembered)
        yield from (Said("record", clean(line)) for line in lines)
        yield Said("note", told)
        if differs:
            own = _words(teller, asked, lambda key: self.records.get(key, ()))
            otherwise = f"[The game's own records have it otherwise: {own}]"
            yield Said("note", ALIKE if own in (told, NO_ANSWER) else otherwise)

    # -- reading -----------------------------------------------------------------------------------

    def read(self, question: str) -> tuple[Asked, ...] | str:
        """What is asked about; a complaint where that is nothing that the player has seen."""
        question = _HE.sub("him", question)
        for has, put, named, what in (
            (phrases.has_whom, phrases.with_person, self.person or self.noun, "who you mean"),
            (phrases.has_it, phrases.with_noun, self.noun, "what you mean by that"),
        ):
            if has(question) and not named:
                return _NAMELESS.format(what)
            question = put(question, named) if named else question
        found = self._read(question)
        if not found:
            found = _all(map(self._read, _COMMAS.split(question)))
        return tuple(dict.fromkeys(found)) or UNSEEN

    def _read(self, question: str) -> tuple[Asked, ...]:
        text = _SHORT.sub(r"\1 is", " ".join(words_of(question)))
        text = _PLEASE.sub("", text, count=1)
        if found := self._named(text.split()):
            return found
        if text in ("me", "myself", "self"):
            return Asked("place"), Asked("carried")
        for kind, pattern in _KINDS:
            if pattern.fullmatch(text):
                return (Asked(kind),)
        if match := _EXITS.fullmatch(text):
            return self._exits(match["of"] or match["room"] or "here")
        if match := _INSIDE.fullmatch(text):
            found = self._meant(match["what"] or match["who"] or match["had"])
            found = tuple(self._contents(one) for one in found)
            return tuple(one for one in found if one.kind != "part") or found
        if match := _ABOUT.fullmatch(text):
            words = match["what"].split()  # `is the lamp lit`: what follows the name is let go
            ends = (self._meant(" ".join(words[:n])) for n in range(len(words), 0, -1))
            return next(filter(None, ends), ())
        return self._meant(text)

    def _exits(self, phrase: str) -> tuple[Asked, ...]:
        here = phrase in ("here", "this room", "this place")
        room = readings.room_of(self.world, self.records)
        rooms = [room] if here else [a.name for a in self._meant(phrase) if a.kind == "room"]
        return tuple(Asked("exits", room) for room in rooms if room in self.known.rooms)

    def _contents(self, asked: Asked) -> Asked:
        """What is in it, where anything can be."""
        holds = asked.kind == "part" and f"{asked.name} holds" in self.records
        return Asked("inside", asked.name) if holds else asked

    def _named(self, words: list[str]) -> tuple[Asked, ...]:
        """What the words name in full."""
        lexicon = lexicon_of(self.world)
        noun = lexicon.named(words)
        if noun in self.known.seen:
            return (Asked("part", noun),)
        room = lexicon.rooms.get(" ".join(words)) or lexicon.rooms.get(" ".join(plain(words)))
        return (Asked("room", room),) if room in self.known.rooms else ()

    def _meant(self, phrase: str) -> tuple[Asked, ...]:
        """All that a phrase may mean: its whole name, a synonym, or some of its words."""
        words = phrase.split()
        if found := self._named(words):
            return found
        seen, rooms = self.known.seen, lexicon_of(self.world).rooms.items()
        said = lexicon_of(self.world).for_one_who_saw(seen).resolve(words, ())
        nouns = said.among if isinstance(said, Rejection) else (said,)
        some = set(plain(words))
        met = [room for spoken, room in rooms if some and some <= set(spoken.split())]
        found = (
            *(Asked("part", noun) for noun in nouns if noun in seen),
            *(Asked("room", room) for room in met if room in self.known.rooms),
        )
        parts = phrase.split(" and ")
        return found or (_all(map(self._meant, parts)) if len(parts) > 1 else ())


def _words(teller: Teller, asked: Asked, read: Read) -> str:
    try:
        return teller.tell(asked, read)
    except (ValueError, IndexError):
        return NO_ANSWER


def _all(meant: Iterable[tuple[Asked, ...]]) -> tuple[Asked, ...]:
    """What several phrases mean together; nothing where one of them means nothing."""
    several = [*meant]
    return tuple(one for found in several for one in found) if all(several) else ()
