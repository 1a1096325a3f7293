"""The steps of a training run: warm-up, updates, validation, saving; can be killed at any of them.

Knows networks, and batches by their number; not what worlds they are of. Batch `step` is the same
whenever it is asked for, and a checkpoint has all the rest, so that a run which was killed goes on
to the same bits on the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import numpy as np
import torch
from torch import Tensor

from adventure.errors import TrainError, UserError
from adventure.master import runs
from adventure.master.chains import Batch, Chain, chain_loss
from adventure.master.corpus import Group, Sample
from adventure.master.recall import SHOWN, warm_up
from adventure.master.starting import export, first_network, hints_of_vocabulary, plain
from adventure.master.stop import Stop
from adventure.master.tune_options import Plan
from adventure.master.validation import row_of, validate
from engine.rwkv.hints import Hints
from engine.segments import Latent, Start
from engine.tokenizer import Tokenizer
from engine.train import Schedule, Trainer, masked_loss, read_opening


class Corpus(ABC):
    """What there is to learn from."""

    @abstractmethod
    def batches(self, first: int) -> Generator[list[Batch], None, None]:
        """Batch number `first` and on, each the same whenever it is made."""

    @abstractmethod
    def held_out(self) -> Iterable[Group]:
        """Groups to validate with, of a segment each."""


class Training:
    """One run, new or resumed, in its folder."""

    def __init__(self, plan: Plan, out: Path, args: argparse.Namespace, corpus: Corpus) -> None:
        self.plan, self.out, self.args, self.corpus = plan, out, args, corpus
        self.device = torch.device(args.device)
        self.tokenizer = Tokenizer.from_file(out / "tokenizer.json")
        what = "the vocabulary is too small, give a larger --vocab"
        self.hints = hints_of_vocabulary(self.tokenizer, what)
        self.resumed = args.resume and (out / "run.pt").exists()
        plan.vocab = plan.vocab if plan.init else self.tokenizer.vocab
        self.model = first_network(plan, self.hints, out, self.resumed).to(self.device)
        self.trainer = self._trainer()
        self.seen, self.smooth = 0, 0.0
        self.began = self.saved_at = time.time()
        self.saved_step = -1  # none yet
        self.stop = Stop()
        self.db = Path(args.db) if args.db else out.resolve().parent / "runs.db"
        self.steps: list[runs.Step] = []  # not in the file of runs yet

    def _trainer(self) -> Trainer:
        schedule = Schedule(self.plan.steps, self.plan.peak, decay=0.5)
        return Trainer(self.model, schedule, ema=self.plan.ema)

    def go(self) -> int:
        """Warm up, train, validate now and then, save: 0, or 130 after Ctrl-C."""
        with self.stop.watched():
            if self.resumed:
                self._resume()
            else:
                if self.plan.recall and not self.plan.init:
                    warm_up(self.model, self.plan, self._say, self.stop)
                    self.trainer = self._trainer()  # its average begins here
                if self.stop.signal:
                    self._say("stopped in the warm-up; --resume begins anew")
                    return self._status()
                self._save()
            size = sum(p.numel() for p in self.model.parameters())
            learning = sum(p.numel() for p in self.trainer.learned.values())
            self._say(f"{size:,} parameters, {learning:,} learning, {self._length()}")
            self.run = self._register(size)
            self._train()
        if self.stop.signal:
            self._say(f"stopped at step {self.trainer.step}; go on with --resume")
        return self._status()

    def _status(self) -> int:
        return 130 if self.stop.signal == signal.SIGINT else 0

    def _resume(self) -> None:
        file = self.out / "run.pt"
        try:
            extra = self.trainer.load(file)
            self.seen, self.smooth = int(str(extra["tokens"])), float(str(extra["smooth"]))
        except (OSError, RuntimeError, KeyError, ValueError, UnpicklingError, EOFError) as error:
            raise TrainError(
                f"{file} is damaged, or of another version; begin a new run with --out."
            ) from error
        self.saved_step = self.trainer.step
        self._say(f"resumed at step {self.trainer.step}, {self.seen:,} tokens seen")

    def _register(self, size: int) -> int:
        """The run's number in the file of runs."""
        configuration, db, number = asdict(self.plan), self.db, None
        if self.resumed:
            number = runs.go_on_with(db, self.out, self.trainer.step, configuration, self.seen)
        if number is not None:
            return number
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        machine = {"device": name, "threads": self.args.threads}
        return runs.begin_run(db, self.out, configuration, machine, size)

    def _say(self, text: str) -> None:
        line = f"[{(time.time() - self.began) / 60:6.1f} min] {text}"
        print(line, flush=True)
        with contextlib.suppress(OSError), (self.out / "log.txt").open("a") as log:
            log.write(line + "\n")  # a full disk is told where a checkpoint is lost by it

    def _ends(self) -> bool:
        return bool(self.stop.signal) or 0 < self.args.minutes * 60 < time.time() - self.began

    def _over(self) -> bool:
        """Whether the run has had all that it is to have."""
        if self.plan.tokens:
            return self.seen >= self.plan.tokens
        return self.trainer.step >= self.plan.steps

    def _length(self) -> str:
        plan = self.plan
        return f"{plan.tokens:,} tokens" if plan.tokens else f"{plan.steps} steps"

    def _done(self) -> float | None:
        """The share of its tokens that a run has had, where they are what it is as long as."""
        return self.seen / self.plan.tokens if self.plan.tokens else None

    def _reached(self) -> str:
        """How far the run is, in what it is as long as."""
        step, done = self.trainer.step, self._done()
        if done is None:
            return f"step {step}/{self.plan.steps}"
        return f"step {step}, {min(1.0, done):.1%} of its tokens,"

    def _rate(self) -> float:
        return self.trainer.schedule.rate(self.trainer.step, self._done())

    # -- transcripts -----------------------------------------------------------------------------

    def _train(self) -> None:
        since, before = time.time(), self.seen
        batches = self.corpus.batches(self.trainer.step)
        try:
            while not self._over() and not self._ends():
                began, rate = time.time(), self._rate()
                loss, right = self._update(batches)
                step, took = self.trainer.step, time.time() - began
                self.steps.append(runs.Step(step, self.seen, loss, right, rate, took))
                self.smooth = right if step == 1 else 0.95 * self.smooth + 0.05 * right
                if step % SHOWN == 0:
                    speed = (self.seen - before) / (time.time() - since)
                    since, before = time.time(), self.seen
                    self._say(
                        f"{self._reached()} loss {loss:.4f} tokens right {self.smooth:.4f} "
                        f"{speed:,.0f} tokens/s seen {self.seen:,}"
                    )
                    self._record()
                if step % self.args.save_every == 0:
                    self._save()
                    self._validate()
                    since, before = time.time(), self.seen
                elif 0 < self.args.save_minutes * 60 < time.time() - self.saved_at:
                    self._save()
        except BrokenProcessPool as error:
            if not self.stop.signal:  # a signal for the whole group takes the workers, too
                raise TrainError("A process that makes transcripts died; add --resume.") from error
        finally:
            batches.close()
        if self.saved_step < self.trainer.step:
            self._save()
        self._say(f"saved {self.out / 'master.safetensors'} after {self.seen:,} tokens")
        self._record(ended=self._over())

    def _update(self, batches: Iterator[list[Batch]]) -> tuple[float, float]:
        batch = next(batches)
        self.trainer.done = self._done()
        done = self.trainer.update(partial(self._loss, group) for group in batch)
        for group in batch:
            self.seen += (
                group.tokens
                if isinstance(group, Chain)
                else len(group.opening.tokens) + int((group.segments.tokens > 0).sum())
            )
        return done

    def _loss(self, group: Batch) -> tuple[Tensor, Tensor]:
        """Summed over a world's segments, from the state after its opening."""
        if isinstance(group, Chain):
            latent: Latent = "on" if self.model.memory else "off"
            start = cast(Start, self.plan.start)
            return chain_loss(self.model, group, self.plan.depth, start, latent)
        opening, segments = row_of(group.opening), group.segments
        tokens, said = self._tensor(segments.tokens), self._tensor(segments.said)
        first = self._tensor(opening.tokens)
        state = read_opening(self.model, first, self._hints_of(opening), len(tokens))
        return masked_loss(self.model, tokens, said, self._hints_of(segments), state)

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":  # pinned, the copy runs beside what the GPU is doing
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    def _hints_of(self, sample: Sample) -> Hints | None:
        if not self.plan.hints:
            return None
        return self._tensor(sample.ids), self._tensor(sample.codes)

    def _validate(self) -> None:
        model = plain(self.model, self.plan, self.trainer.averaged).eval()
        if self.plan.mixed:
            model.use_mixed(False)
        tally = validate(model, self.tokenizer, self.hints, self.corpus.held_out())
        self.model.train()
        if self.plan.mixed:
            self.model.use_mixed()
        for line in tally.wrong:
            self._say(line)
        self._say(f"held-out words, {tally.summary()}")
        turns = tally.total.total()
        score = runs.Score("validation", "all", tally.exact.total() / max(1, turns), turns=turns)
        with self._file_of_runs():
            runs.record_scores(self.db, self.run, [score], self.trainer.step, self.seen)

    def _record(self, ended: bool = False) -> None:
        """Hand the latest steps to the file of runs; those that it can't take wait."""
        with self._file_of_runs():
            runs.record_steps(self.db, self.run, self.steps, ended)
            self.steps = []

    @contextlib.contextmanager
    def _file_of_runs(self) -> Iterator[None]:
        """No reason to end a run, if it can't be written to."""
        try:
            yield
        except TrainError as error:
            self._say(str(error))

    def _save(self) -> None:
        if self.steps:
            self._record()  # or a run that is killed now would lack them when it goes on
        try:
            export(self.model, self.plan, self.trainer.averaged, self.out, self.seen)
            extra: dict[str, object] = {"tokens": self.seen, "smooth": self.smooth}
            self.trainer.save(self.out / "run.pt", extra)
        except (OSError, UserError) as error:
            raise TrainError(
                f"Can't save step {self.trainer.step} in {self.out} ({error}); make room, then "
                "go on with --resume, from the last checkpoint that was saved."
            ) from error
        self.saved_at, self.saved_step = time.time(), self.trainer.step
