"""What a session reads off the records: what is at hand, what ALL is, what was refused, points."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import cottage, cottage_with, new_session, say, tell_all

from adventure.play import readings
from adventure.play.session import Session
from adventure.world.parts import World
from adventure.world.script import FIELD, WHEN

OF = f"{FIELD} "


def attic(**changes: Any) -> World:
    """The cottage with a loft full of things: shut, worn, lit, held, and a clock that goes."""
    table: dict[str, Any] = {
        "rooms": [
            {
                "name": "Loft",
                "description": "Dust.",
                "exits": {"down": "Garden"},
                "dark": True,
                "scenery": {"loft window, skylight": "A square of sky."},
            }
        ],
        "things": [
            {"name": "shop window", "description": "Plate glass.", "in": "Parlour", "fixed": True},
            {
                "name": "oil lamp",
                "description": "Sooty.",
                "in": "you",
                "light": True,
                "switch": True,
                "on": True,
            },
            {"name": "straw hat", "description": "Frayed.", "in": "worn", "wearable": True},
            {"name": "mitten", "description": "Odd.", "in": "you", "wearable": True},
            {"name": "red box", "description": "Tin.", "in": "Loft", "container": True},
            {"name": "red ball", "description": "Rubber.", "in": "red box"},
            {"name": "blue ball", "description": "Glass.", "in": "Parlour"},
            {
                "name": "sea chest",
                "description": "Oak.",
                "in": "Loft",
                "fixed": True,
                "container": True,
                "openable": True,
            },
            {"name": "silver spoon", "description": "Thin.", "in": "sea chest", "treasure": True},
            {"name": "shawl", "description": "Grey.", "in": "Old Marta"},
        ],
        "people": [
            {"name": "Old Marta", "description": "She naps.", "in": "Loft", "talk": "She snores."},
            {"name": "Bruno", "description": "A cat.", "in": "Loft", "talk": "He purrs."},
        ],
    }
    return cottage_with(**{**table, **changes})


@pytest.fixture
def loft() -> Session:
    """A game that begins there."""
    return new_session(world=attic().model_copy(update={"start": "Loft"}))


def carried(game: Session) -> set[str]:
    return set(game.items("You carry"))


# -- what is at hand -----------------------------------------------------------------------------


def test_nouns_mean_what_is_at_hand_also_inside_and_as_scenery(loft: Session) -> None:
    assert say(loft, "x window") == "A square of sky.\n"
    assert say(loft, "x ball") == "Rubber.\n"
    assert say(loft, "x oil") == "Sooty.\nAt the moment: on.\n"
    assert say(loft, "x straw") == "Frayed.\n"
    say(loft, "take ball", "put it in chest")
    assert say(loft, "x ball").startswith("Rubber.")  # in hand: the chest is shut
    say(loft, "open chest", "put ball in chest", "close chest", "open chest")
    assert say(loft, "x ball") == "Rubber.\n"
    say(loft, "close chest")
    assert say(loft, "x ball") == "You can't see the red ball here.\n"  # nobody saw a blue one


def test_one_drops_what_one_has_and_takes_what_one_has_not() -> None:
    balls = [{"name": f"{c} ball", "description": c, "in": "Garden"} for c in ("red", "blue")]
    game = new_session(world=cottage_with(things=balls))
    assert say(game, "take ball").startswith("Which do you mean")
    assert say(game, "take red ball. take ball") == "Taken: the red ball.\nTaken: the blue ball.\n"
    assert say(game, "drop ball").startswith("Which do you mean")
    assert say(game, "drop red ball. drop ball").endswith("Dropped: the blue ball.\n")
    assert say(game, "x ball").startswith("Which do you mean")


def test_nothing_is_at_hand_in_the_dark_but_what_is_carried(loft: Session) -> None:
    say(loft, "turn off oil lamp")
    world, records = loft.world, loft.position.records
    assert readings.too_dark(world, records)
    assert set(readings.at_hand(world, records)) == {"lamp", "oil lamp", "straw hat", "mitten"}
    before = loft.turns
    assert say(loft, "take all") == "It is too dark to see what there is to take."
    assert loft.turns == before


def test_all_is_what_lies_about(loft: Session) -> None:
    """In what is open, too; not what is held, fixed, or shut away."""
    say(loft, "take all")
    assert carried(loft) >= {"red box", "red ball"}
    assert not carried(loft) & {"shawl", "silver spoon", "sea chest"}
    say(loft, "open chest", "take all but red things")
    assert "silver spoon" in carried(loft)


def test_all_from_something(loft: Session) -> None:
    nothing = "You can't see anything there to take."
    assert say(loft, "take all from chest") == nothing
    say(loft, "open chest", "get everything out of it")
    assert "silver spoon" in carried(loft) and "red ball" not in carried(loft)
    assert say(loft, "take all from sea chest") == nothing
    assert say(loft, "take all from moon") == 'I don\'t know the word "moon".'


def test_all_into_something_keeps_the_light_and_what_is_worn(loft: Session) -> None:
    assert say(loft, "put all") == "Where do you want to put them?"
    say(loft, "in the red box")
    assert loft.items("red box holds") == ("red ball", "lamp", "mitten")
    assert carried(loft) == {"oil lamp (lit)", "straw hat (worn)"}
    say(loft, "take all from box. put red ball and lamp on box")
    assert loft.items("red box holds") == ("red ball", "lamp")


def test_all_given_worn_and_taken_off(loft: Session) -> None:
    say(loft, "wear all")
    assert carried(loft) >= {"mitten (worn)", "straw hat (worn)", "lamp"}
    say(loft, "take off all")
    assert "You are wearing nothing." in say(loft, "remove everything")
    assert say(loft, "give all") == "Who do you want to give them to?"
    assert say(loft, "Bruno").count("to Bruno, without success") == 4
    say(loft, "wear straw hat. drop all")
    assert carried(loft) == {"straw hat (worn)"}


def test_him_and_her_are_the_person_named_last(loft: Session) -> None:
    assert say(loft, "talk to her") == "I don't know yet who you mean; say the name."
    say(loft, "talk to marta", "x hat")
    assert say(loft, "talk to her") == "She snores.\n"
    say(loft, "give mitten to bruno")
    assert say(loft, "talk to him") == "He purrs.\n"
    loft.undo()
    loft.undo()
    assert say(loft, "talk to her") == "She snores.\n"
    assert say(loft, "x it") == "She naps.\n"


# -- what a turn did -----------------------------------------------------------------------------

RULES: list[dict[str, Any]] = [
    {
        "when": "push|workbench",
        "needs": {"brass key carried": "It won't budge."},
        "then": ["deed pushed it"],
        "say": "It moves.",
        "once": True,
        "again": "It has moved.",
    },
    {"when": "go|west", "in": "Shed", "needs": ["brass key carried"], "say": "A bird flies in."},
    {"when": "take|dry log", "say": "A splinter! You let go."},
    {"when": "ask|Jo|tar", "needs": {"pushed it done": "He waits."}, "say": "He nods."},
]


def shed() -> Session:
    jo = {"name": "Jo", "description": "He waits.", "in": "Shed", "route": ["Shed", "Garden"]}
    clock = {"name": "tick", "turns": 1, "running": True, "every": True, "say": "Tick."}
    changes = {"rules": RULES, "people": [{**jo, "every": 9}], "clocks": [clock]}
    world = cottage(**changes, deeds={"pushed it": 7}, start="Shed", hints=["Push.", "Harder."])
    return new_session(world=world)


@pytest.mark.parametrize(
    ("typed", "turns"),
    [
        ("x moon. i", 0),  # not understood
        ("x lamp. i", 2),
        ("x green door. i", 1),  # absent
        ("take log. i", 1),  # the author's words, and nothing changed but the clocks
        ("push workbench. i", 1),  # a condition of the author's
        ("take key. push workbench. push it. i", 4),  # told again: no refusal
        ("take key. w. i", 2),  # nobody went anywhere
        ("ask jo about tar. i", 2),  # an answer is an answer
        ("eat lamp. i", 1),
        ("w. w. i", 2),
        ("take lamp. i", 1),
        ("push lamp. i", 2),  # "nothing happens" is no refusal
    ],
)
def test_what_is_refused_ends_the_line(typed: str, turns: int) -> None:
    game = shed()
    say(game, typed)
    assert game.turns == turns


def test_arriving_in_the_dark_is_no_refusal() -> None:
    game = new_session(world=attic())
    before = game.position.records
    lines = [" say place", " say dark", " Clocks: nothing."]
    there = {**before, "At": ("Loft", "dark")}
    assert not readings.refused("go|up", lines, before, there)
    assert readings.refused("take|mitten", lines, before, before)


def test_the_clocks_part_of_a_turn() -> None:
    rule = [" At: Shed.", f" so{OF}clock{OF}tide{OF}5", " Clocks: tide 5.", " say"]
    lines = [*rule, " Clocks: tide 4."]
    assert readings.before_clocks(lines) == rule
    assert readings.before_clocks(rule) == rule
    assert readings.paragraphs(cottage(), [" Shed", " say place", *lines, f"{WHEN} look"]) == 3


def test_a_look_tells_nothing_of_what_the_clocks_would_do() -> None:
    game = shed()
    assert "Tick." not in tell_all(game.introduction())
    assert "You see: Jo, brass key" in tell_all(game.look())
    assert say(game, "look").endswith("workbench.\n\nTick.\n")
    assert say(game, "take log") == "A splinter! You let go.\n\nTick.\n"


# -- what it earned ------------------------------------------------------------------------------


def test_score_counts_deeds_and_treasures_and_takes_no_time() -> None:
    game = shed()
    assert say(game, "score") == "So far: nothing.\n[0 of 12 points, 0 turns.]"
    text = say(game, "take key. push workbench. take ring. score")
    assert text.endswith("So far: pushed it, gold ring.\n[12 of 12 points, 3 turns.]")
    assert (game.score, game.max_score, game.turns) == (12, 12, 3)


def test_hints_come_one_by_one() -> None:
    game = shed()
    assert [game.hint() for _ in range(4)] == ["Push.", "Harder.", "", ""]
    game.restart()
    assert game.hints == 2
