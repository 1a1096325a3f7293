"""Whether the bytes of a save are those that were written: one hash over everything in it.

Knows bytes; no tensors and no torch, so that a list of saves can be sure of what it lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from adventure.play.header import WRONG, About, about_of, damaged, header_length, read_header

_TYPES = {
    "F64": "torch.float64", "F32": "torch.float32", "F16": "torch.float16",
    "BF16": "torch.bfloat16", "I64": "torch.int64", "I32": "torch.int32", "I16": "torch.int16",
    "I8": "torch.int8", "U8": "torch.uint8", "BOOL": "torch.bool",
}  # fmt: skip
"""How safetensors and how fingerprints name a type of numbers."""


def fingerprint(kind: str, shape: Sequence[int], data: bytes) -> str:
    """Of one tensor; kind: its type as torch prints it."""
    return hashlib.sha256(f"{kind} {tuple(shape)}\n".encode() + data).hexdigest()


def digest(header: Mapping[str, str], prints: Mapping[str, str]) -> str:
    """sha256 over the header without its hash and over every tensor's name and fingerprint."""
    return hashlib.sha256(
        json.dumps([dict(header), dict(prints)], sort_keys=True).encode()
    ).hexdigest()


def prove(data: bytes, name: str) -> About:
    """What a whole file says of itself, once it is sure. Raises SaveError, DamagedSave for one."""
    header = read_header(data, name)
    about = about_of(header, name)
    try:
        start = 8 + header_length(data[:8])
        tensors = json.loads(data[8:start])
        del tensors["__metadata__"]
        prints, end = {}, start
        for key, told in tensors.items():
            first, last = (start + offset for offset in told["data_offsets"])
            prints[key] = fingerprint(_TYPES[told["dtype"]], told["shape"], data[first:last])
            end = max(end, last)
        if end != len(data) or header.pop("sha256", None) != digest(header, prints):
            raise ValueError("sha256")
    except WRONG as error:
        raise damaged(name) from error
    return about
