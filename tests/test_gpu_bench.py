"""The script for GPUs, run without one: kernels in the emulator, sizes tiny, the clock a fake."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from emulated import emulate_gpu
from torch import Tensor

from adventure.cli import main as adventure
from engine import cubin, gpu, wkv, wkv4_cuda
from engine.bench.gpu import checks as gpu_checks
from engine.bench.gpu import kernels as gpu_kernels
from engine.bench.gpu import modes as gpu_modes
from engine.bench.gpu import network as gpu_network
from engine.bench.gpu import network_peers as gpu_network_peers
from engine.bench.gpu import parts as gpu_parts
from engine.bench.gpu import peers as gpu_peers
from engine.bench.gpu import plan as gpu_plan
from engine.bench.gpu import programs as gpu_programs
from engine.bench.gpu import run as script
from engine.bench.gpu.host import (
    Ceilings,
    CudaHost,
    Host,
    Work,
    launching,
    matmul_precision,
    poisoned,
    rotated,
)
from engine.bench.gpu.parts import Bench
from engine.bench.gpu.plan import Log, Plan
from engine.cubin import CubinError
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.config import Config
from engine.rwkv.wkv4 import empty_state, wkv4
from engine.verify import Check

F32, BF16 = torch.float32, torch.bfloat16
CPU = torch.device("cpu")
SIZES = gpu_checks.Sizes(
    lengths=(17,),
    head_sizes=(32,),
    channels=(33,),
    batch=1,
    heads=2,
    long=40,
    slices=17,
    cuts=(5,),
    cut_length=19,
    least=0,
    kinds=((F32, F32), (BF16, F32)),
)
TEXTS = gpu_modes.Texts(read=9, written=6, width=64, head_size=32, vocab=64)
SPEEDS = gpu_network.Speeds(
    shape=(1, 64, 64, 32), batches=(1, 3), tokens=12, written=2, train=((1, 64, 64, 32, 1, 20),)
)


class Instant(Host):
    """Everything runs once, and is said to take a millisecond and 100 bytes."""

    def seconds(self, work: Sequence[Work], rounds: int = 20) -> float:
        for call in work:
            call()
        return 1e-3

    def peak(self, work: Work) -> int:
        work()
        return 100


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A GPU played by the processor, and the smallest sizes."""
    emulate_gpu(monkeypatch)
    monkeypatch.setattr(gpu, "why_not", lambda device: None)
    return Bench(
        Instant(),
        Plan(),
        checks=SIZES,
        texts=TEXTS,
        speeds=SPEEDS,
        shapes7=((1, 20, 1, 32),),
        shapes4=((1, 20, 40),),
        kinds=(F32,),
        backend="aot_eager",
        small=True,
        rounds=1,
    )


def by_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is not about kernels: their emulators take long to build."""
    monkeypatch.setattr(gpu, "why_not", lambda device: "for a trial")
    monkeypatch.setattr(gpu_kernels, "launching", contextlib.nullcontext)


def run(part: str, bench: Bench) -> tuple[Log, list[str]]:
    lines: list[str] = []
    log = Log(lines.append)
    gpu_parts.run_part(part, bench, log)
    return log, lines


# -- checks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "least"), [("wkv7", 4), ("wkv4", 5)])
def test_recurrences_are_checked_against_float64(bench: Bench, part: str, least: int) -> None:
    log, lines = run(part, bench)
    assert not log.failed, "\n".join(lines)
    assert len(log.rows) >= least and all(row["passed"] for row in log.rows)
    assert 0 < log.rows[0]["found"] < gpu_checks.EXACT


@pytest.mark.parametrize("part", ["wkv7", "wkv4"])
def test_what_is_a_little_wrong_fails(
    bench: Bench, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(wkv, part)

    def wrong(*inputs: Any) -> Any:
        y, state = real(*inputs)
        return y + 2e-5 * y.detach(), state

    monkeypatch.setattr(wkv, part, wrong)
    log, lines = run(part, bench)
    assert log.failed and "FAILED" in lines[0] and " (y, " in lines[0]


def test_what_is_not_written_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = wkv.wkv7

    def holes(*inputs: Any) -> Any:
        y, state = real(*inputs)
        new = torch.empty_like(y)
        new[:, 1:] = y[:, 1:]
        return new, state

    monkeypatch.setattr(wkv, "wkv7", holes)
    log, _ = run("wkv7", bench)
    assert log.failed and log.rows[0]["found"] is None


@pytest.mark.parametrize("part", ["wkv7", "wkv4", "modes", "times7", "times4"])
def test_plain_torch_does_not_pass_for_a_kernel(
    bench: Bench, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "why_not", lambda device: "for a trial")
    log, lines = run(part, bench)
    assert log.failed
    assert any("no CUDA kernel ran" in line or "for a trial" in line for line in lines), lines


def test_modes_training_and_a_state_file(bench: Bench) -> None:
    log, lines = run("modes", bench)
    assert not log.failed, "\n".join(lines)
    # Logits of each mode, texts of each, and a gradient.
    assert len(log.rows) == len(gpu_modes.GENERATIONS) * (3 + 3 + 1)


def test_another_text_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = gpu_modes.greedy

    def other(model: Any, start: Any, mode: Any, count: int) -> Any:
        said, margins = real(model, start, mode, count)
        return ([*said[:-1], said[-1] + 1] if mode == "cuda" else said), margins

    monkeypatch.setattr(gpu_modes, "greedy", other)
    monkeypatch.setattr(gpu_modes, "GENERATIONS", ("7",))
    log, lines = run("modes", bench)
    assert log.failed == 1 and log.rows[5]["found"] == 4  # states by the CPU and by three modes
    assert "mode cuda, any state (state by the CPU: from 5, the likeliest two" in lines[5]


def test_operators(bench: Bench) -> None:
    log, lines = run("operators", bench)
    assert not log.failed, "\n".join(lines)
    assert len(log.rows) == 6


def test_the_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_parts, "check_step", lambda device: [("a step", 1e-3, 1e-2)])
    log, lines = run("step", bench)
    assert lines == ["ok       1.0e-03 of 1.0e-02  a step"] and not log.failed


def test_what_breaks_is_one_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> Any:
        raise RuntimeError("an illegal address\nwas met")

    monkeypatch.setattr(gpu_parts, "check_step", broken)
    log, lines = run("step", bench)
    assert lines == ["FAILED  the fused step: RuntimeError: an illegal address was met"]
    assert log.failed == 1


def test_for_the_sanitizer(bench: Bench) -> None:
    lines: list[str] = []
    smallest = dataclasses.replace(gpu_checks.SMALLEST, head_sizes=(32,), kinds=((F32, F32),))
    assert gpu_parts.sanitize_run(bench.host, lines.append, smallest) == 0, "\n".join(lines)
    assert any(line.startswith("ok") and "steps" in line for line in lines)
    assert "racecheck" in gpu_parts.sanitizer_commands()


# -- times -----------------------------------------------------------------------------------------


def peer7(name: str, change: float = 1.0, **more: Any) -> gpu_peers.Peer:
    def load(longest: int) -> Callable[..., Tensor]:
        if not change:
            raise OSError("it isn't here")

        def run(r: Tensor, raw: Tensor, *rest: Tensor) -> Tensor:
            B, _, H, N = r.shape
            form: Any = wkv7_chunked
            return change * form(r, -torch.exp(raw), *rest, torch.zeros(B, H, N, N))[0]

        return run

    return gpu_peers.Peer(name, load, (F32,), gpu_peers._raw_exp, gpu_peers._log_exp, **more)


def test_times_of_wkv7_and_peers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [
        peer7("good"),
        peer7("wrong", 1.1),
        peer7("gone", 0.0),
        peer7("wide", head_size=64),
        peer7("in eights", multiple=8),
    ]
    monkeypatch.setattr(gpu_parts, "compiled7", lambda sources: peers)
    log, lines = run("times7", bench)
    rows = {row["name"]: row for row in log.rows if "name" in row}
    assert not log.failed, "\n".join(lines)
    assert set(rows) == {"ours", "plain torch", *(peer.name for peer in peers)}
    for name in ("ours", "plain torch", "good"):
        assert rows[name]["both"] == 1e-3 and rows[name]["peak"] == 100
        assert rows[name]["ratio"] == 1.0 and rows[name]["bound_both"] > 0
    assert "disagrees" in rows["wrong"]["absent"]
    assert rows["gone"]["absent"] == "OSError: it isn't here"
    assert rows["wide"]["absent"] == "has head size 64 only"
    assert rows["in eights"]["absent"] == "wants T as a multiple of 8"


def test_times_of_wkv4_and_peers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(longest: int) -> Callable[..., Tensor]:
        def run(k: Tensor, v: Tensor, raw: Tensor, u: Tensor) -> Tensor:
            return wkv4(k, v, -torch.exp(raw.double()), u, empty_state(len(k), k.shape[2]))[0]

        return run

    peer = gpu_peers.Peer("good", load, (F32,), gpu_peers._raw_exp, gpu_peers._log_exp)
    monkeypatch.setattr(gpu_parts, "peers4", lambda sources: [peer])
    log, lines = run("times4", bench)
    rows = {row["name"]: row for row in log.rows if "name" in row}
    assert not log.failed and rows["good"]["ratio"] == 1.0, "\n".join(lines)


def test_half_precision_is_timed_with_both_decays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_plain_torch(monkeypatch)
    job = gpu_kernels.job7(bench.host, bench.host.ceilings(True), (1, 17, 1, 32), BF16)
    rows = list(gpu_kernels.time_job(bench.host, job, [], 1))
    assert [row["name"] for row in rows] == ["ours", "ours, float32 decay"]


def test_bounds_count_each_tensor_once() -> None:
    ceilings = Ceilings(1e12, 1e15, 1e15, 1e15)
    forward, both = gpu_kernels.bound7(ceilings, (8, 4096, 12, 64), BF16)
    tensor = 8 * 4096 * 12 * 64 * 2
    states = 2 * 8 * 12 * 64 * 64 * 4
    assert forward == pytest.approx(1e-12 * (7 * tensor + states))
    assert both == pytest.approx(1e-12 * (20 * tensor + 2 * states))


def test_networks_are_timed_in_every_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_network, "KINDS", (F32,))
    log, lines = run("network", dataclasses.replace(bench, plan=Plan(master=None)))
    rows = [row for row in log.rows if row.get("name", "").startswith("mode")]
    assert {row["name"] for row in rows} == {
        "mode gpt", "mode gpt, plain torch", "mode rnn", "mode cuda", "mode cuda, no graph"
    }  # fmt: skip
    assert not any("absent" in row for row in rows), "\n".join(lines)
    assert len(rows) == 2 * 5 and all(row["read_s"] == 1e-3 for row in rows)


class OtherProgram:
    """Plays a peer: it reads what is written for it."""

    def __init__(self, path: Path, kind: torch.dtype) -> None:
        assert (path / "config.json").is_file()
        self.model = torch.nn.Linear(4, 4)

    def reads(self, tokens: Tensor) -> Tensor:
        return torch.zeros(len(tokens), 64)

    def steps(self, tokens: Tensor) -> Tensor:
        return torch.zeros(len(tokens), 64)

    def loss(self, tokens: Tensor) -> Tensor:
        return self.model(torch.ones(4)).sum()


def test_peers_of_networks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    by_plain_torch(monkeypatch)
    peer = gpu_network_peers.NetworkPeer("other", "huggingface", OtherProgram, (1,), trains=True)
    speeds = gpu_network.Speeds((1, 64, 64, 64), (1, 2), 12, 2, 1, ((1, 64, 64, 64, 1, 20),))
    config = Config(1, 64, 64)
    model = gpu_network.random_on(bench.host, config, F32)
    rows = list(gpu_network._all_peers(bench.host, speeds, [peer], model, F32, "x"))
    assert [(row["B"], row["differs"]) for row in rows] == [(1, 1.0)]
    log = Log(lambda line: None)
    gpu_parts._time_training(dataclasses.replace(bench, speeds=speeds), log, [peer])
    rows = {row["name"]: row for row in log.rows if "7" in row["what"].split()[0]}
    assert set(rows) >= {"ours, float32", "ours, bfloat16", "plain torch, float32"}
    assert all("step_s" in row for row in rows.values()), rows


# -- the host --------------------------------------------------------------------------------------


def test_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    monkeypatch.setattr(host, "_times", lambda work: [3.0, 1.0, 2.0])
    assert host.seconds([lambda: None]) == 2.0


def test_a_gpu_is_timed_by_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.at = next(clock)

        def elapsed_time(self, end: Event) -> float:
            return 1000.0 * (end.at - self.at)

    about = SimpleNamespace(
        name="a GPU", major=9, minor=0, multi_processor_count=132, total_memory=80 * 10**9
    )
    memory = iter([100, 50])
    for name, fake in {
        "Event": Event,
        "get_device_properties": lambda device: about,
        "synchronize": lambda device: None,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda device: None,
        "memory_allocated": lambda device: 10,
        "max_memory_allocated": lambda device: next(memory),
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    host = CudaHost(torch.device("cuda", 0))
    assert host.seconds([lambda: None], 5) == 1.0
    assert host.peak(lambda: None) == 90
    facts = host.facts()
    assert facts["capability"] == "9.0" and json.dumps(facts)


def test_inputs_rotate_where_a_cache_would_hold_them() -> None:
    host = Host()
    host.cache = 1000
    assert len(rotated(lambda seed: [torch.ones(100) * seed], host)) == 5
    assert len(rotated(lambda seed: [torch.ones(1000)], host)) == 1


def test_new_tensors_are_poisoned_for_a_while() -> None:
    with poisoned():
        assert torch.empty(4, dtype=BF16).isnan().all() and torch.ones(3).new_empty(3).isnan().all()
    assert not torch.are_deterministic_algorithms_enabled()


def test_precision_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    with matmul_precision("high"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


def test_launches_are_noted_and_gpu_module_put_back(bench: Bench) -> None:
    before = gpu.module
    with pytest.raises(RuntimeError, match="no CUDA kernel ran for nothing"), launching("nothing"):
        pass
    assert gpu.module is before


# -- the peers' wrapping ---------------------------------------------------------------------------


class Played:
    """RWKV-LM's host functions as their signatures stand in its files, computed by plain torch."""

    def __init__(self, decay_first: bool, log: Callable[[Tensor], Tensor]) -> None:
        self.decay_first, self.log = decay_first, log

    def forward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
        *given, y, _, _ = tensors
        y.copy_(self._y(*given))

    def backward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
        given, dy, grads = tensors[:6], tensors[6], tensors[9:]
        leaves = [x.clone().requires_grad_() for x in given]
        with torch.enable_grad():
            found = torch.autograd.grad(self._y(*leaves), leaves, dy)
        for target, grad in zip(grads, found, strict=True):
            target.copy_(grad)

    def _y(self, *given: Tensor) -> Tensor:
        r, raw = (given[1], given[0]) if self.decay_first else given[:2]
        B, _, H, N = r.shape
        form: Any = wkv7_chunked
        return form(r, self.log(raw), *given[2:], torch.zeros(B, H, N, N))[0]


@pytest.mark.parametrize("name", ["RWKV-LM wkv7", "RWKV-LM clampw"])
def test_decays_and_gradients_of_a_peer_come_in_their_order(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = next(peer for peer in gpu_peers.compiled7(None) if peer.name == name)
    played = Played("wkv7" in name, peer.log)
    monkeypatch.setattr(gpu_peers, "_build", lambda sources, file: played)
    wide = dataclasses.replace(peer, kinds=(F32,), head_size=0)
    job = gpu_kernels.job7(bench.host, bench.host.ceilings(True), (1, 32, 1, 32), F32)
    rows = list(gpu_kernels.time_job(bench.host, job, [wide], 1))
    assert "absent" not in rows[-1], rows[-1]


def test_wkv4_of_a_peer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Played4:
        def forward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
            w, u, k, v, y = tensors
            y.copy_(wkv4(k, v, w.double(), u, empty_state(len(k), k.shape[2]))[0])

        def backward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
            w, u, k, v, dy, dw, du, dk, dv = tensors
            for b in range(len(k)):  # they leave the sum over the batch to the caller
                leaves = [x.clone().requires_grad_() for x in (w, u, k[b : b + 1], v[b : b + 1])]
                with torch.enable_grad():
                    state = empty_state(1, k.shape[2])
                    y = wkv4(leaves[2], leaves[3], leaves[0].double(), leaves[1], state)[0]
                grads = torch.autograd.grad(y, leaves, dy[b : b + 1])
                dw[b], du[b], dk[b], dv[b] = grads[0] * w, grads[1], grads[2][0], grads[3][0]

    monkeypatch.setattr(gpu_peers, "_build", lambda sources, file, *more: Played4())
    peer = next(peer for peer in gpu_peers.peers4(None) if peer.name == "RWKV-LM wkv")
    job = gpu_kernels.job4(bench.host, bench.host.ceilings(True), (2, 20, 40), F32)
    rows = list(gpu_kernels.time_job(bench.host, job, [peer], 1))
    assert "absent" not in rows[-1], rows[-1]


def test_peers_say_why_they_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(gpu_peers.PeerError, match="--peer-sources"):
        gpu_peers.compile_peer(None, "wkv_cuda.cu", (), "sm_90")
    with pytest.raises(gpu_peers.PeerError, match=r"wkv_cuda\.cu is not in"):
        gpu_peers.compile_peer(tmp_path, "wkv_cuda.cu", (), "sm_90")


@pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not installed")
def test_a_peer_is_compiled_as_its_signature_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "void cuda_forward(int B, int T, int C, float* a, double* b) {{ b[0] = B + T + C{}; }}"
    backward = "\nvoid cuda_backward(int B, int T, int C, float* a) { a[0] = C; }"
    monkeypatch.setattr(gpu_peers.tempfile, "gettempdir", lambda: str(tmp_path / ".."))
    (tmp_path / "a.cu").write_text(source.format("") + backward)
    library = gpu_peers.Compiled(
        ctypes.CDLL(str(gpu_peers.compile_peer(tmp_path, "a.cu", (), "sm_80")))
    )
    numbers = torch.zeros(1, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="CUDA error"):  # from the last launch: no GPU is here
        library.forward((2, 3, 5), torch.zeros(1), numbers)
    assert numbers.item() == 10
    (tmp_path / "a.cu").write_text(source.format(" + nonsense") + backward)
    with pytest.raises(gpu_peers.PeerError, match="nonsense"):
        gpu_peers.compile_peer(tmp_path, "a.cu", (), "sm_80")


# -- the whole -------------------------------------------------------------------------------------

STUB = """
import argparse, json, os, subprocess, sys, time
parser = argparse.ArgumentParser()
for option in ("part", "seed", "report", "peer-sources", "master"):
    parser.add_argument("--" + option)
parser.add_argument("--quick", action="store_true")
args = parser.parse_args()
print("this is", args.part, flush=True)
with open(args.report, "w") as file:
    json.dump({"rows": [{"what": args.part}], "failed": int(args.part == "wkv4")}, file)
if args.part == "modes":
    os.abort()
if args.part == "times7":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)
"""


@pytest.fixture
def stubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU is the processor, and every part a stub in a process of its own."""
    (tmp_path / "a_stub.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(script, "MODULE", "a_stub")
    monkeypatch.setattr(script, "gpu_host", Host)
    monkeypatch.setattr(script, "build", lambda host, log, wanted: log.say("built"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def test_a_part_that_crashes_or_hangs_takes_nothing_with_it(
    stubbed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "LIMITS", {"times7": 0.5})
    monkeypatch.setattr(script, "LEAST_SECONDS", 0.1)
    lines: list[str] = []
    began = time.monotonic()
    report = script.bench(Plan(report=tmp_path / "report.json"), lines.append)
    assert time.monotonic() - began < 40
    parts = report["parts"]
    assert list(parts) == ["build", *gpu_plan.PARTS]
    assert parts["modes"]["ended"] == -6, "\n".join(lines)
    assert parts["modes"]["rows"] == [{"what": "modes"}]
    assert parts["times7"]["ended"].startswith("stopped after")
    assert parts["train"]["rows"] == [{"what": "train"}]
    assert report["failed"] == 3 and "1 in wkv4, 1 in modes, 1 in times7." in lines[-2]
    assert json.loads((tmp_path / "report.json").read_text())["failed"] == 3


def test_only_what_is_asked_for(stubbed: None) -> None:
    report = script.bench(Plan(only=("step", "network")), lambda line: None)
    assert list(report["parts"]) == ["build", "step", "network"] and not report["failed"]


def test_no_time_left(stubbed: None) -> None:
    report = script.bench(Plan(only=("train",), minutes=0), lambda line: None)
    assert report["parts"]["train"]["ended"] == "no time left" and report["failed"] == 1


def test_a_part_as_a_program(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gpu_parts, "gpu_host", Host)
    monkeypatch.setattr(gpu_parts, "check_step", lambda device: [("a step", 0.0, 1.0)])
    file = tmp_path / "rows.json"
    assert gpu_parts.main(["--part", "step", "--seed", "3", "--report", str(file)]) == 0
    assert json.loads(file.read_text())["rows"][0]["what"] == "a step"
    assert "a step" in capsys.readouterr().out


def test_programs_are_built_and_loaded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad, refused = (gpu.Program(name, ("a.cu",)) for name in ("good", "bad", "refused"))

    def binary(program: gpu.Program, compiler: object, arch: str) -> bytes:
        assert arch == "sm_90"
        if program is bad:
            raise CubinError("a.cu(3): error: a fault")
        return b"an image"

    def module(program: gpu.Program, device: torch.device) -> None:
        if program is refused:
            raise gpu.KernelError("The driver refuses it.")

    monkeypatch.setattr(gpu_programs.cubin, "compilers", lambda: iter(["nvcc"]))
    monkeypatch.setattr(gpu_programs.cubin, "binary", binary)
    monkeypatch.setattr(gpu, "module", module)
    lines: list[str] = []
    log = Log(lines.append)
    gpu_parts.build(bench.host, log, [good, bad, refused])
    assert [row.get("program") or row["what"] for row in log.rows] == ["good", "bad", "refused"]
    assert log.failed == 2 and "a fault" in lines[0] and "The driver refuses it." in lines[1]


def test_programs_are_those_of_all_kernels() -> None:
    found = gpu_programs.programs()
    assert {program.name for program in found} == {"wkv7", "wkv4", "rwkv7_step"}
    assert len(set(found)) == len(found) > 60


@pytest.mark.skipif(not shutil.which("cuobjdump"), reason="cuobjdump is not installed")
def test_what_kernels_take() -> None:
    compiler = next(cubin.compilers())
    found = gpu_programs.usage(cubin.binary(wkv4_cuda.program(F32), compiler, "sm_80"))
    assert found["wkv4_forward"][0] > 16


def test_without_a_gpu_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_plan, "no_gpu", lambda: "for a trial")
    for more in ([], ["--sanitize-run"], ["--quick", "--json"]):
        assert adventure(["bench", "gpu", *more]) == 2
        said = capsys.readouterr()
        assert said.err == "adventure: There is no GPU to measure on (for a trial).\n"
        assert not said.out


def test_an_unknown_part_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert adventure(["bench", "gpu", "--only", "everything"]) == 2
    assert 'no part "everything"' in capsys.readouterr().err


def test_from_the_command_line(stubbed: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert adventure(["bench", "gpu", "--only", "step"]) == 0
    assert "this is step" in capsys.readouterr().out
    assert adventure(["bench", "gpu", "--only", "wkv4", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["gpu"]["failed"] == 1


def test_log_writes_no_nan_into_json() -> None:
    log = Log(lambda line: None)
    log.check(Check("x", math.nan, 1.0))
    assert log.failed == 1 and json.loads(json.dumps(log.rows, allow_nan=False))[0]["found"] is None
