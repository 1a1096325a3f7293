"""Training the game master (`adventure tune`): recall warm-up, then transcripts; resumes after a kill.

Knows corpus and trainer; how the network works is the engine's affair.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from adventure.errors import TrainError
from adventure.master.corpus import Sample, corpus_tokenizer, hint_config, make_batch, make_sample
from engine.checkpoint import save_model
from engine.rwkv.config import Config
from engine.rwkv.v7 import RWKV7
from engine.tokenizer import Tokenizer
from engine.train import Schedule, Trainer, masked_loss

LONGEST = 2304
CLASSES = ((3, 5), (5, 8), (8, 12))
"""Room counts; the samples of one batch share one, so that little is padded."""


@dataclass
class Plan:
    """What a run is: kept beside its checkpoint, so that it resumes as it began."""

    layers: int = 4
    width: int = 192
    vocab: int = 2048
    batch: int = 4
    steps: int = 4000
    recall: int = 400
    peak: float = 2e-3
    seed: int = 1
    hints: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure tune`."""
    plan = Plan()
    parser.add_argument("--out", default="runs/master", help="folder of the run (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    parser.add_argument("--init", metavar="FILE", help="start from these weights, tokenizer.json beside them")
    parser.add_argument("--layers", type=int, default=plan.layers)
    parser.add_argument("--width", type=int, default=plan.width, help="a multiple of 64 (default: %(default)s)")
    parser.add_argument("--vocab", type=int, default=plan.vocab)
    parser.add_argument("--batch", type=int, default=plan.batch, help="segments per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=plan.steps, help="of transcripts (default: %(default)s)")
    parser.add_argument("--recall", type=int, default=plan.recall, help="warm-up steps at most (default: %(default)s)")
    parser.add_argument("--peak", type=float, default=plan.peak, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--no-hints", dest="hints", action="store_false", help="leave the copy hints out")
    parser.add_argument("--threads", type=int, default=1, help="for the arithmetic (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make transcripts")
    parser.add_argument("--minutes", type=float, default=0, help="stop after this long; 0: at the last step")


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the run ended or its time is up. Raises TrainError on the user's mistakes."""
    torch.set_num_threads(args.threads)
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"Can't make the folder {out}: {error.strerror}.") from error
    if args.resume:
        if not (out / "plan.json").is_file():
            raise TrainError(f"There is no run to resume in {out}; leave out --resume to begin one.")
        plan = Plan(**json.loads((out / "plan.json").read_text()))
        plan.steps = max(plan.steps, args.steps)
    else:
        if (out / "run.pt").exists():
            raise TrainError(f"{out} holds a run already; add --resume to go on, or choose another --out.")
        plan = Plan(**{f.name: getattr(args, f.name) for f in fields(Plan)})
        _prepare(plan, out, args.init)
    (out / "plan.json").write_text(json.dumps(asdict(plan)))
    return _Run(plan, out, args).go()


def _prepare(plan: Plan, out: Path, init: str | None) -> None:
    if init:
        source = Path(init).with_name("tokenizer.json")
        (out / "tokenizer.json").write_bytes(source.read_bytes())
        return
    print(f"Learning a vocabulary of {plan.vocab} tokens ...", flush=True)
    (out / "tokenizer.json").write_text(corpus_tokenizer(plan.vocab).to_json())


_worker: dict[str, object] = {}


def _start_worker(tokenizer: str) -> None:
    torch.set_num_threads(1)
    _worker["tokenizer"] = Tokenizer.from_file(Path(tokenizer))
    _worker["hints"] = hint_config(_worker["tokenizer"])  # type: ignore[arg-type]


def _work(step: int, seed: int, batch: int) -> Sample:
    rooms = random.Random(f"class-{seed}-{step}").choice(CLASSES)
    make = [
        make_sample(step * batch + b, seed, _worker["tokenizer"], _worker["hints"], rooms, LONGEST)  # type: ignore[arg-type]
        for b in range(batch)
    ]
    return make_batch(make)


class _Run:
    def __init__(self, plan: Plan, out: Path, args: argparse.Namespace) -> None:
        self.plan, self.out, self.args = plan, out, args
        self.tokenizer = Tokenizer.from_file(out / "tokenizer.json")
        self.hints = hint_config(self.tokenizer)
        config = Config(
            n_layer=plan.layers, n_embd=plan.width, vocab=self.tokenizer.vocab, tied=True,
            hints=self.hints if plan.hints else None,
        )  # fmt: skip
        self.model = RWKV7.create(config, plan.seed)
        if args.init and not args.resume:
            from engine import load_model

            self.model.load_state_dict(load_model(Path(args.init)).state_dict())
        self.trainer = Trainer(self.model, Schedule(plan.steps, plan.peak))
        self.seen, self.began = 0, time.time()

    def go(self) -> int:
        """Warm up, train, validate now and then, save."""
        if self.args.resume and (self.out / "run.pt").exists():
            self.seen = int(self.trainer.load(self.out / "run.pt")["tokens"])  # type: ignore[call-overload]
            self._say(f"resumed at step {self.trainer.step}, {self.seen:,} tokens seen")
        elif self.plan.recall and not self.args.init:
            self._warm_up()
        size = sum(p.numel() for p in self.model.parameters())
        self._say(f"{size:,} parameters, {self.plan.steps} steps")
        self._train()
        self._save(final=True)
        return 0

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
            none = torch.zeros((*tokens.shape, 7), dtype=torch.int64)
            hints = (none, none) if self.plan.hints else None
            loss, right = trainer.update(lambda t=tokens, s=said, h=hints: masked_loss(self.model, t, s, h))
            smooth = 0.8 * smooth + 0.2 * right
            if smooth > 0.85:
                size, smooth = size * 1.6, 0.5
            if step % 20 == 0:
                self._say(f"recall {step}: loss {loss:.3f} right {right:.3f} words {int(size)}")
            if size > self.tokenizer.vocab / 2:
                break

    # -- transcripts -----------------------------------------------------------------------------

    def _batches(self, first: int) -> Iterator[Sample]:
        """Batch number `first` and on, made ahead by the workers, in order."""
        with ProcessPoolExecutor(
            self.args.workers, initializer=_start_worker, initargs=(str(self.out / "tokenizer.json"),)
        ) as pool:
            ahead = [pool.submit(_work, first + i, self.plan.seed, self.plan.batch) for i in range(8)]
            step = first + len(ahead)
            while True:
                yield ahead.pop(0).result()
                ahead.append(pool.submit(_work, step, self.plan.seed, self.plan.batch))
                step += 1

    def _train(self) -> None:
        smooth = None
        since, tokens = time.time(), 0
        batches = self._batches(self.trainer.step)
        try:
            while self.trainer.step < self.plan.steps and not self._time_is_up():
                batch = next(batches)
                loss, right = self.trainer.update(lambda b=batch: self._loss(b))
                tokens += int((batch.tokens > 0).sum())
                smooth = right if smooth is None else 0.95 * smooth + 0.05 * right
                step = self.trainer.step
                if step % 20 == 0:
                    self.seen += tokens
                    rate, tokens, since = tokens / (time.time() - since), 0, time.time()
                    self._say(
                        f"step {step}/{self.plan.steps} loss {loss:.4f} tokens right {smooth:.4f} "
                        f"{rate:,.0f} tokens/s seen {self.seen:,}"
                    )
                if step % 250 == 0:
                    self._save()
                    self._validate()
                    since = time.time()
        finally:
            batches.close()  # type: ignore[attr-defined]

    def _loss(self, batch: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        hints = (torch.from_numpy(batch.ids), torch.from_numpy(batch.codes)) if self.plan.hints else None
        return masked_loss(self.model, torch.from_numpy(batch.tokens), torch.from_numpy(batch.said), hints)

    def _validate(self, samples: int = 24) -> None:
        """Held-out words, true history fed: share of turns exact, records included, and what failed."""
        exact, total = Counter[str](), Counter[str]()
        shown = 0
        self.model.eval()
        for i in range(samples):
            sample = make_sample(i, 999_983, self.tokenizer, self.hints, CLASSES[i % 3], LONGEST, held_out=True)
            one = make_batch([sample])
            tokens = torch.from_numpy(one.tokens)
            hints = (torch.from_numpy(one.ids), torch.from_numpy(one.codes)) if self.plan.hints else None
            with torch.inference_mode():
                logits, _ = self.model(tokens, self.model.initial_state(1), hints=hints)
            guess = logits[0].argmax(-1)
            truth = tokens[0].roll(-1)
            for first, last, kind in sample.turns:
                total[kind] += 1
                wrong = (guess[first:last] != truth[first:last]).nonzero()
                exact[kind] += not len(wrong)
                if len(wrong) and shown < 6:
                    shown += 1
                    at = first + int(wrong[0])
                    before = self.tokenizer.decode(sample.tokens[max(0, at - 60) : at + 1].tolist())
                    got, want = (self.tokenizer.decode([int(x)]) for x in (guess[at], truth[at]))
                    self._say(f"  wrong [{kind}] ...{before!r} -> {got!r}, wanted {want!r}")
        self.model.train()
        worst = sorted(total, key=lambda k: (exact[k] / total[k], -total[k]))[:8]
        worst_text = ", ".join(f"{k} {exact[k]}/{total[k]}" for k in worst if exact[k] < total[k])
        self._say(f"held-out words, exact turns {sum(exact.values())}/{total.total()}: {worst_text}")

    def _save(self, final: bool = False) -> None:
        self.trainer.save(self.out / "run.pt", {"tokens": self.seen})
        about = {"tokens_seen": str(self.seen), "plan": json.dumps(asdict(self.plan))}
        save_model(self.model, self.out / "master.safetensors", about, dtype="float16")
        if final:
            self._say(f"saved {self.out / 'master.safetensors'} after {self.seen:,} tokens")


def recall_batch(
    words: int, vocab: int, pairs: int, generator: torch.Generator, batch: int = 16
) -> tuple[torch.Tensor, torch.Tensor]:
    """`pairs` keys each with its value, then the keys again in another order: values are asked for.

    tokens (B, 4 * pairs) int64 and said (B, 4 * pairs) bool. Keys and values come from two halves of
    the first 2 * words tokens.
    """
    words = min(words, (vocab - 8) // 2)
    order = torch.stack([torch.randperm(words, generator=generator)[:pairs] for _ in range(batch)])
    values = torch.randint(words, order.shape, generator=generator) + 8 + words
    keys = order + 8
    again = torch.stack([torch.randperm(pairs, generator=generator) for _ in range(batch)])
    asked = torch.stack((keys.gather(1, again), values.gather(1, again)), -1).flatten(1)
    tokens = torch.cat((torch.stack((keys, values), -1).flatten(1), asked), 1)
    said = torch.zeros_like(tokens, dtype=torch.bool)
    said[:, 2 * pairs :: 2] = True
    return tokens, said


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    add_arguments(cli)
    sys.exit(run(cli.parse_args()))
