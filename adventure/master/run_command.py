"""`adventure runs`: training runs listed, shown, compared, drawn, dropped. Knows no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from adventure.master.runs import DEFAULT, drop, numbers, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `adventure runs`."""
    parser.add_argument(
        "--db", type=Path, default=DEFAULT, metavar="FILE", help="(default: %(default)s)"
    )
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    for name, nargs, text in (
        ("show", None, "a run's configuration and scores"),
        ("compare", "+", "what differs between runs, and their scores side by side"),
        ("graph", "+", "draw loss and consistency against tokens"),
        ("drop", None, "forget a run; its folder stays"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
        # `args.run` is what carries the command out.
        action.add_argument("numbers", type=int, nargs=nargs, metavar="N")
        if name == "graph":
            kinds = "a .png or .svg file"
            action.add_argument("--out", type=Path, required=True, metavar="FILE", help=kinds)


def run(args: argparse.Namespace) -> int:
    """List, show, compare, draw or drop. Raises TrainError on the user's mistakes."""
    from adventure.master import run_tables as tables

    match args.action:
        case "show":
            print(tables.shown(read_run(args.db, args.numbers)))
        case "compare":
            print(tables.compared([read_run(args.db, n) for n in args.numbers]))
        case "graph":
            from adventure.master.run_graphs import draw

            draw([read_run(args.db, n) for n in args.numbers], args.out)
            print(f"Drawn: {args.out}")
        case "drop":
            drop(args.db, args.numbers)
            print(f"Run {args.numbers} is forgotten.")
        case _:
            print(tables.listed([read_run(args.db, n) for n in numbers(args.db)]))
    return 0
