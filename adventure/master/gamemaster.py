"""The game master: a network and a world -> turns. Knows the protocol, no player and no screen.

A turn is read into the state, its records and reply are decoded from it, and the position after it
is a new value; the one before stays as it was, which is what makes undo and probes free.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from adventure.master import SHIPPED
from adventure.master.cache import read_position, write_position
from adventure.master.paths import followed, path_from
from adventure.master.position import Position, TurnStart, from_parts, to_parts
from adventure.master.segments import MemoryUse, first_memory, next_segments
from adventure.master.turns import Piece, Turn
from adventure.world.free import free_text
from adventure.world.parts import World
from adventure.world.prompt import (
    END,
    PROTOCOL,
    SAY,
    changed_keys,
    command_text,
    initial_records,
    pack_text,
    parse_record,
    record_line,
)
from engine.checkpoint import load_model
from engine.draft import rest_of, write_drafted
from engine.generate import decode_batch, prefill, prefill_rows
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.sampler import Sampler, make_sampler
from engine.tokenizer import AnyTokenizer, open_tokenizer

__all__ = ["GameMaster", "Piece", "Position", "Turn", "load_network", "settle_batch"]

SEGMENT_TOKENS = 1400
"""A segment ends after either: what an author tells at length takes fewer turns."""
SEGMENT_TURNS = 12
"""Turns in a segment; the next one starts from the opening and the memory."""
USUAL_MEMORY = MemoryUse()
LONGEST_REPLY = 2000
"""Tokens, hidden ones included: more than a rule's words, an arrival and a clock's words take, each
of them up to 1,200 characters. Only a network that has lost the thread comes to it."""
LONGEST_RECORD = 200
"""Tokens of a record that is asked for, or twice those of the one that the position holds."""


def load_network(file: Path = SHIPPED) -> tuple[Network, AnyTokenizer]:
    """A checkpoint and its tokenizer. Raises UserError where one is missing or they don't fit."""
    model = load_model(file)
    return model, open_tokenizer(file, model.config.vocab)


class GameMaster:
    """Plays one world with one network; holds no game, so that one serves many."""

    def __init__(
        self,
        model: Network,
        tokenizer: AnyTokenizer,
        world: World,
        sampler: Sampler | None = None,
        weights: str = "",
        memory: MemoryUse = USUAL_MEMORY,
    ) -> None:
        """Raises ValueError where `memory` reads turns again that no copy hints keep."""
        if memory.kept and model.config.hints is None:
            raise ValueError("only a network with copy hints keeps the turns to be read again")
        self.model, self.tokenizer, self.world = model, tokenizer, world
        self.sampler = sampler or make_sampler()
        self.weights, self.memory = weights, memory
        self.prompt = pack_text(world) if model.config.hints else free_text(world)
        self.say, self.end = tokenizer.id_of(SAY), tokenizer.id_of(END)
        self.newline = tokenizer.encode("\n")[-1]
        self._opening: Position | None = None

    def of(self, world: World) -> GameMaster:
        """The same network as the master of another world."""
        return GameMaster(
            self.model, self.tokenizer, world, self.sampler, self.weights, self.memory
        )

    # -- the world's opening ---------------------------------------------------------------------

    def opening(
        self, progress: Callable[[int, int], None] | None = None, cache_dir: Path | None = None
    ) -> Position:
        """The position after the pack is read, from `cache_dir` if it holds it, else by prefill.

        Nothing is cached for a master that wasn't told the hash of its weights.
        """
        if self._opening is None:
            cached = None
            if cache_dir and self.weights:
                cached = cache_dir / f"{self.opening_hash}.opening"
            made = read_position(cached, self.position_from_parts) if cached else None
            if made is None:
                tokens = torch.tensor([self.tokenizer.encode(self.prompt)])
                logits, state = prefill(
                    self.model, tokens, self.model.initial_state(1), progress=progress
                )
                memory = first_memory(self.model, self.memory)
                made = Position(state, logits[0], initial_records(self.world), memory=memory)
                if cached:
                    write_position(cached, *self.position_to_file_parts(made))
            self._opening = made
        return self._opening

    @property
    def opening_hash(self) -> str:
        """Of everything that the opening follows from: weights, tokenizer, prompt, protocol, and
        the types and device that the network computes with."""
        kind = self.model.emb.weight
        how = f"{PROTOCOL} {self.model.weights} {kind.dtype} {kind.device.type}"
        if self.model.memory and self.memory.latent == "off":
            how += " no latent memory"
        parts = (self.weights, self.tokenizer.hash, self.prompt, how)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def begin_from(self, opening: Position) -> None:
        """Take an opening that was made elsewhere, by these weights and from this text."""
        memory = first_memory(self.model, self.memory)
        self._opening = dataclasses.replace(opening, memory=memory)

    # -- turns -----------------------------------------------------------------------------------

    def turn(self, position: Position, line: str, generator: Generator | None = None) -> Turn:
        """Put a canonical command; iterate the result for the reply as it is decoded."""
        return Turn(self, position, line, generator, LONGEST_REPLY)

    def asked(self, line: str) -> Tensor:
        """The tokens (1, T) of a canonical command."""
        return torch.tensor([self.tokenizer.encode(command_text(line))])  # (1, T)

    def recall(self, position: Position, key: str) -> str:
        """The record under `key` as the network writes it, greedily: a line, no newline.

        It is asked for on a copy, as the first hidden line of a LOOK that goes no further; the
        position's own record is the draft, which costs one short read where it is right.
        """
        asked = f"{command_text('look')} {key}:"
        line = record_line(key, position.records.get(key, ())).removeprefix(f" {key}:")
        tokens = self.tokenizer.encode(asked)
        likely = self.tokenizer.encode(f"{asked}{line}\n")[len(tokens) :]
        told = write_drafted(
            self.model,
            tokens,
            position.state,
            lambda said: rest_of(likely, said),
            {self.newline},
            max(LONGEST_RECORD, 2 * len(likely)),
        ).tokens
        return f" {key}:{self.tokenizer.decode(told).partition(chr(10))[0]}"

    def settle(self, position: Position, memory: Tensor | None = None) -> Position:
        """End the segment if it is full, and begin the next one (see segments.py).

        memory: (M, C), a latent memory to begin it with in place of the one that was written.
        """
        given = None if memory is None else memory.unsqueeze(0)
        return settle_batch([self], [position], given)[0]

    def after(
        self, position: Position, state: State, logits: Tensor, lines: Sequence[str], told: int
    ) -> Position:
        """The position after a turn in which the master said these hidden lines, and `told` tokens.

        A record whose key the world doesn't have is left out: memory is bounded by the world.
        """
        records = dict(position.records)
        for line in lines:
            record = parse_record(line)
            if record and record[0] in records:
                records[record[0]] = record[1]
        changed = tuple(changed_keys(list(position.changed), position.records, records))
        turns, tokens = position.turns + 1, position.tokens + told
        recent = position.recent
        if kept := self.memory.kept:
            at = len(position.state.hints[0]) if position.state.hints else 0
            start = TurnStart(position.records, position.changed, at)
            recent = (*recent, start)[-kept:]
        return Position(state, logits, records, changed, turns, tokens, position.memory, recent)

    def play_batch(
        self, positions: Sequence[Position], lines: Sequence[str]
    ) -> list[tuple[str, list[str], Position]]:
        """One turn of many games in step, greedily: (reply, record lines, position) of each.

        A turn that was lost (see `Turn.lost`) leaves its position as it was.
        """
        asked = [self.tokenizer.encode(command_text(line)) for line in lines]
        state = State.stack([position.state for position in positions])
        written = decode_batch(
            self.model,
            *prefill_rows(self.model, asked, state),
            make_sampler(),
            stop={self.end},
            limit=LONGEST_REPLY,
        )
        return [
            self.finished(position, row.tokens, row.state, row.logits)
            for position, row in zip(positions, written, strict=True)
        ]

    def finished(
        self, position: Position, told: list[int], state: State, logits: Tensor
    ) -> tuple[str, list[str], Position]:
        """(reply, record lines, position) of a turn in which these tokens were told."""
        at = told.index(self.say) if self.say in told else len(told)
        lines = self.tokenizer.decode(told[:at]).splitlines()
        visible = [t for t in told[at + 1 :] if t != self.end]
        if at == len(told) or told[-1] != self.end:
            return self.tokenizer.decode(visible), lines, position
        after = self.after(position, state, logits, lines, len(told))
        return self.tokenizer.decode(visible), lines, after

    # -- files -----------------------------------------------------------------------------------

    def position_to_file_parts(
        self, position: Position
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a file has to hold for `position_from_parts` to rebuild it bit for bit."""
        return to_parts(position, self.memory.latent_of(self.model))

    def position_from_parts(
        self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> Position:
        """Rebuild a position. Raises SnapshotError where the parts don't fit this network."""
        latent = self.memory.latent_of(self.model)
        return from_parts(tensors, meta, self.model, latent, self._opening)

    def path_to(self, position: Position) -> Tensor | None:
        """The tokens (T,) that lead to it from the opening; None where it doesn't begin there."""
        return path_from(self.opening(), position)

    def followed(self, paths: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        """A file's tensors of the position at each path's end: those that were there, to the bit,
        where reading in another split gives the same ones. Raises ValueError for no such paths."""
        for position in followed(self.model, self.opening(), paths):
            yield to_parts(position, None)[0]


def settle_batch(
    masters: Sequence[GameMaster], positions: Sequence[Position], memory: Tensor | None = None
) -> list[Position]:
    """`GameMaster.settle` of many games in step, whose masters have one network and one use of it.

    memory: (G, M, C), a latent memory for each game.
    """
    full = [
        row
        for row, p in enumerate(positions)
        if (p.turns >= SEGMENT_TURNS or p.tokens >= SEGMENT_TOKENS) and not p.over
    ]
    settled = list(positions)
    if full:
        one = masters[full[0]]
        begun = next_segments(
            *(one.model, one.tokenizer, one.memory),
            [masters[row].opening() for row in full],
            [positions[row] for row in full],
            None if memory is None else memory[full],
        )
        for row, position in zip(full, begun, strict=True):
            settled[row] = position
    return settled
