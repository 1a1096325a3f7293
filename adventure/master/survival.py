"""How long games go well: the survival curve (Kaplan and Meier 1958). Knows numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

Lifetime = tuple[int, bool]
"""A game: the turn at which it failed and True; or its turns, of which none failed, and False."""


def survival_curve(games: Iterable[Lifetime]) -> list[tuple[int, float]]:
    """(turn, share of games that have not failed by then) wherever the share falls.

    A game that ended without failing counts as long as it lasted, its last turn included.
    """
    games = list(games)
    failed = Counter(turn for turn, fail in games if fail)
    gone = Counter(turn for turn, _ in games)
    alive, share, curve = len(games), 1.0, list[tuple[int, float]]()
    for turn in sorted(gone):
        if failed[turn]:
            share *= 1 - failed[turn] / alive
            curve.append((turn, share))
        alive -= gone[turn]
    return curve


def median_survival(games: Iterable[Lifetime]) -> int | None:
    """The turn by which half the games have failed; None where they have not."""
    # A product of ratios may miss one half by its last bit.
    return next((turn for turn, share in survival_curve(games) if share <= 0.5 + 1e-9), None)
