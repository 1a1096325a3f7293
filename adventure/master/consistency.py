"""The consistency benchmark (`adventure eval`): a master plays, the referee judges. No training.

Self-fed: what the master said is what it goes on from. Each reply is judged twice: against the true
history, and against the world that the master's own records described just before the turn; the
second is what a player perceives once something has gone wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from adventure.errors import TrainError
from adventure.master import SHIPPED
from adventure.master.consistency_options import PLAYERS
from adventure.master.gamemaster import GameMaster, Position, load_network
from adventure.master.report import WINDOWS, Report
from adventure.play.session import Session
from adventure.referee.forms import forms_of
from adventure.referee.master import RefereeMaster
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.referee.rules import Outcome, play, start
from adventure.world.generate import LARGER_ROOMS, TRAIN_ROOMS, random_world
from adventure.world.pack import find_world, load_world
from adventure.world.parts import World
from adventure.world.prompt import Records, record_line
from engine.copyhints import CopyHints
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.tokenizer import AnyTokenizer

EVAL_SEED = 77_000_000
"""Worlds judged here are drawn from seeds that training never uses."""


def run(args: argparse.Namespace) -> int:
    """Play and judge; prints the table. Raises UserError on the user's mistakes."""
    _check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    model, tokenizer = load_network(Path(args.model) if args.model else SHIPPED)
    world = load_world(find_world(args.world)) if args.world else None
    if args.walk:
        if world is None:
            raise TrainError("--walk needs --world: the world in which the commands are given.")
        args.walk = read_walk(Path(args.walk), world)
        args.player, args.games, args.turns = "walk", 1, len(args.walk)
    report = judge(model, tokenizer, args, world)
    if args.json:
        print(json.dumps(report.figures(), indent=1))
        return 0
    print("\n".join([report.table(), *report.first_errors[: args.errors]]))
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.games < 1 or args.random < 0 or args.threads < 0:
        raise TrainError("--games must be at least 1, --random and --threads at least 0.")
    if not 1 <= args.turns <= WINDOWS[-1][1]:
        raise TrainError(f"--turns is {args.turns}; it must be from 1 to {WINDOWS[-1][1]}.")


def read_walk(file: Path, world: World) -> list[str]:
    """The canonical commands of a game, played as it is typed, by the rules; `#` begins a comment.

    Raises TrainError for a file that can't be read, or holds no command.
    """
    try:
        typed = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"Can't read the walk {file}: {error}.") from error
    master = RefereeMaster(world)
    session = Session(world, cast(Any, master), cast(Any, master.opening()))
    for text in typed:
        if text and not text.startswith("#"):
            for _ in session.play(text):
                pass
    if not len(session.transcript):
        raise TrainError(f"The walk {file} holds no command; write one a line.")
    return [turn.line for turn in session.transcript]


@dataclass
class Game:
    """One game being judged: what is true, and what the master goes on from."""

    world: World
    master: GameMaster
    player: Player
    rng: random.Random
    truth: Records
    position: Position
    first_wrong: int = 0
    played: int = 0
    over: bool = False


def judge(
    model: Network, tokenizer: AnyTokenizer, args: argparse.Namespace, world: World | None
) -> Report:
    """Play args.games games of args.turns turns in step, and count."""
    report, began = Report(), time.time()
    what = args.world or f"random, held-out {args.held_out}"
    report.about = {"worlds": what, "player": args.player, "games": args.games, "seed": args.seed}
    if args.wipe:
        report.about["wiped before every turn"] = args.wipe
    games = _make_games(model, tokenizer, args, world)
    for turn in range(1, args.turns + 1):
        live = [g for g in games if not g.over]
        if not live:
            break
        _one_turn(live, turn, report, args.wipe)
        if not args.json and turn % 50 == 0:
            exact, seconds = report.exact["all"] / report.turns["all"], time.time() - began
            print(f"turn {turn}: {exact:.2%} exact so far, {seconds:.0f} s", file=sys.stderr)
    report.survival = [(g.first_wrong or g.played, bool(g.first_wrong)) for g in games]
    report.seconds = time.time() - began
    return report


def _make_games(
    model: Network, tokenizer: AnyTokenizer, args: argparse.Namespace, world: World | None
) -> list[Game]:
    count = args.random or args.games
    if world:
        worlds = [world]
    else:
        rooms = LARGER_ROOMS if args.held_out == "sizes" else TRAIN_ROOMS
        first, what = EVAL_SEED + 100_000 * args.seed, args.held_out
        worlds = [
            random_world(first + i, what == "words", rooms, features=what == "features")
            for i in range(count)
        ]
    masters = [GameMaster(model, tokenizer, w) for w in worlds]
    players = PLAYERS if args.player == "all" else (args.player,)
    steps = iter(args.walk or ())
    made: dict[str, Callable[[], Player]] = {
        "walk": lambda: lambda *_: next(steps),
        "legal": lambda: legal_player,
        "goal": GoalPlayer,
        "curious": CuriousPlayer,
    }
    games = []
    for i in range(args.games):
        world, master = worlds[i % len(worlds)], masters[i % len(worlds)]
        player, rng = made[players[i % len(players)]](), random.Random(f"game-{args.seed}-{i}")
        games.append(Game(world, master, player, rng, start(world), master.opening()))
    return games


def wiped(position: Position, what: str | None) -> Position:
    """A control: the position with a state of zeros, or with nothing for the hints to look into."""
    state = position.state
    if what == "state":
        zeros = {name: torch.zeros_like(tensor) for name, tensor in state.tensors.items()}
        state = State(zeros, state.hints)
    elif what == "hints" and state.hints is not None:
        state = State(state.tensors, tuple(CopyHints.start(h.config) for h in state.hints))
    return dataclasses.replace(position, state=state)


def _one_turn(live: Sequence[Game], turn: int, report: Report, wipe: str | None) -> None:
    lines = [g.player(g.world, g.truth, g.rng) for g in live]
    told = live[0].master.play_batch([wiped(g.position, wipe) for g in live], lines)
    for game, line, (reply, said, position) in zip(live, lines, told, strict=True):
        outcome = play(game.world, game.truth, line, forms_of(said))
        wanted = outcome.reply + "\n"
        exact = reply == wanted
        own = exact or reply == _by_own_records(game, line, said)
        report.note(turn, _kind(outcome), exact, own)
        if not exact and not game.first_wrong:
            game.first_wrong = turn
            report.first_errors.append(_describe(turn, line, outcome, reply, said))
        game.played = turn
        game.truth = outcome.records
        game.position = game.master.settle(position)
        game.over = outcome.records["Game"][0] != "on"


def _kind(outcome: Outcome) -> str:
    """Lists that are empty are a kind of their own: boilerplate must not pass for memory."""
    for kind, key in (("inventory: carry", "You carry"), ("deeds: deeds", "Deeds")):
        if outcome.kind.startswith(kind) and record_line(key, ()) in outcome.lines:
            return f"{outcome.kind} (empty)"
    return outcome.kind


def _by_own_records(game: Game, line: str, said: list[str]) -> str | None:
    """What the referee would have said in the world as the master's own records describe it."""
    try:
        return play(game.world, game.position.records, line, forms_of(said)).reply + "\n"
    except (KeyError, IndexError, ValueError):  # they may say anything
        return None


def _describe(turn: int, line: str, outcome: Outcome, reply: str, said: list[str]) -> str:
    wanted = "\n".join((*outcome.lines, f"| {outcome.reply}"))
    got = "\n".join((*said, f"| {reply}"))
    return f"\n-- turn {turn}: {line} [{outcome.kind}]\nwanted:\n{wanted}\ngot:\n{got}"
