"""Random first values of the shape of a parameter, from a generator that the caller owns."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def normal(p: Tensor, std: float, rng: torch.Generator) -> Tensor:
    """Normally distributed around 0."""
    return torch.empty(p.shape).normal_(0, std, generator=rng)


def uniform(p: Tensor, bound: float, rng: torch.Generator) -> Tensor:
    """Uniform in [-bound, bound)."""
    return torch.empty(p.shape).uniform_(-bound, bound, generator=rng)


def orthogonal(p: Tensor, gain: float, rng: torch.Generator) -> Tensor:
    """A random matrix with orthogonal rows or columns, times `gain`."""
    return nn.init.orthogonal_(torch.empty(p.shape), gain, generator=rng)
