"""Networks under official names with what the programs they come from made of them (vectors/)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.rwkv.config import Config
from engine.rwkv.network import Network

VECTORS = Path(__file__).parent / "vectors"
FILES = {"2": "rwkv2", "4": "rwkv4", "5.2": "rwkv5", "6": "rwkv6", "7": "rwkv7"}


@cache
def vector(generation: str, file: str = "") -> dict[str, dict[str, Tensor]]:
    """The parts of a vector file: weights, state, and tokens and logits under "run"."""
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "state": {}, "run": {}}
    for name, tensor in load_file(VECTORS / f"{file or FILES[generation]}.safetensors").items():
        part, slash, rest = name.partition("/")
        parts[part if slash else "run"][rest if slash else name] = tensor
    return parts


def weights(generation: str) -> dict[str, Tensor]:
    """A checkpoint's tensors, float16, fresh; generation 3 has no vector and is made up."""
    if generation != "3":
        return {name: t.clone() for name, t in vector(generation)["weights"].items()}
    config = Config(n_layer=2, n_embd=128, vocab=61, generation="3")
    made = Network.create(config, seed=3).state_dict()
    rng = torch.Generator().manual_seed(3)
    return {n: (t + 0.1 * torch.randn(t.shape, generator=rng)).half() for n, t in made.items()}


def network(generation: str, tensors: dict[str, Tensor] | None = None) -> Network:
    """A network of these tensors, or of `weights`, in float32."""
    tensors = tensors or weights(generation)
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    model = Network(Config.infer(shapes, generation=generation))
    model.load_state_dict({name: t.float() for name, t in tensors.items()})
    return model.eval()


def more_tokens(count: int = 12) -> Tensor:
    """Tokens (1, count) that no vector has read yet."""
    return torch.randint(0, 61, (1, count), generator=torch.Generator().manual_seed(5))
