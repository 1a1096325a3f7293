"""Authors' tests: how they are read, what they find, and those of all our worlds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adventure.author.playing import Result, play_test
from adventure.author.regtest import Script, read_scripts
from adventure.cli import main
from adventure.errors import PackError
from adventure.referee.master import RefereeMaster, RefereePiece, RefereeTurn
from adventure.world.pack import World, load_world, make_world

WORLDS = Path(__file__).resolve().parents[1] / "worlds"
ROOM: dict[str, Any] = {
    "format": 1,
    "title": "One Room",
    "intro": "There is a bell here. Ring it.",
    "start": "Belfry",
    "deeds": {"rang the bell": 5},
    "rooms": [{"name": "Belfry", "description": "Dust, and ropes."}],
    "things": [
        {"name": "bell", "description": "As green as a pond.", "in": "Belfry", "fixed": True},
        {"name": "hammer", "description": "For nails.", "in": "Belfry"},
    ],
    "rules": [
        {"when": "ring|bell", "needs": ["hammer carried"], "otherwise": "With what?"}
        | {"then": ["deed rang the bell", "game won"], "say": "It says one word."}
    ],
}


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(ROOM, name="belfry")


def scripts(tmp_path: Path, text: str, name: str = "a.test") -> list[Script]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_scripts(file)


def played(world: World, tmp_path: Path, text: str, master: Any = None) -> Result:
    return play_test(world, scripts(tmp_path, text)[-1], master)


def expected(result: Result) -> list[tuple[int, str]]:
    return [(failure.line, failure.expected) for failure in result.failures]


# -- our worlds ----------------------------------------------------------------------------------


OURS = sorted(file.parent for file in WORLDS.glob("*/world.toml"))


@pytest.mark.parametrize("folder", OURS, ids=lambda folder: folder.name)
def test_a_world_passes_its_own_tests(folder: Path) -> None:
    world = load_world(folder)
    files = sorted(p for p in (folder / "tests").iterdir() if p.suffix in (".test", ".walk"))
    results = [play_test(world, script) for file in files for script in read_scripts(file)]
    assert [(r.script.name, expected(r)) for r in results if not r.passed] == []
    won = {r.script.file.name for r in results if r.script.ends == "won"}
    assert {"solution.walk", "solution.test"} <= won
    assert len(results) >= 10
    assert sum(len(step.expected) for r in results for step in r.script.steps) >= 100


# -- what is expected ----------------------------------------------------------------------------


def test_what_is_so_passes(world: World, tmp_path: Path) -> None:
    text = """
    # a comment
    * a short game
    There is a bell here.
    Belfry
    > x bell
    As green
      as   a pond.
    !hammer
    /gr[e]{2}n
    !/blue|red
    {status} Belfry
    {status}/Turns 1$
    {status} !Score 5/5

    > RING IT
    With what?
    > take hammer. ring bell
    You take the hammer.
    It says one word.
    {status} Score 5/5  Turns 4
    {ends} won
    """
    result = played(world, tmp_path, text)
    assert expected(result) == []
    assert result.played == 4


def test_what_is_not_so_is_told_with_its_line(world: World, tmp_path: Path) -> None:
    text = (
        "* t\nNo such words\n> x bell\nblue\n!green\n/^green\n!/green\n{status} Cellar\n{ends} won"
    )
    result = played(world, tmp_path, text)
    assert expected(result) == [
        (2, '"No such words"'),
        (4, '"blue"'),
        (5, 'no "green"'),
        (6, "/^green/"),
        (7, "no /green/"),
        (8, '"Cellar" in the status line'),
        (3, "the game won"),
    ]
    assert result.failures[1].said == "As green as a pond."
    assert result.failures[5].said == "Belfry  Score 0/5  Turns 1"


def test_every_test_begins_anew(world: World, tmp_path: Path) -> None:
    first, second = scripts(tmp_path, "* one\n> take hammer\n* two\n> i\n!hammer\n{status} Turns 1")
    assert play_test(world, first).passed
    assert play_test(world, second).passed


def test_an_include_is_played_where_it_stands(world: World, tmp_path: Path) -> None:
    text = "* take\nBelfry\n> take hammer\nYou take\n"
    text += "* t\n>{include} take\n> i\nhammer\n>{include} take"
    result = played(world, tmp_path, text)
    assert expected(result) == [(4, '"You take"')]  # the second time it is held already
    assert result.played == 3


def test_commands_of_the_program_work(world: World, tmp_path: Path) -> None:
    text = "* t\n> take hammer\n> undo\nundone\n{status} Turns 0\n> i\n!hammer\n> help\nINVENTORY"
    assert expected(played(world, tmp_path, text)) == []


def test_a_walk_has_to_be_understood_and_ends_as_it_says(world: World, tmp_path: Path) -> None:
    text = "# how it goes\n# ends: won\n\ntake hammer\nring bell\n"
    assert play_test(world, scripts(tmp_path, text, "a.walk")[0]).passed
    text = "take hammer\nxyzzy\n# ends: won\n"
    result = play_test(world, scripts(tmp_path, text, "b.walk")[0])
    assert expected(result) == [(2, "a command that is understood"), (2, "the game won")]


# -- files that can't be read --------------------------------------------------------------------

FAULTS = [
    ("> look", "line 1: '> look' stands before the first test"),
    ("hello", "line 1: 'hello' stands before the first test"),
    ("", "has no tests"),
    ("# nothing", "has no tests"),
    ("*\n> look", "line 1: '*' names no test"),
    ("** game: x\n* a", "line 1: '** game: x' names no test"),
    ("* a\n* b\n* a", "line 3: a test is called 'a' already, on line 1"),
    ("* a\n> look\n/(", "line 3: '/(' is no regular expression"),
    ("* a\n> look\n/", "line 3: nothing is expected here"),
    ("* a\n> look\n!", "line 3: nothing is expected here"),
    ("* a\n> look\n{status}", "line 3: nothing is expected here"),
    ("* a\n{vitalstat} x", "line 2: {vitalstat} is unknown"),
    ("* a\n>{char} x", "line 2: >{char} is unknown"),
    ("* a\n{ends} maybe", "line 2: a test can't end 'maybe'; say won, lost or on"),
    ("* a\n>{include} b", "line 2: there is no test 'b' to include"),
    ("* a\n>{include} a", "line 2: the test 'a' includes itself"),
    ("* a\n>{include} b\n* b\n>{include} a", "line 4: the test 'a' includes itself"),
    ("* a\n> i\n* b\n>{include} a\nlost", "line 5: 'lost' follows no command"),
]


@pytest.mark.parametrize(("text", "told"), FAULTS, ids=[told for _, told in FAULTS])
def test_a_faulty_file_is_told_in_a_sentence(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(PackError) as fault:
        scripts(tmp_path, text)
    said = str(fault.value)
    assert told in said
    assert said.startswith(str(tmp_path / "a.test"))
    assert said.endswith(".") and "\n" not in said


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "has no commands"), ("# ends: perhaps\nlook", "line 1: a test can't end 'perhaps'")],
)
def test_so_is_a_faulty_walk(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=told):
        scripts(tmp_path, text, "a.walk")


def test_includes_that_double_are_stopped(tmp_path: Path) -> None:
    tests = ["* t0\n> look"]
    tests += [f"* t{i}\n>{{include}} t{i - 1}\n>{{include}} t{i - 1}" for i in range(1, 40)]
    with pytest.raises(PackError, match="with all its includes this is over"):
        scripts(tmp_path, "\n".join(tests))
    empty = "\n".join(tests).replace("> look", "# nothing")
    assert all(len(script.steps) == 1 for script in scripts(tmp_path, empty))
    deep = ["* t0\n> look"] + [f"* t{i}\n>{{include}} t{i - 1}" for i in range(1, 2000)]
    with pytest.raises(PackError, match="nested more than"):
        scripts(tmp_path, "\n".join(reversed(deep)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, raw, told in (
        ("a.txt", b"", "neither a .test nor a .walk"),
        ("a.test", b"* a\n\xff", "line 2: this is not UTF-8"),
        ("b.test", b"#" * ((1 << 20) + 1), "more than 1,048,576 bytes"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(PackError, match=told):
            read_scripts(tmp_path / name)
    with pytest.raises(PackError, match="Can't read the tests"):
        read_scripts(tmp_path / "none.test")


# -- the command ---------------------------------------------------------------------------------


def test_exit_status_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.test"
    file.write_text("* a lion\n> x lion\nsoup plate\n* a mouse\n> x lion\nmouse\n")
    assert main(["test", "threshold", str(file)]) == 1
    told = capsys.readouterr().out
    assert "ok     mine.test: a lion" in told
    assert f'{file}, line 6: expected "mouse" after > x lion' in told
    assert told.endswith("2 tests, 1 failed.\n")
    assert main(["test", "threshold", "solution.walk"]) == 0
    assert capsys.readouterr().out.endswith("1 test, all passed.\n")
    assert main(["test", "threshold", "none.walk"]) == 2
    assert "Can't read the tests" in capsys.readouterr().err


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.test"
    file.write_text("* a mouse\n> x lion\nmouse\n")
    assert main(["test", "threshold", str(file), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    (test,) = said["tests"]
    assert (said["failed"], test["name"], test["line"], test["passed"]) == (1, "a mouse", 1, False)
    assert test["failures"][0]["line"] == 3


@pytest.mark.parametrize("command", ["save", "restore x", "look. save", "transcript on a"])
def test_tests_leave_files_alone(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.test"
    file.write_text(f"* a\n> look\n> {command}\n")
    assert main(["test", "threshold", str(file)]) == 2
    assert f"{file}, line 3: a test has no files for" in capsys.readouterr().err


def test_a_parcel_is_tested_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parcel = tmp_path / "t.world"
    assert main(["pack", "threshold", "-o", str(parcel)]) == 0
    assert main(["test", str(parcel)]) == 0
    assert "all passed" in capsys.readouterr().out
    assert main(["test", str(parcel), "refusals.test"]) == 0
    assert main(["test", str(parcel), "none.test"]) == 2
    assert "its tests are: tests/detours.test" in capsys.readouterr().err


# -- the game master beside ----------------------------------------------------------------------


class Varied(RefereeMaster):
    """Always the last form of a standing reply."""

    def __init__(self, world: World) -> None:
        super().__init__(world, lambda kind, forms: forms - 1)


class Forgetful(RefereeMaster):
    """Says that nothing happens, and means it, from its second turn on."""

    def turn(self, position: Any, line: str, generator: object = None) -> RefereeTurn:
        if position.turns < 1:
            return super().turn(position, line, generator)
        return super().turn(position, "wait", generator)


class Lost(RefereeMaster):
    """Never comes to an end."""

    def turn(self, position: Any, line: str, generator: object = None) -> RefereeTurn:
        turn = super().turn(position, line, generator)
        turn.__class__ = type("LostTurn", (RefereeTurn,), {"__iter__": _nothing})
        return turn


def _nothing(turn: RefereeTurn) -> Any:
    yield RefereePiece("text", "Hm")


TEXT = "* t\n> take hammer\nYou take the hammer.\n> ring bell\nIt says one word.\n{ends} won\n"


def test_another_form_of_a_reply_is_as_good(world: World, tmp_path: Path) -> None:
    result = played(world, tmp_path, TEXT, Varied(world))
    assert expected(result) == []
    assert (result.turns, result.exact, result.difference) == (2, 2, None)


def test_where_a_master_differs_is_told(world: World, tmp_path: Path) -> None:
    result = played(world, tmp_path, TEXT, Forgetful(world))
    assert (result.turns, result.exact) == (2, 1)
    assert {failure.by for failure in result.failures} == {"master"}
    assert expected(result) == [(5, '"It says one word."'), (4, "the game won")]
    apart = result.difference
    assert apart is not None
    assert (apart.turn, apart.typed, apart.expected) == (2, "ring bell", "It says one word.")
    assert apart.got != apart.expected


def test_a_master_that_is_lost_is_not_exact(world: World, tmp_path: Path) -> None:
    result = played(world, tmp_path, TEXT, Lost(world))
    assert (result.turns, result.exact) == (2, 0)
    assert result.difference is not None and result.difference.turn == 1


def test_a_wrong_hidden_line_is_a_difference(world: World, tmp_path: Path) -> None:
    class Hidden(RefereeMaster):
        def turn(self, position: Any, line: str, generator: object = None) -> RefereeTurn:
            turn = super().turn(position, line, generator)
            turn.__class__ = type("HiddenTurn", (RefereeTurn,), {"__iter__": _miswritten})
            return turn

    def _miswritten(turn: RefereeTurn) -> Any:
        yield from RefereeTurn.__iter__(turn)
        turn.records = [*turn.records[:-1], " At: Cellar."]

    result = played(world, tmp_path, TEXT, Hidden(world))
    assert result.difference is not None
    assert result.difference.got == "(hidden) At: Cellar."
