"""The ablation's results as Markdown and as a graph. Knows figures, no network and no folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adventure.master.gamemaster import SEGMENT_TURNS
from adventure.master.run_graphs import check_kind, plotting, write

Result = dict[str, Any]
TITLES = {
    "fresh": "From nothing",
    "trained": "From a trained master on: what goes on from one segment to the next",
}
CONTROLS = {
    "wiped": "words wiped",
    "zeroed": "latent zeroed",
    "frozen": "latent frozen",
    "swapped": "another game's",
}
_INK = {"first": "#8db8d8", "later": "#1f5a8a"}
NAMES = {"first": f"turns 1 to {SEGMENT_TURNS}", "later": "later turns"}
_SHORT = 0.1
"""A bar that has no room for its figure."""
_MARKS = {"wiped": "x", "zeroed": "o", "frozen": "s", "swapped": "D"}


def grouped(results: Sequence[Result], family: str) -> dict[str, list[Result]]:
    """Arm -> its results, one a seed, of one family."""
    arms: dict[str, list[Result]] = {}
    for result in results:
        if result["family"] == family:
            arms.setdefault(result["arm"], []).append(result)
    return arms


def table(results: Sequence[Result]) -> str:
    """Markdown: a table a family, a row an arm; of several seeds the mean, and (least to most)."""
    parts = []
    for family, title in TITLES.items():
        arms = grouped(results, family)
        if not arms:
            continue
        columns = _columns(family, [r for rows in arms.values() for r in rows])
        lines = [f"**{title}**", "", _row(columns), _row("---" for _ in columns)]
        lines += [_row(show(rows) for show in columns.values()) for rows in arms.values()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


Show = Callable[[list[Result]], str]


def _columns(family: str, results: Sequence[Result]) -> dict[str, Show]:
    """Heading -> what of an arm's results is shown under it."""
    columns: dict[str, Show] = {
        "arm": lambda rows: f"`{rows[0]['arm']}`: {rows[0]['what']}",
        "parameters": _parameters,
        "seeds": lambda rows: ", ".join(str(row["seed"]) for row in rows),
        NAMES["first"]: lambda rows: _shares(rows, "usual", "first", "exact"),
        NAMES["later"]: lambda rows: _shares(rows, "usual", "later", "exact"),
        "by own records": lambda rows: _shares(rows, "usual", "all", "exact_by_own_records"),
    }
    if family == "fresh":
        columns["true history fed"] = lambda rows: _spread([row["fed"]["exact"] for row in rows])
    for control, name in CONTROLS.items():
        if any(control in result["played"] for result in results):
            columns[f"{name}: later"] = _of_control(control)
    return columns


def _parameters(rows: list[Result]) -> str:
    """All, and how many of them are a latent memory's own."""
    own = rows[0]["memory"]
    return f"{rows[0]['parameters']:,}" + (f" ({own:,} its own)" if own else "")


def _of_control(control: str) -> Show:
    return lambda rows: (
        _shares(rows, control, "later", "exact") if control in rows[0]["played"] else ""
    )


def _shares(rows: list[Result], how: str, part: str, which: str) -> str:
    if which != "exact" and "--no-records" in rows[0]["options"]:
        return "has none"
    return _spread([row["played"][how][part][which] for row in rows])


def _spread(shares: Sequence[float]) -> str:
    mean = f"{sum(shares) / len(shares):.1%}"
    return mean if len(shares) == 1 else f"{mean} ({min(shares):.1%} to {max(shares):.1%})"


def draw(results: Sequence[Result], file: Path) -> None:
    """Bars of the turns exact in the first segment and in later ones, a panel a family; marks where
    something was taken away. Equal figures give equal files. Raises TrainError where it can't be
    drawn."""
    check_kind(file)
    figure_of = plotting()
    from matplotlib import rc_context

    families = [family for family in TITLES if grouped(results, family)]
    arms = [grouped(results, family) for family in families]
    with rc_context({"svg.hashsalt": "adventure", "font.size": 9}):
        heights = [len(found) + 1 for found in arms]
        figure = figure_of(figsize=(8, 0.55 * sum(heights) + 0.5), layout="constrained")
        panels = figure.subplots(len(families), 1, squeeze=False, height_ratios=heights)
        for (axes,), family, found in zip(panels, families, arms, strict=True):
            _panel(axes, TITLES[family], found)
        write(figure, file)


def _panel(axes: Any, title: str, arms: dict[str, list[Result]]) -> None:
    for place, rows in enumerate(arms.values()):
        for part, offset in (("first", -0.19), ("later", 0.19)):
            shares = [row["played"]["usual"][part]["exact"] for row in rows]
            label = NAMES[part] if not place else None
            mean = sum(shares) / len(shares)
            axes.barh(place + offset, mean, 0.36, color=_INK[part], label=label)
            ink = "white" if part == "later" and mean > _SHORT else "black"
            at = 0.01, place + offset
            axes.text(*at, f"{mean:.1%}", color=ink, va="center", fontsize=7)
            if len(shares) > 1:
                axes.plot(shares, [place + offset] * len(shares), "k|", markersize=7)
        for control, mark in _MARKS.items():
            if control in rows[0]["played"]:
                share = rows[0]["played"][control]["later"]["exact"]
                axes.plot([share], [place + 0.19], mark, color="#b5651d", markersize=5)
    for control, mark in _MARKS.items():
        if any(control in rows[0]["played"] for rows in arms.values()):
            name = f"later, {CONTROLS[control]}"
            axes.plot([], [], mark, color="#b5651d", markersize=5, label=name)
    axes.set_yticks(range(len(arms)), list(arms))
    axes.invert_yaxis()
    axes.set(title=title, xlabel="turns exact, self-fed", xlim=(0, 1))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=7)
