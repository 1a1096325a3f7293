"""The command `ifiction`: print a world's bibliographic record. Knows no network."""

from __future__ import annotations

import argparse

from adventure.world.ifiction import ifiction
from adventure.world.pack import find_world, load_world, read_cover


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("world", metavar="WORLD", help="a name, a folder or a packed world")


def run(args: argparse.Namespace) -> int:
    path = find_world(args.world)
    world = load_world(path)
    print(ifiction(world, read_cover(path, world)))
    return 0
