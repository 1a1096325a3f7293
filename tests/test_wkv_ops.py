"""The WKV operators: against plain torch, under torch's own checks, compiled, and on what runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from emulated import emulate_gpu
from functorch.compile import make_boxed_func
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd

from engine import gpu, kernels, wkv
from engine.bench.kernels import realistic, realistic4
from engine.errors import UserError
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.config import Config, Ranks
from engine.rwkv.network import Network
from engine.rwkv.v4 import mixed_inputs
from engine.rwkv.wkv4 import empty_state
from engine.rwkv.wkv4 import wkv4 as wkv4_torch
from engine.wkv_ops import wkv4_backward, wkv4_forward, wkv7_backward, wkv7_forward

Form = Callable[..., tuple[Tensor, ...]]
SHAPES7 = [(1, 1, 1, 64), (2, 5, 3, 64), (3, 16, 1, 8), (2, 37, 2, 32), (1, 70, 1, 128)]
SHAPES4 = [(1, 1, 1), (2, 5, 7), (3, 129, 33), (1, 40, 64)]


def flat4(form: Callable) -> Form:
    """WKV-4 as a function of tensors that gives tensors."""

    def run(k: Tensor, v: Tensor, w: Tensor, u: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, after = form(k, v, w, u, state)
        return y, *after

    return run


WKV4, PLAIN4 = flat4(wkv.wkv4), flat4(wkv4_torch)
BOTH = {
    "wkv7": (wkv.wkv7, wkv7_chunked, realistic, (2, 20, 2, 32)),
    "wkv4": (WKV4, PLAIN4, realistic4, (2, 20, 5)),
}


def relative(x: Tensor, wanted: Tensor) -> float:
    return float((x.double() - wanted).norm() / wanted.double().norm().clamp_min(1e-30))


def leaves(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Copies that want gradients, where they can have them."""
    return [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]


def run(form: Form, inputs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What comes out, and the gradients of a random projection of all of it."""
    inputs = leaves(inputs)
    out = form(*inputs)
    ends = [x for x in out if x.is_floating_point()]
    rng = torch.Generator().manual_seed(1)
    # Numbers that every type has.
    along = [torch.randn(x.shape, generator=rng).bfloat16().to(x.dtype) for x in ends]
    grads = torch.autograd.grad(ends, [x for x in inputs if x.requires_grad], along)
    return [x.detach() for x in out], list(grads)


def double(inputs: Sequence[Tensor]) -> list[Tensor]:
    return [x.double() if x.is_floating_point() else x for x in inputs]


def assert_close(
    found: tuple[list[Tensor], list[Tensor]],
    wanted: tuple[list[Tensor], list[Tensor]],
    least: float,
) -> None:
    for kind, ours, theirs in zip(("out", "gradient"), found, wanted, strict=True):
        for i, (x, z) in enumerate(zip(ours, theirs, strict=True)):
            assert x.shape == z.shape and relative(x, z) <= least, (kind, i, relative(x, z))


def by_operator(x: Tensor) -> bool:
    """Whether an operator of ours made x."""
    return x.grad_fn is not None and "adventure_wkv" in x.grad_fn.name()


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        kernels._compiler()
    except kernels.NoBuildError as error:
        pytest.skip(str(error))
    monkeypatch.setenv(kernels.VARIABLE, "native")


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch, native: None) -> None:
    """CPU tensors go to the CUDA kernels, which the C++ compiler has built."""
    emulate_gpu(monkeypatch)
    monkeypatch.setattr(gpu, "why_not", lambda device: None)


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("shape", SHAPES7, ids=str)
def test_wkv7_is_plain_torch(shape: tuple[int, int, int, int]) -> None:
    inputs = realistic(shape, seed=sum(shape))
    assert by_operator(wkv.wkv7(*leaves(inputs))[0])
    assert_close(run(wkv.wkv7, inputs), run(wkv7_chunked, double(inputs)), 1e-6)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("shape", SHAPES4, ids=str)
def test_wkv4_is_plain_torch(shape: tuple[int, int, int]) -> None:
    inputs = realistic4(shape, seed=sum(shape))
    assert by_operator(WKV4(*leaves(inputs))[0])
    assert_close(run(WKV4, inputs), run(PLAIN4, double(inputs)), 1e-6)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_float64_and_its_gradients(name: str) -> None:
    form, plain, make, _ = BOTH[name]
    inputs = make((2, 3, 1, 8) if name == "wkv7" else (2, 4, 2), dtype=torch.float64)
    assert by_operator(form(*leaves(inputs))[0])
    assert_close(run(form, inputs), run(plain, inputs), 1e-12)

    def ends(*inputs: Tensor) -> list[Tensor]:
        return [x for x in form(*inputs) if x.is_floating_point()]

    assert torch.autograd.gradcheck(ends, leaves(inputs))


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_only_some_results_may_matter(name: str) -> None:
    """Gradients of each result alone add up to those of all; what has none is None, not zeros."""
    form, _, make, shape = BOTH[name]
    inputs = leaves(make(shape, dtype=torch.float32))
    wanted = [x for x in inputs if x.requires_grad]
    ends = [x for x in form(*inputs) if x.is_floating_point()]
    whole = torch.autograd.grad([x.sum() for x in ends], wanted, retain_graph=True)
    parts = [torch.autograd.grad(x.sum(), wanted, retain_graph=True) for x in ends]
    for x, *pieces in zip(whole, *parts, strict=True):
        assert relative(sum(pieces), x) < 1e-5
    detached = [x.detach() for x in inputs]
    assert not any(x.requires_grad for x in form(*detached))
    one = [detached[0].requires_grad_(), *detached[1:]]
    (grad,) = torch.autograd.grad(form(*one)[0].sum(), one[:1])
    assert torch.equal(grad, parts[0][0])


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("name", BOTH)
def test_cuda_kernels_under_the_operators(name: str) -> None:
    form, plain, make, shape = BOTH[name]
    inputs = make(shape, dtype=torch.float32)
    assert by_operator(form(*leaves(inputs))[0])
    assert_close(run(form, inputs), run(plain, double(inputs)), 5e-6)
    half = [x.bfloat16() if x.dim() == len(shape) else x for x in inputs]
    if name == "wkv7":
        half[1], half[6] = inputs[1], inputs[6]  # decays and state stay float32
    else:
        half[4:] = inputs[4:]
    found, grads = run(form, half)
    assert found[0].dtype is grads[0].dtype is torch.bfloat16
    # What is rounded is known to 2^-9 of itself at best: that is an error of the format, not ours.
    assert_close((found, grads), run(plain, double(half)), 2e-3)


# -- torch's own checks ----------------------------------------------------------------------------


def forward_and_backward(name: str, shape: Sequence[int]) -> Iterator[tuple[Callable, tuple]]:
    inputs = BOTH[name][2](tuple(shape), dtype=torch.float32)
    forward = wkv7_forward if name == "wkv7" else wkv4_forward
    backward = wkv7_backward if name == "wkv7" else wkv4_backward
    yield forward, (*leaves(inputs), True)
    yield forward, (*inputs, False)
    y, *state, saved = forward(*inputs, True)
    floats = [x for x in state if x.is_floating_point()]
    yield backward, (*inputs, saved, y, *floats)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_opcheck(name: str) -> None:
    for operator, arguments in forward_and_backward(name, BOTH[name][3]):
        found = torch.library.opcheck(operator, arguments)
        assert set(found.values()) == {"SUCCESS"} and len(found) == 4


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("name", BOTH)
def test_opcheck_of_the_cuda_kernels(name: str) -> None:
    shape = (1, 17, 1, 32) if name == "wkv7" else (1, 9, 5)
    for operator, arguments in forward_and_backward(name, shape):
        found = torch.library.opcheck(operator, arguments, test_utils="test_faketensor")
        assert set(found.values()) == {"SUCCESS"}


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_a_second_derivative_is_refused(name: str) -> None:
    form, _, make, shape = BOTH[name]
    inputs = leaves(make(shape, dtype=torch.float32))
    (grad,) = torch.autograd.grad(form(*inputs)[0].square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="WKV can be differentiated once, not twice"):
        grad.sum().backward()


# -- compiled --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_compiled_whole(name: str) -> None:
    form, _, make, shape = BOTH[name]
    inputs = make(shape, dtype=torch.float32)
    compiled = torch.compile(form, fullgraph=True, backend="aot_eager")
    wanted, found = run(form, inputs), run(compiled, inputs)
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.equal(x, z) for x, z in zip(ours, theirs, strict=True))


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("generation", ["4", "7"])
def test_a_network_in_training_compiles_whole(generation: str) -> None:
    """Network.forward without one break in the graph; and the graph holds the operators."""
    config = Config(2, 32, 19, 16, ranks=Ranks(8, 8, 8, 8), generation=generation)
    model = Network.create(config).train()
    with torch.no_grad():
        rng = torch.Generator().manual_seed(1)
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    tokens, state = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]), model.initial_state(2)
    state = state.detach()
    held: list[str] = []

    def keep(module: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable:
        held.extend(str(node.target) for node in module.graph.nodes)
        return make_boxed_func(module.forward)

    def loss() -> Tensor:
        logits, after = model(tokens, state)
        return logits.square().mean() + sum(x.float().mean() for x in after.tensors.values())

    weights = list(model.parameters())
    wanted = torch.autograd.grad(loss(), weights, allow_unused=True)
    compiled = torch.compile(loss, fullgraph=True, backend=aot_autograd(fw_compiler=keep))
    found = torch.autograd.grad(compiled(), weights, allow_unused=True)
    for operator in (f"adventure.wkv{generation}_forward", f"adventure.wkv{generation}_backward"):
        assert sum(operator in name for name in held) == 2  # one a layer
    for x, z in zip(found, wanted, strict=True):
        assert (x is None) == (z is None)
        assert x is None or z is None or torch.equal(x, z)


def test_gradients_add_up_in_the_same_order_in_every_run() -> None:
    """A set of names has another order in every process, and sums another rounding."""
    names = tuple("zyxwvutsrqponmlkjihgfedcba")
    asked: list[str] = []

    class Mixes(torch.nn.Module):
        def get_parameter(self, target: str) -> torch.nn.Parameter:
            asked.append(target)
            return torch.nn.Parameter(torch.ones(2))

    mixed_inputs(Mixes(), names + names[:2], torch.ones(1, 3, 2), torch.zeros(1, 2))
    assert tuple(asked) == names


# -- the choice ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_plain_torch_where_it_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    form, plain, make, shape = BOTH[name]
    monkeypatch.setenv(kernels.VARIABLE, "torch")
    inputs = leaves(make(shape, dtype=torch.float32))
    out = form(*inputs)
    assert not by_operator(out[0])
    assert all(torch.equal(x, z) for x, z in zip(out, plain(*inputs), strict=True))
    assert wkv.kernel("WKV-7").describe() == "torch: ADVENTURE_KERNEL=torch"
    monkeypatch.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(UserError, match="ADVENTURE_KERNEL is 'cuda'"):
        form(*inputs)


@pytest.mark.usefixtures("native")
def test_what_kernels_do_not_take_is_plain_torch() -> None:
    """Head sizes without a kernel, mixed types, and RWKV-4's older programs' rounding."""
    inputs = leaves(realistic((1, 5, 1, 24)))
    assert not by_operator(wkv.wkv7(*inputs)[0])
    k, v, w, u, *state = leaves(realistic4((1, 5, 3)))
    y, _ = wkv.wkv4(k, v, w, u, tuple(state), epsilon=1e-9)
    assert not by_operator(y)
    wanted, _ = wkv4_torch(k, v, w, u, tuple(state), epsilon=1e-9)
    assert torch.equal(y, wanted)
    y, _ = wkv.wkv4(k.detach().half(), v.detach().half(), w, u, empty_state(1, 3))
    assert y.dtype is torch.float16


@pytest.mark.usefixtures("native")
def test_a_choice_may_change_between_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    for form, _, make, shape in BOTH.values():
        inputs = leaves(make(shape, dtype=torch.float32))
        out = form(*inputs)[0]
        with monkeypatch.context() as patch:
            patch.setenv(kernels.VARIABLE, "torch")
            out.sum().backward()
        assert inputs[0].grad is not None and inputs[0].grad.isfinite().all()


@pytest.mark.parametrize("emulated", [False, True])
def test_nothing_to_read(emulated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if emulated:
        emulate_gpu(monkeypatch)
    for B, T, H in ((0, 3, 1), (1, 0, 1), (1, 3, 0)):
        y, state = wkv.wkv7(*realistic((B, T, H, 32)))
        assert y.shape == (B, T, H, 32) and state.shape == (B, H, 32, 32)
    for shape in ((0, 3, 5), (1, 0, 5), (1, 3, 0)):
        y, *sums = WKV4(*realistic4(shape))
        assert y.shape == shape and sums[0].shape == (shape[0], shape[2])


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", BOTH)
def test_derivatives_taken_forwards(name: str) -> None:
    """Operators would give zeros without a word."""
    form, plain, make, shape = BOTH[name]
    first, *rest = make(shape)
    along = torch.ones_like(first)
    _, found = torch.func.jvp(lambda x: form(x, *rest)[0], (first,), (along,))
    _, wanted = torch.func.jvp(lambda x: plain(x, *rest)[0], (first,), (along,))
    assert wanted.norm() > 0 and torch.equal(found, wanted)


@pytest.mark.parametrize("name", BOTH)
def test_tensors_of_two_devices_are_refused(name: str) -> None:
    form, _, make, shape = BOTH[name]
    *inputs, state = make(shape)
    with pytest.raises(ValueError, match="wants all tensors on one device, not on cpu, meta"):
        form(*inputs, state.to("meta"))


@pytest.mark.parametrize("name", BOTH)
def test_kernels_that_cannot_be_had_leave_plain_torch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU seems fine until its first program is asked for."""

    def refuse(program: gpu.Program, device: torch.device) -> None:
        raise gpu.KernelError("no program today.")

    emulate_gpu(monkeypatch)
    monkeypatch.setattr(gpu, "module", refuse)
    form, plain, make, shape = BOTH[name]
    inputs = make(shape)
    monkeypatch.setenv(kernels.VARIABLE, "auto")
    assert_close(run(form, inputs), run(plain, inputs), 0.0)
    monkeypatch.setenv(kernels.VARIABLE, "native")
    with pytest.raises(UserError, match="no program today"):
        form(*inputs)


def test_wrong_shapes_are_refused() -> None:
    inputs = realistic4((2, 3, 5))
    for i, name in enumerate(("v", "w", "u", "num", "den", "exp"), 1):
        wrong = [*inputs[:i], inputs[i][..., :4], *inputs[i + 1 :]]
        with pytest.raises(ValueError, match=f"wkv4 wants {name} as "):
            WKV4(*wrong)
    with pytest.raises(ValueError, match=r"wkv4 wants k as \(B, T, C\), not \(3, 5\)"):
        WKV4(inputs[0][0], *inputs[1:])


def test_a_start_does_not_wait_for_torchs_compiler() -> None:
    """Importing it takes longer than all else that a game's start does."""
    code = "import sys, engine.rwkv.network; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
