"""Times of the recurrences on a device beside their bounds, plain torch and public kernels.

Knows no network. A peer's time counts only where its results and gradients agree with ours.

Glossary: B batch, T tokens, H heads, N head size, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import wkv
from engine.bench.gpu.checks import greatest, relative
from engine.bench.gpu.host import Ceilings, Host, launching, rotated
from engine.bench.gpu.peers import CLAMP, Peer
from engine.rwkv.chunked import CHUNK, wkv7_chunked
from engine.rwkv.wkv4 import empty_state
from engine.rwkv.wkv4 import wkv4 as wkv4_plain

AGREE = 2e-2
"""Relative L2 that a peer's results and gradients may be from ours: theirs are in bfloat16."""
OURS, WIDE, PLAIN = "ours", "ours, float32 decay", "plain torch"

Row = dict[str, Any]
Run = Callable[..., Tensor]
Form = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Timed:
    """Seconds of a forward pass alone, and with the backward pass; bytes that both take at once."""

    forward: float
    both: float
    peak: int


@dataclass(frozen=True)
class Job:
    """One shape and type of one recurrence.

    bound: the least times of `Timed`, in seconds.
    make: tensors by seed: what is differentiated, without the decay's form, and above them dy.
    """

    title: str
    kind: torch.dtype
    T: int
    head_size: int
    bound: tuple[float, float]
    make: Callable[[int], list[Tensor]]
    ours: Callable[[Callable[[Tensor], Tensor]], Run]
    plain: Run | None


def job7(
    host: Host, ceilings: Ceilings, shape: tuple[int, int, int, int], kind: torch.dtype
) -> Job:
    """WKV-7 at (B, T, H, N), from an empty state: r, log w, k, v, a, b, and dy."""
    B, T, H, N = shape

    def make(seed: int) -> list[Tensor]:
        noise = _noise(host, seed)
        logw = CLAMP * torch.sigmoid(2 * noise(*shape))
        kk = F.normalize(noise(*shape), dim=3)
        b = kk * torch.sigmoid(noise(*shape))
        made = [noise(*shape), logw, noise(*shape), noise(*shape), -kk, b, noise(*shape)]
        return [x.to(kind) for x in made]

    empty = torch.zeros(B, H, N, N, device=host.device)

    def ours(log: Callable[[Tensor], Tensor]) -> Run:
        form: Form = wkv.wkv7
        return lambda r, raw, *rest: form(r, log(raw), *rest, empty)[0]

    def plain(*inputs: Tensor) -> Tensor:
        form: Form = wkv7_chunked
        return form(*inputs, empty)[0]

    return Job(
        f"WKV-7 B{B} T{T} H{H} N{N}",
        kind,
        T,
        N,
        bound7(ceilings, shape, kind),
        make,
        ours,
        plain if kind is torch.float32 else None,
    )


def bound7(
    ceilings: Ceilings, shape: tuple[int, int, int, int], kind: torch.dtype
) -> tuple[float, float]:
    """The least seconds: every input read once and every output written once, or the products.

    Forward reads 6 tensors (B, T, H, N) and writes 1; backward reads 7 and writes 6. Products are
    those of chunks of 16 tokens as TF32, a float32 one being three such.
    """
    B, T, H, N = shape
    tensor = B * T * H * N * kind.itemsize
    state = 4 * B * H * N * N
    # A chunk forward: 4 products with N x N for outputs and state, 7 with 16 x 16; backward: the
    # first again, and as many twice over.
    products = 2 * B * T * H * (4 * N * N + 7 * CHUNK * N) * (3 if kind is torch.float32 else 1)
    forward = ceilings.seconds(7 * tensor + 2 * state, products)
    return forward, forward + ceilings.seconds(13 * tensor + 2 * state, 3 * products)


def job4(host: Host, ceilings: Ceilings, shape: tuple[int, int, int], kind: torch.dtype) -> Job:
    """WKV-4 at (B, T, C), from an empty state: k, v, log w, u, and dy."""
    B, T, C = shape

    def make(seed: int) -> list[Tensor]:
        noise = _noise(host, seed)
        k, v, dy = (noise(*shape).to(kind) for _ in range(3))
        return [k, v, -torch.exp(noise(C)), noise(C), dy]

    empty = empty_state(B, C, host.device)

    def ours(log: Callable[[Tensor], Tensor]) -> Run:
        return lambda k, v, raw, u: wkv.wkv4(k, v, log(raw.double()), u, empty)[0]

    def plain(k: Tensor, v: Tensor, raw: Tensor, u: Tensor) -> Tensor:
        return wkv4_plain(k, v, raw.double(), u, empty)[0]

    tensor = B * T * C * kind.itemsize
    forward = ceilings.seconds(3 * tensor)
    return Job(
        f"WKV-4 B{B} T{T} C{C}",
        kind,
        T,
        0,
        (forward, forward + ceilings.seconds(5 * tensor)),
        make,
        ours,
        plain if kind is torch.float32 else None,
    )


def _noise(host: Host, seed: int) -> Callable[..., Tensor]:
    rng = torch.Generator(host.device).manual_seed(seed)
    return lambda *size: torch.randn(size, generator=rng, device=host.device)


def time_job(host: Host, job: Job, peers: Sequence[Peer], rounds: int = 20) -> Iterator[Row]:
    """A row for ours, one for plain torch, and one a peer: its times, or why there are none."""
    ours = job.ours(_as_it_is)
    sets = rotated(job.make, host)
    with launching(job.title):
        both(ours, sets[0])
    mine = measure(host, ours, sets, rounds)
    yield _row(job, OURS, mine, mine)
    where = 1 if job.head_size else 2  # the decay's among the inputs
    if job.head_size and job.kind.itemsize < 4:  # as our networks call it
        wide = [[x.float() if i == where else x for i, x in enumerate(one)] for one in sets]
        yield _tried(job, WIDE, lambda: measure(host, ours, wide, rounds), mine)
        del wide
    if plain := job.plain:
        yield _tried(job, PLAIN, lambda: measure(host, plain, sets, rounds), mine)
    for peer in (peer for peer in peers if job.kind in peer.kinds):
        why = peer.why_not(job.T, job.head_size)
        if why is None:
            theirs = [
                [peer.raw(x.float()).to(x.dtype) if i == where else x for i, x in enumerate(one)]
                for one in sets
            ]
            yield _tried(job, peer.name, lambda: _peer(host, job, peer, theirs, rounds), mine)  # noqa: B023
            del theirs
        else:
            yield _absent(job, peer.name, why)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _peer(host: Host, job: Job, peer: Peer, sets: Sequence[Sequence[Tensor]], rounds: int) -> Timed:
    """Raises ValueError where it disagrees with ours."""
    run = peer.load(job.T)
    ours = job.ours(lambda raw: peer.log(raw.float() if job.head_size else raw))
    wanted, found = both(ours, sets[0]), both(run, sets[0])
    apart = [relative(a, b) for a, b in zip(found, wanted, strict=True)]
    if not greatest(apart) <= AGREE:
        shown = ", ".join(f"{x:.1e}" for x in apart)
        raise ValueError(f"it disagrees: y and gradients are {shown} from ours")
    return measure(host, run, sets, rounds)


def both(run: Run, tensors: Sequence[Tensor]) -> list[Tensor]:
    """y and the gradients of all inputs; tensors: the inputs, and dy."""
    *inputs, dy = tensors
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = run(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def measure(host: Host, run: Run, sets: Sequence[Sequence[Tensor]], rounds: int) -> Timed:
    """Median times with the sets of tensors taking turns."""

    def forward(tensors: Sequence[Tensor]) -> Callable[[], object]:
        return lambda: run(*tensors[:-1])

    with torch.no_grad():
        alone = host.seconds([forward(one) for one in sets], rounds)
    calls = [lambda one=one: both(run, one) for one in sets]
    together = host.seconds(calls, rounds)
    return Timed(alone, together, host.peak(calls[0]))


def _row(job: Job, name: str, timed: Timed, mine: Timed) -> Row:
    row: Row = {"what": job.title, "kind": str(job.kind).removeprefix("torch."), "name": name}
    row |= asdict(timed)
    row |= {"bound_forward": job.bound[0], "bound_both": job.bound[1]}
    return row | {"ratio_forward": timed.forward / mine.forward, "ratio": timed.both / mine.both}


def _absent(job: Job, name: str, why: str) -> Row:
    kind = str(job.kind).removeprefix("torch.")
    return {"what": job.title, "kind": kind, "name": name, "absent": why}


def _tried(job: Job, name: str, work: Callable[[], Timed], mine: Timed) -> Row:
    try:
        return _row(job, name, work(), mine)
    except Exception as error:  # another program's: whatever it is, the rest goes on
        return _absent(job, name, one_line(error))


def one_line(error: BaseException) -> str:
    """An error in one line, with its kind."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def head() -> str:
    """The line above rows printed by `line`."""
    return (
        f"{'':<26}{'':<10}{'':<28}{'forward':>10}{'of bound':>9}{'both':>10}{'of bound':>9}"
        f"{'peak MB':>9}{'over ours':>16}"
    )


def line(row: Row) -> str:
    """A row of times in ms; of bound: the bound over the time; over ours: how often our time, of
    the forward pass and of both.
    """
    start = f"{row['what']:<26}{row['kind']:<10}{row['name']:<28}"
    if "absent" in row:
        return f"{start}{row['absent']}"
    return (
        f"{start}{1e3 * row['forward']:10.3f}{row['bound_forward'] / row['forward']:9.0%}"
        f"{1e3 * row['both']:10.3f}{row['bound_both'] / row['both']:9.0%}"
        f"{row['peak'] / 1e6:9.0f}{row['ratio_forward']:8.2f}{row['ratio']:8.2f}"
    )
