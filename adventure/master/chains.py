"""Chains to learn a latent memory from: consecutive segments of one game. Knows no training run.

Chain i is a function of (seed, i). The loss itself is in engine/segments.py.

A group (corpus.py) has segments that know nothing of each other; what a chain's later segments ask
for was told in its earlier ones, and ends between them are where play has them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from adventure.master.beginnings import shuffled
from adventure.master.corpus import AUTHORED, USUAL, Group, Kind, Sample, authored, make_batch
from adventure.master.gamemaster import SEGMENT_TOKENS, SEGMENT_TURNS
from adventure.master.simple import simple_world
from adventure.master.validation import hints_of, row_of
from adventure.referee.players import Player, legal_player
from adventure.referee.rules import Outcome, play, start
from adventure.world.generate import random_world
from adventure.world.parts import World
from adventure.world.prompt import (
    changed_keys,
    command_text,
    memory_text,
    pack_text,
    reply_text,
)
from engine.copyhints import CopyHints, HintConfig
from engine.rwkv.network import Network
from engine.segments import Latent, Segment, Start, segments_loss
from engine.tokenizer import Tokenizer
from engine.train import read_opening

Words = Literal["on", "first", "off"]
"""Where the memory in words is read: in every segment, in a chain's first one, nowhere."""
SHUFFLED = 0.3
"""The share of games that begin in a state of play that chance play seldom reaches."""
_TRIES = 8
"""Commands chosen anew so that a game doesn't end before its chain does."""


@dataclass
class Chain:
    """A world's opening, and each of k consecutive segments of G games as a batch.

    opening: one row; segments: k samples (G, T); lengths: k arrays (G,), tokens before padding.
    """

    opening: Sample
    segments: list[Sample]
    lengths: list[np.ndarray]

    @property
    def tokens(self) -> int:
        """Tokens read, without padding."""
        return len(self.opening.tokens) + sum(int(n.sum()) for n in self.lengths)


Batch = Group | Chain
"""What a step learns from in one world."""


def make_chain(
    index: int,
    seed: int,
    tokenizer: Tokenizer,
    hints: HintConfig,
    rooms: tuple[int, int],
    segments: int,
    games: int,
    longest: int,
    words: Words = "on",
    packs: tuple[str, ...] = (),
    whole: bool = False,
    kind: Kind = USUAL,
) -> Chain:
    """Chain number `index`, in a world of its own: a random one, or now and then one of `packs`."""
    rng = random.Random(f"chain-{seed}-{index}")
    if packs and rng.random() < AUTHORED:
        world, _ = authored(rng.choice(packs))
        longest = longest * 3 // 2
    else:
        world = random_world(rng.getrandbits(40), rooms=rooms)
        world = simple_world(world) if kind.simple else world
    return chain_of(world, rng, tokenizer, hints, segments, games, longest, words, whole, kind)


def chain_of(
    world: World,
    rng: random.Random,
    tokenizer: Tokenizer,
    hints: HintConfig,
    segments: int,
    games: int,
    longest: int,
    words: Words = "on",
    whole: bool = False,
    kind: Kind = USUAL,
) -> Chain:
    """`games` games of `world`, each `segments` segments long.

    A segment ends as in play, and before `longest` tokens. Games begin anywhere, except where they
    are to be `whole`, or no segment reads the memory in words: then at the beginning. One that ends
    by itself leaves the rest of its segments empty.
    """
    tokens = tokenizer.encode(pack_text(world))
    ids, codes, read = CopyHints.start(hints).read(tokens)
    opening = Sample(np.array(tokens), ids, codes, np.zeros(len(tokens), bool))
    columns = list[list[tuple[list[int], list[bool]]]]([] for _ in range(segments))
    for _ in range(games):
        game = _Game(world, tokenizer, longest, rng, words, whole, kind)
        for k, column in enumerate(columns):
            column.append(game.segment(k, last=k == segments - 1))
    lengths = [np.array([len(tokens) for tokens, _ in column]) for column in columns]
    batches = [make_batch([_sample(*told, read) for told in column]) for column in columns]
    return Chain(opening, batches, lengths)


def chain_loss(
    model: Network,
    chain: Chain,
    depth: int = 0,
    start: Start = "opening",
    latent: Latent = "on",
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropy over a chain, and whether each token said was right (N,) bool.

    depth, start, latent: as engine.segments.segments_loss has them. Gradients flow into the opening
    and through the memory.
    """
    hinted = model.config.hints is not None
    opening = row_of(chain.opening)
    read = hints_of(opening) if hinted else None
    state = read_opening(
        model, torch.from_numpy(opening.tokens), read, copies=len(chain.lengths[0])
    )
    segments = [
        Segment(
            torch.from_numpy(sample.tokens),
            torch.from_numpy(sample.said),
            torch.from_numpy(lengths),
            hints_of(sample) if hinted else None,
        )
        for sample, lengths in zip(chain.segments, chain.lengths, strict=True)
    ]
    return segments_loss(model, state, segments, depth, start, latent)


class _Game:
    """One game by the referee, told segment by segment."""

    def __init__(
        self,
        world: World,
        tokenizer: Tokenizer,
        longest: int,
        rng: random.Random,
        words: Words,
        whole: bool,
        kind: Kind,
    ) -> None:
        self._world, self._tokenizer, self._longest = world, tokenizer, longest
        self._rng, self._words = rng, words
        self._player = kind.player(rng)
        self._records, self._order = start(world), list[str]()
        if whole or words == "off":
            return
        if rng.random() < SHUFFLED:
            self._records = shuffled(world, rng)
            self._order = changed_keys([], start(world), self._records)
            rng.shuffle(self._order)
        for _ in range(rng.choice((0, rng.randint(1, 24), rng.randint(10, 120)))):
            outcome = self._go_on()[1]
            if outcome is None:
                break
            self._accept(outcome)

    def segment(self, number: int, last: bool) -> tuple[list[int], list[bool]]:
        """Tokens of segment `number`, and which of them come before one that the master says."""
        tokens, told = list[int](), 0
        if self._words == "on" or (self._words == "first" and not number):
            tokens = self._tokenizer.encode(memory_text(self._records, self._order))
        said = [False] * len(tokens)
        for turn in range(SEGMENT_TURNS):
            if self._records["Game"][0] != "on" or told >= SEGMENT_TOKENS:
                break
            line, outcome = self._go_on(any_end=last)
            if outcome is None:
                break
            asked = self._tokenizer.encode(command_text(line))
            reply = self._tokenizer.encode(reply_text(outcome.lines, outcome.reply))
            if turn and len(tokens) + len(asked) + len(reply) > self._longest:
                break
            tokens += asked + reply
            said += [False] * (len(asked) - 1) + [True] * len(reply) + [False]
            told += len(reply)
            self._accept(outcome)
        return tokens, said

    def _go_on(self, any_end: bool = False) -> tuple[str, Outcome | None]:
        """A command and what comes of it; None where every one that was tried ends the game."""
        for attempt in range(_TRIES):
            player: Player = legal_player if attempt else self._player
            line = player(self._world, self._records, self._rng)
            outcome = play(self._world, self._records, line, self._form)
            if any_end or outcome.records["Game"][0] == "on":
                return line, outcome
        return "", None

    def _form(self, _: str, forms: int) -> int:
        return self._rng.randrange(forms)

    def _accept(self, outcome: Outcome) -> None:
        self._order = changed_keys(self._order, self._records, outcome.records)
        self._records = outcome.records


def _sample(tokens: list[int], said: list[bool], opening: CopyHints) -> Sample:
    tokens, said = tokens or [0], said or [False]  # an empty segment is all padding
    ids, codes, _ = opening.read(tokens)
    return Sample(np.array(tokens), ids, codes, np.array(said))
