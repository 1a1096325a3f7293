"""Which worlds the benchmark judges a master in, and by whose commands. Knows no network.

Random worlds that training never saw, one world, the worlds that come with the program, or games of
TextWorld's; the last two with their solutions as walks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adventure.author.import_game import read_game
from adventure.author.textworld import world_of
from adventure.errors import PackError
from adventure.master.consistency_options import PLAYERS
from adventure.master.walks import read_walk, typed_lines
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.world.generate import LARGER_ROOMS, TRAIN_ROOMS, random_world
from adventure.world.pack import find_world, load_world, make_world
from adventure.world.parts import World

WALK = " walk"
"""Behind a world's name where its walk is counted."""
EVAL_SEED = 77_000_000
"""Worlds judged here are drawn from seeds that training never uses."""
SHIPPED_WORLDS = ("lantern", "mercy", "purkiss", "rulenine", "threshold", "wednesday")


@dataclass(frozen=True)
class Source:
    """A world to judge in. row: what its games are counted under; load: the world and its walk,
    canonical commands, none where it has no walk."""

    row: str
    load: Callable[[], tuple[World, list[str]]]


def sources_of(args: argparse.Namespace) -> list[Source]:
    """The worlds that the options name. Raises UserError where one can't be read."""
    if args.packs:
        return [Source(name, partial(_pack, name)) for name in SHIPPED_WORLDS]
    if args.textworld:
        files = [Path(name) for name in args.textworld]
        return [Source(file.stem, partial(_textworld, file)) for file in files]
    if args.world:
        world = load_world(find_world(args.world))
        walk = read_walk(Path(args.walk), world) if args.walk else []
        return [Source(world.name, lambda: (world, walk))]
    count = args.random or args.games // (2 if swaps(args.wipe) else 1)
    count = max(1, min(count, args.games))
    rooms = LARGER_ROOMS if args.held_out == "sizes" else TRAIN_ROOMS
    first, what = EVAL_SEED + 100_000 * args.seed, args.held_out

    def made(seed: int) -> tuple[World, list[str]]:
        return random_world(seed, what == "words", rooms, features=what == "features"), []

    return [Source(f"random {what}", partial(made, first + i)) for i in range(count)]


def swaps(loss: str | None) -> bool:
    """Whether a control hands over what another game of the same world has."""
    return loss is not None and loss.endswith("-swap")


def _pack(name: str) -> tuple[World, list[str]]:
    folder = find_world(name)
    world = load_world(folder)
    return world, read_walk(folder / "tests" / "solution.walk", world)


def _textworld(file: Path) -> tuple[World, list[str]]:
    made = world_of(read_game(file), file.stem, str(file))
    world = make_world(made.table, source=str(file), name=file.stem)
    if not made.walkthrough:
        raise PackError(f"{file} has no solution; make it with tw-make, which writes one.")
    return world, typed_lines(world, made.walkthrough)


@dataclass(frozen=True)
class Seat:
    """Games of one world to be played one after another: what they are counted under, who plays,
    the seed of all chance, how many turns together; walks: a solution, played once."""

    row: str
    player: Callable[[], Player]
    seed: str
    turns: int
    walks: bool = False


def seats_of(
    args: argparse.Namespace, row: str, walk: list[str], place: int, worlds: int
) -> Iterator[Seat]:
    """The seats of world number `place` of so many: its walk, if it has one, and of all games
    those that fall to it."""
    if walk:
        row_ = row if args.walk else row + WALK
        yield Seat(row_, partial(_walker, walk), "walk", len(walk), walks=True)
    if args.walk:
        return
    names = PLAYERS if args.player == "all" else (args.player,)
    for number in range(place, args.games, worlds):
        player = _PLAYERS[names[number % len(names)]]
        yield Seat(row, player, f"game-{args.seed}-{number}", args.turns)


def _walker(lines: list[str]) -> Player:
    """Gives these commands, whatever happens."""
    steps = iter(lines)
    return lambda *_: next(steps)


_PLAYERS: dict[str, Callable[[], Player]] = {
    "legal": lambda: legal_player,
    "goal": GoalPlayer,
    "curious": CuriousPlayer,
}
