"""What players type: one canonical line for each of many ways to say it, or why not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mill import mill, mill_table

from adventure.referee.rules import RULES, play, start
from adventure.world.grammar import KNOWN_VERBS, LONGEST, Command, Rejection, parse
from adventure.world.pack import World, make_world

WORLD = mill()

SAYINGS = {
    "look": "look|l|LOOK|Look around.|look about|where am I?|examine room",
    "inventory": "inventory|i|inv|I|take inventory|What am I carrying?",
    "wait": "wait|z|rest",
    "score": "score|Score!",
    "go north": "north|n|N|go north|walk north|run n|go to the north|head  north|step north!",
    "go northeast": "ne|northeast|go ne",
    "go up": "u|up|upstairs|climb|climb up|go upstairs|climb up the wall|go up the stairs",
    "go down": "d|down|climb down|go down the ladder|go downwards",
    "go in": "in|enter|go in|go inside|inside|crawl in",
    "go out": "out|exit|leave|outside|go out|go out of the pit",
    "take iron key": (
        "take iron key|take the iron key|get iron key|pick up the iron key|pick iron key up|"
        "grab an iron key|carry iron key|TAKE IRON KEY|  take   iron   key  |take iron|"
        "take \"iron key\"|take 'iron key'|take “iron key”|take iron key.|steal key iron"
    ),
    "take silver cup": "take cup|take silver|pick up cup|take my cup|take that silver cup|pick cup",
    "take wax candle": "take light|take keeper's light|take keeper’s light|take keeper`s light",
    "drop wax candle": (
        "drop wax candle|drop candle|put down candle|put candle down|put candle on the floor|"
        "put the candle in the pit|leave candle|leave the candle here|throw candle away|"
        "throw away candle|throw candle at the door|set down candle|lay candle down|place candle"
    ),
    "examine millstone": (
        "examine millstone|x millstone|look at the millstone|l at millstone|read millstone|"
        "look millstone|l millstone|inspect millstone|look in the millstone|search millstone"
    ),
    "examine oak door": "x oak door|x oak|look at north door|x north door",
    "open oak door": "open oak door|open the oak door|open north door",
    "close low hatch": "close low hatch|shut the hatch|close hatch",
    "unlock oak door with brass key": (
        "unlock oak door with brass key|unlock the oak door using the brass key|"
        "unlock north door with brass|unlock oak with the brass key"
    ),
    "lock oak door with brass key": "lock oak door with brass key|close oak door with brass key",
}


@pytest.mark.parametrize(
    ("typed", "line"),
    [(t, line) for line, sayings in SAYINGS.items() for t in sayings.split("|")],
)
def test_many_ways_to_say_the_same(typed: str, line: str) -> None:
    command = parse(typed, WORLD)
    assert isinstance(command, Command), command
    assert command.line == line


REJECTED = {
    "": "I beg your pardon?",
    "  \t ": "I beg your pardon?",
    "?!": "I beg your pardon?",
    "the": "I beg your pardon?",
    "yes": "There is nothing to say yes or no to; say what you want to do.",
    "x me": "You are as you always were.",
    "take me": "You had better leave yourself out of it.",
    "take": "What do you want to take?",
    "take the": "What do you want to take?",
    "x": "What do you want to examine?",
    "drop my": "What do you want to drop?",
    "unlock": "What do you want to unlock?",
    "unlock with brass key": "What do you want to unlock?",
    "unlock oak door": "What do you want to unlock the oak door with?",
    "unlock oak door with the": "What do you want to unlock the oak door with?",
    "lock oak door": "What do you want to lock the oak door with?",
    "open oak door with": "What do you want to open the oak door with?",
    "go": "Which way do you want to go?",
    "walk to the": "Which way do you want to go?",
    "go barn": "Which way? Name a direction, such as north or up.",
    "go to the barn": "Which way? Name a direction, such as north or up.",
    "enter the barn": "Which way? Name a direction, such as north or up.",
    "go north and east": "Which way? Name a direction, such as north or up.",
    "take sword": 'I don\'t know the word "sword".',
    "take silver sword": 'I don\'t know the word "sword".',
    "take café": 'I don\'t know the word "café".',
    "take 7": 'I don\'t know the word "7".',
    "unlock oak door with sword": 'I don\'t know the word "sword".',
    "unlock sword with brass key": 'I don\'t know the word "sword".',
    "x swallows": "You don't need to trouble yourself with that.",
    "x silver key": "You don't need to trouble yourself with that.",
    "look east": "You don't need to trouble yourself with that.",
    "xyzzy": 'I don\'t know how to "xyzzy". (HELP lists what you can say.)',
    "dance wildly": 'I don\'t know how to "dance". (HELP lists what you can say.)',
    "иди на север": 'I don\'t know how to "иди". (HELP lists what you can say.)',
    "iron key": "What do you want to do with the iron key?",
    "the cup": "What do you want to do with the silver cup?",
    "take key": "Which do you mean, the iron key or the brass key?",
    "unlock oak door with key": "Which do you mean, the iron key or the brass key?",
    "x" * (LONGEST + 1): f"That is 201 characters long; say it in {LONGEST}.",
    "take " * 2000: f"That is 10,000 characters long; say it in {LONGEST}.",
}


@pytest.mark.parametrize("typed", REJECTED, ids=lambda typed: typed[:30])
def test_what_is_not_understood_is_said_to_be_so(typed: str) -> None:
    assert parse(typed, WORLD) == Rejection(REJECTED[typed])


@pytest.mark.parametrize(
    ("typed", "near", "line"),
    [
        ("take key", ["brass key"], "take brass key"),
        ("take key", ["iron key", "oak door"], "take iron key"),
        ("take key", ["silver cup"], None),
        ("take key", ["iron key", "brass key"], None),
        ("take iron key", ["brass key"], "take iron key"),
        ("unlock door with key", ["oak door", "brass key"], "unlock oak door with brass key"),
        ("take cup", ["iron key"], "take silver cup"),
    ],
)
def test_what_is_at_hand_is_meant(typed: str, near: list[str], line: str | None) -> None:
    command = parse(typed, WORLD, near)
    assert (command.line if isinstance(command, Command) else None) == line


def with_things(*names: str, **synonyms: list[str]) -> World:
    table = mill_table()
    things = [
        {"name": n, "description": "It is.", "room": "Yard", "synonyms": synonyms.get(n, [])}
        for n in names
    ]
    return make_world({**table, "things": [*table["things"], *things]})


def test_a_whole_name_is_meant_before_a_part_of_one() -> None:
    world = with_things("key", "candle end")
    assert parse("take key", world, ["brass key"]) == Command("take key", "key")
    assert parse("take wax candle", world, ["candle end"]) == Command(
        "take wax candle", "wax candle"
    )


def test_a_synonym_of_something_far_gives_way_to_a_part_of_a_name_at_hand() -> None:
    world = with_things("crate", crate=["cup"])
    assert parse("x cup", world) == Command("examine crate", "crate")
    assert parse("x cup", world, ["silver cup"]) == Command("examine silver cup", "silver cup")


def test_three_that_could_be_meant_are_listed() -> None:
    said = parse("take key", with_things("bone key"))
    expected = "Which do you mean, the iron key, the brass key or the bone key?"
    assert said == Rejection(expected)


def test_every_thing_can_be_named_whatever_words_are_in_its_name() -> None:
    """Articles, prepositions and particles are left out of commands, but not out of names."""
    names = ["my hat", "hat", "man in black", "man", "jack-in-the-box", "pin-up", "this", "a"]
    names += ["sailors' chest", "o'brien's pipe", "look out", "take down pillow", "put away"]
    world = with_things(*names)
    for name in names:
        for verb in ("take", "drop", "examine", "open"):
            assert parse(f"{verb} {name}", world) == Command(f"{verb} {name}", name)
        key = parse(f"unlock oak door with {name}", world)
        assert key == Command(f"unlock oak door with {name}", "oak door")


def test_case_of_a_name_does_not_matter() -> None:
    world = with_things("letter from Ann")
    assert parse("READ LETTER FROM ANN", world) == Command(
        "examine letter from Ann", "letter from Ann"
    )


@pytest.mark.parametrize("typed", ["open oak door with brass key", "open the oak using brass"])
def test_to_open_with_a_key_is_to_unlock_and_open(typed: str) -> None:
    said = parse(typed, WORLD)
    assert isinstance(said, Command)
    assert said.lines == ("unlock oak door with brass key", "open oak door")
    assert (said.noun, said.phrase) == ("oak door", "open oak door with brass key")
    assert parse(said.phrase, WORLD) == said


def test_it_will_be_the_thing_a_command_was_about() -> None:
    assert parse("unlock north door with brass key", WORLD) == Command(
        "unlock oak door with brass key", "oak door"
    )
    assert parse("x cup", WORLD) == Command("examine silver cup", "silver cup")
    assert parse("north", WORLD) == Command("go north", "")


def test_control_characters_only_part_words() -> None:
    assert parse("take\x00iron\x1bkey\r\n", WORLD) == Command("take iron key", "iron key")


def test_every_known_verb_is_understood() -> None:
    for verb in KNOWN_VERBS:
        more = ("", " cup", " north", " oak door with iron key")
        said = [parse(f"{verb}{rest}", WORLD) for rest in more]
        assert any(isinstance(s, Command) for s in said), verb


@settings(deadline=None)
@given(st.text(max_size=LONGEST + 2))
def test_any_text_has_an_answer(text: str) -> None:
    said = parse(text, WORLD)
    assert isinstance(said, Rejection) or said.line.split()[0] in RULES


KNOWN_WORDS = sorted(
    {word for verb in KNOWN_VERBS for word in verb.split()}
    | {word for names in WORLD.names.values() for name in names for word in name.split()}
    | {"the", "with", "in", "on", "north", "up", "to", "away", "down"}
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(KNOWN_WORDS), max_size=6).map(" ".join))
def test_what_is_understood_can_be_played(text: str) -> None:
    """A canonical line is one the rules know, and it is its own canonical line."""
    said = parse(text, WORLD)
    if isinstance(said, Command):
        assert parse(said.phrase, WORLD) == said
        for line in said.lines:
            play(WORLD, start(WORLD), line)
            assert parse(line, WORLD) == Command(line, said.noun)
