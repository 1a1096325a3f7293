"""Transcripts to learn from: sample i of a corpus is a function of (seed, i). Knows no network.

A sample is one segment as it is played: the pack's text, the memory in words as it stands after
some turns, and the turns up to the segment's end, with copy hints and a mask of what the master has
to say.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from adventure.master.beginnings import along, pick_player, somewhere
from adventure.master.simple import everyday, simple_world
from adventure.master.walks import read_walk
from adventure.referee.players import Player
from adventure.referee.rules import Choose, play, start
from adventure.referee.rules import first as first_form
from adventure.world.generate import random_world
from adventure.world.pack import find_world, load_world
from adventure.world.parts import World
from adventure.world.prompt import (
    DO,
    END,
    SAY,
    SPECIALS,
    command_text,
    memory_text,
    pack_text,
    reply_text,
)
from adventure.world.script import FIELD, MARKS, WHEN, marked
from adventure.world.voice import VOICES, voice
from adventure.world.words import WORD_LISTS, is_held_out
from engine.copyhints import CHANNELS, CopyHints, HintConfig
from engine.tokenizer import Tokenizer, train_tokenizer

AUTHORED = 0.14
"""The share of groups in an author's world, where there are any to learn from."""
WALKED = 0.4
"""The share of segments in an author's world that follow its solution from somewhere on."""
LONGEST_SEGMENT = 32
"""Turns; more than a segment has in play, so that its end isn't at the edge of what was learned."""
LONGEST_GAME = 64
"""Turns of a game without hidden lines, which is one segment from its beginning to its end."""


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

    marks = ("noun", "noun2", "key", "value", "last", "about", "first")
    return HintConfig(
        newline=single("\n"),
        colon=single(":"),
        comma=single(","),
        stop=single("."),
        command=single(DO),
        say=single(SAY),
        end=single(END),
        field=single(FIELD),
        when=single(WHEN),
        condition=single(" if"),
        does=single(" so"),
        tell=single(" say"),
        at=single(" At"),
        article=single(" the"),
        bracket=single(" ("),
        new=single(" new"),
        was=single(" was"),
        clock=single(" clock"),
        leads=single(" leads"),
        clocks=single(" Clocks"),
        zero=single(" 0"),
        nothing=single(" nothing"),
        off=single(" off"),
        go=single(" go"),
        you=single(" you"),
        worn=single(" worn"),
        holds=single(" holds"),
        exits=single(" exits"),
        deeds=single(" Deeds"),
        game=single(" game"),
        arrive=single(" arrive"),
        light=single(" light"),
        dark=single(" dark"),
        person=single(" person"),
        carry=tuple(tokenizer.encode(" You carry")),
        capitals=tuple(
            i for i in range(tokenizer.vocab) if tokenizer.decode([i]).lstrip(" ")[:1].isupper()
        ),
        **{name: single(token) for name, token in zip(marks, MARKS.values(), strict=True)},
    )


@dataclass(frozen=True)
class Kind:
    """What is told. hidden: whether turns have hidden lines; without them no memory can be read, so
    that every segment is a game from its beginning. simple: in worlds of simple.py."""

    hidden: bool = True
    simple: bool = False

    def player(self, rng: random.Random) -> Player:
        """Somebody to play, of those who play such worlds."""
        return everyday(pick_player(rng)) if self.simple else pick_player(rng)


USUAL = Kind()


@dataclass
class Group:
    """A world's opening and several segments that go on from it: samples of one token row each.

    opening: the pack's text, of which nothing is said; segments: what follows, a batch (B, T).
    """

    opening: Sample
    segments: Sample


def make_group(
    index: int,
    seed: int,
    tokenizer: Tokenizer,
    hints: HintConfig,
    rooms: tuple[int, int],
    segments: int,
    longest: int,
    held_out: bool = False,
    packs: tuple[str, ...] = (),
    kind: Kind = USUAL,
) -> Group:
    """World number `index` and that many segments in it, each at most `longest` tokens.

    packs: authors' worlds; one group in seven is of one of them, with longer segments: authors have
    more to say.
    """
    rng = random.Random(f"group-{seed}-{index}")
    if packs and rng.random() < AUTHORED:
        world, walk = authored(rng.choice(packs))
        return group_of(world, rng, tokenizer, hints, segments, longest * 3 // 2, kind, walk)
    world = random_world(rng.getrandbits(40), held_out=held_out, rooms=rooms)
    world = simple_world(world) if kind.simple else world
    return group_of(world, rng, tokenizer, hints, segments, longest, kind)


@cache
def authored(pack: str) -> tuple[World, tuple[str, ...]]:
    """A pack's world, and the commands of its solution; none where it comes without one.

    Raises UserError where one of them can't be read.
    """
    folder = find_world(pack)
    world, file = load_world(folder), folder / "tests" / "solution.walk"
    return world, tuple(read_walk(file, world)) if file.is_file() else ()


def group_of(
    world: World,
    rng: random.Random,
    tokenizer: Tokenizer,
    hints: HintConfig,
    segments: int,
    longest: int,
    kind: Kind = USUAL,
    walk: Sequence[str] = (),
) -> Group:
    """The world's opening and segments of play in it, some of them along `walk`."""
    tokens = tokenizer.encode(pack_text(world))
    ids, codes, read = CopyHints.start(hints).read(tokens)
    opening = Sample(np.array(tokens), ids, codes, np.zeros(len(tokens), bool))
    played = [_segment(world, read, tokenizer, rng, longest, kind, walk) for _ in range(segments)]
    return Group(opening, make_batch(played))


def _segment(
    world: World,
    opening: CopyHints,
    tokenizer: Tokenizer,
    rng: random.Random,
    longest: int,
    kind: Kind,
    walk: Sequence[str],
) -> Sample:
    if not kind.hidden:
        records, order, player = start(world), list[str](), kind.player(rng)
    elif walk and rng.random() < WALKED:
        records, order, player = along(world, walk, rng)
    else:
        records, order, player = somewhere(world, kind.player(rng), rng)
    tokens = tokenizer.encode(memory_text(records, order))
    said = [False] * len(tokens)
    turns = list[tuple[int, int, str]]()
    # Which form of a standing reply is told can't be judged where no hidden line names it.
    form: Choose = (lambda _, forms: rng.randrange(forms)) if kind.hidden else first_form
    for _ in range(LONGEST_SEGMENT if kind.hidden else LONGEST_GAME):
        line = player(world, records, rng)
        outcome = play(world, records, line, form)
        asked = tokenizer.encode(command_text(line))
        told = tokenizer.encode(reply_text(outcome.lines if kind.hidden else (), outcome.reply))
        if turns and len(tokens) + len(asked) + len(told) > longest:
            break
        first = len(tokens) + len(asked) - 1
        turns.append((first, first + len(told), outcome.kind))
        tokens += asked + told
        said += [False] * (len(asked) - 1) + [True] * len(told) + [False]
        records = outcome.records
        if records["Game"][0] != "on":
            break
    ids, codes, _ = opening.read(tokens)
    return Sample(np.array(tokens), ids, codes, np.array(said), turns)


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
    batch.turns = samples[0].turns if B == 1 else []
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
        for name in VOICES:
            for style in itertools.product(("first", "second"), ("present", "past")):
                for templates in voice(name, *style, "").values():
                    yield "\n".join(marked(f" {t}") for t in templates)
        scripts = "if so say end usual here carried in is not becomes moves to leads go deed arrive"
        yield f" {scripts} clock game light dark person worn" * 50
        yield "\n At:\n Clocks: 0\n (lit)\n (worn)\n the new was leads holds exits you Deeds" * 300
        for word in stock:
            yield f" {word}" * 20 + f" {word.capitalize()}" * 6

    return train_tokenizer(texts(), vocab, SPECIALS)
