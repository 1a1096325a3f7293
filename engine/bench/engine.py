"""This engine against whatever else runs RWKV here, in one run; knows no game.

Figures from one machine and minute: compare the ratios. Contenders take turns round by round, so
that a busy machine slows them alike, and the best round counts; the bounds that they are held
against are measured between them. One network with random weights serves all.

Glossary: C width, L layers, V vocabulary, T tokens.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.bench.drift import drift
from engine.bench.machine import Machine
from engine.bench.peers import (
    OURS,
    SIZES,
    Absent,
    Contender,
    Runner,
    can_hold,
    ours,
    peers,
)
from engine.checkpoint import load_model
from engine.convert import write_model
from engine.errors import UserError
from engine.kernels import choose
from engine.native import RWKV
from engine.rwkv.config import Config
from engine.rwkv.network import Network

SHAPES = {"0.1B": (12, 768, 65536), "0.4B": (24, 1024, 65536), "master": (4, 128, 4096)}
"""Name -> layers, width, vocabulary."""
GENERATIONS = ("4", "5.2", "6", "7")
DRIFT_TOKENS = 1024
WARM_UP = 2
LEGEND = """
of peak: operations of the matrix products, head included where it is worked out, by torch's best
float32 products (better ones and integers may pass it); of memory: bytes of weights that a token
needs (over 100 % where they stay in the cache); ours: this engine's speed, with weights of the
like size, over theirs; differs: relative L2 from our float32 logits."""
Row = dict[str, Any]
Report = dict[str, Any]


class ShapeError(UserError):
    """A shape to be measured that isn't one."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured; threads 0: torch's present number."""

    shape: str = "0.1B"
    generation: str = "7"
    threads: int = 0
    tokens: int = 1024
    decode: int = 32
    rounds: int = 5


@dataclass(frozen=True)
class Weights:
    """Numbers of weights that a token is multiplied with, in the layers' large matrices, in the
    head and in the layers' low-rank matrices; and of all there are."""

    large: int
    head: int
    low: int
    all: int


@dataclass
class Times:
    """A contender's best seconds, and the logits (1 + decode, V) of its last round."""

    prefill: float = math.inf
    decode: float = math.inf
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


def config_of(shape: str, generation: str = "7") -> Config:
    """A network of that shape: a name, or LxCxV as in 12x768x65536. Raises ShapeError."""
    sizes = SHAPES.get(shape)
    if sizes is None and re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", shape):
        layers, width, vocab = (int(part) for part in shape.split("x"))
        sizes = layers, width, vocab
    if sizes is None:
        names = ", ".join(SHAPES)
        raise ShapeError(f'The shape "{shape}" is neither LAYERSxWIDTHxVOCABULARY nor {names}.')
    layers, width, vocab = sizes
    head = next((n for n in (64, 32, 16) if width % n == 0), 0)
    if not head:
        raise ShapeError(f'The shape "{shape}" is {width} wide; give a multiple of 16.')
    return Config(layers, width, vocab, head_size=head, generation=generation)


@torch.no_grad()
def random_network(config: Config, seed: int = 0) -> Network:
    """A fresh network with every weight moved off its special first value, as if trained a little.

    Matrices get noise that keeps the size of what they multiply; everything stays finite.
    """
    model = Network.create(config, seed)
    rng = torch.Generator().manual_seed(seed + 1)
    for weight in model.parameters():
        # A fresh network's zero matrices would leave whole parts of it without effect.
        matrix = weight.dim() == 2 and min(weight.shape) > 1
        size = 0.5 / math.sqrt(weight.shape[-1]) if matrix else 0.02
        weight.add_(torch.empty(weight.shape).normal_(0, size, generator=rng))
    return model.eval()


def count_weights(model: Network) -> Weights:
    """How many weights of each sort a network with a head of its own has."""
    large = low = 0
    for name, weight in model.named_parameters():
        if not name.startswith("blocks.") or weight.dim() < 2 or min(weight.shape[-2:]) == 1:
            continue  # (C,), (1, 1, C) or (C, 1)
        if name.endswith((".r_k", ".time_decay", ".time_faaaa", ".time_state")):
            continue  # (H, N): one number a channel
        if re.match(r"blocks\.0\.att\.v[12]$", name):
            continue  # in files, never used
        large += weight.numel() if name.endswith(".weight") else 0
        low += 0 if name.endswith(".weight") else weight.numel()
    head = model.config.vocab * model.config.n_embd
    return Weights(large, head, low, sum(weight.numel() for weight in model.parameters()))


def bench(plan: Plan, master: tuple[Path, Sequence[Sequence[int]]] | None = None) -> Report:
    """Measure, print a table, and return its figures.

    master: a checkpoint and the tokens that it reads, for the drift of a trained network.
    Raises ShapeError for a shape that isn't one or a generation that isn't measured;
    CheckpointError where the checkpoint can't be used.
    """
    if plan.generation not in GENERATIONS:
        known = ", ".join(GENERATIONS)
        raise ShapeError(f"The generation is {plan.generation!r}; give one of {known}.")
    before = torch.get_num_threads()
    torch.set_num_threads(plan.threads or before)
    try:
        with tempfile.TemporaryDirectory() as name:
            return _bench(plan, config_of(plan.shape, plan.generation), Path(name), master)
    finally:
        torch.set_num_threads(before)


def _bench(
    plan: Plan, config: Config, folder: Path, master: tuple[Path, Sequence[Sequence[int]]] | None
) -> Report:
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(config.vocab, (plan.tokens + plan.decode,), generator=rng)
    file = folder / "ours.safetensors"
    entries, weights = _prepare(config, file, len(tokens))
    contenders = [entry for entry in entries if isinstance(entry, Contender)]
    machine, times = _take_turns(contenders, plan, tokens.tolist())
    about = _about(plan, config, weights.all, machine)
    print(
        f"RWKV-{config.generation}, {config.n_layer} layers of {config.n_embd}, vocabulary "
        f"{config.vocab:,}: {weights.all:,} parameters; {about['threads']} thread(s); "
        f"{about['kernel']}\n{plan.tokens} tokens read, then {plan.decode} one by one; the best of "
        f"{plan.rounds} rounds. torch.mm {machine.gflops:.1f} GFLOPS, memory "
        f"{machine.gbytes:.1f} GB/s."
    )
    rows = _rows(entries, times, plan, machine, weights)
    _print_rows(rows)
    moved = _drifts("random weights", file, [tokens[:DRIFT_TOKENS].tolist()])
    moved += _drifts("the game master", *master) if master else []
    _print_drifts(moved)
    return {"about": about, "contenders": rows, "drift": moved}


def _prepare(config: Config, file: Path, longest: int) -> tuple[list[Contender | Absent], Weights]:
    """Write the network for every program; it is given back before any of them is measured."""
    model = random_network(config)
    write_model(model, file, "safetensors")
    threads = torch.get_num_threads()
    return [*ours(file), *peers(model, file.parent, threads, longest)], count_weights(model)


def _about(plan: Plan, config: Config, parameters: int, machine: Machine) -> Row:
    return {
        "generation": config.generation,
        "layers": config.n_layer,
        "width": config.n_embd,
        "vocabulary": config.vocab,
        "parameters": parameters,
        "threads": torch.get_num_threads(),
        "kernel": choose(RWKV).describe(),
        "gflops": machine.gflops,
        "gbytes_per_s": machine.gbytes,
        **{name: getattr(plan, name) for name in ("tokens", "decode", "rounds")},
    }


# -- speed ---------------------------------------------------------------------------------------


def _take_turns(
    contenders: list[Contender], plan: Plan, tokens: list[int]
) -> tuple[Machine, dict[Contender, Times]]:
    machine, runners = Machine(), [contender.load() for contender in contenders]
    times = {contender: Times() for contender in contenders}
    try:
        for runner in runners:  # compilers that watch what runs want it to run a few times
            for _ in range(WARM_UP):
                runner.prefill(tokens[: plan.tokens])
                for token in tokens[plan.tokens : plan.tokens + WARM_UP]:
                    runner.step(token)
        for _ in range(plan.rounds):
            machine.sample()
            for contender, runner in zip(contenders, runners, strict=True):
                _time(runner, plan.tokens, tokens, times[contender])
    finally:
        for runner in runners:
            runner.close()
    return machine, times


def _time(runner: Runner, split: int, tokens: list[int], best: Times) -> None:
    began = time.perf_counter()
    rows = [runner.prefill(tokens[:split])]
    middle = time.perf_counter()
    rows += [runner.step(token) for token in tokens[split:]]
    best.decode = min(best.decode, time.perf_counter() - middle)
    best.prefill = min(best.prefill, middle - began)
    best.logits = torch.stack(rows)


def _rows(
    entries: Sequence[Contender | Absent],
    times: Mapping[Contender, Times],
    plan: Plan,
    machine: Machine,
    weights: Weights,
) -> list[Row]:
    own = {c.weights: t for c, t in times.items() if c.name == OURS}
    exact, rows = own["float32"].logits, list[Row]()
    for entry in entries:
        if isinstance(entry, Absent):
            rows.append({"name": entry.name, "absent": entry.why})
            continue
        mine = times[entry]
        heads = plan.tokens if entry.all_heads else 1
        operations = 2.0 * (plan.tokens * (weights.large + weights.low) + heads * weights.head)
        # One row of the embedding table is next to nothing, and is all that a token needs of it.
        small = weights.all - weights.large - 2 * weights.head
        needed = entry.large * (weights.large + weights.head) + entry.small * small
        like = entry.like if entry.like in own else "float32"
        row = {
            "name": entry.name,
            "weights": entry.weights,
            "prefill_per_s": plan.tokens / mine.prefill,
            "prefill_share": 1e-9 * operations / mine.prefill / machine.gflops,
            "decode_per_s": plan.decode / mine.decode,
            "decode_share": 1e-9 * needed * plan.decode / mine.decode / machine.gbytes,
            "differs": float((mine.logits - exact).norm() / exact.norm()),
        }
        if entry.name != OURS:
            row |= {
                "like": like,
                "prefill_ratio": mine.prefill / own[like].prefill,
                "decode_ratio": mine.decode / own[like].decode,
            }
        rows.append(row)
    return rows


def _print_rows(rows: Sequence[Row]) -> None:
    heads = ("read/s", "of peak", "ours", "write/s", "of memory", "ours", "differs")
    print(f"\n{'':<14}{'weights':<10}" + "".join(f"{head:>10}" for head in heads))
    for row in rows:
        if "absent" in row:
            print(f"{row['name']:<14}{row['absent']}")
            continue
        ratios = [f"{row[x]:.2f} x" if x in row else "" for x in ("prefill_ratio", "decode_ratio")]
        print(
            f"{row['name']:<14}{row['weights']:<10}"
            f"{row['prefill_per_s']:>10,.0f}{row['prefill_share']:>10.0%}{ratios[0]:>10}"
            f"{row['decode_per_s']:>10,.1f}{row['decode_share']:>10.0%}{ratios[1]:>10}"
            f"{row['differs']:>10.1e}"
        )
    print(LEGEND)


# -- drift ---------------------------------------------------------------------------------------


def _drifts(name: str, file: Path, texts: Sequence[Sequence[int]]) -> list[Row]:
    rows, exact = [], load_model(file)
    for kind in SIZES:
        if kind != "float32" and can_hold(kind):
            other = load_model(file)
            other.weights = kind
            found = dataclasses.asdict(drift(exact, other, [torch.tensor(text) for text in texts]))
            rows.append({"name": name, "weights": kind, **found})
    return rows


def _print_drifts(rows: Sequence[Row]) -> None:
    if not rows:
        return
    heads = ("positions", "mean KL", "same token", "where sure")
    print(f"\n{'drift from float32':<28}" + "".join(f"{head:>12}" for head in heads))
    for row in rows:
        sure = row["sure_agreement"]
        print(
            f"{row['name'] + ', ' + row['weights']:<28}{row['positions']:>12,}{row['kl']:>12.2e}"
            f"{row['agreement']:>12.2%}" + ("" if sure is None else f"{sure:>12.2%}")
        )
