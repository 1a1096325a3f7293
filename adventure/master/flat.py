"""Whether turn 10,000 costs what turn 10 did (`adventure eval --flat`): time, memory, a save.

One game is played on and on, drafted; around turns 10, 100, 1,000 and 10,000 some commands are put
to copies of the position as in play, a token at a time. Beside each the same is done at an early
position that was kept: the two share whatever else slows the machine, and their ratio is what
counts. What a session keeps beside the master, its transcript and its undo, is no part of this.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from adventure.errors import TrainError
from adventure.master import SHIPPED
from adventure.master.consistency import memory_of, put_json
from adventure.master.consistency_options import add_arguments
from adventure.master.gamemaster import SEGMENT_TURNS, GameMaster, Position, load_network
from adventure.master.games import Game
from adventure.master.judged import seats_of, sources_of
from adventure.master.report import Report
from adventure.master.subjects import NetworkSubject

MARKS = (10, 100, 1000, 10_000)
COMMANDS = ("look", "inventory", "deeds", "wait")
_AROUND = SEGMENT_TURNS
"""Turns around a mark: a whole segment, for a position grows in one."""

_IGNORED = ("packs", "random", "walk", "games", "probes", "workers", "errors")
"""Options of `adventure eval` that are for many games, or for one that ends."""


@dataclass(frozen=True)
class Cost:
    """Medians around a turn. turn_of_game: of the game that was then played, for one that has ended
    is followed by another; milliseconds of a turn, a token and a segment's end, and how often those
    of a token at the early position; bytes resident in memory, and of the position as a save holds
    it; keys: that have changed."""

    turn: int
    turn_of_game: int
    ms_turn: float
    ms_token: float
    to_early: float
    ms_settle: float
    resident: int
    position: int
    keys: int


def run(args: argparse.Namespace) -> int:
    """Play, measure, print. Raises UserError on the user's mistakes."""
    _refuse_ignored(args)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    model, tokenizer = load_network(Path(args.model) if args.model else SHIPPED)
    source = sources_of(args)[0]
    world, walk = source.load()
    master = GameMaster(model, tokenizer, world, memory=memory_of(args, model))
    seat = [*seats_of(args, source.row, walk, 0, 1)][-1]
    game = Game(NetworkSubject(master), Report(), seat.player, seat.seed, args.turns, endings=False)
    costs = measure(master, game)
    if args.json and put_json(args.json, [asdict(cost) for cost in costs]):
        return 0
    print(f"{world.title}, {args.turns} turns; in brackets how often as much as at first")
    print("\n".join(lines(costs)))
    return 0


def _refuse_ignored(args: argparse.Namespace) -> None:
    """Raises TrainError for options that make no difference to one game in one world."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    given = [name for name in _IGNORED if getattr(args, name) != usual[name]]
    given += [f"wipe {args.wipe}"] if args.wipe not in (None, "words", "latent") else []
    given += ["textworld with several files"] if len(args.textworld or ()) > 1 else []
    if given:
        options = ", ".join(f"--{name}" for name in given)
        raise TrainError(
            f"--flat plays one game in one world and would ignore {options}; leave that out."
        )


def measure(master: GameMaster, game: Game) -> list[Cost]:
    """Play the game to its end, and measure around every one of MARKS that it comes to."""
    costs, early = list[Cost](), None
    for mark in [mark for mark in MARKS if mark <= game.turns] or [game.turns]:
        around = list[Cost]()
        while game.played < min(mark + _AROUND // 2, game.turns):
            game.step()
            if game.played > mark - _AROUND // 2:
                early = early or game.position
                around.append(_cost(master, game, early))
        costs.append(_median(mark, around))
        print(f"turn {game.played}", file=sys.stderr)
    return costs


def _cost(master: GameMaster, game: Game, early: Position) -> Cost:
    position: Position = game.position
    _, before, _ = _asked(master, early)
    turn, token, last = _asked(master, position)
    began = time.perf_counter()
    master.settle(replace(last, turns=SEGMENT_TURNS))
    settle = time.perf_counter() - began
    parts, meta = master.position_to_file_parts(position)
    size = sum(tensor.nbytes for tensor in parts.values()) + len(json.dumps(meta))
    return Cost(
        game.played,
        game.turn,
        1000 * turn,
        1000 * token,
        token / before,
        1000 * settle,
        _resident(),
        size,
        len(position.changed),
    )


def _asked(master: GameMaster, position: Position) -> tuple[float, float, Position]:
    """COMMANDS, each put to this position: seconds a turn, seconds a token, the last one's end."""
    tokens, after = 0, position
    began = time.perf_counter()
    for command in COMMANDS:
        asked = master.turn(position, command)
        for _ in asked:
            pass
        after = asked.position
        tokens += len(master.tokenizer.encode("\n".join((*asked.records, asked.reply))))
    spent = time.perf_counter() - began
    return spent / len(COMMANDS), spent / max(1, tokens), after


def _median(mark: int, around: list[Cost]) -> Cost:
    rows = [asdict(cost) for cost in around]
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    whole = ("turn_of_game", "resident", "position", "keys")
    return Cost(**{**medians, **{name: int(medians[name]) for name in whole}, "turn": mark})


def _resident() -> int:
    """Bytes of this process in memory; where the system doesn't tell, the most that there were."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def lines(costs: list[Cost]) -> list[str]:
    """A table; in brackets how often what it was in the first row."""
    first = costs[0]
    found = [
        f"{'turn':>7} {'of its game':>12} {'ms a turn':>10} {'ms a token (to early)':>22} "
        f"{'ms a segment':>13} {'MB in memory':>16} {'KB a position':>16} {'keys changed':>13}"
    ]
    for cost in costs:
        token = f"{cost.ms_token:.3f} ({cost.to_early:.2f})"
        memory = f"{cost.resident / 1e6:.1f} ({cost.resident / first.resident:.2f})"
        position = f"{cost.position / 1e3:.1f} ({cost.position / first.position:.2f})"
        found.append(
            f"{cost.turn:7d} {cost.turn_of_game:12d} {cost.ms_turn:10.1f} {token:>22} "
            f"{cost.ms_settle:13.1f} {memory:>16} {position:>16} {cost.keys:13d}"
        )
    return found
