"""The shape of a network, read from its weights or chosen for a new one; holds no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.copyhints import HintConfig
from engine.memoryconfig import MemoryConfig

GENERATIONS = ("2", "3", "4", "5.2", "6", "7")


@dataclass(frozen=True)
class Ranks:
    """Widths of the low-rank parts: of 7 decay (w), in-context rate (a), value mix (v), gate (g);
    of 6 decay (w) and token mixes (mix). Those that a generation lacks are 0.
    """

    w: int = 0
    a: int = 0
    v: int = 0
    g: int = 0
    mix: int = 0

    @classmethod
    def usual(cls, n_embd: int, generation: str) -> Ranks:
        """The widths that RWKV-LM's code picks for a network `n_embd` wide."""
        if generation == "6":
            return cls(w=64, mix=32) if n_embd < 4096 else cls(w=128, mix=64)
        if generation != "7":
            return cls()

        def of(factor: float) -> int:
            return max(32, round(factor * n_embd**0.5 / 32) * 32)

        return cls(w=of(2.5), a=of(2.5), v=of(1.7), g=of(5.0))


@dataclass(frozen=True)
class Config:
    """Everything that fixes the names and shapes of a checkpoint's tensors.

    head_size: 0 for generations 2 to 4, which have no heads, whatever is given.
    ffn, ranks: left out, what RWKV-LM's code picks; ranks are 0 before 6, whatever is given.
    tied: the head is the embedding table; the checkpoint has no head.weight.
    first_v: layer 0 of an RWKV-7 has v0, v1, v2 (never used; official files mostly have them).
    time_state: each layer has a tuned initial matrix (5.2, 6 and 7).
    hints: None for a network without copy hints; memory: None for one without a latent memory.
    Raises ValueError for an unknown generation, or a width that its heads don't divide.
    """

    n_layer: int
    n_embd: int
    vocab: int
    head_size: int = 64
    ffn: int = 0
    ranks: Ranks = Ranks()
    tied: bool = False
    first_v: bool = False
    hints: HintConfig | None = None
    generation: str = "7"
    time_state: bool = False
    memory: MemoryConfig | None = None

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            raise ValueError(
                f"generation is {self.generation!r}, wanted one of {', '.join(GENERATIONS)}"
            )
        if self.vocab < 1 or self.n_layer < 1:
            raise ValueError(f"{self.n_layer} layers and {self.vocab} tokens, wanted 1 or more")
        # Filled in here, so that a chosen configuration equals the one read back from its file.
        if not self.has_heads:
            object.__setattr__(self, "head_size", 0)
        elif self.head_size < 1 or self.n_embd % self.head_size or not self.n_embd:
            raise ValueError(
                f"n_embd is {self.n_embd}, which is not a multiple of head_size {self.head_size}"
            )
        if self.time_state and not self.has_heads:
            raise ValueError(f"RWKV-{self.generation} has no matrices that time_state could tune")
        # 5.2 and 6 have a third matrix in the feed-forward part, and make room for it.
        wide = self.generation in ("5.2", "6")
        usual = self.n_embd * 7 // 2 // 32 * 32 if wide else 4 * self.n_embd
        object.__setattr__(self, "ffn", self.ffn or usual)
        if not self.ranks.w or self.generation not in ("6", "7"):
            object.__setattr__(self, "ranks", Ranks.usual(self.n_embd, self.generation))

    @property
    def has_heads(self) -> bool:
        """Whether the state is a matrix a head, and not two sums a channel."""
        return self.generation in ("5.2", "6", "7")

    @property
    def n_head(self) -> int:
        return self.n_embd // self.head_size if self.has_heads else 0

    @classmethod
    def infer(
        cls,
        shapes: Mapping[str, tuple[int, ...]],
        generation: str,
        hints: HintConfig | None = None,
        tied: bool = False,
        memory: MemoryConfig | None = None,
    ) -> Config:
        """Read the configuration off the shapes of a checkpoint of that generation.

        Raises KeyError naming a tensor that is needed and absent; ValueError, IndexError or
        ZeroDivisionError for shapes that can't be, ValueError for an unknown generation.
        """
        vocab, n_embd = shapes["emb.weight"]
        n_layer = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks."))
        if n_layer > len(shapes):
            raise ValueError(f"blocks.{n_layer - 1} among only {len(shapes)} tensors")
        last = f"blocks.{n_layer - 1}.att."
        head_size, ranks = 64, Ranks()
        if generation in ("5.2", "6"):
            head_size = shapes["blocks.0.att.time_faaaa"][1]
        if generation == "6":
            ranks = Ranks(w=shapes[f"{last}time_decay_w1"][-1], mix=shapes[f"{last}time_maa_w2"][1])
        if generation == "7":
            head_size = shapes["blocks.0.att.r_k"][1]
            w, a, g = (shapes[f"{last}{x}1"][-1] for x in "wag")
            # A one-layer network may lack v1 altogether; its width then doesn't matter.
            v = shapes[f"{last}v1"][-1] if n_layer > 1 else shapes.get(f"{last}v1", (0, 32))[-1]
            ranks = Ranks(w=w, a=a, v=v, g=g)
        return cls(
            n_layer=n_layer,
            n_embd=n_embd,
            vocab=vocab,
            head_size=head_size,
            ffn=shapes["blocks.0.ffn.key.weight"][0],
            ranks=ranks,
            tied=tied,
            first_v=generation == "7" and "blocks.0.att.v0" in shapes,
            hints=hints,
            generation=generation,
            time_state="blocks.0.att.time_state" in shapes,
            memory=memory,
        )
