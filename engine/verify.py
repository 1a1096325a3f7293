"""Whether a network computes the same in every way that this engine can run it; knows no text.

Each check has a number found and the greatest allowed. Tokens are random, by seed, so that a run
can be repeated.

Glossary: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from engine import kernels
from engine.errors import SnapshotError
from engine.generate import step
from engine.native import why_not
from engine.oracle import oracle
from engine.rwkv.network import Mode, Network
from engine.rwkv.state import State
from engine.snapshot import Snapshot

TOKENS = 48
EXACT_CUTS = (1, 7, 31)  # that form goes token by token whatever the cut, and is slow
GREEDY = 1000
THREADS = (1, 2, 3)
ROUNDING = 2e-6
"""Relative L2 that logits and state may differ by in float32."""
ORACLE_LARGEST = 30_000_000  # parameters; beyond, the oracle takes more time than all else
MODES: tuple[Mode, ...] = ("rnn", "gpt")
Read = tuple[Tensor, State]


@dataclass(frozen=True)
class Check:
    """What was compared, the number found, and the greatest that is allowed; or why it wasn't."""

    what: str
    found: float
    allowed: float
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """A number that is not a number is never allowed."""
        return bool(self.skipped) or self.found <= self.allowed


@torch.no_grad()
def verify(
    model: Network, seed: int = 0, length: int = TOKENS, greedy: int = GREEDY
) -> Iterator[Check]:
    """Run every check on a float32 network in eval mode, giving each as it is done.

    length: of the text that is read and split; greedy: tokens written in either mode.
    """
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(model.config.vocab, (1, length), generator=rng)
    others = torch.randint(model.config.vocab, (2, length), generator=rng)
    every, few = range(1, length), [cut for cut in EXACT_CUTS if cut < length]
    missing = why_not(model, model.config)
    with _environment(kernels.VARIABLE, "torch"):
        plain = _read(model, tokens, "rnn")
    if missing:
        yield Check("C++, and C++ against torch", 0.0, ROUNDING, skipped=missing)
    else:
        fast = _read(model, tokens, "rnn")
        yield from _alike(model, tokens, others, "C++", _bits, 0, every)
        yield _threads(model, tokens, fast)
        yield _greedy(model, tokens, "C++", greedy)
        yield Check("C++ and torch", _distance(fast, plain), ROUNDING)
    with _environment(kernels.VARIABLE, "torch"):
        yield from _alike(model, tokens, others, "torch", _distance, ROUNDING, every)
        yield _greedy(model, tokens, "torch", greedy)
        with _exact(model):
            yield from _alike(model, tokens, others, "torch, exact", _bits, 0, few)
    with torch.enable_grad():
        trained = _read(model, tokens, "gpt")
    yield Check("gpt mode as in training, and torch", _distance(trained, plain), ROUNDING)
    yield _untouched(model, tokens)
    yield _snapshot(model, tokens)
    yield _against_oracle(model, tokens, plain[0] if missing else fast[0])


def _read(model: Network, tokens: Tensor, mode: Mode, state: State | None = None) -> Read:
    state = model.initial_state(len(tokens)) if state is None else state
    return model(tokens, state, mode=mode)


def _alike(
    model: Network,
    tokens: Tensor,
    others: Tensor,
    how: str,
    measure: Callable[[Read, Read], float],
    allowed: float,
    cuts: Sequence[int],
) -> Iterator[Check]:
    """Both modes, splits and neighbours give what reading alone in one piece gives."""
    what = f"{how}, {'apart' if allowed else 'bits apart'}: "
    whole = {mode: _read(model, tokens, mode) for mode in MODES}
    yield Check(f"{what}gpt and rnn mode", measure(whole["gpt"], whole["rnn"]), allowed)
    for first in MODES:
        heads = [_read(model, tokens[:, :cut], first) for cut in cuts]
        for second in MODES:
            worst = 0.0
            for cut, (logits, state) in zip(cuts, heads, strict=True):
                rest, end = _read(model, tokens[:, cut:], second, state)
                found = measure((torch.cat([logits, rest], 1), end), whole[second])
                worst = _greater(worst, found)
            name = f"{what}{len(cuts)} splits, {first} then {second}"
            yield Check(name, worst, allowed)
    for mode in MODES:
        logits, state = _read(model, torch.cat([others, tokens]), mode)
        found = measure((logits[2:], state.select([2])), whole[mode])
        yield Check(f"{what}a row among three and alone, {mode}", found, allowed)


def _threads(model: Network, tokens: Tensor, wanted: Read) -> Check:
    before, apart = torch.get_num_threads(), 0
    for threads in THREADS:
        torch.set_num_threads(threads)
        apart += _bits(_read(model, tokens, "gpt"), wanted)
    torch.set_num_threads(before)
    names = ", ".join(map(str, THREADS))
    return Check(f"C++, bits apart: {names} threads and {before}", apart, 0)


def _untouched(model: Network, tokens: Tensor) -> Check:
    changed = 0
    for mode in MODES:
        _, state = _read(model, tokens, mode)
        before = state.clone()
        _read(model, tokens, mode, state)
        changed += _unequal(before, state)
    return Check("numbers changed in a state that was read from", changed, 0)


def _greedy(model: Network, tokens: Tensor, how: str, count: int) -> Check:
    """Tokens written in RNN mode, then read in GPT mode: is each the likeliest there, too?

    As long as they are, writing in GPT mode would have read, and so written, the same.
    """
    logits, state = _read(model, tokens, "rnn")
    start, said, token = state, list[int](), int(logits[0, -1].argmax())
    for _ in range(count):
        said.append(token)
        row, state = step(model, torch.tensor([token]), state)
        token = int(row[0].argmax())
    again, _ = _read(model, tokens, "gpt")
    likeliest = [int(again[0, -1].argmax())]
    for part in torch.tensor([said]).split(TOKENS, 1):
        logits, start = _read(model, part, "gpt", start)
        likeliest += logits[0].argmax(-1).tolist()
    apart = sum(a != b for a, b in zip(said, likeliest[:-1], strict=True))
    return Check(f"{how}: tokens that the modes differ in, of {count:,} greedy ones", apart, 0)


def _snapshot(model: Network, tokens: Tensor) -> Check:
    logits, state = _read(model, tokens, "gpt")
    parts, meta = Snapshot(state, logits[0, -1]).to_tensors()
    what = "bits apart after a snapshot was written and read"
    try:
        back = Snapshot.from_tensors(load(save(parts)), meta)
    except SnapshotError:  # it refuses what is not a number
        return Check(what, math.nan, 0)
    found = _unequal(state, back.state) + int((back.logits != logits[0, -1]).sum())
    for mode in MODES:
        found += _bits(_read(model, tokens, mode, state), _read(model, tokens, mode, back.state))
    return Check(what, found, 0)


def _against_oracle(model: Network, tokens: Tensor, found: Tensor) -> Check:
    what = "the formulas in float64, logits"
    size = sum(weight.numel() for weight in model.parameters())
    if size > ORACLE_LARGEST:
        return Check(what, 0.0, ROUNDING, skipped=f"{size:,} parameters take too long")
    if model.config.generation in ("2", "3") and model.compat is not None:
        return Check(what, 0.0, ROUNDING, skipped="the formulas have no compat")
    wanted = oracle(model.state_dict(), model.config, tokens[0].tolist())
    return Check(what, _relative(found[0].double(), wanted), ROUNDING)


# -- numbers ---------------------------------------------------------------------------------------


def _greater(a: float, b: float) -> float:
    """The greater; what is not a number is greater than all."""
    return a if math.isnan(a) or a > b else b


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def _distance(found: Read, wanted: Read) -> float:
    """The greatest relative L2 among logits and the tensors of the state."""
    worst = _relative(found[0], wanted[0])
    ours, theirs = found[1].tensors, wanted[1].tensors
    for name, tensor in ours.items():
        if name == "exp":
            continue
        value = tensor.double()
        if name in ("num", "den"):
            # A sum may be held under another exponent; near 1 rounding decides which.
            value = torch.ldexp(value, (ours["exp"] - theirs["exp"]).clamp(-1000, 1000))
        worst = _greater(worst, _relative(value, theirs[name].double()))
    return worst


def _bits(found: Read, wanted: Read) -> int:
    return int((found[0] != wanted[0]).sum()) + _unequal(found[1], wanted[1])


def _unequal(found: State, wanted: State) -> int:
    pairs = ((tensor, wanted.tensors[name]) for name, tensor in found.tensors.items())
    return sum(int((a != b).sum()) for a, b in pairs)


@contextlib.contextmanager
def _exact(model: Network) -> Iterator[None]:
    before, model.exact = model.exact, True
    try:
        yield
    finally:
        model.exact = before


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
