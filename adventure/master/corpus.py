"""Transcripts to learn from: sample i of a corpus is a function of (seed, i). Knows no network.

A sample is one segment as it is played: the pack's text, the memory in words as it stands after some
turns, and the turns up to the segment's end, with copy hints and a mask of what the master has to say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.pack import World
from adventure.world.prompt import (
    DO, END, PREPOSITION, SAY, SPECIALS, Records, changed_keys, command_text, memory_text, pack_text, reply_text,
)  # fmt: skip
from engine.copyhints import CHANNELS, CopyHints, HintConfig
from engine.tokenizer import Tokenizer, train_tokenizer


LONGEST_SEGMENT = 32
"""Turns; longer than a segment is in play, so that its end is never at the edge of what was learned."""


@dataclass
class Sample:
    """tokens (T,), ids and codes (T, K) of the hints after each token, said (T,): 1 where the *next*
    token is the master's to say. All int64 but said (bool). turns: (first, last, kind) of every turn,
    positions in `said`."""

    tokens: np.ndarray
    ids: np.ndarray
    codes: np.ndarray
    said: np.ndarray
    turns: list[tuple[int, int, str]] = field(default_factory=list)


def hint_config(tokenizer: Tokenizer) -> HintConfig:
    """The ids that structure the text. Raises ValueError where one isn't a single token."""

    def single(text: str) -> int:
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise ValueError(f"{text!r} takes {len(ids)} tokens, wanted 1")
        return ids[0]

    return HintConfig(
        newline=single("\n"), colon=single(":"), comma=single(","), stop=single("."), command=single(DO),
        say=single(SAY), end=single(END), preposition=single(PREPOSITION),
    )  # fmt: skip


def pick_player(rng: random.Random) -> Player:
    """A third each: by chance, towards a goal, towards what was seen least."""
    return rng.choice((legal_player, GoalPlayer(), CuriousPlayer()))


def make_sample(
    index: int,
    seed: int,
    tokenizer: Tokenizer,
    hints: HintConfig,
    rooms: tuple[int, int],
    longest: int,
    held_out: bool = False,
) -> Sample:
    """Segment number `index`; at most `longest` tokens."""
    rng = random.Random(f"sample-{seed}-{index}")
    world = random_world(rng.getrandbits(40), held_out=held_out, rooms=rooms)
    opening = tokenizer.encode(pack_text(world))
    records, order, player = _before_segment(world, rng)
    tokens = opening + tokenizer.encode(memory_text(records, order))
    said = [False] * len(tokens)
    turns = list[tuple[int, int, str]]()
    for _ in range(LONGEST_SEGMENT):
        line = player(world, records, rng)
        outcome = play(world, records, line)
        asked = tokenizer.encode(command_text(line))
        told = tokenizer.encode(reply_text(outcome.lines, outcome.reply))
        if len(tokens) + len(asked) + len(told) > longest:
            break
        first = len(tokens) + len(asked) - 1
        turns.append((first, first + len(told), outcome.kind))
        tokens += asked + told
        said += [False] * (len(asked) - 1) + [True] * len(told) + [False]
        records = outcome.records
        if records["Game"][0] != "on":
            break
    ids, codes, _ = CopyHints.start(hints).read(tokens[:longest])
    return Sample(np.array(tokens[:longest]), ids, codes, np.array(said[:longest]), turns)


def _before_segment(world: World, rng: random.Random) -> tuple[Records, list[str], Player]:
    """Play on for a while, so that the segment starts from a memory of any length."""
    player = pick_player(rng)
    records, order = start(world), list[str]()
    turns = rng.choice((0, 0, rng.randint(1, 24), rng.randint(10, 120)))
    for _ in range(turns):
        after = play(world, records, player(world, records, rng)).records
        if after["Game"][0] != "on":
            continue
        order = changed_keys(order, records, after)
        records = after
    return records, order, player


def make_batch(samples: list[Sample]) -> Sample:
    """Pad to the longest: tokens (B, T), ids and codes (B, T, K), said (B, T)."""
    B, T = len(samples), max(len(s.tokens) for s in samples)
    batch = Sample(
        np.zeros((B, T), np.int64),
        np.zeros((B, T, CHANNELS), np.int64),
        np.zeros((B, T, CHANNELS), np.int64),
        np.zeros((B, T), bool),
    )
    for b, sample in enumerate(samples):
        n = len(sample.tokens)
        batch.tokens[b, :n], batch.said[b, :n] = sample.tokens, sample.said
        batch.ids[b, :n], batch.codes[b, :n] = sample.ids, sample.codes
    return batch


def corpus_tokenizer(vocab: int, worlds: int = 1500, seed: int = 1) -> Tokenizer:
    """A byte-level BPE learned from training worlds and their transcripts (never from held-out words)."""

    def texts():  # type: ignore[no-untyped-def]
        for i in range(worlds):
            rng = random.Random(f"tokenizer-{seed}-{i}")
            world = random_world(rng.getrandbits(40))
            yield pack_text(world)
            records, player = start(world), pick_player(rng)
            for _ in range(8):
                line = player(world, records, rng)
                outcome = play(world, records, line)
                yield command_text(line) + reply_text(outcome.lines, outcome.reply)
                records = outcome.records

    return train_tokenizer(texts(), vocab, SPECIALS)
