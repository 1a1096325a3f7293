"""The pack format: world.toml -> World, or one sentence on what is wrong. Knows no network.

Sources: format 0 is described for authors in docs/PACKS.md.
"""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adventure.errors import PackError
from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS, faults
from adventure.world.keys import line_of, nearest, quoted, type_fault, unknown_key
from adventure.world.parts import DIRECTIONS, OPPOSITE, Door, Ending, Room, Thing, World

__all__ = [
    "DIRECTIONS",
    "OPPOSITE",
    "RESERVED_NAMES",
    "RESERVED_WORDS",
    "Door",
    "Ending",
    "Room",
    "Thing",
    "World",
    "find_world",
    "list_worlds",
    "load_world",
    "make_world",
    "worlds_folders",
]

LARGEST_FILE = 1 << 20  # bytes; a pack of format 0 is a few kilobytes


def load_world(path: Path) -> World:
    """Read a world folder or its world.toml. Raises PackError: one sentence, the file named."""
    file = path / "world.toml" if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise PackError(f"Can't read the world {file}: {error.strerror}.") from error
    if len(raw) > LARGEST_FILE:
        raise PackError(f"{file} has more than {LARGEST_FILE:,} bytes, the most a world may have.")
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with a byte-order mark
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise PackError(
            f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    except RecursionError as error:
        raise PackError(
            f"{file} nests its lists or tables too deeply; a world needs three."
        ) from error
    except ValueError as error:  # TOMLDecodeError, and numbers or dates that Python can't hold
        raise PackError(f"{file} is not valid TOML: {str(error).rstrip('.')}.") from error
    return make_world(table, source=str(file), text=text, name=file.resolve().parent.name)


def make_world(
    table: dict[str, Any], source: str = "world", text: str = "", name: str = ""
) -> World:
    """Check a parsed pack. Raises PackError with the first fault, and its line in `text`."""
    if "format" not in table:
        raise PackError(f"{source}: the key 'format' is missing in the world; add format = 0.")
    seen = table["format"]
    if seen != 0 or type(seen) is not int:
        raise PackError(f"{source}: format is {quoted(seen)}; this version reads format = 0.")
    try:
        world = World.model_validate({**table, "name": name})
        fault = next(faults(world), None)
    except ValidationError as error:
        fault = type_fault(error)
    if "name" in table:
        fault = ("name",), unknown_key(("name",))
    if fault:
        raise PackError(f"{source}{line_of(fault[0], text)}: {fault[1]}")
    return world


def worlds_folders() -> list[Path]:
    """Where packs are looked for: the working folder, then what came with the program."""
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
        raise PackError(f"No world is called {name_or_path!r}{nearest(name_or_path, list(known))}")
    return known[name_or_path]
