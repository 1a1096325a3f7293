"""A world's map as an SVG file, drawn with the library drawsvg. Knows no terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from adventure.author.layout import Grid, place
from adventure.author.map import shown_rooms
from adventure.author.ways import PLANE, Way, sheets, ways_of
from adventure.errors import UserError
from adventure.world.parts import World

if TYPE_CHECKING:
    import drawsvg

BOX_W, BOX_H, GAP_W, GAP_H, MARGIN = 132.0, 56.0, 48.0, 44.0, 24.0
_INK, _PAPER, _START, _DOOR = "#222222", "#ffffff", "#fff3c4", "#b5651d"
_FONT = "Georgia, 'Times New Roman', serif"
_ABREAST, _APART = 6.5, 0.4
"""Columns of cells after which sheets go on below, and the room between two sheets."""

Spot = tuple[float, float]


def as_svg(world: World, spoilers: bool) -> str:
    """The whole map. Raises UserError where drawsvg isn't installed."""
    try:
        import drawsvg
    except ImportError as error:
        raise UserError(
            "Drawing SVG files takes the library drawsvg, which isn't installed; install it with: "
            'pip install "adventure-rwkv[svg]".'
        ) from error
    ways = ways_of(world, spoilers)
    rooms = shown_rooms(world, ways, spoilers)
    ways = [way for way in ways if way.a in rooms and way.b in rooms]
    spots, columns, rows = _spots([place(group, ways) for group in sheets(rooms, ways)])
    width = columns * (BOX_W + GAP_W) - GAP_W + 2 * MARGIN
    height = rows * (BOX_H + GAP_H) - GAP_H + 3 * MARGIN + 16
    made = drawsvg.Drawing(width, height, font_family=_FONT)
    made.append(drawsvg.Title(f"Map of {world.title}"))
    made.append(drawsvg.Rectangle(0, 0, width, height, fill=_PAPER))
    made.append(drawsvg.Text(world.title, 20, MARGIN, MARGIN + 8, fill=_INK))
    arrow = drawsvg.Marker(-1, -4, 9, 4, orient="auto", id="arrow")
    arrow.append(drawsvg.Lines(0, -4, 9, 0, 0, 4, fill=_INK, close=True))
    for way in ways:
        if way.flat and way.a != way.b:
            _draw_way(made, way, spots, arrow)
    for room in rooms:
        _draw_room(made, room, spots[room], world, ways)
    text: str = made.as_svg()
    return text + "\n"


def _spots(grids: list[Grid]) -> tuple[Mapping[str, Spot], float, float]:
    """The middle of every room, and how many columns and rows there are in all."""
    spots: dict[str, Spot] = {}
    left = top = deep = widest = 0.0
    for grid in grids:
        wide = max(x for x, _ in grid.values()) + 1
        high = max(y for _, y in grid.values()) + 1
        if left and left + wide > _ABREAST:
            left, top, deep = 0.0, top + deep + _APART, 0.0
        for room, (x, y) in grid.items():
            spots[room] = (
                MARGIN + BOX_W / 2 + (left + x) * (BOX_W + GAP_W),
                2 * MARGIN + 16 + BOX_H / 2 + (top + y) * (BOX_H + GAP_H),
            )
        widest = max(widest, left + wide)
        left, deep = left + wide + _APART, max(deep, high)
    return spots, widest, top + deep


def _port(spot: Spot, side: str, out: float = 0.0) -> Spot:
    """The middle of a box's side or its corner; `out`: that far beyond it."""
    dx, dy = PLANE[side]
    return spot[0] + dx * (BOX_W / 2 + out), spot[1] + dy * (BOX_H / 2 + out)


def _draw_way(
    made: drawsvg.Drawing, way: Way, spots: Mapping[str, Spot], arrow: drawsvg.Marker
) -> None:
    """A straight line where the ends face each other, else a curve from side to side."""
    import drawsvg

    (ax, ay), (bx, by) = (
        _port(spots[way.a], way.port),
        _port(spots[way.b], way.end, 0 if way.back else 8),
    )
    dx, dy = PLANE[way.port]
    style = {"stroke": _INK, "stroke_width": 2, "fill": "none"}
    if way.hidden:
        style["stroke_dasharray"] = "5,5"
    if not way.back:
        style["marker_end"] = arrow
    line = drawsvg.Path(**style)
    sideways = abs((bx - ax) * dy - (by - ay) * dx) > 1 and 0 in (dx, dy)
    if sideways or not way.straight or (bx - ax) * dx < 0 or (by - ay) * dy < 0:
        (px, py), (qx, qy) = _port(spots[way.a], way.port, 60), _port(spots[way.b], way.end, 60)
        line.M(ax, ay).C(px, py, qx, qy, bx, by)
        middle = (ax + 3 * px + 3 * qx + bx) / 8, (ay + 3 * py + 3 * qy + by) / 8
    else:
        line.M(ax, ay).L(bx, by)
        middle = (ax + bx) / 2, (ay + by) / 2
    name = way.door or ("opened during the game" if way.hidden else "")
    line.append_title(f"{way.a} {way.out} to {way.b}" + (f" ({name})" if name else ""))
    made.append(line)
    if way.door:
        door = drawsvg.Rectangle(middle[0] - 6, middle[1] - 6, 12, 12, fill=_DOOR, stroke=_INK)
        door.append_title(way.door)
        made.append(door)


def _draw_room(made: drawsvg.Drawing, room: str, spot: Spot, world: World, ways: list[Way]) -> None:
    import drawsvg

    fill = _START if room == world.start else _PAPER
    x, y = spot[0] - BOX_W / 2, spot[1] - BOX_H / 2
    made.append(drawsvg.Rectangle(x, y, BOX_W, BOX_H, rx=6, fill=fill, stroke=_INK, stroke_width=2))
    names = textwrap.wrap(room, 16)[:2]
    notes = _notes(room, ways)
    first = spot[1] + 5 - 8 * (len(names) - 1) - (8 if notes else 0)
    for i, row in enumerate(names):
        made.append(drawsvg.Text(row, 15, spot[0], first + 16 * i, text_anchor="middle", fill=_INK))
    for i, note in enumerate(notes[:2]):
        at = first + 16 * (len(names) - 1) + 13 + 11 * i
        made.append(drawsvg.Text(note, 9, spot[0], at, text_anchor="middle", fill=_INK))


def _notes(room: str, ways: list[Way]) -> list[str]:
    """The ways that can't be drawn: `up: Loft`."""
    out = [f"{w.out}: {w.b}" for w in ways if w.a == room and w.out not in PLANE]
    out += [f"{w.back}: {w.a}" for w in ways if w.b == room and w.back and w.back not in PLANE]
    return [", ".join(out[i : i + 2]) for i in range(0, len(out), 2)]
