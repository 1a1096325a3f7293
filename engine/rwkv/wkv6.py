"""The WKV recurrence of RWKV-5.2 and 6 over whole sequences; knows nothing of layers or weights.

Glossary
    B batch, T tokens, H heads, N head size, M chunks, L tokens in a chunk
    r receptance, k key, v value, logw log of the decay (<= 0), u bonus of the newest token
    S the state, [value, key]

Per token:  y = S r + (r . u k) v ;  S <- S diag(exp(logw)) + v k^T

Decays have no bound below, so products of them over a span of tokens are made by adding up the
logs of that very span: every exponential is of a sum that is not positive, and no large sum is
taken from another.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

CHUNK = 8
SEGMENT = 64 * CHUNK  # tokens that are worked on at once: memory is CHUNK times theirs


def wkv6(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, u: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over T tokens from `state`; differentiable in every argument.

    r, k, v: (B, T, H, N); logw: the same, or (1, 1, H, N) for one decay at all tokens; u: (H, N);
    state: (B, H, N, N) as [value, key]; all float32 (or all float64).
    Returns y (B, T, H, N) and the state after the last token.
    """
    T, parts, start = r.shape[1], [], 0
    while start < T:
        left = T - start
        L = min(CHUNK, left)
        stop = start + min(SEGMENT, left - left % L)  # whole chunks; a shorter one comes last
        here = slice(start, stop)
        logw_here = logw if logw.shape[1] == 1 else logw[:, here]
        y, state = _chunks(r[:, here], logw_here, k[:, here], v[:, here], u, state, L)
        parts.append(y)
        start = stop
    return torch.cat(parts, 1), state


def _chunks(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, u: Tensor, state: Tensor, L: int
) -> tuple[Tensor, Tensor]:
    """The recurrence over M chunks of L tokens each."""
    B, T, H, N = r.shape

    def chunks(x: Tensor) -> Tensor:
        return x.reshape(len(x), -1, L, H, N).permute(0, 1, 3, 2, 4)  # (B, M, H, L, N)

    r, k, v = chunks(r), chunks(k), chunks(v)
    logw = chunks(logw if logw.shape[1] == T else logw.expand(1, L, H, N))
    sums = _spans(L, logw.dtype, logw.device) @ logw
    before, after, between = sums.split((L + 1, L, L * L), 3)
    weights = torch.exp(between).unflatten(3, (L, L))  # (B, M, H, reading, writing, N)
    scores = torch.einsum("bmhtjn,bmhjn,bmhtn->bmhtj", weights, k, r).tril(-1)
    own = (r * u.unsqueeze(1) * k).sum(4, keepdim=True) * v

    whole = before[:, :, :, L:]  # (B, M, H, 1, N)
    keep = torch.exp(whole)
    # What rounding took from a slow decay: over thousands of tokens it adds up.
    lost = torch.where(whole > -0.5, torch.expm1(whole) - (keep - 1), 0).detach()
    add = v.transpose(3, 4) @ (k * torch.exp(after))  # (B, M, H, value, key)
    starts = []
    for keep_m, lost_m, add_m in zip(
        keep.expand_as(add[:, :, :, :1]).unbind(1),
        lost.expand_as(add[:, :, :, :1]).unbind(1),
        add.unbind(1),
        strict=True,
    ):
        starts.append(state)
        state = torch.addcmul(torch.addcmul(add_m, state, lost_m), state, keep_m)
    S0 = torch.stack(starts, 1).transpose(3, 4)  # (B, M, H, key, value)
    y = scores @ v + (r * torch.exp(before[:, :, :, :L])) @ S0 + own
    return y.permute(0, 1, 3, 2, 4).reshape(B, T, H, N), state


@lru_cache(maxsize=64)
def _spans(L: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Which tokens' decays lie in a span, as a 0/1 matrix: (L + 1 + L + L*L, L).

    Rows: before token t, t to L; after token j; after token j and before token t, t-major.
    """
    with torch.inference_mode(False):  # what is kept must serve training, too
        i = torch.arange(L, device=device)
        t = torch.arange(L + 1, device=device).unsqueeze(1)
        before, after = i < t, i > i.unsqueeze(1)
        between = before[:L].unsqueeze(1) & after
        return torch.cat((before, after, between.flatten(0, 1))).to(dtype)
