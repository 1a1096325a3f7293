"""Maps: rooms stand where their exits say, every way is told, and secrets are kept."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from adventure.author.canvas import Canvas, E, W
from adventure.author.layout import Grid, place
from adventure.author.map import as_text
from adventure.author.svg import as_svg
from adventure.author.ways import PLANE, Way, reached, sheets, ways_of
from adventure.cli import main
from adventure.world.pack import list_worlds, load_world
from adventure.world.parts import OPPOSITE, World

ROOT = Path(__file__).resolve().parents[1]


def world_of(exits: dict[str, dict[str, str]], **more: object) -> World:
    rooms = [{"name": n, "description": f"In {n}.", "exits": e} for n, e in exits.items()]
    base = {"format": 1, "title": "Test", "intro": "Go.", "start": next(iter(exits))}
    return World.model_validate({**base, "rooms": rooms, **more})


def two_way(*ways: tuple[str, str, str]) -> World:
    """Rooms of ways both there and back."""
    exits: dict[str, dict[str, str]] = {}
    for a, direction, b in ways:
        exits.setdefault(a, {})[direction] = b
        exits.setdefault(b, {})[OPPOSITE[direction]] = a
    return world_of(exits)


def drawn(world: World, spoilers: bool = False, plain: bool = True, width: int = 80) -> str:
    return "\n".join(as_text(world, spoilers, width, plain))


def laid_out(world: World) -> Grid:
    return place([room.name for room in world.rooms], ways_of(world, False))


def mismatches(grid: Grid, ways: list[Way]) -> list[Way]:
    """The flat ways whose ends don't lie as their direction says, straight and in the open."""
    wrong = []
    for way in ways:
        (ax, ay), (bx, by) = grid[way.a], grid[way.b]
        dx, dy = PLANE[way.port]
        far = max(abs(bx - ax), abs(by - ay))
        cells = [(ax + dx * i, ay + dy * i) for i in range(1, far)]
        if (bx - ax, by - ay) != (dx * far, dy * far) or set(cells) & set(grid.values()):
            wrong.append(way)
    return wrong


# -- layout --------------------------------------------------------------------------------------


def test_rooms_stand_where_their_exits_say() -> None:
    grid = laid_out(two_way(("A", "east", "B"), ("B", "south", "C"), ("C", "southwest", "D")))
    assert grid == {"A": (0, 0), "B": (1, 0), "C": (1, 1), "D": (0, 2)}


def test_a_way_is_stretched_where_rooms_are_in_between() -> None:
    """Round the square from A to E takes three steps along one side and one along the other."""
    ring = [("A", "east", "B"), ("B", "east", "C"), ("C", "south", "D"), ("D", "west", "E")]
    world = two_way(*ring, ("E", "north", "A"))
    grid = laid_out(world)
    assert not mismatches(grid, ways_of(world, False))
    assert grid["D"][0] - grid["E"][0] == 2


def test_a_cell_that_is_taken_is_made_room_for() -> None:
    ways = [("A", "north", "B"), ("B", "east", "C"), ("A", "east", "D"), ("D", "north", "E")]
    world = two_way(*ways)  # C and E both want the cell north-east of A
    grid = laid_out(world)
    assert len(set(grid.values())) == len(grid)
    assert not mismatches(grid, ways_of(world, False))


@pytest.mark.parametrize("seed", range(8))
def test_a_house_that_can_be_drawn_straight_is(seed: int) -> None:
    """Rooms from a grid with some of its walls open: nothing has to be bent."""
    rng = random.Random(seed)
    cells = rng.sample([(x, y) for x in range(5) for y in range(5)], 14)
    exits: dict[str, dict[str, str]] = {f"R{x}{y}": {} for x, y in cells}
    for x, y in cells:
        for direction, (dx, dy) in PLANE.items():
            if (x + dx, y + dy) in cells and 0 in (dx, dy):
                exits[f"R{x}{y}"][direction] = f"R{x + dx}{y + dy}"
    world = world_of(exits)
    ways = ways_of(world, False)
    for group in sheets(list(exits), ways):
        grid = place(group, ways)
        here = [way for way in ways if way.a in grid]
        assert len(set(grid.values())) == len(grid)
        assert not mismatches(grid, here)


@pytest.mark.parametrize("seed", range(4))
def test_any_exits_at_all_give_a_map_with_every_room_and_way(seed: int) -> None:
    """A maze of exits that contradict each other: each is drawn or put in words."""
    rng = random.Random(seed)
    names = [f"Room{chr(65 + i)}" for i in range(12)]
    exits: dict[str, dict[str, str]] = {name: {} for name in names}
    for name in names:
        for direction in rng.sample(sorted(OPPOSITE), rng.randint(0, 4)):
            exits[name][direction] = rng.choice([n for n in names if n != name])
    world = world_of(exits)
    text = drawn(world, spoilers=True, width=160)
    assert all(name in text for name in names)
    words = re.findall(r"^  (Room\w) (\w+) to (Room\w)", text, re.MULTILINE)
    ways = ways_of(world, True)
    assert {(w.a, w.out, w.b) for w in ways if not w.flat} <= set(words)
    assert text == drawn(world, spoilers=True, width=160)


def test_a_map_is_the_same_in_every_process() -> None:
    code = "from adventure.author.map import as_text; from adventure.world.pack import *; "
    code += "print('\\n'.join(as_text(load_world(find_world('wednesday')), True)))"
    runs = [
        subprocess.run(
            [sys.executable, "-X", "utf8", "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert b"Cloakroom" in runs[0]


# -- the drawing ---------------------------------------------------------------------------------


HOUSE = {
    "Hall": {
        "north": "Attic",
        "west": "Yard",
        "down": "Cellar",
        "southeast": "Pond",
        "east": "Porch",
    },
    "Attic": {"south": "Hall"},
    "Yard": {"east": "Hall"},
    "Shed": {},
    "Cellar": {"up": "Hall"},
    "Pond": {"northwest": "Hall"},
    "Porch": {},
    "Crypt": {},
}


def house() -> World:
    """One of everything that a map can show."""
    door = {"name": "oak door", "description": "Oak.", "from": "Yard", "direction": "north"}
    then = ["Hall south leads to Crypt", "you go to Pond"]
    rule = {"when": "pull|lever", "then": then, "say": "It opens."}
    return world_of(HOUSE, doors=[{**door, "to": "Shed"}], rules=[rule])


def test_a_small_map_to_the_letter() -> None:
    assert (
        drawn(house(), plain=False)
        == """\
Test

┌───────┐     ┌─────────┐                  ┌─────────┐
│  Shed │     │  Attic  │                  │  Cellar │
└───┬───┘     └────┬────┘                  │    u    │
    ╪              │                       └─────────┘
    │              │
┌───┴───┐     ┌────┴────┐     ┌───────┐
│  Yard │     │  @ Hall │     │ Porch │
│       ├─────┤    d    ├────>┤       │
└───────┘     └─────────┘     └───────┘
                         ╲
                         └───╲
                              ┌───────┐
                              │  Pond │
                              └───────┘

@ start, u up, d down, ╫ door, > one way.

Up, down, in and out:
  Hall down to Cellar, back up

Doors:
  oak door: Yard north to Shed

1 room isn't drawn, being out of reach at first; --spoilers draws everything."""
    )


def test_spoilers_to_the_letter() -> None:
    assert (
        drawn(house(), spoilers=True)
        == """\
Test

+-------+     +---------+                  +---------+
|  Shed |     |  Attic  |                  |  Cellar |
+-------+     +---------+                  |    u    |
    #              |                       +---------+
    |              |
+-------+     +---------+     +-------+
|  Yard |     |  @ Hall |     | Porch |
|       |-----|    d    |---->|       |
+-------+     +---------+     +-------+
                   :     \\
                   v     +---\\
              +---------+     +-------+
              |  Crypt  |     |  Pond |
              +---------+     +-------+

@ start, u up, d down, # door, > one way, ... opened during the game.

Up, down, in and out:
  Hall down to Cellar, back up

Doors:
  oak door: Yard north to Shed

Opened during the game:
  Hall south to Crypt

Where the game takes one:
  Pond"""
    )


def test_secrets_are_kept_without_spoilers() -> None:
    text = drawn(house())
    assert "Crypt" not in text
    assert "south" not in text
    assert "Crypt" not in as_svg(house(), spoilers=False)
    assert "Crypt" in as_svg(house(), spoilers=True)


def test_long_names_are_wrapped_and_too_many_are_numbered() -> None:
    names = [f"Great Northern Waiting Room {chr(65 + i)}" for i in range(9)]
    row = [(a, "east", b) for a, b in pairwise(names)]
    few, many = drawn(two_way(*row[:3])), drawn(two_way(*row))
    assert "Great Northern" in few
    assert max(map(len, few.splitlines())) <= 80
    assert "| 2 |" in many
    assert " 2 Great Northern Waiting Room B" in many
    assert max(map(len, many.splitlines())) <= 80
    assert "Great" in drawn(two_way(*row), width=160).split("@ start")[0]


@pytest.mark.parametrize("folder", list_worlds(), ids=lambda folder: folder.name)
def test_shipped_worlds_fit_a_terminal_with_every_way_drawn(folder: Path) -> None:
    world = load_world(folder)
    for spoilers in (False, True):
        text = drawn(world, spoilers)
        assert max(map(len, text.splitlines())) <= 80
        assert "Without room" not in text
        assert text.isascii()
    for room in world.rooms:  # wrapped over lines, perhaps, or listed by number
        assert all(word in text for word in room.name.split())
    svg = Xml.fromstring(as_svg(world, spoilers=True))
    said = " ".join(" ".join(svg.itertext()).split())
    assert all(room.name in said for room in world.rooms)
    assert all(door.name in said for door in world.doors)


# -- lines ---------------------------------------------------------------------------------------


def test_lines_join_in_corners_and_go_over_each_other() -> None:
    canvas = Canvas(ascii_only=False)
    canvas.draw([(0, 1), (1, 1), (2, 1)], W, E, False)
    canvas.draw([(1, 0), (1, 1), (1, 2), (2, 2)], 1, E, False)
    assert canvas.rows() == [" │", "─│─", " └─"]


def test_a_line_finds_its_way_around_a_box() -> None:
    canvas = Canvas(ascii_only=True)
    canvas.box(2, 0, 5, 3, ["box"])
    path = canvas.route((1, 1), W, (7, 1), E)
    assert path[0] == (1, 1)
    assert path[-1] == (7, 1)
    assert not {(x, 1) for x in range(2, 7)} & set(path)
    assert all(abs(x - u) + abs(y - v) == 1 for (x, y), (u, v) in pairwise(path))
    assert canvas.route((1, 1), W, (4, 1), E) == []  # inside the box


# -- ways ----------------------------------------------------------------------------------------


def test_an_exit_and_its_way_back_are_one_way() -> None:
    exits = {"A": {"north": "B", "east": "C"}, "B": {"west": "A"}, "C": {"out": "A"}}
    ways = {(w.a, w.out, w.b, w.back) for w in ways_of(world_of(exits), False)}
    assert ways == {("A", "north", "B", "west"), ("A", "east", "C", "out")}


def test_sheets_are_floors_from_the_top() -> None:
    world = two_way(("Hall", "east", "Den"), ("Den", "up", "Loft"), ("Hall", "down", "Mine"))
    groups = sheets([room.name for room in world.rooms], ways_of(world, False))
    assert groups == [["Loft"], ["Hall", "Den"], ["Mine"]]


def test_reached_goes_by_ways_as_they_lead() -> None:
    assert reached("A", [Way("A", "east", "B"), Way("C", "east", "A")]) == {"A", "B"}


# -- the command ---------------------------------------------------------------------------------


def test_map_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "threshold", "--ascii"]) == 0
    assert "@ Front Step" in capsys.readouterr().out
    file = tmp_path / "map.svg"
    assert main(["map", "threshold", "--svg", str(file)]) == 0
    assert Xml.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert main(["map", "threshold", "--svg", str(tmp_path / "no" / "map.svg")]) == 2
    assert "Can't write" in capsys.readouterr().err


def test_names_and_titles_are_no_markup() -> None:
    world = two_way(("Bow & Arrow", "east", "Sign <b>Here</b>"))
    text = " ".join(Xml.fromstring(as_svg(world, spoilers=False)).itertext())
    assert "Bow & Arrow" in text
    assert "<b>Here</b>" in text


def test_without_the_library_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "drawsvg", None)
    assert main(["map", "threshold", "--svg", str(tmp_path / "map.svg")]) == 2
    assert 'pip install "adventure-rwkv[svg]"' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_terminal_without_boxes_gets_ascii() -> None:
    run = [sys.executable, "-m", "adventure", "map", "threshold"]
    env = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, check=True)
    assert done.stdout.isascii()
    assert b"+---------+" in done.stdout
