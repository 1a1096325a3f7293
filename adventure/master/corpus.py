"""Transcripts to learn from: sample i of a corpus is a function of (seed, i). Knows no network.

A sample is one segment as it is played: the pack's text, the memory in words as it stands after
some turns, and the turns up to the segment's end, with copy hints and a mask of what the master has
to say.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.parts import World
from adventure.world.prompt import (
    DO,
    END,
    PREPOSITION,
    SAY,
    SPECIALS,
    Records,
    changed_keys,
    command_text,
    memory_text,
    pack_text,
    reply_text,
)
from adventure.world.words import WORD_LISTS, is_held_out
from engine.copyhints import CHANNELS, CopyHints, HintConfig
from engine.tokenizer import Tokenizer, train_tokenizer

LONGEST_SEGMENT = 32
"""Turns; more than a segment has in play, so that its end isn't at the edge of what was learned."""


@dataclass
class Sample:
    """One segment, or a batch of them (B in front).

    tokens (T,), ids and codes (T, K) of the hints after each token, all int64; said (T,) bool: True
    where the *next* token is the master's to say; turns: (first, last, kind), positions in `said`.
    """

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
        newline=single("\n"),
        colon=single(":"),
        comma=single(","),
        stop=single("."),
        command=single(DO),
        say=single(SAY),
        end=single(END),
        preposition=single(PREPOSITION),
    )


def pick_player(rng: random.Random) -> Player:
    """By chance, towards a goal, or (half of them) towards what was seen least."""
    return rng.choice((legal_player, GoalPlayer(), CuriousPlayer(), CuriousPlayer()))


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
    if rng.random() < 0.4:
        records = shuffled(world, rng)
        order = changed_keys([], start(world), records)
        rng.shuffle(order)
    turns = rng.choice((0, 0, rng.randint(1, 24), rng.randint(10, 120)))
    for _ in range(turns):
        after = play(world, records, player(world, records, rng)).records
        if after["Game"][0] != "on":
            continue
        order = changed_keys(order, records, after)
        records = after
    return records, order, player


def shuffled(world: World, rng: random.Random) -> Records:
    """A state of play that chance play seldom reaches: doors in any state, things anywhere."""
    records = start(world)
    rooms = [room.name for room in world.rooms]
    for door in world.doors:
        states = ("open", "closed", "locked") if door.key else ("open", "closed")
        records[door.name] = (rng.choice(states),)
    keys = {door.key for door in world.doors}
    for thing in world.things:
        if not thing.portable or rng.random() < 0.3:
            continue
        home = "You carry" if thing.carried else f"{thing.room} holds"
        records[home] = tuple(t for t in records[home] if t != thing.name)
        carried = rng.random() < (0.6 if thing.name in keys else 0.25)
        key = "You carry" if carried else f"{rng.choice(rooms)} holds"
        records[key] = (*records[key], thing.name)
        if thing.treasure:
            records[thing.name] = ("portable",)
            records["Treasures found"] = (*records["Treasures found"], thing.name)
    records["At"] = (rng.choice(rooms),)
    return records


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
    """A byte-level BPE learned from training worlds and their transcripts, no held-out words.

    The stock's words are added by themselves, small and capitalised, and made-up words kept few, so
    that an author's English takes few tokens; a made-up word may take many.
    """

    def texts() -> Iterator[str]:
        for i in range(worlds):
            rng = random.Random(f"tokenizer-{seed}-{i}")
            world = random_world(rng.getrandbits(40), pseudo=0.03)
            yield pack_text(world)
            records, player = start(world), pick_player(rng)
            for _ in range(8):
                line = player(world, records, rng)
                outcome = play(world, records, line)
                yield command_text(line) + reply_text(outcome.lines, outcome.reply)
                records = outcome.records
        stock = sorted({w for words in WORD_LISTS for w in words if not is_held_out(w)})
        for word in stock:
            yield f" {word}" * 20 + f" {word.capitalize()}" * 6

    return train_tokenizer(texts(), vocab, SPECIALS)
