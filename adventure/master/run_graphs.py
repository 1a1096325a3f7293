"""Loss and consistency of runs against tokens, drawn with matplotlib. Knows no file of runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adventure.errors import TrainError
from adventure.master.runs import Run

KINDS = (".png", ".svg")
_POINTS = 400  # of a curve at most; each is the mean of the steps that it stands for


def plotting() -> Any:
    """matplotlib's Figure, which needs no window. Raises TrainError where it isn't installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TrainError(
            "Drawing graphs takes the library matplotlib, which isn't installed; install it with: "
            'pip install "adventure-rwkv[graphs]".'
        ) from error
    return Figure


def check_kind(out: Path) -> None:
    """Raises TrainError for a name that is neither a .png's nor an .svg's."""
    if out.suffix.lower() not in KINDS:
        raise TrainError(
            f"The graph is to be {out}, which ends in neither .png nor .svg; rename it."
        )


def write(figure: Any, out: Path) -> None:
    """Raises TrainError where the file can't be written."""
    try:
        figure.savefig(out, metadata={"Date": None} if out.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise TrainError(f"Can't write the graph {out}: {error.strerror or error}.") from error


def draw(runs: Sequence[Run], out: Path) -> None:
    """Two panels, a colour a run. Raises TrainError on the user's mistakes."""
    check_kind(out)
    figure = plotting()(figsize=(8, 8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for number, run in enumerate(runs):
        colour = f"C{number}"
        tokens, losses = _thinned([s.tokens / 1e6 for s in run.steps], [s.loss for s in run.steps])
        above.plot(tokens, losses, color=colour, label=f"run {run.number}")
        for style, (name, points) in zip("o-. s-- ^:".split() * 9, _curves(run), strict=False):
            below.plot(*zip(*points, strict=True), style, color=colour, label=name)
    above.set(ylabel="loss a token", yscale="log" if any(run.steps for run in runs) else "linear")
    below.set(ylabel="share of turns", xlabel="million tokens", ylim=(0, 1))
    for panel in (above, below):
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="small")
    write(figure, out)


def _curves(run: Run) -> list[tuple[str, list[tuple[float, float]]]]:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _, tokens, score in run.scores:
        for name, share in (("exact", score.exact), ("by own records", score.own)):
            if share is not None:
                curve = f"run {run.number}: {score.what}, {score.window}, {name}"
                found[curve].append((tokens / 1e6, share))
    return [*found.items()]


def _thinned(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    every = max(1, -(-len(x) // _POINTS))
    parts = [slice(first, first + every) for first in range(0, len(x), every)]
    return [x[part][-1] for part in parts], [sum(y[part]) / len(y[part]) for part in parts]
