"""Arguments of `adventure tune`; the work is tune.py's, imported when it is to be done."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

CORES = ("7", "4", "attention")


@dataclass
class Plan:
    """What a run is: kept beside its checkpoint, so that it resumes as it began.

    memory: the solidifier of a latent memory, empty for none; chain: consecutive segments that the
    chains of later steps have, 0 for no chains. init: the checkpoint that it began with, and base
    that file's hash; both may be empty. core: what a fresh network is; rooms: least and most, empty
    for the usual mixture; longest: tokens of a segment, 0 for the usual; tokens: at how many the
    run ends, 0 for its last step.
    """

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
    mixed: bool = False
    ema: float = 0.0
    learn: str = "all"
    rank: int = 8
    memory: str = ""
    slots: int = 8
    gate: str = "none"
    formula: str = "right"
    pause: int = 0
    chain: int = 0
    depth: int = 0
    words: str = "mixed"
    start: str = "opening"
    whole_games: bool = False
    records: bool = True
    simple: bool = False
    core: str = "7"
    rooms: tuple[int, ...] = ()
    longest: int = 0
    tokens: int = 0
    init: str = ""
    base: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure tune`."""
    plan, add = Plan(), parser.add_argument
    shown = "(default: %(default)s)"
    add("--out", default="runs/master", help=f"folder of the run {shown}")
    resume = (
        "go on from the run's last checkpoint, as it was begun: of the options only --steps (not "
        "in a run of --tokens), --mixed, --device, --threads, --workers, --minutes, --save-every, "
        "--save-minutes, --db count"
    )
    add("--resume", action="store_true", help=resume)
    init = "start from this checkpoint and its shape, tokenizer.json beside it"
    add("--init", metavar="FILE", default=plan.init, help=init)
    learn = (
        "with --init, what learns: all of it, an adapter of low rank, the latent memory, or the "
        "state to begin with; all but the first are also kept as a small file (default: all)"
    )
    choices = ("all", "adapter", "memory", "state")
    add("--learn", choices=choices, default=plan.learn, help=learn)
    add("--rank", type=int, default=plan.rank, help=f"of an adapter {shown}")
    merge = "with --init: write that checkpoint with this adapter or state in it to --out, and end"
    add("--merge", metavar="FILE", help=merge)
    add("--layers", type=int, default=plan.layers)
    add("--width", type=int, default=plan.width, help=f"a multiple of 64 {shown}")
    add("--vocab", type=int, default=plan.vocab)
    tokenizer = "take this tokenizer.json for a fresh network, instead of learning one"
    add("--tokenizer", metavar="FILE", help=tokenizer)
    core = "of a fresh network: RWKV-7, RWKV-4, or attention, an ablation that can't be played"
    add("--core", choices=CORES, default=plan.core, help=f"{core} {shown}")
    add("--worlds", type=int, default=plan.worlds, help=f"per step {shown}")
    add("--segments", type=int, default=plan.segments, help=f"of play in each world {shown}")
    longest = "tokens of such a segment, at most (default: 1600)"
    add("--longest", type=int, default=plan.longest, metavar="N", help=longest)
    rooms = "of each random world (default: 1 to 40, few of them many)"
    add("--rooms", type=int, nargs=2, default=[], metavar=("LEAST", "MOST"), help=rooms)
    records = "an ablation: turns without hidden lines, games from their beginning, no memory"
    add("--no-records", dest="records", action="store_false", help=records)
    simple = "worlds without rules, clocks and endings, and everyday commands alone"
    add("--simple", action="store_true", help=simple)
    packs = "learn from this world too, not from random ones alone (may come repeatedly)"
    add("--packs", metavar="WORLD", action="append", default=[], help=packs)
    _memory_arguments(parser)
    steps = (
        f"of transcripts (default: {plan.steps}, or the resumed run's); the rate falls over the "
        "last half of them, so another number makes another run of what is still to come"
    )
    add("--steps", type=int, help=steps)
    tokens = (
        "end after so many instead of --steps; the rate falls over the last half of them, and "
        "chains are as long as they will be from the first step on"
    )
    add("--tokens", type=int, metavar="N", help=tokens)
    add("--recall", type=int, default=plan.recall, help=f"warm-up steps at most {shown}")
    add("--peak", type=float, default=plan.peak, help=f"learning rate {shown}")
    add("--seed", type=int, default=plan.seed)
    add("--no-hints", dest="hints", action="store_false", help="leave the copy hints out")
    mixed = "matrix products in bfloat16: quicker where the processor or GPU has it"
    add("--mixed", action="store_true", help=mixed)
    ema = "also average the weights, this much of the average staying at a step (.999, say); "
    add("--ema", type=float, default=plan.ema, metavar="X", help=f"{ema}it is what's saved")
    add("--device", choices=("cpu", "cuda"), default="cpu", help=shown)
    add("--threads", type=int, default=1, help=f"for the arithmetic {shown}")
    add("--workers", type=int, default=1, help=f"processes that make transcripts {shown}")
    add("--minutes", type=float, default=0, help="stop after this long; 0: at the last step")
    every = f"save and validate after so many steps {shown}"
    add("--save-every", type=int, default=250, metavar="STEPS", help=every)
    often = f"save after this long, too; 0: don't {shown}"
    add("--save-minutes", type=float, default=10, metavar="X", help=often)
    add("--db", metavar="FILE", help="file of runs (default: runs.db beside the run's folder)")


def _memory_arguments(parser: argparse.ArgumentParser) -> None:
    plan, add = Plan(), parser.add_argument
    shown = "(default: %(default)s)"
    kinds = ("none", "glu", "mlp", "layer", "separate", "fsq")
    memory = "give the network a latent memory with this solidifier"
    add("--memory", choices=kinds, default=plan.memory, help=memory)
    add("--slots", type=int, default=plan.slots, metavar="M", help=f"of that memory {shown}")
    gate = f"whether memory stays where nothing new is let in {shown}"
    add("--gate", choices=("none", "elephant"), default=plan.gate, help=gate)
    formula = (
        "what the memory is written from: the one that was read, or (wrong, an ablation) the "
        f"learned first one {shown}"
    )
    add("--formula", choices=("right", "wrong"), default=plan.formula, help=formula)
    pause = f"learned tokens before the memory is written {shown}"
    add("--pause", type=int, default=plan.pause, metavar="P", help=pause)
    chain = (
        "in every second world learn from consecutive segments of one game: 2 at first, one more "
        f"now and then, and so many from the run's half on; 0: don't {shown}"
    )
    add("--chain", type=int, default=plan.chain, metavar="K", help=chain)
    depth = f"segments that a chain's gradients flow back through; 0: all {shown}"
    add("--depth", type=int, default=plan.depth, metavar="K", help=depth)
    words = f"where chains read the memory in words; mixed: each way in a third of them {shown}"
    add("--words", choices=("on", "first", "off", "mixed"), default=plan.words, help=words)
    whole = "an ablation: every world has chains, and all their games begin at the beginning"
    add("--whole-games", action="store_true", help=whole)
    start = (
        "what a chain's segments go on from: the opening, or (carried, an ablation, a game at a "
        f"time) the state at the end of the one before {shown}"
    )
    add("--start", choices=("opening", "carried"), default=plan.start, help=start)


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the run ended or its time is up. Raises TrainError on the user's mistakes."""
    from adventure.master.tune import run as train

    return train(args)
