"""The program `adventure`: which command is asked for, and how mistakes are told.

Imports of the network stay inside the functions that need it, so that --help is instant.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from adventure import __version__, bench_command, play_command
from adventure.errors import UserError
from adventure.folders import saves_folder
from adventure.master import SHIPPED

_ELSEWHERE = {
    "ablate": ("adventure.master.ablation_options", "train and judge a master without a part"),
    "check": ("adventure.author.check", "look for faults in a world, and for a way to win it"),
    "convert": ("adventure.convert", "write a checkpoint in another form"),
    "eval": (
        "adventure.master.consistency_options",
        "measure how well the game master keeps to the rules",
    ),
    "harness": ("adventure.master.harness", "run tasks of lm-eval, an evaluation harness"),
    "ifiction": ("adventure.author.ifiction", "print a world's record for libraries of games"),
    "import": ("adventure.author.import_game", "make a world of a game of TextWorld's"),
    "map": ("adventure.author.map", "draw a world's rooms and the ways between them"),
    "models": ("adventure.models", "look into checkpoints"),
    "new": ("adventure.author.new", "make a small working world, to change into your own"),
    "pack": ("adventure.author.parcel", "put a world into one file to hand on"),
    "runs": ("adventure.master.run_command", "list, compare and draw training runs"),
    "schema": ("adventure.schema", "print what editors need to complete and check a world.toml"),
    "test": ("adventure.author.run_tests", "play a world's tests"),
    "tune": ("adventure.master.tune_options", "train a game master"),
    "unpack": ("adventure.author.unpack", "make a folder of a packed world"),
    "verify": ("adventure.master.verify", "check that a network computes alike in every way"),
}
"""Commands whose arguments and work belong to a module: add_arguments(parser) and run(args)."""


class _Parser(argparse.ArgumentParser):
    """Mistakes in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message}; try "{self.prog} --help".\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 well, 1 a check that failed, 2 the user's mistake."""
    from adventure.play.loop import GONE

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started the program
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 (for good)
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"adventure: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return GONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("adventure: The disk is full, so not everything was written.", file=sys.stderr)
        return 2
    finally:
        _hush()


def _hush() -> None:
    """A reader that has gone away is no reason for a message from the last flush."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run(arguments: list[str]) -> int:
    if not arguments or (
        arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")
    ):
        arguments = ["play", *arguments]
    args = _parser(arguments[0]).parse_args(arguments)
    status: int | None = args.run(args)
    return status or 0


def _parser(command: str) -> argparse.ArgumentParser:
    """The arguments; those of `command` alone where they need an import."""
    parser = _Parser(
        prog="adventure", description="Text adventures whose game master is an RWKV network."
    )
    parser.add_argument("--version", action="version", version=f"adventure {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def add(
        name: str, run: Callable[[argparse.Namespace], int | None], text: str
    ) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=f"{text.capitalize()}."
        )
        sub.set_defaults(run=run)
        return sub

    play = add("play", play_command.run, "play a world (what happens without a command)")
    play_command.add_arguments(play)
    add("worlds", list_all_worlds, "list the worlds there are")
    add("saves", list_all_saves, "list the saved games")
    prompt = add(
        "prompt", print_prompt, "print a world as the network reads it, and count its tokens"
    )
    prompt.add_argument("world", metavar="WORLD")
    prompt.add_argument(
        "--model", metavar="PATH", type=Path, help="count with the tokenizer beside this model"
    )
    prompt.add_argument(
        "--free",
        action="store_true",
        help="as a network without copy hints reads it: the world's prompt.md before it",
    )
    for name, (module, text) in _ELSEWHERE.items():
        sub = add(name, _ignore, text)
        if name == command:
            owner = importlib.import_module(module)
            owner.add_arguments(sub)
            sub.set_defaults(run=owner.run)
    bench_command.add_arguments(add("bench", bench_command.run, "measure the speed of a part"))
    return parser


def _ignore(args: argparse.Namespace) -> int:
    """Stands in for a command that isn't the one being run."""
    return 0


def list_all_worlds(args: argparse.Namespace) -> int:
    """One line a world; a faulty one says what is wrong first."""
    from adventure.errors import PackError
    from adventure.world.pack import list_worlds, load_world

    for folder in list_worlds():
        try:
            world = load_world(folder)
        except PackError as error:
            print(f"{folder.name:<16} (faulty) {error.faults[0]}")
            continue
        headline = f": {world.headline}" if world.headline else ""
        size = f"{len(world.rooms)} rooms, {len(world.things)} things"
        print(f"{world.name:<16} {world.title}{headline} ({size})")
    return 0


def list_all_saves(args: argparse.Namespace) -> int:
    """One line a saved game, the latest first."""
    from adventure.play.saves import prove_saves

    found, others = prove_saves(saves_folder())
    if not found:
        print(f"There are no saved games in {saves_folder()} yet.")
    for saved in found:
        about = saved.about
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(about.time))
        print(f"{saved.name:<28} {when}  {about.identity.title}: {about.room}, turn {about.turns}")
    for path, why in others.items():
        print(f"{path} {why}")
    return 0


def print_prompt(args: argparse.Namespace) -> int:
    """The pack's text on standard output, its length in tokens on standard error."""
    from adventure.world.free import free_text
    from adventure.world.pack import find_world, load_world
    from adventure.world.prompt import SPECIALS, pack_text
    from engine.errors import TokenizerError
    from engine.tokenizer import Tokenizer

    world = load_world(find_world(args.world))
    text = free_text(world) if args.free else pack_text(world)
    print(text, end="")
    sys.stdout.flush()
    model: Path = args.model or SHIPPED
    folder = model if model.is_dir() else model.parent
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    try:
        for special in SPECIALS:
            tokenizer.id_of(special)
    except TokenizerError:
        said = f"the tokenizer in {folder} is not made for worlds, so tokens can't be counted"
        print(f"{len(text):,} characters; {said}.", file=sys.stderr)
        return 0
    print(f"{len(tokenizer.encode(text)):,} tokens", file=sys.stderr)
    return 0
