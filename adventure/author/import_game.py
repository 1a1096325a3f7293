"""`adventure import`: a game of TextWorld's made into a world's folder. Knows no network."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from adventure.author.textworld import Imported, world_of
from adventure.errors import PackError
from adventure.world.pack import make_world
from adventure.world.parts import World

_LARGEST = 64 << 20
"""Bytes of a game; those of a hundred rooms have a few megabytes."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure import`."""
    add = parser.add_argument
    add("game", metavar="GAME.json", type=Path, help="what TextWorld's tw-make wrote")
    add("--to", metavar="DIR", type=Path, help="the folder to make (default: the game's name)")
    add("--title", help="of the world (default: the game's name)")


def run(args: argparse.Namespace) -> int:
    """Read, translate, write. Raises UserError; then nothing is written."""
    name = "-".join(re.findall(r"[A-Za-z0-9]+", args.game.stem)).lower() or "game"
    folder: Path = args.to or (Path("worlds") if Path("worlds").is_dir() else Path()) / name
    if folder.exists():
        raise PackError(f"{folder} is there already; name another folder with --to.")
    title = args.title or name.replace("-", " ").title()
    made = world_of(read_game(args.game), title, str(args.game))
    world = make_world(made.table, source=str(args.game), name=folder.name)
    _write(folder, made)
    for sentence in made.left_out:
        print(sentence)
    print(f"{world.title} is in {folder}: {_size(world)}.")
    print(f"Next: adventure test {folder}, adventure check {folder}, adventure play {folder}.")
    return 0


def read_game(file: Path) -> Any:
    """What a .json of TextWorld's holds. Raises PackError."""
    if file.suffix in (".z8", ".ulx", ".ni"):
        beside = file.with_suffix(".json")
        raise PackError(f"{file} is a compiled game; give {beside}, which tw-make wrote beside it.")
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "that is no name of a file"
        raise PackError(f"Can't read the game {file}: {why}.") from error
    if len(raw) > _LARGEST:
        raise PackError(f"{file} has more than {_LARGEST:,} bytes, the most a game may have.")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PackError(
            f"{file} is no JSON ({error}); give the .json that tw-make wrote."
        ) from error


def _size(world: World) -> str:
    parts = [(len(world.rooms), "room"), (len(world.doors), "door"), (len(world.things), "thing")]
    return ", ".join(f"{number} {what}{'s' * (number != 1)}" for number, what in parts)


def _write(folder: Path, made: Imported) -> None:
    """Whole or not at all. Raises PackError."""
    half = folder.with_name(f".{folder.name}.half")
    try:
        (half / "tests").mkdir(parents=True)
        (half / "world.toml").write_text(toml(made.table), encoding="utf-8")
        if made.walkthrough:
            walk = ["# TextWorld's own solution.", "# ends: won", *made.walkthrough]
            (half / "tests" / "solution.walk").write_text("\n".join(walk) + "\n", encoding="utf-8")
        half.rename(folder)
    except OSError as error:
        raise PackError(f"Can't write {folder}: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(half)


def toml(table: dict[str, Any]) -> str:
    """A world's tables as text: plain keys first, then [tables], then [[lists of tables]]."""
    plain, tables = [], []
    for key, value in table.items():
        if isinstance(value, dict):
            tables.append(f"[{key}]\n" + _lines(value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"[[{key}]]\n" + _lines(item) for item in value]
        else:
            plain.append(f"{key} = {_value(value)}\n")
    return "\n".join(("".join(plain), *tables))


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    # JSON's strings, numbers and words are TOML's, but for a character that JSON lets stand.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
