"""Arguments of `adventure eval`; the work is consistency.py's, imported when it is to be done."""

from __future__ import annotations

import argparse

PLAYERS = ("legal", "goal", "curious")
HELD_OUT = ("words", "sizes", "features", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure eval`."""
    add = parser.add_argument
    shown = "(default: %(default)s)"
    model = "a checkpoint, tokenizer.json beside it (default: the shipped master)"
    add("--model", metavar="FILE", help=model)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--world", help="judge one world instead of random ones")
    number = "this many random worlds (default: one a game)"
    what.add_argument("--random", type=int, default=0, metavar="N", help=number)
    add("--walk", metavar="FILE", help="commands to give, one a line (with --world)")
    held_out = f"what the random worlds have that training never showed {shown}"
    add("--held-out", choices=HELD_OUT, default="words", help=held_out)
    players = f"who gives the commands; all: in turn {shown}"
    add("--player", choices=(*PLAYERS, "all"), default="all", help=players)
    add("--turns", type=int, default=100, help=f"a game {shown}")
    add("--games", type=int, default=24, help=f"played in step {shown}")
    add("--seed", type=int, default=0)
    wipe = "what the master loses before every turn, to see what carries the world"
    add("--wipe", choices=("state", "hints"), help=wipe)
    add("--threads", type=int, default=1, help=f"for the arithmetic; 0: all cores {shown}")
    add("--errors", type=int, default=0, metavar="N", help="show the first wrong turn of N games")
    add("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Play and judge. Raises UserError on the user's mistakes."""
    from adventure.master.consistency import run as judge

    return judge(args)
