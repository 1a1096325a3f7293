"""World packs: what is read, and the sentences an author is told about faults."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mill import MILL, mill, mill_table

from adventure.cli import main
from adventure.errors import PackError
from adventure.world.lines import Source
from adventure.world.pack import (
    LARGEST_FILE,
    MOST_FAULTS,
    find_world,
    list_worlds,
    load_world,
    make_world,
    read_cover,
    read_source,
)
from adventure.world.parcel import build_parcel
from adventure.world.parts import TREASURE_POINTS
from adventure.world.prompt import SPECIALS, pack_text
from engine.tokenizer import train_tokenizer

ROOT = Path(__file__).resolve().parents[1]


def complaints(folder: Path, text: str | bytes) -> list[str]:
    """What is said of a file, each less the file's own name."""
    file = folder / "world.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PackError) as raised:
        load_world(folder)
    assert str(raised.value) == "\n".join(raised.value.faults)
    for said in raised.value.faults:
        assert said.startswith(str(file)), said
        assert "\n" not in said and len(said) < len(str(file)) + 400, said
    return [said.removeprefix(str(file)) for said in raised.value.faults]


def complaint(folder: Path, text: str | bytes) -> str:
    """What is said of a file with one fault."""
    (said,) = complaints(folder, text)
    return said


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
    assert world.names["weeds"] == ("weeds", "weed")
    assert [part.state for part in (*world.doors, *world.things)] == [
        *("locked", "closed", "", "still", "", "", "off", "locked", "")
    ]


def test_points_of_deeds_and_of_treasures() -> None:
    assert mill().points == {"ground the flour": 10, "silver cup": 7}
    table = mill_table()
    del table["deeds"]["silver cup"]
    world = make_world(table)
    assert world.points_of("silver cup") == TREASURE_POINTS == 5
    assert world.points_of("iron key") == 0


def test_digest_is_of_the_contents_not_of_the_layout() -> None:
    table = mill_table()
    same = make_world({key: table[key] for key in reversed(table)}, name="other folder")
    assert same.digest == mill().digest
    table["things"][0]["description"] = "Rusty!"
    assert make_world(table).digest != mill().digest


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_files_as_editors_leave_them(tmp_path: Path, mark: str, end: str) -> None:
    (tmp_path / "world.toml").write_bytes((mark + MILL.replace("\n", end)).encode())
    assert load_world(tmp_path).digest == mill().digest


# -- files ---------------------------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"Can't read the world .*world\.toml: No such file"):
        load_world(tmp_path)


HOW = r"look at the quotation marks and brackets before (that line|its end)\."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\ntitle = '\xff'", r", line 2: this is not UTF-8 text; save it as UTF-8\."),
        ("title = ", rf"(, line 1)?: this is not valid TOML: Invalid value; {HOW}"),
        ("a = 0\na = 0", r", line 2: 'a' stands twice, first on line 1; leave one out\."),
        (f"format = {'9' * 5000}", rf": this is not valid TOML: Exceeds the limit .*; {HOW}"),
        ("format = 1\0", rf", line 1: this is not valid TOML: .*; {HOW}"),
        (f"format = {'[' * 5000}", r" nests its lists or tables too deeply; .*\."),
        ("a." * 900_000 + "b = 1", r" nests its lists or tables too deeply; .*\."),
        ('"a" . ' * 300_000 + "b = 1", r" nests its lists or tables too deeply; .*\."),
        (b"#" * (LARGEST_FILE + 1), r" has more than 2,000,000 bytes, .*\."),
        ("", r": the key 'format' is missing in the world; add format = 1\."),
        (f"format = 0x{'f' * 9999}", r", line 1: format is a huge number; this version .*\."),
    ],
    ids=[
        *("bytes", "no value", "twice", "number", "nul", "deep", "long key", "long quoted key"),
        *("large", "empty", "huge"),
    ],
)
def test_files_that_are_no_packs(tmp_path: Path, text: str | bytes, said: str) -> None:
    found = complaint(tmp_path, text)
    assert re.fullmatch(said, found), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[things]]\nname = "a"\nin = "b"\n\nname = "c"\nin = "d"\n',
            "5: 'name' stands twice in one [[things]], first on line 2; leave one out, or begin "
            "another [[things]] before it.",
        ),
        (
            '[style]\nvoice = "wry"\n[deeds]\n[style]\n',
            "4: 'style' stands twice, first on line 1; leave one out.",
        ),
        (
            '[replies]\nwait = "a"\n"wait" = "b"\n',
            "3: 'wait' stands twice in [replies], first on line 2; leave one out.",
        ),
        (
            '[[rooms]]\n[[rooms]]\nscenery = { x = "a" }\n[rooms.scenery]\ny = "b"\n',
            "4: 'scenery' stands twice in one [[rooms]], first on line 3; leave one out, or begin "
            "another [[rooms]] before it.",
        ),
        (
            "rooms = []\n[[rooms]]\n",
            "2: 'rooms' stands twice, first on line 1; leave one out.",
        ),
        (
            'intro = """\nstart = 1\n"""\nstart = "a"\nstart = "b"\n',
            "5: 'start' stands twice, first on line 4; leave one out.",
        ),
        (
            "x = { a = 1, a = 2 }\n",
            "1: this is not valid TOML: Duplicate inline table key 'a'; something stands there "
            "twice, so leave one out.",
        ),
    ],
    ids=["part", "table", "quoted", "both ways", "list", "prose", "inline"],
)
def test_what_stands_twice_is_named_with_both_its_lines(
    tmp_path: Path, text: str, said: str
) -> None:
    assert complaint(tmp_path, text) == f", line {said}"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would wait for ever, and a device never end."""
    os.mkfifo(tmp_path / "world.toml")
    with pytest.raises(PackError, match="is no file; give a folder"):
        load_world(tmp_path)
    with pytest.raises(PackError, match="is no file; give a folder"):
        load_world(Path("/dev/zero"))


def test_a_cover_lies_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mill"
    folder.mkdir()
    text = 'cover = "cover.png"\n' + MILL
    assert complaint(folder, text) == (
        ", line 1: there is no file 'cover.png' for the cover; put it there."
    )
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "cover.png").symlink_to(tmp_path / "secret.png")
    assert complaint(folder, text) == (
        ", line 1: the cover 'cover.png' leads out of the world's folder."
    )
    (folder / "cover.png").unlink()
    (folder / "cover.png").symlink_to(folder / "cover.png")
    assert "there is no file" in complaint(folder, text)
    (folder / "cover.png").unlink()
    (folder / "cover.png").write_bytes(b"picture")
    assert read_cover(folder, load_world(folder)) == b"picture"


# -- keys and types ------------------------------------------------------------------------------

KEY_FAULTS = {
    "format of another version": (
        "format = 1",
        "format = 0",
        "format is 0; this version reads format = 1.",
    ),
    "format is no number": (
        "format = 1",
        "format = true",
        "format is true; this version reads format = 1.",
    ),
    "misspelt key of a thing": (
        "treasure = true",
        "tresure = true",
        "unknown key 'tresure' in the thing 'silver cup'; did you mean 'treasure'?",
    ),
    "misspelt key of the world": (
        'title = "The Mill"',
        'titel = "The Mill"',
        "unknown key 'titel' in the world; did you mean 'title'?",
    ),
    "misspelt key of the ending": (
        'text = "The sails',
        'test = "The sails',
        "unknown key 'test' in [ending]; did you mean 'text'?",
    ),
    "misspelt key of the second door": (
        'from = "Barn"',
        'form = "Barn"',
        "unknown key 'form' in the door 'low hatch'; did you mean 'from'?",
    ),
    "misspelt key of a rule": (
        "again = ",
        "agian = ",
        "unknown key 'agian' in the rule 'push millstone'; did you mean 'again'?",
    ),
    "misspelt name": (
        'name = "iron key"',
        'nmae = "iron key"',
        "unknown key 'nmae' in thing number 1; did you mean 'name'?",
    ),
    "a key that is like no other": (
        'voice = "terse"',
        "zzz = false",
        "unknown key 'zzz' in [style]; it can be 'name', 'person', 'tense', 'voice'.",
    ),
    "key of the world below its tables": (
        'room = "Loft"',
        'room = "Loft"\nstart = "Loft"',
        "unknown key 'start' in [ending]; put it at the top of the file, above the first [table].",
    ),
    "the folder names the world": (
        'title = "The Mill"',
        'title = "The Mill"\nname = "mill"',
        "unknown key 'name' in the world; did you mean 'title'?",
    ),
    "number for a name": (
        'name = "brass key"',
        "name = 5",
        "'name' in thing number 3 is 5; it must be text in quotation marks.",
    ),
    "date for text": (
        'title = "The Mill"',
        "title = 2024-01-01",
        "'title' is a date or a time; it must be text in quotation marks.",
    ),
    "word for yes or no": (
        "fixed = true",
        'fixed = "no"',
        "'fixed' in the thing 'millstone' is 'no'; it must be true or false.",
    ),
    "number for yes or no": (
        "locked = true",
        "locked = 1",
        "'locked' in the door 'oak door' is 1; it must be true or false.",
    ),
    "exits that are no table": (
        'exits = { out = "Yard" }',
        'exits = "Yard"',
        "'exits' in the room 'Pit' is 'Yard'; it must be a table such as { north = \"Hall\" }.",
    ),
    "exit that is no room": (
        'exits = { out = "Yard" }',
        'exits = { out = ["Yard"] }',
        "'out' in 'exits' of the room 'Pit' is a list; it must be text in quotation marks.",
    ),
    "synonyms that are no list": (
        'synonyms = ["north door"]',
        'synonyms = "north door"',
        "'synonyms' in the door 'oak door' is 'north door'; it must be a list such as "
        '["a", "b"].',
    ),
    "synonym that is no text": (
        'synonyms = ["north door"]',
        "synonyms = [1]",
        "'synonyms' of the door 'oak door' has the entry 1, which must be text in quotation marks.",
    ),
    "too many synonyms": (
        'synonyms = ["north door"]',
        "synonyms = [" + '"door", ' * 21 + "]",
        "the door 'oak door' has more than 20 synonyms; leave some out.",
    ),
    "two brackets for one": (
        "[ending]",
        "[[ending]]",
        "'ending' is a list; it must be one table, begun with [ending].",
    ),
    "empty prose": (
        'description = "Rusty."',
        'description = ""',
        "'description' in the thing 'iron key' is empty; write something.",
    ),
    "long prose": (
        'description = "Rusty."',
        f'description = "{"rust " * 300}"',
        "'description' in the thing 'iron key' has 1,500 characters; shorten it to 1,200.",
    ),
    "long prose in a table": (
        '"It\'s coming."',
        f'"{"rain " * 300}"',
        "'storm, weather' in 'topics' of the person 'miller' has 1,500 characters; "
        "shorten it to 1,200.",
    ),
    "missing key of a thing": (
        'description = "Rusty."\n',
        "",
        "the key 'description' is missing in the thing 'iron key'; add it.",
    ),
    "missing title": (
        'title = "The Mill"\n',
        "",
        "the key 'title' is missing in the world; add it.",
    ),
    "missing text of the ending": (
        'text = "The sails begin to turn."\n',
        "",
        "the key 'text' is missing in [ending]; add it.",
    ),
    "command that is a number": (
        'when = "dance"',
        "when = 5",
        "'when' in rule number 3 is 5; it must be a command such as \"pull lever\", or a list of "
        "such.",
    ),
    "commands that aren't all texts": (
        'when = "dance"',
        'when = ["dance", 5]',
        "'when' in the rule 'dance' is a list; it must be a command such as \"pull lever\", or a "
        "list of such.",
    ),
    "conditions that are one text": (
        'needs = ["apron carried", "ground the flour not done", "you in Yard"]',
        'needs = "apron carried"',
        "'needs' in the rule 'give apron to miller' is 'apron carried'; it must be a list such as "
        '["lamp carried"], or a table such as { "lamp carried" = "Dark." }.',
    ),
    "long refusal": (
        '"It won\'t go."',
        f'"{"no " * 500}"',
        "'iron key carried' in 'needs' of the rule 'push millstone' has 1,500 characters; "
        "shorten it to 1,200.",
    ),
    "reply that is a number": (
        'taken = "You now have *."',
        "taken = 3",
        "'taken' in [replies] is 3; it must be text in quotation marks, or a list of one to eight "
        "such.",
    ),
    "no replies": (
        'wait = ["You wait.", "You wait some more."]',
        "wait = []",
        "'wait' in [replies] is a list; it must be text in quotation marks, or a list of one to "
        "eight such.",
    ),
    "points that are no number": (
        '"silver cup" = 7',
        '"silver cup" = 7.5',
        "'silver cup' in [deeds] is 7.5; it must be a whole number from 0 to 1000.",
    ),
    "points below nothing": (
        '"silver cup" = 7',
        '"silver cup" = -7',
        "'silver cup' in [deeds] is -7; it must be a whole number from 0 to 1000.",
    ),
    "points beyond counting": (
        '"silver cup" = 7',
        f'"silver cup" = 0x{"f" * 9000}',
        "'silver cup' in [deeds] is a huge number; it must be a whole number from 0 to 1000.",
    ),
    "turns": (
        "turns = 5",
        "turns = 0",
        "'turns' in the clock 'sails' is 0; it must be a whole number from 1 to 200.",
    ),
    "many turns": (
        "turns = 5",
        "turns = 201",
        "'turns' in the clock 'sails' is 201; it must be a whole number from 1 to 200.",
    ),
    "a slow walk": (
        "every = 4",
        "every = 10",
        "'every' in the person 'miller' is 10; it must be a whole number from 1 to 9.",
    ),
    "person of the player": (
        'person = "second"',
        'person = "fourth"',
        "'person' in [style] is 'fourth'; it must be 'first', 'second' or 'third'.",
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
    said = ": 'rooms' is a table; it must be a list of tables, each begun with [[rooms]]."
    assert complaint(tmp_path, text).endswith(said)


def test_no_intro_and_no_rooms() -> None:
    for key, how in (("rooms", "add [[rooms]]"), ("intro", "add it")):
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
        ('description = "Rusty."', '"descr" = 1\ndescription = "Rusty."', '"descr"'),
        ('"storm, weather" =', '"storm, St. Elmo" = 1 #', '"storm, St. Elmo"'),
        ('"storm, weather" =', '"storm \\"wind\\"" = 1 #', '"storm \\"wind'),
        ('"silver cup" = 7', '"silver cup" = "7"', '"silver cup" = "7"'),
        ("turns = 5", 'turns = "5"', 'turns = "5"'),
    ],
    ids=lambda value: "",
)
def test_the_line_is_that_of_the_faulty_entry(tmp_path: Path, old: str, new: str, at: str) -> None:
    text = spoilt(old, new)
    found = complaints(tmp_path, text)
    assert found[0].startswith(f", line {line(text, at)}: "), found


def test_parts_in_one_long_list_are_found_by_its_line(tmp_path: Path) -> None:
    text = MILL[: MILL.index("[[rooms]]")].replace(
        "[style]", 'rooms = [\n  {name = "Hall"},\n]\n[style]'
    )
    found = complaint(tmp_path, text)
    said = "the key 'description' is missing in the room 'Hall'; add it."
    assert found == f", line {line(text, 'rooms = [')}: {said}"


def test_all_faults_are_told_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = MILL.replace('start = "Yard"', 'start = "Yrad"').replace('to = "Loft"', 'to = "Lft"')
    text = text.replace("deed ground the flour", "deed ground flour")
    first, second, third = complaints(tmp_path, text)
    assert first.startswith(f", line {line(text, 'start =')}: the world starts in 'Yrad'")
    assert second.startswith(f", line {line(text, 'to = ')}: door 'oak door' leads to 'Lft'")
    assert third.startswith(f", line {line(text, 'then = ')}: the rule 'push millstone'")


def test_of_very_many_faults_the_first_are_told(tmp_path: Path) -> None:
    rooms = "".join(
        f'[[rooms]]\nname = "room {i}"\ndescription = "Bare."\n' for i in range(MOST_FAULTS + 30)
    )
    found = complaints(tmp_path, MILL + rooms)
    assert len(found) == MOST_FAULTS + 1
    assert found[-1] == f" has more faults than these {MOST_FAULTS}; mend these first."


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_whatever_stands_anywhere_a_world_is_made_or_sentences_told(data: st.DataObject) -> None:
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
def test_a_damaged_file_is_a_world_or_sentences(at: int, cut: int, put: str) -> None:
    try:
        table = tomllib.loads(MILL[:at] + put + MILL[at + cut :])
    except tomllib.TOMLDecodeError:
        return
    told(table, MILL[:at] + put + MILL[at + cut :])


def told(table: dict[str, Any], text: str = "") -> None:
    try:
        make_world(table, text=text)
    except PackError as error:
        for said in error.faults:
            assert re.fullmatch(r"world(, line \d+)?:? [^\n]{5,400}[.?]", said), said


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


@pytest.mark.parametrize(
    "name", ["..", "", "a\0b", "a/\0", "x" * 5000, "/" * 5000 + "x", "\x1b[2J/x"]
)
def test_names_that_no_world_can_have(name: str) -> None:
    with pytest.raises(PackError) as raised:
        load_world(find_world(name))
    assert str(raised.value).isprintable() and len(str(raised.value)) < 500


def test_a_packed_world_is_the_world_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "worlds").mkdir()
    file = tmp_path / "worlds" / "mill.world"
    text = f'cover = "sails.png"\n{MILL}'
    file.write_bytes(build_parcel({"world.toml": text.encode(), "sails.png": b"picture"}, {}))
    world = load_world(file)
    assert (world.name, world.title, read_cover(file, world)) == ("mill", "The Mill", b"picture")
    file.write_bytes(build_parcel({"world.toml": spoilt("[[rooms]]", "[[rums]]").encode()}, {}))
    with pytest.raises(PackError, match=r"mill\.world, line \d+: unknown key 'rums' in the world"):
        load_world(file)
    monkeypatch.chdir(tmp_path)
    assert find_world("mill") == find_world("worlds/mill.world").resolve() == file
    assert main(["worlds"]) == 0
    listed = capsys.readouterr().out.split("\n")
    assert any(row.startswith("mill.world       (faulty) ") and "'rums'" in row for row in listed)
    assert any(row.startswith("threshold        Minding Gladstone: A first") for row in listed)


def test_the_prompt_is_printed_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [pack_text(load_world(find_world("threshold")))]
    other = ["<|pad|>"], r".*, so tokens can't be counted\."
    for specials, said in ((SPECIALS, r"\d+,\d{3} tokens"), other):
        learned = train_tokenizer(texts, 400, specials).to_json()
        (tmp_path / "tokenizer.json").write_text(learned)
        assert main(["prompt", "threshold", "--model", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert out == texts[0]
        assert re.fullmatch(said + r"\n", err), err


SKY = 'scenery = { "sky"'


def test_source_says_where_things_stand(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(MILL)
    source = read_source(tmp_path)
    assert source.where(("rooms", 1, "scenery", "sky")) == (
        f"{tmp_path / 'world.toml'}, line {line(MILL, SKY)}"
    )
    assert source.where(("nothing",)) == source.name == str(tmp_path / "world.toml")
    assert Source("x", "a = 1").line(("a", "b")) == 1
