"""The text that the network reads and writes: any change here is a new protocol."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mill import mill, mill_table

from adventure.world.generate import random_world
from adventure.world.pack import World, make_world
from adventure.world.prompt import (
    NOTHING,
    PROTOCOL,
    changed_keys,
    command_text,
    initial_records,
    memory_text,
    pack_text,
    parse_record,
    record_line,
    reply_text,
    room_view,
    shown,
)

TEXT = """\
<|pack|> The Mill
 Flour must be ground, and the cup found.
 Yard
 Weeds between the stones.
 Exits: north, east, down.
 Barn
 Straw and swallows.
 Exits: west, up.
 Pit
 A hole with steep walls.
 Exits: out.
 Loft
 Beams and cobwebs.
 Exits: south.
 Attic
 Dust.
 Exits: down.
 oak door
 Thick old planks.
 low hatch
 It has no lock.
 iron key
 Rusty.
 millstone
 It weighs a ton.
 brass key
 Bright.
 silver cup
 Dented.
 wax candle
 Half burnt.
 The End
 The sails begin to turn.
 Attic down: low hatch, a door.
 low hatch down: Barn.
 Barn up: low hatch, a door.
 low hatch up: Attic.
 Barn west: Yard.
 Loft south: oak door, a door.
 oak door south: Yard.
 Pit out: Yard.
 Yard down: Pit.
 Yard east: Barn.
 Yard north: oak door, a door.
 oak door north: Loft.
 oak door key: brass key.
 oak door: locked.
 low hatch: closed.
 iron key: portable.
 millstone: fixed.
 brass key: portable.
 silver cup: treasure.
 wax candle: portable.
 Loft awaits: silver cup.
 Yard holds: oak door, iron key, millstone.
 Barn holds: low hatch, brass key.
 Pit holds: silver cup.
 Loft holds: oak door.
 Attic holds: low hatch.
 You carry: wax candle.
 Treasures found: nothing.
 Game: on.
 At: Yard.
<|memory|>
"""

words = st.text(string.ascii_letters + "'-", min_size=1, max_size=9)
names = st.lists(words, min_size=1, max_size=4).map(" ".join)


def test_whole_prompt_of_a_world() -> None:
    assert pack_text(mill()) == TEXT
    assert PROTOCOL == 1


def test_prompt_follows_from_the_world_alone() -> None:
    """Not from where its file lies, nor from the order of keys in it."""
    turned = dict(reversed(mill_table().items()))
    assert pack_text(make_world(turned, name="elsewhere")) == TEXT


@settings(deadline=None)
@given(names, st.lists(names.filter(lambda name: name != NOTHING), max_size=6).map(tuple))
def test_every_record_is_read_back(key: str, items: tuple[str, ...]) -> None:
    assert parse_record(record_line(key, items)) == (key, items)


@pytest.mark.parametrize("line", ["", " lamp", " The End", " At: Hall", " At:Hall.", "At Hall."])
def test_other_lines_are_no_records(line: str) -> None:
    assert parse_record(line) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_world_has_one_record_under_every_key(seed: int) -> None:
    world = random_world(seed)
    lines = pack_text(world).split(" The End\n")[1].splitlines()[1:-1]
    records = [parse_record(line) for line in lines]
    assert dict(r for r in records if r) == initial_records(world)
    assert len(records) == len(initial_records(world))


def test_memory_is_the_latest_value_of_what_changed_in_order_of_change() -> None:
    a = {"At": ("Hall",), "lamp": ("portable",), "You carry": ()}
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
    assert command_text("take lamp") == "<|do|> take lamp\n"
    told = reply_text([" At: Hall.", " Hall holds: lamp."], " You take the lamp.")
    assert told == " At: Hall.\n Hall holds: lamp.\n<|say|> You take the lamp.\n<|end|>"
    assert reply_text([], " Time passes.") == "<|say|> Time passes.\n<|end|>"


def test_player_sees_a_reply_without_the_spaces_that_begin_its_lines() -> None:
    assert shown(" Hall\n Cold.\n Exits: north.\n") == "Hall\nCold.\nExits: north."


def test_room_without_exits_says_so() -> None:
    table = mill_table()
    del table["rooms"][2]["exits"]
    world: World = make_world(table)
    assert room_view(world, "Pit") == [" Pit", " A hole with steep walls.", " Exits: nothing."]
