"""Whole networks on a device against the CPU: every mode, operators, training; times nothing.

One state file is continued in every mode, whoever wrote it, and the greedy text must be the CPU's.

Glossary: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import load, save
from torch import Tensor

from engine import wkv, wkv_ops
from engine.bench.engine import random_network
from engine.bench.gpu.checks import (
    ALLOWED,
    EXACT,
    Checks,
    differentiated,
    greatest,
    relative,
    wkv4_inputs,
    wkv7_inputs,
)
from engine.bench.gpu.host import launching
from engine.checkpoint import load_model
from engine.rwkv.config import Config
from engine.rwkv.network import Mode, Network
from engine.snapshot import Snapshot
from engine.train import masked_loss
from engine.verify import Check

MODES: tuple[Mode, ...] = get_args(Mode)
GENERATIONS = ("2", "3", "4", "7")


@dataclass(frozen=True)
class Texts:
    """How many tokens are read, and how many are written after them; and shapes of networks."""

    read: int = 48
    written: int = 240
    width: int = 128
    head_size: int = 64
    vocab: int = 512


WHOLE = Texts()
QUICK = Texts(24, 40)


def small_network(generation: str, texts: Texts, seed: int = 0) -> Network:
    """Two layers with random weights, on the CPU."""
    config = Config(2, texts.width, texts.vocab, head_size=texts.head_size, generation=generation)
    return random_network(config, seed)


def mode_checks(device: torch.device, texts: Texts, seed: int, master: Path | None) -> Checks:
    """Small networks of the generations that mode "cuda" is for, and a trained one from a file."""
    found: Checks = {}
    for generation in GENERATIONS:
        found[f"RWKV-{generation}"] = partial(_small, device, texts, seed, generation)
    for generation in GENERATIONS:
        check = partial(_training, device, texts, seed, generation)
        found[f"RWKV-{generation}, training"] = check
    if master is not None:
        found["the game master"] = partial(_trained, device, texts, seed, master)
    return found


def _small(device: torch.device, texts: Texts, seed: int, generation: str) -> Iterator[Check]:
    model, copy = (small_network(generation, texts) for _ in range(2))
    return _check_network(f"RWKV-{generation}", model, copy.to(device), texts, seed)


def _trained(device: torch.device, texts: Texts, seed: int, file: Path) -> Iterator[Check]:
    on_device = load_model(file, device=str(device))
    return _check_network("the game master", load_model(file), on_device, texts, seed)


@torch.no_grad()
def _check_network(
    name: str, model: Network, copy: Network, texts: Texts, seed: int
) -> Iterator[Check]:
    """model on the CPU, copy on the device."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(model.config.vocab, (1, texts.read), generator=rng)
    logits, state = model(tokens, model.initial_state())
    start = Snapshot(state, logits[0, -1])
    text, margins = greedy(model, start, "rnn", texts.written)
    files = {"the CPU": _written(start)}
    with launching(f"{name} in mode cuda"):
        copy(tokens, copy.initial_state(), mode="cuda")
    for mode in MODES:
        found, after = copy(tokens, copy.initial_state(), mode=mode)
        apart = relative(found, logits)
        yield Check(f"{name}, logits in mode {mode} and on the CPU", apart, EXACT)
        files[f"mode {mode}"] = _written(Snapshot(after, found[0, -1]))
    for mode in MODES:
        what, count = f"{name}: greedy tokens unlike the CPU's, mode {mode}, any state", 0
        for maker, file in files.items():
            said, _ = greedy(copy, _read(file), mode, texts.written)
            unlike = [i for i, pair in enumerate(zip(said, text, strict=True)) if len({*pair}) > 1]
            count += len(unlike)
            if unlike:
                first = unlike[0]
                what += f" (state by {maker}: from {first}, the likeliest two {margins[first]:.1e}"
                what += " apart)"
        yield Check(what, count, 0)


def greedy(
    model: Network, start: Snapshot, mode: Mode, count: int
) -> tuple[list[int], list[float]]:
    """Write `count` tokens one by one: them, and by how much each was likelier than the next."""
    said, margins, logits, state = list[int](), list[float](), start.logits, start.state
    for _ in range(count):
        first, second = logits.float().topk(2)[0].tolist()
        said.append(int(logits.argmax()))
        margins.append(first - second)
        rows, state = model(torch.tensor([[said[-1]]]), state, mode=mode)
        logits = rows[0, -1]
    return said, margins


def _written(snapshot: Snapshot) -> tuple[bytes, dict[str, Any]]:
    tensors, meta = snapshot.to_tensors()
    return save(tensors), meta


def _read(file: tuple[bytes, dict[str, Any]]) -> Snapshot:
    return Snapshot.from_tensors(load(file[0]), file[1])


@torch.no_grad()
def check_few_steps(
    device: torch.device,
    head_sizes: Sequence[int] = (32, 64, 128),
    kinds: Sequence[torch.dtype] = (torch.float32, torch.bfloat16),
) -> Iterator[Check]:
    """Three tokens of small RWKV-7s in mode "cuda", so that each of its kernels runs."""
    for N in head_sizes:
        for kind in kinds:
            texts = Texts(width=128, head_size=N, vocab=64)
            copy = small_network("7", texts).to(kind).to(device)
            plain = small_network("7", texts).to(kind).float()  # the same rounded weights
            for B in (1, 3):
                tokens = torch.randint(64, (B, 3), generator=torch.Generator().manual_seed(B))
                with launching("steps"):
                    found, _ = copy(tokens, copy.initial_state(B), mode="cuda")
                wanted, _ = plain(tokens, plain.initial_state(B), mode="rnn")
                what = f"steps, N {N}, B {B}, {str(kind).removeprefix('torch.')} weights"
                yield Check(what, relative(found, wanted), ALLOWED[kind])


# -- training --------------------------------------------------------------------------------------


def _training(device: torch.device, texts: Texts, seed: int, generation: str) -> Iterator[Check]:
    """The gradients of one step, all weights together, on the device and on the CPU."""
    model, copy = (small_network(generation, texts) for _ in range(2))
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(texts.vocab, (2, 2 * texts.read), generator=rng)
    said = torch.rand(tokens.shape, generator=rng) < 0.5
    wanted = _gradient(model, tokens, said)
    with launching("training"):
        found = _gradient(copy.to(device), tokens.to(device), said.to(device))
    what = f"RWKV-{generation}: gradients of a training step and the CPU's"
    yield Check(what, relative(found, wanted), EXACT)


def _gradient(model: Network, tokens: Tensor, said: Tensor) -> Tensor:
    """Of all weights that have one, one after the other."""
    loss, _ = masked_loss(model, tokens, said, None)
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


# -- operators -------------------------------------------------------------------------------------


def operator_checks(device: torch.device, seed: int, backend: str) -> Checks:
    """torch's own checks of the four operators, and functions compiled by `backend`."""
    return {
        "operators of WKV-7": lambda: map(_operator, _arguments7(device, seed)),
        "operators of WKV-4": lambda: map(_operator, _arguments4(device, seed)),
        "WKV-7 compiled": lambda: _compiled7(device, seed, backend),
        "WKV-4 compiled": lambda: _compiled4(device, seed, backend),
    }


def _operator(call: tuple[str, tuple[Any, ...]]) -> Check:
    name, arguments = call
    operator = getattr(torch.ops.adventure, name).default
    results = torch.library.opcheck(operator, arguments, raise_exception=False)
    failed = {test: how for test, how in results.items() if how != "SUCCESS"}
    what = f"adventure::{name}, torch's {len(results)} checks"
    for test, how in failed.items():
        what += f" ({test}: {' '.join(str(how).split())[:200]})"
    return Check(what, len(failed), 0)


def _compiled7(device: torch.device, seed: int, backend: str) -> Iterator[Check]:
    inputs, above = wkv7_inputs((2, 40, 2, 32), torch.float32, torch.float32, seed)
    yield _compiled("WKV-7", wkv.wkv7, _on(inputs, device), _on(above, device), backend)


def _compiled4(device: torch.device, seed: int, backend: str) -> Iterator[Check]:
    inputs, start, above = wkv4_inputs((2, 40, 96), torch.float32, seed)
    exp = start.to(device)

    def flat(
        k: Tensor, v: Tensor, w: Tensor, u: Tensor, num: Tensor, den: Tensor
    ) -> tuple[Tensor, ...]:
        y, (num, den, _) = wkv.wkv4(k, v, w, u, (num, den, exp))
        return y, num, den

    yield _compiled("WKV-4", flat, _on(inputs, device), _on(above, device), backend)


def _arguments7(device: torch.device, seed: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    inputs, above = wkv7_inputs((1, 19, 2, 32), torch.float32, torch.float32, seed)
    inputs, above = _on(inputs, device), _on(above, device)
    saved = wkv_ops.wkv7_forward(*inputs, True)[2]
    yield "wkv7_forward", (*(x.clone().requires_grad_() for x in inputs), True)
    yield "wkv7_backward", (*inputs, saved, *above)


def _arguments4(device: torch.device, seed: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    inputs, exp, above = wkv4_inputs((1, 19, 40), torch.float32, seed)
    inputs, exp, above = _on(inputs, device), exp.to(device), _on(above, device)
    *_, saved = wkv_ops.wkv4_forward(*inputs, exp, True)
    yield "wkv4_forward", (*(x.clone().requires_grad_() for x in inputs), exp, True)
    yield "wkv4_backward", (*inputs, exp, saved, *above)


def _compiled(
    name: str,
    form: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    above: Sequence[Tensor],
    backend: str,
) -> Check:
    compiled = torch.compile(form, fullgraph=True, backend=backend)
    wanted, found = (differentiated(f, inputs, above) for f in (form, compiled))
    worst = greatest(relative(a, b) for a, b in zip(found, wanted, strict=True))
    return Check(f"{name} compiled by {backend}, results and gradients", worst, EXACT)


def _on(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    return [x.to(device) for x in tensors]
