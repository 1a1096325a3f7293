"""The head and the loss at once, in parts that fit the caches; knows no layers and no training run.

All logits of a step are hundreds of megabytes that are written, read and thrown away again; a few
rows at a time never leave the cache. The gradients are worked out on the way forward, where the
logits are at hand (as in Liger-Kernel's fused linear cross-entropy, arXiv 2410.10989). The head of
`Network.forward` with torch's cross-entropy is the specification; a test holds the two together.

Glossary: M positions, C width, V vocabulary, K hint channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from engine.rwkv.hints import Hints
from engine.rwkv.network import Network

PART = {"cpu": 1 << 20}
"""Logits that are worked on at a time, by device; LARGE_PART on all others."""
LARGE_PART = 1 << 26
FEWEST = 32  # rows of a part, whatever the vocabulary


def head_loss(
    model: Network, h: Tensor, targets: Tensor, hints: Hints | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropy of `targets` (M,) after h (M, C), the head's inputs; and whether
    each was the likeliest (M,) bool.

    hints: ids and codes, each (M, K), or None. With `use_mixed` the gradients' products are in
    bfloat16; logits stay float32. Differentiable once.
    """
    weight = model.emb.weight if model.config.tied else model.head.weight
    if hints is not None and model.hint is not None:
        ids, raised = hints[0], model.hint.gates(h, hints)
    else:
        ids, raised = targets.new_empty(len(targets), 0), h.new_empty(len(h), 0)
    loss, right = _HeadLoss.apply(h, weight, raised, ids, targets, model.mixed)
    return loss, right


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        weight: Tensor,
        raised: Tensor,
        ids: Tensor,
        targets: Tensor,
        mixed: bool,
    ) -> tuple[Tensor, Tensor]:
        # Of what isn't learned, no gradient is worked out.
        dh, dweight, draised = (
            torch.zeros_like(x) if wanted else None
            for x, wanted in zip((h, weight, raised), ctx.needs_input_grad, strict=False)
        )
        half = torch.bfloat16 if mixed else weight.dtype
        wide = torch.promote_types(weight.dtype, torch.float32)
        halved = weight.to(half)
        size = max(FEWEST, PART.get(h.device.type, LARGE_PART) // len(weight))
        loss = h.new_zeros((), dtype=torch.float64)
        right = torch.zeros_like(targets, dtype=torch.bool)
        for first in range(0, len(h), size):
            part = slice(first, first + size)
            target = targets[part].unsqueeze(1)  # (R, 1)
            logits = F.linear(h[part], weight).to(wide)  # (R, V)
            logits.scatter_add_(1, ids[part], raised[part].to(wide))
            chances = logits.log_softmax(1)
            chance = chances.gather(1, target)  # (R, 1)
            right[part] = (chance >= chances.amax(1, keepdim=True)).squeeze(1)
            loss -= chance.sum(dtype=torch.float64)
            if not any(ctx.needs_input_grad):
                continue
            d = chances.exp_()  # the gradient of the logits: chances less the truth
            d.scatter_add_(1, target, torch.full_like(chance, -1.0))
            if draised is not None:
                draised[part] = d.gather(1, ids[part])
            d = d.to(half)
            if dh is not None:
                dh[part] = d @ halved
            if dweight is not None:
                dweight += d.t() @ h[part].to(half)
        ctx.save_for_backward(dh, dweight, draised)
        ctx.mark_non_differentiable(right)
        return loss.to(wide), right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if d is None else d * g for d in ctx.saved_tensors)
        return (*gradients, None, None, None)
