"""What a world is made of: rooms, doors, things, an ending. Knows no files and no network.

Types only; what they can't say is checked in faults.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

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
Synonyms = Annotated[tuple[str, ...], Field(max_length=20)]


class Table(BaseModel):
    """A table of world.toml: its keys are those listed, and it doesn't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(Table):
    """Whatever has a name and prose."""

    name: str
    description: Prose


class Room(Part):
    exits: dict[str, str] = {}


class Noun(Part):
    """What a command can be about."""

    synonyms: Synonyms = ()


class Door(Noun):
    from_: str = Field(alias="from")
    direction: str
    to: str
    locked: StrictBool = False
    open: StrictBool = False
    key: str | None = None

    @property
    def kind(self) -> str:
        """The door's opening state as its record says it."""
        return "locked" if self.locked else "open" if self.open else "closed"


class Thing(Noun):
    room: str | None = None
    carried: StrictBool = False
    portable: StrictBool = True
    treasure: StrictBool = False

    @property
    def kind(self) -> str:
        """The thing's opening state as its record says it."""
        return "fixed" if not self.portable else "treasure" if self.treasure else "portable"


class Ending(Table):
    thing: str
    room: str
    text: Prose


class World(Table):
    """A pack of format 0, checked: every name that it mentions exists."""

    format: Literal[0]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    author: About = ""
    headline: About = ""
    genre: About = ""
    description: About = ""
    language: About = "en"
    released: About = ""
    intro: Prose
    start: str
    ending: Ending
    rooms: Annotated[tuple[Room, ...], Field(max_length=200)]
    doors: Annotated[tuple[Door, ...], Field(max_length=200)] = ()
    things: Annotated[tuple[Thing, ...], Field(max_length=400)] = ()
    name: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything that has a name."""
        return (*self.rooms, *self.doors, *self.things)

    @property
    def nouns(self) -> tuple[Noun, ...]:
        """Everything that a command can be about, in the order of the pack's text."""
        return (*self.doors, *self.things)

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
        """Thing or door -> all phrases a player may use for it, the name first."""
        return {part.name: (part.name, *part.synonyms) for part in (*self.things, *self.doors)}

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
