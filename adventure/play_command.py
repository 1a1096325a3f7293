"""`adventure play`: arguments and environment -> a game at a terminal, wired together here.

Imports of the network stay inside the functions that need it, so that --help is instant.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from adventure.errors import UserError
from adventure.folders import cache_folder, saves_folder
from adventure.master import SHIPPED

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster, Position
    from adventure.play.commands import Console
    from adventure.play.header import Identity
    from adventure.play.saves import Saves
    from adventure.play.screen import Screen
    from adventure.play.session import Session
    from adventure.play.watch import Watch
    from adventure.world.pack import World

DEFAULT_WORLD = "lantern"
SMALL = 512
"""A network no wider than this plays on one thread: a second one would only be waited for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure play`."""
    parser.add_argument(
        "world", metavar="WORLD", nargs="?", help=f"a name or a folder (default: {DEFAULT_WORLD})"
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--load", metavar="SAVE", help="begin with a saved game")
    begin.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="go on where this world was last left, without asking",
    )
    begin.add_argument("--new", action="store_true", help="begin a new game, without asking")
    parser.add_argument(
        "--model",
        metavar="PATH",
        type=Path,
        help="a game master of your own, tokenizer.json beside it",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        help="of the randomness, where the temperature is above 0",
    )
    parser.add_argument(
        "--temperature",
        metavar="X",
        type=_temperature,
        help="0 (default): always the likeliest word",
    )
    parser.add_argument(
        "--top-p",
        metavar="X",
        type=_top_p,
        help="above temperature 0: only the likeliest words whose chances reach X together",
    )
    parser.add_argument(
        "--min-p",
        metavar="X",
        type=_min_p,
        help="above temperature 0: no word of less than X times the likeliest's chance",
    )
    parser.add_argument(
        "--plain", action="store_true", help="no escapes, no redraws: for screen readers and logs"
    )
    parser.add_argument(
        "--script",
        metavar="FILE",
        help="commands from a file, - for standard input; # begins a comment",
    )
    parser.add_argument(
        "--transcript", metavar="FILE", type=Path, help="write the game down, at the end of a file"
    )
    parser.add_argument(
        "--watch", action="store_true", help="read the world anew whenever its file is saved"
    )
    parser.add_argument(
        "--show-records", action="store_true", help="show the game master's hidden records"
    )


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def _temperature(text: str) -> float:
    number = _number(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return number


def _top_p(text: str) -> float:
    number = _number(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1")
    return number


def _min_p(text: str) -> float:
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def _number(text: str) -> float:
    """Not a number, which lies in no range, for what isn't one."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def run(args: argparse.Namespace) -> int:
    """Wire up a game and play it."""
    from adventure.master.opening import use_packed_opening
    from adventure.play import loop
    from adventure.play.saves import Saves, find_save, read_saved
    from adventure.world.pack import find_world, load_world

    for option, value in (("WORLD", args.world), ("--load", args.load), ("--script", args.script)):
        if value == "":
            raise UserError(f"{option} is empty; give a name, or leave it out.")
    chosen = read_saved(find_save(saves_folder(), args.load)) if args.load else None
    name = args.world or (chosen.about.identity.world if chosen else DEFAULT_WORLD)
    place = find_world(name)
    world = load_world(place)
    script = _open_script(args.script)
    console: Console | None = None
    screen = _screen(args, world, script, lambda: console.words if console else ((), ()))
    master, weights, tokenizer = load_master(world, args.model)
    use_packed_opening(master, place)
    saves = Saves(saves_folder(), identity_of(world, weights, tokenizer))
    session = _session(args, world, master, screen)
    console = _console(args, session, saves, screen)
    greeting = loop.begin(console, screen, load=args.load, go_on=args.go_on, new=args.new)
    session.use_sampler({**session.sampler, **_sampler(args)})  # a restored game has its own
    if args.seed is not None:
        session.reseed(args.seed)
    watch = _watch(place, console, screen, master) if args.watch else None
    return loop.run(console, screen, greeting, watch)


def _watch(place: Path, console: Console, screen: Screen, master: GameMaster) -> Watch:
    from adventure.play.watch import Watch
    from adventure.world.parcel import is_parcel

    if is_parcel(place):
        raise UserError(f"--watch is for worlds that can be edited; unpack {place} first.")
    before = console.saves.identity

    def read(world: World) -> tuple[GameMaster, Position, Identity]:
        fresh = master.of(world)
        opening = _opening(fresh, screen, None)  # drafts would fill the disk
        return fresh, opening, identity_of(world, before.weights, before.tokenizer)

    file = place / "world.toml" if place.is_dir() else place
    return Watch(console, screen, file, read)


def _open_script(name: str | None) -> TextIO | None:
    """Where commands come from when nobody types them; None: from a person at a terminal."""
    if name is None and sys.stdin.isatty():
        return None
    if name is None or name == "-":
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        return sys.stdin
    try:
        return Path(name).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f'Can\'t read the script "{name}": {error.strerror or error}.') from error


def _screen(
    args: argparse.Namespace,
    world: World,
    script: TextIO | None,
    words: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]],
) -> Screen:
    from adventure.play.screen import PlainScreen
    from adventure.play.ui import RichScreen

    rooms = [room.name for room in world.rooms]
    simple = os.environ.get("TERM", "") in ("dumb", "unknown") or not sys.stdout.isatty()
    if script is None and not args.plain and not simple:
        return RichScreen(words, rooms)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return PlainScreen(
        script or sys.stdin, sys.stdout, sys.stderr, scripted=script is not None, rooms=rooms
    )


def load_master(world: World, path: Path | None) -> tuple[GameMaster, str, str]:
    """The game master of a world, and the hashes of its weights and tokenizer. Raises UserError."""
    import torch

    from adventure.master.gamemaster import GameMaster, load_network
    from engine.checkpoint import weights_hash
    from engine.kernels import must_build
    from engine.native import RWKV

    path = path or SHIPPED
    model, tokenizer = load_network(path)
    if must_build(RWKV):
        print("Compiling the network's code for this computer, this once ...", file=sys.stderr)
    if model.config.n_embd <= SMALL:
        torch.set_num_threads(1)
    weights = weights_hash(path)
    return GameMaster(model, tokenizer, world, weights=weights), weights, tokenizer.hash


def identity_of(world: World, weights: str, tokenizer: str) -> Identity:
    """What saves of this world and this game master belong to."""
    from adventure.play.header import Identity
    from adventure.world.prompt import PROTOCOL

    return Identity(world.name, world.title, world.digest, weights, tokenizer, PROTOCOL)


def _session(args: argparse.Namespace, world: World, master: GameMaster, screen: Screen) -> Session:
    from adventure.play.session import Session

    opening = _opening(master, screen, cache_folder())
    seed = time.time_ns() % (1 << 31) if args.seed is None else args.seed
    return Session(world, master, opening, seed, {"temperature": 0.0, **_sampler(args)})


def _opening(master: GameMaster, screen: Screen, cache: Path | None) -> Position:
    progress = screen.progress()
    try:
        return master.opening(progress, cache)
    finally:
        progress.close()


def _sampler(args: argparse.Namespace) -> dict[str, float]:
    """The settings of engine.sampler.make_sampler that were given."""
    given = {name: getattr(args, name) for name in ("temperature", "top_p", "min_p")}
    return {name: number for name, number in given.items() if number is not None}


def _console(args: argparse.Namespace, session: Session, saves: Saves, screen: Screen) -> Console:
    from adventure.play.commands import Console

    console = Console(session, saves, screen.interactive or args.go_on, args.show_records)
    if args.transcript:
        console.start_transcript(args.transcript)
    return console
