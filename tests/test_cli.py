"""The command line: what it prints, its exit statuses, and where it looks for things."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import COTTAGE, SOLUTION, FakeGameMaster, new_session, say

from adventure import __version__, cli, folders, play_command
from adventure.play import screen as screens
from adventure.play import ui
from adventure.play.saves import autosave_name, list_saves
from adventure.world.pack import World
from adventure.world.prompt import SPECIALS

Run = Callable[..., tuple[int, str, str]]

PACK = """
format = 1
title = "The Cottage"
intro = "Night falls."
start = "Garden"
[ending]
thing = "lamp"
room = "Shed"
text = "Light at last."
[[rooms]]
name = "Garden"
description = "Roses and rain."
exits = {east = "Shed"}
[[rooms]]
name = "Shed"
description = "It smells of tar."
exits = {west = "Garden"}
[[things]]
name = "lamp"
description = "It is lit."
in = "you"
"""


class Terminal(io.StringIO):
    """Standard input or output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `adventure ...` with typed input; the exit status, standard output and error.

    The working folder has a world "cottage"; the game master is a fake; saves go to saves/.
    """
    (tmp_path / "worlds" / "cottage").mkdir(parents=True)
    (tmp_path / "worlds" / "cottage" / "world.toml").write_text(PACK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVENTURE_SAVES", str(tmp_path / "saves"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(play_command, "DEFAULT_WORLD", "cottage")

    def load_master(world: World, path: Path | None) -> Any:
        return FakeGameMaster(world, moody=True), str(path or "weights"), "tokenizer-hash"

    monkeypatch.setattr(play_command, "load_master", load_master)

    def runs(*arguments: str, typed: str = "", terminal: bool = False) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", (Terminal if terminal else io.StringIO)(typed))
        try:
            status = cli.main(arguments)
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return runs


# -- play ----------------------------------------------------------------------------------------


def test_commands_from_standard_input_a_file_and_a_dash_read_alike(
    run: Run, tmp_path: Path
) -> None:
    script = "# a walk\n\neast\ninventory\n"
    (tmp_path / "a.walk").write_text(script)
    first = run("play", "cottage", "--seed", "1", typed=script)
    assert first[0] == 0 and first[2] == ""
    assert first[1].startswith("The Cottage\nNight falls.\n\nGarden\nRoses and rain.\n")
    assert "\n> east\nShed\nIt smells of tar.\n" in first[1]
    assert "\n> inventory\nYou carry: lamp.\n" in first[1]
    assert "\x1b" not in first[1]
    assert run("play", "cottage", "--seed", "1", "--script", "a.walk") == first
    assert run("play", "cottage", "--seed", "1", "--script", "-", typed=script) == first
    assert run("--seed", "1", typed=script) == first  # the default command and world


def test_a_seed_repeats_a_game(run: Run) -> None:
    def moods(*options: str) -> list[str]:
        text = run("play", *options, typed="wait\n" * 5)[1]
        return [line for line in text.split("\n") if line.startswith("Mood")]

    assert moods("--seed", "5") == moods("--seed", "5")
    assert moods("--seed", "5") != moods("--seed", "6")


def test_how_words_are_chosen_is_kept_and_can_be_changed(run: Run, tmp_path: Path) -> None:
    def sampler(*options: str) -> dict[str, float]:
        run("play", *options, typed="save Here\ny\n")
        (saved,) = list_saves(tmp_path / "saves")
        return dict(saved.about.sampler)

    assert sampler() == {"temperature": 0.0}
    given = sampler("--temperature", "0.5", "--top-p", "0.9", "--min-p", "0.1")
    assert given == {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1}
    assert sampler("--load", "Here") == given
    assert sampler("--load", "Here", "--top-p", "1") == {**given, "top_p": 1.0}


def test_a_script_leaves_the_players_own_game_alone(run: Run, tmp_path: Path) -> None:
    run("play", typed="east\nquit\ny\n", terminal=True)
    name = autosave_name("cottage", "weights")
    assert [saved.about.turns for saved in list_saves(tmp_path / "saves")] == [1]
    run("play", typed="wait\nwait\nwait\n")
    (saved,) = list_saves(tmp_path / "saves")
    assert (saved.name, saved.about.turns) == (name, 1)


def test_going_on_where_one_left_off(run: Run) -> None:
    text = run("play", typed="east\nquit\ny\n", terminal=True)[1]
    assert "Continue it?" not in text
    assert "Your game is kept" in text
    question = "You left a game of this world in Shed, turn 1. Continue it? [Y/n]\n\n> "
    text = run("play", typed="\nwest\nquit\ny\n", terminal=True)[1]
    assert text.startswith(
        f"{question}The Cottage\n[Going on where you left off: turn 1.]\n\nShed\n"
    )
    text = run("play", "--continue", typed="wait\n")[1]
    assert text.startswith("The Cottage\n[Going on where you left off: turn 2.]\n\nGarden\n")
    text = run("play", typed="n\nquit\ny\n", terminal=True)[1]
    assert "turn 3. Continue it? [Y/n]\n\n> The Cottage\nNight falls." in text
    assert "Continue it?" in run("play", typed="n\nquit\ny\n", terminal=True)[1]
    assert "Continue it?" not in run("play", "--new", typed="quit\ny\n", terminal=True)[1]
    assert run("play", typed="", terminal=True)[0] == 0  # Ctrl-D at the question


def test_continuing_without_a_game_begins_one(run: Run) -> None:
    text = run("play", "--continue", typed="east\n")[1]
    assert text.startswith("There is no game of this world to go on with, so this is a new one.\n")
    assert "turn 1." in run("play", "--continue", typed="")[1]


def test_a_damaged_autosave_does_not_keep_one_from_playing(run: Run, tmp_path: Path) -> None:
    run("play", typed="east\nquit\ny\n", terminal=True)
    (file,) = (tmp_path / "saves").iterdir()
    data = bytearray(file.read_bytes())
    data[-50] ^= 1
    file.write_bytes(data)
    status, text, _ = run("play", typed="\nwait\nquit\ny\n", terminal=True)
    assert status == 0
    assert "is damaged and can't be restored" in text and "Night falls." in text
    status, _, err = run("play", "--load", f"{file.stem}.previous")
    assert status == 2 and "is damaged" in err


def test_load_names_its_world(run: Run) -> None:
    run("play", "--seed", "3", "--temperature", "0.5", typed="east\nsave Here\nwait\nwait\n")
    straight = run("play", "--load", "Here", typed="wait\nwait\n")
    assert straight[1].startswith('The Cottage\n[Restored "Here": turn 1.]\n\nShed\n')
    assert run("play", "cottage", "--load", "Here", typed="wait\nwait\n") == straight
    assert run("play", "--load", "Here.save", typed="wait\nwait\n")[1].count("Mood") == 2
    other = run("play", "--load", "Here", "--seed", "4", typed="wait\nwait\n")[1]
    assert other != straight[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["play", "--load", "nothing"], 'There is no save called "nothing"'),
        (["play", "--load", "../x/../y"], "There is no save called"),
        (["play", "--load", "*"], "won't do as the name of a save"),
        (["play", "nowhere"], "nowhere"),
        (["play", "--script", "no/such/file"], "Can't read the script"),
        (["play", "--transcript", "no/such/file"], "Can't write a transcript"),
        (["play", "--seed", "x"], "'x' is not a whole number"),
        (["play", "--seed", str(1 << 63)], "is not a whole number"),
        (["play", "--temperature", "hot"], "'hot' is not a number from 0 to 100"),
        (["play", "--temperature", "nan"], "'nan' is not a number from 0 to 100"),
        (["play", "--top-p", "0"], "'0' is not a number above 0 and up to 1"),
        (["play", "--top-p", "nan"], "'nan' is not a number above 0 and up to 1"),
        (["play", "--min-p", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["play", "--min-p", "few"], "'few' is not a number from 0 to 1"),
        (["play", "--load", "x", "--new"], "not allowed with"),
        (["play", "--fast"], "unrecognized arguments: --fast"),
        (["dance"], "invalid choice: 'dance'"),
        (["check"], "the following arguments are required: WORLD"),
    ],
    ids=str,
)
def test_mistakes_are_one_sentence_and_status_2(
    run: Run, arguments: list[str], sentence: str
) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert err.startswith("adventure") and sentence in err
    assert err.count("\n") == 1


def test_a_save_of_another_model_is_refused(run: Run) -> None:
    run("play", typed="save Here\n")
    status, _, err = run("play", "--load", "Here", "--model", "other.safetensors")
    assert status == 2 and "another game master" in err


def test_records_and_transcripts(run: Run, tmp_path: Path) -> None:
    status, text, _ = run("play", "--show-records", "--transcript", "log.txt", typed="take lamp\n")
    assert status == 0 and "> take lamp\n[At: Garden.]\n[lamp: you, portable.]\n" in text
    log = (tmp_path / "log.txt").read_text()
    assert log.startswith("The Cottage\n\n")
    assert "> take lamp\n" in log and "lamp: you, portable." in log


def test_a_person_at_a_plain_terminal(run: Run) -> None:
    """Nothing is echoed, since the terminal does that; the end is asked for."""
    status, text, _ = run("play", "--plain", typed="east\n", terminal=True)
    assert status == 0
    assert "> Shed\n" in text and "> east" not in text
    assert "Are you sure you want to quit?" in text


@pytest.mark.parametrize(
    ("term", "options", "kind"),
    [
        ("xterm", [], ui.RichScreen),
        ("dumb", [], screens.PlainScreen),
        ("xterm", ["--plain"], screens.PlainScreen),
        ("xterm", ["--script", "-"], screens.PlainScreen),
    ],
)
def test_which_screen(
    run: Run, monkeypatch: pytest.MonkeyPatch, term: str, options: list[str], kind: type
) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    made: list[object] = []
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(
        "adventure.play.loop.run", lambda _, screen, *rest: made.append(screen) or 0
    )
    monkeypatch.setattr(ui, "create_output", DummyOutput)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        assert run("play", *options, terminal=True)[0] == 0
    assert [type(screen) for screen in made] == [kind]


def test_ctrl_c_in_a_script_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeGameMaster, "turn", interrupt)
    assert run("play", typed="east\n")[0] == 130


# -- the other commands --------------------------------------------------------------------------


def test_worlds(run: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds" / "broken").mkdir()
    (tmp_path / "worlds" / "broken" / "world.toml").write_text("format = 0\n")
    status, text, _ = run("worlds")
    lines = dict(line.split(maxsplit=1) for line in text.strip().split("\n"))
    assert status == 0
    assert lines["cottage"] == "The Cottage (2 rooms, 1 things)"
    assert lines["broken"].startswith("(faulty)")


def test_saves(run: Run, tmp_path: Path) -> None:
    status, text, _ = run("saves")
    assert status == 0 and text.startswith("There are no saved games in ")
    run("play", typed="east\nsave One\nwest\nwait\nsave Two\n")
    status, text, _ = run("saves")
    two, one = text.strip().split("\n")
    assert status == 0
    assert two.startswith("Two ") and two.endswith("The Cottage: Garden, turn 3")
    assert one.startswith("One ") and one.endswith("The Cottage: Shed, turn 1")
    assert time.strftime("%Y-%m-") in one
    file = tmp_path / "saves" / "Two.save"
    file.write_bytes(file.read_bytes()[:-1])
    damaged = f"{file} is damaged: put a copy in its place, or delete it.\n"
    assert run("saves")[1] == f"{one}\n{damaged}"


def test_check(run: Run, tmp_path: Path) -> None:
    status, out, err = run("check", "cottage")
    assert (status, err) == (0, "") and "The Cottage" in out
    file = tmp_path / "worlds" / "cottage" / "world.toml"
    file.write_text(PACK.replace('east = "Shed"', 'east = "Shad"'))
    status, out, err = run("check", str(file.parent))
    assert (status, out) == (2, "")
    assert err.startswith("adventure: ") and "Shad" in err and err.count("\n") == 1


def test_prompt(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.tokenizer import train_tokenizer

    (tmp_path / "model").mkdir()
    tokenizer = train_tokenizer(["Roses and rain."], 300, SPECIALS)
    (tmp_path / "model" / "tokenizer.json").write_text(tokenizer.to_json())
    status, text, err = run("prompt", "cottage", "--model", "model/master.safetensors")
    assert status == 0
    assert text.startswith("<|pack|> The Cottage\n Night falls.\n") and "Roses and rain." in text
    assert err == f"{len(tokenizer.encode(text)):,} tokens\n"


def test_version_and_help(run: Run) -> None:
    assert run("--version")[:2] == (0, f"adventure {__version__}\n")
    status, text, _ = run("--help")
    assert status == 0
    for command in ("play", "worlds", "saves", "prompt", "check", "eval", "tune", "bench"):
        assert f"\n    {command} " in text


@pytest.mark.parametrize("command", ["eval", "tune"])
def test_commands_that_belong_to_a_module_have_help(run: Run, command: str) -> None:
    status, text, _ = run(command, "--help")
    assert status == 0 and "--seed" in text


def test_bench_prints_one_json_object(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from engine.bench import kernels as kernels_bench

    def bench() -> list[dict[str, object]]:
        print("a table")
        return [{"form": "chunked", "ratio": 2.0}]

    monkeypatch.setattr(kernels_bench, "bench", bench)
    assert json.loads(run("bench", "kernels", "--json")[1])["kernels"][0]["ratio"] == 2.0
    assert run("bench", "kernels")[1] == "a table\n"


# -- places --------------------------------------------------------------------------------------


def test_where_saves_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ADVENTURE_SAVES", raising=False)
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "src" / "adventure" / "folders.py"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert folders.saves_folder() == tmp_path / "data" / "adventure-rwkv" / "saves"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # such values are to be passed over
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.saves_folder() == tmp_path / ".local" / "share" / "adventure-rwkv" / "saves"
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "pyproject.toml").touch()
    assert folders.saves_folder() == tmp_path / "src" / "saves"
    monkeypatch.setenv("ADVENTURE_SAVES", "/elsewhere")
    assert folders.saves_folder() == Path("/elsewhere")


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path: Path) -> None:
    """`adventure worlds | head -0`: the pipe is closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "adventure", "saves"],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=Path(cli.__file__).parents[1],
        env={**os.environ, "ADVENTURE_SAVES": str(tmp_path)},
        check=False,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.parametrize("command", [[], ["play"], ["eval"], ["tune"], ["saves"]], ids=str)
def test_help_does_not_wait_for_the_network_to_be_imported(command: list[str]) -> None:
    code = "import sys\nfrom adventure.cli import main\n" + (
        f"try:\n    main({[*command, '--help']})\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'prompt_toolkit' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(cli.__file__).parents[1],
        check=True,
    )
    assert done.stdout.endswith("\nFalse False\n")


def test_the_solution_of_the_tests_own_world_holds() -> None:
    """What other tests build on: the cottage can be won."""
    session = new_session()
    say(session, *SOLUTION, "drop log")
    assert session.over and session.world.title == COTTAGE["title"]
