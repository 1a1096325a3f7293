"""A network's state as a value: what it has read so far; knows nothing of weights or text.

Glossary: L layers, B batch, C width, H heads, N head size. Every tensor has the batch at dim 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.copyhints import CopyHints


@dataclass(frozen=True, eq=False)
class State:
    """Goes into the network and comes out; never changed in place.

    tensors, float32 whatever the weights are:
        att_x    (L, B, C)        last layer-normed input of each time mix
        ffn_x    (L, B, C)        last layer-normed input of each channel mix
      RWKV-2, 3 and 4:
        num, den (L, B, C)        the decayed sums, num 2^exp and den 2^exp (see wkv4.py)
        exp      (L, B, C) int32  their exponent, very low before the first token
      RWKV-5.2, 6 and 7:
        wkv      (L, B, H, N, N)  the recurrent matrices, [value, key]
    hints: one CopyHints a batch row; None for a network without copy hints, and after a
        forward that was given precomputed hints.
    """

    tensors: Mapping[str, Tensor]
    hints: tuple[CopyHints, ...] | None = None

    @property
    def batch(self) -> int:
        return next(iter(self.tensors.values())).shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes in the tensors (hints are rebuilt from their tokens and not counted)."""
        return sum(t.nbytes for t in self.tensors.values())

    def _map(self, change: Callable[[Tensor], Tensor]) -> State:
        return State({name: change(t) for name, t in self.tensors.items()}, self.hints)

    def clone(self) -> State:
        return self._map(torch.clone)

    def detach(self) -> State:
        """The same values, cut from the graph (between the parts of truncated BPTT)."""
        return self._map(torch.Tensor.detach)

    def to(self, device: str | torch.device) -> State:
        """The same values on `device`; itself where they are there already."""
        if all(t.device == device for t in self.tensors.values()):
            return self
        return self._map(lambda t: t.to(device))

    def select(self, rows: Sequence[int]) -> State:
        """A state of the batch rows `rows`, in that order; a row may come twice."""
        index = torch.as_tensor(rows, dtype=torch.long)
        hints = None if self.hints is None else tuple(self.hints[row] for row in rows)
        tensors = {n: t.index_select(1, index.to(t.device)) for n, t in self.tensors.items()}
        return State(tensors, hints)

    @staticmethod
    def stack(states: Sequence[State]) -> State:
        """One state whose batch is the rows of `states`, one after the other.

        Raises ValueError for no states, or when only some have copy hints.
        """
        if not states:
            raise ValueError("stack needs at least one state, got none")
        with_hints = [s.hints for s in states if s.hints is not None]
        if with_hints and len(with_hints) != len(states):
            raise ValueError(f"{len(with_hints)} of {len(states)} states have copy hints, not all")
        tensors = {n: torch.cat([s.tensors[n] for s in states], 1) for n in states[0].tensors}
        hints = tuple(h for rows in with_hints for h in rows) if with_hints else None
        return State(tensors, hints)
