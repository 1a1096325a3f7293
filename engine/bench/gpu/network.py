"""Speed of whole networks on a device, reading and writing, beside other programs.

Weights are random; every program gets the same. Knows no text.

Glossary: B batch, T tokens, V vocabulary; L layers, C width.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import kernels
from engine.bench.gpu.checks import relative
from engine.bench.gpu.host import Ceilings, Host, environment, quiet
from engine.bench.gpu.kernels import Row, one_line
from engine.bench.gpu.network_peers import NetworkPeer
from engine.checkpoint import load_model
from engine.convert import write_model
from engine.rwkv import v7_gpu
from engine.rwkv.config import Config
from engine.rwkv.network import Mode, Network

KINDS = (torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Speeds:
    """What is measured: shapes of networks, texts, and how often.

    shape: layers, width, vocabulary and head size of the one with random weights.
    """

    shape: tuple[int, int, int, int] = (12, 768, 65536, 64)
    batches: tuple[int, ...] = (1, 8)
    tokens: int = 1024
    written: int = 64
    rounds: int = 10
    train: tuple[tuple[int, int, int, int, int, int], ...] = (
        (12, 768, 65536, 64, 8, 1024),
        (4, 128, 4096, 64, 8, 512),
    )
    """For training: layers, width, vocabulary, head size, B and T."""


WHOLE = Speeds()
QUICK = Speeds(batches=(1,), rounds=4, train=((4, 128, 4096, 64, 8, 512),))


def random_on(host: Host, config: Config, kind: torch.dtype, seed: int = 0) -> Network:
    """A network made where it is measured: drawing large ones on the CPU takes longer than all
    else.
    """
    with torch.device("meta"):
        model = Network(config)
    model = model.to_empty(device=host.device)
    rng = torch.Generator(host.device).manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            matrix = weight.dim() == 2 and min(weight.shape) > 1
            size = 1 / math.sqrt(weight.shape[-1]) if matrix else 0.1
            weight.normal_(0.0, size, generator=rng)
            if name.endswith(
                ("ln0.weight", "ln1.weight", "ln2.weight", "ln_x.weight", "ln_out.weight")
            ):
                weight.add_(1)
    return model.to(kind).eval()


def token_bytes(model: Network) -> int:
    """Bytes of weights that one token needs: all but the embedding table, unless it is the head."""
    parameters = dict(model.named_parameters())
    table = 0 if model.config.tied else parameters["emb.weight"].nbytes
    return sum(p.nbytes for p in parameters.values()) - table


# -- reading and writing ---------------------------------------------------------------------------


def time_networks(
    host: Host,
    ceilings: Ceilings,
    speeds: Speeds,
    modes: Sequence[Mode],
    peers: Sequence[NetworkPeer],
    master: Path | None,
) -> Iterator[Row]:
    """RWKV-7 of `speeds.shape` in every mode and type, other programs, and a network in a file."""
    L, C, V, N = speeds.shape
    config = Config(L, C, V, head_size=N)
    names = {kind: f"RWKV-7 L{L} C{C} {_name(kind)}" for kind in KINDS}
    for kind, name in names.items():
        model = random_on(host, config, kind)
        yield from _all_modes(host, ceilings, speeds, modes, model, name)
    if master is not None:
        model = load_model(master, device=str(host.device))
        yield from _all_modes(host, ceilings, speeds, modes, model, "the game master")
    for kind, name in names.items() if peers else ():  # they may take long to begin
        model = random_on(host, config, kind)
        yield from _all_peers(host, speeds, peers, model, kind, name)


def _all_modes(
    host: Host,
    ceilings: Ceilings,
    speeds: Speeds,
    modes: Sequence[Mode],
    model: Network,
    name: str,
) -> Iterator[Row]:
    bound = token_bytes(model) / ceilings.bytes
    for B in speeds.batches:
        for mode in modes:
            for label, setting in ways(mode):
                row: Row = {"what": name, "name": label, "B": B}
                try:
                    with setting:
                        model.drop_copies()
                        row |= _ours(host, speeds, model, mode, B)
                    row["of_bound"] = bound * speeds.written / row["write_s"]
                except Exception as error:
                    row["absent"] = one_line(error)
                yield row
    model.drop_copies()


def ways(mode: Mode) -> Iterator[tuple[str, contextlib.AbstractContextManager[None]]]:
    """The ways in which a mode is measured: what each is called, and what sets it up."""
    yield f"mode {mode}", contextlib.nullcontext()
    if mode == "gpt":
        yield "mode gpt, plain torch", environment(kernels.VARIABLE, "torch")
    if mode == "cuda":
        yield "mode cuda, no graph", _no_graph()


@contextlib.contextmanager
def _no_graph() -> Iterator[None]:
    """Steps are launched kernel by kernel."""
    before = v7_gpu.captured
    v7_gpu.captured = lambda launch, device: launch
    try:
        yield
    finally:
        v7_gpu.captured = before


@torch.no_grad()
def _ours(host: Host, speeds: Speeds, model: Network, mode: Mode, B: int) -> dict[str, float]:
    tokens = random_tokens(host, model.config.vocab, B, speeds.tokens)
    start = model.initial_state(B)

    def read() -> None:
        model(tokens, start, mode="gpt" if mode == "rnn" else mode, last_only=True)

    logits, state = model(tokens, start, mode=mode if mode == "cuda" else "gpt", last_only=True)

    def write() -> None:
        row, at = logits[:, -1], state
        for _ in range(speeds.written):
            rows, at = model(row.argmax(-1, keepdim=True), at, mode=mode)
            row = rows[:, -1]

    return {"read_s": host.seconds([read], speeds.rounds), "write_s": _few(host, write)}


def _few(host: Host, write: Callable[[], None]) -> float:
    return host.seconds([write], 3)


def _all_peers(
    host: Host,
    speeds: Speeds,
    peers: Sequence[NetworkPeer],
    model: Network,
    kind: torch.dtype,
    name: str,
) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for peer in peers:
            base: Row = {"what": name, "name": peer.name, "B": peer.batches[0]}
            try:
                with quiet():
                    other = load_peer(peer, model, kind, Path(folder))
            except Exception as error:
                yield base | {"absent": one_line(error)}
                continue
            for B in (B for B in speeds.batches if B in peer.batches):
                try:
                    yield base | {"B": B} | _theirs(host, speeds, model, other, B)
                except Exception as error:
                    yield base | {"B": B, "absent": one_line(error)}
            del other


def load_peer(peer: NetworkPeer, model: Network, kind: torch.dtype, folder: Path) -> Any:
    """The peer with the weights of `model`, which are written into `folder` for it."""
    target = folder / f"{peer.name}{'.pth' if peer.form == 'pth' else ''}"
    write_model(model, target, peer.form, _name(kind))
    return peer.load(target, kind)


def _theirs(host: Host, speeds: Speeds, model: Network, peer: Any, B: int) -> dict[str, float]:
    tokens = random_tokens(host, model.config.vocab, B, speeds.tokens)
    logits = peer.reads(tokens)
    with torch.no_grad():
        wanted, _ = model(tokens, model.initial_state(B), last_only=True)

    def write() -> None:
        row = logits
        for _ in range(speeds.written):
            row = peer.steps(row.argmax(-1))

    read_s = host.seconds([lambda: peer.reads(tokens)], speeds.rounds)
    found = {"read_s": read_s, "write_s": _few(host, write)}
    return found | {"differs": relative(logits, wanted[:, -1])}


def random_tokens(host: Host, vocab: int, B: int, T: int) -> Tensor:
    """Tokens (B, T) on the device."""
    rng = torch.Generator().manual_seed(B + T)
    return torch.randint(vocab, (B, T), generator=rng).to(host.device)


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def line(row: Row, speeds: Speeds) -> str:
    """A row as text: tokens a second, and what else it has."""
    start = f"{row['what']:<30}{row['name']:<26}"
    if "B" in row:
        start += f"B{row['B']:<4}"
    if "absent" in row:
        return f"{start}{row['absent']}"
    if "step_s" in row:
        rate = row["tokens"] / row["step_s"]
        ending = f"{rate:14,.0f} tokens/s{row['peak'] / 1e6:9.0f} MB"
        return f"{start}{1e3 * row['step_s']:10.2f} ms{ending}"
    B = row["B"]
    text = f"{start}reads{B * speeds.tokens / row['read_s']:12,.0f}/s   writes"
    text += f"{B * speeds.written / row['write_s']:10,.1f}/s"
    if "of_bound" in row:
        text += f"{row['of_bound']:7.0%} of bound"
    return text + (f"   differs {row['differs']:.1e}" if "differs" in row else "")
