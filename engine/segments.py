"""Segments one after the other with a latent memory between: reading, writing, the loss of a chain.

Knows tensors and networks, no text and no game; what a memory is made of is in engine/memory.py.

Glossary: B batch, T tokens, M slots, P pause tokens, C width, N positions with a target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engine.headloss import head_loss
from engine.memory import LatentMemory
from engine.rwkv.hints import Hints
from engine.rwkv.network import Network
from engine.rwkv.state import State

Latent = Literal["on", "frozen", "off"]
"""Memory as it is written; as it was before anything was; none."""
Start = Literal["opening", "carried"]
"""What a segment goes on from: the state before the first one, or the end of the one before."""


def memory_of(model: Network) -> LatentMemory:
    """The network's latent memory. Raises ValueError for a network without one."""
    if model.memory is None:
        raise ValueError("the network has no latent memory")
    return model.memory


def read_memory(model: Network, memory: Tensor, state: State) -> State:
    """The state after memory (B, M, C) is read, as at the beginning of a segment."""
    x = _by_row(memory_of(model).read, memory)
    return model.read_embeddings(model.unhinted(x), state)[1]


def write_memory(model: Network, memory: Tensor, state: State) -> tuple[Tensor, State]:
    """The memory (B, M, C) after a segment that ends in `state`, which was read after `memory`.

    Also the state after the write tokens.
    """
    latent = memory_of(model)
    x = _by_row(latent.write_tokens, memory)
    outputs, state = model.read_embeddings(model.unhinted(x), state)
    return _by_row(latent.solidify, outputs[:, -memory.shape[1] :], memory), state


def _by_row(work: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """work(*rows), where nothing is differentiated for each row alone.

    Products of torch round differently for another batch, and what a game remembers mustn't follow
    from how many are played beside it.
    """
    if torch.is_grad_enabled():
        return work(*rows)
    return torch.cat([work(*row) for row in zip(*(r.split(1) for r in rows), strict=True)])


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of each of B games, padded at the end.

    tokens (B, T) int64; said (B, T) bool: the next token is to be learned; lengths (B,) int64;
    hints as in `Network.forward`, None for a network without.
    """

    tokens: Tensor
    said: Tensor
    lengths: Tensor
    hints: Hints | None = None

    def row(self, b: int) -> Segment:
        """One game's, without padding (at least a token)."""
        n = max(1, int(self.lengths[b]))
        hints = self.hints and (self.hints[0][b : b + 1, :n], self.hints[1][b : b + 1, :n])
        here = slice(b, b + 1)
        return Segment(self.tokens[here, :n], self.said[here, :n], self.lengths[here], hints)


def segments_loss(
    model: Network,
    state: State,
    segments: Sequence[Segment],
    depth: int = 0,
    start: Start = "opening",
    latent: Latent = "on",
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropy over consecutive segments of B games, and what was right (N,) bool.

    state: what was read before the first segment, which reads no memory; gradients flow into it.
    depth: through how many segments' memory they flow back; 0: through all. A chain that is
    "carried" is read row by row, since padding would come between a segment and the next.
    Raises ValueError for `latent` other than "off" and a network without a memory.
    """
    if start == "carried" and state.batch > 1:
        rows = [
            segments_loss(
                model, state.select([b]), [s.row(b) for s in segments], depth, start, latent
            )
            for b in range(state.batch)
        ]
        return torch.stack([loss for loss, _ in rows]).sum(), torch.cat([hits for _, hits in rows])
    memory = None if latent == "off" else memory_of(model).start(state.batch)
    losses, right, past, written = [], [], state, False
    for i, segment in enumerate(segments):
        if depth and i and i % depth == 0:
            memory = None if memory is None else memory.detach()
            past = past.detach() if start == "carried" else past
        last = i == len(segments) - 1
        loss, hits, new, end = _read_segment(model, segment, past, memory, written, not last)
        losses.append(loss)
        right.append(hits)
        past = end if start == "carried" else past
        memory, written = memory if latent == "frozen" else new, True
    return torch.stack(losses).sum(), torch.cat(right)


def _read_segment(
    model: Network,
    segment: Segment,
    state: State,
    memory: Tensor | None,
    reads: bool,
    writes: bool,
) -> tuple[Tensor, Tensor, Tensor | None, State]:
    """Loss, what was right, the next memory and the state at the end of one segment."""
    B, T = segment.tokens.shape
    device = model.emb.weight.device
    tokens, said = segment.tokens.to(device), segment.said.to(device)
    hints = segment.hints and (segment.hints[0].to(device), segment.hints[1].to(device))
    x = model.embed(tokens, hints)
    M = 0
    if memory is not None and reads:
        x = torch.cat((model.unhinted(memory_of(model).read(memory)), x), 1)
        M = memory.shape[1]
    places = None
    if memory is not None and writes:
        write = model.unhinted(memory_of(model).write_tokens(memory))  # (B, P + M, C)
        # Right behind each row's last token: padding would come between.
        places = (
            M
            + segment.lengths.to(device).unsqueeze(1)
            + torch.arange(write.shape[1], device=device)
        )
        rows = torch.arange(B, device=device).unsqueeze(1)
        x = torch.cat((x, torch.zeros_like(write)), 1).index_put((rows, places), write)
    h, end = model.read_embeddings(x, state)
    if memory is not None and places is not None:
        outputs = h[rows, places[:, -memory.shape[1] :]]
        memory = memory_of(model).solidify(outputs, memory)
    if not said.any():
        return h.sum() * 0, said[said], memory, end
    targets = tokens.roll(-1, 1)[said]
    chosen = hints and (hints[0][said], hints[1][said])
    loss, right = head_loss(model, h[:, M : M + T][said], targets, chosen)
    return loss, right, memory, end
