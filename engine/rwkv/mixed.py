"""Training's matrix products in bfloat16, float32 in and out; knows no layer beyond its products.

On CPUs with AVX512-BF16 or AMX these products take less than half the time of float32 ones. Sums
inside a product, all weights, gradients and everything between products stay float32. The plain
float32 forms in v7_layers.py are the specification; a test holds the two together.

Glossary: B batch, T tokens, C width, J shifted inputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

HALF = torch.bfloat16


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., in) times weight (out, in) transposed: (..., out) float32."""
    y: Tensor = _Product.apply(x, weight)
    return y


def squared_relu_mix(x: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The channel mix's products: value of relu(key of x)^2; x (B, T, C) -> (B, T, C) float32."""
    y: Tensor = _SquaredRelu.apply(x, key, value)
    return y


def shifted_products(
    h: Tensor, xp: Tensor, mix: Tensor, weights: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Blend h (B, T, C) with the token before by each row of mix (J, C), each times its weight.

    xp (B, C) comes before the first token; weights: J of (out_j, C). Returns J of (B, T, out_j).
    """
    y: tuple[Tensor, ...] = _Shifted.apply(h, xp, mix, *weights)
    return y


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        xh, wh = x.to(HALF), weight.to(HALF)
        ctx.save_for_backward(xh, wh)
        return F.linear(xh, wh).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        xh, wh = ctx.saved_tensors
        gh = g.to(HALF)
        return (gh @ wh).float(), _weight_gradient(gh, xh)


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        xh, kh, vh = x.to(HALF), key.to(HALF), value.to(HALF)
        up = F.linear(xh, kh).relu_()
        ctx.save_for_backward(xh, kh, vh, up)
        return F.linear(up.square(), vh).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        xh, kh, vh, up = ctx.saved_tensors
        gh = g.to(HALF)
        g_value = _weight_gradient(gh, up.square())
        g_up = (gh @ vh).mul_(up).mul_(2)
        return (g_up @ kh).float(), _weight_gradient(g_up, xh), g_value


class _Shifted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, xp: Tensor, mix: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        change = torch.cat((xp.unsqueeze(1), h[:, :-1]), 1).sub_(h)
        halves = [w.to(HALF) for w in weights]
        inputs = [torch.addcmul(h, change, row).to(HALF) for row in mix]
        ctx.save_for_backward(change, mix, *halves, *inputs)
        return tuple(F.linear(x, w).float() for x, w in zip(inputs, halves, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        change, mix, *rest = ctx.saved_tensors
        J, C = mix.shape
        g_h, g_change = torch.zeros_like(change), torch.zeros_like(change)
        g_mix, g_weights = torch.empty_like(mix), []
        for j, (g, weight, x) in enumerate(zip(grads, rest[:J], rest[J:], strict=True)):
            gh = g.to(HALF)
            g_weights.append(_weight_gradient(gh, x))
            g_x = (gh @ weight).float()
            g_h += g_x
            g_change.addcmul_(g_x, mix[j])
            g_mix[j] = g_x.mul_(change).view(-1, C).sum(0)
        g_h -= g_change
        g_h[:, :-1] += g_change[:, 1:]
        return g_h, g_change[:, 0], g_mix, *g_weights


def _weight_gradient(g: Tensor, x: Tensor) -> Tensor:
    return (g.flatten(0, -2).t() @ x.flatten(0, -2)).float()
