"""Which forms of standing replies a turn was told in, read from its hidden lines. Knows no network.

A standing reply may have several forms; which is told is the game master's choice, not the rules'.
To judge a turn, the referee is told the choices that the master made in it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from adventure.referee.rules import Choose


def forms_of(lines: Iterable[str]) -> Choose:
    """A choice of forms for `rules.play`: those of the hidden lines, in order; else the first."""
    chosen = defaultdict[str, deque[int]](deque)
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "say" and set(words[2:]) <= {"or"}:
            chosen[words[1]].append(len(words) - 2)

    def choose(kind: str, forms: int) -> int:
        form = chosen[kind].popleft() if chosen[kind] else 0
        return form if form < forms else 0

    return choose
