"""What the network reads: the whole prompt of a small world, its records, and a turn as text."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workshop import workshop

from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.pack import make_world
from adventure.world.prompt import (
    DO,
    MEMORY,
    NOTHING,
    PROTOCOL,
    SPECIALS,
    changed_keys,
    command_text,
    initial_records,
    list_key,
    listed,
    memory_text,
    pack_text,
    parse_record,
    record_line,
    reply_text,
    say_line,
    shown,
)
from adventure.world.script import WHEN

TABLE = {
    "format": 1,
    "title": "The Mill",
    "intro": "Carry the cup\n  to the loft.",
    "start": "Yard",
    "deeds": {"rang the bell": 3},
    "replies": {"taken": ["You take *.", "Yours: *."]},
    "rooms": [
        {
            "name": "Yard",
            "description": "Weeds between the stones.",
            "exits": {"down": "Pit"},
            "scenery": {"weeds, nettles": "They sting."},
        },
        {"name": "Pit", "description": "A hole.", "exits": {"up": "Yard"}, "dark": True},
        {"name": "Loft", "description": "Sacks and a wheel.", "first": "Doves fly up."},
    ],
    "doors": [
        {
            "name": "oak door",
            "description": "Thick old planks.",
            "from": "Yard",
            "direction": "north",
            "to": "Loft",
            "locked": True,
            "key": "iron key",
        }
    ],
    "things": [
        {"name": "iron key", "description": "Rusty.", "in": "miller"},
        {
            "name": "chest",
            "description": "Big.",
            "in": "Pit",
            "container": True,
            "openable": True,
            "fixed": True,
        },
        {
            "name": "lamp",
            "description": "Oily.",
            "in": "you",
            "light": True,
            "switch": True,
            "on": True,
        },
        {"name": "cap", "description": "Flat.", "in": "worn", "wearable": True},
        {"name": "bell", "description": "Cracked.", "in": "chest", "states": ["mute", "ringing"]},
    ],
    "people": [
        {
            "name": "miller",
            "description": "White.",
            "in": "Yard",
            "route": ["Yard", "Pit"],
            "every": 2,
            "topics": {"flour, bread": "He sneezes."},
        }
    ],
    "rules": [
        {
            "when": ["ring|bell", "shake|bell"],
            "needs": {"bell carried": "It is out of reach."},
            "then": ["bell becomes ringing", "deed rang the bell", "Pit east leads to Loft"],
            "say": "Clang.",
            "once": True,
        }
    ],
    "clocks": [{"name": "grain", "turns": 4, "running": True, "say": "It runs out."}],
}
HEAD = """<|pack|> The Mill
 Carry the cup to the loft.
 say place
<|first|>
 say exits
 Exits:<|all|>.
"""
TAKEN = """ say taken
 You take<|noun|>.
 say taken or
 Yours:<|noun|>.
 say treasure
"""
BODY = """\
 Yard
 Weeds between the stones.
 Pit
 A hole.
 Loft
 Sacks and a wheel.
 oak door
 Thick old planks.
 iron key
 Rusty.
 chest
 Big.
 lamp
 Oily.
 cap
 Flat.
 bell
 Cracked.
 miller
 White.
 weeds
 They sting.
<|when|> arrive<|of|> Loft
 if<|of|> new
 usual
 so<|of|> new<|of|> becomes<|of|> old
 say
 Doves fly up.
 end
<|when|> ring<|of|> bell
 if<|of|> bell<|of|> here
 usual
 if<|of|> new
 usual
 if<|of|> bell<|of|> carried
<|when|> ring<|of|> bell but
 so<|of|> new<|of|> becomes<|of|> old
 say
 Clang.
 so<|of|> bell<|of|> becomes<|of|> ringing
 so<|of|> deed<|of|> rang the bell
 so<|of|> Pit east<|of|> leads to<|of|> Loft<|of|> story
 end
<|when|> ring<|of|> bell but
 say
 It is out of reach.
 end
<|when|> ask<|of|> miller<|of|> flour
 if<|of|> miller<|of|> here
 usual
 say
 He sneezes.
 end
<|when|> clock<|of|> grain
 say
 It runs out.
 end
<|when|> clock<|of|> miller
 so<|of|> clock<|of|> miller<|of|> 2
 if<|of|> miller<|of|> in<|of|> Yard
<|when|> clock<|of|> miller or
 so<|of|> miller<|of|> moves to<|of|> Pit
 end
<|when|> clock<|of|> miller or
 if<|of|> miller<|of|> in<|of|> Pit
 usual
 so<|of|> miller<|of|> moves to<|of|> Yard
 end
 Loft south: oak door, a door.
 oak door south: Yard.
 Pit up: Yard.
 Yard down: Pit, dark.
 Yard north: oak door, a door.
 oak door north: Loft, story.
 Yard exits: north, down.
 Pit exits: up.
 Loft exits: south.
 oak door key: iron key.
 oak door: Yard, Loft, door, locked.
 iron key: miller, portable.
 chest: Pit, fixed, container, closed.
 lamp: you, portable, light, switch, on.
 cap: worn, portable, wearable.
 bell: chest, portable, mute.
 miller: Yard, person.
 weeds: Yard, scenery.
 Pit east: nothing.
 arrive Loft was: new.
 ring bell was: new.
 Yard holds: oak door, miller.
 Pit holds: chest.
 Loft holds: oak door.
 chest holds: bell.
 miller holds: iron key.
 You carry: lamp (lit), cap (worn).
 Deeds: nothing.
 Clocks: grain 4, miller 2.
 Game: on.
 At: Yard.
<|memory|>
"""


def test_whole_prompt_of_a_world() -> None:
    text = pack_text(make_world(TABLE))
    assert text.startswith(HEAD) and TAKEN in text
    assert text.endswith(BODY)
    assert PROTOCOL == 4


def test_prompt_follows_from_the_world_alone() -> None:
    """Not from where its file lies, nor from the order of keys in it."""
    turned = dict(reversed(TABLE.items()))
    assert pack_text(make_world(turned, name="elsewhere")) == pack_text(make_world(TABLE))


@pytest.mark.parametrize("seed", range(12))
def test_every_line_begins_with_a_space_or_a_mark_of_its_own(seed: int) -> None:
    """So a name is tokenised alike wherever it stands."""
    lines = pack_text(random_world(seed)).splitlines()
    assert all(line.startswith((" ", *SPECIALS)) for line in lines)
    assert lines[-1] == MEMORY and not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("seed", range(12))
def test_a_world_has_one_record_under_every_key(seed: int) -> None:
    world = random_world(seed)
    lines = pack_text(world).splitlines()
    known = initial_records(world)
    records = [parse_record(line) for line in lines[-1 - len(known) : -1]]
    assert dict(record for record in records if record) == known
    assert len(set(known)) == len(records)


@pytest.mark.parametrize("seed", range(8))
def test_hidden_lines_are_copied_from_the_pack(seed: int) -> None:
    """All but records that have changed: a line of the author's stands in the pack as it is."""
    world = random_world(seed)
    pack = set(pack_text(world).splitlines())
    records = start(world)
    for line in [*world.alias, *(f"talk|{person.name}" for person in world.people), "look"]:
        outcome = play(world, records, line)
        hidden = [text for text in outcome.lines if parse_record(text) is None]
        assert set(hidden) <= pack
        assert not any(text.startswith(WHEN) and text not in pack for text in outcome.lines)


words = st.text(string.ascii_letters + "'-", min_size=1, max_size=9)
names = st.lists(words, min_size=1, max_size=4).map(" ".join)


@settings(deadline=None)
@given(names, st.lists(names.filter(lambda name: name != NOTHING), max_size=6).map(tuple))
def test_every_record_is_read_back(key: str, items: tuple[str, ...]) -> None:
    assert parse_record(record_line(key, items)) == (key, items)


@pytest.mark.parametrize("line", ["", " lamp", " say taken", " At: Hall", " At:Hall.", "At Hall."])
def test_other_lines_are_no_records(line: str) -> None:
    assert parse_record(line) is None


def test_lists_say_what_is_worn_and_lit() -> None:
    assert listed("cap", "worn", False) == "cap (worn)"
    assert listed("lamp", "you", True) == listed("lamp", "worn", True) == "lamp (lit)"
    world = workshop()
    keys = {"you": "You carry", "worn": "You carry", "nowhere": "", "Yard": "Yard holds"}
    assert {place: list_key(world, place) for place in keys} == keys


def test_memory_is_the_latest_value_of_what_changed_in_order_of_change() -> None:
    a = {"At": ("Hall",), "lamp": ("Hall", "portable"), "You carry": ()}
    b = {**a, "You carry": ("lamp",)}
    c = {**b, "At": ("Cellar",)}
    d = {**c, "You carry": ("lamp", "jar")}
    order = changed_keys([], a, b)
    assert order == ["You carry"]
    order = changed_keys(order, b, c)
    assert order == ["You carry", "At"]
    assert changed_keys(order, c, c) == order
    order = changed_keys(order, c, d)
    assert order == ["At", "You carry"]
    assert memory_text(d, order) == " At: Cellar.\n You carry: lamp, jar.\n"
    assert memory_text(d, []) == ""


def test_what_changes_back_stays_in_memory() -> None:
    """The opening says something else in between, so silence would not do."""
    there, here = {"At": ("Hall",)}, {"At": ("Cellar",)}
    order = changed_keys(changed_keys([], there, here), here, there)
    assert memory_text(there, order) == " At: Hall.\n"


def test_turn_as_text() -> None:
    assert command_text("put|lamp|tin box") == f"{DO} put<|of|> lamp<|of|> tin box\n"
    assert [say_line("taken", form) for form in range(3)] == [
        " say taken",
        " say taken or",
        " say taken or or",
    ]
    told = reply_text([" At: Hall.", " say taken"], " You take the lamp.")
    assert told == " At: Hall.\n say taken\n<|say|> You take the lamp.\n<|end|>"
    assert reply_text([], " Time passes.") == "<|say|> Time passes.\n<|end|>"


def test_player_sees_a_reply_without_the_spaces_that_begin_its_lines() -> None:
    assert shown(" Hall\n Cold.\n Exits: north.\n") == "Hall\nCold.\nExits: north."
