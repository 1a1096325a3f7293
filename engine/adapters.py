"""What of a network learns: all, an adapter, its memory or its first state. Knows no training.

An adapter adds B A to a layer's matrix W (out, in), with A (rank, in) and B (out, rank), which
begins as zeros; the base stays as it is (LoRA, arXiv 2106.09685, with alpha = rank). A tuned state
is one matrix a head and layer, `time_state`, which `Network.initial_state` begins with.
Either is kept as a small file that names its base by hash; merged, it is a network like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from engine.checkpoint import load_model
from engine.errors import CheckpointError
from engine.memoryconfig import MemoryConfig
from engine.rwkv.network import Network
from engine.tensorfiles import weights_hash

Learn = Literal["all", "adapter", "memory", "state"]
WAYS: tuple[Learn, ...] = get_args(Learn)
_WRAPPED = "parametrizations.weight."


class _LowRank(nn.Module):
    """W -> W + B A."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        out, into = weight.shape
        a = torch.empty(rank, into).normal_(std=into**-0.5, generator=generator)
        self.a = nn.Parameter(a.to(weight))
        self.b = nn.Parameter(weight.new_zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.b @ self.a


def prepare(model: Network, learn: Learn, rank: int = 8, seed: int = 0) -> Network:
    """The network of which only what is to learn requires gradients; `model` is used up.

    "adapter": factors of `rank` on all of the layers' linear maps, and a latent memory's weights,
    where there is one. "state": `time_state`, zeros where there was none.
    "memory": the latent memory's alone.
    Raises CheckpointError for a memory where there is none, and for a state of a generation that
    has no matrices to tune.
    """
    if learn == "all":
        return model.requires_grad_(True)
    model.requires_grad_(False)
    if learn == "adapter":
        generator = torch.Generator().manual_seed(seed)
        for module in [*model.blocks.modules()]:
            if isinstance(module, nn.Linear):
                low = _LowRank(module.weight, rank, generator)
                parametrize.register_parametrization(module, "weight", low)
        if model.memory is not None:
            model.memory.requires_grad_(True)
        return model
    if learn == "memory":
        if model.memory is None:
            raise CheckpointError("The network has no latent memory to learn; choose a --memory.")
        model.memory.requires_grad_(True)
        return model
    if not model.config.has_heads:
        raise CheckpointError(
            f"RWKV-{model.config.generation} has no matrices to tune as a first state; "
            "choose --learn adapter or --learn all."
        )
    if not model.config.time_state:
        model = _as(model, time_state=True)
    model.requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith(".time_state"))
    return model


def _as(model: Network, time_state: bool) -> Network:
    """The same network with room for a tuned state, zeros."""
    weights = model.state_dict()
    with torch.device("meta"):
        new = Network(replace(model.config, time_state=time_state))
    for name, wanted in new.state_dict().items():
        if name not in weights:
            weights[name] = torch.zeros(wanted.shape, device=model.emb.weight.device)
    new.load_state_dict(weights, assign=True)
    return new


def merged(model: Network, instead: Mapping[str, Tensor] | None = None) -> Network:
    """A plain network that computes as `model`, with adapters merged, in eval mode, on its own.

    instead: values by name that stand in for parameters of `model` (an average of them).
    """
    values = {n: p.detach() for n, p in model.named_parameters()} | dict(instead or {})
    weights = {}
    for name, value in values.items():
        if not name.endswith((".0.a", ".0.b")) or _WRAPPED not in name:
            weights[name.replace(f"{_WRAPPED}original", "weight")] = value.clone()
    for name, b in values.items():
        if _WRAPPED in name and name.endswith(".0.b"):
            base = name.replace(f"{_WRAPPED}0.b", "weight")
            weights[base] += b @ values[name[:-1] + "a"]
    with torch.device("meta"):
        new = type(model)(model.config)  # which needn't be recurrent
    new.load_state_dict(weights, assign=True)
    return new.eval()


# -- files ----------------------------------------------------------------------------------------


def save_part(
    model: Network,
    path: str | Path,
    base: str,
    learn: Learn,
    instead: Mapping[str, Tensor] | None = None,
) -> None:
    """Write what learns in `model` as a small file; base: the hash of the file it belongs to.

    A tuned state has the names that other programs know. Raises CheckpointError when the file
    can't be written.
    """
    learned = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    tensors = {
        n: t.to("cpu", torch.float32).contiguous()
        for n, t in (learned | dict(instead or {})).items()
    }
    target = Path(path)
    temporary = target.with_suffix(".tmp")
    try:
        kind = model.config.memory.to_metadata() if model.config.memory else {}
        save_file(tensors, temporary, {"learn": learn, "base": base} | kind)
        temporary.replace(target)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Can't write {path} ({error}); choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)


def merge_part(base: str | Path, part: str | Path) -> Network:
    """The network of the checkpoint `base` with an adapter or a tuned state that was saved for it.

    Raises CheckpointError for a file that is no such part, or belongs to another checkpoint.
    """
    try:
        with safe_open(part, "pt") as opened:
            about = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Can't read the adapter {part}: {error}.") from error
    learn = about.get("learn")
    if learn not in WAYS[1:]:
        raise CheckpointError(
            f"{part} is neither an adapter nor a tuned state of `adventure tune`."
        )
    if about.get("base") != weights_hash(base):
        raise CheckpointError(f"{part} was made for another checkpoint than {base}; give that one.")
    ranks = [len(t) for n, t in tensors.items() if n.endswith(f"{_WRAPPED}0.a")]
    model = load_model(base)
    try:
        memory = MemoryConfig.from_metadata(about)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{part} is damaged ({error}); get the file again.") from error
    if memory and model.config.memory not in (None, memory):
        raise CheckpointError(f"{part} has another latent memory than {base}; give its own one.")
    if memory:
        model.add_memory(memory)
    model = prepare(model, cast(Learn, learn), ranks[0] if ranks else 1)
    wanted = {n for n, p in model.named_parameters() if p.requires_grad}
    if wanted != tensors.keys():
        raise CheckpointError(f"{part} has other parts than {base} takes; get the file again.")
    return merged(model, tensors)
