"""RWKV-7's fused step for CUDA, played by the emulator: numbers, orders, graphs, staleness."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from emulated import ORDERS, EmulatedModule, Order, emulate_gpu, run_sanitized
from tiny import HINTS, relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.bench.gpu import step as gpu_step
from engine.copyhints import CHANNELS, CODES
from engine.oracle import oracle
from engine.rwkv import v7_gpu
from engine.rwkv.config import Config, Ranks
from engine.rwkv.network import Network
from engine.rwkv.v7_gpu import GpuStep, step_for

BOUND = 5e-6
NAMES = ("att_x", "ffn_x", "wkv")


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVENTURE_KERNEL", "torch")  # what the step is compared with
    emulate_gpu(monkeypatch)


def network(dtype: torch.dtype = torch.float32, hints: bool = False, **sizes: Any) -> Network:
    """Two random layers with every weight moved off its special first value."""
    usual = {"n_layer": 2, "n_embd": 64, "vocab": 61, "head_size": 16}
    config = Config(**(usual | sizes), hints=HINTS if hints else None)
    model = Network.create(config, seed=0)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    return model.to(dtype).eval()


def made(model: Network) -> GpuStep:
    step = step_for(model, model.config, None)
    assert step is not None
    return step


def read(
    model: Network, step: GpuStep, tokens: Tensor, state: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    start = model.initial_state(len(tokens))
    hints, _ = model._hints(tokens, start, None)
    return step.forward(tokens, hints, start.tensors if state is None else state)


def shown(model: Network, tokens: Tensor) -> int:
    """How many hints a text shows."""
    hints, _ = model._hints(tokens, model.initial_state(len(tokens)), None)
    return 0 if hints is None else int((hints[1] > 0).sum())


def in_float64(model: Network, tokens: Tensor) -> Tensor:
    weights = model.state_dict()
    return torch.stack([oracle(weights, model.config, row.tolist()) for row in tokens])


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in NAMES)


ODD = Ranks(w=7, a=33, v=5, g=50)
CASES: dict[str, tuple[torch.dtype, int, int, dict[str, Any]]] = {
    "a long text": (torch.float32, 1, 50, {}),
    "odd ranks, shared rows": (
        torch.float32, 3, 4, {"n_embd": 256, "head_size": 64, "ffn": 1003, "ranks": ODD},
    ),
    "bfloat16, a wide head": (torch.bfloat16, 2, 6, {"n_embd": 128, "head_size": 128}),
    "float16, hints, a tied head": (
        torch.float16, 1, 20,
        {"n_embd": 96, "head_size": 32, "ffn": 100, "hints": True, "tied": True},
    ),
    "two passes": (torch.float32, 9, 14, {"hints": True}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_agrees_with_float64_and_plain_torch(case: str) -> None:
    dtype, rows, length, sizes = CASES[case]
    model, tokens = network(dtype, **sizes), gpu_step._tokens(rows, length)
    assert (shown(model, tokens) > 0) == ("hints" in sizes)
    logits, new = read(model, made(model), tokens)
    assert relative(logits.double(), in_float64(model, tokens)) <= BOUND
    # In float32 whatever the weights are: plain torch would round its activations to their format.
    wanted, state = model.float()(tokens, model.initial_state(rows), mode="rnn")
    assert relative(logits, wanted) <= 2 * BOUND
    for name in NAMES:
        assert new[name].dtype is torch.float32
        assert relative(new[name], state.tensors[name]) <= 2 * BOUND


@torch.no_grad()
def test_hints_of_every_channel_and_code_and_of_one_token() -> None:
    model, tokens = network(hints=True), tiny_tokens(7, 3)
    counted = torch.arange(7 * 3 * CHANNELS).view(7, 3, CHANNELS)
    codes, ids = counted % CODES, (counted * 5) % 61
    ids[:, 2] = ids[:, 2, :1]  # all hints at one token
    codes[0, 0] = 0
    logits, _ = made(model).forward(tokens, (ids, codes), model.initial_state(7).tensors)
    wanted, _ = model(tokens, model.initial_state(7), "rnn", (ids, codes))
    assert relative(logits, wanted) <= 2 * BOUND
    none, _ = model(tokens, model.initial_state(7), "rnn", (ids, 0 * codes))
    assert relative(none, wanted) > 1e-2  # the hints matter


@pytest.mark.parametrize("order", ORDERS)
@torch.no_grad()
def test_blocks_that_take_more_rows(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    emulate_gpu(monkeypatch, order)
    monkeypatch.setattr(v7_gpu, "BLOCKS", 2)
    model, tokens = network(hints=True), gpu_step._tokens(1, 16)
    logits, _ = read(model, made(model), tokens)
    assert relative(logits.double(), in_float64(model, tokens)) <= BOUND


@torch.no_grad()
def test_every_order_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = network(hints=True), gpu_step._tokens(1, 16)
    found = []
    for seed, order in enumerate((*ORDERS, "random")):
        emulate_gpu(monkeypatch, order, seed)
        found.append(read(model, made(model), tokens))
    for logits, new in found[1:]:
        assert torch.equal(logits, found[0][0]) and same(new, found[0][1])


@torch.no_grad()
def test_a_row_is_the_same_alone_and_beside_others() -> None:
    model, tokens = network(), tiny_tokens(9, 3)
    step = made(model)
    logits, new = read(model, step, tokens)
    for row in (0, 4, 8):
        alone, end = read(model, step, tokens[row : row + 1])
        assert torch.equal(alone[0], logits[row])
        assert same(end, {name: new[name][:, row : row + 1] for name in NAMES})


class Recorder:
    """In the place of a graph: notes launches while capturing and makes them again in a replay."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replays, self.launches, self._notes = 0, 0, list[tuple[Any, ...]]()
        self._capturing = False
        recorder, launch = self, EmulatedModule.launch

        def noted(module: EmulatedModule, *args: Any) -> None:
            recorder.launches += 1
            if recorder._capturing:
                recorder._notes.append((module, *args))
            else:
                launch(module, *args)

        monkeypatch.setattr(EmulatedModule, "launch", noted)
        monkeypatch.setattr(v7_gpu, "captured", self._capture)

    def _capture(self, run: Callable[[], None], device: torch.device) -> Callable[[], None]:
        self._notes, self._capturing = [], True
        run()
        self._capturing = False
        notes = self._notes

        def replay() -> None:
            self.replays += 1
            for module, *args in notes:
                module.launch(*args)

        return replay


@torch.no_grad()
def test_a_graph_is_replayed_from_the_second_token_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = network(hints=True), tiny_tokens(1, 6)
    wanted, end = read(model, made(model), tokens)
    recorder, step = Recorder(monkeypatch), made(model)
    logits, new = read(model, step, tokens)
    assert recorder.replays == 5
    assert torch.equal(logits, wanted) and same(new, end)
    other = tiny_tokens(9, 3, seed=5)  # another number of rows has a graph of its own
    alone = read(model, made(model), other)
    assert torch.equal(read(model, step, other)[0], alone[0])
    again, _ = read(model, step, tokens)
    assert torch.equal(again, wanted)


@torch.no_grad()
def test_graphs_of_many_batch_sizes_are_not_kept_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v7_gpu, "PLANS", 2)
    model = network()
    step = made(model)
    for rows in (1, 9, 1, 8):
        read(model, step, tiny_tokens(rows, 1))
    assert list(step._plans) == [1, 8]


@torch.no_grad()
def test_states_in_turn_and_arguments_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    model = network(hints=True)
    assert gpu_step.interleaved(model, 4) == 0
    assert gpu_step.against_itself(model, 12) == 0
    assert gpu_step.against_parallel(model, 4) <= BOUND


@torch.no_grad()
def test_states_of_any_layout_go_in() -> None:
    model, tokens = network(), tiny_tokens(2, 2)
    step = made(model)
    _, state = read(model, step, tokens)
    wanted, _ = read(model, step, tokens, state)
    turned = {name: x.transpose(-1, -2).contiguous().transpose(-1, -2) for name, x in state.items()}
    shifted = {
        name: torch.cat((x.new_zeros(1), x.flatten()))[1:].view_as(x) for name, x in state.items()
    }  # 4 bytes off what 16-byte loads want
    for other in (turned, shifted):
        assert torch.equal(read(model, step, tokens, other)[0], wanted)


def test_what_comes_out_can_be_trained_on() -> None:
    model, tokens = network(), tiny_tokens(1, 1)
    with torch.inference_mode():
        logits, new = read(model, made(model), tokens)
    assert not logits.is_inference() and not any(x.is_inference() for x in new.values())
    assert not logits.requires_grad


@torch.no_grad()
def test_a_step_is_kept_while_the_weights_are_those_that_were_packed() -> None:
    model, tokens = network(), tiny_tokens(1, 2)
    step = made(model)
    assert step_for(model, model.config, step) is step
    before, _ = read(model, step, tokens)
    model.blocks[1].att.w2.mul_(3)  # one that is packed
    renewed = step_for(model, model.config, step)
    assert renewed is not None and renewed is not step
    after, _ = read(model, renewed, tokens)
    assert not torch.equal(after, before)
    assert relative(after.double(), in_float64(model, tokens)) <= BOUND


def test_networks_that_have_no_step() -> None:
    for model in (tiny_model(generation="4"), network(head_size=8), tiny_model(generation="6")):
        assert step_for(model, model.config, None) is None
    mixed = network()
    mixed.ln_out.bfloat16()
    assert step_for(mixed, mixed.config, None) is None


@torch.no_grad()
def test_hints_amiss_and_unknown_tokens() -> None:
    model, tokens = network(hints=True), tiny_tokens(1, 1)
    state = model.initial_state(1).tensors
    with pytest.raises(ValueError, match="copy hints"):
        made(model).forward(tokens, None, state)
    plain = network()
    for token in (-1, 61):
        logits, _ = made(plain).forward(torch.tensor([[token]]), None, state)
        assert logits.isnan().all()


def test_every_batch_is_dealt_out_within_what_a_block_may_have() -> None:
    for C in (64, 768, 2048, 4096, 8192, 24576):
        for B in (1, 2, 3, 8, 9, 40):
            batch = v7_gpu._batch(B, C)
            assert batch in (1, 2, 4, 8) and (batch == 1 or 4 * batch * C <= v7_gpu.SHARED)
            assert batch >= min(B, 8) or 8 * batch * C > v7_gpu.SHARED
    for rows, columns, size in ((1, 64, 4), (768, 768, 2), (768, 3072, 2), (65536, 4096, 2)):
        ways, groups = v7_gpu._deal(rows, columns, size)
        assert ways in (1, 2, 4) and groups >= 1
        assert v7_gpu._blocks(rows, ways, groups) <= v7_gpu.BLOCKS


SANITIZED = """
import torch
from emulated import emulated_module
from engine import gpu
gpu.module = lambda program, device: emulated_module(program, order="random", sanitize=True)
from test_v7_gpu import gpu_step, made, network, read
with torch.no_grad():
    model = network(hints=True, ffn=100)
    logits, _ = read(model, made(model), gpu_step._tokens(1, 16))
assert logits.isfinite().all()
"""


@pytest.mark.skipif("ADVENTURE_TEST_SANITIZE" not in os.environ, reason="builds for 15 seconds")
def test_sanitizers_find_nothing() -> None:
    run: subprocess.CompletedProcess[str] = run_sanitized(SANITIZED)
    assert run.returncode == 0, run.stderr[-3000:]


@torch.no_grad()
def test_the_check_for_a_gpu_passes_and_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_step, "CASES", ((torch.float32, 1), (torch.float32, 9)))
    monkeypatch.setattr(gpu_step, "_network", lambda *_: network(hints=True))
    checks = gpu_step.check_step(torch.device("cpu"), length=9)
    assert len(checks) == 5
    for what, error, allowed in checks:
        assert error <= allowed, what
    right = v7_gpu.pack_layer

    def lost(weights: Mapping[str, Tensor], i: int) -> v7_gpu.LayerPack:
        layer = right(weights, i)
        layer.vectors[14] = 0  # r_k, the bonus
        return layer

    monkeypatch.setattr(v7_gpu, "pack_layer", lost)
    assert gpu_step.against_float64(network(), 1, 3) > 100 * gpu_step.BOUND
