"""Arguments of `adventure ablate`; the work is ablation.py's, imported when it is to be done."""

from __future__ import annotations

import argparse

from adventure.master.ablation_arms import ARMS

BUDGET = {"fresh": 1_200_000, "trained": 700_000}
"""Tokens that an arm of each family sees."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure ablate`."""
    add = parser.add_argument
    parser.description = (
        "Train the arms of the ablation, each with one thing changed, and judge them all in the "
        "same games: what of the design carries the game? docs/CONSISTENCY.md tells the results. "
        "What is there already isn't done again, and an arm that was stopped goes on."
    )
    shown = "(default: %(default)s)"
    names = ", ".join(arm.name for arm in ARMS)
    add("--only", metavar="NAME", nargs="+", default=[], help=f"of these arms (default: {names})")
    add("--seeds", metavar="N", type=int, default=1, help=f"runs of each arm {shown}")
    budget = " and ".join(f"{n:,} where {family}" for family, n in BUDGET.items())
    tokens = f"that an arm sees (default: {budget})"
    add("--tokens", metavar="N", type=int, default=0, help=tokens)
    init = (
        "a trained master, tokenizer.json beside it, for the arms that go on from one; the fresh "
        "ones take its tokenizer (default: the shipped master)"
    )
    add("--init", metavar="FILE", help=init)
    add("--worlds", metavar="N", type=int, default=12, help=f"to judge in, two games each {shown}")
    add("--turns", metavar="N", type=int, default=36, help=f"of each game {shown}")
    add("--threads", metavar="N", type=int, default=1, help=f"for the arithmetic {shown}")
    add("--out", metavar="DIR", default="runs/ablation", help=f"folder of all runs {shown}")
    table = "print what is there as Markdown instead; nothing is trained or judged"
    add("--table", action="store_true", help=table)
    add("--graph", metavar="FILE", help="draw what is there instead: a .png or .svg")


def run(args: argparse.Namespace) -> int:
    """Train and judge, or show. Raises UserError on the user's mistakes."""
    from adventure.master.ablation import run as ablate

    return ablate(args)
