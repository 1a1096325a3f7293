"""What judging a game master has counted, as figures and as a table. Knows neither of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

WINDOWS = ((1, 20), (21, 100), (101, 300), (301, 1000), (1001, 10_000))
"""Turns that are counted together."""


@dataclass
class Report:
    """Turns by window and by kind: all, exact against the truth, exact against own records."""

    turns: Counter[str] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    kinds_exact: Counter[str] = field(default_factory=Counter)
    survival: list[tuple[int, bool]] = field(default_factory=list)
    first_errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)

    def note(self, turn: int, kind: str, exact: bool, own: bool) -> None:
        """Count one turn, by its number from 1."""
        window = next(f"{a}-{b}" for a, b in WINDOWS if a <= turn <= b)
        for counter, hit in ((self.turns, True), (self.exact, exact), (self.own, own)):
            counter[window] += hit
            counter["all"] += hit
        self.kinds[kind] += 1
        self.kinds_exact[kind] += exact

    def figures(self) -> dict[str, Any]:
        """Everything as plain numbers."""
        return {
            **self.about,
            "seconds": round(self.seconds, 1),
            "windows": {
                w: {"turns": n, "exact": self.exact[w] / n, "exact_by_own_records": self.own[w] / n}
                for w, n in self.turns.items()
            },
            "kinds": {
                kind: {"turns": n, "exact": self.kinds_exact[kind] / n}
                for kind, n in sorted(self.kinds.items())
            },
            "median_turns_to_first_wrong": self.median_survival(),
            "games_without_a_wrong_turn": sum(not wrong for _, wrong in self.survival),
            "games": len(self.survival),
        }

    def median_survival(self) -> float | None:
        """Kaplan-Meier: the turn by which half the games have had a wrong reply, if they have."""
        alive, share = len(self.survival), 1.0
        for turn, wrong in sorted(self.survival, key=lambda s: (s[0], not s[1])):
            if wrong:
                share *= 1 - 1 / alive
            alive -= 1
            if share <= 0.5:
                return turn
        return None

    def table(self) -> str:
        """The same for people."""
        about = ", ".join(f"{k} {v}" for k, v in self.about.items())
        lines = [f"{about} ({self.seconds:.0f} s)", ""]
        lines.append(f"{'turns':>12} {'judged':>8} {'exact':>8} {'by own records':>15}")
        for window in [*(f"{a}-{b}" for a, b in WINDOWS), "all"]:
            n = self.turns[window]
            if n:
                exact, own = self.exact[window] / n, self.own[window] / n
                lines.append(f"{window:>12} {n:8d} {exact:8.2%} {own:15.2%}")
        lines.append(f"\n{'kind of command':>24} {'judged':>8} {'exact':>8}")
        for kind, n in self.kinds.most_common():
            lines.append(f"{kind:>24} {n:8d} {self.kinds_exact[kind] / n:8.2%}")
        median = self.median_survival()
        clean = sum(not wrong for _, wrong in self.survival)
        lines.append(
            f"\ngames without a wrong turn: {clean} of {len(self.survival)}; "
            f"median turns to the first: {median if median is not None else 'not reached'}"
        )
        return "\n".join(lines)
