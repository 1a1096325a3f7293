"""The WKV recurrence of RWKV-2, 3 and 4 over whole sequences; knows nothing of layers or weights.

Glossary
    B batch, T tokens, C channels;  k key, v value, w log of the decay (<= 0), u bonus of the newest
    A, B the decayed sums of e^k v and of e^k. Both are held as float32 times 2^e, e int32.

Per token and channel:
    y = (A + e^(u+k) v) / (B + e^(u+k)) ;  A <- e^w A + e^k v ;  B <- e^w B + e^k

Sums of different size are joined at the larger exponent, so no term ever overflows and what
vanishes is too small to count; moving a sum to another exponent is exact. The running maximum of
the log-space form is here the exponent of B itself, kept so that B is in [0.5, 1).

All prefixes of a chunk come of doubling: those over 1 token give those over 2, 4, 8 and so on.
Decays over 2, 4, 8 tokens are e^(2w), e^(4w): such multiples of w are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.rwkv.exponent import power_of_two, reduce_exp

CHUNK = 128
EMPTY = -(1 << 30)
"""The exponent of a sum without terms: below that of any term."""

CLAMP = 60.0
"""Where the first programs for RWKV-2 and 3 cut off k."""

State = tuple[Tensor, Tensor, Tensor]
"""num and den (B, C), and their common exponent (B, C) int32: A = num 2^exp, B = den 2^exp."""


def empty_state(batch: int, channels: int, device: torch.device | str = "cpu") -> State:
    """The state before the first token, float32."""
    zeros = torch.zeros(batch, channels, device=device)
    exp = torch.full((batch, channels), EMPTY, dtype=torch.int32, device=device)
    return zeros, zeros.clone(), exp


def wkv4(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State, epsilon: float | None = None
) -> tuple[Tensor, State]:
    """Run the recurrence over T tokens from `state`; differentiable in all but the exponents.

    k, v: (B, T, C) and u: (C,) float32 (or float64); w: (C,) float64, for its multiples go into
    exponents. Returns y (B, T, C) and the state after the last token. epsilon: None for the
    recurrence as it is; a number for what the first programs for RWKV-2 and 3 made of it, k cut
    off at 60 and epsilon added to the denominator.
    """
    if epsilon is not None:
        k = k.clamp(max=CLAMP)
    parts = []
    for k_part, v_part in zip(k.split(CHUNK, 1), v.split(CHUNK, 1), strict=True):
        y, state = _chunk(k_part, v_part, w, u, state, epsilon)
        parts.append(y)
    return torch.cat(parts, 1), state


def _chunk(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State, epsilon: float | None
) -> tuple[Tensor, State]:
    num, den, exp = state
    f, n = reduce_exp(k)
    m = torch.exp(f)
    terms = torch.stack((m * v, m))  # (2, B, L, C)
    sums = torch.cat((torch.stack((num, den)).unsqueeze(2), terms), 2)  # (2, B, 1 + L, C)
    exps = torch.cat((exp.unsqueeze(1), n), 1)  # (B, 1 + L, C)
    lag = 1
    while lag <= k.shape[1]:
        sums, exps = _double(sums, exps, w, lag)
        lag *= 2

    bonus, shift = reduce_exp(u)
    both, top = _join(sums[:, :, :-1], exps[:, :-1], terms * torch.exp(bonus), n + shift)
    below = both[1]
    if epsilon is not None:
        below = below + epsilon * power_of_two(-top, k.dtype)
    y = both[0] / below

    last, exp = sums[:, :, -1], exps[:, -1]
    size = torch.frexp(last[1].detach()).exponent
    num, den = (last * power_of_two(-size, k.dtype)).unbind(0)
    return y, (num, den, exp + size)


def _double(sums: Tensor, exps: Tensor, w: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """Sums over the last `lag` tokens, as sums over the last 2 `lag`; the first `lag` are whole."""
    f, n = reduce_exp(w * lag)
    earlier = sums[:, :, :-lag]
    # e^f - 1 keeps the digits that tell a slow decay from none; e^f would lose them.
    earlier = torch.addcmul(earlier, earlier, torch.expm1(f).to(sums.dtype))
    joined, top = _join(earlier, exps[:, :-lag] + n, sums[:, :, lag:], exps[:, lag:])
    return torch.cat((sums[:, :, :lag], joined), 2), torch.cat((exps[:, :lag], top), 1)


def _join(a: Tensor, a_exp: Tensor, b: Tensor, b_exp: Tensor) -> tuple[Tensor, Tensor]:
    """a 2^a_exp + b 2^b_exp, with the larger exponent."""
    top = torch.maximum(a_exp, b_exp)
    a = a * power_of_two(a_exp - top, a.dtype)
    return torch.addcmul(a, b, power_of_two(b_exp - top, b.dtype)), top
