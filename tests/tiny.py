"""Small networks that serve every test of the engine; fixed by their seeds, trained on nothing."""

from __future__ import annotations

from dataclasses import fields

import torch

from engine.copyhints import HintConfig
from engine.rwkv.config import Config, Ranks
from engine.rwkv.network import Network

HINTS = HintConfig(**{f.name: 1 + i for i, f in enumerate(fields(HintConfig)) if f.type == "int"})


GENERATIONS = ("2", "3", "4", "5.2", "6", "7")
RANKS = {"6": Ranks(w=8, mix=4), "7": Ranks(w=8, a=8, v=8, g=16)}


def tiny_model(
    hints: bool = False,
    tied: bool = False,
    vocab: int = 61,
    seed: int = 0,
    generation: str = "7",
    time_state: bool = False,
) -> Network:
    """Two layers, 32 wide, two heads; every weight moved off its special first value."""
    config = Config(
        n_layer=2,
        n_embd=32,
        vocab=vocab,
        head_size=16,
        ranks=RANKS.get(generation, Ranks()),
        tied=tied,
        hints=HINTS if hints else None,
        generation=generation,
        time_state=time_state,
    )
    model = Network.create(config, seed)
    rng = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    return model.eval()


def tiny_tokens(batch: int, length: int, vocab: int = 61, seed: int = 0) -> torch.Tensor:
    """Random tokens (batch, length), few enough different ones for copy hints to find repeats."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, min(vocab, 30), (batch, length), generator=rng)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative L2 distance."""
    found, wanted = found.detach(), wanted.detach()
    return float((found - wanted).norm() / wanted.norm())
