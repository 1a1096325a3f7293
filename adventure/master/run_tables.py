"""Runs as text: a list, one of them, several beside each other. Knows no file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from adventure.master.runs import Run

_LAST = 20  # steps that the loss shown is the mean of


def listed(runs: Sequence[Run]) -> str:
    """A line a run: number, when, how far, loss, the latest share of turns exact, its folder."""
    rows = [("run", "started", "state", "step", "tokens", "loss", "exact", "folder")]
    for run in runs:
        exact = [score.exact for _, _, score in run.scores if score.exact is not None]
        rows.append(
            (
                str(run.number),
                _when(run.about["started"]),
                "ended" if run.about["ended"] else "open",
                f"{run.steps[-1].step:,}" if run.steps else "0",
                f"{run.about['tokens']:,}",
                _loss(run),
                f"{exact[-1]:.3f}" if exact else "-",
                run.about["folder"],
            )
        )
    return _table(rows)


def shown(run: Run) -> str:
    """Configuration, machine and scores of one run."""
    about = run.about
    facts: dict[str, Any] = {
        "run": run.number,
        "folder": about["folder"],
        "started": _when(about["started"]),
        "ended": _when(about["ended"]) if about["ended"] else "not yet",
        "revision": about["revision"],
        "parameters": f"{about['parameters']:,}",
        "tokens": f"{about['tokens']:,}",
        "steps": f"{run.steps[-1].step:,}" if run.steps else 0,
        "loss": f"{_loss(run)} (mean of the last {min(_LAST, len(run.steps))} steps)",
        "hours": f"{sum(step.seconds for step in run.steps) / 3600:.2f}",
    }
    facts |= {f"machine: {name}": value for name, value in about["machine"].items()}
    facts |= about["configuration"]
    wide = max(map(len, facts))
    text = "\n".join(f"{name:<{wide}}  {value}" for name, value in facts.items())
    if not run.scores:
        return text
    rows = [("step", "tokens", "what", "window", "turns", "exact", "own")]
    for step, tokens, score in run.scores:
        where = (f"{step:,}", f"{tokens:,}", score.what, score.window, f"{score.turns:,}")
        rows.append((*where, _share(score.exact), _share(score.own)))
    return f"{text}\n\n{_table(rows)}"


def compared(runs: Sequence[Run]) -> str:
    """Settings that differ, then loss and the latest score of each kind, a column a run."""
    rows = [("", *(f"run {run.number}" for run in runs))]
    settings = [
        {"revision": run.about["revision"], **run.about["machine"], **run.about["configuration"]}
        for run in runs
    ]
    for name in dict.fromkeys(name for setting in settings for name in setting):
        values = [str(setting.get(name, "-")) for setting in settings]
        if len(set(values)) > 1:
            rows.append((name, *values))
    rows.append(("parameters", *(f"{run.about['parameters']:,}" for run in runs)))
    rows.append(("tokens", *(f"{run.about['tokens']:,}" for run in runs)))
    rows.append(("loss", *(_loss(run) for run in runs)))
    latest = [{(s.what, s.window): s for _, _, s in run.scores} for run in runs]
    for key in sorted({key for scores in latest for key in scores}):
        for name in ("exact", "own"):
            shares = [getattr(scores.get(key), name, None) for scores in latest]
            if any(share is not None for share in shares):
                rows.append((f"{key[0]}, {key[1]}: {name}", *map(_share, shares)))
    return _table(rows)


def _loss(run: Run) -> str:
    last = run.steps[-_LAST:]
    return f"{sum(step.loss for step in last) / len(last):.4f}" if last else "-"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _table(rows: Sequence[Sequence[str]]) -> str:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows
    )
    return "\n".join(lines)
