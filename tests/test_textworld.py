"""Games of TextWorld's become worlds that play alike.

The games in tests/textworld were made by textworld 1.7.0 (without the grammar that they carry), the
.trace beside each by its engine: commands, the facts that each made and ended, how the game stood.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from adventure.author.import_game import read_game
from adventure.author.playing import play_test
from adventure.author.regtest import read_scripts
from adventure.author.textworld import Imported, world_of
from adventure.author.textworld_words import Names, prose_of
from adventure.cli import main
from adventure.errors import PackError
from adventure.referee.rules import play, start
from adventure.world.grammar import Command, parse
from adventure.world.pack import load_world, make_world
from adventure.world.prompt import Records

GAMES = sorted((Path(__file__).parent / "textworld").glob("*.json"))
KEPT = ("at", "in", "on", "open", "closed", "locked", "eaten")


def game(name: str) -> Any:
    return read_game(Path(__file__).parent / "textworld" / f"{name}.json")


def types_of(said: Any) -> dict[str, str]:
    return {one: info["type"] for one, info in said["infos"]}


def facts(records: Records, made: Imported, types: dict[str, str]) -> set[str]:
    """The referee's records as TextWorld would put them."""
    theirs = {name: one for one, name in made.names.items()}
    found = {f"at(P, {theirs[records['At'][0]]})"}
    for one, name in made.names.items():
        if types[one] == "r":
            continue
        items = records[name]
        if items[-1] in ("open", "closed", "locked"):
            found.add(f"{items[-1]}({one})")
        if types[one] == "d":
            continue
        if items[0] == "nowhere":
            found.add(f"eaten({one})")
        elif items[0] == "you":
            found.add(f"in({one}, I)")
        else:
            holder = theirs[items[0]]
            found.add(f"{ {'r': 'at', 'c': 'in', 's': 'on'}[types[holder]] }({one}, {holder})")
    return found


@pytest.mark.parametrize("file", GAMES, ids=lambda file: file.stem)
def test_the_same_commands_make_the_same_facts(file: Path) -> None:
    said, trace = read_game(file), json.loads(file.with_suffix(".trace").read_text())
    made, types = world_of(said, "A Game"), types_of(said)
    infos = dict(said["infos"])
    words = Names({one: (types[one], infos[one]["name"] or one) for one in made.names})
    world = make_world(made.table)
    records, expected = start(world), set(trace["start"])
    assert facts(records, made, types) == expected
    for typed, new, gone, end in trace["turns"]:
        command = parse(words.translated(typed)[0], world)
        assert isinstance(command, Command), typed
        for line in command.lines:
            records = play(world, records, line).records
        expected = (expected | set(new)) - set(gone)
        assert facts(records, made, types) == expected, typed
        assert records["Game"] == (end,), typed


@pytest.mark.parametrize("file", GAMES, ids=lambda file: file.stem)
def test_its_own_solution_wins(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert main(["import", str(file), "--to", str(folder)]) == 0
    world = load_world(folder)
    (script,) = read_scripts(folder / "tests" / "solution.walk")
    assert script.ends == "won"
    assert not play_test(world, script).failures


def test_the_fixtures_have_what_is_to_be_compared() -> None:
    turns = [t for f in GAMES for t in json.loads(f.with_suffix(".trace").read_text())["turns"]]
    assert {t[0].split()[0] for t in turns} >= {
        *("go", "take", "drop", "put", "insert", "open", "close", "lock", "unlock", "eat")
    }
    assert {t[3] for t in turns} == {"on", "won", "lost"}


def test_what_is_there_already_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["import", str(GAMES[0]), "--to", str(tmp_path)]) == 2
    assert "is there already; name another folder with --to" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def refused(said: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = tmp_path / "bad.json"
    file.write_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())
    assert main(["import", str(file), "--to", str(tmp_path / "new")]) == 2
    told = capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert told.count("\n") == 1
    assert str(file) in told or "Bad" in told
    return told


@pytest.mark.parametrize(
    "said",
    [b"", b"\x00\xff", b"[" * 99_999, [], {}, {"world": []}, {"world": [1], "infos": []}, "at"],
    ids=lambda said: repr(said)[:20],
)
def test_other_files_are_refused_in_a_sentence(
    said: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "tw-make" in refused(said, tmp_path, capsys)


def test_each_part_that_is_missing_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = game("two_quests")
    for key in ("world", "infos", "quests", "metadata"):
        part = deepcopy(whole)
        del part[key]
        assert "tw-make" in refused(part, tmp_path, capsys)


def test_a_quest_that_no_world_can_tell_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cooked = game("one_room")
    for event in cooked["quests"][0]["win_events"]:
        event["condition"]["preconditions"].append({"name": "roasted", "arguments": []})
    assert "nothing in a world says when its quest" in refused(cooked, tmp_path, capsys)


def test_what_has_no_like_is_told() -> None:
    said = game("one_room")
    said["world"].append({"name": "sharp", "arguments": [{"name": "k_0", "type": "k"}]})
    oven = [{"name": "x_0", "type": "oven"}, {"name": "r_0", "type": "r"}]
    said["world"].append({"name": "at", "arguments": oven})
    said["infos"].append(["x_0", {"type": "oven", "name": "oven", "desc": None}])
    made = world_of(said, "A Game")
    assert "The fact 'sharp' has no like in a world and is left out." in made.left_out
    assert any("'oven' stays where it is" in sentence for sentence in made.left_out)
    stove = next(thing for thing in made.table["things"] if thing["name"] == "oven")
    assert stove["fixed"] and stove["description"]
    make_world(made.table)


def test_food_is_eaten_from_the_hand() -> None:
    said = game("two_quests")
    made = world_of(said, "A Game")
    food = next(t["name"] for t in made.table["things"] if t.get("edible") and t["in"] != "you")
    world = make_world(made.table)
    records = {**start(world), "At": (made.table["start"],)}
    place = records["At"][0]
    records[food] = (place, *records[food][1:])
    outcome = play(world, records, f"eat|{food}")
    assert outcome.records[food][0] == place and "holding" in outcome.reply
    held = play(world, outcome.records, f"take|{food}").records
    assert play(world, held, f"eat|{food}").records[food][0] == "nowhere"


def test_a_lock_without_a_key_stays_locked() -> None:
    said = game("doors")
    made = world_of(said, "A Game")
    lost = next(thing for thing in made.table["things"] if thing["name"] == "lost key")
    assert lost["in"] == "nowhere"
    assert any("No key is in the game" in sentence for sentence in made.left_out)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("type D locker", "type d locker"),
        ("half of a bag of chips", "half bag of chips"),
        ("Microsoft style limited edition key", "microsoft limited edition key"),
        ("with", "thing"),
        ("safe with a lid", "safe lid"),
    ],
)
def test_names_fit_a_world(theirs: str, ours: str) -> None:
    assert Names({"o_0": ("o", theirs)})["o_0"] == ours


def test_no_two_parts_share_a_name() -> None:
    names = Names({str(i): ("o", "key") for i in range(40)} | {"r": ("r", "key")})
    assert len({name.lower() for name in names.values()}) == 41
    assert names["r"][0].isupper()


def test_prose_says_nothing_of_what_changes() -> None:
    said = "a box. [if open]It is open.[else if locked]Locked![otherwise]Shut.[end if] It's big"
    assert prose_of(said) == "A box. It's big."
    assert prose_of("One. [if a]x[if b]y[end if]z[end if]Two.") == "One. Two."
    assert prose_of("You are here.\n\nYou see [a list].", first_only=True) == "You are here."
    assert prose_of(None) == ""


def test_nothing_to_win_is_refused() -> None:
    said = game("one_room")
    said["quests"] = []
    with pytest.raises(PackError, match="no quest that can be won"):
        world_of(said, "A Game")
