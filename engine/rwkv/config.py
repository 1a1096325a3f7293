"""The shape of a network, read from its weights or chosen for a new one; holds no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.copyhints import HintConfig


@dataclass(frozen=True)
class Ranks:
    """Widths of the low-rank parts: decay (w), in-context rate (a), value mix (v), gate (g)."""

    w: int
    a: int
    v: int
    g: int

    @classmethod
    def usual(cls, n_embd: int) -> Ranks:
        """The widths that RWKV-LM's v7 code picks for a network `n_embd` wide."""

        def of(factor: float) -> int:
            return max(32, round(factor * n_embd**0.5 / 32) * 32)

        return cls(w=of(2.5), a=of(2.5), v=of(1.7), g=of(5.0))


@dataclass(frozen=True)
class Config:
    """Everything that fixes the names and shapes of a checkpoint's tensors.

    ffn, ranks: left out, four times n_embd and Ranks.usual.
    tied: the head is the embedding table; the checkpoint has no head.weight.
    first_v: layer 0 has v0, v1, v2 (never used; official files mostly have them).
    hints: None for a network without copy hints.
    """

    n_layer: int
    n_embd: int
    vocab: int
    head_size: int = 64
    ffn: int = 0
    ranks: Ranks = Ranks(0, 0, 0, 0)
    tied: bool = False
    first_v: bool = False
    hints: HintConfig | None = None
    generation: str = "7"

    def __post_init__(self) -> None:
        if self.n_embd % self.head_size or not self.n_embd:
            raise ValueError(
                f"n_embd is {self.n_embd}, which is not a multiple of head_size {self.head_size}"
            )
        # Filled in here, so that a chosen configuration equals the one read back from its file.
        object.__setattr__(self, "ffn", self.ffn or 4 * self.n_embd)
        if not self.ranks.w:
            object.__setattr__(self, "ranks", Ranks.usual(self.n_embd))

    @property
    def n_head(self) -> int:
        return self.n_embd // self.head_size

    @classmethod
    def infer(
        cls,
        shapes: Mapping[str, tuple[int, ...]],
        hints: HintConfig | None = None,
        tied: bool = False,
    ) -> Config:
        """Read the configuration off an RWKV-7 checkpoint's shapes.

        Raises KeyError naming a tensor that is needed and absent; ValueError, IndexError or
        ZeroDivisionError for shapes that can't be.
        """
        vocab, n_embd = shapes["emb.weight"]
        n_layer = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks."))
        if n_layer > len(shapes):
            raise ValueError(f"blocks.{n_layer - 1} among only {len(shapes)} tensors")
        last = f"blocks.{n_layer - 1}.att."
        w, a, g = (shapes[f"{last}{x}1"][-1] for x in "wag")
        # A one-layer network may lack v1 altogether; its width then doesn't matter.
        v = shapes[f"{last}v1"][-1] if n_layer > 1 else shapes.get(f"{last}v1", (0, 32))[-1]
        return cls(
            n_layer=n_layer,
            n_embd=n_embd,
            vocab=vocab,
            head_size=shapes["blocks.0.att.r_k"][1],
            ffn=shapes["blocks.0.ffn.key.weight"][0],
            ranks=Ranks(w=w, a=a, v=v, g=g),
            tied=tied,
            first_v="blocks.0.att.v0" in shapes,
            hints=hints,
        )
