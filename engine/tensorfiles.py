"""Files of named tensors, and folders of them, memory-mapped; knows nothing of networks.

Reads .safetensors and .pth files (tensors only: a pickle that asks for anything else is refused),
told apart by their content and not their name, and Hugging Face folders: config.json beside
model.safetensors or pytorch_model.bin, either whole or in shards that an index lists.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.errors import CheckpointError

LONGEST_NAME = 255  # bytes of a file name, on all usual systems
WHOLE = ("model.safetensors", "pytorch_model.bin")
"""What holds a Hugging Face folder's weights, the preferred one first; shards have an index."""
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class TensorFile:
    """What a file or folder holds.

    tensors: on the CPU; their memory is the file itself where the format can be mapped.
    metadata: the header entries of a .safetensors file, else empty.
    settings: a Hugging Face folder's config.json; None for a file.
    files: what was read, config.json left out.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    settings: dict[str, Any] | None
    files: tuple[Path, ...]

    @property
    def nbytes(self) -> int:
        """Size on disk."""
        return sum(file.stat().st_size for file in self.files)


def read_tensors(path: str | Path) -> TensorFile:
    """Open a .safetensors or .pth file, or a Hugging Face folder.

    Raises CheckpointError for one that is missing, damaged or unsafe, that lacks a shard, or that
    holds anything but floating-point tensors.
    """
    path = Path(path)
    try:
        folder = path.is_dir()
    except OSError as error:  # a name too long to be one
        raise _unreadable(path, error) from error
    if folder:
        return _read_folder(path)
    tensors, metadata = _read_file(path)
    return TensorFile(tensors, metadata, None, (path,))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The header entries of a .safetensors file; none for another form. Raises as read_tensors."""
    return read_tensors(path).metadata


def weights_hash(path: str | Path) -> str:
    """sha256 of a file, or of a Hugging Face folder's settings and weights.

    Raises CheckpointError when it can't be read.
    """
    path = Path(path)
    if not path.is_dir():
        return _hash_of(path)
    parts = [path / "config.json", *weight_files(path)]
    listed = "".join(f"{file.name}\0{_hash_of(file)}\0" for file in parts)
    return hashlib.sha256(listed.encode()).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a Hugging Face folder. Raises CheckpointError for a missing one."""
    for name in WHOLE:
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder, f"{name}.index.json")
    raise CheckpointError(
        f"{folder} is a folder without {' or '.join(WHOLE)}; give a Hugging Face folder, "
        "or a .safetensors or .pth file."
    )


def exact_dtype(tensors: Sequence[Tensor]) -> torch.dtype:
    """The one type of all tensors, else float32: what holds them without rounding any."""
    kinds = {tensor.dtype for tensor in tensors}
    return kinds.pop() if len(kinds) == 1 and torch.float64 not in kinds else torch.float32


def _read_folder(folder: Path) -> TensorFile:
    files = weight_files(folder)
    settings = _read_json(folder / "config.json")
    tensors: dict[str, Tensor] = {}
    for file in files:
        found, _ = _read_file(file)
        twice = tensors.keys() & found.keys()
        if twice:
            raise CheckpointError(
                f"{file} holds {min(twice)}, which another shard holds too; get the folder again."
            )
        tensors |= found
    return TensorFile(tensors, {}, settings, tuple(files))


def _shards(folder: Path, index: str) -> list[Path]:
    places = _read_json(folder / index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{folder / index} has no weight_map; get the folder again.")
    names = sorted({str(name) for name in places.values()})
    for name in names:
        if Path(name).name != name or len(os.fsencode(name)) > LONGEST_NAME:
            raise CheckpointError(
                f"{folder / index} names the shard {name!r}, which is not a file of its folder; "
                "get the folder again."
            )
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} lacks the shard {name} of {len(names)}; get the whole folder."
            )
    return [folder / name for name in names]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(file, error) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} is not JSON ({_one_line(error)}); get the folder again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{file} holds a {type(content).__name__}, wanted a table; get the folder again."
        )
    return content


def _read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise CheckpointError(f"{path} is not a file; give an RWKV checkpoint.")
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise _unreadable(path, error) from error
    if start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] < 1 << 40:
        tensors, metadata = _read_safetensors(path)
    elif start[:2] == b"PK" or start[:1] == b"\x80":
        tensors, metadata = _read_pickle(path), {}
    else:
        what = f"it begins with {start[:4]!r}" if start else "it is empty"
        raise CheckpointError(
            f"{path} is neither a .safetensors nor a .pth file ({what}); give an RWKV checkpoint."
        )
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS or tensor.layout != torch.strided or not tensor.is_cpu:
            kind = f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise CheckpointError(
                f"{path} has {name} as {kind}, wanted plain floating-point weights; "
                "get a checkpoint that isn't quantised."
            )
        # A view may repeat a few bytes into any shape: reading it would never end.
        stored = tensor.untyped_storage().nbytes()
        if tensor.nbytes > stored:
            raise CheckpointError(
                f"{path} has {name} of shape {tuple(tensor.shape)} in {stored} bytes; "
                "get the file again."
            )
    return tensors, metadata


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} is cut short or damaged; get the file again.") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, in one sentence
            # Old-style pickles can't be mapped into memory.
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged or would run code when opened, so it was not opened; "
            "get a checkpoint that holds only tensors."
        ) from error
    except Exception as error:  # torch raises whatever a damaged file makes it stumble over
        raise CheckpointError(f"{path} is cut short or damaged; get the file again.") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(t, Tensor) for name, t in content.items()
    ):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__} that is not a table of named tensors; "
            "give an RWKV checkpoint."
        )
    return {name: tensor.detach() for name, tensor in content.items()}


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"Can't read the checkpoint {path}: {error.strerror or error}; check the path."
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
