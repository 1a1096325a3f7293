"""States of other RWKV programs <-> ours; knows nothing of how their networks or ours compute.

Every pair of functions says whose layout it reads and writes. What comes in is checked against the
network and copied, for some of these programs change a state that they are given. Matrices keep
their bits, and so do the sums of RWKV-2 and -3; RWKV-4's maximum is a natural logarithm with them
and a power of two with us, which costs a rounding of the two sums (1.2e-7 relative).

Glossary
    L layers, B batch, C width, H heads, N head size
    att_x, ffn_x  last layer-normed inputs of time mix and channel mix
    wkv           the recurrent matrices of generations 5.2 to 7, [value, key] with us
    num, den, exp the sums of generations 2 to 4: their true values are num * 2^exp, den * 2^exp
    aa, bb, pp    the same with them: aa * e^pp, bb * e^pp; without pp (or mm), the true values
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import SnapshotError
from engine.rwkv.exponent import LIMIT
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.tensorfiles import read_tensors

NOTHING_YET = -1e30
"""The pp of a channel that has read nothing: what all three programs with a pp begin with."""
Layers = Sequence[Tensor]


def from_rwkv(model: Network, tensors: Sequence[Tensor]) -> State:
    """The state of PyPI's `rwkv` package: a flat list of a few tensors a layer.

    RWKV-4: att_x, aa, bb, pp, ffn_x, each (C,). RWKV-5.2 and 6: att_x, [H, key, value], ffn_x;
    RWKV-7: att_x, [H, value, key], ffn_x. Raises SnapshotError where it isn't this network's.
    """
    _only(model, "rwkv", "4", "5.2", "6", "7")
    names = _rwkv_names(model)
    if len(tensors) != len(names) * model.config.n_layer:
        raise SnapshotError(
            f"The state has {len(tensors)} tensors, wanted {len(names)} for each of "
            f"{model.config.n_layer} layers; use the network that it was made with."
        )
    parts = {name: _stack(tensors[i :: len(names)], 1) for i, name in enumerate(names)}
    if model.config.generation in ("5.2", "6"):
        parts["wkv"] = _turned(parts["wkv"])
    return _state(model, parts)


def to_rwkv(model: Network, state: State) -> list[Tensor]:
    """The list that from_rwkv reads; batch 1 only."""
    _only(model, "rwkv", "4", "5.2", "6", "7")
    parts = _parts(state, "rwkv")
    if model.config.generation in ("5.2", "6"):
        parts["wkv"] = _turned(parts["wkv"])
    layers = zip(*(parts[name][:, 0].unbind() for name in _rwkv_names(model)), strict=True)
    return [t.clone(memory_format=torch.contiguous_format) for layer in layers for t in layer]


def from_rwkv_cpp(model: Network, buffer: Tensor) -> State:
    """rwkv.cpp's state: one flat float32 buffer, layer after layer.

    A layer is ffn_x, att_x, then aa, bb, pp (RWKV-4), [H, key, value] (RWKV-5.2, 6) or
    [H, value, key] (RWKV-7). Raises SnapshotError where it isn't this network's.
    """
    _only(model, "rwkv.cpp", "4", "5.2", "6", "7")
    c = model.config
    size = c.n_embd * (2 + c.head_size if c.has_heads else 5)
    if buffer.numel() != c.n_layer * size:
        raise SnapshotError(
            f"The state has {buffer.numel()} numbers, wanted {size} for each of {c.n_layer} "
            "layers; use the network that it was made with."
        )
    rows = buffer.reshape(c.n_layer, 1, size)
    ffn_x, att_x, rest = rows.split([c.n_embd, c.n_embd, size - 2 * c.n_embd], 2)
    if not c.has_heads:
        aa, bb, pp = rest.split(c.n_embd, 2)
        return _state(model, {"att_x": att_x, "aa": aa, "bb": bb, "pp": pp, "ffn_x": ffn_x})
    wkv = rest.reshape(c.n_layer, 1, c.n_head, c.head_size, c.head_size)
    wkv = wkv if c.generation == "7" else _turned(wkv)
    return _state(model, {"att_x": att_x, "wkv": wkv, "ffn_x": ffn_x})


def to_rwkv_cpp(model: Network, state: State) -> Tensor:
    """The buffer that from_rwkv_cpp reads, (elements,); batch 1 only."""
    _only(model, "rwkv.cpp", "4", "5.2", "6", "7")
    parts = _parts(state, "rwkv.cpp")
    if model.config.generation in ("5.2", "6"):
        parts["wkv"] = _turned(parts["wkv"])
    names = ["ffn_x", "att_x", *(name for name in parts if name not in ("att_x", "ffn_x"))]
    return torch.cat([parts[name][:, 0].flatten(1) for name in names], 1).flatten()


def from_fla(model: Network, recurrent: Layers, att_x: Layers, ffn_x: Layers) -> State:
    """What flash-linear-attention and rwkv7-hf cache: for each layer (B, H, key, value) and shifts.

    recurrent: flash-linear-attention's recurrent_state; att_x, ffn_x: its conv_state and
    ffn_state, (B, C) or (B, 1, C). rwkv7-hf's RWKV7Cache.to_legacy_cache() gives all three.
    Raises SnapshotError where they aren't this network's.
    """
    _only(model, "flash-linear-attention", "6", "7")
    parts = {"att_x": _stack(att_x), "wkv": _turned(_stack(recurrent)), "ffn_x": _stack(ffn_x)}
    for name in ("att_x", "ffn_x"):
        if parts[name].dim() == 4 and parts[name].shape[2] == 1:
            parts[name] = parts[name].squeeze(2)
    return _state(model, parts)


def to_fla(
    model: Network, state: State
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """recurrent, att_x, ffn_x as from_fla reads them: rwkv7-hf's RWKV7Cache takes them as such."""
    _only(model, "flash-linear-attention", "6", "7")
    parts = _parts(state)
    wkv, att_x, ffn_x = _turned(parts["wkv"]), parts["att_x"], parts["ffn_x"]
    return wkv.unbind(), att_x.unbind(), ffn_x.unbind()


def from_transformers(model: Network, tensors: Sequence[Tensor]) -> State:
    """The state of transformers' RwkvForCausalLM (RWKV-4): five tensors (B, C, L).

    In their order: ffn_x, att_x, aa, bb, pp. Raises SnapshotError where they aren't this network's.
    """
    _only(model, "transformers", "4")
    if len(tensors) != 5 or any(t.dim() != 3 for t in tensors):
        raise SnapshotError(
            f"The state has {len(tensors)} tensors, wanted five of three dimensions; "
            "give what RwkvForCausalLM returns as state."
        )
    names = ("ffn_x", "att_x", "aa", "bb", "pp")
    return _state(model, {n: t.permute(2, 0, 1) for n, t in zip(names, tensors, strict=True)})


def to_transformers(model: Network, state: State) -> list[Tensor]:
    """The five tensors (B, C, L) that from_transformers reads."""
    _only(model, "transformers", "4")
    parts = _parts(state)
    return [
        parts[name].permute(1, 2, 0).contiguous() for name in ("ffn_x", "att_x", "aa", "bb", "pp")
    ]


def from_rnn_pile(model: Network, tensors: Mapping[str, Tensor]) -> State:
    """The state of RWKV-v2-RNN-Pile: xx.att.I, aa.att.I, bb.att.I and xx.ffn.I of layer I, (C,).

    aa and bb are the true sums, or e^-mm times them where there is a mm.att.I (its long-context
    form). Raises SnapshotError where they aren't this network's.
    """
    _only(model, "RWKV-v2-RNN-Pile", "2", "3")
    places = {"att_x": "xx.att", "aa": "aa.att", "bb": "bb.att", "ffn_x": "xx.ffn"}
    places |= {"pp": "mm.att"} if "mm.att.0" in tensors else {}
    layers = range(model.config.n_layer)
    wanted = {f"{place}.{i}" for place in places.values() for i in layers}
    _same_names(tensors, wanted)
    parts = {name: _stack([tensors[f"{p}.{i}"] for i in layers], 1) for name, p in places.items()}
    return _state(model, parts)


def to_rnn_pile(model: Network, state: State) -> dict[str, Tensor]:
    """The tensors that from_rnn_pile reads, without mm; batch 1 only.

    Raises SnapshotError for sums that float32 can't hold without their exponent.
    """
    _only(model, "RWKV-v2-RNN-Pile", "2", "3")
    t = dict(state.tensors)
    _one(state, "RWKV-v2-RNN-Pile")
    sums = [torch.ldexp(t[name].double(), t["exp"]) for name in ("num", "den")]
    aa, bb = (s.masked_fill(t["den"] == 0, 0).float() for s in sums)
    if not (aa.isfinite().all() and bb.isfinite().all()):
        raise SnapshotError(
            "The state's sums are too large for a layout without exponents; it can't be written so."
        )
    parts = {"xx.att": t["att_x"], "aa.att": aa, "bb.att": bb, "xx.ffn": t["ffn_x"]}
    return {f"{name}.{i}": row[0].clone() for name, p in parts.items() for i, row in enumerate(p)}


# -- tuned initial states ------------------------------------------------------------------------


def load_time_state(model: Network, path: str | Path) -> State:
    """A tuned state's file as the state to begin with (RWKV-5.2, 6, 7), batch 1.

    Raises SnapshotError where it isn't this network's, CheckpointError for a file that can't be
    read.
    """
    return from_time_state(model, read_tensors(path).tensors)


def from_time_state(model: Network, tensors: Mapping[str, Tensor]) -> State:
    """blocks.I.att.time_state of every layer, [H, value, key], as the state to begin with."""
    _only(model, "time_state", "5.2", "6", "7")
    layers = range(model.config.n_layer)
    _same_names(tensors, {f"blocks.{i}.att.time_state" for i in layers})
    start = model.initial_state()
    wkv = _stack([tensors[f"blocks.{i}.att.time_state"] for i in layers], 1)
    return _state(model, {**start.tensors, "wkv": wkv})


def to_time_state(model: Network, state: State) -> dict[str, Tensor]:
    """The matrices of a state as a tuned state holds them; its shifts are not part of it."""
    _only(model, "time_state", "5.2", "6", "7")
    _one(state, "time_state")
    wkv = state.tensors["wkv"]
    return {f"blocks.{i}.att.time_state": layer[0].clone() for i, layer in enumerate(wkv)}


# -- what they have in common --------------------------------------------------------------------


def _rwkv_names(model: Network) -> tuple[str, ...]:
    if model.config.has_heads:
        return "att_x", "wkv", "ffn_x"
    return "att_x", "aa", "bb", "pp", "ffn_x"


def _only(model: Network, layout: str, *generations: str) -> None:
    if model.config.generation not in generations:
        raise SnapshotError(
            f"States in the layout of {layout} are of RWKV-{' or '.join(generations)}, and the "
            f"network is RWKV-{model.config.generation}; use the network that it was made with."
        )


def _one(state: State, layout: str) -> None:
    if state.batch != 1:
        raise SnapshotError(
            f"The layout of {layout} holds one state and this is a batch of {state.batch}; "
            "select one row."
        )


def _same_names(found: Mapping[str, Tensor], wanted: set[str]) -> None:
    odd = sorted(wanted ^ found.keys())
    if odd:
        what = "lacks" if odd[0] in wanted else "has, beside what is wanted,"
        raise SnapshotError(f"The state {what} {odd[0]}; use the network that it was made with.")


def _stack(layers: Sequence[Tensor], batch: int = 0) -> Tensor:
    """One tensor (L, B, ...) of the layers', which have no batch where `batch` is 1."""
    if not layers or len({t.shape for t in layers}) != 1:
        raise SnapshotError(
            f"The state's layers have {len(layers)} tensors of unequal shapes; use another copy."
        )
    whole = torch.stack([t.detach() for t in layers])
    return whole.unsqueeze(1) if batch else whole


def _turned(wkv: Tensor) -> Tensor:
    return wkv.transpose(-1, -2)


@torch.no_grad()
def _state(model: Network, parts: Mapping[str, Tensor]) -> State:
    """Parts (L, B, ...) as a state of the network, copied, on its device."""
    batch = parts["att_x"].shape[1] if parts["att_x"].dim() > 1 else 1
    start = model.initial_state(batch)
    for name, t in parts.items():
        like = start.tensors[{"aa": "num", "bb": "den", "pp": "exp"}.get(name, name)]
        if t.shape != like.shape:
            raise SnapshotError(
                f"The state's {name} has shape {tuple(t.shape)}, wanted {tuple(like.shape)}; "
                "use the network that it was made with."
            )
        if not torch.isfinite(t).all():
            raise SnapshotError(
                f"The state has a value that is not a number in {name}; use another copy."
            )
    new = {}
    for name, like in start.tensors.items():
        if name in parts:
            new[name] = parts[name].to(like, copy=True).contiguous()
    if "aa" in parts:
        num, den, exp = _to_power_of_two(parts)
        empty = den == 0
        new["num"], new["den"] = num.to(start.tensors["num"]), den.to(start.tensors["den"])
        new["exp"] = torch.where(empty.to(exp.device), start.tensors["exp"].to(exp.device), exp)
        new["exp"] = new["exp"].to(start.tensors["exp"])
    return State({name: new[name] for name in start.tensors}, start.hints)


def _to_power_of_two(parts: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """num, den float32 and exp int32 of aa, bb and pp; without pp, aa and bb keep their bits."""
    aa, bb = parts["aa"].double(), parts["bb"].double()
    if "pp" in parts:
        p = torch.where(bb == 0, 0.0, parts["pp"].double())
        n = torch.round(p / math.log(2))
        rest = torch.exp(p - n * math.log(2))  # between 0.7 and 1.5
        num, den, exp = aa * rest, bb * rest, n
    else:
        den, n = torch.frexp(bb)
        num, exp = torch.ldexp(aa, -n), n.double()
    if exp.abs().max() > LIMIT or not num.float().isfinite().all():
        raise SnapshotError("The state has exponents beyond all use; use another copy.")
    return num.float(), den.float(), exp.to(torch.int32)


def _parts(state: State, single: str | None = None) -> dict[str, Tensor]:
    """A state as parts (L, B, ...), copied; `single` names a layout that holds no batch."""
    if single:
        _one(state, single)
    t = state.tensors
    if "wkv" in t:
        return {name: t[name].detach().clone() for name in ("att_x", "wkv", "ffn_x")}
    exact = t["exp"].double() * math.log(2)
    pp = exact.float()
    rest = torch.exp(exact - pp.double())  # what rounding the logarithm took
    aa, bb = (t["num"].double() * rest).float(), (t["den"].double() * rest).float()
    pp = torch.where(t["den"] == 0, NOTHING_YET, pp)
    att_x, ffn_x = t["att_x"].detach().clone(), t["ffn_x"].detach().clone()
    return {"att_x": att_x, "aa": aa, "bb": bb, "pp": pp, "ffn_x": ffn_x}
