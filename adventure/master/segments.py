"""How one segment ends and the next one begins: what is taken along. Knows no turn and no player.

Many games' segments end in step; each of them gets the bits that it would get alone wherever the
native runtime reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from adventure.master.position import Position
from adventure.world.prompt import memory_text
from engine.generate import prefill_rows
from engine.memory import LatentMemory
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.segments import read_memory, write_memory
from engine.tokenizer import AnyTokenizer

Latent = Literal["on", "off", "frozen", "zeroed"]
Start = Literal["opening", "carried", "replay"]


@dataclass(frozen=True)
class MemoryUse:
    """What a game master takes from a segment into the next; all but the usual are ablations.

    words: whether the memory in words is read. latent: the latent memory of a network that has
    one: "on", "off" (never written nor read), "frozen" (always the one from before anything was
    written) or "zeroed" (always zeros). start: "opening", "carried" (the recurrent state goes on
    from the end of the segment; copy hints look no further back than the opening), or "replay":
    from the opening, and after the memory in words as it was then, the last `turns` turns are read
    again.
    Raises ValueError for anything else.
    """

    words: bool = True
    latent: Latent = "on"
    start: Start = "opening"
    turns: int = 2

    def __post_init__(self) -> None:
        for name, known in (("latent", get_args(Latent)), ("start", get_args(Start))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, wanted one of {', '.join(known)}"
                )
        if self.turns < 1:
            raise ValueError(f"turns is {self.turns}, wanted 1 or more")

    @property
    def kept(self) -> int:
        """Turns whose beginnings a position has to keep."""
        return self.turns if self.start == "replay" else 0

    def latent_of(self, model: Network) -> LatentMemory | None:
        """The network's latent memory, where it has one and it is used."""
        return None if self.latent == "off" else model.memory


@torch.no_grad()
def first_memory(model: Network, use: MemoryUse) -> Tensor | None:
    """The latent memory (M, C) that a game begins with; None where none is used."""
    latent = use.latent_of(model)
    return None if latent is None else latent.start(1)[0].clone()


@torch.no_grad()
def end_segments(
    model: Network, use: MemoryUse, positions: Sequence[Position]
) -> tuple[Tensor | None, State]:
    """The latent memory (G, M, C) that each of G segments ends with, and the state at their ends.

    None where no memory is used; where one is written, the state is that after the write tokens.
    Raises ValueError for a position without a memory.
    """
    state = State.stack([p.state for p in positions])
    latent = use.latent_of(model)
    if latent is None:
        return None, state
    rows = [p.memory for p in positions if p.memory is not None]
    if len(rows) != len(positions):
        raise ValueError("a position has no latent memory, wanted one in each")
    memory, state = write_memory(model, torch.stack(rows), state)
    if use.latent == "frozen":
        memory = latent.start(len(positions))
    return torch.zeros_like(memory) if use.latent == "zeroed" else memory, state


@torch.no_grad()
def next_segments(
    model: Network,
    tokenizer: AnyTokenizer,
    use: MemoryUse,
    openings: Sequence[Position],
    positions: Sequence[Position],
    memory: Tensor | None = None,
) -> list[Position]:
    """Each game's position at the beginning of its next segment, from its own world's opening.

    memory: (G, M, C) to read in place of what the segments end with, as a control does.
    """
    written, ends = end_segments(model, use, positions)
    memory = written if memory is None else memory
    state = State.stack([opening.state for opening in openings])
    if use.start == "carried":
        state = State(ends.tensors, state.hints)
    if memory is not None:
        state = read_memory(model, memory, state)
    tokens = [_read_again(tokenizer, use, position) for position in positions]
    logits = [opening.logits for opening in openings]
    states = [state.select([row]) for row in range(len(positions))]
    full = [row for row, text in enumerate(tokens) if text]
    if full:
        read, after = prefill_rows(model, [tokens[row] for row in full], state.select(full))
        for i, row in enumerate(full):
            logits[row], states[row] = read[i], after.select([i])
    return [
        Position(
            states[row],
            logits[row],
            position.records,
            position.changed,
            memory=None if memory is None else memory[row],
        )
        for row, position in enumerate(positions)
    ]


def _read_again(tokenizer: AnyTokenizer, use: MemoryUse, position: Position) -> list[int]:
    """The memory in words and, for "replay", the latest turns."""
    records, changed, turns = position.records, position.changed, list[int]()
    if use.start == "replay" and position.recent:
        since = position.recent[0]
        records, changed = since.records, since.changed
        if position.state.hints is not None:
            turns = list(position.state.hints[0].tokens[since.at :])
    if not use.words:
        return turns
    return tokenizer.encode(memory_text(records, changed)) + turns
