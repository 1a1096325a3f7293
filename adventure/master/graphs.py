"""The benchmark's figures as a drawing, by matplotlib, an optional library. Counts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adventure.master.report import AGE_NAMES, CHANGE_NAMES, Report, Tallies
from adventure.master.run_graphs import check_kind, plotting, write
from adventure.master.survival import Lifetime, survival_curve

_INK = {"by truth": "#1f5a8a", "by its own records": "#b5651d"}
_SMALL = 8
"""Points of small print."""


def check_graph(file: Path) -> None:
    """Raises TrainError where `draw` couldn't draw this file, for its ending or for the library."""
    check_kind(file)
    plotting()


def draw(about: Mapping[str, Any], report: Report, file: Path) -> None:
    """Four pictures in one: turns exact and games unbroken against turns; facts against turns since
    they were told and against their changes. Equal figures give equal files. Raises TrainError
    where it can't be drawn."""
    check_graph(file)
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "adventure", "font.size": 9}):
        figure = plotting()(figsize=(10, 7.5), layout="constrained")
        figure.suptitle(", ".join(f"{k} {v}" for k, v in about.items()), fontsize=_SMALL + 1)
        axes = figure.subplots(2, 2)
        turns = {key: key for key in report.curve}
        _shares(axes[0][0], "turns exact", "turn of the game", report.curve, turns)
        _survival(axes[0][1], report)
        told = {f"age {age}": age for age in AGE_NAMES}
        _shares(axes[1][0], "facts answered exactly", "turns since told", report.facts, told)
        changes = {f"overwritten {n}": n for n in CHANGE_NAMES}
        _shares(axes[1][1], "facts answered exactly", "changes so far", report.facts, changes)
        write(figure, file)


def _shares(axes: Any, title: str, below: str, tallies: Tallies, names: Mapping[str, str]) -> None:
    """Two lines of points; under each place, in brackets, how many were judged."""
    shown = [key for key in names if key in tallies]
    for label, shares in (
        ("by truth", [tallies[key].exact / tallies[key].judged for key in shown]),
        ("by its own records", [tallies[key].own / tallies[key].judged for key in shown]),
    ):
        axes.plot(range(len(shown)), shares, "o-", markersize=4, color=_INK[label], label=label)
    labels = [f"{names[key]}\n({tallies[key].judged})" for key in shown]
    axes.set_xticks(range(len(shown)), labels, fontsize=_SMALL - 1, rotation=30)
    _finish(axes, title, below)


def _survival(axes: Any, report: Report) -> None:
    """Steps down from 1, as far as the longest game lasted."""
    games: tuple[tuple[str, list[Lifetime]], ...] = (
        ("by truth", report.first_wrong),
        ("by its own records", report.first_contradiction),
    )
    longest = max((turns for _, lives in games for turns, _ in lives), default=1)
    for label, lives in games:
        curve = [(1, 1.0), *survival_curve(lives)]
        curve.append((longest, curve[-1][1]))
        turns, shares = zip(*curve, strict=True)
        axes.step(turns, shares, where="post", color=_INK[label], label=label)
    axes.set_xscale("log")
    _finish(axes, "games without a wrong reply so far (Kaplan-Meier)", "turn of the game")


def _finish(axes: Any, title: str, below: str) -> None:
    axes.set(title=title, xlabel=below, ylim=(0, 1.03))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=_SMALL)
