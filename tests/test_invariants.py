"""What holds whatever anybody does: hypothesis plays, random players play, and nothing breaks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from workshop import TESTS, workshop

from adventure.referee.bench import check
from adventure.referee.invariants import Reader, faults_of
from adventure.referee.players import CuriousPlayer, legal_player
from adventure.referee.rules import frozen, play, start
from adventure.world.generate import LARGER_ROOMS, random_world
from adventure.world.pack import load_world
from adventure.world.parts import World
from adventure.world.prompt import initial_records
from adventure.world.verbs import BARE, VERBS

PACKS = sorted(path.parent.name for path in (TESTS.parent / "worlds").glob("*/world.toml"))
VERB_NAMES = [verb.name for verb in VERBS]


class AnyGame(RuleBasedStateMachine):
    """Any canonical line at all, sensible or not, with undo and with any form of the replies."""

    @initialize(seed=st.integers(0, 30), held_out=st.booleans())
    def begin(self, seed: int, held_out: bool) -> None:
        self.world = workshop() if seed > 25 else random_world(seed, held_out, rooms=(3, 6))
        self.reader = Reader(self.world)
        self.records, self.past = start(self.world), [start(self.world)]
        self.nouns = [*self.world.by_name_of_nouns, "nothing that there is"]
        self.wrong: list[str] = []

    def turn(self, line: str, form: int) -> None:
        held = frozen(self.records)

        def choose(kind: str, forms: int) -> int:
            return form % forms

        outcome = play(self.world, self.records, line, choose)
        assert frozen(self.records) == held, "the records that went in are as they were"
        assert play(self.world, self.records, line, choose) == outcome, "it goes the same way again"
        self.wrong = list(faults_of(self.reader, self.records, line, outcome))
        self.past.append(self.records)
        self.records = outcome.records

    @rule(verb=st.sampled_from(VERB_NAMES), data=st.data(), form=st.integers(0, 5))
    def do_to_something(self, verb: str, data: st.DataObject, form: int) -> None:
        nouns = data.draw(st.lists(st.sampled_from(self.nouns), min_size=1, max_size=2))
        self.turn("|".join((verb, *nouns)), form)

    @rule(verb=st.sampled_from([*BARE, "go|north", "go|up", "go|nowhere", "", "xyzzy"]))
    def do_something(self, verb: str) -> None:
        self.turn(verb, 0)

    @precondition(lambda self: self.world.alias)
    @rule(data=st.data())
    def follow_a_rule(self, data: st.DataObject) -> None:
        self.turn(data.draw(st.sampled_from(sorted(self.world.alias))), 0)

    @rule(seed=st.integers(0, 1000))
    def go_on_sensibly(self, seed: int) -> None:
        self.turn(legal_player(self.world, self.records, random.Random(seed)), seed)

    @rule()
    def undo(self) -> None:
        self.records = self.past.pop() if len(self.past) > 1 else self.records

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not getattr(self, "wrong", [])


TestAnyGame = AnyGame.TestCase
TestAnyGame.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, derandomize=True
)


def test_a_few_thousand_random_turns(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(worlds=30, turns=1500) == 0
    assert "1,500 turns in 30 random worlds, 0 faults" in capsys.readouterr().out


@pytest.mark.parametrize("name", PACKS)
def test_packs_keep_their_records_whole(name: str) -> None:
    assert _wrong(load_world(TESTS.parent / "worlds" / name), 200) == []


def test_larger_worlds_than_those_trained_on() -> None:
    assert _wrong(random_world(5, rooms=LARGER_ROOMS), 150) == []


def _wrong(world: World, turns: int) -> list[str]:
    rng, player, reader = random.Random(1), CuriousPlayer(2), Reader(world)
    records, found = start(world), list[str]()
    for _ in range(turns):
        line = player(world, records, rng)
        outcome = play(world, records, line)
        found += faults_of(reader, records, line, outcome)
        records = outcome.records if outcome.records["Game"] == ("on",) else start(world)
    return found


# -- what is wrong would be found ------------------------------------------------------------------

WORLD = workshop()
SPOILT = {
    "listed wrongly": {"Workshop holds": ("bench", "bench")},
    "not listed": {"tongs": ("Yard", "portable")},
    "has the exits": {"Workshop exits": ("north",)},
    "instead of oak door": {"Workshop north": ("Yard",), "Workshop exits": ("east", "up", "down")},
    "deeds went": {"Deeds": ("ate a hat", "ate a hat")},
    "runs twice": {"Clocks": ("chime 1", "chime 2")},
    "no number of turns": {"Clocks": ("chime -1",)},
    "the game is": {"Game": ("lunch",)},
    "doesn't read back": {"At": ("A, B",)},
    "came or went": {"radio set": ()},
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_fault_in_the_records_is_found(fault: str) -> None:
    before = initial_records(WORLD)
    outcome = play(WORLD, before, "wait")
    assert not list(faults_of(Reader(WORLD), before, "wait", outcome))
    spoilt = replace(outcome, records={**outcome.records, **SPOILT[fault]})
    assert any(fault in text for text in faults_of(Reader(WORLD), before, "wait", spoilt))


def test_a_reply_that_the_hidden_lines_do_not_promise_is_found() -> None:
    before = initial_records(WORLD)
    outcome = play(WORLD, before, "take|tongs")
    spoilt = replace(outcome, reply=" You take the anvil.")
    assert any("hidden" in text for text in faults_of(Reader(WORLD), before, "take|tongs", spoilt))
