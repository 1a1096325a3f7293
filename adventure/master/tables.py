"""The benchmark's figures as a table for people. Knows what was counted, not how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adventure.master.probes import FACTS
from adventure.master.report import FACT_ROWS, WINDOWS, Report, Tally
from adventure.master.survival import median_survival

_KINDS = 20
"""Kinds of command that are shown: those with the most wrong turns; all of them are in the JSON."""


def table(
    about: Mapping[str, Any], seconds: float, report: Report, rows: Mapping[str, Report]
) -> str:
    """What was judged, then turns, kinds, games, facts, and a line a row where there are many."""
    said = ", ".join(f"{key} {value}" for key, value in about.items())
    parts = [f"{said} ({seconds:.0f} s)", _turns(report), _kinds(report), _games(report)]
    if report.facts:
        parts.append(_facts(report))
    if report.maps or report.back:
        parts.append(_maps(report))
    if len(rows) > 1:
        parts.append(_rows(rows))
    return "\n\n".join(parts)


def _line(name: str, tally: Tally) -> str:
    n = tally.judged
    return f"{name:>24} {n:8d} {tally.exact / n:8.2%} {tally.own / n:15.2%}"


def _head(what: str, counted: str) -> str:
    return f"{what:>24} {counted:>8} {'exact':>8} {'by own records':>15}"


def _turns(report: Report) -> str:
    names = [*(f"{low}-{high}" for low, high in WINDOWS), "all"]
    found = [_line(name, report.windows[name]) for name in names if name in report.windows]
    return "\n".join([_head("turns", "judged"), *found])


def _kinds(report: Report) -> str:
    wrong = {kind: tally.judged - tally.exact for kind, tally in report.kinds.items()}
    worst = sorted(wrong, key=lambda kind: (-wrong[kind], -report.kinds[kind].judged, kind))
    lines = [_line(kind, report.kinds[kind]) for kind in worst[:_KINDS] if wrong[kind]]
    right = sum(not n for n in wrong.values())
    head = _head("most often wrong", "judged")
    return "\n".join([head, *lines, f"{right} of {len(wrong)} kinds of command without a mistake"])


def _games(report: Report) -> str:
    turns, ended = report.turns, ", ".join(f"{n} {how}" for how, n in sorted(report.ended.items()))
    against = 100 * (turns.judged - turns.own) / max(1, turns.judged)
    return (
        f"games: {len(report.first_wrong)} ({ended}); without a wrong turn: {report.clean}\n"
        f"median turns to the first wrong one: {_median(report.first_wrong)}; "
        f"to the first contradiction: {_median(report.first_contradiction)}\n"
        f"contradictions in 100 turns: {against:.2f}"
    )


def _median(games: list[tuple[int, bool]]) -> str:
    median = median_survival(games)
    return "not reached" if median is None else str(median)


def _facts(report: Report) -> str:
    lines = [_line(name, report.facts[name]) for name in FACT_ROWS if name in report.facts]
    kept = ", ".join(
        f"{kind} {report.kept[kind].exact / report.kept[kind].judged:.2%}"
        for kind in FACTS
        if kind in report.kept
    )
    return "\n".join([_head("facts", "asked"), *lines, f"true in its own records: {kept}"])


def _maps(report: Report) -> str:
    lines = [
        f"map after {turn} turns: F1 {edges.f1:.4f} ({edges.both} of {edges.true} ways, "
        f"{edges.claimed} claimed)"
        for turn, edges in sorted(report.maps.items())
    ]
    lines += [
        f"back by {'the ' * (way == 'same way')}{way}: {tally.exact} of {tally.judged} exact"
        for way, tally in sorted(report.back.items())
    ]
    return "\n".join(lines)


def _rows(rows: Mapping[str, Report]) -> str:
    lines = [f"{_head('world', 'judged')} {'clean games':>12} {'median':>12}"]
    for name, report in rows.items():
        clean = f"{report.clean} of {len(report.first_wrong)}"
        median = _median(report.first_wrong)
        lines.append(f"{_line(name, report.turns)} {clean:>12} {median:>12}")
    return "\n".join(lines)
