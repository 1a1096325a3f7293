"""Ways through a network's layers: all tokens at once, one by one, by packed weights, exactly.

Each goes from embedded x (B, T, C) and the state before it to what the final norm takes, and the
state after it. Knows blocks and tensors; chooses nothing.

Glossary: B batch, T tokens, C width, V vocabulary, M tokens selected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.rwkv.block import Block
from engine.rwkv.hints import Hints
from engine.rwkv.v7_step import Packed, advance

if TYPE_CHECKING:
    from engine.rwkv.network import Network

Tensors = Mapping[str, Tensor]
"""A state's tensors by name, a row for each layer and then one for each of the batch."""


def parallel(blocks: Sequence[Block], x: Tensor, past: Tensors) -> tuple[Tensor, dict[str, Tensor]]:
    """All tokens at once."""
    layers: dict[str, list[Tensor]] = {name: [] for name in past}
    first = None
    for i, block in enumerate(blocks):
        x, new, first = block(x, {name: tensor[i] for name, tensor in past.items()}, first)
        for name, tensor in new.items():
            layers[name].append(tensor)
    return x, {name: torch.stack(tensors) for name, tensors in layers.items()}


def one_by_one(
    blocks: Sequence[Block], x: Tensor, past: Tensors
) -> tuple[Tensor, dict[str, Tensor]]:
    """A token after the other."""
    rows = []
    for x_t in x.split(1, 1):
        x_t, past = parallel(blocks, x_t, past)
        rows.append(x_t)
    return torch.cat(rows, 1), dict(past)


def by_steps(packed: Packed, x: Tensor, past: Tensors) -> tuple[Tensor, dict[str, Tensor]]:
    """A token after the other, by RWKV-7's packed weights; nothing is differentiated."""
    # What leaves is made outside inference mode, so that it can go anywhere.
    new = {name: tensor.clone() for name, tensor in past.items()}
    with torch.inference_mode():
        rows = [advance(packed, x_t, new) for x_t in x.unbind(1)]
    return torch.stack(rows, 1), new


def exactly(
    model: Network,
    blocks: Sequence[Block],
    tokens: Tensor,
    past: Tensors,
    hints: Hints | None,
    last_only: bool,
    select: Tensor | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """All of `Network.forward` for one token of one row at a time: equal shapes, so equal bits."""
    B, T = tokens.shape
    rows, ends = [], []
    for b in range(B):
        # Copies: where a row lies in memory must not choose how it is added up.
        state = {name: tensor[:, b : b + 1].clone() for name, tensor in past.items()}
        for t in range(T):
            here = slice(b, b + 1), slice(t, t + 1)
            hint = None if hints is None else (hints[0][here], hints[1][here])
            x = blocks[0].enter(model.embed(tokens[here], hint))
            x, state = parallel(blocks, x, state)
            shown = t == T - 1 if last_only else select is None or bool(select[b, t])
            if shown:
                rows.append(model.logits(model.ln_out(x), hint))
        ends.append(state)
    V = model.config.vocab
    logits = torch.cat(rows) if rows else model.ln_out.weight.new_empty(0, 1, V)
    shape = (-1,) if select is not None else (B, 1 if last_only else T)
    tensors = {name: torch.cat([end[name] for end in ends], 1) for name in past}
    return logits.view(*shape, V), tensors


def exactly_embedded(
    model: Network, blocks: Sequence[Block], x: Tensor, past: Tensors
) -> tuple[Tensor, dict[str, Tensor]]:
    """The same for embeddings (B, T, C), to outputs after the final norm."""
    outputs, ends = [], []
    for b in range(len(x)):
        state = {name: tensor[:, b : b + 1].clone() for name, tensor in past.items()}
        rows = []
        for x_t in x[b : b + 1].split(1, 1):
            x_t, state = parallel(blocks, blocks[0].enter(x_t.clone()), state)
            rows.append(model.ln_out(x_t))
        outputs.append(torch.cat(rows, 1))
        ends.append(state)
    return torch.cat(outputs), {name: torch.cat([end[name] for end in ends], 1) for name in past}
