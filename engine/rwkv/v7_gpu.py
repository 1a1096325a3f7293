"""RWKV-7 one token at a time on CUDA, from tokens to logits, replayed as one graph; can't be
differentiated. Knows nothing of texts or of the parallel form.

The kernels are in cuda/rwkv7_step.cu: five a layer, one before the layers, one after. Large
matrices are read where the network has them; small ones are packed. Weights are float32, bfloat16
or float16, activations, sums and logits always float32. v7_layers.py is the specification.

Glossary: B batch, T tokens, C width, L layers, H heads, N head size, V vocabulary, D the sum of the
low ranks, K hint channels.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engine import gpu
from engine.copyhints import CHANNELS, CODES
from engine.kernels import KernelError, required
from engine.rwkv.config import Config
from engine.rwkv.hints import Hints
from engine.rwkv.v7_gpu_pack import EndsPack, LayerPack, pack_ends, pack_layer, ready
from engine.rwkv.watch import Watch

MOST_ROWS, MOST_TOKENS = 32, 8
"""Above these the parallel form is the better choice: it reads the weights once for all."""

HEAD_SIZES = (16, 32, 64, 128)
FORMATS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
THREADS, WARPS, TILE = 128, 4, 4  # as in rwkv7_products.h
SHARED = 96 * 1024  # bytes a block may have on every GPU since Ampere
BLOCKS = 528  # four for each of 132 processors: more would repeat the norms too often
PLANS = 16  # batch sizes whose buffers and graphs are kept

_capturing = threading.Lock()

Launch = tuple[str, tuple[int, int, int], int, int, tuple[Tensor | int | None, ...]]


def program(weight: torch.dtype, head_size: int, batch: int) -> gpu.Program:
    """The kernels for one format of weights and `batch` (1, 2, 4 or 8) rows at a time."""
    defines = {
        "WEIGHT": FORMATS[weight],
        "HEAD": head_size,
        "BATCH": batch,
        "CHANNELS": CHANNELS,
        "CODES": CODES,
    }
    files = ("rwkv7_step.cu", "rwkv7_products.h")
    return gpu.Program("rwkv7_step", files, tuple((k, str(v)) for k, v in defines.items()))


PROGRAMS = (
    program(torch.float32, 64, 1),
    program(torch.bfloat16, 64, 1),
    program(torch.bfloat16, 64, 8),
    program(torch.float32, 128, 8),
    program(torch.float16, 16, 4),
)
"""Some that stand for all; what is compiled for a trial in the tests."""


class GpuStep:
    """A network's weights, ready for stepping. Use it on one stream at a time.

    forward() runs a batch size's launches one by one when it first comes, captures them into a
    graph the second time, and from then on replays that: one copy of ten addresses and one launch
    a token. A graph holds no token's tensors, they are found through those addresses.
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        self._config, self._watch = config, Watch(model)
        with torch.inference_mode(False), torch.no_grad():
            weights = {name: p.detach() for name, p in model.named_parameters()}
            self._layers = [pack_layer(weights, i) for i in range(config.n_layer)]
            self._ends = pack_ends(weights, config)
        self._plans: dict[int, _Plan] = {}
        self._lock = threading.Lock()

    def fresh(self) -> bool:
        """Whether the weights are those that were packed, as far as watch.py sees."""
        return self._watch.unchanged()

    @torch.no_grad()
    def forward(
        self, tokens: Tensor, hints: Hints | None, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read tokens (B, T): float32 logits (B, T, V) and the new state; writes to no argument.

        hints: as the network's, where it has copy hints. `state` holds att_x and ffn_x (L, B, C)
        and wkv (L, B, H, N, N), float32. All lie on the weights' device. A token that isn't in the
        vocabulary gives NaN, and so does a hint. Raises ValueError for hints amiss and for tensors
        of another shape or device, KernelError where the kernels can't be built.
        """
        if (hints is None) != (self._config.hints is None):
            raise ValueError("hints are for a network with copy hints, and needed there")
        self._check(tokens, hints, state)
        with torch.inference_mode(False), _on(self._ends.table.device):
            rows, new = [], dict(state)
            for t in range(tokens.shape[1]):
                shown = None if hints is None else (hints[0][:, t], hints[1][:, t])
                logits, new = self._read(tokens[:, t], shown, new)
                rows.append(logits)
            return rows[0].unsqueeze(1) if len(rows) == 1 else torch.stack(rows, 1), new

    def _check(self, tokens: Tensor, hints: Hints | None, state: Mapping[str, Tensor]) -> None:
        """Kernels are given addresses alone: what isn't there would be read and written."""
        c, device, (B, T) = self._config, self._ends.table.device, tokens.shape
        wanted: dict[str, tuple[Tensor, tuple[int, ...]]] = {"tokens": (tokens, (B, T))}
        for name, size in (
            ("att_x", (c.n_embd,)),
            ("ffn_x", (c.n_embd,)),
            ("wkv", (c.n_head, c.head_size, c.head_size)),
        ):
            wanted[name] = (state[name], (c.n_layer, B, *size))
        for name, x in zip(("ids", "codes"), hints or (), strict=False):
            wanted[name] = (x, (B, T, CHANNELS))
        for name, (x, shape) in wanted.items():
            if x.shape != shape or x.device != device:
                raise ValueError(
                    f"{name} has shape {tuple(x.shape)} on {x.device}, wanted {shape} on {device}"
                )

    def _read(
        self, tokens: Tensor, hints: Hints | None, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One token a row, tokens (B,), hints (B, K) each: logits (B, V) and the new state."""
        B = len(tokens)
        old = [ready(state[name], torch.float32) for name in ("att_x", "ffn_x", "wkv")]
        new = [torch.empty_like(x) for x in old]
        logits = torch.empty(B, self._config.vocab, device=self._ends.table.device)
        seen = [ready(x, torch.int64) for x in (tokens, *(hints or ()))]
        addresses = [x.data_ptr() for x in seen] + [0] * (3 - len(seen))
        addresses += [x.data_ptr() for x in (*old, *new, logits)]
        with self._lock:  # no other thread's addresses between these and their use
            plan = self._plans.pop(B, None) or self._plan(B)
            self._plans[B] = plan
            while len(self._plans) > PLANS:
                del self._plans[next(iter(self._plans))]
            plan.run(addresses)
        return logits, dict(zip(("att_x", "ffn_x", "wkv"), new, strict=True))

    def _plan(self, B: int) -> _Plan:
        return _Plan(self._config, self._layers, self._ends, B)


def step_for(model: nn.Module, config: Config, old: GpuStep | None) -> GpuStep | None:
    """The step of an RWKV-7: `old` while it is fresh; None for a network that has none, or where
    its kernels turn out not to be had. Raises KernelError for that if ADVENTURE_KERNEL=native.

    Doesn't ask whether the weights' device can run kernels at all: engine.gpu.why_not does.
    """
    if old is not None and old.fresh():
        return old
    if config.generation != "7" or config.head_size not in HEAD_SIZES:
        return None
    kinds = {p.dtype for p in model.parameters()}
    if len(kinds) != 1 or not kinds <= set(FORMATS) or 4 * config.n_embd > SHARED:
        return None
    weight = next(model.parameters())
    try:  # before anything is packed, which would be for nothing at every token
        gpu.module(program(weight.dtype, config.head_size, _batch(1, config.n_embd)), weight.device)
    except KernelError:
        if required():
            raise
        return None
    return GpuStep(model, config)


# -- launching -------------------------------------------------------------------------------------


class _Plan:
    """The launches for B rows and the memory between them; knows no token's own tensors."""

    def __init__(self, config: Config, layers: list[LayerPack], ends: EndsPack, B: int) -> None:
        C, device = config.n_embd, ends.table.device
        self._B, self._C, self._V = B, C, config.vocab
        self._batch = _batch(B, C)
        self._module = gpu.module(program(ends.table.dtype, config.head_size, self._batch), device)
        self._device, self._size = device, ends.table.element_size()

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, device=device)

        self._where = torch.zeros(10, dtype=torch.int64, device=device)
        self._x, self._first_v, self._mixed = zeros(B, C), zeros(B, C), zeros(B, C)
        self._rkv, self._low = zeros(3, B, C), zeros(B, max(sum(p.ranks) for p in layers))
        # Where value is padded, the columns that no one writes must be zeros.
        self._hidden = zeros(B, layers[0].value.shape[1])
        self._launches = [self._embed(ends)]
        for i, layer in enumerate(layers):
            self._launches += self._layer(config, layer, i)
        self._launches.append(self._head(ends))
        self._replay: Callable[[], None] | None = None
        self._runs = 0

    def run(self, addresses: list[int]) -> None:
        """Read and write at `addresses`, ordered as `Where` in rwkv7_step.cu."""
        # Pinned memory of torch's own pool isn't given to another before this copy is done.
        pinned = self._device.type == "cuda"
        self._where.copy_(torch.tensor(addresses, pin_memory=pinned), non_blocking=True)
        if self._runs == 1:  # by now every kernel is loaded, which a capture doesn't allow
            self._replay = captured(self._launch, self._device)
        self._runs += 1
        (self._replay or self._launch)()

    def _launch(self) -> None:
        for kernel, grid, block, shared, args in self._launches:
            self._module.launch(kernel, grid, block, shared, *args)

    def _grid(self, blocks: int) -> tuple[int, int, int]:
        return blocks, -(-self._B // self._batch), 1

    def _embed(self, ends: EndsPack) -> Launch:
        args = (self._where, ends.table, ends.hint_table, ends.before, self._x, self._V, self._C)
        return "rwkv7_embed", (self._B, 1, 1), THREADS, 4 * self._C, args

    def _layer(self, config: Config, p: LayerPack, i: int) -> list[Launch]:
        B, C, H, N = self._B, self._C, config.n_head, config.head_size
        where, x, staged = self._where, self._x, 4 * self._batch * self._C
        parts = (C, C, C, *p.ranks)
        ways, groups = _deal(sum(parts), C, self._size)
        blocks = sum(_blocks(part, ways, groups) for part in parts)
        project = (where, x, p.vectors, *p.products, p.down, self._rkv, self._low)
        recur = (where, p.vectors, p.up, self._rkv, self._low, self._first_v, self._mixed)
        ways_k, groups_k = _deal(len(p.key), C, self._size)
        key = (where, x, p.vectors, p.key, self._hidden, i, B, C, len(p.key), p.value.shape[1])
        blocks_k = _blocks(len(p.key), ways_k, groups_k)
        threads = N * N // 4 if N <= 32 else 4 * N
        return [
            ("rwkv7_project", self._grid(blocks), THREADS, staged,
             (*project, i, B, C, *p.ranks, ways, groups)),
            ("rwkv7_recur", (H, B, 1), threads, 0, (*recur, i, B, C, *p.ranks)),
            self._add(p.output, self._mixed),
            ("rwkv7_key", self._grid(blocks_k), THREADS, staged, (*key, ways_k, groups_k)),
            self._add(p.value, self._hidden),
        ]  # fmt: skip

    def _add(self, matrix: Tensor, given: Tensor) -> Launch:
        C, columns = matrix.shape
        ways, groups = _deal(C, columns, self._size)
        args = (matrix, given, self._x, self._B, C, columns, ways, groups)
        return "rwkv7_add", self._grid(_blocks(C, ways, groups)), THREADS, 0, args

    def _head(self, ends: EndsPack) -> Launch:
        V, C = self._V, self._C
        ways, groups = _deal(V, C, self._size)
        hinted = int(ends.hint_table is not None)
        args = (self._where, self._x, ends.after, ends.head, self._B, C, V, hinted, ways, groups)
        shared = 4 * self._batch * C
        return "rwkv7_head", self._grid(_blocks(V, ways, groups)), THREADS, shared, args


def _batch(B: int, C: int) -> int:
    """How many rows a block takes at once: enough for B, or what its shared memory holds."""
    batch = 1
    while batch < min(B, 8) and 8 * batch * C <= SHARED:
        batch *= 2
    return batch


def _deal(rows: int, columns: int, size: int) -> tuple[int, int]:
    """(ways, groups) of a product, see `Deal` in rwkv7_products.h.

    Warps share a row where there would be too few of them, as far as it has pieces to share;
    blocks take more rows where there would be too many. B has no say: bits don't depend on it.
    """
    pieces = -(-columns * size // 512)
    ways = 1
    while ways < min(pieces, WARPS) and rows * ways < BLOCKS * TILE:
        ways *= 2
    return ways, -(-rows * ways // (TILE * WARPS * BLOCKS))


def _blocks(rows: int, ways: int, groups: int) -> int:
    return -(-rows // (TILE * (WARPS // ways) * groups))


def captured(launch: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """What replays the kernels that `launch` launches, without running them now."""
    if device.type != "cuda":
        return launch
    # torch's own stream for captures is one for the whole process, on the device of the first:
    # for another device's kernels the graph would stay empty, and a replay would do nothing. And
    # one at a time: a capture begins by waiting for the device, which breaks another one.
    with _capturing:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            launch()
    return graph.replay


def _on(device: torch.device) -> contextlib.AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
