"""`adventure verify`: the checks of engine.verify on a checkpoint, a line each.

Says nothing of how well a game master plays: that is `adventure eval`.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from adventure.master import SHIPPED

if TYPE_CHECKING:
    from engine.verify import Check

QUICK = (12, 40)
"""Tokens read and split, tokens written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure verify`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        type=Path,
        default=SHIPPED,
        help="a checkpoint (default: the game master that came with the program)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the random tokens")
    parser.add_argument(
        "--quick", action="store_true", help="fewer tokens: for checkpoints of many layers"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print each check as it is done; 0 if all passed, 1 if not. Raises CheckpointError."""
    import torch  # here, so that --help doesn't wait for it

    from engine.checkpoint import load_model
    from engine.verify import GREEDY, TOKENS, verify

    model = load_model(args.model)
    torch.set_num_threads(1)  # what is read here is short: a second thread would be waited for
    checks = []
    length, greedy = QUICK if args.quick else (TOKENS, GREEDY)
    for check in verify(model, args.seed, length, greedy):
        checks.append(check)
        if not args.json:
            print(line(check), flush=True)
    passed = all(check.passed for check in checks)
    if args.json:
        rows = [asdict(check) | {"passed": check.passed} for check in checks]
        for row in rows:
            row["found"] = row["found"] if math.isfinite(row["found"]) else None
        print(json.dumps({"model": str(args.model), "passed": passed, "checks": rows}))
    else:
        failed = sum(not check.passed for check in checks)
        print(f"{failed} of {len(checks)} checks failed." if failed else "All checks passed.")
    return 0 if passed else 1


def line(check: Check) -> str:
    """A check as text: what, the number found, the number allowed, how it ended."""
    if check.skipped:
        return f"{check.what:<62} not checked ({check.skipped})"
    end = "ok" if check.passed else "FAILED"
    form = ".1e" if check.allowed else ".0f"  # what must not differ at all is counted
    return f"{check.what:<62} {check.found:8{form}} of {check.allowed:7{form}}  {end}"
