"""The exact rules: the hidden lines and the reply of a perfect master, to the letter."""

from __future__ import annotations

import pytest
from workshop import TESTS, Typewriter, workshop

from adventure.referee.invariants import Reader, faults_of
from adventure.referee.rules import BLIND, RULES, Outcome, first, frozen, play, start
from adventure.world.pack import make_world
from adventure.world.parts import World
from adventure.world.prompt import Records

WORLD = workshop()
TRACES = (TESTS / "golden" / "hidden.trace").read_text(encoding="utf-8").split("\n\n")[1:]


def after(commands: str, world: World = WORLD) -> Records:
    """The records when canonical commands, parted by semicolons, have been played."""
    records = start(world)
    for line in commands.split("; "):
        records = play(world, records, line).records if line else records
    return records


@pytest.mark.parametrize("case", TRACES, ids=[case.partition("\n")[0] for case in TRACES])
def test_hidden_lines(case: str) -> None:
    title, *lines = case.strip("\n").split("\n")
    before, _, command = title.partition("| ")
    records = after(before.strip())
    outcome = play(WORLD, records, command)
    assert outcome.lines == [line for line in lines if not line.startswith(">")]
    assert outcome.reply.split("\n") == [line[1:] for line in lines if line.startswith(">")]
    assert Reader(WORLD).read(command, outcome.lines) == outcome.reply


def test_traces_show_every_rule() -> None:
    commands = [case.strip("\n").partition("\n")[0].rpartition("| ")[2] for case in TRACES]
    assert {*RULES} <= {command.partition("|")[0] for command in commands} | {"lock"}


def test_what_was_played_on_is_as_it_was_and_equal_states_are_equal() -> None:
    records = start(WORLD)
    held = frozen(records)
    outcome = play(WORLD, records, "take|tongs")
    assert frozen(records) == held != frozen(outcome.records)
    assert records is not outcome.records
    assert frozen(dict(reversed(records.items()))) == held
    assert {held: 1}[frozen(start(workshop()))] == 1


def test_the_same_turn_is_the_same_from_any_copy_of_the_records() -> None:
    records = after("on|oil lamp; go|down; take|rope")
    once = play(WORLD, records, "pull|rope")
    assert once == play(workshop(), dict(records), "pull|rope")


def test_which_form_is_told_is_chosen_from_outside() -> None:
    asked: list[tuple[str, int]] = []

    def last(kind: str, forms: int) -> int:
        asked.append((kind, forms))
        return forms - 1

    told = play(WORLD, start(WORLD), "take|tongs", last)
    assert asked == [("taken", 3)]
    assert (told.lines[-2], told.reply) == (" say taken or or", " You have the tongs now.")
    plain = play(WORLD, start(WORLD), "take|tongs", first)
    assert (plain.lines[-2], plain.reply) == (" say taken", " You take the tongs.")


def kind_of(commands: str, command: str) -> str:
    return play(WORLD, after(commands), command).kind


def test_a_kind_is_the_verb_and_what_was_told() -> None:
    assert kind_of("", "take|tongs") == "take: taken"
    assert kind_of("", "look") == "look: place exits see"
    assert kind_of("", "dance") == "dance: say"
    assert kind_of("wait; wait; wait", "wait") == "wait: wait comes"


@pytest.mark.parametrize("command", ["examine|rope", "take|rope", "look", "open|rope"])
def test_nothing_is_seen_in_the_dark(command: str) -> None:
    assert kind_of("go|down", command).endswith(": dark")


def test_a_rule_of_the_world_s_works_in_the_dark_too() -> None:
    assert kind_of("go|down", "pull|rope") == "pull: say"


@pytest.mark.parametrize("verb", BLIND)
def test_what_can_be_done_in_the_dark(verb: str) -> None:
    lines = {"go": "go|up", "on": "on|oil lamp", "off": "off|oil lamp", "drop": "drop|oil lamp"}
    nouns = {"talk": "|Old Marta", "ask": "|Old Marta|anything", "tell": "|Old Marta|anything"}
    line = lines.get(verb, verb + nouns.get(verb, ""))
    assert "dark" not in kind_of("go|down", line)


def test_a_finished_game_has_no_more_clocks() -> None:
    lost = play(WORLD, start(WORLD), "burn|shavings")
    assert lost.records["Game"] == ("lost",)
    assert lost.records["Clocks"] == start(WORLD)["Clocks"]


def test_a_treasure_is_a_deed_once() -> None:
    key = "go|east; take|iron key; go|west; unlock|tin box|iron key; open|tin box"
    records = after(f"{key}; take|gold coin; drop|gold coin; take|gold coin")
    assert records["Deeds"] == ("gold coin",)
    assert records["gold coin"] == ("you", "portable")


def test_a_person_walks_a_round_unless_a_rule_moves_them() -> None:
    run = Typewriter(WORLD)
    answers = [run.type("wait")[1:] for _ in range(12)]
    seen = {turn + 1: line for turn, lines in enumerate(answers) for line in lines}
    boy = "errand boy"
    come, gone = f"You notice the {boy} arriving.", f"You notice the {boy} leaving."
    assert seen == {4: come, 8: gone, 12: come}


def world_with(**table: object) -> World:
    rooms = [
        {"name": "Hall", "description": "Wide.", "exits": {"north": "Attic"}},
        {"name": "Attic", "description": "Low.", "dark": True, "exits": {"south": "Hall"}},
    ]
    things = [
        {"name": "lantern", "description": "Tin.", "in": "Attic", "light": True, "on": True},
        {"name": "jar", "description": "Glass.", "in": "Hall", "container": True},
    ]
    base = {"format": 1, "title": "T", "intro": "I.", "start": "Hall", "rooms": rooms}
    return make_world({**base, "things": things, **table})


def turns(world: World, *commands: str) -> Outcome:
    records = start(world)
    for command in commands:
        outcome = play(world, records, command)
        records = outcome.records
    return outcome


def test_a_light_lights_a_dark_room_wherever_it_shines_in_it() -> None:
    world = world_with()
    assert "Low." in turns(world, "go|north").reply
    assert "Low." in turns(world, "go|north", "take|lantern", "look").reply
    gone = turns(world, "go|north", "take|lantern", "go|south", "drop|lantern", "go|north")
    assert gone.reply == " Attic\n It is too dark to see."


def test_a_light_that_is_worn_shines_and_its_list_says_so() -> None:
    lamp = {"name": "lantern", "description": "Tin.", "in": "you", "light": True, "switch": True}
    world = world_with(things=[{**lamp, "wearable": True}])
    on = turns(world, "wear|lantern", "on|lantern")
    assert on.records["You carry"] == ("lantern (lit)",)
    assert "Low." in turns(world, "wear|lantern", "on|lantern", "go|north").reply
    assert "Low." in turns(world, "on|lantern", "wear|lantern", "go|north").reply
    off = turns(world, "on|lantern", "wear|lantern", "off|lantern")
    assert off.records["You carry"] == ("lantern (worn)",)
    assert "dark" in turns(world, "on|lantern", "wear|lantern", "off|lantern", "go|north").reply
    taken_off = turns(world, "wear|lantern", "on|lantern", "remove|lantern")
    assert taken_off.records["You carry"] == ("lantern (lit)",)
    worn, lit = turns(world, "wear|lantern"), turns(world, "wear|lantern", "on|lantern")
    assert not [*faults_of(Reader(world), worn.records, "on|lantern", lit)]


def test_a_light_in_or_on_something_or_held_gives_none() -> None:
    lamp = {"name": "lantern", "description": "Tin.", "light": True, "on": True}
    plate = {"name": "plate", "description": "Iron.", "in": "Attic", "supporter": True}
    boy = {"name": "boy", "description": "Ten.", "in": "Attic"}
    for where, seen in (("plate", False), ("boy", False), ("Attic", True), ("you", True)):
        world = world_with(things=[{**lamp, "in": where}, plate], people=[boy])
        assert ("Low." in turns(world, "go|north").reply) == seen, where


def test_a_dark_room_that_is_lit_is_headed_by_its_name() -> None:
    world = world_with()
    assert turns(world, "go|north", "take|lantern", "look").reply.startswith(" Attic\n")


def test_rules_of_one_command_are_tried_in_turn() -> None:
    rules = [
        {"when": "rub|jar", "needs": ["lantern carried"], "say": "Both glow."},
        {
            "when": "rub|jar",
            "needs": {"jar carried": "Pick it up.", "you in Attic": ""},
            "say": "Hm.",
        },
        {"when": "rub|jar", "in": "Hall", "say": "It squeaks.", "once": True, "again": "Enough."},
    ]
    world = world_with(rules=rules)
    assert turns(world, "rub|jar").reply == " Pick it up."
    assert turns(world, "take|jar", "rub|jar").reply == " It squeaks."
    assert turns(world, "take|jar", "rub|jar", "rub|jar").reply == " Enough."
    lit = ("go|north", "take|lantern", "go|south", "take|jar")
    assert turns(world, *lit, "rub|jar").reply == " Both glow."
    assert turns(world, "take|jar", "go|north", "rub|jar").reply == " Hm."


def test_ways_are_made_and_people_brought_by_rules() -> None:
    rules = [
        {"when": "push|jar", "then": ["Hall up leads to Attic"], "say": "A ladder drops."},
        {"when": "rub|jar", "then": ["djinn moves to Hall", "clock wish 1"], "say": "Smoke."},
    ]
    people = [{"name": "djinn", "description": "Blue.", "in": "nowhere"}]
    clocks = [{"name": "wish", "turns": 3, "say": "He waits.", "then": ["djinn moves to nowhere"]}]
    world = world_with(rules=rules, people=people, clocks=clocks)
    assert turns(world, "push|jar", "look").reply.endswith("Exits: north, up.\n You see: jar.")
    assert turns(world, "push|jar", "go|up").reply.startswith(" Attic\n Low.")
    said = turns(world, "rub|jar")
    assert said.reply == " Smoke.\n He waits.", "nobody is said to come whom the rule told of"
    assert said.records["djinn"] == ("nowhere", "person")
