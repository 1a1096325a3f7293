"""The WKV-7 recurrence over whole sequences in plain torch; knows nothing of layers or weights.

Glossary
    B batch, T tokens, H heads, N head size, M chunks, L tokens in a chunk
    r receptance, logw log of the decay (<= 0), k key, v value, a and b the removal vectors
    S the state, [value, key];  G running sum of logw inside a chunk

Per token:  S <- S diag(exp(logw)) + (S a) b^T + v k^T ;  y = S r

A chunk's U = S a (one row a token) solves a unit triangular system. Solving it for the chunk's
own input and for an unknown S0 at once leaves one (N, N) product a chunk to do in order:
    U = P S0^T + Q,   S_end = S0 F + E,   y = (R + Arb P) S0^T + (Ark V + Arb Q)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 16


def wkv7_chunked(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run WKV-7 over T tokens from `state`; differentiable in every argument.

    r, logw, k, v, a, b: (B, T, H, N) float32; state: (B, H, N, N) as [value, key].
    Returns y (B, T, H, N) and the state after the last token; T may be any positive number.
    float32 holds while exp(-CHUNK * min(logw)) does: RWKV-7's decay is above 0.545 a token.
    """
    B, T, H, N = r.shape
    L = min(CHUNK, T)
    M = -(-T // L)
    pad = M * L - T

    def chunks(x: Tensor) -> Tensor:
        # Zero rows change nothing: no decay, nothing removed, nothing written.
        x = F.pad(x, (0, 0, 0, 0, 0, pad)) if pad else x
        return x.reshape(B, M, L, H, N).permute(0, 1, 3, 2, 4)  # (B, M, H, L, N)

    r, logw, k, v, a, b = (chunks(x) for x in (r, logw, k, v, a, b))
    G = logw.cumsum(3)
    G_end = G[:, :, :, -1:]
    up, rest = torch.exp(-G), torch.exp(G_end - G)
    A, R = a * torch.exp(G - logw), r * torch.exp(G)
    KB = torch.cat((k * up, b * up), 3).transpose(3, 4)  # (B, M, H, N, 2L)
    before, upto = (A @ KB).split(L, 4), (R @ KB).split(L, 4)  # (B, M, H, L, L) each
    Aak, Aab = before[0].tril(-1), before[1].tril(-1)
    Ark, Arb = upto[0].tril(), upto[1].tril()

    eye = torch.eye(L, dtype=r.dtype, device=r.device)
    PQ = torch.linalg.solve_triangular(
        eye - Aab, torch.cat((A, Aak @ v), 4), upper=False, unitriangular=True
    )  # (B, M, H, L, 2N)
    ends = PQ.transpose(3, 4) @ (b * rest)  # (B, M, H, 2N, N)
    step = ends[..., :N, :] + torch.diag_embed(torch.exp(G_end.squeeze(3)))
    add = ends[..., N:, :] + v.transpose(3, 4) @ (k * rest)

    starts = []
    for step_m, add_m in zip(step.unbind(1), add.unbind(1), strict=True):
        starts.append(state)
        state = state @ step_m + add_m
    S0 = torch.stack(starts, 1).transpose(3, 4)  # (B, M, H, key, value)

    P, Q = PQ.split(N, 4)
    y = (R + Arb @ P) @ S0 + Ark @ v + Arb @ Q  # (B, M, H, L, N)
    return y.permute(0, 1, 3, 2, 4).reshape(B, M * L, H, N)[:, :T], state
