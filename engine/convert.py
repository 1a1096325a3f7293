"""Networks to files that other programs read; knows nothing of how these compute.

Three forms: "safetensors" (this engine's own, the only one that holds copy hints), "pth" (official
names, for RWKV-LM, the rwkv package and what reads their files) and "huggingface" (a folder, for
transformers' RwkvForCausalLM and for flash-linear-attention and rwkv7-hf).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from engine.checkpoint import save_model, stored_weights
from engine.errors import CheckpointError
from engine.layouts import to_huggingface
from engine.rwkv.network import Network

FORMS = ("safetensors", "pth", "huggingface")


def form_of(path: str | Path) -> str:
    """The form that a name asks for. Raises CheckpointError for an ending that means none."""
    path = Path(path)
    forms = {".safetensors": "safetensors", ".pth": "pth", ".pt": "pth", "": "huggingface"}
    if path.is_dir():
        return "huggingface"
    if path.suffix not in forms:
        raise CheckpointError(
            f"{path} ends in {path.suffix}, which stands for no form of checkpoint; end it in "
            ".safetensors or .pth, or leave the ending out for a Hugging Face folder."
        )
    return forms[path.suffix]


def write_model(
    model: Network,
    path: str | Path,
    form: str,
    dtype: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the network; whatever is at `path` is replaced whole, or left as it was.

    metadata: further header entries; only a .safetensors file has room for them. Raises
    CheckpointError where the form can't hold the network, a weight doesn't fit `dtype`, a folder
    has something in it already, or nothing can be written; ValueError for a form that isn't one.
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, wanted one of {', '.join(FORMS)}")
    path = Path(path)
    if form == "safetensors":
        save_model(model, path, metadata or {}, dtype)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if form == "pth":
            _write_pth(model, temporary, dtype)
        else:
            _write_folder(model, path, temporary, dtype)
        temporary.replace(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"Can't write the checkpoint {path} ({error}); choose another place."
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _write_pth(model: Network, temporary: Path, dtype: str) -> None:
    if model.config.hints:
        raise CheckpointError(
            "A .pth file has no room for the settings of copy hints; write a .safetensors file."
        )
    if model.config.memory:
        raise CheckpointError(
            "A .pth file has no room for the settings of a latent memory; write a .safetensors "
            "file."
        )
    tensors = stored_weights(model, dtype)
    tensors.setdefault("head.weight", tensors["emb.weight"])  # readers know no tied heads
    with temporary.open("wb") as file:
        torch.save(_own_memory(tensors), file)
        file.flush()
        os.fsync(file.fileno())


def _write_folder(model: Network, path: Path, temporary: Path, dtype: str) -> None:
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise CheckpointError(f"{path} exists and is not an empty folder; choose another place.")
    settings, tensors = to_huggingface(model.config, stored_weights(model, dtype), dtype)
    temporary.mkdir()
    save_file(_own_memory(tensors), temporary / "model.safetensors", {"format": "pt"})
    text = json.dumps(settings, indent=2) + "\n"
    (temporary / "config.json").write_text(text, encoding="utf-8")


def _own_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, copied where they are part of a larger memory or share theirs.

    torch.save would write the whole memory (a mapped file, say), and safetensors refuses to.
    """
    own: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, t in tensors.items():
        shared = t.untyped_storage().nbytes() != t.nbytes or t.data_ptr() in seen
        own[name] = t.clone() if shared else t
        seen.add(t.data_ptr())
    return own
