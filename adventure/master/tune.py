"""Training the game master (`adventure tune`): recall warm-up, then transcripts; can be resumed.

Knows corpus and trainer; how the network works is the engine's affair.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, fields
from functools import cache, partial
from pathlib import Path
from pickle import UnpicklingError

import torch

from adventure.errors import TrainError
from adventure.master.corpus import Group, corpus_tokenizer, hint_config, make_group
from adventure.master.recall import recall_batch
from adventure.master.tune_options import Plan
from adventure.master.validation import hints_of, row_of, validate
from engine.checkpoint import load_model, save_model
from engine.copyhints import CHANNELS, HintConfig
from engine.rwkv.config import Config
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer
from engine.train import Schedule, Trainer, masked_loss, read_opening

LONGEST = 1600  # tokens of a segment
SIZES = ((3, 4), (4, 6), (6, 9), (8, 12))
"""Room counts."""
AHEAD = 8  # batches made before they are needed
VALIDATION_SEED = 999_983  # of worlds that no run trains on
SAVED_EVERY = 250  # steps


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the run ended or its time is up. Raises TrainError on the user's mistakes."""
    _check(args)
    torch.set_num_threads(args.threads)
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"Can't make the folder {out}: {error.strerror}.") from error
    if args.resume:
        if not (out / "plan.json").is_file():
            raise TrainError(
                f"There is no run to resume in {out}; leave out --resume to begin one."
            )
        try:
            plan = Plan(**json.loads((out / "plan.json").read_text()))
        except (OSError, TypeError, ValueError) as error:
            file = out / "plan.json"
            raise TrainError(f"{file} is damaged ({error}); begin a new run with --out.") from error
        plan.steps = args.steps or plan.steps
    else:
        if (out / "run.pt").exists():
            raise TrainError(f"{out} holds a run already; add --resume, or choose another --out.")
        args.steps = args.steps or Plan.steps
        plan = Plan(**{f.name: getattr(args, f.name) for f in fields(Plan)})
        _prepare(plan, out, args.init)
    (out / "plan.json").write_text(json.dumps(asdict(plan)))
    return _Run(plan, out, args).go()


def _check(args: argparse.Namespace) -> None:
    ones = dict.fromkeys(("layers", "worlds", "segments", "threads", "workers"), 1)
    for name, bound in {**ones, "width": 64, "vocab": 512}.items():
        if getattr(args, name) < bound:
            raise TrainError(f"--{name} is {getattr(args, name)}; it must be at least {bound}.")
    if args.width % 64:
        raise TrainError(f"--width is {args.width}; it must be a multiple of 64.")
    if not 0 < args.peak < 1:
        raise TrainError(f"--peak is {args.peak}; it must be above 0 and below 1.")
    if args.steps is not None and args.steps < 1:
        raise TrainError(f"--steps is {args.steps}; it must be at least 1.")


def _prepare(plan: Plan, out: Path, init: str | None) -> None:
    """Put the run's tokenizer into its folder: that of `init`, or one learned for it."""
    if init:
        text = Tokenizer.from_file(Path(init).with_name("tokenizer.json")).to_json()
    else:
        print(f"Learning a vocabulary of {plan.vocab} tokens ...", flush=True)
        text = corpus_tokenizer(plan.vocab).to_json()
    (out / "tokenizer.json").write_text(text, encoding="utf-8")


@cache
def _tools(file: str) -> tuple[Tokenizer, HintConfig]:
    """What a worker needs for every batch."""
    tokenizer = Tokenizer.from_file(file)
    return tokenizer, hint_config(tokenizer)


def _work(tokenizer: str, step: int, plan: Plan) -> list[Group]:
    """Batch number `step`."""
    first = step * plan.worlds
    return [_group(tokenizer, first + i, plan) for i in range(plan.worlds)]


def _group(tokenizer: str, index: int, plan: Plan) -> Group:
    rooms = random.Random(f"size-{plan.seed}-{index}").choice(SIZES)
    tools, packs = _tools(tokenizer), tuple(plan.packs)
    return make_group(index, plan.seed, *tools, rooms, plan.segments, LONGEST, packs=packs)


class _Run:
    def __init__(self, plan: Plan, out: Path, args: argparse.Namespace) -> None:
        self.plan, self.out, self.args = plan, out, args
        self.tokenizer = Tokenizer.from_file(out / "tokenizer.json")
        try:
            self.hints = hint_config(self.tokenizer)
        except ValueError as error:
            raise TrainError(
                f"The vocabulary is too small: {error}; give a larger --vocab."
            ) from error
        config = Config(
            n_layer=plan.layers,
            n_embd=plan.width,
            vocab=self.tokenizer.vocab,
            tied=True,
            hints=self.hints if plan.hints else None,
        )
        self.model = Network.create(config, plan.seed)
        if args.init and not args.resume:
            self._start_from(Path(args.init))
        self.model.use_mixed(args.mixed)
        self.trainer = Trainer(self.model, Schedule(plan.steps, plan.peak, decay=0.5))
        self.seen, self.began = 0, time.time()

    def go(self) -> int:
        """Warm up, train, validate now and then, save."""
        if self.args.resume and (self.out / "run.pt").exists():
            self._resume()
        else:
            if self.plan.recall and not self.args.init:
                self._warm_up()
            self._save()
        size = sum(p.numel() for p in self.model.parameters())
        self._say(f"{size:,} parameters, {self.plan.steps} steps")
        self._train()
        self._save(final=True)
        return 0

    def _start_from(self, file: Path) -> None:
        try:
            self.model.load_state_dict(load_model(file).state_dict())
        except RuntimeError as error:
            what = "give its --layers and --width, and --no-hints if it has none"
            raise TrainError(f"{file} is a network of another shape; {what}.") from error

    def _resume(self) -> None:
        file = self.out / "run.pt"
        try:
            self.seen = int(str(self.trainer.load(file)["tokens"]))
        except (OSError, RuntimeError, KeyError, ValueError, UnpicklingError, EOFError) as error:
            raise TrainError(f"{file} is damaged; begin a new run with --out.") from error
        self._say(f"resumed at step {self.trainer.step}, {self.seen:,} tokens seen")

    def _say(self, text: str) -> None:
        line = f"[{(time.time() - self.began) / 60:6.1f} min] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a") as log:
            log.write(line + "\n")

    def _time_is_up(self) -> bool:
        return 0 < self.args.minutes * 60 < time.time() - self.began

    # -- recall warm-up --------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Key -> value recall without hints, on a vocabulary that grows as it is learned."""
        generator = torch.Generator().manual_seed(self.plan.seed)
        trainer = Trainer(self.model, Schedule(self.plan.recall, 3e-3, warmup=20, decay=0.01))
        size, smooth = 24.0, 0.0
        for step in range(self.plan.recall):
            tokens, said = recall_batch(int(size), self.tokenizer.vocab, 24, generator)
            none = torch.zeros((*tokens.shape, CHANNELS), dtype=torch.int64)
            hints = (none, none) if self.plan.hints else None
            loss, right = trainer.update([partial(masked_loss, self.model, tokens, said, hints)])
            smooth = 0.8 * smooth + 0.2 * right
            if smooth > 0.85:
                size, smooth = size * 1.6, 0.5
            if step % 20 == 0:
                self._say(f"recall {step}: loss {loss:.3f} right {right:.3f} words {int(size)}")
            if size > self.tokenizer.vocab / 2:
                break

    # -- transcripts -----------------------------------------------------------------------------

    def _batches(self, first: int) -> Generator[list[Group], None, None]:
        """Batch number `first` and on, made ahead by the workers, in order."""
        plan, file = self.plan, str(self.out / "tokenizer.json")
        pool = ProcessPoolExecutor(
            self.args.workers, initializer=torch.set_num_threads, initargs=(1,)
        )
        try:
            ahead = deque[Future[list[Group]]]()
            for step in itertools.count(first):
                ahead.append(pool.submit(_work, file, step, plan))
                if len(ahead) >= AHEAD:
                    yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _train(self) -> None:
        smooth: float | None = None
        since, before = time.time(), self.seen
        batches = self._batches(self.trainer.step)
        try:
            while self.trainer.step < self.plan.steps and not self._time_is_up():
                batch = next(batches)
                loss, right = self.trainer.update(partial(self._loss, group) for group in batch)
                self.seen += sum(
                    len(group.opening.tokens) + int((group.segments.tokens > 0).sum())
                    for group in batch
                )
                smooth = right if smooth is None else 0.95 * smooth + 0.05 * right
                step = self.trainer.step
                if step % 20 == 0:
                    rate = (self.seen - before) / (time.time() - since)
                    since, before = time.time(), self.seen
                    self._say(
                        f"step {step}/{self.plan.steps} loss {loss:.4f} tokens right {smooth:.4f} "
                        f"{rate:,.0f} tokens/s seen {self.seen:,}"
                    )
                if step % SAVED_EVERY == 0:
                    self._save()
                    self._validate()
                    since, before = time.time(), self.seen
        finally:
            batches.close()

    def _loss(self, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed over a group's segments, from the state after its opening."""
        opening, segments = row_of(group.opening), group.segments
        tokens, said = torch.from_numpy(segments.tokens), torch.from_numpy(segments.said)
        read = hints_of(opening) if self.plan.hints else None
        state = read_opening(self.model, torch.from_numpy(opening.tokens), read, len(tokens))
        hints = hints_of(segments) if self.plan.hints else None
        return masked_loss(self.model, tokens, said, hints, state)

    def _validate(self, worlds: int = 24) -> None:
        self.model.eval()
        self.model.use_mixed(False)
        tally = validate(
            self.model,
            self.tokenizer,
            self.hints,
            (
                make_group(
                    *(i, VALIDATION_SEED, self.tokenizer, self.hints, SIZES[i % len(SIZES)]),
                    segments=1,
                    longest=LONGEST,
                    held_out=True,
                )
                for i in range(worlds)
            ),
        )
        self.model.train()
        self.model.use_mixed(self.args.mixed)
        for line in tally.wrong:
            self._say(line)
        self._say(f"held-out words, {tally.summary()}")

    def _save(self, final: bool = False) -> None:
        self.trainer.save(self.out / "run.pt", {"tokens": self.seen})
        about = {"tokens_seen": str(self.seen), "plan": json.dumps(asdict(self.plan))}
        save_model(self.model, self.out / "master.safetensors", about, dtype="float16")
        if final:
            self._say(f"saved {self.out / 'master.safetensors'} after {self.seen:,} tokens")
