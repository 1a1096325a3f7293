"""Arguments of `adventure eval`; the work is consistency.py's, imported when it is to be done."""

from __future__ import annotations

import argparse
from pathlib import Path

from adventure.master.runs import DEFAULT

PLAYERS = ("legal", "goal", "curious")
HELD_OUT = ("words", "sizes", "features", "none")
LOSSES = ("state", "hints", "words", "words-swap", "latent", "latent-swap")


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
    packs = "judge the worlds that come with the program: their solutions, then random play"
    what.add_argument("--packs", action="store_true", help=packs)
    games = "judge games of TextWorld's, the .json files of tw-make, in the same way"
    what.add_argument("--textworld", metavar="FILE", nargs="+", help=games)
    add("--walk", metavar="FILE", help="commands to give, one a line (with --world)")
    held_out = f"what the random worlds have that training never showed {shown}"
    add("--held-out", choices=HELD_OUT, default="words", help=held_out)
    players = f"who gives the commands; all: in turn {shown}"
    add("--player", choices=(*PLAYERS, "all"), default="all", help=players)
    add("--turns", type=int, default=100, help=f"a game {shown}")
    add("--games", type=int, default=24, help=f"how many are played {shown}")
    endings = "the players do nothing that would end a game, so that it lasts"
    add("--no-endings", action="store_true", help=endings)
    probes = f"facts asked for after turns 1, 2, 5, 10, 20 and so on; 0: none {shown}"
    add("--probes", type=int, default=8, metavar="N", help=probes)
    add("--seed", type=int, default=0)
    wipe = (
        "a control: what the master loses before every turn (state, hints), or at the start of "
        "every segment (its memory in words, its latent memory), for nothing or, swap, for what "
        "another game of the same world has there"
    )
    add("--wipe", choices=LOSSES, metavar="WHAT", help=f"{wipe}: {', '.join(LOSSES)}")
    latent = f"the latent memory of a network that has one {shown}"
    add("--latent", choices=("on", "off", "frozen"), default="on", help=latent)
    start = f"how a segment begins: from the opening, or on from the last one's state {shown}"
    add("--start", choices=("opening", "carried", "replay"), default="opening", help=start)
    add("--threads", type=int, default=1, help=f"for the arithmetic; 0: all cores {shown}")
    add("--workers", type=int, default=1, help=f"processes that share the games {shown}")
    add("--errors", type=int, default=0, metavar="N", help="show the first wrong turn of N games")
    where = "write the figures as JSON; alone: print them instead of the table"
    add("--json", metavar="FILE", nargs="?", const="-", help=where)
    graph = "draw accuracy and survival: a .png or .svg"
    add("--graph", metavar="FILE", help=graph)
    number = "write the shares of exact turns to this run of `adventure runs`"
    add("--run", metavar="N", type=int, dest="of_run", help=number)
    add("--db", metavar="FILE", type=Path, default=DEFAULT, help=f"the file of runs {shown}")
    flat = "instead: time a turn, and weigh memory and a save, after 10, 100, ... turns of one game"
    add("--flat", action="store_true", help=flat)


def run(args: argparse.Namespace) -> int:
    """Play and judge. Raises UserError on the user's mistakes."""
    from adventure.master.consistency import run as judge

    return judge(args)
