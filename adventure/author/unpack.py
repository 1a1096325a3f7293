"""`adventure unpack`: a packed world -> a folder. Knows where it goes, not how it is proven."""

from __future__ import annotations

import argparse
from pathlib import Path

from adventure import __version__
from adventure.author.folder import command, new_folder, refuse_existing, write_folder
from adventure.errors import PackError
from adventure.world.pack import load_world
from adventure.world.parcel import MANIFEST, OPENING, SUFFIX, manifest_of, open_parcel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure unpack`."""
    parser.description = (
        "Make a folder of a packed world, to read or to change it. To play it, there is no need "
        'to: "adventure play NAME.world" does. Nothing that is there already is replaced.'
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a NAME.world")
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=Path,
        help="the folder to make (default: NAME, in the folder worlds if there is one here)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and say where. Raises UserError, and then nothing is written."""
    file: Path = args.file
    files = open_parcel(file)
    name = file.name.removesuffix(SUFFIX)
    target: Path = args.to if args.to is not None else new_folder(name)
    if not target.name:
        raise PackError(
            f"There is already a folder {target}; give one to be made, {target / name}."
        )
    refuse_existing(target)
    manifest = manifest_of(files)
    world = load_world(file)
    if manifest.get("program") == __version__ and manifest.get("digest") != world.digest:
        raise PackError(f"{file} isn't the world that its {MANIFEST} names; get another copy.")
    own = {name: data for name, data in files.items() if name not in (MANIFEST, OPENING)}
    write_folder(target, own)
    print(f"{target}: {world.title}, {len(own)} files.")
    print(f"Play it with: {command()} play {target}")
    return 0
