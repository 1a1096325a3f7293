"""What a world is made of: rooms, doors, things, an ending. Knows no files and no network.

Types only; what they can't say is checked in faults.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from adventure.world.voice import Voice, voice

OPPOSITE = {
    "north": "south",
    "south": "north",
    "east": "west",
    "west": "east",
    "northeast": "southwest",
    "southwest": "northeast",
    "northwest": "southeast",
    "southeast": "northwest",
    "up": "down",
    "down": "up",
    "in": "out",
    "out": "in",
}
DIRECTIONS = tuple(OPPOSITE)
ROOM_RECORDS = (*DIRECTIONS, "holds", "awaits")
DOOR_RECORDS = (*DIRECTIONS, "key")
"""What follows a name in the key of a record: `Hall north`, `Hall holds`, `oak door key`."""
_PROSE_LIMIT = 1200  # characters in one paragraph: what a turn can speak in a few seconds

Prose = Annotated[str, Field(min_length=1, max_length=_PROSE_LIMIT)]
About = Annotated[str, Field(max_length=_PROSE_LIMIT)]
Texts = Annotated[tuple[About, ...], Field(max_length=20)]
"""Names, conditions, effects: few, and none longer than a paragraph."""
LONGEST_CLOCK = 200
"""Turns. A clock is a block of the pack's text for every nine of them."""
LONGEST_STEP = 9
"""Turns from one room to the next of somebody's walk: of one digit, which is all that is learnt."""
Turns = Annotated[StrictInt, Field(ge=1, le=LONGEST_CLOCK)]
Points = Annotated[StrictInt, Field(ge=0, le=1000)]
TREASURE_POINTS = 5
"""What taking a treasure is worth where [deeds] doesn't list it."""


class Table(BaseModel):
    """A table of world.toml: its keys are those listed, and it doesn't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Part(Table):
    """Whatever has a name and prose."""

    name: str
    description: Prose


class Room(Part):
    """A place. first: told on the first visit; scenery: what can be looked at, nothing more."""

    exits: dict[str, str] = {}
    dark: StrictBool = False
    first: About = ""
    scenery: Annotated[dict[str, Prose], Field(max_length=50)] = {}


class Noun(Part):
    """What a command can be about. plural: THEM means it too."""

    synonyms: Texts = ()
    plural: StrictBool = False


class Door(Noun):
    from_: str = Field(alias="from")
    direction: str
    to: str
    locked: StrictBool = False
    open: StrictBool = False
    key: str | None = None

    @property
    def state(self) -> str:
        """As its record says it."""
        return "locked" if self.locked else "open" if self.open else "closed"


YOU, WORN, NOWHERE = "you", "worn", "nowhere"


class Thing(Noun):
    """in_: a room, a container, a supporter, a person, `you`, `worn` or `nowhere`."""

    in_: str = Field(alias="in")
    fixed: StrictBool = False
    container: StrictBool = False
    supporter: StrictBool = False
    openable: StrictBool = False
    locked: StrictBool = False
    open: StrictBool = False
    key: str | None = None
    light: StrictBool = False
    switch: StrictBool = False
    on: StrictBool = False
    wearable: StrictBool = False
    edible: StrictBool = False
    drinkable: StrictBool = False
    treasure: StrictBool = False
    text: About = ""
    states: Texts = ()

    @property
    def state(self) -> str:
        """What can change about it, beside its place; empty if nothing can."""
        if self.states:
            return self.states[0]
        if self.openable:
            return "locked" if self.locked else "open" if self.open else "closed"
        if self.switch or self.light:
            return "on" if self.on else "off"
        return ""

    @property
    def traits(self) -> tuple[str, ...]:
        """What doesn't change about it, as its record says it."""
        names = ("container", "supporter", "light", "switch", "wearable", "edible", "drinkable")
        found = [name for name in names if getattr(self, name)]
        first = "fixed" if self.fixed else "treasure" if self.treasure else "portable"
        return (first, *found)


class Person(Noun):
    """Somebody. topics: what they say when asked (`storm, weather`); other: of all else."""

    in_: str = Field(alias="in")
    topics: Annotated[dict[str, Prose], Field(max_length=100)] = {}
    talk: About = ""
    other: About = ""
    route: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    every: Annotated[StrictInt, Field(ge=1, le=LONGEST_STEP)] = 3


class Rule(Table):
    """When `when` is done in `in_`, and all of `needs` hold, `then` happens and `say` is told.

    when: canonical lines; a file has them in plain words (doing.py). in_: the room, or empty.
    needs: conditions, or conditions with what is told if they fail; otherwise: told for the rest.
    """

    when: str | Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    in_: str = Field(default="", alias="in")
    needs: Texts | Annotated[dict[str, About], Field(max_length=20)] = ()
    otherwise: About = ""
    then: Annotated[tuple[About, ...], Field(max_length=50)] = ()
    say: Prose
    once: StrictBool = False
    again: About = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """All the commands that it answers."""
        return (self.when,) if isinstance(self.when, str) else self.when

    @property
    def first(self) -> str:
        """The command that the rule's block answers."""
        return self.commands[0]

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Each condition with its own refusal, or with none."""
        needs = self.needs
        return list(needs.items()) if isinstance(needs, dict) else [(need, "") for need in needs]


class Clock(Table):
    """Something that happens after a number of turns, and again and again where `every` is true."""

    name: str
    turns: Turns
    running: StrictBool = False
    every: StrictBool = False
    needs: Texts = ()
    then: Annotated[tuple[About, ...], Field(max_length=50)] = ()
    say: About = ""


class Ending(Table):
    thing: str
    room: str
    text: Prose


class Style(Table):
    """How the game's own replies speak. name: who the player is, in the third person."""

    person: Literal["first", "second", "third"] = "second"
    tense: Literal["present", "past"] = "present"
    voice: str = "plain"
    name: About = ""


class World(Table):
    """A pack of format 1, checked: every name that it mentions exists."""

    format: Literal[1]
    ifid: About = ""
    title: Annotated[str, Field(min_length=1, max_length=120)]
    author: About = ""
    headline: About = ""
    genre: About = ""
    description: About = ""
    language: About = "en"
    released: About = ""
    forgiveness: About = ""
    cover: About = ""
    cover_alt: About = ""
    intro: Prose
    start: str
    hints: Annotated[tuple[Prose, ...], Field(max_length=50)] = ()
    style: Style = Style()
    replies: dict[str, About | Annotated[tuple[About, ...], Field(min_length=1, max_length=8)]] = {}
    deeds: Annotated[dict[str, Points], Field(max_length=100)] = {}
    ending: Ending | None = None
    rooms: Annotated[tuple[Room, ...], Field(max_length=200)]
    doors: Annotated[tuple[Door, ...], Field(max_length=200)] = ()
    things: Annotated[tuple[Thing, ...], Field(max_length=400)] = ()
    people: Annotated[tuple[Person, ...], Field(max_length=100)] = ()
    rules: Annotated[tuple[Rule, ...], Field(max_length=400)] = ()
    clocks: Annotated[tuple[Clock, ...], Field(max_length=50)] = ()
    name: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything that has a name."""
        return (*self.rooms, *self.doors, *self.things, *self.people)

    @cached_property
    def points(self) -> dict[str, int]:
        """Deed -> what it is worth; treasures that [deeds] doesn't list come last."""
        found = {thing.name: TREASURE_POINTS for thing in self.things if thing.treasure}
        return {**self.deeds, **{name: n for name, n in found.items() if name not in self.deeds}}

    def points_of(self, deed: str) -> int:
        """What a deed is worth; taking a treasure is one under the treasure's name."""
        return self.points.get(deed, 0)

    @property
    def nouns(self) -> tuple[Noun, ...]:
        """Everything that a command can be about, in the order of the pack's text."""
        return (*self.doors, *self.things, *self.people)

    @cached_property
    def by_name(self) -> dict[str, Part]:
        """Name -> part."""
        return {part.name: part for part in self.parts}

    @cached_property
    def voice(self) -> Voice:
        """The standing replies, the pack's own among them. Raises KeyError for an unknown voice."""
        style = self.style
        table = voice(style.voice, style.person, style.tense, style.name)
        own = {k: (said,) if isinstance(said, str) else said for k, said in self.replies.items()}
        return {**table, **own}

    @cached_property
    def by_name_of_nouns(self) -> tuple[str, ...]:
        """All names that a command can be about, scenery included."""
        return (*(n.name for n in self.nouns), *self.scenery)

    @cached_property
    def scenery(self) -> dict[str, tuple[str, ...]]:
        """Name -> the rooms that it is in; a key of a room's may list synonyms after it."""
        found: dict[str, tuple[str, ...]] = {}
        for room in self.rooms:
            for names in room.scenery:
                name = names.split(",")[0].strip()
                found[name] = (*found.get(name, ()), room.name)
        return found

    def scenery_prose(self, name: str) -> str:
        """What is told of it, in each of its rooms."""
        texts = (item for room in self.rooms for item in room.scenery.items())
        return next(prose for names, prose in texts if names.split(",")[0].strip() == name)

    @cached_property
    def ways_made(self) -> tuple[str, ...]:
        """Keys of the ways that rules and clocks open: `Hall north`."""
        effects = [text for rule in self.rules for text in rule.then]
        effects += [text for clock in self.clocks for text in clock.then]
        return tuple(t.partition(" leads to ")[0] for t in effects if " leads to " in t)

    @cached_property
    def ways(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """(room, direction) -> (room it leads to, door in between or None)."""
        found: dict[tuple[str, str], tuple[str, str | None]] = {}
        for room in self.rooms:
            for direction, target in room.exits.items():
                found[room.name, direction] = (target, None)
        for door in self.doors:
            found[door.from_, door.direction] = (door.to, door.name)
            found[door.to, OPPOSITE[door.direction]] = (door.from_, door.name)
        return found

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Noun -> all phrases a player may use for it, the name first."""
        found = {part.name: (part.name, *part.synonyms) for part in self.nouns}
        for room in self.rooms:
            for names in room.scenery:
                name, *others = (n.strip() for n in names.split(","))
                found[name] = tuple(dict.fromkeys((*found.get(name, (name,)), *others)))
        return found

    @cached_property
    def alias(self) -> dict[str, str]:
        """Commands that rules answer -> the one that each rule's block stands under."""
        found = {f"read|{thing.name}": f"read|{thing.name}" for thing in self.things if thing.text}
        for rule in self.rules:
            for do in rule.commands:
                found.setdefault(do, rule.first)
        return found

    @cached_property
    def digest(self) -> str:
        """sha256 of all that decides how the world plays, whatever its layout and folder."""
        body = self.model_dump(mode="json", by_alias=True, exclude={"name"})
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def exits_of(self, room: str) -> list[str]:
        """Directions that lead out of a room, in compass order."""
        return [d for d in DIRECTIONS if (room, d) in self.ways]


def spoken(text: str) -> str:
    """Words as commands compare them: small letters, straight apostrophes, none at the ends."""
    return " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """The words of a text, each as `spoken` has it."""
    plain = re.sub("[\u2018\u2019\u02bc`]", "'", text).lower()
    return [word.strip("'-") for word in _WORD.findall(plain)]


_WORD = re.compile(r"[^\W_](?:[^\W_]|['-])*")
