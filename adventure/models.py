"""`adventure models`: what a checkpoint holds, in text or JSON; knows nothing of games."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    text = "say what a checkpoint holds"
    show = actions.add_parser("show", help=text, description=f"{text.capitalize()}.")
    show.add_argument(
        "path", metavar="PATH", type=Path, help="a .safetensors or .pth file, or a folder"
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show a checkpoint without reading its weights. Raises UserError for one that isn't."""
    facts = describe_model(args.path)
    print(json.dumps(facts) if args.json else _as_text(facts))
    return 0


def describe_model(path: Path) -> dict[str, Any]:
    """Facts about a checkpoint, JSON-able; sizes in bytes. Raises UserError as `load_model`."""
    from engine.checkpoint import inspect

    found = inspect(path)
    c = found.network.config
    types: Counter[str] = Counter()
    for tensor in found.tensors.values():
        types[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    state = found.network.initial_state()
    return {
        "path": str(path),
        "generation": c.generation,
        "parameters": sum(types.values()),
        "layers": c.n_layer,
        "width": c.n_embd,
        "ffn_width": c.ffn,
        "heads": c.n_head,
        "head_size": c.head_size,
        "vocab": c.vocab,
        "tied_head": c.tied,
        "copy_hints": c.hints is not None,
        "tuned_state": c.time_state,
        "latent_memory": c.memory is not None,
        "dtypes": dict(types),
        "file_bytes": found.source.nbytes,
        "state_elements": sum(t.numel() for t in state.tensors.values()),
        "state_bytes": state.nbytes,
        "tokenizer": _tokenizer(path, c.vocab),
        "kernel": _runtime(),
        "training_kernel": _training(c.generation),
        "cuda": _cuda(),
    }


def _tokenizer(path: Path, vocab: int) -> str:
    from engine.errors import TokenizerError
    from engine.tokenizer import VOCAB_20B, open_tokenizer
    from engine.world_tokenizer import WorldTokenizer

    try:
        tokenizer = open_tokenizer(path, vocab)
    except TokenizerError as error:
        return f"none: {error}"
    if isinstance(tokenizer, WorldTokenizer):
        return "World"
    kind = "20B" if tokenizer.vocab == VOCAB_20B else "its own"
    return f"{kind}, {tokenizer.vocab:,} tokens"


def _runtime() -> str:
    """What runs networks on this machine's CPU where they play, and why."""
    from engine.kernels import choose
    from engine.native import RWKV

    return choose(RWKV).describe()


def _training(generation: str) -> str:
    """What runs the generation's recurrence on the CPU where it is differentiated, and why."""
    from engine.wkv import kernel, kernel_of

    name = kernel_of(generation)
    return f"{name}, {kernel(name).describe()}" if name else "torch: there is no other"


def _cuda() -> str:
    """Whether CUDA kernels run on this machine, and why not."""
    import torch

    from engine import gpu

    why = gpu.why_not(torch.device("cuda"))
    return f"no: {why}" if why else f"yes, on {torch.cuda.get_device_name()}"


def _as_text(facts: dict[str, Any]) -> str:
    heads = f", {facts['heads']} heads of {facts['head_size']}" if facts["heads"] else ""
    extras = {
        "tied_head": "tied head",
        "copy_hints": "copy hints",
        "tuned_state": "tuned initial state",
        "latent_memory": "latent memory",
    }
    more = "".join(f", {text}" for key, text in extras.items() if facts[key])
    types = facts["dtypes"]
    counts = types if len(types) == 1 else [f"{kind} ({n:,})" for kind, n in types.items()]
    state = f"{facts['state_elements']:,} numbers, {_size(facts['state_bytes'])}"
    lines = {
        "network": f"RWKV-{facts['generation']}, {facts['parameters']:,} parameters",
        "layers": f"{facts['layers']} x {facts['width']}{heads}, ffn {facts['ffn_width']}{more}",
        "vocabulary": f"{facts['vocab']:,}",
        "weights": f"{', '.join(counts)}; {_size(facts['file_bytes'])} on disk",
        "state": state,
        "tokenizer": facts["tokenizer"],
        "playing": facts["kernel"],
        "training": facts["training_kernel"],
        "cuda": facts["cuda"],
    }
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())


def _size(n: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= size:
            return f"{n / size:.2f} {unit}"
    return f"{n} bytes"
