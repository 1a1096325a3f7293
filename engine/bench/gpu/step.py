"""Is the fused step of RWKV-7 right on this GPU: against float64, and replayed against itself.

Knows nothing of time. Networks are random ones, made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from engine.copyhints import CopyHints, HintConfig
from engine.oracle import oracle
from engine.rwkv.config import Config, Ranks
from engine.rwkv.hints import Hints, read_hints
from engine.rwkv.network import Network
from engine.rwkv.v7_gpu import GpuStep, step_for

Check = tuple[str, float, float]
"""What was compared, the error found, the error allowed."""

TENSORS = ("att_x", "ffn_x", "wkv")
BOUND = 5e-6  # for every format of weights: what is computed with them is float32
CASES = (
    (torch.float32, 1),
    (torch.float32, 3),
    (torch.float32, 9),
    (torch.bfloat16, 1),
    (torch.bfloat16, 9),
    (torch.float16, 3),
)
"""Formats of weights and rows read at once; each program that they need takes seconds to build."""
_MARKS: dict[str, Any] = {
    f.name: i + 1 for i, f in enumerate(fields(HintConfig)) if f.name != "capitals"
}
_HINTS = HintConfig(**_MARKS)
_FIRST_WORD = len(fields(HintConfig)) + 1


def check_step(device: torch.device, width: int = 256, length: int = 24) -> list[Check]:
    """Every check, on networks `width` wide and texts of `length` tokens.

    Raises KernelError where the kernels can't be built.
    """
    found = []
    for dtype, rows in CASES:
        error = against_float64(_network(width, dtype, device), rows, length)
        name = str(dtype).removeprefix("torch.")
        found.append((f"step, {name} weights, {rows} at once, against float64", error, BOUND))
    model = _network(width, torch.float32, device)
    found.append(("step replayed, against the first time", against_itself(model, length), 0.0))
    found.append(("step, three states in turn, against alone", interleaved(model, length), 0.0))
    found.append(
        ("state of the step, against gpt mode", against_parallel(model, length), 2 * BOUND)
    )
    return found


def against_float64(model: Network, rows: int, length: int) -> float:
    """Relative L2 error of all logits of `rows` texts at once."""
    tokens = _tokens(rows, length)
    found, _ = _read(model, _step(model), tokens)
    weights = model.state_dict()
    wanted = torch.stack([oracle(weights, model.config, row.tolist()) for row in tokens])
    return _distance(found.cpu().double(), wanted)


def against_itself(model: Network, length: int) -> float:
    """The greatest difference between a text's first reading, in part launch by launch, and its
    second one, all from a graph. Infinity where a reading wrote into the state it began with.
    """
    step, tokens = _step(model), _tokens(2, length)
    before = model.initial_state(2)
    kept = before.clone()
    first = _read(model, step, tokens, before.tensors)
    second = _read(model, step, tokens, before.tensors)
    if _difference(before.tensors, kept.tensors):
        return float("inf")
    return max(_difference(first[1], second[1]), float((first[0] - second[0]).abs().max()))


def interleaved(model: Network, length: int) -> float:
    """The greatest difference between texts read in turn, token by token, and alone."""
    step = _step(model)
    texts = [_tokens(1, length, seed) for seed in (1, 2, 3)]
    alone = [_read(model, step, text) for text in texts]
    hints = [_hints(model, text) for text in texts]
    states: list[Mapping[str, Tensor]] = [model.initial_state(1).tensors for _ in texts]
    worst = 0.0
    for t in range(length):
        for i, text in enumerate(texts):
            tokens = text[:, t : t + 1].to(model.emb.weight.device)
            shown = hints[i]
            hint = shown and (shown[0][:, t : t + 1], shown[1][:, t : t + 1])
            logits, states[i] = step.forward(tokens, hint, states[i])
            worst = max(worst, float((logits[:, 0] - alone[i][0][:, t]).abs().max()))
    ends = (_difference(states[i], alone[i][1]) for i in range(len(texts)))
    return max(worst, *ends)


def against_parallel(model: Network, length: int) -> float:
    """Relative L2 distance of the states, the worst of the three tensors."""
    tokens = _tokens(3, length)
    _, found = _read(model, _step(model), tokens)
    device = model.emb.weight.device
    with torch.no_grad():
        _, wanted = model(tokens.to(device), model.initial_state(3), mode="gpt")
    return max(_distance(found[n], wanted.tensors[n].to(device)) for n in TENSORS)


def _network(width: int, dtype: torch.dtype, device: torch.device) -> Network:
    """Random, with copy hints, every weight moved off its special first value."""
    ranks = Ranks(w=24, a=13, v=9, g=40)
    config = Config(
        n_layer=3, n_embd=width, vocab=211, ffn=3 * width + 20, ranks=ranks, hints=_HINTS
    )
    model = Network.create(config, seed=1)
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    return model.to(device, dtype).eval()


def _tokens(rows: int, length: int, seed: int = 0) -> Tensor:
    """Records of few keys and items, so that copy hints of several channels are shown."""
    h, rng = _HINTS, torch.Generator().manual_seed(seed)
    text: list[int] = []
    while len(text) < rows * length:
        key, *items = (_FIRST_WORD + torch.randint(0, 2, (3,), generator=rng)).tolist()
        text += [h.newline, key, h.colon, items[0], h.comma, items[1], h.stop]
    return torch.tensor(text[: rows * length]).view(rows, length)


def _step(model: Network) -> GpuStep:
    step = step_for(model, model.config, None)
    assert step is not None
    return step


def _hints(model: Network, tokens: Tensor) -> Hints | None:
    config = model.config.hints
    if config is None:
        return None
    (ids, codes), _ = read_hints([CopyHints.start(config)] * len(tokens), tokens)
    device = model.emb.weight.device
    return ids.to(device), codes.to(device)


def _read(
    model: Network, step: GpuStep, tokens: Tensor, state: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    if state is None:
        state = model.initial_state(len(tokens)).tensors
    given = tokens.to(model.emb.weight.device)
    return step.forward(given, _hints(model, tokens), state)


def _difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    return max(float((found[n] - wanted[n]).abs().max()) for n in TENSORS)


def _distance(found: Tensor, wanted: Tensor) -> float:
    """Relative L2; not a number where a number is missing."""
    return float((found - wanted).norm() / wanted.norm())
