"""One sheet of a map as lines of characters. Knows grids and ways; no file and no terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adventure.author.canvas import SIDES, Canvas, E, N, Point, S, W
from adventure.author.layout import Grid
from adventure.author.ways import PLANE, Way

_NARROWEST, _MOST_ROWS = 6, 3
"""Characters and rows of a name in its box; longer ones are numbers, with a list below."""


@dataclass
class Drawing:
    """Lines of text; numbered: what numbers in boxes stand for; undrawn: ways without a line."""

    rows: list[str]
    numbered: dict[str, str] = field(default_factory=dict)
    undrawn: list[Way] = field(default_factory=list)

    @property
    def width(self) -> int:
        return max(map(len, self.rows), default=0)


@dataclass(frozen=True)
class _Frame:
    """Where boxes are: each column's left edge and width, each row's top and height."""

    columns: list[tuple[int, int]]
    lines: list[tuple[int, int]]
    grid: Grid

    def box(self, room: str) -> tuple[int, int, int, int]:
        x, y = self.grid[room]
        return self.columns[x][0], self.lines[y][0], self.columns[x][1], self.lines[y][1]

    def port(self, room: str, side: str) -> tuple[Point, Point]:
        """The cell of a box's edge that a line leaves by, and the cell outside it."""
        left, top, width, height = self.box(room)
        dx, dy = PLANE[side]
        x = left + (width // 2, width - 1, 0)[dx]
        y = top + (height // 2, height - 1, 0)[dy]
        return (x, y), (x + dx, y + dy)


def draw(
    grid: Grid, ways: Sequence[Way], notes: Mapping[str, str], start: str, width: int, plain: bool
) -> Drawing:
    """A sheet. notes: what stands below a room's name; plain: ASCII alone."""
    ways = [w for w in ways if w.flat and w.a in grid and w.b in grid and w.a != w.b]
    bent = any(not _aligned(grid, w) or _slanted(w) for w in ways)
    gap = 5 if bent else 3
    names = {room: f"@ {room}" if room == start else room for room in grid}
    fitting = _widest(names, notes, grid, width, gap)
    numbered: dict[str, str] = {}
    if fitting is None:
        numbers = {room: str(i) for i, room in enumerate(sorted(grid, key=_reading(grid)), 1)}
        numbered = {number: room for room, number in numbers.items()}
        names = {room: f"@{n}" if room == start else n for room, n in numbers.items()}
        gap = 3
    widest, pad = fitting or (_NARROWEST, 0)
    texts = {room: [*_wrapped(names[room], widest), *_noted(notes[room])] for room in grid}
    frame = _frame(grid, texts, pad, gap, 2 if bent else 1)
    canvas = Canvas(plain)
    for room, rows in texts.items():
        canvas.box(*frame.box(room), rows)
    straight = [w for w in ways if _aligned(grid, w) and not _slanted(w)]
    undrawn = [w for w in straight if not _line(canvas, frame, w)]
    undrawn += [w for w in ways if w not in straight]
    undrawn.sort(key=lambda w: math.dist(grid[w.a], grid[w.b]))  # the shortest have least choice
    undrawn = [w for w in undrawn if not _routed(canvas, frame, w)]
    return Drawing(canvas.rows(), numbered, undrawn)


def _slanted(way: Way) -> bool:
    return 0 not in PLANE[way.port] or 0 not in PLANE[way.end]


def _aligned(grid: Grid, way: Way) -> bool:
    (ax, ay), (bx, by) = grid[way.a], grid[way.b]
    dx, dy = PLANE[way.port]
    far = max(abs(bx - ax), abs(by - ay))
    return way.straight and (bx - ax, by - ay) == (dx * far, dy * far)


def _reading(grid: Grid) -> Callable[[str], tuple[int, ...]]:
    """The order in which one reads: row by row."""
    return lambda room: grid[room][::-1]


# -- boxes ---------------------------------------------------------------------------------------


def _wrapped(name: str, width: int) -> list[str]:
    return textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=True)


def _noted(note: str) -> list[str]:
    return [note] if note else []


def _widths(texts: Mapping[str, Sequence[str]], grid: Grid, pad: int) -> list[int]:
    """Of the columns, frames and blanks beside the text included; odd: there is a middle."""
    count = max(x for x, _ in grid.values()) + 1
    found = [1] * count  # a column without a room is there for a line
    for room, rows in texts.items():
        x = grid[room][0]
        found[x] = max(5, found[x], max(map(len, rows)) + 2 + 2 * pad)
    return [w | 1 for w in found]


def _widest(
    names: Mapping[str, str], notes: Mapping[str, str], grid: Grid, width: int, gap: int
) -> tuple[int, int] | None:
    """How long a line of a name may be for the sheet to fit, and how many blanks go beside it; None
    if names won't do."""
    longest = max(_NARROWEST, *map(len, names.values()))
    for limit, pad in ((n, pad) for n in range(longest, _NARROWEST - 1, -1) for pad in (1, 0)):
        texts = {
            room: [*_wrapped(name, limit), *_noted(notes[room])] for room, name in names.items()
        }
        rows = max(len(_wrapped(name, limit)) for name in names.values())
        widths = _widths(texts, grid, pad)
        if rows <= _MOST_ROWS and sum(widths) + gap * (len(widths) - 1) <= width:
            return limit, pad
    return None


def _frame(
    grid: Grid, texts: Mapping[str, Sequence[str]], pad: int, gap: int, gap_down: int
) -> _Frame:
    columns, left = [], 0
    for w in _widths(texts, grid, pad):
        columns.append((left, w))
        left += w + gap
    lines, top = [], 0
    for y in range(max(y for _, y in grid.values()) + 1):
        height = max((len(texts[r]) + 2 for r in grid if grid[r][1] == y), default=1)
        lines.append((top, height))
        top += height + gap_down
    return _Frame(columns, lines, grid)


# -- lines ---------------------------------------------------------------------------------------


def _line(canvas: Canvas, frame: _Frame, way: Way) -> bool:
    """A straight way along a row or a column; False where something is in between."""
    _, (ax, ay) = frame.port(way.a, way.port)
    _, (bx, by) = frame.port(way.b, way.end)
    dx, dy = PLANE[way.port]
    path = [(ax + dx * i, ay + dy * i) for i in range(abs(bx - ax) + abs(by - ay) + 1)]
    if not canvas.free(path):
        return False
    side, back = SIDES[-dx, -dy], SIDES[dx, dy]
    canvas.draw(path, side, back, way.hidden)
    _marked(canvas, frame, way, path)
    return True


def _routed(canvas: Canvas, frame: _Frame, way: Way) -> bool:
    """A way round corners. One that leaves at a slant begins with a stroke of that slant."""
    (_, start), (_, goal) = frame.port(way.a, way.port), frame.port(way.b, way.end)
    first, last = _side_of(way.port), _side_of(way.end)
    if start == goal:
        path = [start]
    else:
        path = canvas.route(start, first, goal, last)
    if not path:
        return False
    canvas.draw(path, first, last, way.hidden)
    _marked(canvas, frame, way, path)
    return True


def _side_of(direction: str) -> int:
    """The side of the cell outside a port that touches the box; at a slant, the nearest to it."""
    dx, dy = PLANE[direction]
    if dx and dy:
        return S if dy < 0 else N
    return {(0, -1): S, (0, 1): N, (1, 0): W, (-1, 0): E}[dx, dy]


def _marked(canvas: Canvas, frame: _Frame, way: Way, path: Sequence[Point]) -> None:
    """Slants at the ends, a door in the middle, an arrow where there is no way back."""
    for room, side, end in ((way.a, way.port, path[0]), (way.b, way.end, path[-1])):
        dx, dy = PLANE[side]
        if dx and dy:
            slants = "/\\" if canvas.ascii_only else "╱╲"
            canvas.marks[end] = slants[dx * dy > 0]
        elif not canvas.ascii_only:
            at, _ = frame.port(room, side)
            canvas.marks[at] = {"north": "┴", "south": "┬", "east": "├", "west": "┤"}[side]
    middle = path[len(path) // 2]
    if way.door and middle not in canvas.marks:
        upright = canvas.lines[middle][0] in (N | S, N, S)
        canvas.marks[middle] = "#" if canvas.ascii_only else "╪" if upright else "╫"
    if not way.back:
        dx, dy = PLANE[way.end]
        into = {(0, -1): "v", (0, 1): "^", (1, 0): "<", (-1, 0): ">"}
        slant = "v" if dy < 0 else "^"
        canvas.marks[path[-1]] = into.get((dx, dy), slant)
