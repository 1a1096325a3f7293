"""RWKV-7 networks as GGUF files, so that llama.cpp can be measured; knows nothing of measuring.

Needs the `gguf` package. The vocabulary is left out: a file is for tokens, not for text.

Source: llama.cpp's conversion of RWKV-7 for the names and the settings that it looks for. Matrices
lie as (out, in) there, so the low-rank pairs are turned; the six token-shift mixes are one tensor;
layer 0 needs a v0, v1 and v2, which are never used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.rwkv.network import Network

KINDS = ("F32", "F16", "Q8_0")
_WHOLE = {
    "emb.weight": "token_embd.weight",
    "ln_out.weight": "output_norm.weight",
    "ln_out.bias": "output_norm.bias",
    "head.weight": "output.weight",
    "blocks.0.ln0.weight": "token_embd_norm.weight",
    "blocks.0.ln0.bias": "token_embd_norm.bias",
}
_PARTS = {
    "ln1": "attn_norm",
    "ln2": "attn_norm_2",
    "att.ln_x": "time_mix_ln",
    "att.receptance": "time_mix_receptance",
    "att.key": "time_mix_key",
    "att.value": "time_mix_value",
    "att.output": "time_mix_output",
    "ffn.x_k": "channel_mix_lerp_k",
    "ffn.key": "channel_mix_key",
    "ffn.value": "channel_mix_value",
}
_LARGE = ("receptance", "key", "value", "output", "token_embd", "channel_mix_key")
_SHIFTS = "rwkvag"


def write_gguf(model: Network, path: Path, kind: str) -> None:
    """Write the network, its large matrices as `kind` (F32, F16 or Q8_0), the rest as float32.

    Raises ValueError for another generation, a tied head, copy hints, or a kind that isn't one;
    ModuleNotFoundError without the `gguf` package.
    """
    c = model.config
    if c.generation != "7" or c.tied or c.hints:
        raise ValueError("only an RWKV-7 network with a head of its own and no hints goes to GGUF")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, wanted one of {', '.join(KINDS)}")
    gguf = importlib.import_module("gguf")
    writer = gguf.GGUFWriter(path, "rwkv7")
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(c.n_embd)
    writer.add_block_count(c.n_layer)
    writer.add_layer_norm_eps(model.ln_out.eps)
    writer.add_wkv_head_size(c.head_size)
    writer.add_decay_lora_rank(c.ranks.w)
    writer.add_iclr_lora_rank(c.ranks.a)
    writer.add_value_residual_mix_lora_rank(c.ranks.v)
    writer.add_gate_lora_rank(c.ranks.g)
    writer.add_feed_forward_length(c.ffn)
    writer.add_head_count(0)  # asked for and not used
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(c.vocab)
    for name, tensor in _their_tensors(model):
        _add(gguf, writer, name, tensor.detach().float().contiguous(), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(gguf: Any, writer: Any, name: str, tensor: Tensor, kind: str) -> None:
    values = tensor.numpy()
    if kind == "F32" or tensor.dim() != 2 or not is_large(name):
        writer.add_tensor(name, values)
    elif kind == "F16":
        writer.add_tensor(name, values.astype("float16"))
    else:
        form = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, form), raw_dtype=form)


def is_large(name: str) -> bool:
    """Whether a tensor of that GGUF name is a large matrix, not one of the low-rank ones."""
    return name == "output.weight" or any(part in name for part in _LARGE)


def _their_tensors(model: Network) -> Iterator[tuple[str, Tensor]]:
    weights = model.state_dict()
    for ours, theirs in _WHOLE.items():
        yield theirs, weights[ours]
    for i in range(model.config.n_layer):
        block = {
            name.removeprefix(f"blocks.{i}."): t.squeeze()
            for name, t in weights.items()
            if name.startswith(f"blocks.{i}.")
        }
        shifts = [block.pop(f"att.x_{x}") for x in _SHIFTS]
        yield f"blk.{i}.time_mix_lerp_fused.weight", torch.stack(shifts)[:, None, None]
        for part in "012":  # layer 0's are never used: any of the right shape will do
            if i == 0:
                block[f"att.v{part}"] = block[f"att.a{part}"]
        for name, tensor in block.items():
            if name.startswith("ln0."):
                continue
            stem, ending = name, "weight"
            if name.endswith((".weight", ".bias")):
                stem, _, ending = name.rpartition(".")
            theirs = _PARTS.get(stem) or f"time_mix_{stem.removeprefix('att.')}"
            if stem[-1] in "12" and stem.startswith("att."):
                tensor = tensor.t()  # (in, out) -> (out, in)
            yield f"blk.{i}.{theirs}.{ending}", tensor.flatten() if stem == "att.r_k" else tensor
