"""Every generation straight from its formulas: one token at a time, one row, float64; very slow.

Reads a checkpoint's weights by their official names and shares nothing with engine/rwkv but the
shape of a network, so that what it says is a second opinion.

Glossary: C width, H heads, N head size, V vocabulary; x what enters a part, xp the same of the
token before, S a head's recurrent matrix, [value, key].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.copyhints import CODES, CopyHints
from engine.rwkv.config import Config

Part = dict[str, Tensor]
Memory = dict[str, Tensor]


@torch.no_grad()
def oracle(weights: Mapping[str, Tensor], config: Config, tokens: list[int]) -> Tensor:
    """Logits (T, V), float64, of tokens read from the very beginning.

    weights: as Network.state_dict() gives them. `compat` of the first generations is not known
    here. Raises KeyError for a weight that is missing.
    """
    w = {name: tensor.detach().cpu().double() for name, tensor in weights.items()}
    layers = [_below(w, f"blocks.{i}.") for i in range(config.n_layer)]
    memory = [_nothing_read(layer, config) for layer in layers]
    head = w["emb.weight"] if config.tied else w["head.weight"]
    ids, codes = _hints(config, tokens)
    rows = []
    for t, token in enumerate(tokens):
        x = w["emb.weight"][token]
        for channel, (hinted, code) in enumerate(zip(ids[t], codes[t], strict=True)):
            x = x + w["hint.code.weight"][channel * CODES + code]
            if code:
                x = x + w["hint.scale"][channel] * w["hint.emb.weight"][hinted]
        if config.generation != "2":
            x = _norm(x, w, "blocks.0.ln0.")
        first: Tensor | None = None
        for layer, past in zip(layers, memory, strict=True):
            h = _norm(x, layer, "ln1.")
            out, first = _ATTEND[config.generation](_below(layer, "att."), config, h, past, first)
            x = (h if config.generation == "2" else x) + out
            past["att_x"] = h
            h = _norm(x, layer, "ln2.")
            out = _channel_mix(_below(layer, "ffn."), config, h, past["ffn_x"])
            x = (h if config.generation == "2" else x) + out
            past["ffn_x"] = h
        h = _norm(x, w, "ln_out.")
        logits = head @ h
        for channel, (hinted, code) in enumerate(zip(ids[t], codes[t], strict=True)):
            if code:
                gate = w["hint.gate.weight"][channel] @ h
                logits[hinted] += gate + w["hint.gate.bias"][channel * CODES + code]
        rows.append(logits)
    return torch.stack(rows)


def _hints(config: Config, tokens: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    if config.hints is None:
        return [[]] * len(tokens), [[]] * len(tokens)
    ids, codes, _ = CopyHints.start(config.hints).read(tokens)
    return ids.tolist(), codes.tolist()


def _below(weights: Mapping[str, Tensor], prefix: str) -> Part:
    return {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}


def _nothing_read(layer: Part, config: Config) -> Memory:
    C, H, N = config.n_embd, config.n_head, config.head_size
    zeros = torch.zeros(C, dtype=torch.float64)
    if config.generation in ("2", "3", "4"):
        start = {"a": zeros, "b": zeros, "p": torch.full_like(zeros, -math.inf)}
    else:
        S = layer.get("att.time_state", torch.zeros(H, N, N, dtype=torch.float64))
        start = {"S": S.view(H, N, N)}
    return {"att_x": zeros, "ffn_x": zeros, **start}


def _norm(x: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, x.shape, weights[f"{name}weight"], weights[f"{name}bias"], 1e-5)


# -- attention: weights, shape, x (C,), what was read before, the first layer's values -> output ---


def _attend_234(
    w: Part, config: Config, x: Tensor, past: Memory, first: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    k, v, r = (
        w[f"{name}.weight"] @ _blend(w, config, name[0], x, past["att_x"])
        for name in ("key", "value", "receptance")
    )
    decay, bonus = -torch.exp(w["time_decay"].flatten()), w["time_first"].flatten() + k
    q = torch.maximum(past["p"], bonus)
    old, new = torch.exp(past["p"] - q), torch.exp(bonus - q)
    y = (old * past["a"] + new * v) / (old * past["b"] + new)
    q = torch.maximum(past["p"] + decay, k)
    old, new = torch.exp(past["p"] + decay - q), torch.exp(k - q)
    past |= {"a": old * past["a"] + new * v, "b": old * past["b"] + new, "p": q}
    return w["output.weight"] @ (torch.sigmoid(r) * y), first


def _attend_5(
    w: Part, config: Config, x: Tensor, past: Memory, first: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    mixed = {name: _blend(w, config, name, x, past["att_x"]) for name in "rkvg"}
    decay = torch.exp(-torch.exp(w["time_decay"]))  # (H, N)
    return _matrix_attention(w, config, mixed, decay, past), first


def _attend_6(
    w: Part, config: Config, x: Tensor, past: Memory, first: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    change = past["att_x"] - x
    low = torch.tanh((x + change * w["time_maa_x"].flatten()) @ w["time_maa_w1"]).view(5, -1)
    mixed = {}
    for j, name in enumerate("wkvrg"):
        mix = w[f"time_maa_{name}"].flatten() + low[j] @ w["time_maa_w2"][j]
        mixed[name] = x + change * mix
    rate = torch.tanh(mixed["w"] @ w["time_decay_w1"]) @ w["time_decay_w2"]
    decay = torch.exp(-torch.exp(w["time_decay"].flatten() + rate))
    return _matrix_attention(w, config, mixed, decay.view(config.n_head, -1), past), first


def _matrix_attention(
    w: Part, config: Config, mixed: Mapping[str, Tensor], decay: Tensor, past: Memory
) -> Tensor:
    """What 5.2 and 6 have in common; decay (H, N)."""
    heads = config.n_head, config.head_size
    r, k, v = (
        (w[f"{name}.weight"] @ mixed[name[0]]).view(heads)
        for name in ("receptance", "key", "value")
    )
    new = v.unsqueeze(2) * k.unsqueeze(1)  # (H, N, N)
    y = ((past["S"] + new * w["time_faaaa"].view(heads).unsqueeze(1)) * r.unsqueeze(1)).sum(2)
    past["S"] = past["S"] * decay.unsqueeze(1) + new
    gate = F.silu(w["gate.weight"] @ mixed["g"])
    return w["output.weight"] @ (_group_norm(w, y) * gate)


def _attend_7(
    w: Part, config: Config, x: Tensor, past: Memory, first: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    heads = config.n_head, config.head_size
    xr, xw, xk, xv, xa, xg = (
        x + (past["att_x"] - x) * w[f"x_{name}"].flatten() for name in "rwkvag"
    )
    r, k, v = w["receptance.weight"] @ xr, w["key.weight"] @ xk, w["value.weight"] @ xv
    rate = torch.sigmoid(w["w0"].flatten() + torch.tanh(xw @ w["w1"]) @ w["w2"])
    decay = torch.exp(-math.exp(-0.5) * rate).view(heads)
    a = torch.sigmoid(w["a0"].flatten() + xa @ w["a1"] @ w["a2"])
    kk = F.normalize((k * w["k_k"].flatten()).view(heads), dim=1, eps=1e-12)
    k = k * (1 + (a - 1) * w["k_a"].flatten())
    if first is None:
        first = v
    else:
        v = v + (first - v) * torch.sigmoid(w["v0"].flatten() + xv @ w["v1"] @ w["v2"])
    rh, kh, vh = r.view(heads), k.view(heads), v.view(heads)
    removed = past["S"] @ -kk.unsqueeze(2)  # (H, N, 1)
    past["S"] = (
        past["S"] * decay.unsqueeze(1)
        + removed * (kk * a.view(heads)).unsqueeze(1)
        + vh.unsqueeze(2) * kh.unsqueeze(1)
    )
    y = _group_norm(w, (past["S"] @ rh.unsqueeze(2)).squeeze(2))
    y = y + ((rh * kh * w["r_k"].view(heads)).sum(1, keepdim=True) * vh).flatten()
    return w["output.weight"] @ (y * (torch.sigmoid(xg @ w["g1"]) @ w["g2"])), first


def _group_norm(w: Part, y: Tensor) -> Tensor:
    """y (H, N), each head on its own -> (C,)."""
    y = F.layer_norm(y, y.shape[1:], eps=64e-5).flatten()
    return y * w["ln_x.weight"] + w["ln_x.bias"]


Attend = Callable[[Part, Config, Tensor, Memory, Tensor | None], tuple[Tensor, Tensor | None]]
_ATTEND: dict[str, Attend] = {
    "2": _attend_234,
    "3": _attend_234,
    "4": _attend_234,
    "5.2": _attend_5,
    "6": _attend_6,
    "7": _attend_7,
}


# -- the feed-forward part, and what enters the parts ----------------------------------------------


def _channel_mix(w: Part, config: Config, x: Tensor, xp: Tensor) -> Tensor:
    if config.generation == "7":
        xk = x + (xp - x) * w["x_k"].flatten()
        return w["value.weight"] @ torch.relu(w["key.weight"] @ xk).square()
    xk, xr = (_blend(w, config, name, x, xp) for name in "kr")
    up = torch.relu(w["key.weight"] @ xk).square()
    return torch.sigmoid(w["receptance.weight"] @ xr) * (w["value.weight"] @ up)


def _blend(w: Part, config: Config, name: str, x: Tensor, xp: Tensor) -> Tensor:
    """x and the one before it: RWKV-6 stores the share of the one before, 2 to 5.2 that of x."""
    if config.generation == "6":
        return x + (xp - x) * w[f"time_maa_{name}"].flatten()
    mix = w["time_mix" if config.generation == "2" else f"time_mix_{name}"].flatten()
    return x * mix + xp * (1 - mix)
