"""`adventure harness`: tasks of lm-eval on a checkpoint; knows nothing of worlds.

lm-eval is the extra `harness`; its own tasks are fetched over the network, those of --include
aren't.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from adventure.master import SHIPPED
from engine.errors import UserError


class HarnessError(UserError):
    """lm-eval is missing, or can't run what is asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure harness`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        type=Path,
        default=SHIPPED,
        help="a checkpoint, its tokenizer beside it (default: the program's own game master)",
    )
    parser.add_argument("--tasks", required=True, metavar="NAMES", help="parted by commas")
    parser.add_argument(
        "--include", metavar="FOLDER", type=Path, help="a folder with further tasks (.yaml)"
    )
    parser.add_argument(
        "--weights",
        choices=["float32", "bfloat16", "int8"],
        default="float32",
        help="how the large matrices are kept",
    )
    parser.add_argument("--limit", metavar="N", type=int, help="only the first N of each task")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the tasks and print their figures. Raises HarnessError, and as EngineLM does."""
    if args.include and not args.include.is_dir():
        raise HarnessError(f"There is no folder {args.include}; give one that holds .yaml files.")
    try:
        adapter = importlib.import_module("engine.harness")
        lm_eval = importlib.import_module("lm_eval")
        tasks = importlib.import_module("lm_eval.tasks")
    except ModuleNotFoundError as error:
        raise HarnessError(
            f'The Python package {error.name} is missing; install the extra "harness": '
            "pip install 'adventure-rwkv[harness]'."
        ) from error
    model = adapter.EngineLM(args.model, weights=args.weights)
    names = [name for name in args.tasks.split(",") if name]
    with contextlib.redirect_stdout(sys.stderr):  # what libraries say is no result
        manager = tasks.TaskManager(include_path=str(args.include) if args.include else None)
        unknown = [name for name in names if name not in manager.all_tasks]
        if unknown or not names:
            raise HarnessError(
                f'There is no task "{", ".join(unknown)}"; see lm-eval\'s list of tasks, or name '
                "with --include a folder that holds it."
            )
        found = lm_eval.simple_evaluate(
            model=model, tasks=names, task_manager=manager, limit=args.limit, log_samples=False
        )
    results: dict[str, dict[str, Any]] = found["results"]
    if args.json:
        print(json.dumps({"model": str(args.model), "results": results}, default=str))
    else:
        print(table(results))
    return 0


def table(results: dict[str, dict[str, Any]]) -> str:
    """A line a figure: task, metric, value, standard error where there is one."""
    lines = []
    for task, figures in results.items():
        for name, value in figures.items():
            metric, _, kind = name.partition(",")
            if not isinstance(value, (int, float)) or metric.endswith("_stderr") or not kind:
                continue
            error = figures.get(f"{metric}_stderr,{kind}")
            spread = f" ± {error:.4f}" if isinstance(error, float) else ""
            lines.append(f"{task:<32} {metric:<20} {value:>10.4f}{spread}")
    return "\n".join(lines)
