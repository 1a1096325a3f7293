"""Arguments of `adventure tune`; the work is tune.py's, imported when it is to be done."""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass
class Plan:
    """What a run is: kept beside its checkpoint, so that it resumes as it began."""

    layers: int = 4
    width: int = 128
    vocab: int = 4096
    worlds: int = 2
    segments: int = 4
    steps: int = 4000
    recall: int = 400
    peak: float = 2.5e-3
    seed: int = 1
    hints: bool = True
    packs: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure tune`."""
    plan, add = Plan(), parser.add_argument
    shown = "(default: %(default)s)"
    add("--out", default="runs/master", help=f"folder of the run {shown}")
    add("--resume", action="store_true", help="go on from the run's last checkpoint")
    add("--init", metavar="FILE", help="start from these weights, tokenizer.json beside them")
    add("--layers", type=int, default=plan.layers)
    add("--width", type=int, default=plan.width, help=f"a multiple of 64 {shown}")
    add("--vocab", type=int, default=plan.vocab)
    add("--worlds", type=int, default=plan.worlds, help=f"per step {shown}")
    add("--segments", type=int, default=plan.segments, help=f"of play in each world {shown}")
    steps = f"of transcripts (default: {plan.steps}, or the resumed run's)"
    packs = "learn from this world too, not from random ones alone (may come repeatedly)"
    add("--packs", metavar="WORLD", action="append", default=[], help=packs)
    add("--steps", type=int, help=steps)
    add("--recall", type=int, default=plan.recall, help=f"warm-up steps at most {shown}")
    add("--peak", type=float, default=plan.peak, help=f"learning rate {shown}")
    add("--seed", type=int, default=plan.seed)
    add("--no-hints", dest="hints", action="store_false", help="leave the copy hints out")
    mixed = "matrix products in bfloat16: quicker where the processor has it"
    add("--mixed", action="store_true", help=mixed)
    add("--threads", type=int, default=1, help=f"for the arithmetic {shown}")
    add("--workers", type=int, default=1, help="processes that make transcripts")
    add("--minutes", type=float, default=0, help="stop after this long; 0: at the last step")


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the run ended or its time is up. Raises TrainError on the user's mistakes."""
    from adventure.master.tune import run as train

    return train(args)
