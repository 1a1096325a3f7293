"""The consistency benchmark (`adventure eval`): a master plays, the referee judges. No training.

docs/CONSISTENCY.md says what is measured. Games don't depend on one another, so several processes
may share them: a game's commands, questions and figures are functions of its seed and the weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from adventure.errors import TrainError
from adventure.master import SHIPPED
from adventure.master.gamemaster import GameMaster, load_network
from adventure.master.games import Game
from adventure.master.judged import WALK, seats_of, sources_of, swaps
from adventure.master.report import WINDOWS, Report, merged
from adventure.master.runs import Score, read_run, record_scores
from adventure.master.segments import Latent, MemoryUse
from adventure.master.subjects import NetworkSubject
from adventure.master.tables import table
from engine.rwkv.network import Network
from engine.tokenizer import AnyTokenizer

Reports = dict[str, Report]
"""What games are counted under -> their report: a world's name, with ` walk` for its walk."""
_LONGEST = WINDOWS[-1][1]


@dataclass
class Judgement:
    """All reports of one run; about: its options, in words."""

    about: dict[str, Any]
    reports: Reports = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def whole(self) -> Report:
        """Of all games together, but for walks where there was other play too."""
        played = [r for row, r in self.reports.items() if not row.endswith(WALK)]
        return merged(played or self.reports.values())

    def figures(self) -> dict[str, Any]:
        """As plain numbers; `rows` only where there are several."""
        figures = {**self.about, "seconds": round(self.seconds, 1), **self.whole.figures()}
        if len(self.reports) > 1:
            figures["rows"] = {row: report.figures() for row, report in self.reports.items()}
        return figures

    def scores(self) -> Iterator[Score]:
        """As the file of training runs keeps them: all games, and each row where there are many."""
        rows = {str(self.about["worlds"]): self.whole}
        rows |= self.reports if len(self.reports) > 1 else {}
        for what, report in rows.items():
            for window, tally in report.windows.items():
                n = tally.judged
                yield Score(what, window, tally.exact / n, tally.own / n, n)


def run(args: argparse.Namespace) -> int:
    """Play and judge; prints the table. Raises UserError on the user's mistakes."""
    _check(args)
    if args.flat:
        from adventure.master.flat import run as run_flat

        return run_flat(args)
    if args.graph:
        from adventure.master.graphs import check_graph

        check_graph(Path(args.graph))  # before an hour of play, not after
    if args.of_run is not None:
        read_run(args.db, args.of_run)  # likewise
    judgement = judge_all(args)
    if args.of_run is not None:
        record_scores(args.db, args.of_run, judgement.scores())
    if args.graph:
        from adventure.master.graphs import draw

        draw(judgement.about, judgement.whole, Path(args.graph))
    if args.json and put_json(args.json, judgement.figures()):
        return 0
    print(table(judgement.about, judgement.seconds, judgement.whole, judgement.reports))
    for error in judgement.whole.first_errors[: args.errors]:
        print(error)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.games < 1 or min(args.random, args.threads, args.probes) < 0 or args.workers < 1:
        raise TrainError(
            "--games and --workers must be at least 1, --random, --threads and --probes at least 0."
        )
    if not 1 <= args.turns <= _LONGEST:
        raise TrainError(f"--turns is {args.turns}; it must be from 1 to {_LONGEST}.")
    if args.flat and (args.graph or args.of_run is not None):
        raise TrainError("--flat measures no accuracy to draw or to keep; drop --graph and --run.")
    if args.walk and not args.world:
        raise TrainError("--walk needs --world: the world in which the commands are given.")
    games = 1 if args.walk else args.games
    if swaps(args.wipe) and games < 2 * len(sources_of(args)):
        raise TrainError(
            f"--wipe {args.wipe} needs two games in every world, and of all together there are "
            f"{games}; give more games, or fewer worlds (--random)."
        )


def memory_of(args: argparse.Namespace, model: Network) -> MemoryUse:
    """What the options leave of a master's memory. Raises TrainError where it has no such thing."""
    wanted = f"--wipe {args.wipe}" if args.wipe in ("latent", "latent-swap") else ""
    wanted = f"--latent {args.latent}" if args.latent != "on" else wanted
    if wanted and model.memory is None:
        raise TrainError(f"{wanted} needs a network with a latent memory, and this one has none.")
    if args.start == "replay" and model.config.hints is None:
        raise TrainError("--start replay needs a network with copy hints, and this one has none.")
    latent: Latent = "zeroed" if args.wipe == "latent" else args.latent
    return MemoryUse(args.wipe != "words", latent, args.start)


def judge_all(args: argparse.Namespace) -> Judgement:
    """Judge by as many processes as were asked for. Raises UserError."""
    judgement, began = Judgement(_about(args)), time.time()
    if args.workers == 1:
        judgement.reports = _judge_part(args, 0, 1)
    else:
        with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
            parts = [
                pool.submit(_judge_part, args, part, args.workers) for part in range(args.workers)
            ]
            judgement.reports = together([part.result() for part in parts])
    order = [row for s in sources_of(args) for row in (s.row + WALK, s.row)]
    found = judgement.reports
    judgement.reports = {row: found[row] for row in dict.fromkeys(order) if row in found}
    judgement.seconds = time.time() - began
    return judgement


def together(parts: Sequence[Reports]) -> Reports:
    """What several processes have counted, row by row."""
    rows = dict.fromkeys(row for reports in parts for row in reports)
    return {row: merged(reports[row] for reports in parts if row in reports) for row in rows}


def _about(args: argparse.Namespace) -> dict[str, Any]:
    what = args.world or f"random, held-out {args.held_out}"
    what = "all that are shipped" if args.packs else what
    what = f"{len(args.textworld)} of TextWorld's" if args.textworld else what
    about = {"worlds": what, "player": "walk" if args.walk else args.player}
    about |= {"games": args.games, "seed": args.seed}
    about |= {"model": args.model} if args.model else {}
    about |= {"endings": "avoided"} if args.no_endings else {}
    about |= {"latent memory": args.latent} if args.latent != "on" else {}
    about |= {"segments": args.start} if args.start != "opening" else {}
    return about | ({"wiped": args.wipe} if args.wipe else {})


def _judge_part(args: argparse.Namespace, part: int, parts: int) -> Reports:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    model, tokenizer = load_network(Path(args.model) if args.model else SHIPPED)
    return judge(model, tokenizer, args, part, parts)


def judge(
    model: Network, tokenizer: AnyTokenizer, args: argparse.Namespace, part: int = 0, parts: int = 1
) -> Reports:
    """Play the games that are this part's, a turn of each in step, and count."""
    reports: Reports = {}
    pairs = [*_games(model, tokenizer, args, part, parts, reports)]
    began = time.time()
    for turn in range(1, _LONGEST + 1):
        live = [(game, other) for game, other in pairs if not game.done]
        if not live:
            break
        for game, other in live:
            game.step(other)
        if not part and turn % 50 == 0:
            so_far = merged(reports.values()).turns
            share, seconds = so_far.exact / so_far.judged, time.time() - began
            print(f"turn {turn}: {share:.2%} exact so far, {seconds:.0f} s", file=sys.stderr)
    return reports


def _games(
    model: Network,
    tokenizer: AnyTokenizer,
    args: argparse.Namespace,
    part: int,
    parts: int,
    reports: Reports,
) -> Iterator[tuple[Game, Game | None]]:
    """This part's games, each with the one whose memory a control hands over, if there is one."""
    sources = sources_of(args)
    whole = len(sources) >= parts or swaps(args.wipe)  # worlds are shared out, not their games
    memory = memory_of(args, model)
    for place, source in enumerate(sources):
        if whole and place % parts != part:
            continue
        world, walk = source.load()
        subject = NetworkSubject(GameMaster(model, tokenizer, world, memory=memory), args.wipe)
        games = [
            Game(
                subject,
                reports.setdefault(seat.row, Report()),
                seat.player,
                seat.seed,
                seat.turns,
                probes=args.probes,
                endings=seat.walks or not args.no_endings,
                again=not seat.walks,
            )
            for number, seat in enumerate(seats_of(args, source.row, walk, place, len(sources)))
            if whole or number % parts == part
        ]
        for i, game in enumerate(games):
            yield game, games[i - 1] if swaps(args.wipe) else None


def put_json(where: str, figures: Any) -> bool:
    """To a file, or printed for `-`; whether that is all that is to be printed. Raises TrainError
    where the file can't be written."""
    text = json.dumps(figures, indent=1) + "\n"
    if where == "-":
        print(text, end="")
        return True
    try:
        Path(where).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainError(f"Can't write {where}: {error.strerror or error}.") from error
    return False
