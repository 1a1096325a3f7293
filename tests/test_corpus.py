"""Transcripts to learn from: what they ask of the master is what play will ask of it."""

from __future__ import annotations

import random
import re
from dataclasses import astuple

import numpy as np
import pytest

from adventure.master.corpus import (
    LONGEST_SEGMENT,
    Sample,
    corpus_tokenizer,
    hint_config,
    make_batch,
    make_sample,
    shuffled,
)
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.prompt import (
    MEMORY,
    initial_records,
    memory_text,
    pack_text,
    parse_record,
    reply_text,
)
from engine.copyhints import CopyHints
from engine.tokenizer import Tokenizer

SEED, ROOMS, LONGEST = 3, (3, 6), 2000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return corpus_tokenizer(800, worlds=30)


@pytest.fixture(scope="module")
def samples(tokenizer: Tokenizer) -> list[Sample]:
    return [sample(tokenizer, index) for index in range(12)]


def sample(tokenizer: Tokenizer, index: int, longest: int = LONGEST) -> Sample:
    return make_sample(index, SEED, tokenizer, hint_config(tokenizer), ROOMS, longest)


def same(a: Sample, b: Sample) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(astuple(a), astuple(b), strict=True))


def test_a_sample_follows_from_its_number_alone(
    tokenizer: Tokenizer, samples: list[Sample]
) -> None:
    assert same(sample(tokenizer, 7), samples[7])
    assert len({s.tokens.tobytes() for s in samples}) == len(samples)


def test_the_master_has_to_say_records_reply_and_end_and_nothing_else(
    tokenizer: Tokenizer, samples: list[Sample]
) -> None:
    for s in samples:
        text = tokenizer.decode(s.tokens.tolist())
        told = re.findall(r"<\|do\|> [^\n]*\n(.*?<\|end\|>)", text, re.DOTALL)
        said = s.tokens[1:][s.said[:-1]]
        assert tokenizer.decode(said.tolist()) == "".join(told)
        assert len(told) == len(s.turns) > 0
        spans = [tokenizer.decode(s.tokens[a + 1 : b + 1].tolist()) for a, b, _ in s.turns]
        assert spans == told
        assert not s.said[-1], "nothing follows the last token"


def test_a_sample_is_what_a_perfect_master_says_who_knows_pack_and_memory(
    tokenizer: Tokenizer, samples: list[Sample]
) -> None:
    """Nothing that is asked for depends on what was played before and isn't in the memory."""
    with_memory = 0
    for index, s in enumerate(samples):
        text = tokenizer.decode(s.tokens.tolist())
        rng = random.Random(f"sample-{SEED}-{index}")
        world = random_world(rng.getrandbits(40), rooms=ROOMS)
        assert text.startswith(pack_text(world))
        memory, *turns = text.removeprefix(pack_text(world)).split("<|do|> ")
        noted = [parse_record(line) for line in memory.splitlines()]
        records = {**initial_records(world), **dict(r for r in noted if r)}
        assert memory == memory_text(records, [r[0] for r in noted if r])
        with_memory += bool(memory)
        for turn, (_, _, kind) in zip(turns, s.turns, strict=True):
            line, _, told = turn.partition("\n")
            outcome = play(world, records, line)
            assert told == reply_text(outcome.lines, outcome.reply)
            assert kind == outcome.kind
            records = outcome.records
    assert 3 <= with_memory < len(samples)


def test_hints_are_those_that_play_sees_piece_by_piece(
    tokenizer: Tokenizer, samples: list[Sample]
) -> None:
    for s in samples[:4]:
        value, ids, codes = CopyHints.start(hint_config(tokenizer)), [], []
        cuts = [0, *sorted({t for a, b, _ in s.turns[:3] for t in (a + 1, *range(a + 1, b + 1))})]
        for a, b in zip(cuts, [*cuts[1:], len(s.tokens)], strict=True):
            i, c, value = value.read(s.tokens[a:b].tolist())
            ids.append(i)
            codes.append(c)
        assert np.array_equal(np.concatenate(ids), s.ids)
        assert np.array_equal(np.concatenate(codes), s.codes)
        assert len(s.ids) == len(s.codes) == len(s.said) == len(s.tokens) <= LONGEST


def test_a_sample_that_would_be_too_long_ends_with_a_whole_turn(tokenizer: Tokenizer) -> None:
    whole = sample(tokenizer, 1)
    assert 1 < len(whole.turns) <= LONGEST_SEGMENT
    cut = sample(tokenizer, 1, longest=whole.turns[-1][1])
    assert cut.turns == whole.turns[:-1]
    assert np.array_equal(cut.tokens, whole.tokens[: len(cut.tokens)])
    assert tokenizer.decode(cut.tokens[-1:].tolist()) == "<|end|>"


def test_a_pack_that_would_be_too_long_is_cut_and_nothing_is_asked(tokenizer: Tokenizer) -> None:
    cut = sample(tokenizer, 1, longest=50)
    assert [len(part) for part in astuple(cut)] == [50, 50, 50, 50, 0]
    assert not cut.said.any()


def test_a_batch_is_padded_with_what_nobody_says(samples: list[Sample]) -> None:
    batch = make_batch(samples[:3])
    longest = max(len(s.tokens) for s in samples[:3])
    assert batch.tokens.shape == batch.said.shape == (3, longest)
    for row, s in enumerate(samples[:3]):
        n = len(s.tokens)
        assert np.array_equal(batch.tokens[row, :n], s.tokens)
        assert np.array_equal(batch.codes[row, :n], s.codes)
        assert not batch.said[row, n:].any() and not batch.codes[row, n:].any()
        assert batch.said[row].sum() == s.said.sum()


def test_marks_are_single_tokens_or_there_are_no_hints(tokenizer: Tokenizer) -> None:
    ids = hint_config(tokenizer)
    for name, text in (("newline", "\n"), ("say", "<|say|>"), ("preposition", " with")):
        assert tokenizer.decode([getattr(ids, name)]) == text
    with pytest.raises(ValueError, match=r"' with' takes 5 tokens, wanted 1"):
        hint_config(corpus_tokenizer(262, worlds=1))


def test_the_vocabulary_is_always_the_same(tokenizer: Tokenizer) -> None:
    assert corpus_tokenizer(800, worlds=30).hash == tokenizer.hash
    assert MEMORY in tokenizer.decode([tokenizer.id_of(MEMORY)])


@pytest.mark.parametrize("seed", range(10))
def test_a_shuffled_world_has_everything_in_one_place(seed: int) -> None:
    world = random_world(seed)
    records = shuffled(world, random.Random(seed))
    before = start(world)
    assert records.keys() == before.keys()

    def things(of: dict[str, tuple[str, ...]]) -> list[str]:
        places = ["You carry", *(f"{room.name} holds" for room in world.rooms)]
        return sorted(name for place in places for name in of[place])

    assert things(records) == things(before)
    assert records != before
