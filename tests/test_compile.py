"""An author's rules, clocks, topics and first visits -> blocks of short lines."""

from __future__ import annotations

import pytest
from workshop import workshop

from adventure.world.compile import blocks_of, condition, effect
from adventure.world.parts import World
from adventure.world.script import FIELD, WHEN, Block, Op, block_text, heading

WORLD = workshop()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("iron key carried", ("iron key", "carried")),
        ("iron key not carried", ("iron key", "not carried")),
        ("iron key here", ("iron key", "here")),
        ("iron key not here", ("iron key", "not here")),
        ("iron key in tin box", ("iron key", "in", "tin box")),
        ("iron key not in Yard", ("iron key", "not in", "Yard")),
        ("dial is at rest", ("dial", "is", "at rest")),
        ("oak door is not locked", ("oak door", "is not", "locked")),
        ("you in Yard", ("you", "in", "Yard")),
        ("you not in Yard", ("you", "not in", "Yard")),
        ("set the clock going done", ("Deeds", "done", "set the clock going")),
        ("set the clock going not done", ("Deeds", "not done", "set the clock going")),
    ],
)
def test_conditions(text: str, fields: tuple[str, ...]) -> None:
    assert condition(f" {text} ") == Op("if", fields)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("dial becomes at work", ("dial", "becomes", "at work")),
        ("iron key moves to nowhere", ("iron key", "moves to", "nowhere")),
        ("Yard north leads to Loft", ("Yard north", "leads to", "Loft")),
        ("Yard down leads to Cellar", ("Yard down", "leads to", "Cellar", "dark")),
        ("Loft down leads to Yard", ("Loft down", "leads to", "Yard", "story")),
        ("you go to Yard", ("you", "go to", "Yard", "story")),
        ("deed set the clock going", ("deed", "set the clock going")),
        ("clock chime 12", ("clock", "chime", "12")),
        ("clock chime off", ("clock", "chime", "off")),
        ("game won", ("game", "won")),
    ],
)
def test_effects(text: str, fields: tuple[str, ...]) -> None:
    assert effect(text, WORLD) == Op("so", fields)


@pytest.mark.parametrize("text", ["", "iron key", "if iron key", "iron key has rust"])
def test_other_words_are_neither(text: str) -> None:
    with pytest.raises(ValueError, match="not a condition"):
        condition(text)
    with pytest.raises(ValueError, match="not an effect"):
        effect(text, WORLD)


def block(key: str, world: World = WORLD) -> list[str]:
    """A block's lines, the marks made readable."""
    lines = block_text(blocks_of(world)[key])
    return [line.replace(FIELD, " /").replace(WHEN, "WHEN") for line in lines]


def test_a_rule_done_once_with_a_refusal() -> None:
    assert block("pull|rope") == [
        "WHEN pull / rope",
        " if / rope / here",
        " usual",
        " if / new",
        "WHEN pull / rope but",
        " if / rope / carried",
        "WHEN pull / rope but but",
        " so / new / becomes / old",
        " say",
        " You pull. Somewhere a stone moves.",
        " so / Cellar north / leads to / Yard / story",
        " end",
    ]
    refusals = [block(f"pull|rope{' but' * n}")[2] for n in (1, 2)]
    assert refusals == [
        " Nothing is left at the other end.",
        " You would have to have it in your hands.",
    ]


def test_commands_of_one_rule_share_a_block() -> None:
    assert "turn|great clock" not in blocks_of(WORLD)
    assert WORLD.alias["turn|great clock"] == "wind up|great clock"
    assert WORLD.alias["wind up|great clock"] == "wind up|great clock"


def test_topics_first_visits_texts_and_endings_are_blocks() -> None:
    assert block("ask|Old Marta|clock")[-2:] == [
        ' "It wants winding," says Old Marta. "Don\'t we all."',
        " end",
    ]
    assert block("ask|Old Marta|anything")[1] == " if / Old Marta / here"
    assert block("talk|Old Marta")[-2].startswith(' "Mind the glue')
    assert block("read|notice")[-2] == " PLEASE WIND THE CLOCK."
    assert block("arrive|Yard")[1:4] == [" if / new", " usual", " so / new / becomes / old"]
    assert block("drop|gold coin")[-5:] == [
        " so / gold coin / moves to / Loft",
        " so / game / won",
        " say",
        " The coin lies where it always lay. The swallows settle.",
        " end",
    ]


def test_a_route_is_a_clock_that_winds_itself() -> None:
    assert block("clock|errand boy") == [
        "WHEN clock / errand boy",
        " so / clock / errand boy / 4",
        " if / errand boy / in / Yard",
        "WHEN clock / errand boy or",
        " so / errand boy / moves to / Workshop",
        " end",
    ]
    assert block("clock|errand boy or")[2] == " usual"


def with_table(**keys: object) -> World:
    room = {"name": "Hall", "description": "Wide."}
    jar = {"name": "jar", "description": "Glass.", "in": "Hall", "text": "JAM"}
    base = {"format": 1, "title": "T", "intro": "I.", "start": "Hall", "rooms": [room]}
    return World.model_validate({**base, "things": [jar], **keys})


def test_rules_come_before_what_the_pack_says_otherwise() -> None:
    rule = {"when": "read|jar", "needs": ["jar carried"], "say": "SMALL PRINT"}
    world = with_table(rules=[rule])
    assert block("read|jar", world)[3:5] == [" if / jar / carried", "WHEN read / jar or"]
    assert block("read|jar or", world)[-2] == " JAM"


def test_the_same_refusal_is_written_once() -> None:
    needs = {"jar carried": "No.", "jar here": "No.", "you in Hall": "Never."}
    world = with_table(rules=[{"when": "rub|jar", "needs": needs, "say": "Yes."}])
    keys = [key for key in blocks_of(world) if key.startswith("rub|jar")]
    assert keys == ["rub|jar", "rub|jar but", "rub|jar but but"]


def test_clocks_that_begin_anew_do_so_whatever_they_need() -> None:
    clock = {"name": "tide", "turns": 5, "every": True, "needs": ["you in Hall"], "say": "Wet."}
    lines = block("clock|tide", with_table(clocks=[clock]))
    assert lines[1:3] == [" so / clock / tide / 5", " if / you / in / Hall"]


def test_prose_is_one_line() -> None:
    world = with_table(rules=[{"when": "rub|jar", "say": "One\n  two."}])
    assert block("rub|jar", world)[-2] == " One two."


def test_blocks_are_made_once_and_know_their_headings() -> None:
    assert blocks_of(WORLD) is blocks_of(WORLD)
    assert all(key == found.key for key, found in blocks_of(WORLD).items())
    assert heading("put|lamp|box") == f"{WHEN} put{FIELD} lamp{FIELD} box"
    assert block_text(Block("x", (Op("usual"),))) == [f"{WHEN} x", " usual"]
