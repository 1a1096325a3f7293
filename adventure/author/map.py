"""`adventure map`: a world's rooms drawn in the terminal, or as an SVG file. Knows no layout."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from adventure.author.drawing import Drawing, draw
from adventure.author.layout import place
from adventure.author.ways import Way, carried, opened, reached, sheets, ways_of
from adventure.errors import PackError
from adventure.world.pack import find_world, load_world
from adventure.world.parts import World

WIDTH = 80
_BETWEEN = 4  # characters between two sheets side by side
_SHORT = {"up": "u", "down": "d", "in": "in", "out": "out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure map`."""
    parser.description = (
        "Draw the rooms of a world and the ways between them. North is up; rooms above one "
        "another, or inside, are drawn apart, and their ways are listed below. Ways that open "
        "during the game are a secret, so they are drawn with --spoilers only."
    )
    parser.add_argument("world", metavar="WORLD", help="a name or a folder")
    parser.add_argument(
        "--svg", metavar="FILE", type=Path, help="write a drawing for browsers and printers instead"
    )
    parser.add_argument(
        "--spoilers", action="store_true", help="draw what opens during the game as well, dashed"
    )
    parser.add_argument("--ascii", action="store_true", help="use no characters beyond ASCII")


def run(args: argparse.Namespace) -> int:
    """Print the map or write it. Raises UserError."""
    world = load_world(find_world(args.world))
    if args.svg is not None:
        from adventure.author.svg import as_svg

        _write(args.svg, as_svg(world, args.spoilers))
        print(f"{args.svg}: a map of {world.title}.")
        return 0
    width = max(40, min(shutil.get_terminal_size((WIDTH, 24)).columns, 160))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a name may have letters that it hasn't
    print("\n".join(as_text(world, args.spoilers, width, args.ascii or not _draws_boxes())))
    return 0


def _draws_boxes() -> bool:
    """Whether standard output takes the characters of boxes."""
    try:
        "╫╌".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PackError(f"Can't write {file}: {error.strerror or error}.") from error


def shown_rooms(world: World, ways: list[Way], spoilers: bool) -> list[str]:
    """The rooms to be drawn: all, or those that one can walk to as the game begins."""
    names = [room.name for room in world.rooms]
    walked = reached(world.start, ways)
    return names if spoilers else [name for name in names if name in walked]


def as_text(world: World, spoilers: bool, width: int = WIDTH, plain: bool = False) -> list[str]:
    """The whole map: sheets, what the marks mean, and what can't be drawn."""
    ways = ways_of(world, spoilers)
    rooms = shown_rooms(world, ways, spoilers)
    ways = [way for way in ways if way.a in rooms and way.b in rooms]
    notes = {room: " ".join(_SHORT[d] for d in _SHORT if _has(ways, room, d)) for room in rooms}
    drawings = [
        draw(place(group, ways), ways, notes, world.start, width, plain)
        for group in sheets(rooms, ways)
    ]
    text = [world.title, "", *_shelved(drawings, width), ""]
    text += _numbers(drawings, width)
    text += _legend(world, ways, notes, plain)
    apart = [_in_words(way) for way in ways if not way.flat]
    text += _list("Up, down, in and out:", apart)
    undrawn = [way for drawing in drawings for way in drawing.undrawn]
    undrawn += [way for way in ways if way.flat and way.a == way.b]
    text += _list("Without room for a line:", [_in_words(way) for way in undrawn])
    doors = [f"{way.door}: {way.a} {way.out} to {way.b}" for way in ways if way.door]
    text += _list("Doors:", doors)
    if spoilers:
        text += _list(
            "Opened during the game:", [f"{w.a} {w.out} to {w.b}" for w in _opened(world)]
        )
        text += _list("Where the game takes one:", carried(world))
    missing = len(world.rooms) - len(rooms)
    if missing:
        more = "1 room isn't" if missing == 1 else f"{missing} rooms aren't"
        text += ["", f"{more} drawn, being out of reach at first; --spoilers draws everything."]
    return text


def _opened(world: World) -> list[Way]:
    return list(dict.fromkeys(opened(world)))


def _has(ways: list[Way], room: str, direction: str) -> bool:
    return any(
        (w.a, w.out) == (room, direction) or (w.b, w.back) == (room, direction) for w in ways
    )


def _shelved(drawings: list[Drawing], width: int) -> list[str]:
    """Drawings below one another, or side by side where they fit."""
    shelves: list[list[Drawing]] = []
    for drawing in drawings:
        used = sum(d.width + _BETWEEN for d in shelves[-1]) if shelves else width
        if used + drawing.width <= width:
            shelves[-1].append(drawing)
        else:
            shelves.append([drawing])
    text: list[str] = []
    for shelf in shelves:
        if text:
            text.append("")
        for rows in zip_longest(*(d.rows for d in shelf), fillvalue=""):
            cells = (row.ljust(d.width + _BETWEEN) for row, d in zip(rows, shelf, strict=True))
            text.append("".join(cells).rstrip())
    return text


def _numbers(drawings: list[Drawing], width: int) -> list[str]:
    """What the numbers stand for, in columns."""
    text: list[str] = []
    for drawing in drawings:
        cells = [f"{number:>2} {room}" for number, room in drawing.numbered.items()]
        wide = max(map(len, cells), default=0) + 2
        many = max(1, width // wide) if cells else 1
        for i in range(0, len(cells), many):
            text.append("".join(cell.ljust(wide) for cell in cells[i : i + many]).rstrip())
        text += [""] if cells else []
    return text


def _legend(world: World, ways: list[Way], notes: dict[str, str], plain: bool) -> list[str]:
    """The marks that are on the map, and no others."""
    said = ["@ start"] if world.start in notes else []
    words = {word for note in notes.values() for word in note.split()}
    said += [
        f"{short} {name}" for name, short in _SHORT.items() if short in words and short != name
    ]
    flat = [way for way in ways if way.flat]
    if any(way.door for way in flat):
        said.append("# door" if plain else "╫ door")
    if any(not way.back for way in flat):
        said.append("> one way")
    if any(way.hidden for way in flat):
        said.append(f"{'...' if plain else '╌╌╌'} opened during the game")
    return [", ".join(said) + "."]


def _in_words(way: Way) -> str:
    back = f", back {way.back}" if way.back else ", no way back"
    return f"{way.a} {way.out} to {way.b}{back}"


def _list(heading: str, items: Iterable[str]) -> list[str]:
    found = list(items)
    return ["", heading, *(f"  {item}" for item in found)] if found else []
