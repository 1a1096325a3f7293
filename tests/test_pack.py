"""World packs: what is read, and the one sentence an author is told of each fault."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mill import MILL, mill, mill_table

from adventure.errors import PackError
from adventure.world.pack import (
    LARGEST_FILE,
    World,
    find_world,
    list_worlds,
    load_world,
    make_world,
)


def complaint(folder: Path, text: str | bytes) -> str:
    """What is said of a file, less the file's own name."""
    file = folder / "world.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PackError) as raised:
        load_world(folder)
    said = str(raised.value)
    assert said.startswith(str(file)), said
    assert "\n" not in said and len(said) < len(str(file)) + 240, said
    return said.removeprefix(str(file))


def spoilt(old: str, new: str) -> str:
    """The mill's file with one place changed."""
    assert MILL.count(old) >= 1, old
    return MILL.replace(old, new, 1)


def line(text: str, of: str) -> int:
    return text[: text.index(of)].count("\n") + 1


def test_a_world_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "mill"
    folder.mkdir()
    (folder / "world.toml").write_text(MILL)
    world = load_world(folder)
    assert world == load_world(folder / "world.toml") == mill()
    assert (world.name, world.title, world.start) == ("mill", "The Mill", "Yard")
    assert world.exits_of("Yard") == ["north", "east", "down"]
    assert world.ways["Yard", "north"] == ("Loft", "oak door")
    assert world.ways["Loft", "south"] == ("Yard", "oak door")
    assert world.names["wax candle"] == ("wax candle", "light", "keeper's light")
    assert [part.kind for part in (*world.doors, *world.things)] == [
        *("locked", "closed", "portable", "fixed", "portable", "treasure", "portable")
    ]


def test_digest_is_of_the_contents_not_of_the_layout() -> None:
    table = mill_table()
    same = make_world({key: table[key] for key in reversed(table)}, name="other folder")
    assert same.digest == mill().digest
    table["things"][0]["description"] = "Rusty!"
    assert make_world(table).digest != mill().digest


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_bytes(b"\xef\xbb\xbf" + MILL.encode())
    assert load_world(tmp_path).title == "The Mill"


# -- files ---------------------------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"Can't read the world .*world\.toml: No such file"):
        load_world(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"title = '\xff'", r" is not UTF-8 text \(byte 9\); save it as UTF-8\."),
        ("title = ", r" is not valid TOML: Invalid value \(at .*\)\."),
        ("format = 0\nformat = 0", r" is not valid TOML: Cannot overwrite a value \(at .*\)\."),
        (f"format = {'9' * 5000}", r" is not valid TOML: Exceeds the limit .*\."),
        (f"format = {'[' * 5000}", r" nests its lists or tables too deeply; .*\."),
        (b"#" * (LARGEST_FILE + 1), r" has more than 1,048,576 bytes, .*\."),
        ("", r": the key 'format' is missing in the world; add format = 0\."),
    ],
    ids=["bytes", "no value", "twice", "number", "deep", "large", "empty"],
)
def test_files_that_are_no_packs(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert re.fullmatch(said, complaint(tmp_path, text))


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(PackError, match="has more than"):
        load_world(Path("/dev/zero"))


# -- keys and types ------------------------------------------------------------------------------

KEY_FAULTS = {
    "format of another version": (
        "format = 0",
        "format = 1",
        "format is 1; this version reads format = 0.",
    ),
    "format is no number": (
        "format = 0",
        "format = false",
        "format is false; this version reads format = 0.",
    ),
    "misspelt key of a thing": (
        "treasure = true",
        "tresure = true",
        "unknown key 'tresure' in things[3]; did you mean 'treasure'?",
    ),
    "misspelt key of the world": (
        'title = "The Mill"',
        'titel = "The Mill"',
        "unknown key 'titel' in the world; did you mean 'title'?",
    ),
    "misspelt key of the ending": (
        'text = "The sails',
        'test = "The sails',
        "unknown key 'test' in ending; did you mean 'text'?",
    ),
    "misspelt key of the second door": (
        'from = "Barn"',
        'form = "Barn"',
        "unknown key 'form' in doors[1]; did you mean 'from'?",
    ),
    "a key that is like no other": (
        "portable = false",
        "zzz = false",
        "unknown key 'zzz' in things[1]; it can be 'carried', 'description', 'name', 'portable', "
        "'room', 'synonyms', 'treasure'.",
    ),
    "key of the world below its tables": (
        'room = "Loft"',
        'start = "Loft"',
        "unknown key 'start' in ending; put it at the top of the file, above the first [table].",
    ),
    "the folder names the world": (
        'title = "The Mill"',
        'title = "The Mill"\nname = "mill"',
        "unknown key 'name' in the world; did you mean 'title'?",
    ),
    "number for a name": (
        'name = "brass key"',
        "name = 5",
        "things[2].name is 5; it must be text in quotation marks.",
    ),
    "date for text": (
        'title = "The Mill"',
        "title = 2024-01-01",
        "title is datetime.date(2024, 1, 1); it must be text in quotation marks.",
    ),
    "word for yes or no": (
        "portable = false",
        'portable = "no"',
        "things[1].portable is 'no'; it must be true or false.",
    ),
    "number for yes or no": (
        "locked = true",
        "locked = 1",
        "doors[0].locked is 1; it must be true or false.",
    ),
    "exits that are no table": (
        'exits = { out = "Yard" }',
        'exits = "Yard"',
        "rooms[2].exits is 'Yard'; it must be a table such as { north = \"Hall\" }.",
    ),
    "exit that is no room": (
        'exits = { out = "Yard" }',
        'exits = { out = ["Yard"] }',
        "rooms[2].exits.out is a list; it must be text in quotation marks.",
    ),
    "synonym that is no list": (
        'synonyms = ["north door"]',
        'synonyms = "north door"',
        "doors[0].synonyms is 'north door'; it must be a list.",
    ),
    "too many synonyms": (
        'synonyms = ["north door"]',
        "synonyms = [" + '"door", ' * 21 + "]",
        "doors[0] has more than 20 synonyms; leave some out.",
    ),
    "two brackets for one": (
        "[ending]",
        "[[ending]]",
        "ending is a list; it must be one table, begun with [ending].",
    ),
    "empty prose": (
        'description = "Rusty."',
        'description = ""',
        "'description' in things[0] is empty; write something.",
    ),
    "long prose": (
        'description = "Rusty."',
        f'description = "{"rust " * 300}"',
        "'description' in things[0] has 1,500 characters; shorten it to 1,200.",
    ),
    "missing key of a thing": (
        'description = "Rusty."\n',
        "",
        "the key 'description' is missing in things[0]; add it.",
    ),
    "missing title": (
        'title = "The Mill"\n',
        "",
        "the key 'title' is missing in the world; add it.",
    ),
    "missing text of the ending": (
        'text = "The sails begin to turn."\n',
        "",
        "the key 'text' is missing in ending; add it.",
    ),
}


@pytest.mark.parametrize("fault", KEY_FAULTS)
def test_faults_of_keys(tmp_path: Path, fault: str) -> None:
    old, new, said = KEY_FAULTS[fault]
    found = complaint(tmp_path, spoilt(old, new))
    assert re.sub("^(, line \\d+)?: ", "", found) == said


def test_one_bracket_where_two_are_needed(tmp_path: Path) -> None:
    rooms = re.compile(r'\[\[rooms\]\]\nname = "(?!Yard).*?(?=\n\[\[)', re.DOTALL)
    text = rooms.sub("", MILL).replace("[[rooms]]", "[rooms]")
    assert "it must be a list of tables, each begun with [[rooms]]." in complaint(tmp_path, text)


def test_no_ending_and_no_rooms() -> None:
    for key, how in (("ending", "add [ending]"), ("rooms", "add [[rooms]]"), ("intro", "add it")):
        table = mill_table()
        del table[key]
        with pytest.raises(PackError) as raised:
            make_world(table)
        assert str(raised.value) == f"world: the key {key!r} is missing in the world; {how}."


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("treasure = true", "tresure = true", "tresure"),
        ('from = "Barn"', 'form = "Barn"', "form ="),
        ('title = "The Mill"', 'titel = "The Mill"', "titel"),
        ('text = "The sails', 'texts = "The sails', "texts"),
        ('name = "brass key"', "name = 5", "name = 5"),
        ('exits = { out = "Yard" }', 'exits = { oust = "Yard" }', "exits = { oust"),
        ('to = "Attic"', 'to = "Atic"', 'to = "Atic"'),
        ('description = "Bright."\n', "", '[[things]]\nname = "brass key"'),
        ('description = "Bright."', "  description='''\n[[rooms]]\nkey = 3'''\nkez = 1", "kez"),
        ('exits = { out = "Yard" }', '[rooms.exits]\nout = "Yard"\nin = 5', "in = 5"),
        ('exits = { out = "Yard" }', 'exits.out = "Yard"\nexits.in = 5', "exits.in = 5"),
        ('exits = { out = "Yard" }', '"exits" = { oust = "Yard" }', '"exits" = { oust'),
        ('description = "Rusty."', '"descr" = 1', '"descr"'),
    ],
    ids=lambda value: "",
)
def test_the_line_is_that_of_the_faulty_entry(tmp_path: Path, old: str, new: str, at: str) -> None:
    text = spoilt(old, new)
    found = complaint(tmp_path, text)
    assert found.startswith(f", line {line(text, at)}: "), found


def test_parts_in_one_long_list_are_found_by_its_line(tmp_path: Path) -> None:
    text = MILL[: MILL.index("[[rooms]]")].replace(
        "[ending]", 'rooms = [\n  {name = "Hall"},\n]\n[ending]'
    )
    found = complaint(tmp_path, text)
    assert found == ", line 6: the key 'description' is missing in rooms[0]; add it."


# -- sense ---------------------------------------------------------------------------------------


def change(kind: str, index: int, **keys: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(table: dict[str, Any]) -> None:
        table[kind][index].update(keys)

    return spoil


def top(**keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table.update(keys)


def ending(**keys: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["ending"].update(keys)


SENSE_FAULTS = {
    "start": (
        top(start="Yrad"),
        "the world starts in 'Yrad', which doesn't exist; did you mean 'Yard'?",
    ),
    "misspelt direction": (
        change("rooms", 2, exits={"nroth": "Yard"}),
        "'Pit' has an exit 'nroth'; did you mean 'north'?",
    ),
    "direction in capitals": (
        change("rooms", 2, exits={"NORTH": "Yard"}),
        "'Pit' has an exit 'NORTH'; did you mean 'north'?",
    ),
    "exit to nowhere": (
        change("rooms", 2, exits={"north": "Barm"}),
        "the exit north of 'Pit' leads to 'Barm', which doesn't exist; did you mean 'Barn'?",
    ),
    "exit to the room itself": (
        change("rooms", 2, exits={"north": "Pit"}),
        "the exit north of 'Pit' leads to that room itself; lead it elsewhere, or leave it out.",
    ),
    "door to the room itself": (
        change("doors", 1, to="Barn"),
        "door 'low hatch' leads from 'Barn' back to it; lead it elsewhere.",
    ),
    "direction of a door": (
        change("doors", 1, direction="upp"),
        "door 'low hatch': direction 'upp'; did you mean 'up'?",
    ),
    "door from nowhere": (
        change("doors", 1, **{"from": "Bran"}),
        "door 'low hatch' is in 'Bran', which doesn't exist; did you mean 'Barn'?",
    ),
    "key that isn't there": (
        change("doors", 0, key="bras key"),
        "door 'oak door' has the key 'bras key', which doesn't exist; did you mean 'brass key'?",
    ),
    "key that can't be carried": (
        change("doors", 0, key="millstone"),
        "door 'oak door' has the key 'millstone', which can't be carried.",
    ),
    "lock without a key": (
        change("doors", 1, locked=True),
        "door 'low hatch' is locked but has no key; give it one.",
    ),
    "open and locked": (
        change("doors", 0, open=True),
        "door 'oak door' is both open and locked; choose one.",
    ),
    "door where an exit is": (
        change("doors", 1, direction="west"),
        "'Barn' has both an exit and the door 'low hatch' to the west; each way has room for one.",
    ),
    "door where a door is": (
        change("doors", 1, **{"from": "Attic", "to": "Yard", "direction": "south"}),
        "'Yard' has both the door 'oak door' and the door 'low hatch' to the north; "
        "each way has room for one.",
    ),
    "thing nowhere": (
        lambda table: table["things"][0].pop("room"),
        "'iron key' needs either room = \"...\" or carried = true.",
    ),
    "thing in two places": (
        change("things", 0, carried=True),
        "'iron key' needs either room = \"...\" or carried = true.",
    ),
    "thing in no room": (
        change("things", 0, room="Yurt"),
        "'iron key' is in 'Yurt', which doesn't exist; did you mean 'Yard'?",
    ),
    "fixed treasure": (
        change("things", 1, treasure=True),
        "'millstone' is fixed, so it can't be carried or be a treasure.",
    ),
    "ending without its thing": (
        ending(thing="gold cup"),
        "the ending needs 'gold cup', which doesn't exist; did you mean 'silver cup'?",
    ),
    "ending without its room": (
        ending(room="loft"),
        "the ending happens in 'loft', which doesn't exist; did you mean 'Loft'?",
    ),
    "ending that nobody can reach": (
        ending(thing="millstone"),
        "the ending needs 'millstone', which is fixed, so nobody can bring it; "
        "choose another thing.",
    ),
    "digit in a name": (
        change("things", 0, name="key 2"),
        "the name 'key 2' won't do: one to four words of letters, hyphens and apostrophes, "
        "40 characters at most.",
    ),
    "hyphen at the end": (
        change("things", 0, name="key-"),
        "the name 'key-' won't do: one to four words of letters, hyphens and apostrophes, "
        "40 characters at most.",
    ),
    "long name": (
        change("things", 0, name="k" * 300),
        f"the name '{'k' * 39}... won't do: one to four words of letters, hyphens and apostrophes, "
        "40 characters at most.",
    ),
    "five words": (
        change("doors", 0, synonyms=["a b c d e"]),
        "the name 'a b c d e' won't do: one to four words of letters, hyphens and apostrophes, "
        "40 characters at most.",
    ),
    "word of commands": (
        change("things", 0, name="key with teeth"),
        "the name 'key with teeth' contains 'with', a word that commands need; choose another.",
    ),
    "name of the game's own": (
        change("rooms", 4, name="Game"),
        "the name 'Game' is taken by the game itself; choose another.",
    ),
    "direction for a name": (
        change("things", 0, name="up"),
        "the name 'up' is taken by the game itself; choose another.",
    ),
    "direction for a synonym": (
        change("doors", 0, synonyms=["north"]),
        "the synonym 'north' of 'oak door' is a direction or a verb; choose another, "
        "or add a word.",
    ),
    "short direction for a synonym": (
        change("things", 0, synonyms=["iron", "U"]),
        "the synonym 'U' of 'iron key' is a direction or a verb; choose another, or add a word.",
    ),
    "verb for a synonym": (
        change("things", 3, synonyms=["pick up"]),
        "the synonym 'pick up' of 'silver cup' is a direction or a verb; choose another, "
        "or add a word.",
    ),
    "small room": (
        change("rooms", 4, name="attic"),
        "the name 'attic' should begin with a capital letter "
        "(rooms: capital, things and doors: small).",
    ),
    "capital thing": (
        change("things", 0, name="Iron key"),
        "the name 'Iron key' should begin with a small letter "
        "(rooms: capital, things and doors: small).",
    ),
    "twins": (
        change("things", 0, name="brass key"),
        "two parts are both called 'brass key'; give each a name of its own.",
    ),
    "thing like a room": (
        change("things", 0, name="barn"),
        "the names 'Barn' and 'barn' sound alike; give each a name of its own.",
    ),
    "names that sound alike": (
        change("things", 0, name="brass key'"),
        "the names \"brass key'\" and 'brass key' sound alike; give each a name of its own.",
    ),
    "thing called as the door's key is noted": (
        change("things", 0, name="oak door key"),
        "the name 'oak door key' is also what the game master calls a note on 'oak door'; "
        "choose another.",
    ),
    "thing called as a door's way is noted": (
        change("things", 0, name="low hatch north"),
        "the name 'low hatch north' is also what the game master calls a note on 'low hatch'; "
        "choose another.",
    ),
    "thing called as a room's way is noted": (
        change("things", 0, name="barn north"),
        "the name 'barn north' is also what the game master calls a note on 'Barn'; "
        "choose another.",
    ),
    "room called as a room's contents are noted": (
        change("rooms", 4, name="Pit holds"),
        "the name 'Pit holds' is also what the game master calls a note on 'Pit'; choose another.",
    ),
    "blank prose": (
        change("rooms", 1, description=" \n "),
        "the text of 'Barn' is empty; write a sentence.",
    ),
    "blank line": (
        change("rooms", 1, description="Straw.\n \nSwallows."),
        "the text of 'Barn' holds a blank line; write it as one paragraph.",
    ),
    "blank line in the intro": (
        top(intro="Flour.\n\nAnd the cup."),
        "the intro holds a blank line; write it as one paragraph.",
    ),
    "control character": (
        top(intro="Hear the bell \a."),
        "the intro holds the character '\\x07', which can't be shown; take it out.",
    ),
    "escape in what lists show": (
        top(headline="\x1b[31mred"),
        "'headline' holds the character '\\x1b', which can't be shown; take it out.",
    ),
    "mark of the engine": (
        change("rooms", 1, description="<|end|>"),
        "the text of 'Barn' holds '<|', which the engine uses itself; take it out.",
    ),
    "prose like a record": (
        change("rooms", 1, description="At: the end of all ways."),
        "the text of 'Barn' begins with 'At:', as the game master's notes do; begin it otherwise.",
    ),
    "prose like a room's record": (
        change("rooms", 1, description="Yard holds: geese."),
        "the text of 'Barn' begins with 'Yard holds:', as the game master's notes do; "
        "begin it otherwise.",
    ),
    "prose that is a name": (
        change("things", 0, description="millstone"),
        "the text of 'iron key' is nothing but the name 'millstone'; write a sentence.",
    ),
}


@pytest.mark.parametrize("fault", SENSE_FAULTS)
def test_faults_of_sense(fault: str) -> None:
    spoil, said = SENSE_FAULTS[fault]
    table = mill_table()
    spoil(table)
    with pytest.raises(PackError) as raised:
        make_world(table)
    assert str(raised.value) == f"world: {said}"


@pytest.mark.parametrize(
    ("kind", "most"), [("rooms", 200), ("doors", 200), ("things", 400)], ids=str
)
def test_absurd_numbers_of_parts(kind: str, most: int) -> None:
    table = mill_table()
    table[kind] = [table[kind][0]] * 10_000
    with pytest.raises(PackError) as raised:
        make_world(table)
    assert str(raised.value) == f"world: the world has more than {most} {kind}; leave some out."


def test_no_rooms_at_all() -> None:
    with pytest.raises(PackError, match="there are no rooms; write at least one"):
        make_world({**mill_table(), "rooms": []})


def test_deep_nesting_where_text_should_be() -> None:
    deep: Any = "Yard"
    for _ in range(200):
        deep = [deep]
    with pytest.raises(PackError, match=r"^world: start is a list; it must be text"):
        make_world({**mill_table(), "start": deep})


def test_the_pit_has_no_way_back_down_from_the_barn() -> None:
    """One-way exits, rooms named alike in part, and prose with colons are all allowed."""
    table = mill_table()
    table["rooms"][4]["name"] = "Barn North"
    table["doors"][1]["to"] = "Barn North"
    table["rooms"][1]["description"] = 'A sign: "Keep out".'
    world: World = make_world(table)
    assert ("Pit", "down") not in world.ways and world.ways["Barn", "up"][0] == "Barn North"


def test_lines_that_end_and_begin_a_text_are_no_fault() -> None:
    table = mill_table()
    table["intro"] = "\n\nFlour must\nbe ground.\n\n"
    assert make_world(table).intro == table["intro"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_whatever_stands_anywhere_a_world_is_made_or_one_sentence_told(data: st.DataObject) -> None:
    table: Any = mill_table()
    here, value = table, data.draw(VALUES)
    while True:
        key = data.draw(st.sampled_from(range(len(here)) if isinstance(here, list) else [*here]))
        if not isinstance(here[key], list | dict) or not here[key] or data.draw(st.booleans()):
            break
        here = here[key]
    here[key] = value
    told(table)


@settings(deadline=None)
@given(st.integers(0, len(MILL)), st.integers(0, 30), st.text(max_size=3))
def test_a_damaged_file_is_a_world_or_one_sentence(at: int, cut: int, put: str) -> None:
    try:
        table = tomllib.loads(MILL[:at] + put + MILL[at + cut :])
    except tomllib.TOMLDecodeError:
        return
    told(table, MILL[:at] + put + MILL[at + cut :])


def told(table: dict[str, Any], text: str = "") -> None:
    try:
        make_world(table, text=text)
    except PackError as error:
        assert re.fullmatch(r"world(, line \d+)?: [^\n]{5,400}[.?]", str(error)), str(error)


# -- finding -------------------------------------------------------------------------------------


def test_worlds_are_found_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "worlds" / "mill"
    mine.mkdir(parents=True)
    (mine / "world.toml").write_text(MILL)
    assert find_world("lantern").name == "lantern"
    with pytest.raises(PackError, match=r"No world is called 'mil'"):
        find_world("mil")
    monkeypatch.chdir(tmp_path)
    assert find_world("mill") == mine
    assert find_world("worlds/mill") == Path("worlds/mill")
    assert {"mill", "lantern"} <= {path.name for path in list_worlds()}
    with pytest.raises(PackError, match=r"No world is called 'mil'; did you mean 'mill'\?"):
        find_world("mil")
    with pytest.raises(PackError, match="There is no world at worlds/nowhere; give a folder"):
        find_world("worlds/nowhere")
