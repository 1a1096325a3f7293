"""Random worlds: what training needs is in them often; their words and prose; how they play."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from adventure.master.tune import SIZES, WEIGHTS
from adventure.referee.bench import check
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player, walk
from adventure.world import random_grammars
from adventure.world.generate import LARGER_ROOMS, MOST_ROOMS, random_world
from adventure.world.parts import World
from adventure.world.prompt import pack_text
from adventure.world.random_grammars import STYLES, expand, finished
from adventure.world.random_words import KINDS, doing, past, plural, third, wordnet
from adventure.world.words import PLACES, THINGS, Stock, is_held_out

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [random_world(seed) for seed in range(150)]


def share(worlds: list[World], has: object) -> float:
    """How many of the worlds have it."""
    return sum(map(bool, map(has, worlds))) / len(worlds)  # type: ignore[call-overload]


# -- words -----------------------------------------------------------------------------------------


def test_wordnet_s_words_are_single_small_words_of_every_kind() -> None:
    for kind in KINDS:
        assert len(wordnet(kind)) > 30, kind
        assert all(re.fullmatch("[a-z]{3,11}", word) for word in wordnet(kind)), kind
        assert len(set(wordnet(kind))) == len(wordnet(kind)), kind
    with pytest.raises(KeyError):
        wordnet("weapon")


def test_wordnet_s_licence_goes_with_its_words() -> None:
    head = (ROOT / "adventure" / "world" / "wordnet.txt").read_text(encoding="utf-8")[:2500]
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for text in (head, notice):
        assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
        assert "Permission to use, copy, modify and distribute" in text


def test_regular_forms() -> None:
    assert [third(v) for v in ("carry", "obey", "watch", "lean")] == [
        *("carries", "obeys", "watches", "leans")
    ]
    assert [plural(n) for n in ("torch", "key", "berry", "stairs")] == [
        *("torches", "keys", "berries", "stairs")
    ]
    assert [past(v) for v in ("carry", "carve", "obey", "lean")] == [
        *("carried", "carved", "obeyed", "leaned")
    ]
    assert [doing(v) for v in ("carve", "agree", "dye", "lean")] == [
        *("carving", "agreeing", "dyeing", "leaning")
    ]


@pytest.mark.parametrize(("words", "kind"), [(PLACES, "place"), (THINGS, "artifact")])
def test_a_stock_draws_its_share_from_wordnet(words: list[str], kind: str) -> None:
    def drawn(more: float) -> list[str]:
        stock = Stock(random.Random(1), held_out=False, pseudo=0, more=more)
        return [stock.draw(words) for _ in range(300)]

    assert set(drawn(0)) <= set(words)
    assert not set(drawn(1)) & set(words) and set(drawn(1)) & set(wordnet(kind))
    assert 0.3 < sum(word in words for word in drawn(0.5)) / 300 < 0.7


def test_a_word_in_another_form_is_on_its_side_as_a_whole() -> None:
    stock = Stock(random.Random(0), held_out=True, pseudo=0)
    found = {stock.draw(THINGS, plural) for _ in range(300)}
    assert all(is_held_out(word) for word in found) and len(found) > 30
    assert found <= {plural(word) for word in THINGS}
    assert not all(is_held_out(word.removesuffix("s")) for word in found)


# -- prose -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STYLES)
def test_every_grammar_comes_to_an_end_and_fills_all_slots(name: str) -> None:
    rng, known = random.Random(0), set("s a p t j v w b g d c m n x ts ps js".split())
    slots = Counter[str]()

    def word(slot: str) -> str:
        slots[slot] += 1
        return "word"

    for depth in (0, 1, 3, 6):
        for _ in range(60):
            text = finished(expand(STYLES[name], "S", rng, word, depth))
            assert "{" not in text and len(text) < 800
    assert set(slots) <= known and len(slots) > 4


def test_depth_makes_sentences_longer() -> None:
    def mean(depth: int) -> float:
        rng = random.Random(0)
        texts = (expand(STYLES["tale"], "S", rng, lambda _: "word", depth) for _ in range(200))
        return sum(map(len, texts)) / 200

    assert mean(1) < mean(2) < mean(4)


def test_sentences_begin_with_a_capital_and_say_an() -> None:
    assert finished("a oak is a tree") == "An oak is a tree"
    assert finished('"a icy, a red"') == '"An icy, a red"'
    assert random_grammars.curly('"It\'s" - ("so")...') == "“It’s” — (“so”)…"


def test_the_prose_of_worlds_has_every_mark_that_authors_set(worlds: list[World]) -> None:
    text = "\n".join(map(pack_text, worlds))
    for mark in "\"';-()!?/&“”’…—0123456789":
        assert mark in text, mark
    assert "..." in text and " - " in text


def test_exits_are_told_of_in_the_prose_of_some_rooms_and_then_rightly(worlds: list[World]) -> None:
    told = 0
    for world in worlds:
        for room in world.rooms:
            ways = world.exits_of(room.name)
            said = ", ".join(ways[:-1]) + f" and {ways[-1]}" if len(ways) > 1 else ""
            told += bool(said) and said in room.description.lower()
    assert told > 50


# -- structure -------------------------------------------------------------------------------------


def test_what_the_master_finds_hard_is_in_many_worlds(worlds: list[World]) -> None:
    def inside(world: World) -> bool:
        boxes = {thing.name for thing in world.things if thing.container}
        return any(thing.in_ in boxes for thing in world.things)

    def held(world: World) -> bool:
        return any(t.in_ in {person.name for person in world.people} for t in world.things)

    def booty(world: World) -> bool:
        boxes = {thing.name for thing in world.things if thing.container}
        return any(t.treasure and t.in_ in boxes for t in world.things)

    def sets_clock(world: World) -> bool:
        return any(text.startswith("clock ") for rule in world.rules for text in rule.then)

    assert share(worlds, lambda w: any(t.switch for t in w.things)) > 0.85
    assert share(worlds, lambda w: any(t.wearable for t in w.things)) > 0.5
    assert share(worlds, inside) > 0.5 and share(worlds, held) > 0.2
    assert share(worlds, booty) > 0.15 and share(worlds, sets_clock) > 0.15
    assert share(worlds, lambda w: len(w.clocks) > 1) > 0.25
    assert share(worlds, lambda w: any(p.route for p in w.people)) > 0.25
    assert share(worlds, lambda w: any(len(p.route) > 3 for p in w.people)) > 0.08
    assert share(worlds, lambda w: any(len(p.topics) > 3 for p in w.people)) > 0.15
    assert share(worlds, lambda w: any(rule.once for rule in w.rules)) > 0.4
    assert share(worlds, lambda w: w.ways_made) > 0.2
    assert share(worlds, lambda w: any(len(r.scenery) > 2 for r in w.rooms)) > 0.2
    assert share(worlds, lambda w: len(w.deeds) > 2) > 0.2
    assert share(worlds, lambda w: sum(room.dark for room in w.rooms) > 1) > 0.1


def test_steps_of_quests_build_on_one_another(worlds: list[World]) -> None:
    chained = 0
    for world in worlds:
        done = {text.removeprefix("deed ") for rule in world.rules for text in rule.then}
        asked = {text.removesuffix(" done") for rule in world.rules for text, _ in rule.conditions}
        chained += bool(done & asked & set(world.deeds))
    assert chained > len(worlds) * 0.25


def test_tasks_are_looked_after_by_clocks_that_run_out_every_turn(worlds: list[World]) -> None:
    clocks, named = Counter[int](), 0
    for world in worlds:
        tasks = [
            clock
            for clock in world.clocks
            if clock.every and clock.running and clock.turns == 1
            if any(f"deed {text.removesuffix(' not done')}" in clock.then for text in clock.needs)
        ]
        clocks[len(tasks)] += 1
        names = {part.name.lower() for part in world.parts}
        deeds = [clock.then[0].removeprefix("deed ") for clock in tasks]
        named += any(deed.partition(" ")[2] in names for deed in deeds)
    some = sum(n for count, n in clocks.items() if count)
    assert len(worlds) * 0.04 < some < len(worlds) * 0.2 and max(clocks) > 5
    assert named > some * 0.8, "deeds are called by what is to be done"


def test_no_task_is_failed_from_the_beginning() -> None:
    tasks = 0
    for seed in range(400):
        world = random_world(seed)
        gone = {f"{thing.name} in nowhere" for thing in world.things if thing.in_ == "nowhere"}
        fails = [c for c in world.clocks if c.every and c.then == ("game lost",) and c.turns == 1]
        tasks += len(fails)
        assert not gone & {text for clock in fails if clock.running for text in clock.needs}
    assert tasks > 5


def test_dark_rooms_hang_together() -> None:
    alone = together = 0
    for seed in range(80):
        world = random_world(seed, rooms=(6, 12))
        dark = {room.name for room in world.rooms if room.dark}
        for name in dark if len(dark) > 1 else ():
            joined = any(room == name and to in dark for (room, _), (to, _) in world.ways.items())
            together, alone = together + joined, alone + (not joined)
    assert together > 20 and alone == 0


def test_a_house_s_keys_are_named_after_their_locks() -> None:
    alike = keys = 0
    for seed in range(300):
        for part in (world := random_world(seed, rooms=(4, 6))).things:
            if part.key and "supporter" in {t for x in world.things for t in x.traits}:
                keys += 1
                alike += part.key.split()[0] == part.name.split()[0]
    assert alike > keys * 0.15


# -- sizes, sameness, play -------------------------------------------------------------------------


def test_most_of_training_is_small_and_none_as_large_as_what_is_judged() -> None:
    assert len(SIZES) == len(WEIGHTS) and sum(WEIGHTS) == 100
    assert max(most for _, most in SIZES) == MOST_ROOMS < LARGER_ROOMS[0]
    assert sum(w for (_, most), w in zip(SIZES, WEIGHTS, strict=True) if most <= 12) > 80


def test_large_worlds_are_brief() -> None:
    def characters(rooms: tuple[int, int], seeds: range) -> float:
        found = [random_world(seed, rooms=rooms) for seed in seeds]
        return sum(len(pack_text(w)) / len(w.rooms) for w in found) / len(found)

    assert characters((30, MOST_ROOMS), range(12)) < characters((8, 12), range(12)) * 0.6


def test_a_seed_gives_the_same_world_whatever_the_hash_seed() -> None:
    code = (
        "from adventure.world.generate import random_world as w;"
        "print(*(w(s, s % 2 == 1, r, features=s % 3 == 0).digest"
        " for r in ((3, 12), (20, 24)) for s in range(8)))"
    )
    told = set()
    for number in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": number}
        ran = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
        )
        assert len(ran.stdout.split()) == 16, ran.stderr
        told.add(ran.stdout)
    assert len(told) == 1


def test_everything_holds_in_random_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(40, 1200) == 0, capsys.readouterr().out


@pytest.mark.parametrize("rooms", [(1, 1), (2, 2), (20, MOST_ROOMS), LARGER_ROOMS])
def test_everything_holds_in_small_and_large_worlds(
    rooms: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sized(seed: int, held_out: bool = False) -> World:
        return random_world(seed, held_out, rooms)

    monkeypatch.setattr("adventure.referee.bench.random_world", sized)
    assert check(8 if rooms[1] > 2 else 60, 240) == 0, capsys.readouterr().out


MAKERS = {"legal": lambda: legal_player, "curious": CuriousPlayer, "goal": GoalPlayer}


@pytest.mark.parametrize("maker", MAKERS)
def test_players_try_what_is_easily_left_out(maker: str) -> None:
    """Switches both ways, also when they are so already; clothes; what is in or with another."""
    found = Counter[str]()
    for seed in range(60):
        player: Player = MAKERS[maker]()
        for line, records, outcome in walk(random_world(seed), player, random.Random(seed), 30):
            verb, *nouns = line.split("|")
            found[f"{verb} {outcome.kind.split()[-1]}"] += 1
            place = records.get(nouns[0], ("",))[0] if nouns else ""
            holder = records.get(place, ())
            if verb == "take" and {"container", "person"} & set(holder):
                found["take from"] += 1
            found["leads"] += any(
                " leads to" in text or "leads to<" in text for text in outcome.lines
            )
    assert sum(found[f"{verb} already"] for verb in ("on", "off")) > 3, found
    assert sum(found[f"{verb} {verb}"] for verb in ("on", "off")) > 3, found
    assert found["wear worn"] > 1 and found["remove unworn"] > 0, found
    assert found["take from"] > 5 and found["leads"] > 0, found
