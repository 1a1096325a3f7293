"""`adventure bench`: arguments -> what measures a part of the program, and its table or its JSON.

Imports of the network stay inside the functions that need it, so that --help is instant.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adventure.master import SHIPPED
from adventure.play_command import DEFAULT_WORLD, identity_of, load_master

if TYPE_CHECKING:
    from adventure.world.parts import World


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure bench`."""
    parser.add_argument("part", choices="engine gpu kernels memory play referee saves".split())
    world = "for play: whose solution is played; for saves: the world"
    parser.add_argument("--world", default=DEFAULT_WORLD, help=world)
    turns = "for saves: turns of the game (default: 1000)"
    parser.add_argument("--turns", type=_count, default=1000, metavar="N", help=turns)
    parser.add_argument(
        "--shape",
        default="0.1B",
        metavar="LxCxV",
        help="for engine: layers, width and vocabulary, or 0.1B (the default), 0.4B or master",
    )
    generation = "for engine and memory: 4, 5.2, 6 or 7 (default)"
    parser.add_argument("--generation", default="7", help=generation)
    for name, default, text in (
        ("threads", 0, "threads (default: one a core)"),
        ("tokens", 1024, "tokens to be read at once (default: 1024)"),
        ("decode", 32, "tokens to be read one by one (default: 32)"),
        ("rounds", 5, "rounds, of which the best counts (default: 5)"),
    ):
        parser.add_argument(
            f"--{name}", type=_count, default=default, metavar="N", help=f"for engine: {text}"
        )
    _gpu_arguments(parser)
    parser.add_argument(
        "--worlds", type=_count, metavar="N", help="for referee: random worlds (default: 200)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="for referee: 100,000 random turns, and whether everything holds after each",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _gpu_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        metavar="PART",
        action="append",
        default=[],
        help="for gpu: checks, kernels, network, train, or one part of these (may come repeatedly)",
    )
    parser.add_argument("--quick", action="store_true", help="for gpu: fewer and smaller shapes")
    parser.add_argument(
        "--minutes", type=_count, default=9, metavar="N", help="for gpu: stop after (default: 9)"
    )
    parser.add_argument(
        "--report", metavar="FILE", type=Path, help="for gpu: write JSON, after every part"
    )
    parser.add_argument(
        "--peer-sources",
        metavar="DIR",
        type=Path,
        help="for gpu: a folder of RWKV-LM's .cu files, to be timed beside ours",
    )
    parser.add_argument(
        "--sanitize-run",
        action="store_true",
        help="for gpu: launch every kernel on small shapes, under compute-sanitizer",
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 2**20 - 1")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Measure, and print what the module measured; 1 where a check failed."""
    bench: Callable[[], object] = _bench_kernels
    if args.part == "play":
        bench = _bench_play(args.world)
    elif args.part == "saves":
        bench = _bench_saves(args.world, args.turns)
    elif args.part == "engine":
        bench = _bench_engine(args)
    elif args.part == "memory":
        bench = _bench_memory(args.generation)
    elif args.part == "referee":
        if args.check:
            return _check_referee(args.worlds or 1000)
        bench = _bench_referee(args.worlds or 200)
    elif args.part == "gpu":
        if args.sanitize_run:
            return _sanitize_gpu()
        bench = _bench_gpu(args)
    if args.json:
        with contextlib.redirect_stdout(io.StringIO()):  # the table
            rows = bench()
        print(json.dumps({args.part: rows}))
    else:
        rows = bench()
    return 1 if args.part == "gpu" and cast(dict[str, int], rows)["failed"] else 0


def _bench_kernels() -> Sequence[object]:
    from engine.bench.kernels import bench

    return bench()


def _bench_play(name: str) -> Callable[[], Sequence[object]]:
    from adventure.master.walks import read_walk
    from adventure.play.bench import bench
    from adventure.world.pack import find_world, load_world

    folder = find_world(name)
    world = load_world(folder)
    lines = read_walk(folder / "tests" / "solution.walk", world)
    master, _, _ = load_master(world, None)
    return lambda: bench(master, lines)


def _bench_saves(name: str, turns: int) -> Callable[[], Sequence[object]]:
    from adventure.play.save_bench import bench
    from adventure.world.pack import find_world, load_world

    world = load_world(find_world(name))
    master, weights, tokenizer = load_master(world, None)
    identity = identity_of(world, weights, tokenizer)
    return lambda: bench(master, identity, turns, unending(world))


def unending(world: World) -> Callable[[Mapping[str, Sequence[str]]], str]:
    """A player who doesn't end the game: records -> a canonical command."""
    from adventure.referee.players import CuriousPlayer
    from adventure.referee.rules import play

    player, rng = CuriousPlayer(), random.Random(0)

    def command(records: Mapping[str, Sequence[str]]) -> str:
        known = {key: tuple(items) for key, items in records.items()}
        while play(world, known, line := player(world, known, rng)).records["Game"][0] != "on":
            pass
        return line

    return command


def _bench_referee(worlds: int) -> Callable[[], object]:
    from adventure.referee.bench import bench

    return lambda: bench(worlds)


def _check_referee(worlds: int) -> int:
    from adventure.referee.bench import check

    return 1 if check(worlds, 100_000) else 0


def _bench_engine(args: argparse.Namespace) -> Callable[[], object]:
    from engine.bench.engine import Plan, bench

    names = ("shape", "generation", "threads", "tokens", "decode", "rounds")
    plan = Plan(**{name: getattr(args, name) for name in names})
    return lambda: bench(plan, (SHIPPED, _played_texts()))


def _bench_memory(generation: str) -> Callable[[], object]:
    from engine.bench.memory import Plan, bench

    return lambda: bench(Plan(generation=generation))


def _bench_gpu(args: argparse.Namespace) -> Callable[[], object]:
    from engine.bench.gpu.run import Plan, bench

    plan = Plan(
        only=tuple(args.only),
        quick=args.quick,
        minutes=args.minutes,
        seed=time.time_ns() % (1 << 31),
        report=args.report,
        peer_sources=args.peer_sources,
        master=SHIPPED,
    )
    return lambda: bench(plan)


def _sanitize_gpu() -> int:
    from engine.bench.gpu.run import sanitize_run

    return 1 if sanitize_run() else 0


def _played_texts() -> list[list[int]]:
    """What the game master reads in the first segment of its default world's solution."""
    from adventure.master.gamemaster import SEGMENT_TURNS, load_network
    from adventure.master.walks import read_walk
    from adventure.referee import rules
    from adventure.world.pack import find_world, load_world
    from adventure.world.prompt import command_text, pack_text, reply_text

    folder = find_world(DEFAULT_WORLD)
    world = load_world(folder)
    text, records = pack_text(world), rules.start(world)
    for line in read_walk(folder / "tests" / "solution.walk", world)[:SEGMENT_TURNS]:
        outcome = rules.play(world, records, line)
        text += command_text(line) + reply_text(outcome.lines, outcome.reply)
        records = outcome.records
    return [load_network()[1].encode(text)]
