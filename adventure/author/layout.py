"""Rooms on a grid by the compass directions of their ways. Knows no ink; a cell holds one room.

First each room goes beside one that is placed, and a row or a column is put in where its cell is
taken. Then rooms, branches and halves of the grid move for as long as that makes the lines
straighter, shorter, freer of rooms and of each other. The same rooms and ways give the same grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adventure.author.ways import PLANE, Way, reached

Cell = tuple[int, int]
Grid = dict[str, Cell]

_THROUGH, _OVERLAP, _CROSSING, _BENT = 40.0, 30.0, 6.0, 3.0
"""What a line costs that runs through a room, along another line, across one, or round a corner."""
_WIDE, _TALL = 0.6, 0.2
"""What a column costs, and a row: a page scrolls."""
_ROUNDS, _PATIENCE = 12, 600_000
"""How often all moves are tried, and how many lines are weighed in all; enough for fifty rooms."""


def place(rooms: list[str], ways: list[Way]) -> Grid:
    """A cell for each room of a sheet, from (0, 0) on."""
    flat = [w for w in ways if w.flat and w.a != w.b and {w.a, w.b} <= set(rooms)]
    return _at_origin(_improved(_first(rooms, flat), flat))


def _first(rooms: list[str], ways: list[Way]) -> Grid:
    """Room by room, outwards from the first."""
    grid: Grid = {}
    for room in rooms:
        if room in grid:
            continue
        right = max((x for x, _ in grid.values()), default=-2) + 2
        grid[room] = (right, 0)
        waiting = [room]
        while waiting:
            here = waiting.pop(0)
            for there, (dx, dy) in _neighbours(here, ways):
                if there not in grid:
                    x, y = grid[here]
                    grid = _cleared(grid, (x + dx, y + dy), (dx, dy))
                    x, y = grid[here]
                    grid[there] = (x + dx, y + dy)
                    waiting.append(there)
    return grid


def _neighbours(room: str, ways: list[Way]) -> Iterator[tuple[str, Cell]]:
    """The rooms beside one, each with the step to it; those whose line can be straight first."""
    for way in sorted(ways, key=lambda w: not w.straight):
        if way.a == room:
            yield way.b, PLANE[way.port]
        elif way.b == room:
            yield way.a, PLANE[way.end]


def _cleared(grid: Grid, cell: Cell, step: Cell) -> Grid:
    """The grid with a free cell, a row or column being put in if it has to be."""
    if cell not in grid.values():
        return grid
    axis = 0 if step[0] else 1

    def shifted(old: Cell) -> Cell:
        beyond = (old[axis] - cell[axis]) * step[axis] >= 0
        moved = list(old)
        moved[axis] += step[axis] if beyond else 0
        return moved[0], moved[1]

    return {room: shifted(old) for room, old in grid.items()}


# -- making it better ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A way as it is weighed: the steps by which it leaves a and b; straight: they are opposite."""

    a: str
    b: str
    step: Cell
    back: Cell
    straight: bool


def _improved(grid: Grid, ways: list[Way]) -> Grid:
    lines = [_Line(w.a, w.b, PLANE[w.port], PLANE[w.end], w.straight) for w in ways]
    best = _cost(grid, lines)
    branches, weighed = _branches(list(grid), ways), 0
    for _ in range(_ROUNDS):
        before = best
        for group, reach in _groups(grid, branches):
            others = {cell for room, cell in grid.items() if room not in group}
            for dx, dy in _steps(reach):
                moved = {room: (grid[room][0] + dx, grid[room][1] + dy) for room in group}
                if not others.isdisjoint(moved.values()):
                    continue
                weighed += len(lines)
                if weighed > _PATIENCE:
                    return grid
                tried = {**grid, **moved}
                cost = _cost(tried, lines)
                if cost < best - 1e-9:
                    grid, best = tried, cost
        if best >= before:
            break
    return grid


def _steps(reach: int) -> Iterator[Cell]:
    span = range(-reach, reach + 1)
    yield from ((dx, dy) for dy in span for dx in span if dx or dy)


def _groups(grid: Grid, branches: list[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], int]]:
    """What moves as one, and how far it is tried: single rooms, branches, halves of the grid."""
    yield from ((group, 2) for group in branches)
    yield from (((room,), 3) for room in grid)
    for axis in (0, 1):
        for edge in sorted({cell[axis] for cell in grid.values()})[1:]:
            yield tuple(room for room, cell in grid.items() if cell[axis] >= edge), 1


def _branches(rooms: list[str], ways: list[Way]) -> list[tuple[str, ...]]:
    """The smaller parts of what a sheet falls into when a way is cut, where it does; and each room
    with all such parts that hang on it."""
    hanging: dict[str, set[str]] = {}
    found: list[set[str]] = []
    for cut in ways:
        rest = [Way(w.a, w.out, w.b, w.out) for w in ways if w is not cut]
        part = reached(cut.a, rest)
        if cut.b not in part:
            other = set(rooms) - part
            few, holder = (part, cut.b) if len(part) < len(other) else (other, cut.a)
            found.append(few)
            hanging.setdefault(holder, {holder}).update(few)
    found += hanging.values()
    ordered = (tuple(room for room in rooms if room in part) for part in found)
    return [part for part in dict.fromkeys(ordered) if 1 < len(part) < len(rooms)]


def _cost(grid: Grid, lines: list[_Line]) -> float:
    """How bad a drawing is."""
    taken = set(grid.values())
    passed: dict[Cell, set[Cell]] = {}
    total = 0.0
    for line in lines:
        a, b = grid[line.a], grid[line.b]
        cells = _between(a, b, line.step) if line.straight else None
        if cells is None:
            total += _BENT + _off(a, b, line.step) + _off(b, a, line.back)
        elif cells:
            dx, dy = line.step
            total += len(cells) * (1.5 if dx and dy else 1.0)
            along = (abs(dx), abs(dy)) if dx * dy <= 0 else (1, -1)
            for cell in cells:
                total += _THROUGH if cell in taken else 0.0
                for other in passed.get(cell, ()):
                    total += _OVERLAP if other == along else _CROSSING
                passed.setdefault(cell, set()).add(along)
    xs, ys = [x for x, _ in taken], [y for _, y in taken]
    return total + _WIDE * (max(xs) - min(xs)) + _TALL * (max(ys) - min(ys))


def _between(a: Cell, b: Cell, step: Cell) -> list[Cell] | None:
    """The cells between two on a straight line in a direction; None if b isn't on it."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    if (dx, dy) == step:  # most are
        return []
    length = max(abs(dx), abs(dy))
    if (dx, dy) != (step[0] * length, step[1] * length):
        return None
    return [(a[0] + step[0] * i, a[1] + step[1] * i) for i in range(1, length)]


def _off(a: Cell, b: Cell, step: Cell) -> float:
    """How far b is from where a line from a in a direction would want it."""
    total = 0.0
    for axis in (0, 1):
        d = b[axis] - a[axis]
        if step[axis]:
            total += 6.0 + 2.0 * abs(d) if d * step[axis] <= 0 else 0.5 * d * step[axis]
        else:
            total += 3.0 + abs(d) if d else 0.0
    return total


def _at_origin(grid: Grid) -> Grid:
    left = min(x for x, _ in grid.values())
    top = min(y for _, y in grid.values())
    return {room: (x - left, y - top) for room, (x, y) in grid.items()}
