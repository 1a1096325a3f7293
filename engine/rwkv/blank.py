"""Layers whose weights are left as they are when made: a checkpoint or `initialise` fills them.

Filling them first is lost time, and on the meta device torch imports its compiler to do it.
"""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """nn.Linear, not filled."""

    def reset_parameters(self) -> None:
        """Leave the weights alone."""


class Embedding(nn.Embedding):
    """nn.Embedding, not filled."""

    def reset_parameters(self) -> None:
        """Leave the weights alone."""
