"""The pack format: world.toml -> World, or one sentence on what is wrong. Knows no network.

Sources: format 0 is described for authors in docs/PACKS.md.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adventure.errors import PackError

OPPOSITE = {
    "north": "south", "south": "north", "east": "west", "west": "east",
    "northeast": "southwest", "southwest": "northeast", "northwest": "southeast", "southeast": "northwest",
    "up": "down", "down": "up", "in": "out", "out": "in",
}  # fmt: skip
DIRECTIONS = tuple(OPPOSITE)
LARGEST_FILE = 1 << 20  # bytes; a pack of format 0 is a few kilobytes
RESERVED_WORDS = {"with", "nothing", "and", "then", "all", "it", "everything", "except", "door's"}
RESERVED_NAMES = {"at", "you", "game", "the end", "exits", "you see", "you carry", "treasures found"}
_NAME = re.compile(r"[A-Za-z][A-Za-z'-]*( [A-Za-z][A-Za-z'-]*){0,3}")
_PROSE_LIMIT = 1200  # characters in one paragraph: what a turn can speak in a few seconds

Prose = Annotated[str, Field(min_length=1, max_length=_PROSE_LIMIT)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Room(_Part):
    name: str
    description: Prose
    exits: dict[str, str] = {}


class Door(_Part):
    name: str
    description: Prose
    from_: str = Field(alias="from")
    direction: str
    to: str
    locked: bool = False
    open: bool = False
    key: str | None = None
    synonyms: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The door's opening state as its record says it."""
        return "locked" if self.locked else "open" if self.open else "closed"


class Thing(_Part):
    name: str
    description: Prose
    room: str | None = None
    carried: bool = False
    portable: bool = True
    treasure: bool = False
    synonyms: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The thing's opening state as its record says it."""
        return "fixed" if not self.portable else "treasure" if self.treasure else "portable"


class Ending(_Part):
    thing: str
    room: str
    text: Prose


class World(_Part):
    """A pack of format 0, checked: every name that it mentions exists."""

    format: int
    title: str
    author: str = ""
    headline: str = ""
    genre: str = ""
    description: str = ""
    language: str = "en"
    released: str = ""
    intro: Prose
    start: str
    ending: Ending
    rooms: tuple[Room, ...]
    doors: tuple[Door, ...] = ()
    things: tuple[Thing, ...] = ()
    name: str = ""

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
        """sha256 of everything that decides how the world plays, independent of layout and folder."""
        body = self.model_dump(mode="json", by_alias=True, exclude={"name"})
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def exits_of(self, room: str) -> list[str]:
        """Directions that lead out of a room, in compass order."""
        return [d for d in DIRECTIONS if (room, d) in self.ways]


def load_world(path: Path) -> World:
    """Read `path` (a world folder or its world.toml). Raises PackError: one sentence, the file named."""
    file = path / "world.toml" if path.is_dir() else path
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise PackError(f"Can't read the world {file}: {error.strerror}.") from error
    if len(raw) > LARGEST_FILE:
        raise PackError(f"{file} is {len(raw):,} bytes long; a world.toml may have {LARGEST_FILE:,}.")
    try:
        text = raw.decode()
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise PackError(f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{file} is not valid TOML: {error}.") from error
    return make_world(table, source=str(file), text=text, name=file.resolve().parent.name)


def make_world(table: dict[str, Any], source: str = "world", text: str = "", name: str = "") -> World:
    """Check a parsed pack. Raises PackError with the first fault found."""
    if table.get("format") != 0:
        raise PackError(f"{source}: format is {table.get('format')!r}; this version reads format = 0.")
    try:
        world = World.model_validate({**table, "name": name})
    except ValidationError as error:
        raise PackError(f"{source}{_explain(error, text)}") from error
    fault = _first_fault(world)
    if fault:
        raise PackError(f"{source}: {fault}")
    return world


def worlds_folders() -> list[Path]:
    """Where packs are looked for: the working folder's worlds/, then those that came with the program."""
    shipped = Path(str(resources.files("adventure"))) / "_worlds"
    checkout = Path(__file__).resolve().parents[2] / "worlds"
    seen = dict.fromkeys(p.resolve() for p in (Path("worlds"), checkout, shipped) if p.is_dir())
    return list(seen)


def list_worlds() -> list[Path]:
    """All world folders found, the first of a name winning, sorted by name."""
    found: dict[str, Path] = {}
    for folder in worlds_folders():
        for child in folder.iterdir():
            if (child / "world.toml").is_file():
                found.setdefault(child.name, child)
    return [found[name] for name in sorted(found)]


def find_world(name_or_path: str) -> Path:
    """A folder or file that exists, else a shipped world of that name. Raises PackError."""
    path = Path(name_or_path)
    if os.sep in name_or_path or path.suffix == ".toml" or (path / "world.toml").is_file():
        if not path.exists():
            raise PackError(f"There is no world at {path}; give a folder with a world.toml in it.")
        return path
    known = {p.name: p for p in list_worlds()}
    if name_or_path not in known:
        raise PackError(f"No world is called {name_or_path!r}{_nearest(name_or_path, list(known))}")
    return known[name_or_path]


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it can be {', '.join(map(repr, sorted(known)))}." if known else "; none was found."


_PARTS: dict[str, type[_Part]] = {"rooms": Room, "doors": Door, "things": Thing, "ending": Ending}


def _explain(error: ValidationError, text: str) -> str:
    """The first fault pydantic found, as `:line: sentence` with the nearest right key."""
    first = error.errors()[0]
    place = [part for part in first["loc"]]
    key = str(place[-1])
    model = next((_PARTS[str(p)] for p in place if str(p) in _PARTS), World)
    inside = "the world" if model is World else f"{place[0]}" + (f"[{place[1]}]" if len(place) > 2 else "")
    if first["type"] == "extra_forbidden":
        known = [f.alias or n for n, f in model.model_fields.items() if n != "name" or model is not World]
        return f"{_line_of(key, text)}: unknown key {key!r} in {inside}{_nearest(key, known)}"
    if first["type"] == "missing":
        return f": the key {key!r} is missing in {inside}; add it."
    return f"{_line_of(key, text)}: {key!r} in {inside}: {first['msg'][0].lower()}{first['msg'][1:]}."


def _line_of(key: str, text: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(\[+\s*)?{re.escape(key)}\b", line):
            return f", line {number}"
    return ""


def _first_fault(world: World) -> str | None:
    """What the types can't say: names that exist, are unique, and can be told apart."""
    return _name_fault(world) or _place_fault(world) or _prose_fault(world)


def _name_fault(world: World) -> str | None:
    seen: dict[str, str] = {}
    for part in (*world.rooms, *world.doors, *world.things):
        for name in (part.name, *getattr(part, "synonyms", ())):
            if not _NAME.fullmatch(name) or len(name) > 40:
                return f"the name {name!r} won't do: one to four words of letters, hyphens, apostrophes."
            bad = RESERVED_WORDS & set(name.lower().split())
            if bad:
                return f"the name {name!r} contains {min(bad)!r}, a word that commands need; choose another."
        low = part.name.lower()
        if low in RESERVED_NAMES or low in DIRECTIONS:
            return f"the name {part.name!r} is taken by the game itself; choose another."
        if low in seen:
            return f"two parts are both called {part.name!r}; give each a name of its own."
        seen[low] = part.name
        if isinstance(part, Room) != part.name[0].isupper():
            want = "a capital letter" if isinstance(part, Room) else "a small letter"
            return f"the name {part.name!r} should begin with {want} (rooms: capital, things and doors: small)."
    return None


def _place_fault(world: World) -> str | None:
    rooms = [room.name for room in world.rooms]
    things = [thing.name for thing in world.things]

    def missing(what: str, name: str, known: list[str]) -> str | None:
        return None if name in known else f"{what} {name!r}, which doesn't exist{_nearest(name, known)}"

    faults = [missing("the world starts in", world.start, rooms)]
    for room in world.rooms:
        for direction, target in room.exits.items():
            if direction not in DIRECTIONS:
                faults.append(f"{room.name!r} has an exit {direction!r}{_nearest(direction, list(DIRECTIONS))}")
            faults.append(missing(f"the exit {direction} of {room.name!r} leads to", target, rooms))
    for door in world.doors:
        if door.direction not in DIRECTIONS:
            faults.append(f"door {door.name!r}: direction {door.direction!r}{_nearest(door.direction, list(DIRECTIONS))}")
            continue
        faults.append(missing(f"door {door.name!r} is in", door.from_, rooms))
        faults.append(missing(f"door {door.name!r} leads to", door.to, rooms))
        if door.key is not None:
            faults.append(missing(f"door {door.name!r} has the key", door.key, things))
        elif door.locked:
            faults.append(f"door {door.name!r} is locked but has no key; give it one.")
        if door.locked and door.open:
            faults.append(f"door {door.name!r} is both open and locked; choose one.")
        for room_name, direction in ((door.from_, door.direction), (door.to, OPPOSITE[door.direction])):
            plain = next((r for r in world.rooms if r.name == room_name), None)
            if plain and direction in plain.exits:
                faults.append(f"{room_name!r} has both an exit and the door {door.name!r} to the {direction}.")
    if len({(d.from_, d.direction) for d in world.doors} | {(d.to, OPPOSITE.get(d.direction, "")) for d in world.doors}) < 2 * len(world.doors):
        faults.append("two doors are in the same place; each way has room for one.")
    for thing in world.things:
        if (thing.room is None) != thing.carried:
            faults.append(f"{thing.name!r} needs either room = \"...\" or carried = true.")
        elif thing.room is not None:
            faults.append(missing(f"{thing.name!r} is in", thing.room, rooms))
        if not thing.portable and (thing.carried or thing.treasure):
            faults.append(f"{thing.name!r} is fixed, so it can't be carried or be a treasure.")
    faults.append(missing("the ending needs", world.ending.thing, things))
    faults.append(missing("the ending happens in", world.ending.room, rooms))
    return next((fault for fault in faults if fault), None)


def _prose_fault(world: World) -> str | None:
    parts = [(p.name, p.description) for p in (*world.rooms, *world.doors, *world.things)]
    for name, prose in [*parts, ("intro", world.intro), ("ending", world.ending.text), ("title", world.title)]:
        if not prose.strip():
            return f"the text of {name!r} is empty; write a sentence."
        control = next((c for c in prose if not c.isprintable() and c not in "\n\t"), None)
        if control:
            return f"the text of {name!r} holds the control character {control!r}; take it out."
        if "<|" in prose:
            return f"the text of {name!r} holds '<|', which the engine uses itself; take it out."
    return None
