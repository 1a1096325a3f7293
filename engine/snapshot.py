"""A point to go on from exactly: state, next logits, and whatever else is needed; knows no files.

The tensors hold the network's state, the logits and the tokens that the copy hints have read; the
rest is JSON-able. Both together rebuild the snapshot bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.copyhints import CopyHints, HintConfig
from engine.errors import SnapshotError
from engine.hintconfig import OtherVersionError
from engine.rwkv.state import State

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """logits (V,) follow what `state` has read; sampler and extra must be JSON-able.

    sampler: how tokens are chosen, the randomness and what was held back, as
    engine.writing.Point puts it there; empty where the owner keeps these itself.
    """

    state: State
    logits: Tensor
    sampler: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The parts to be written: tensors by name, on the CPU, and JSON-able metadata."""
        tensors = {f"state.{name}": t for name, t in self.state.tensors.items()}
        tensors["logits"] = self.logits
        meta: dict[str, Any] = {"format": FORMAT, "sampler": self.sampler, "extra": self.extra}
        if self.state.hints is not None:
            for row, hints in enumerate(self.state.hints):
                tensors[f"hints.{row}"] = torch.from_numpy(np.array(hints.tokens, np.int32))
            meta["hints"] = dict(_settings(self.state.hints[0].config))
        return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}, meta

    @staticmethod
    def from_tensors(
        tensors: Mapping[str, Tensor], meta: Mapping[str, Any], begun: CopyHints | None = None
    ) -> Snapshot:
        """Rebuild a snapshot. Raises SnapshotError for another format, or parts that don't fit.

        begun: copy hints that may have read the beginning of the snapshot's tokens, which are then
        read from there on; the snapshot is the same without.
        """
        if meta.get("format") != FORMAT:
            raise SnapshotError(
                f"The snapshot has format {meta.get('format')!r} and this program reads format "
                f"{FORMAT}; use the version that wrote it."
            )
        state = {n.removeprefix("state."): t for n, t in tensors.items() if n.startswith("state.")}
        sampler, extra = meta.get("sampler"), meta.get("extra")
        if not state or "logits" not in tensors or sampler is None or extra is None:
            raise SnapshotError("The snapshot lacks its state or its logits; use another copy.")
        batches = {t.shape[1] if t.dim() > 1 else 0 for t in state.values()}
        values = (*state.values(), tensors["logits"])
        if len(batches) != 1 or not all(torch.isfinite(t).all() for t in values):
            raise SnapshotError(
                "The snapshot has tensors of different batch sizes or values that are not "
                "numbers; use another copy."
            )
        hints = _read_hints(tensors, meta, batches.pop(), begun)
        return Snapshot(State(state, hints), tensors["logits"], dict(sampler), dict(extra))


@lru_cache(maxsize=4)
def _settings(config: HintConfig) -> dict[str, str]:
    """As a snapshot's metadata has them; a network has one, and a save many snapshots."""
    return config.to_metadata()


def _read_hints(
    tensors: Mapping[str, Tensor], meta: Mapping[str, Any], batch: int, begun: CopyHints | None
) -> tuple[CopyHints, ...] | None:
    if "hints" not in meta:
        return None
    try:
        config = HintConfig.from_metadata(meta["hints"])
        rows = [tensors[f"hints.{row}"].tolist() for row in range(batch)]
    except OtherVersionError as error:
        raise SnapshotError(
            f"The snapshot was written by {error.which} version of this program, whose copy hints "
            "are others; use the version that wrote it."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(
            f"The snapshot's copy hints are damaged ({error}); use another copy."
        ) from error
    if config is None:
        raise SnapshotError("The snapshot's copy hints lack their settings; use another copy.")
    return tuple(_after(row, config, begun) for row in rows)


def _after(tokens: list[int], config: HintConfig, begun: CopyHints | None) -> CopyHints:
    """The copy hints after `tokens`, read on from `begun` where that has read the first of them."""
    if begun is None or begun.config != config or tuple(tokens[: len(begun)]) != begun.tokens:
        begun = CopyHints.start(config)
    return begun.read(tokens[len(begun) :])[2]
