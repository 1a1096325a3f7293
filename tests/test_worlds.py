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

from adventure.referee.rules import play, start
from adventure.world import random_grammars, random_names, random_prose, words
from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS, faults
from adventure.world.generate import LARGER_ROOMS, MOST_ROOMS, TRAIN_ROOMS, random_world
from adventure.world.parts import OPPOSITE, Thing, World
from adventure.world.prompt import pack_text
from adventure.world.random_names import Names
from adventure.world.random_words import KINDS, wordnet
from adventure.world.words import WORD_LISTS, Stock, is_held_out

ROOT = Path(__file__).resolve().parents[1]
GRAMMARS = [
    text
    for grammar in random_grammars.STYLES.values()
    for texts in grammar.values()
    for text in texts
]
PATTERNS = " ".join(
    (*random_prose._PATTERNS, *random_prose._OWN_WAYS, *random_grammars.WAYS, *GRAMMARS)
)
LISTS = (*WORD_LISTS, words.PEOPLE, words.SHAPES, words.KITS, words.STANDS, words.MEALS)
LISTS += (words.BASES, words.PASTS, words.DOINGS)
SEEDS = range(60)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [random_world(seed) for seed in SEEDS]


def words_of(text: str) -> set[str]:
    """Its words, small; of `keeper's` and `ash-bright` their parts."""
    words = re.findall(r"[a-z'-]+", text.lower().replace("\u2019", "'"))
    parts = (word.strip("-'").removesuffix("'s") for word in words)
    return {part for word in parts for part in ([word] if word in STOCK else word.split("-"))}


STOCK = {word.lower() for each in LISTS for word in each}
FIXED = words_of(re.sub(r"{.*?}", "", PATTERNS)) | random_names._OF_RECORDS
FIXED |= {"of", "behind", "beyond", "under", "an", "and", "", *random_prose.NUMBERS, *OPPOSITE}


def drawn_words(world: World) -> set[str]:
    """Every word that came from the stock."""
    texts = [world.title, world.intro, world.ending.text if world.ending else ""]
    texts += [text for part in world.parts for text in (part.name, part.description)]
    return words_of(" ".join(texts)) - FIXED


def test_the_worlds_of_all_seeds_are_what_they_were(worlds: list[World]) -> None:
    """What was trained and what was measured hangs on them, to the letter."""
    together = hashlib.sha256("".join(map(pack_text, worlds)).encode())
    assert together.hexdigest()[:16] == "2bf7f33bef41ea29"


def test_what_is_drawn_is_fit_to_play(worlds: list[World]) -> None:
    """Hardly anything that an author would be told of is left to chance."""
    found = [said for world in worlds for _, said in faults(world)]
    assert [said for said in found if "that is read as" not in said] == []
    clean = sum(next(faults(world), None) is None for world in worlds)
    assert clean > len(worlds) * 0.95, clean


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
    for each in (*LISTS, *map(wordnet, KINDS)):
        held = sum(is_held_out(word) for word in set(each))
        assert 0 < held < len(set(each)) / 2, each[:3]


def test_stock_without_a_word_on_its_side_says_so() -> None:
    with pytest.raises(ValueError, match="no word on this side"):
        Stock(random.Random(0), held_out=not is_held_out("lamp"), pseudo=0).draw(["lamp"])


@pytest.mark.parametrize("rooms", [TRAIN_ROOMS, (20, MOST_ROOMS), LARGER_ROOMS, (3, 3)])
def test_size_is_as_asked(rooms: tuple[int, int]) -> None:
    for seed in range(8):
        assert rooms[0] <= len(random_world(seed, rooms=rooms).rooms) <= rooms[1]
    assert LARGER_ROOMS[0] > MOST_ROOMS > TRAIN_ROOMS[1]


def test_worlds_show_everything_that_the_format_has(worlds: list[World]) -> None:
    things = [thing for world in worlds for thing in world.things]
    people = [person for world in worlds for person in world.people]
    rules = [rule for world in worlds for rule in world.rules]
    clocks = [clock for world in worlds for clock in world.clocks]
    assert {d.state for world in worlds for d in world.doors} == {"open", "closed", "locked"}
    assert {trait for thing in things for trait in thing.traits} == {
        *("fixed", "treasure", "portable", "container", "supporter", "light", "switch"),
        *("wearable", "edible", "drinkable"),
    }
    assert "you" in {thing.in_ for thing in things}
    assert {"", "on", "off", "open", "closed"} < {thing.state for thing in things}
    assert any(door.key is None for world in worlds for door in world.doors)
    assert {d for world in worlds for _, d in world.ways} == set(OPPOSITE)
    for parts, keys in (
        (people, ("topics", "talk", "route")),
        (rules, ("in_", "needs", "otherwise", "then", "say", "once", "again")),
        (clocks, ("running", "every", "then", "say")),
        ([room for world in worlds for room in world.rooms], ("dark", "first", "scenery")),
        (worlds, ("ending", "ways_made", "replies")),
    ):
        for key in keys:
            having = sum(bool(getattr(part, key)) for part in parts)
            assert having > 0, key
    one_way = [
        (room, way)
        for world in worlds
        for (room, way), (target, _) in world.ways.items()
        if world.ways.get((target, OPPOSITE[way]), ("",))[0] != room
    ]
    assert len(one_way) > 10


def test_no_thing_is_called_as_a_door_s_key_is_noted() -> None:
    """`oak door key: brass key.` and `oak door key: portable.` would be one record."""
    names = Names(random.Random(0), Stock(random.Random(0), held_out=False, pseudo=0))
    assert all(names._give(name) for name in ("gate key", "lamp", "oak door"))
    assert not names._is_free("oak door key") and not names._is_free("lamp holds")
    assert not names._is_free("gate") and names._is_free("oak key")


def test_names_that_are_drawn_leave_out_what_an_author_may_not_use() -> None:
    names = Names(random.Random(0), Stock(random.Random(0), held_out=False, pseudo=0))
    refused = (*RESERVED_NAMES, *(f"red {word}" for word in RESERVED_WORDS))
    assert not any(names._give(name) for name in refused)
    assert not names._give("b" * 41) and not names._give("north") and not names._give("say bell")
    assert names._give("red lamp") and not names._give("red lamp")
    for seed in range(20):
        parts = random_world(seed, pseudo=0.4).parts
        assert not RESERVED_NAMES & {part.name.lower() for part in parts}
        assert not RESERVED_WORDS & {word for part in parts for word in part.name.lower().split()}


# -- features that are held out --------------------------------------------------------------------


def features(world: World) -> set[str]:
    """Which of the features that training never has are in a world."""
    holders = {thing.name for thing in world.things if thing.container}
    found = {"light in a container" for t in world.things if t.light and t.in_ in holders}
    for rule in world.rules:
        if rule.first.partition("|")[0] in ("ask", "tell"):
            found |= {"clock by a topic" for text in rule.then if text.startswith("clock ")}
    return found


def test_training_worlds_have_no_held_out_feature_but_all_that_it_is_made_of() -> None:
    worlds = [random_world(seed) for seed in range(200)]
    assert [world.title for world in worlds if features(world)] == []
    rules = [rule for world in worlds for rule in world.rules]
    assert any(text.startswith("clock ") for rule in rules for text in rule.then)
    assert any(rule.then and rule.first.startswith("ask|") for rule in rules)
    assert any(thing.light and thing.switch for world in worlds for thing in world.things)
    holders = {(w.title, t.name) for w in worlds for t in w.things if t.container}
    assert any((w.title, t.in_) in holders for w in worlds for t in w.things)


@pytest.mark.parametrize("held_out", [False, True])
def test_held_out_features_are_all_there_where_they_are_asked_for(held_out: bool) -> None:
    for seed in range(60):
        world = random_world(seed, held_out, (3, 6), features=True)
        assert features(world) == {"light in a container", "clock by a topic"}
        lamp = next(t for t in world.things if t.light and t.in_ in world.by_name)
        box = world.by_name[lamp.in_]
        assert isinstance(box, Thing) and box.openable and lamp.switch and not lamp.on
        assert box.in_ in [room.name for room in world.rooms], "it can be come by"


def test_a_topic_starts_a_clock_where_that_is_held_out() -> None:
    answered = 0
    for seed in range(12):
        world = random_world(seed, rooms=(3, 4), features=True)
        rule = world.rules[-1]
        person, clock = rule.first.split("|")[1], rule.then[0].split()[1]
        met = {**start(world), "At": (world.start,), person: (world.start, "person"), "Clocks": ()}
        after = play(world, met, rule.first)
        if f" {rule.say}" in after.reply:  # no rule before it has answered
            answered += 1
            assert [item.split()[0] for item in after.records["Clocks"]] == [clock]
    assert answered >= 6


def test_a_world_with_held_out_features_is_the_same_world_but_for_them() -> None:
    for seed in range(10):
        plain, other = random_world(seed), random_world(seed, features=True)
        assert plain.rooms == other.rooms and plain.doors == other.doors
        assert plain.rules == other.rules[:-1] and plain.title == other.title
        assert len(other.things) <= len(plain.things) + 2
