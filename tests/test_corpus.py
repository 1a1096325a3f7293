"""Transcripts to learn from: what they ask of the master is what play will ask of it."""

from __future__ import annotations

import random
import re
from dataclasses import astuple

import numpy as np
import pytest
from fakes import cottage

from adventure.master.beginnings import shuffled
from adventure.master.corpus import (
    LONGEST_SEGMENT,
    Group,
    Sample,
    corpus_tokenizer,
    group_of,
    hint_config,
    make_batch,
    make_group,
)
from adventure.master.walks import read_walk
from adventure.referee.forms import forms_of
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.pack import find_world, load_world
from adventure.world.parts import World
from adventure.world.prompt import (
    MEMORY,
    changed_keys,
    command_text,
    initial_records,
    memory_text,
    pack_text,
    parse_record,
    reply_text,
)
from engine.copyhints import CHANNELS, CopyHints
from engine.tokenizer import Tokenizer

SEED, ROOMS, LONGEST, SEGMENTS = 3, (3, 6), 1200, 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return corpus_tokenizer(800, worlds=20)


@pytest.fixture(scope="module")
def groups(tokenizer: Tokenizer) -> list[Group]:
    return [group(tokenizer, index) for index in range(6)]


def group(
    tokenizer: Tokenizer, index: int, longest: int = LONGEST, segments: int = SEGMENTS
) -> Group:
    hints = hint_config(tokenizer)
    return make_group(index, SEED, tokenizer, hints, ROOMS, segments, longest)


def world_of(index: int) -> object:
    return random_world(random.Random(f"group-{SEED}-{index}").getrandbits(40), rooms=ROOMS)


def rows(groups: list[Group]) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Every segment: its group's number, its tokens without the padding, what is said in it."""
    found = []
    for index, one in enumerate(groups):
        for tokens, said in zip(one.segments.tokens, one.segments.said, strict=True):
            length = int(np.flatnonzero(said)[-1]) + 2
            found.append((index, tokens[:length], said[:length]))
    return found


def same(a: Group, b: Group) -> bool:
    pairs = zip(
        (*astuple(a.opening), *astuple(a.segments)),
        (*astuple(b.opening), *astuple(b.segments)),
        strict=True,
    )
    return all(np.array_equal(x, y) for x, y in pairs)


def test_a_group_follows_from_its_number_alone(tokenizer: Tokenizer, groups: list[Group]) -> None:
    assert same(group(tokenizer, 4), groups[4])
    assert len({g.segments.tokens.tobytes() for g in groups}) == len(groups)
    assert len({row.tobytes() for _, row, _ in rows(groups)}) == SEGMENTS * len(groups)


def test_an_opening_is_the_pack_and_nothing_of_it_is_said(
    tokenizer: Tokenizer, groups: list[Group]
) -> None:
    for index, one in enumerate(groups):
        assert tokenizer.decode(one.opening.tokens.tolist()) == pack_text(world_of(index))
        assert not one.opening.said.any()


def test_the_master_has_to_say_hidden_lines_reply_and_end_and_nothing_else(
    tokenizer: Tokenizer, groups: list[Group]
) -> None:
    for _, tokens, said in rows(groups):
        text = tokenizer.decode(tokens.tolist())
        told = re.findall(r"<\|do\|> [^\n]*\n(.*?<\|end\|>)", text, re.DOTALL)
        assert told and tokenizer.decode(tokens[1:][said[:-1]].tolist()) == "".join(told)
        assert not said[-1], "nothing follows the last token"
    alone = group(tokenizer, 1, segments=1).segments
    spans = [tokenizer.decode(alone.tokens[0, a + 1 : b + 1].tolist()) for a, b, _ in alone.turns]
    assert "".join(spans) == tokenizer.decode(alone.tokens[0, 1:][alone.said[0, :-1]].tolist())


def test_a_segment_is_what_a_perfect_master_says_who_knows_pack_and_memory(
    tokenizer: Tokenizer, groups: list[Group]
) -> None:
    """Nothing that is asked for depends on what was played before and isn't in the memory."""
    with_memory = varied = 0
    for index, tokens, _ in rows(groups):
        world = world_of(index)
        memory, *turns = tokenizer.decode(tokens.tolist()).split("<|do|> ")
        noted = [parse_record(line) for line in memory.splitlines()]
        records = {**initial_records(world), **dict(r for r in noted if r)}
        assert memory == memory_text(records, [r[0] for r in noted if r])
        with_memory += bool(memory)
        for turn in turns:
            line, _, told = turn.partition("\n")
            line = line.replace("<|of|> ", "|")
            outcome = play(world, records, line, forms_of(told.splitlines()))
            assert told == reply_text(outcome.lines, outcome.reply)
            varied += outcome.lines != play(world, records, line).lines
            records = outcome.records
    assert 4 <= with_memory < SEGMENTS * len(groups)
    assert varied, "standing replies are told in all their forms"


def test_hints_are_those_that_play_sees_piece_by_piece(
    tokenizer: Tokenizer, groups: list[Group]
) -> None:
    one = groups[0]
    opening = CopyHints.start(hint_config(tokenizer)).read(one.opening.tokens.tolist())
    assert np.array_equal(opening[0], one.opening.ids)
    assert np.array_equal(opening[1], one.opening.codes)
    for row, (_, tokens, _) in enumerate(rows([one])):
        value, ids, codes = opening[2], [], []
        for at in range(0, len(tokens), 50):
            i, c, value = value.read(tokens[at : at + 50].tolist())
            ids.append(i)
            codes.append(c)
        n = len(tokens)
        assert np.array_equal(np.concatenate(ids), one.segments.ids[row, :n])
        assert np.array_equal(np.concatenate(codes), one.segments.codes[row, :n])


def test_a_segment_that_would_be_too_long_ends_with_a_whole_turn(tokenizer: Tokenizer) -> None:
    whole = group(tokenizer, 1, segments=1).segments
    assert 1 < len(whole.turns) <= LONGEST_SEGMENT
    assert whole.tokens.shape[1] <= LONGEST
    cut = group(tokenizer, 1, longest=whole.turns[-1][1], segments=1).segments
    assert cut.turns == whole.turns[:-1]
    assert np.array_equal(cut.tokens[0], whole.tokens[0, : cut.tokens.shape[1]])
    assert tokenizer.decode(cut.tokens[0, -1:].tolist()) == "<|end|>"


def test_a_first_turn_is_kept_however_long_it_is(tokenizer: Tokenizer) -> None:
    """A sample that asks for nothing would teach nothing."""
    assert len(group(tokenizer, 1, longest=1, segments=1).segments.turns) == 1


def test_a_segment_ends_with_the_game(tokenizer: Tokenizer) -> None:
    flood = {"name": "flood", "turns": 5, "running": True, "then": ["game lost"], "say": "Drowned."}
    world, hints = cottage(clocks=[flood]), hint_config(tokenizer)
    for seed in range(4):
        one = group_of(world, random.Random(seed), tokenizer, hints, 1, 6000).segments
        _, *turns = tokenizer.decode(one.tokens[0].tolist()).split("<|do|>")
        ends = [" Game: " in turn for turn in turns]
        assert len(ends) <= 5 and ends == [False] * (len(ends) - 1) + [True]


def test_a_batch_is_padded_with_what_nobody_says() -> None:
    rng = np.random.default_rng(1)

    def sample(n: int) -> Sample:
        ids, codes = rng.integers(1, 9, (2, n, CHANNELS))
        return Sample(rng.integers(1, 9, n), ids, codes, np.ones(n, bool), [(0, n, "look")])

    samples = [sample(n) for n in (3, 5, 4)]
    batch = make_batch(samples)
    assert batch.tokens.shape == batch.said.shape == (3, 5)
    for row, s in enumerate(samples):
        n = len(s.tokens)
        assert np.array_equal(batch.tokens[row, :n], s.tokens)
        assert np.array_equal(batch.ids[row, :n], s.ids)
        assert np.array_equal(batch.codes[row, :n], s.codes)
        assert not batch.tokens[row, n:].any() and not batch.codes[row, n:].any()
        assert batch.said[row].sum() == n
    assert batch.turns == [] and make_batch(samples[:1]).turns == samples[0].turns


def test_marks_are_single_tokens_or_there_are_no_hints(tokenizer: Tokenizer) -> None:
    ids = hint_config(tokenizer)
    marks = (
        *(("newline", "\n"), ("say", "<|say|>"), ("condition", " if"), ("tell", " say")),
        *(("at", " At"), ("bracket", " ("), ("noun", "<|noun|>"), ("first", "<|first|>")),
    )
    for name, text in marks:
        assert tokenizer.decode([getattr(ids, name)]) == text
    with pytest.raises(ValueError, match=r"' if' takes 3 tokens, wanted 1"):
        hint_config(corpus_tokenizer(275, worlds=1))


def test_the_vocabulary_is_always_the_same(tokenizer: Tokenizer) -> None:
    assert corpus_tokenizer(800, worlds=20).hash == tokenizer.hash
    assert MEMORY in tokenizer.decode([tokenizer.id_of(MEMORY)])


def test_some_segments_of_an_authors_world_go_on_along_its_solution(tokenizer: Tokenizer) -> None:
    """So that the end of a story is learned, which chance never reaches."""
    folder = find_world("threshold")
    world = load_world(folder)
    walk, records, order = read_walk(folder / "tests" / "solution.walk", world), start(world), []
    beginnings = []
    for line in walk:
        beginnings.append(memory_text(records, order) + command_text(line))
        after = play(world, records, line).records
        order = changed_keys(order, records, after)
        records = after

    def along(walk: list[str]) -> int:
        """Segments of thirty that begin as the second half of the solution does somewhere."""
        hints, rng = hint_config(tokenizer), random.Random(1)
        rows = group_of(world, rng, tokenizer, hints, 30, LONGEST, walk=walk).segments.tokens
        texts = [tokenizer.decode(row.tolist()) for row in rows]
        late = beginnings[len(beginnings) // 2 :]
        return sum(any(text.startswith(begins) for begins in late) for text in texts)

    assert along(walk) > 1 and not along([])


def test_a_shuffled_world_has_everything_in_one_place() -> None:
    def placed(world: World, of: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
        """Each list and thing that agree where the thing is, by the thing."""
        found = []
        for thing in world.things:
            where = of[thing.name][0]
            key = "You carry" if where in ("you", "worn") else f"{where} holds"
            listed = [item.partition(" (")[0] for item in of.get(key, ())]
            assert listed.count(thing.name) == (where != "nowhere")
            found.append((thing.name, key))
        return found

    def number(world: World, of: dict[str, tuple[str, ...]]) -> int:
        """What the lists have, and what is in none."""
        listed = sum(len(items) for key, items in of.items() if key.endswith((" holds", " carry")))
        return listed + sum(of[thing.name][0] == "nowhere" for thing in world.things)

    moved = 0
    for seed in range(10):
        world = random_world(seed)
        records, before = shuffled(world, random.Random(seed)), start(world)
        assert records.keys() == before.keys()
        assert number(world, records) == number(world, before)
        moved += placed(world, records) != placed(world, before)
    assert moved > 7


def test_what_changed_is_remembered_in_the_order_of_its_last_change() -> None:
    before, after = {"a": ("1",), "b": ("2",)}, {"a": ("3",), "b": ("2",), "c": ("4",)}
    assert changed_keys(["a", "b"], before, after) == ["b", "a", "c"]
