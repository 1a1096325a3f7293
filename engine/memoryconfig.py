"""The shape of a latent memory, chosen for a network or read from a checkpoint; no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SOLIDIFIERS = ("none", "glu", "mlp", "layer", "separate", "fsq")
GATES = ("none", "elephant")
FORMULAS = ("right", "wrong")
MOST_LEVELS = 127
"""Codes are kept as int8."""


@dataclass(frozen=True)
class MemoryConfig:
    """What is read before a segment and written after it (engine/memory.py has the formulas).

    slots: M embeddings as wide as the network. solidifier: what makes memory of the outputs at the
    write tokens. gate: whether old memory stays where new one isn't let in. formula: "right" writes
    from the memory that was read, "wrong" from the learned initial one (an ablation). pause:
    learned tokens before the write tokens. levels: values of a channel of "fsq", odd, so that one
    of them is 0.
    Raises ValueError for anything else.
    """

    slots: int = 8
    solidifier: str = "mlp"
    gate: str = "none"
    formula: str = "right"
    pause: int = 0
    levels: int = 5

    def __post_init__(self) -> None:
        for name, known in (("solidifier", SOLIDIFIERS), ("gate", GATES), ("formula", FORMULAS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, wanted one of {', '.join(known)}"
                )
        for name, least in (("slots", 1), ("pause", 0), ("levels", 3)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}, wanted a whole number from {least}")
        if self.levels % 2 == 0 or self.levels > MOST_LEVELS:
            raise ValueError(f"levels is {self.levels}, wanted an odd number up to {MOST_LEVELS}")

    def to_metadata(self) -> dict[str, str]:
        """As the safetensors header keeps it."""
        return {"memory": json.dumps(asdict(self), sort_keys=True)}

    @staticmethod
    def from_metadata(metadata: Mapping[str, str]) -> MemoryConfig | None:
        """None where the checkpoint has no memory. Raises ValueError on a damaged entry."""
        if "memory" not in metadata:
            return None
        raw = json.loads(metadata["memory"])
        names = {f.name for f in fields(MemoryConfig)}
        if not isinstance(raw, dict) or set(raw) != names:
            raise ValueError(f"memory must name exactly {sorted(names)}")
        return MemoryConfig(**raw)
