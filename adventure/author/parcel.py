"""`adventure pack`: a world's folder -> one file. Knows what to take, not how it is kept."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adventure import __version__
from adventure.errors import PackError
from adventure.world.pack import find_world, load_world
from adventure.world.parcel import (
    LARGEST_PARCEL,
    MANIFEST,
    MOST_FILES,
    OPENING,
    SUFFIX,
    WORLD,
    belongs,
    build_parcel,
    is_parcel,
    largest,
)

if TYPE_CHECKING:
    from adventure.world.parts import World

_IMAGES = (".png", ".jpg", ".jpeg")
_DEEPEST = 2  # folders that are looked through: the world's own, and those in it
_OURS = ("world.schema.json",)
"""What an editor wants beside a world and a player doesn't; left out without a word."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure pack`."""
    parser.description = (
        "Put a world into one file, NAME.world, to hand to somebody: world.toml, its tests, the "
        'cover that it names, README and LICENSE. "adventure play NAME.world" plays it as it is, '
        'and "adventure unpack NAME.world" makes a folder of it again.'
    )
    parser.add_argument("world", metavar="WORLD", help="a name or a folder")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the file to write (default: NAME.world)"
    )
    parser.add_argument(
        "--opening",
        action="store_true",
        help="put the game master's reading of the world in as well, so that the first start is "
        "quick for whoever has the same game master",
    )
    parser.add_argument(
        "--model", metavar="PATH", type=Path, help="with --opening: a game master of your own"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")


def run(args: argparse.Namespace) -> int:
    """Write the parcel and say what is in it. Raises UserError."""
    place = find_world(args.world)
    if is_parcel(place):
        raise PackError(f'{place} is packed already; "adventure unpack" makes a folder of it.')
    world = load_world(place)
    folder = place if place.is_dir() else place.parent
    target: Path = args.output or Path(f"{world.name}{SUFFIX}")
    if target.suffix != SUFFIX:
        raise PackError(f"{target} doesn't end in {SUFFIX}; a packed world is known by that.")
    if target.exists() and not args.force:
        raise PackError(f"There is already a file {target}; give another with -o, or --force.")
    files, left_out = collect(folder, world)
    about: dict[str, Any] = {
        "digest": world.digest,
        "format": world.format,
        "program": __version__,
        "title": world.title,
    }
    if args.opening:
        about["opening"], files[OPENING] = _opening(world, args.model)
    data = pack_files(files, about)
    _write(target, data)
    print(f"{target}: {world.title}, {len(files)} files, {len(data):,} bytes.")
    if left_out:
        more = f" and {len(left_out) - 8} more" if len(left_out) > 8 else ""
        print(f"Left out, as no part of a world: {', '.join(left_out[:8])}{more}.")
    return 0


def pack_files(files: dict[str, bytes], about: dict[str, Any]) -> bytes:
    """A parcel's bytes. Raises PackError where its files are too many or too big."""
    if len(files) >= MOST_FILES:
        raise PackError(f"The world has {len(files)} files; {MOST_FILES - 1} can be packed.")
    for name, data in files.items():
        if len(data) > largest(name):
            raise PackError(
                f"{name} has {len(data):,} bytes; {largest(name):,} can be packed, so make it "
                "smaller."
            )
    data = build_parcel(files, about)
    if len(data) > LARGEST_PARCEL:
        raise PackError(f"The world has {len(data):,} bytes; {LARGEST_PARCEL:,} can be packed.")
    return data


def collect(folder: Path, world: World) -> tuple[dict[str, bytes], list[str]]:
    """The files of a folder that belong to its world, and the names of those that don't."""
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    for name in _names(folder):
        file = folder / name
        cover = Path(name).suffix.lower() not in _IMAGES or name == world.cover
        if (
            belongs(name)
            and name not in (MANIFEST, OPENING)
            and cover
            and not _linked(folder, file)
        ):
            files[name] = _content(file, name)
        elif name not in _OURS:
            left_out.append(f"{name} (a link)" if _linked(folder, file) else name)
    if WORLD not in files:  # load_world has read it, so it is a link
        raise PackError(f"{folder / WORLD} is a link; put the file itself there.")
    if world.cover and world.cover not in files:
        raise PackError(
            f'The cover "{world.cover}" can\'t be packed; put a .png or .jpg file of that name '
            "into the world's folder, its name in plain letters."
        )
    return files, left_out


def _content(file: Path, name: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(largest(name) + 1)
    except OSError as error:
        raise PackError(f"Can't read {file}: {error.strerror or error}.") from error


def _names(folder: Path) -> list[str]:
    """Every file to a depth, `tests/solution.walk`, in the order of its name."""
    found: list[str] = []
    for here, folders, names in os.walk(folder):  # doesn't follow links
        below = Path(here).relative_to(folder)
        folders[:] = [f for f in folders if len(below.parts) + 1 < _DEEPEST and f[:1] != "."]
        found += [(below / name).as_posix() for name in names if name[:1] != "."]
    return sorted(found)


def _linked(folder: Path, file: Path) -> bool:
    """Whether a file stands elsewhere: what a link leads to may be somebody's own affair."""
    return file.is_symlink() or not file.resolve().is_relative_to(folder.resolve())


def _opening(world: World, model: Path | None) -> tuple[str, bytes]:
    """The hash of the game master's opening of a world, and the opening as a file's bytes."""
    from adventure.master import SHIPPED
    from adventure.master.gamemaster import GameMaster, load_network
    from adventure.master.opening import opening_bytes
    from engine.checkpoint import weights_hash

    path = model or SHIPPED
    network, tokenizer = load_network(path)
    master = GameMaster(network, tokenizer, world, weights=weights_hash(path))
    return master.opening_hash, opening_bytes(master)


def _write(target: Path, data: bytes) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except OSError as error:
        raise PackError(f"Can't write {target}: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)
