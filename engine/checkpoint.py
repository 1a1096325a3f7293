"""Files of weights to networks and back; knows nothing of text, training or games.

Reads .safetensors and .pth (tensors only: a pickle that asks for anything else is refused) and
tells them apart by their content, not their name. Sources of the generations' marks: the key
names of BlinkDL/RWKV-LM's releases.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.copyhints import HintConfig
from engine.errors import CheckpointError
from engine.rwkv.config import Config
from engine.rwkv.v7 import RWKV7

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def load_model(path: str | Path, device: str = "cpu", dtype: str = "float32") -> RWKV7:
    """The network in a checkpoint file, in eval mode, its weights as `dtype` on `device`.

    Raises CheckpointError for a file that is missing, damaged, unsafe, of another generation, or
    that lacks a tensor, has one of a wrong shape or one that isn't finite; ValueError for a dtype
    that isn't float32, float16 or bfloat16.
    """
    kind = _dtype(dtype)
    tensors, metadata = _read(Path(path))
    generation = detect_generation(tensors)
    if generation != "7":
        what = f"an RWKV-{generation} network" if generation else "not an RWKV network"
        raise CheckpointError(f"{path} is {what}, wanted RWKV-7; give an RWKV-7 checkpoint.")
    config = _config(path, tensors, metadata)
    with torch.device("meta"):
        model = RWKV7(config)
    _check(path, tensors, model.state_dict())
    # One tensor at a time, so that a mapped file isn't in memory twice.
    ready = {name: t.to(device=device, dtype=kind) for name, t in tensors.items()}
    model.load_state_dict(ready, assign=True)
    return model.requires_grad_(True).eval()


def save_model(
    model: RWKV7, path: str | Path, metadata: Mapping[str, str], dtype: str = "float32"
) -> None:
    """Write the network as .safetensors, atomically: a crash leaves the old file or the new one.

    `metadata` goes into the header beside the entries that load_model needs. Raises
    CheckpointError when a weight doesn't fit `dtype`, or the file can't be written.
    """
    kind = _dtype(dtype)
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor.detach().to(device="cpu", dtype=kind).contiguous()
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(
                f"The weight {name} is not finite as {dtype}; save it as float32 or train it anew."
            )
    config = model.config
    header = dict(metadata) | {"format": "pt", "generation": config.generation}
    header |= {"tied": "1"} if config.tied else {}
    header |= config.hints.to_metadata() if config.hints else {}
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, header)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"Can't write the checkpoint {path} ({error}); choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The header entries of a .safetensors checkpoint (none in a .pth); raises as load_model."""
    return _read(Path(path))[1]


def weights_hash(path: str | Path) -> str:
    """sha256 of the file; raises CheckpointError when it can't be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def detect_generation(tensors: Mapping[str, Tensor]) -> str | None:
    """Which RWKV generation the tensors' names and shapes belong to; None for no RWKV."""

    def has(part: str) -> bool:
        return any(part in name for name in tensors)

    if "emb.weight" not in tensors or not has("blocks."):
        return None
    if has(".att.r_k"):
        return "7"
    if has(".time_maa"):
        return "6"
    decay = tensors.get("blocks.0.att.time_decay")
    if decay is None:
        return None
    two_dimensional = decay.dim() > 1 and decay.shape[-1] > 1
    if has(".att.ln_x"):
        if has(".att.gate"):
            return "5.2" if two_dimensional else "5.1"
        return "5"
    if not has("blocks.0.ln0") and has(".att.time_mix") and not has(".att.time_mix_"):
        return "2"
    return "3" if decay.dim() == 2 else "4"


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ValueError(f"dtype is {name!r}, wanted one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give a .safetensors or .pth file.")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise _unreadable(path, error) from error
    if start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] < 1 << 40:
        return _read_safetensors(path)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _read_pickle(path), {}
    raise CheckpointError(
        f"{path} is neither a .safetensors nor a .pth file (it begins with {start[:4]!r}); "
        "give an RWKV-7 checkpoint."
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is cut short or damaged; get the file again.") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        # Old-style pickles can't be mapped into memory.
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or would run code when opened, so it was not opened; "
            "get a checkpoint that holds only tensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is cut short or damaged; get the file again.") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(t, Tensor) for name, t in content.items()
    ):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__} that is not a table of named tensors; "
            "give an RWKV-7 checkpoint."
        )
    return content


def _config(path: str | Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> Config:
    try:
        hints = HintConfig.from_metadata(metadata)
    except ValueError as error:
        raise CheckpointError(
            f"{path} has damaged settings for copy hints ({error}); get the file again."
        ) from error
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    try:
        return Config.infer(shapes, hints=hints, tied=metadata.get("tied") == "1")
    except KeyError as error:
        raise CheckpointError(
            f"{path} lacks the weight {error.args[0]}; get the whole checkpoint."
        ) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{path} has weights of shapes that no RWKV-7 has ({error}); give an RWKV-7 checkpoint."
        ) from error


def _check(path: str | Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, like in wanted.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks the weight {name}; get the whole checkpoint.")
        if found[name].shape != like.shape:
            raise CheckpointError(
                f"{path} has {name} of shape {tuple(found[name].shape)}, wanted "
                f"{tuple(like.shape)}; give an RWKV-7 checkpoint."
            )
        if not torch.isfinite(found[name]).all():
            raise CheckpointError(
                f"{path} has a value that is not a number in {name}; get the file again."
            )
    for name in found:
        if name not in wanted:
            raise CheckpointError(
                f"{path} has a weight {name} that RWKV-7 does not have; give an RWKV-7 checkpoint."
            )


def _unreadable(path: str | Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"Can't read the checkpoint {path}: {error.strerror or error}; check the path."
    )
