"""What judging a game master has counted, as figures. Knows neither master nor rules."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from adventure.master.probes import AGES, FACTS, OVERWRITTEN, PROBED, Edges, span
from adventure.master.survival import Lifetime, median_survival, survival_curve

WINDOWS = ((1, 20), (21, 100), (101, 300), (301, 1000), (1001, 10_000))
"""Turns that are counted together."""
CURVE = ((1, 1), *((a + 1, b) for a, b in itertools.pairwise(PROBED)))
"""The same, finer: for graphs."""
AGE_NAMES = (*(span(low, AGES) for low, _ in AGES), "never")
CHANGE_NAMES = tuple(span(low, OVERWRITTEN) for low, _ in OVERWRITTEN)


@dataclass
class Tally:
    """How many were judged, how many were right in truth, and how many by the master's records."""

    judged: int = 0
    exact: int = 0
    own: int = 0

    def note(self, exact: bool, own: bool) -> None:
        """Count one."""
        self.judged += 1
        self.exact += exact
        self.own += own

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.judged + other.judged, self.exact + other.exact, self.own + other.own)

    def figures(self, what: str = "turns") -> dict[str, Any]:
        """As shares of what was judged."""
        n = max(1, self.judged)
        return {what: self.judged, "exact": self.exact / n, "exact_by_own_records": self.own / n}


Tallies = dict[str, Tally]


def _tally(tallies: Tallies, key: str) -> Tally:
    return tallies.setdefault(key, Tally())


@dataclass(frozen=True)
class Answer:
    """One fact that a master was asked for: what kind of fact, after which turn, turns since it was
    last told and times it has changed (as spans), and how the answer was."""

    kind: str
    turn: int
    age: str
    changes: str
    exact: bool
    own: bool


@dataclass
class Report:
    """windows, curve, kinds: turns. facts: answers, by `kind where`, `turn 21-100`, `age 4-12`,
    `changed 4-12` (the same of facts that have changed), `overwritten 1`. kept: facts that are true
    in the master's records, by kind. maps: by turn. back: `same way` and `another way`, of arrivals
    where the player has been. first_wrong, first_contradiction: of each game."""

    windows: Tallies = field(default_factory=dict)
    curve: Tallies = field(default_factory=dict)
    kinds: Tallies = field(default_factory=dict)
    facts: Tallies = field(default_factory=dict)
    kept: Tallies = field(default_factory=dict)
    maps: dict[int, Edges] = field(default_factory=dict)
    back: Tallies = field(default_factory=dict)
    first_wrong: list[Lifetime] = field(default_factory=list)
    first_contradiction: list[Lifetime] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    first_errors: list[str] = field(default_factory=list)

    def note(self, turn: int, kind: str, exact: bool, own: bool) -> None:
        """Count one turn, by its number from 1."""
        for tallies, key in (
            (self.windows, span(turn, WINDOWS)),
            (self.windows, "all"),
            (self.curve, span(turn, CURVE)),
            (self.kinds, kind),
        ):
            _tally(tallies, key).note(exact, own)

    def answered(self, answer: Answer) -> None:
        """Count one answer to a question."""
        keys = [
            "all",
            f"kind {answer.kind}",
            f"turn {span(answer.turn, WINDOWS)}",
            f"age {answer.age}",
            f"overwritten {answer.changes}",
        ]
        if answer.changes != "0":
            keys.append(f"changed {answer.age}")
        for key in keys:
            _tally(self.facts, key).note(answer.exact, answer.own)

    def keeps(self, kind: str, true: bool) -> None:
        """Count one fact of the master's records."""
        _tally(self.kept, kind).note(true, True)

    def mapped(self, turn: int, edges: Edges) -> None:
        """Count a map drawn after a turn."""
        self.maps[turn] = self.maps.get(turn, Edges()) + edges

    def came_back(self, way: str, exact: bool, own: bool) -> None:
        """Count an arrival at a room that the player has left before, by this way or another."""
        _tally(self.back, way).note(exact, own)

    def game(self, turns: int, wrong: int, contradiction: int, how: str) -> None:
        """Count a game: its turns, the first wrong one and the first that contradicted the
        master's own records (0: none), and how it ended: won, lost, or cut short."""
        self.first_wrong.append((wrong or turns, wrong > 0))
        self.first_contradiction.append((contradiction or turns, contradiction > 0))
        self.ended[how] += 1

    @property
    def turns(self) -> Tally:
        """All turns."""
        return self.windows.get("all", Tally())

    @property
    def clean(self) -> int:
        """Games without a wrong turn."""
        return sum(not wrong for _, wrong in self.first_wrong)

    def figures(self) -> dict[str, Any]:
        """Everything as plain numbers."""
        turns = self.turns
        return {
            "windows": {key: t.figures() for key, t in _ordered(self.windows, _window_names())},
            "curve": {key: t.figures() for key, t in _ordered(self.curve, _curve_names())},
            "kinds": {key: self.kinds[key].figures() for key in sorted(self.kinds)},
            "median_turns_to_first_wrong": median_survival(self.first_wrong),
            "median_turns_to_first_contradiction": median_survival(self.first_contradiction),
            "contradictions_per_100_turns": (
                100 * (turns.judged - turns.own) / max(1, turns.judged)
            ),
            "survival": survival_curve(self.first_wrong),
            "survival_by_own_records": survival_curve(self.first_contradiction),
            "games": len(self.first_wrong),
            "games_without_a_wrong_turn": self.clean,
            "ended": dict(sorted(self.ended.items())),
            "facts": {key: t.figures("asked") for key, t in _ordered(self.facts, FACT_ROWS)},
            "facts_true_in_own_records": {
                kind: {"facts": t.judged, "true": t.exact / t.judged}
                for kind, t in _ordered(self.kept, FACTS)
            },
            "maps": {
                turn: {"f1": e.f1, "claimed": e.claimed, "true": e.true, "both": e.both}
                for turn, e in sorted(self.maps.items())
            },
            "came_back": {way: self.back[way].figures("arrivals") for way in sorted(self.back)},
        }


def merged(reports: Iterable[Report]) -> Report:
    """What several reports have counted together; games stay in their order."""
    whole = Report()
    for report in reports:
        for mine, theirs in (
            (whole.windows, report.windows),
            (whole.curve, report.curve),
            (whole.kinds, report.kinds),
            (whole.facts, report.facts),
            (whole.kept, report.kept),
            (whole.back, report.back),
        ):
            for key, tally in theirs.items():
                mine[key] = mine.get(key, Tally()) + tally
        for turn, edges in report.maps.items():
            whole.mapped(turn, edges)
        whole.first_wrong += report.first_wrong
        whole.first_contradiction += report.first_contradiction
        whole.ended += report.ended
        whole.first_errors += report.first_errors
    return whole


def _window_names() -> list[str]:
    return [*(span(low, WINDOWS) for low, _ in WINDOWS), "all"]


def _curve_names() -> list[str]:
    return [span(low, CURVE) for low, _ in CURVE]


FACT_ROWS = (
    "all",
    *(f"kind {kind}" for kind in FACTS),
    *(f"turn {window}" for window in _window_names()),
    *(f"age {age}" for age in AGE_NAMES),
    *(f"changed {age}" for age in AGE_NAMES),
    *(f"overwritten {changes}" for changes in CHANGE_NAMES),
)
"""Keys of Report.facts in the order of tables."""


def _ordered(tallies: Tallies, names: Iterable[str]) -> list[tuple[str, Tally]]:
    return [(name, tallies[name]) for name in names if name in tallies]
