"""WKV-7: the native kernel and plain torch meet the sequential float64 loop on the same inputs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine import kernels, wkv, wkv7_native
from engine.bench import kernels as kernels_bench
from engine.bench.kernels import realistic, wkv7_sequential
from engine.errors import UserError
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.wkv4 import wkv4 as wkv4_torch

NAMES = ("r", "logw", "k", "v", "a", "b", "state")
KERNELS = ("WKV-7", "WKV-4", "step of RWKV-7", "step of RWKV-7, mixed", "step of RWKV-4")
SHAPES = [
    (1, 1, 1, 64),
    (2, 5, 3, 64),  # short: the row-wise form
    (1, 16, 2, 64),  # one whole chunk
    (2, 33, 2, 64),  # a chunk of one step at the end
    (1, 131, 4, 64),
    (1, 17, 2, 8),
    (2, 40, 1, 16),
    (1, 35, 1, 32),
    (1, 20, 1, 128),
]


def relative(x: Tensor, wanted: Tensor) -> float:
    return float((x.double() - wanted).norm() / wanted.norm().clamp_min(1e-30))


def run(form, inputs: list[Tensor], seed: int = 1) -> tuple[list[Tensor], list[Tensor]]:
    """(y, state2) and the gradients of a random projection of both."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    out = form(*inputs)
    generator = torch.Generator().manual_seed(seed)
    along = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in out]
    return [x.detach() for x in out], list(torch.autograd.grad(out, inputs, along))


def about() -> str:
    return wkv.kernel("WKV-7").describe()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The choice of kernel is made anew inside the test and forgotten after it."""
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    kernels._choose.cache_clear()
    yield monkeypatch
    kernels._choose.cache_clear()


@pytest.fixture
def native(fresh: pytest.MonkeyPatch) -> None:
    try:
        kernels._compiler()
    except kernels.NoBuildError as error:
        pytest.skip(str(error))
    fresh.setenv(kernels.VARIABLE, "native")  # with a compiler at hand, failing to build is a bug


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_native_meets_float64(shape: tuple[int, int, int, int]) -> None:
    inputs = realistic(shape)
    out, grads = run(wkv.wkv7, inputs)
    wanted, wanted_grads = run(wkv7_sequential, [x.double() for x in inputs])
    for x, z in zip(out, wanted, strict=True):
        assert relative(x, z) < 1e-6
    for name, x, z in zip(NAMES, grads, wanted_grads, strict=True):
        assert relative(x, z) < 3e-6, name


@pytest.mark.parametrize("shape", [(2, 33, 2, 64), (1, 100, 1, 24)], ids=str)
def test_torch_meets_float64(shape: tuple[int, int, int, int], fresh: pytest.MonkeyPatch) -> None:
    """Also the head sizes that the library lacks."""
    fresh.setenv(kernels.VARIABLE, "torch")
    inputs = realistic(shape)
    out, grads = run(wkv.wkv7, inputs)
    wanted, wanted_grads = run(wkv7_sequential, [x.double() for x in inputs])
    for x, z in zip(out, wanted, strict=True):
        assert relative(x, z) < 1e-6
    for name, x, z in zip(NAMES, grads, wanted_grads, strict=True):
        assert relative(x, z) < 1e-5, name


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("T", [3, 50])
def test_any_decay(T: int) -> None:
    """No decay at all, total decay, and everything between and beyond, in one sequence."""
    inputs = realistic((1, T, 2, 64), seed=3)
    scale = torch.tensor([0.0, 1.0, 4.0, 40.0, 400.0])
    inputs[1] = inputs[1] * scale[torch.arange(T) % 5].view(1, T, 1, 1)
    inputs[1][0, T // 2, 0] = -torch.inf
    out, grads = run(wkv.wkv7, inputs)
    wanted, wanted_grads = run(wkv7_sequential, [x.double() for x in inputs])
    for x, z in zip(out, wanted, strict=True):
        assert relative(x, z) < 1e-6
    for name, x, z in zip(NAMES, grads, wanted_grads, strict=True):
        assert relative(x, z) < 1e-5, name


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("strongest", [2.0, 6.0, 20.0])
def test_strong_decays_alone(strongest: float) -> None:
    """No one of them is beyond all, but a chunk of them would be: it is rescaled at every step."""
    inputs = realistic((1, 40, 2, 32), seed=4)
    rng = torch.Generator().manual_seed(4)
    inputs[1] = -strongest * torch.rand(inputs[1].shape, generator=rng)
    out, grads = run(wkv.wkv7, inputs)
    wanted, wanted_grads = run(wkv7_sequential, [x.double() for x in inputs])
    for x, z in zip(out + grads, wanted + wanted_grads, strict=True):
        assert relative(x, z) < 5e-6


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("where", [0, 20, 39])
def test_not_a_number_is_never_hidden(where: int) -> None:
    inputs = realistic((1, 40, 1, 64))
    inputs[1][0, where, 0, 5] = torch.nan
    y, state = wkv.wkv7(*inputs)
    assert y[0, where:].isnan().all()
    assert not y[0, :where].isnan().any()
    assert state[:, :, :, 5].isnan().all()


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("cut", [1, 3, 16, 47, 79])
def test_split_anywhere(cut: int) -> None:
    """Two calls joined by the state equal one, gradients included."""

    def in_two(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        *rows, state = inputs
        y1, state = wkv.wkv7(*(x[:, :cut] for x in rows), state)
        y2, state = wkv.wkv7(*(x[:, cut:] for x in rows), state)
        return torch.cat((y1, y2), 1), state

    inputs = realistic((2, 80, 2, 64), seed=4)
    out, grads = run(in_two, inputs)
    whole, whole_grads = run(wkv.wkv7, inputs)
    for x, z in zip(out, whole, strict=True):
        assert relative(x, z.double()) < 5e-7
    for name, x, z in zip(NAMES, grads, whole_grads, strict=True):
        assert relative(x, z.double()) < 3e-6, name


@pytest.mark.usefixtures("native")
def test_errors_do_not_grow_with_length() -> None:
    """65,536 steps in one call against 64 calls of 1,024."""

    def in_pieces(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        *rows, state = inputs
        out = []
        for pieces in zip(*(x.split(1024, 1) for x in rows), strict=True):
            y, state = wkv.wkv7(*pieces, state)
            out.append(y)
        return torch.cat(out, 1), state

    inputs = realistic((1, 65536, 1, 64), seed=5)
    out, grads = run(wkv.wkv7, inputs)
    wanted, wanted_grads = run(in_pieces, inputs)
    for x, z in zip(out + grads[:6], wanted + wanted_grads[:6], strict=True):
        assert relative(x, z.double()) < 3e-6


@pytest.mark.usefixtures("native")
def test_inputs_stay_as_they_are_and_may_be_views() -> None:
    inputs = realistic((2, 20, 2, 64), seed=6)
    views = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs[:6]]
    views.append(inputs[6][:1].expand(2, -1, -1, -1))
    before = [x.clone() for x in views]
    y, _ = wkv.wkv7(*views)
    assert all(torch.equal(x, z) for x, z in zip(views, before, strict=True))
    wanted, _ = wkv.wkv7(*(x.contiguous() for x in views))
    assert torch.equal(y, wanted)


@pytest.mark.usefixtures("native")
def test_threads_do_not_change_a_bit() -> None:
    inputs = realistic((4, 300, 2, 64), seed=7)
    out, grads = run(wkv.wkv7, inputs)
    torch.set_num_threads(3)
    again, again_grads = run(wkv.wkv7, inputs)
    pairs = zip(out + grads, again + again_grads, strict=True)
    assert all(torch.equal(x, z) for x, z in pairs)


@pytest.mark.usefixtures("native")
def test_no_steps_give_the_state_back() -> None:
    inputs = realistic((2, 0, 2, 64))
    y, state = wkv.wkv7(*inputs)
    assert y.shape == (2, 0, 2, 64)
    assert torch.equal(state, inputs[6])
    assert state.data_ptr() != inputs[6].data_ptr()


def test_wrong_shapes_are_refused() -> None:
    inputs = realistic((2, 3, 2, 64))
    with pytest.raises(
        ValueError, match=r"wants a state of \(2, 2, 64, 64\), not \(1, 2, 64, 64\)"
    ):
        wkv.wkv7(*inputs[:6], inputs[6][:1])
    with pytest.raises(ValueError, match="wants k as r"):
        wkv.wkv7(*inputs[:2], inputs[2][:, :1], *inputs[3:])


# ---- which kernel, and what happens when it can't be had ---------------------------------------


def falls_back(reason: str) -> None:
    """wkv7 is plain torch and says why; asking for native is a one-line error with that reason."""
    assert about().startswith("torch: ")
    assert reason in about()
    inputs = realistic((1, 20, 1, 64))
    assert torch.equal(wkv.wkv7(*inputs)[0], wkv7_chunked(*inputs)[0])
    os.environ[kernels.VARIABLE] = "native"
    with pytest.raises(UserError, match="ADVENTURE_KERNEL=native, but") as caught:
        wkv.wkv7(*inputs)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def compiler(folder: Path, script: str) -> str:
    path = folder / "fake-compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_no_compiler(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("PATH", str(tmp_path))
    fresh.delenv("CXX", raising=False)
    fresh.setenv(kernels.VARIABLE, "auto")
    falls_back("no C++ compiler found")


@pytest.mark.usefixtures("native")
def test_whether_a_build_lies_ahead(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that a player can be told what takes so long; where nothing will be built, no word."""
    kernels.choose(wkv7_native.LIBRARY)
    assert not kernels.must_build(wkv7_native.LIBRARY)
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kernels.must_build(wkv7_native.LIBRARY)
    fresh.setenv(kernels.VARIABLE, "torch")
    assert not kernels.must_build(wkv7_native.LIBRARY)
    fresh.delenv(kernels.VARIABLE)
    fresh.setenv("PATH", str(tmp_path))
    fresh.delenv("CXX", raising=False)
    assert not kernels.must_build(wkv7_native.LIBRARY)


def test_compiler_that_fails(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("CXX", compiler(tmp_path, "echo 'cannot find crti.o' >&2; exit 1"))
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh.setenv(kernels.VARIABLE, "auto")
    falls_back("cannot find crti.o")


def test_compiler_that_makes_rubbish(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says that all went well; nothing is kept of it."""
    fresh.setenv("CXX", compiler(tmp_path, 'for x; do out="$x"; done; echo rubbish > "$out"'))
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh.setenv(kernels.VARIABLE, "auto")
    falls_back("file too short")
    assert list(kernels.cache_folder().iterdir()) == []


@pytest.mark.usefixtures("native")
def test_cache_that_cannot_be_written(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "adventure-rwkv").write_text("a file where the folder should be")
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh.setenv(kernels.VARIABLE, "auto")
    falls_back("adventure-rwkv")


def test_unknown_choice_is_a_user_error(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(UserError, match="ADVENTURE_KERNEL is 'cuda'; set it to one of auto"):
        about()


@pytest.mark.usefixtures("native")
def test_damaged_library_is_built_anew_by_all_at_once(
    fresh: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four builders find rubbish in the cache; each ends with a library that works."""
    good = Path(about().split()[-1])
    script = f'for x; do out="$x"; done; sleep 0.1; cp {good} "$out"'
    fresh.setenv("CXX", compiler(tmp_path, script))
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = wkv7_native.LIBRARY
    stem = kernels._stem(library, library.source(), kernels._compiler(), library.flags()[0])
    path = kernels.cache_folder() / f"{stem}.{good.name.split('.')[1]}.so"
    path.parent.mkdir(parents=True)
    path.write_bytes(good.read_bytes()[:1000])
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: kernels._native(library), range(4)))
    assert all(kernel.library is not None for kernel in made)
    assert path.read_bytes() == good.read_bytes()
    assert list(path.parent.iterdir()) == [path]
    assert "from the cache" in kernels._native(library).why


@pytest.mark.usefixtures("native")
def test_another_head_size_takes_plain_torch() -> None:
    inputs = realistic((1, 20, 1, 24), dtype=torch.float64)
    y, _ = wkv.wkv7(*inputs)
    assert y.dtype == torch.float64
    assert relative(y, wkv7_sequential(*inputs)[0]) < 1e-12


@pytest.mark.usefixtures("native")
def test_half_precision_is_computed_in_float32_on_the_cpu() -> None:
    inputs = [x.bfloat16() for x in realistic((1, 20, 1, 64))]
    inputs[6] = inputs[6].float()
    y, state = wkv.wkv7(*inputs)
    wanted, wanted_state = wkv7_sequential(*(x.double() for x in inputs))
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    assert relative(y, wanted) < 2e-3 and relative(state, wanted_state) < 1e-6


@pytest.mark.usefixtures("native")
def test_bench_measures_every_form(
    fresh: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, small in {"T": 64, "STEP_B": 2, "STEP_T": 32, "STEP_NETWORK": (1, 64, 128)}.items():
        fresh.setattr(kernels_bench, name, small)
    rows = kernels_bench.bench(rounds=2)
    forms = {name: [row["form"] for row in rows if row["kernel"] == name] for name in KERNELS}
    assert list(forms.values()) == [
        ["sequential", "chunked", "native"],
        ["sequential", "prefix", "native"],
        *[["torch", "native"]] * 3,
    ]
    assert rows[0]["ratio"] == rows[3]["ratio"] == rows[6]["ratio"] == 1.0
    assert float(rows[2]["ratio"]) > 3  # 40 or more where nothing else runs
    assert float(rows[5]["ratio"]) > 3
    out = capsys.readouterr().out
    assert "WKV-7, B4 T64 D256, 1 thread(s); native" in out
    assert "training steps, 1 layers of 64, V128, B2 T32, 1 thread(s)" in out
    assert kernels.VARIABLE in os.environ  # as the test set it


def test_sequential_forms_are_the_recurrences() -> None:
    """Those that the others are measured against, beside plain torch, in float64."""
    inputs = kernels_bench.realistic4((2, 9, 3), dtype=torch.float64)
    y, (num, den, exp) = kernels_bench.wkv4_sequential(*inputs[:4], tuple(inputs[4:]))
    wanted, (num2, den2, exp2) = wkv4_torch(*inputs[:4], tuple(inputs[4:]))
    assert relative(y, wanted) < 1e-12
    assert relative(torch.ldexp(num, exp - exp2), num2) < 1e-12
    assert relative(torch.ldexp(den, exp - exp2), den2) < 1e-12
