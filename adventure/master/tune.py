"""Training the game master (`adventure tune`): what a run is, and its batches, made by the referee.

Knows plans and the corpus; training.py has the steps themselves.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import get_args

import torch

from adventure.errors import TrainError
from adventure.master.chains import Batch, Chain, Words, make_chain
from adventure.master.corpus import (
    Group,
    Kind,
    corpus_tokenizer,
    hint_config,
    make_group,
)
from adventure.master.starting import check_marks
from adventure.master.training import Corpus, Training
from adventure.master.tune_checks import check
from adventure.master.tune_options import Plan
from adventure.world.generate import MOST_ROOMS
from engine.adapters import merge_part
from engine.checkpoint import inspect, save_model, weights_hash
from engine.copyhints import HintConfig
from engine.tokenizer import Tokenizer, open_tokenizer

LONGEST = 1600  # tokens of a segment, usually
SIZES = ((1, 2), (3, 4), (4, 6), (6, 9), (8, 12), (12, 20), (20, MOST_ROOMS))
WEIGHTS = (6, 20, 20, 20, 20, 10, 4)
"""Room counts, and how many in a hundred worlds have them."""
AHEAD = 8  # batches made before they are needed, at least
VALIDATION_SEED = 999_983  # of worlds that no run trains on
VALIDATED = 24  # worlds


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the run ended or its time is up. Raises TrainError on the user's mistakes."""
    check(args)
    torch.set_num_threads(args.threads)
    if args.merge:
        return _merge(args)
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        plan = _resumed_plan(args, out) if args.resume else _new_plan(args, out)
        _write(out / "plan.json", json.dumps(asdict(plan)))
    except OSError as error:
        raise TrainError(f"Can't make the folder {out}: {error.strerror}.") from error
    file = str(out / "tokenizer.json")
    return Training(plan, out, args, _Worlds(file, plan, args.workers)).go()


def _merge(args: argparse.Namespace) -> int:
    """Write a checkpoint with its adapter or state in it, and its tokenizer beside it."""
    base, out = Path(args.init), Path(args.out)
    model = merge_part(base, args.merge)
    tokenizer = open_tokenizer(base, model.config.vocab)
    if out.suffix != ".safetensors":
        raise TrainError(f"--out is {out}; with --merge it is a file, NAME.safetensors.")
    if out.exists():
        raise TrainError(f"{out} is there already; choose another --out.")
    save_model(model, out, {"merged": str(args.merge)})
    beside = out.with_name("tokenizer.json")
    if isinstance(tokenizer, Tokenizer) and not beside.exists():
        _write(beside, tokenizer.to_json())
    print(f"Written: {out}")
    return 0


def _new_plan(args: argparse.Namespace, out: Path) -> Plan:
    """The plan, with the run's tokenizer put into its folder: that of --init, or one learned."""
    if (out / "run.pt").exists():
        raise TrainError(f"{out} holds a run already; add --resume, or choose another --out.")
    args.steps, args.tokens = args.steps or Plan.steps, args.tokens or Plan.tokens
    names = (f.name for f in fields(Plan) if f.name != "base")
    plan = Plan(**{name: getattr(args, name) for name in names})
    if plan.init:
        file = Path(plan.init)
        config = inspect(file).network.config
        tokenizer = open_tokenizer(file, config.vocab)
        text = check_marks(file, config, tokenizer).to_json()
        plan.layers, plan.width, plan.vocab = config.n_layer, config.n_embd, config.vocab
        plan.hints, plan.base = config.hints is not None, weights_hash(file)
    elif args.tokenizer:
        text = Tokenizer.from_file(args.tokenizer).to_json()
    else:
        print(f"Learning a vocabulary of {plan.vocab} tokens ...", flush=True)
        text = corpus_tokenizer(plan.vocab).to_json()
    _write(out / "tokenizer.json", text)
    return plan


def _resumed_plan(args: argparse.Namespace, out: Path) -> Plan:
    file = out / "plan.json"
    if not file.is_file():
        raise TrainError(f"There is no run to resume in {out}; leave out --resume to begin one.")
    try:
        told = dict(json.loads(file.read_text()))
        if unknown := sorted(set(told) - {f.name for f in fields(Plan)}):
            raise TrainError(
                f"The run in {out} was begun by another version, which knows of {unknown[0]!r}; go "
                "on with that version, or begin a new run with --out."
            )
        plan = Plan(**told)
    except (TypeError, ValueError) as error:
        raise TrainError(f"{file} is damaged ({error}); begin a new run with --out.") from error
    if args.tokens is not None and args.tokens != plan.tokens:
        was = f"with --tokens {plan.tokens}" if plan.tokens else "without --tokens"
        raise TrainError(
            f"--tokens is {args.tokens}, but the run in {out} was begun {was} and goes on so; "
            "leave it out."
        )
    if args.steps and plan.tokens:
        raise TrainError(
            f"--steps is {args.steps}, but the run in {out} ends after {plan.tokens} tokens; leave "
            "it out."
        )
    if args.steps and args.steps != plan.steps:
        print(f"{args.steps} steps instead of {plan.steps}: the rate falls at another time now.")
        plan.steps = args.steps
    plan.mixed = plan.mixed or args.mixed
    return plan


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


# -- batches --------------------------------------------------------------------------------------


@cache
def _tools(file: str) -> tuple[Tokenizer, HintConfig]:
    """What a worker needs for every batch."""
    tokenizer = Tokenizer.from_file(file)
    return tokenizer, hint_config(tokenizer)


def _work(tokenizer: str, step: int, plan: Plan) -> list[Batch]:
    """Batch number `step`; of chains, where there are any, is every second world, or every one
    where nothing but the memory learns, or games are to be whole."""
    first, made = step * plan.worlds, list[Batch]()
    for index in range(first, first + plan.worlds):
        always = plan.learn == "memory" or plan.whole_games
        chained = plan.chain and (index % 2 or always)
        made.append(
            _chain(tokenizer, index, step, plan) if chained else _group(tokenizer, index, plan)
        )
    return made


def _chain(tokenizer: str, index: int, step: int, plan: Plan) -> Chain:
    """A chain of as many segments as there are at this step, in about as many tokens as a group."""
    rooms, tools = _rooms(f"size-{plan.seed}-{index}", plan), _tools(tokenizer)
    segments, longest = chain_length(step, plan), plan.longest or LONGEST
    games = max(1, plan.segments // segments)
    every = get_args(Words) if plan.words == "mixed" else (plan.words,)
    words: Words = every[index // 2 % len(every)]
    return make_chain(
        *(index, plan.seed, *tools, rooms, segments, games, longest, words),
        packs=tuple(plan.packs),
        whole=plan.whole_games,
        kind=_kind(plan),
    )


def chain_length(step: int, plan: Plan) -> int:
    """Segments of a chain at a step: from 2 to plan.chain in even stages, which take half a run;
    plan.chain throughout where a run is as long as its tokens."""
    if plan.tokens:
        return plan.chain
    stages = plan.chain - 1
    return min(plan.chain, 2 + 2 * stages * step // max(1, plan.steps))


def _group(tokenizer: str, index: int, plan: Plan) -> Group:
    rooms, tools = _rooms(f"size-{plan.seed}-{index}", plan), _tools(tokenizer)
    packs, longest = tuple(plan.packs), plan.longest or LONGEST
    return make_group(
        *(index, plan.seed, *tools, rooms, plan.segments, longest),
        packs=packs,
        kind=_kind(plan),
    )


def _kind(plan: Plan) -> Kind:
    return Kind(plan.records, plan.simple)


def _rooms(seed: str, plan: Plan) -> tuple[int, int]:
    if plan.rooms:
        return plan.rooms[0], plan.rooms[1]
    return random.Random(seed).choices(SIZES, WEIGHTS[: len(SIZES)])[0]


def _begin_work() -> None:
    """A worker ends with the program, however that ends; Ctrl-C is the program's to deal with."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            multiprocessing.connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Worlds(Corpus):
    """Batches as functions of a plan and their number, and worlds of held-out words."""

    def __init__(self, tokenizer: str, plan: Plan, workers: int) -> None:
        self._file, self._plan, self._workers = tokenizer, plan, workers

    def batches(self, first: int) -> Generator[list[Batch], None, None]:
        """Batch number `first` and on, made ahead by the workers, in order."""
        pool = ProcessPoolExecutor(self._workers, initializer=_begin_work)
        try:
            ahead = deque[Future[list[Batch]]]()
            for step in itertools.count(first):
                ahead.append(pool.submit(_work, self._file, step, self._plan))
                if len(ahead) >= max(AHEAD, 2 * self._workers):
                    yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def held_out(self) -> Iterator[Group]:
        """Worlds to validate with, of a segment each."""
        tools = _tools(self._file)
        for i in range(VALIDATED):
            rooms = _rooms(f"validation-{i}", self._plan)
            longest, kind = self._plan.longest or LONGEST, _kind(self._plan)
            yield make_group(
                *(i, VALIDATION_SEED, *tools, rooms, 1, longest), held_out=True, kind=kind
            )
