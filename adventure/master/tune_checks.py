"""What `adventure tune` is asked for, before anything is done. Knows options, no run and no file
but the worlds to learn from."""

from __future__ import annotations

import argparse

import torch

from adventure.errors import TrainError
from adventure.master.corpus import authored
from adventure.master.tune_options import Plan
from adventure.world.generate import MOST_ROOMS

SHORTEST = 100  # tokens of a segment: a turn at least


def check(args: argparse.Namespace) -> None:
    """Raises TrainError for the first option that can't be, PackError for such a world."""
    ones = dict.fromkeys("layers worlds segments threads workers rank save_every".split(), 1)
    for name, bound in {**ones, "width": 64, "vocab": 512}.items():
        if getattr(args, name) < bound:
            option = name.replace("_", "-")
            raise TrainError(f"--{option} is {getattr(args, name)}; it must be at least {bound}.")
    if args.width % 64:
        raise TrainError(f"--width is {args.width}; it must be a multiple of 64.")
    if not 0 < args.peak < 1:
        raise TrainError(f"--peak is {args.peak}; it must be above 0 and below 1.")
    least = dict.fromkeys("pause chain depth recall minutes save_minutes".split(), 0)
    for name, bound in {"slots": 1, **least}.items():
        if not getattr(args, name) >= bound:  # no number isn't, either
            option = name.replace("_", "-")
            raise TrainError(f"--{option} is {getattr(args, name)}; it must be at least {bound}.")
    _check_memory(args)
    if not 0 <= args.ema < 1:
        raise TrainError(f"--ema is {args.ema}; it must be 0 or above, and below 1.")
    if args.steps is not None and args.steps < 1:
        raise TrainError(f"--steps is {args.steps}; it must be at least 1.")
    _check_corpus(args)
    if (args.learn != "all" or args.merge) and not (args.init or args.resume):
        raise TrainError("--learn and --merge need --init: the checkpoint that they are for.")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise TrainError("--device is cuda, but torch finds no GPU here; leave it out.")
    for pack in args.packs:
        authored(pack)  # before anything is learned, not after


def _check_corpus(args: argparse.Namespace) -> None:
    if args.tokens is not None and args.tokens < 0:
        raise TrainError(f"--tokens is {args.tokens}; it must be at least 0.")
    if args.tokens and args.steps and not args.resume:
        raise TrainError("--steps and --tokens both say where a run ends; leave out one of them.")
    if args.longest and args.longest < SHORTEST:
        raise TrainError(f"--longest is {args.longest}; it must be at least {SHORTEST}.")
    if args.rooms and not 1 <= args.rooms[0] <= args.rooms[1] <= MOST_ROOMS:
        least, most = args.rooms
        raise TrainError(
            f"--rooms is {least} {most}; it must be two numbers from 1 to {MOST_ROOMS}, the "
            "least first."
        )
    if not args.records and args.chain:
        raise TrainError("--no-records has no segments for --chain; leave one of them out.")
    if args.simple and args.packs:
        raise TrainError("--simple is for random worlds; leave it out, or --packs.")
    if args.init and (args.core != Plan.core or args.tokenizer):
        raise TrainError("--core and --tokenizer are for a fresh network; leave out --init.")


def _check_memory(args: argparse.Namespace) -> None:
    """What only a memory or a chain would heed is refused without one."""
    if args.chain == 1:
        raise TrainError("--chain is 1; it must be 0, or at least 2 segments.")
    if args.depth == 1:  # what is written in a segment is judged by the next one
        raise TrainError("--depth is 1; it must be 0, or at least 2 segments.")
    if args.resume:
        return
    if args.learn == "memory" and not args.chain:
        raise TrainError("--learn memory needs --chain: the segments that a memory is between.")
    heeded = {"memory": "slots gate formula pause", "chain": "depth words start whole_games"}
    for needed, names in heeded.items():
        for name in names.split():
            if not getattr(args, needed) and getattr(args, name) != getattr(Plan, name):
                option = name.replace("_", "-")
                raise TrainError(f"--{option} needs --{needed}; add it, or leave --{option} out.")
