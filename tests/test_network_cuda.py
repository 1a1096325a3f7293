"""Networks in mode "cuda" without a GPU: the kernels are emulated, or the device is only a name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from emulated import emulated_module
from tiny import HINTS, RANKS, relative
from torch import Tensor

from engine import gpu, kernels
from engine.errors import UserError
from engine.generate import decode_batch, prefill, step
from engine.rwkv.config import Config, Ranks
from engine.rwkv.hints import read_hints
from engine.rwkv.network import Mode, Network
from engine.rwkv.state import State
from engine.sampler import make_sampler

MODES: tuple[Mode, ...] = ("gpt", "rnn", "cuda")
PROMPT = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]])


def small_model(generation: str, hints: bool = False, layers: int = 2) -> Network:
    """Heads of 32, which all kernels take; every weight moved off its special first value."""
    ranks = RANKS.get(generation, Ranks())
    model = Network.create(
        Config(
            layers, 64, 23, 32, ranks=ranks, hints=HINTS if hints else None, generation=generation
        )
    )
    rng = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.15 * torch.randn(weight.shape, generator=rng))
    return model.eval()


class Recorded:
    """An emulated module that notes which kernels are launched."""

    def __init__(self, program: gpu.Program, names: list[str]) -> None:
        self._module, self._names = emulated_module(program), names

    def launch(self, kernel: str, *rest: Any) -> None:
        self._names.append(kernel)
        self._module.launch(kernel, *rest)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """CPU tensors count as a GPU's; the names of the kernels that were emulated for them."""
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    names = list[str]()
    monkeypatch.setattr(gpu, "module", lambda program, device: Recorded(program, names))
    monkeypatch.setattr(gpu, "why_not", lambda device: None)
    return names


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def greedy(model: Network, logits: Tensor, state: State, mode: Mode, count: int) -> list[int]:
    said = list[int]()
    for _ in range(count):
        said.append(int(logits.argmax()))
        row, state = model(torch.tensor([said[-1:]]), state, mode=mode)
        logits = row[0, -1]
    return said


@pytest.mark.parametrize(
    ("generation", "hints", "step_kernel"),
    [("4", False, "wkv4_forward"), ("7", False, "rwkv7_recur"), ("7", True, "rwkv7_recur")],
)
@torch.no_grad()
def test_all_modes_write_the_same_from_one_state(
    generation: str, hints: bool, step_kernel: str, launched: list[str]
) -> None:
    model = small_model(generation, hints)
    told = dict[tuple[Mode, Mode], list[int]]()
    for first in MODES:
        logits, state = model(PROMPT, model.initial_state(), mode=first)
        assert all(name.startswith("wkv") for name in launched)  # the prompt is read in parallel
        assert bool(launched) == (first == "cuda")
        launched.clear()
        for second in MODES:
            told[first, second] = greedy(model, logits[0, -1], state, second, 10)
            assert (step_kernel in launched) == (second == "cuda")
            launched.clear()
    assert len(set(map(tuple, told.values()))) == 1, told
    assert len(set(told["rnn", "rnn"])) > 2  # a text, not one token over and over


@torch.no_grad()
def test_generating_takes_the_fused_step_by_itself(launched: list[str]) -> None:
    model = small_model("7")
    _, state = model(PROMPT, model.initial_state(), mode="rnn")
    assert model.step_mode == "cuda" and not launched
    step(model, torch.tensor([3]), state)
    assert "rwkv7_recur" in launched


@torch.no_grad()
def test_a_step_that_cannot_be_built_leaves_the_parallel_form(
    monkeypatch: pytest.MonkeyPatch, launched: list[str]
) -> None:
    def refuse(program: gpu.Program, device: torch.device) -> None:
        raise kernels.KernelError("no program today.")

    model = small_model("7")
    wanted, _ = model(PROMPT[:, :1], model.initial_state(), mode="rnn")
    monkeypatch.setattr(gpu, "module", refuse)
    found, _ = model(PROMPT[:, :1], model.initial_state(), mode="cuda")
    assert relative(found, wanted) < 5e-6 and not launched
    monkeypatch.setenv(kernels.VARIABLE, "native")
    with pytest.raises(UserError, match="no program today"):
        model(PROMPT[:, :1], model.initial_state(), mode="cuda")


def test_generating_on_a_cpu_goes_one_by_one() -> None:
    assert small_model("7").step_mode == "rnn"


@pytest.mark.usefixtures("launched")
@torch.no_grad()
def test_the_step_reads_and_writes_nothing_that_is_not_there() -> None:
    """Kernels get addresses alone: another network's state, and hints that nobody could give."""
    model, token = small_model("7", hints=True), torch.tensor([[3]])
    with pytest.raises(ValueError, match=r"att_x has shape \(1, 1, 64\) .* wanted \(2, 1, 64\)"):
        model(token, small_model("7", hints=True, layers=1).initial_state(), mode="cuda")
    state = model.initial_state()
    ids, codes = read_hints(state.hints or (), token)[0]
    with pytest.raises(ValueError, match=r"ids has shape"):
        model(token, state, mode="cuda", hints=(ids[..., :1], codes[..., :1]))
    for hints in ((ids + 10**6, codes + 1), (ids, codes + 10**3), (ids, codes - 1)):
        logits, _ = model(token, state, mode="cuda", hints=hints)
        assert logits.isnan().all()


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_logits_are_float32_whatever_the_weights(dtype: torch.dtype) -> None:
    """A saved game holds them, and may go on another way."""
    model = small_model("7").to(dtype)
    for mode in MODES:
        for tokens in (PROMPT, PROMPT[:, :1]):
            logits, _ = model(tokens, model.initial_state(), mode=mode)
            assert logits.dtype is torch.float32, (mode, tokens.shape)


@pytest.mark.usefixtures("launched")
@pytest.mark.parametrize("generation", ["4", "7"])
@torch.no_grad()
def test_mode_cuda_gives_the_numbers_of_the_others(generation: str) -> None:
    """Whole texts, short ones, a batch; the last position, chosen ones; a state stays as it was."""
    model = small_model(generation)
    tokens = torch.cat((PROMPT, PROMPT.flip(1)))
    _, past = model(tokens[:, :3], model.initial_state(2))
    before = past.clone()
    for length in (1, 2, 12):
        part = tokens[:, :length]
        wanted, end = model(part, past, mode="rnn")
        found, mine = model(part, past, mode="cuda")
        assert relative(found, wanted) < 5e-6
        for name in ("att_x", "ffn_x", *({"wkv"} & set(mine.tensors))):
            assert relative(mine.tensors[name], end.tensors[name]) < 5e-6
        last, _ = model(part, past, mode="cuda", last_only=True)
        assert relative(last, wanted[:, -1:]) < 5e-6
        select = torch.zeros_like(part, dtype=torch.bool)
        select[1, -1] = True
        chosen, _ = model(part, past, mode="cuda", select=select)
        assert relative(chosen, wanted[1, -1:]) < 5e-6
    for name, tensor in before.tensors.items():
        assert torch.equal(tensor, past.tensors[name])


@pytest.mark.parametrize("generation", ["4", "7"])
def test_training_in_mode_cuda(generation: str, launched: list[str]) -> None:
    """The gradients of all weights are those of the CPU."""
    model = small_model(generation).train()
    weights = list(model.parameters())

    def grads(mode: Mode) -> tuple[Tensor, ...]:
        logits, state = model(PROMPT, model.initial_state(), mode=mode)
        loss = logits.square().mean() + sum(x.float().mean() for x in state.tensors.values())
        return torch.autograd.grad(loss, weights, allow_unused=True)

    found = grads("cuda")
    assert f"wkv{generation}_forward" in launched and len(set(launched)) > 1
    launched.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "why_not", lambda device: "not now")
        wanted = grads("gpt")
    assert not launched
    for x, z in zip(found, wanted, strict=True):
        assert (x is None) == (z is None)
        assert x is None or z is None or relative(x, z) < 2e-5


def test_a_short_text_in_mode_cuda_can_be_differentiated(launched: list[str]) -> None:
    """As few tokens as the fused step takes where nothing is."""
    model = small_model("7")
    model(PROMPT[:, :3], model.initial_state(), "cuda")[0].square().sum().backward()
    assert all(p.grad is not None for p in (model.emb.weight, model.blocks[1].att.w2))
    assert launched == ["wkv7_forward"] * 2 + ["wkv7_sweeps", "wkv7_gradients"] * 2


@torch.no_grad()
def test_replaced_weights_are_seen_and_copies_are_whole(launched: list[str]) -> None:
    model = small_model("7", layers=1)
    token = PROMPT[:, :1]

    def answer(network: Network) -> Tensor:
        return network(token, network.initial_state(), mode="cuda")[0]

    seen = [answer(model)]
    other = copy.deepcopy(model)
    model.head.weight.mul_(1.5)
    seen.append(answer(model))
    assert relative(seen[1], 1.5 * seen[0]) < 1e-6
    assert torch.equal(answer(other), seen[0])
    model.blocks[0].ffn.value.weight = torch.nn.Parameter(torch.zeros(64, 256))
    seen.append(answer(model))
    assert all(not torch.equal(x, z) for x, z in pairwise(seen))
    assert launched.count("rwkv7_recur") == 4


# -- where it can't be -----------------------------------------------------------------------------


def test_mode_cuda_wants_weights_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model("7")
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    with pytest.raises(UserError, match="cpu is no CUDA device") as caught:
        model(PROMPT, model.initial_state(), mode="cuda")
    assert 'load_model(path, device="cuda")' in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv(kernels.VARIABLE, "torch")
    with pytest.raises(UserError, match="ADVENTURE_KERNEL=torch"):
        model(PROMPT, model.initial_state(), mode="cuda")
    with pytest.raises(ValueError, match="mode is 'gpu', wanted 'gpt', 'rnn' or 'cuda'"):
        model(PROMPT, model.initial_state(), mode="gpu")  # type: ignore[arg-type]


# -- another device, one without memory: most operations that would mix two devices are errors ----


@pytest.mark.parametrize(
    ("generation", "kernels_run"),
    [("4", False), ("4", True), ("5.2", False), ("6", False), ("7", False), ("7", True)],
)
def test_nothing_but_the_network_knows_of_devices(
    generation: str, kernels_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens, hints and states come from the CPU, as in a game; answers lie with the weights."""
    monkeypatch.setattr(gpu, "why_not", lambda device: None if kernels_run else "it has no memory")
    kind = torch.bfloat16 if kernels_run else torch.float32
    model = small_model(generation, hints=True).to("meta", kind)
    start = small_model(generation, hints=True).initial_state()
    embedded = set[str]()  # looking up rows is what asks nobody where the tokens are
    model.emb.register_forward_pre_hook(lambda _, args: embedded.add(args[0].device.type))
    for mode in MODES if kernels_run else MODES[:2]:
        tokens = PROMPT[:, :2] if mode == "rnn" else PROMPT
        T = tokens.shape[1]
        hints, _ = read_hints(start.hints or (), tokens)
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                logits, state = model(tokens, start, mode=mode, last_only=True)
                again, state = model(tokens, state, mode=mode)
                other, _ = model(tokens, start, mode=mode, hints=hints)
            assert logits.shape == (1, 1, 23) and again.shape == other.shape == (1, T, 23)
            found = (logits, again, other, *state.tensors.values())
            assert {x.device.type for x in found} == embedded == {"meta"}
            assert {x.dtype for x in state.tensors.values()} <= {torch.float32, torch.int32}


@torch.no_grad()
def test_generating_asks_for_no_device() -> None:
    """Tokens are made on the CPU, wherever the logits are."""
    model = small_model("7")
    logits, state = prefill(model, PROMPT, model.initial_state())
    row, _ = step(model, torch.tensor([1]), state)
    assert row.shape == (1, 23)
    written = decode_batch(model, logits, state, make_sampler(temperature=0.0), limit=3)
    assert len(written[0].tokens) == 3
