"""Random worlds: the same for the same seed, fit to play, and with no held-out word in training."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adventure.errors import PackError
from adventure.world import generate
from adventure.world.faults import RESERVED_NAMES
from adventure.world.generate import LARGER_ROOMS, TRAIN_ROOMS, random_world
from adventure.world.pack import World
from adventure.world.parts import OPPOSITE
from adventure.world.words import WORD_LISTS, Stock, is_held_out

ROOT = Path(__file__).resolve().parents[1]
FIXED = set(re.findall(r"[a-z'-]+", re.sub(r"{.}", "", " ".join(generate._PATTERNS)).lower()))
SEEDS = range(60)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [random_world(seed) for seed in SEEDS]


def drawn_words(world: World) -> set[str]:
    """Every word that came from the stock."""
    texts = [world.title, world.intro, world.ending.text]
    texts += [text for part in world.parts for text in (part.name, part.description)]
    return set(re.findall(r"[a-z'-]+", " ".join(texts).lower())) - FIXED - {"of"}


def test_the_worlds_of_all_seeds_are_what_they_were(worlds: list[World]) -> None:
    """What was trained and what was measured hangs on them, to the letter."""
    together = hashlib.sha256("".join(world.digest for world in worlds).encode())
    assert together.hexdigest()[:16] == "75ab08e3cb871279"


def test_a_fault_that_is_no_chance_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing on would never end."""
    monkeypatch.setattr(generate, "_PATTERNS", ("<|.",))
    monkeypatch.setattr(generate, "_TRIES", 5)
    with pytest.raises(PackError, match=r"holds '<\|'"):
        random_world(1)


def test_a_seed_gives_the_same_world_in_every_process(worlds: list[World]) -> None:
    code = (
        "from adventure.world.generate import random_world;"
        "print(*(random_world(seed).digest for seed in range(5)), sep='\\n')"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert ran.stdout.split() == [world.digest for world in worlds[:5]], ran.stderr


def test_seeds_give_different_worlds(worlds: list[World]) -> None:
    assert len({world.digest for world in worlds}) == len(worlds)
    assert random_world(1, held_out=True).digest != worlds[1].digest


def test_training_worlds_hold_no_held_out_word(worlds: list[World]) -> None:
    drawn = set[str]().union(*map(drawn_words, worlds))
    assert len(drawn) > 1000
    assert [word for word in sorted(drawn) if is_held_out(word)] == []


def test_held_out_worlds_hold_nothing_else() -> None:
    for seed in range(12):
        drawn = drawn_words(random_world(seed, held_out=True))
        assert [word for word in sorted(drawn) if not is_held_out(word)] == []


def test_each_list_of_words_has_enough_on_both_sides() -> None:
    for words in WORD_LISTS:
        held = sum(is_held_out(word) for word in set(words))
        assert 0 < held < len(set(words)) / 2, words[:3]


def test_stock_without_a_word_on_its_side_says_so() -> None:
    with pytest.raises(ValueError, match="no word on this side"):
        Stock(random.Random(0), held_out=not is_held_out("lamp"), pseudo=0).draw(["lamp"])


@pytest.mark.parametrize("rooms", [TRAIN_ROOMS, LARGER_ROOMS, (3, 3)])
def test_size_is_as_asked(rooms: tuple[int, int]) -> None:
    for seed in range(8):
        assert rooms[0] <= len(random_world(seed, rooms=rooms).rooms) <= rooms[1]
    assert LARGER_ROOMS[0] > TRAIN_ROOMS[1]


def test_worlds_show_everything_that_the_format_has(worlds: list[World]) -> None:
    doors = {door.kind for world in worlds for door in world.doors}
    things = {thing.kind for world in worlds for thing in world.things}
    assert doors == {"open", "closed", "locked"}
    assert things == {"portable", "fixed", "treasure"}
    assert any(thing.carried for world in worlds for thing in world.things)
    assert any(door.key is None for world in worlds for door in world.doors)
    assert {d for world in worlds for _, d in world.ways} == set(OPPOSITE)
    one_way = [
        (room, way)
        for world in worlds
        for (room, way), (target, _) in world.ways.items()
        if world.ways.get((target, OPPOSITE[way]), ("",))[0] != room
    ]
    assert len(one_way) > 10


def test_no_thing_is_called_as_a_door_s_key_is_noted() -> None:
    """`oak door key: brass key.` and `oak door key: portable.` would be one record."""
    maker = generate._Maker(random.Random(0), held_out=False, rooms=(3, 3), pseudo=0, long=0)
    maker.taken |= {"oak door", "gate key", "lamp"}
    maker.door_names.add("oak door")
    assert not maker._is_free("oak door key", door=False)
    assert not maker._is_free("gate", door=True)
    assert maker._is_free("oak key", door=False) and maker._is_free("lamp key", door=False)
    assert maker._is_free("gate", door=False)


def test_reserved_names_are_those_that_worlds_were_first_drawn_with() -> None:
    """They take part in the drawing: a change here would silently change every training world."""
    assert sorted(RESERVED_NAMES) == [
        *("at", "exits", "game", "the end", "treasures found", "you", "you carry", "you see")
    ]
