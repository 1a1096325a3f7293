"""Arguments and environment -> objects: the only place where things are wired together.

Imports of the network stay inside the functions that need it, so that --help is instant.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from adventure import __version__
from adventure.errors import UserError
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

    _play_arguments(add("play", play, "play a world (what happens without a command)"))
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
    bench = add("bench", bench_part, "measure the speed of a part")
    _bench_arguments(bench)
    return parser


def _ignore(args: argparse.Namespace) -> int:
    """Stands in for a command that isn't the one being run."""
    return 0


def _play_arguments(parser: argparse.ArgumentParser) -> None:
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


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", choices=["engine", "gpu", "kernels", "memory", "play", "referee"])
    parser.add_argument("--world", default=DEFAULT_WORLD, help="for play: whose solution is played")
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
    _bench_gpu_arguments(parser)
    parser.add_argument(
        "--worlds", type=_count, metavar="N", help="for referee: random worlds (default: 200)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="for referee: 100,000 random turns, and whether everything holds after each",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _bench_gpu_arguments(parser: argparse.ArgumentParser) -> None:
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


# -- play ----------------------------------------------------------------------------------------


def play(args: argparse.Namespace) -> int:
    """Wire up a game and play it."""
    from adventure.master.opening import use_packed_opening
    from adventure.play.loop import begin, run
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
    saves = Saves(saves_folder(), _identity(world, weights, tokenizer))
    session = _session(args, world, master, screen)
    console = _console(args, session, saves, screen)
    greeting = begin(console, screen, load=args.load, go_on=args.go_on, new=args.new)
    session.use_sampler({**session.sampler, **_sampler(args)})  # a restored game has its own
    if args.seed is not None:
        session.reseed(args.seed)
    watch = _watch(place, console, screen, master) if args.watch else None
    return run(console, screen, greeting, watch)


def _watch(place: Path, console: Console, screen: Screen, master: GameMaster) -> Watch:
    from adventure.play.watch import Watch
    from adventure.world.parcel import is_parcel

    if is_parcel(place):
        raise UserError(f"--watch is for worlds that can be edited; unpack {place} first.")
    before = console.saves.identity

    def read(world: World) -> tuple[GameMaster, Position, Identity]:
        fresh = master.of(world)
        opening = _opening(fresh, screen, None)  # drafts would fill the disk
        return fresh, opening, _identity(world, before.weights, before.tokenizer)

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


def _identity(world: World, weights: str, tokenizer: str) -> Identity:
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


# -- the other commands --------------------------------------------------------------------------


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

    found, broken = prove_saves(saves_folder())
    if not found:
        print(f"There are no saved games in {saves_folder()} yet.")
    for saved in found:
        about = saved.about
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(about.time))
        print(f"{saved.name:<28} {when}  {about.identity.title}: {about.room}, turn {about.turns}")
    for path in broken:
        print(f"{path} is damaged: put a copy in its place, or delete it.")
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


def bench_part(args: argparse.Namespace) -> int:
    """Measure, and print what the module measured; 1 where a check failed."""
    bench: Callable[[], object] = _bench_kernels
    if args.part == "play":
        bench = _bench_play(args.world)
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


# -- where things lie ----------------------------------------------------------------------------


def saves_folder() -> Path:
    """ADVENTURE_SAVES, else the checkout's saves/, else a folder of the user's."""
    if os.environ.get("ADVENTURE_SAVES"):
        return Path(os.environ["ADVENTURE_SAVES"]).expanduser()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "saves"
    return _user_folder("XDG_DATA_HOME", ".local/share") / "saves"


def cache_folder() -> Path:
    """Where openings are kept, so that a world is read only once."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def _user_folder(variable: str, otherwise: str) -> Path:
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path.home() / otherwise) / "adventure-rwkv"
