"""Characters on a plane: boxes, and lines that join where they meet. Knows no rooms.

A line is kept as the sides of a cell that it touches, so that corners come out by themselves.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

Point = tuple[int, int]
N, E, S, W = 1, 2, 4, 8
SIDES = {(0, -1): N, (1, 0): E, (0, 1): S, (-1, 0): W}
AGAINST = {N: S, S: N, E: W, W: E}
_SOLID = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
_DASHED = " ╵╶└╷╎┌├╴┘╌┴┐┤┬┼"
_ASCII = " |-+||++-+-+++++"
_ASCII_DASHED = " :.+:::+.+.+++++"
_BEND, _CROSS = 3, 6
_FARTHEST, _PATIENCE = 30_000, 400_000
"""How many cells are looked at for one line, and for all of them."""


class Canvas:
    """Boxes first, then lines around them, then marks on top."""

    def __init__(self, ascii_only: bool) -> None:
        self.ascii_only = ascii_only
        self.lines: dict[Point, tuple[int, bool]] = {}
        self.marks: dict[Point, str] = {}
        self.closed: set[Point] = set()
        self.corner: Point = (0, 0)
        self.looked = 0

    # -- boxes

    def box(self, left: int, top: int, width: int, height: int, rows: Sequence[str]) -> None:
        """A frame of that outer size with centred text in it."""
        right, bottom = left + width - 1, top + height - 1
        frame = "++++-|" if self.ascii_only else "┌┐└┘─│"
        for x in range(left, right + 1):
            self.marks[x, top] = self.marks[x, bottom] = frame[4]
        for y in range(top, bottom + 1):
            self.marks[left, y] = self.marks[right, y] = frame[5]
        corners = ((left, top), (right, top), (left, bottom), (right, bottom))
        for corner, char in zip(corners, frame, strict=False):
            self.marks[corner] = char
        for i, row in enumerate(rows):
            self.text(left + 1 + (width - 2 - len(row) + 1) // 2, top + 1 + i, row)
        self.closed |= {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}
        self.corner = max(self.corner[0], right), max(self.corner[1], bottom)

    def text(self, x: int, y: int, text: str) -> None:
        """Characters from a point on."""
        for i, char in enumerate(text):
            self.marks[x + i, y] = char

    # -- lines

    def draw(self, path: Sequence[Point], first: int, last: int, dashed: bool) -> None:
        """A line through cells, from the side `first` of the first one to `last` of the last."""
        for i, (x, y) in enumerate(path):
            mask = first if i == 0 else 0
            mask |= last if i + 1 == len(path) else 0
            for j in (i - 1, i + 1):
                if 0 <= j < len(path):
                    mask |= SIDES.get((path[j][0] - x, path[j][1] - y), 0)
            old = self.lines.get((x, y))
            if old and {old[0], mask} == {N | S, E | W}:  # a crossing: the upright goes over
                mask, dashed_here = N | S, old[1] if old[0] == N | S else dashed
                self.lines[x, y] = mask, dashed_here
                self.closed.add((x, y))
            else:
                self.lines[x, y] = (old[0] if old else 0) | mask, dashed
            self.corner = max(self.corner[0], x), max(self.corner[1], y)

    def free(self, path: Sequence[Point]) -> bool:
        """Whether a straight line can go through these cells."""
        return all(self._step_cost(cell, side) is not None for cell, side in _sided(path))

    def route(self, start: Point, first: int, goal: Point, last: int) -> list[Point]:
        """The best way from cell to cell along rows and columns, few bends, around boxes and lines;
        `first` and `last` as in `draw`. Empty where there is none."""
        begin = (0, start, AGAINST[first])
        waiting: list[tuple[int, Point, int]] = [begin]
        best: dict[tuple[Point, int], int] = {(start, AGAINST[first]): 0}
        came: dict[tuple[Point, int], tuple[Point, int]] = {}
        if start in self.closed or goal in self.closed or {start, goal} & self.lines.keys():
            return []
        while waiting and len(best) < _FARTHEST and self.looked < _PATIENCE:
            self.looked += 1
            cost, cell, heading = heapq.heappop(waiting)
            if cell == goal and heading != AGAINST[last]:
                return _path(came, (cell, heading))
            for (dx, dy), side in SIDES.items():
                there = (cell[0] + dx, cell[1] + dy)
                if side == AGAINST[heading] or (cell in self.lines and side != heading):
                    continue
                if not (
                    -2 <= there[0] <= self.corner[0] + 2 and -1 <= there[1] <= self.corner[1] + 2
                ):
                    continue
                step = self._step_cost(there, side)
                if step is None:
                    continue
                total = cost + step + (_BEND if side != heading else 0)
                if total < best.get((there, side), 1 << 30):
                    best[there, side] = total
                    came[there, side] = (cell, heading)
                    heapq.heappush(waiting, (total, there, side))
        return []

    def _step_cost(self, cell: Point, side: int) -> int | None:
        """What it costs to go into a cell in a direction; None where one can't."""
        if cell in self.closed or cell in self.marks:
            return None
        line = self.lines.get(cell)
        if line is None:
            return 1
        across = N | S if side in (E, W) else E | W
        return _CROSS if line[0] == across else None

    # -- all of it

    def rows(self) -> list[str]:
        """The picture, line by line, cut at its left and its end."""
        drawn = {cell: self._char(*line) for cell, line in self.lines.items()} | self.marks
        if not drawn:
            return []
        left = min(x for x, _ in drawn)
        ys = [y for _, y in drawn]
        found = []
        for y in range(min(ys), max(ys) + 1):
            xs = [x for x, row in drawn if row == y]
            row = "".join(drawn.get((x, y), " ") for x in range(left, max(xs, default=left) + 1))
            found.append(row.rstrip())
        return found

    def _char(self, mask: int, dashed: bool) -> str:
        if self.ascii_only:
            return (_ASCII_DASHED if dashed else _ASCII)[mask]
        return (_DASHED if dashed else _SOLID)[mask]


def _sided(path: Sequence[Point]) -> list[tuple[Point, int]]:
    """Each cell of a straight path, with the direction that it is gone through in."""
    if len(path) < 2:
        return [(cell, N) for cell in path]
    step = (path[1][0] - path[0][0], path[1][1] - path[0][1])
    return [(cell, SIDES[step]) for cell in path]


def _path(came: dict[tuple[Point, int], tuple[Point, int]], at: tuple[Point, int]) -> list[Point]:
    found = [at[0]]
    while at in came:
        at = came[at]
        found.append(at[0])
    return found[::-1]
