"""Files of weights to networks and back; knows nothing of text, training or games.

A network comes from a .safetensors or .pth file or from a Hugging Face folder (engine/tensorfiles
reads them, engine/layouts names their weights) and goes into .safetensors; engine/convert.py
writes the other forms.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from engine.copyhints import HintConfig
from engine.errors import CheckpointError
from engine.hintconfig import OtherVersionError
from engine.layouts import (
    check_settings,
    detect_generation,
    from_huggingface,
    is_tuned_state,
    settle_names,
    settle_shapes,
)
from engine.memoryconfig import MemoryConfig
from engine.native import KINDS, why_not
from engine.rwkv.config import GENERATIONS, Config
from engine.rwkv.network import Network
from engine.tensorfiles import TensorFile, read_metadata, read_tensors, weights_hash

__all__ = [
    "DTYPES",
    "Contents",
    "inspect",
    "load_model",
    "read_metadata",
    "save_model",
    "weights_hash",
]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
WANTED = f"an RWKV checkpoint of generation {', '.join(GENERATIONS[:-1])} or {GENERATIONS[-1]}"


@dataclass(frozen=True, eq=False)
class Contents:
    """A checkpoint whose names and shapes are those of a network; values may be anything.

    network: on the meta device, that is without weights.
    tensors: its weights under official names, in their own type, memory-mapped where they can be.
    """

    network: Network
    tensors: dict[str, Tensor]
    source: TensorFile


def load_model(
    path: str | Path, device: str = "cpu", dtype: str = "float32", compat: float | None = None
) -> Network:
    """The network in a checkpoint file or Hugging Face folder, in eval mode, on `device`.

    Its weights are of type `dtype`; those that have it already, on the CPU, stay in the mapped
    file. "bfloat16" also makes the native runtime keep its matrices so; "int8" is that runtime's
    alone: the weights keep the file's types, and its matrices are rounded to whole numbers.
    compat: see Network.compat.
    Raises CheckpointError for a checkpoint that is missing, damaged, unsafe, of a generation
    that isn't run, or that lacks a weight, has one of a wrong shape or one that isn't finite, and
    for int8 where the runtime can't be; ValueError for an unknown dtype, or a compat that the
    generation has no use for.
    """
    kind = None if dtype == "int8" else _dtype(dtype)
    contents = inspect(path)
    for name, tensor in contents.tensors.items():
        if not is_finite(tensor):
            raise CheckpointError(
                f"{path} has a value that is not a number in {name}; get the file again."
            )
    # One tensor at a time, so that a mapped file isn't in memory twice.
    ready = {name: t.to(device=device, dtype=kind) for name, t in contents.tensors.items()}
    model = contents.network
    model.load_state_dict(ready, assign=True)
    if dtype in KINDS:
        model.weights = dtype
    if compat is not None:
        model.compat = compat
    model.requires_grad_(True).eval()
    if dtype == "int8" and (why := why_not(model, model.config)):
        raise CheckpointError(f"int8 needs the native runtime ({why}); load it as float32.")
    return model


def inspect(path: str | Path) -> Contents:
    """What a checkpoint holds, found without reading its weights. Raises as load_model."""
    source = read_tensors(path)
    tensors = source.tensors
    if is_tuned_state(tensors):
        raise CheckpointError(
            f"{path} is a tuned state and holds no network; give the checkpoint of its network."
        )
    if source.settings is not None:
        tensors = from_huggingface(source.settings, tensors)
    generation = detect_generation(tensors)
    if generation not in GENERATIONS:
        what = f"an RWKV-{generation} network" if generation else "not an RWKV network"
        raise CheckpointError(f"{path} is {what}; give {WANTED}.")
    tensors = settle_names(generation, tensors)
    config = _config(path, tensors, source, generation)
    if source.settings is not None:
        check_settings(source.settings, config)
    with torch.device("meta"):
        network = Network(config)
    wanted = network.state_dict()
    tensors = settle_shapes(tensors, wanted)
    _check(path, tensors, wanted, generation)
    return Contents(network, tensors, source)


def save_model(
    model: Network, path: str | Path, metadata: Mapping[str, str], dtype: str = "float32"
) -> None:
    """Write the network as .safetensors, atomically: a crash leaves the old file or the new one.

    `metadata` goes into the header beside the entries that load_model needs. Raises
    CheckpointError when a weight doesn't fit `dtype`, or the file can't be written.
    """
    config = model.config
    header = dict(metadata) | {"format": "pt", "generation": config.generation}
    header |= {"tied": "1"} if config.tied else {}
    header |= config.hints.to_metadata() if config.hints else {}
    header |= config.memory.to_metadata() if config.memory else {}
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        save_file(stored_weights(model, dtype), temporary, header)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"Can't write the checkpoint {path} ({error}); choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def stored_weights(model: Network, dtype: str) -> dict[str, Tensor]:
    """The network's weights as `dtype` on the CPU, as they are to be written.

    Raises CheckpointError for one that isn't finite as `dtype`.
    """
    kind = _dtype(dtype)
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor.detach().to(device="cpu", dtype=kind).contiguous()
        if not is_finite(tensors[name]):
            raise CheckpointError(
                f"The weight {name} is not finite as {dtype}; save it as float32 or train it anew."
            )
    return tensors


def is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite.

    Both show in the least and the greatest value, which take one pass and no memory;
    torch.isfinite takes forty times as long.
    """
    return not tensor.numel() or all(bool(end.isfinite()) for end in torch.aminmax(tensor))


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ValueError(f"dtype is {name!r}, wanted one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _config(
    path: str | Path, tensors: Mapping[str, Tensor], source: TensorFile, generation: str
) -> Config:
    try:
        hints = HintConfig.from_metadata(source.metadata)
    except OtherVersionError as error:
        raise CheckpointError(
            f"{path} was trained for {error.which} version of the game and can't be played by this "
            "one; train one with this version (adventure tune)."
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has damaged settings for copy hints ({error}); get the file again."
        ) from error
    try:
        memory = MemoryConfig.from_metadata(source.metadata)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has damaged settings for its latent memory ({error}); get the file again."
        ) from error
    if source.settings is None:
        tied = source.metadata.get("tied") == "1"
    else:
        tied = bool(source.settings.get("tie_word_embeddings"))
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    try:
        return Config.infer(shapes, generation=generation, hints=hints, tied=tied, memory=memory)
    except KeyError as error:
        raise CheckpointError(
            f"{path} lacks the weight {error.args[0]}; get the whole checkpoint."
        ) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{path} has weights of shapes that no RWKV-{generation} has ({error}); give {WANTED}."
        ) from error


def _check(
    path: str | Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], generation: str
) -> None:
    for name, like in wanted.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks the weight {name}; get the whole checkpoint.")
        if found[name].shape != like.shape:
            raise CheckpointError(
                f"{path} has {name} of shape {tuple(found[name].shape)}, wanted "
                f"{tuple(like.shape)}; give {WANTED}."
            )
    for name in found:
        if name not in wanted:
            raise CheckpointError(
                f"{path} has a weight {name} that RWKV-{generation} does not have; give {WANTED}."
            )
