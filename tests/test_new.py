"""A new author's first world: it loads, can be won, passes its tests, and is asked for well."""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from adventure.author.template import FEWEST, MOST, Plan, files_of
from adventure.cli import main
from adventure.referee.rules import play, start
from adventure.schema import schema_text
from adventure.world.grammar import Command, parse
from adventure.world.pack import load_world
from adventure.world.parts import World
from adventure.world.voice import VOICES

Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Asked:
    """Runs `adventure new` in an empty folder with these answers: status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str, answers: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        status = main(["new", *options])
        return status, *capsys.readouterr()

    return run


def everything() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*")}


def walk(world: World, folder: Path) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """What is told on the way of the solution, and the records at its end."""
    records, told = start(world), []
    lines = (folder / "tests" / "solution.walk").read_text(encoding="utf-8").splitlines()
    for typed in lines:
        if typed.startswith("#"):
            continue
        near = [i for key in ("You carry", f"{records['At'][0]} holds") for i in records[key]]
        command = parse(typed, world, near)
        assert isinstance(command, Command), (typed, command)
        for line in command.lines:
            outcome = play(world, records, line)
            records = outcome.records
            told.append(outcome.reply)
    return told, dict(records)


@pytest.mark.parametrize("rooms", range(FEWEST, MOST + 1))
def test_the_new_world_has_as_many_rooms_as_asked_and_can_be_won(asked: Asked, rooms: int) -> None:
    assert asked("dome", "--yes", "--rooms", str(rooms))[0] == 0
    world = load_world(Path("dome"))
    assert len(world.rooms) == rooms
    told, records = walk(world, Path("dome"))
    assert records["Game"] == ("won",)
    assert set(records["Deeds"]) == set(world.deeds)
    assert "full of stars" in told[-2]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize(
    ("person", "begins"), [("second", "You"), ("first", "I"), ("third", "Zoe")]
)
def test_voice_and_person_are_spoken_throughout(
    asked: Asked, voice: str, person: str, begins: str
) -> None:
    player = ("--player", "Zoe") if person == "third" else ()
    assert asked("dome", "--yes", "--voice", voice, "--person", person, *player)[0] == 0
    world = load_world(Path("dome"))
    assert (world.style.voice, world.style.person) == (voice, person)
    told, _ = walk(world, Path("dome"))
    verb = {"second": "bend", "first": "bend", "third": "bends"}[person]
    assert f"{begins} {verb} to the eyepiece" in told[-1]
    have = {"second": "have", "first": "have", "third": "has"}[person]
    assert f"{begins} {have} climbed" in world.intro
    text = Path("dome/world.toml").read_text(encoding="utf-8")
    assert not re.search(r"\{\w+\}|#\?", text)


def test_its_own_tests_pass(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """By `adventure test`, the way an author runs them."""
    from argparse import ArgumentParser

    from adventure.author import run_tests

    parser = ArgumentParser()
    run_tests.add_arguments(parser)
    for rooms in ("3", "4"):
        asked(f"dome{rooms}", "--yes", "--rooms", rooms, "--voice", "wry")
        assert run_tests.run(parser.parse_args([f"./dome{rooms}"])) == 0
        assert "3 tests, all passed" in capsys.readouterr().out


def test_each_world_has_an_ifid_of_its_own(asked: Asked) -> None:
    asked("one", "--yes")
    asked("two", "--yes")
    first, second = load_world(Path("one")).ifid, load_world(Path("two")).ifid
    assert first != second
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", first)


def test_enter_takes_what_stands_in_brackets(asked: Asked) -> None:
    status, out, _ = asked(answers="\n" * 7)
    assert status == 0
    world = load_world(Path("the-comet"))
    assert (world.title, world.author, len(world.rooms)) == ("The Comet", "Anonymous", 4)
    assert "Title [The Comet]: " in out
    for command in ("play the-comet --watch", "check the-comet", "test the-comet", "map the-comet"):
        assert f"adventure {command}" in out


def test_answers_are_taken_and_bad_ones_asked_again(asked: Asked) -> None:
    answers = (
        'A "Small" {you} TITLE \\ \n../up\nsmall\nMe\nAbout it.\nmany\n5\nw\nbad\nth\n\x07\nBo\n'
    )
    status, out, _ = asked(answers=answers)
    assert status == 0
    world = load_world(Path("small"))
    assert world.title == 'A "Small" {you} TITLE \\'
    assert (world.author, world.description, len(world.rooms)) == ("Me", "About it.", 5)
    assert (world.style.voice, world.style.person, world.style.name) == ("wry", "third", "Bo")
    assert out.count("That won't do: ") == 4
    assert everything() == {"small", "small/tests"} | {f"small/{name}" for name in FILES}


FILES = {*files_of(Plan("A", "B", "C", "D")), "world.schema.json"}


def test_options_are_not_asked_for(asked: Asked) -> None:
    given = ("--title", "Ha", "--author", "Me", "--description", "It.", "--rooms", "3")
    status, out, _ = asked("ha", *given, "--voice", "plain", answers="first\n")
    assert status == 0
    assert out.startswith("Person (second, first, third) [second]: ")
    assert load_world(Path("ha")).style.person == "first"


@pytest.mark.parametrize(
    ("options", "answers", "said"),
    [
        (("dome",), "Title\n", "The answers ended"),
        ((), "", "The answers ended"),
        (("../dome", "--yes"), "", "'../dome' won't do"),
        (("/tmp/dome", "--yes"), "", "won't do"),
        (("-x", "--yes"), "", None),
        (("con", "--yes"), "", "'con' won't do"),
        (("a" * 41, "--yes"), "", "won't do"),
        (("", "--yes"), "", "won't do"),
        (("dome", "--yes", "--title", ""), "", "it is empty"),
        (("dome", "--yes", "--title", "a\x1b[2Jb"), "", "can't be shown"),
        (("dome", "--yes", "--title", "a<|end|>"), "", "engine uses"),
        (("dome", "--yes", "--title", "a" * 121), "", "121 characters"),
        (("dome", "--yes", "--author", "\udcff"), "", "can't be shown"),
        (("dome", "--yes", "--rooms", "9"), "", "3, 4, 5, 6, 7, 8"),
        (("dome", "--yes", "--rooms", "0"), "", "3, 4, 5, 6, 7, 8"),
        (("dome", "--yes", "--voice", "loud"), "", "plain, terse"),
        (("dome", "--yes", "--person", "fourth"), "", "second, first, third"),
        (("dome", "--yes", "--player", "Zoe"), "", "--person third"),
        (("dome", "--yes", "--person", "third", "--player", "7"), "", "letters"),
        (("taken", "--yes"), "", "already something at taken"),
    ],
)
def test_what_will_not_do_is_told_and_nothing_written(
    asked: Asked, options: tuple[str, ...], answers: str, said: str | None
) -> None:
    Path("taken").mkdir()
    if said is None:  # argparse's own
        with pytest.raises(SystemExit) as left:
            asked(*options, answers=answers)
        assert left.value.code == 2
    else:
        status, _, err = asked(*options, answers=answers)
        assert status == 2
        assert said in err
        assert err.count("\n") == 1
        assert "\x1b" not in err
    assert everything() == {"taken"}


def test_ctrl_c_leaves_nothing(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["A title"])

    def answer(question: str) -> str:
        if (said := next(answers, None)) is None:
            raise KeyboardInterrupt
        return said

    monkeypatch.setattr("builtins.input", answer)
    assert asked()[0] == 130
    assert not everything()


def test_a_name_that_is_taken_is_asked_for_again(asked: Asked) -> None:
    asked("the-comet", "--yes")
    status, out, _ = asked(answers="\n\nother\n\n\n\n\n\n")
    assert status == 0
    assert "There is already something at the-comet" in out
    assert Path("other/world.toml").is_file()


def test_it_goes_into_worlds_and_shares_the_schema_there(asked: Asked) -> None:
    Path("worlds").mkdir()
    asked("one", "--yes")
    own = Path("worlds/one/world.schema.json")
    assert own.read_text(encoding="utf-8") == schema_text()
    assert first_line("worlds/one") == "#:schema ./world.schema.json"
    Path("worlds/world.schema.json").write_text("{}")
    asked("two", "--yes")
    assert not Path("worlds/two/world.schema.json").exists()
    assert first_line("worlds/two") == "#:schema ../world.schema.json"


def first_line(folder: str) -> str:
    return (Path(folder) / "world.toml").read_text(encoding="utf-8").split("\n", 1)[0]


def test_the_world_teaches_one_of_each() -> None:
    """What a new author should find in it to copy from."""
    table = tomllib.loads(files_of(Plan("A", "B", "C", "DDDDDDDD"))["world.toml"])
    assert any(door.get("locked") and door["key"] for door in table["doors"])
    assert any(thing.get("light") for thing in table["things"])
    assert any(thing.get("states") for thing in table["things"])
    assert any(thing.get("container") for thing in table["things"])
    assert any(room.get("dark") for room in table["rooms"])
    assert any(room.get("first") for room in table["rooms"])
    assert any(person["topics"] for person in table["people"])
    assert any("game won" in rule.get("then", ()) for rule in table["rules"])
    assert any(rule.get("once") and rule["again"] for rule in table["rules"])
    assert table["hints"]
    assert table["deeds"]
