"""The parts of `adventure bench gpu`, each of which may run in a process of its own.

Inside a part, what fails is one line and the rest goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine import gpu
from engine.bench.gpu import checks as gpu_checks
from engine.bench.gpu import kernels as gpu_kernels
from engine.bench.gpu import modes as gpu_modes
from engine.bench.gpu import network as gpu_network
from engine.bench.gpu import programs as gpu_programs
from engine.bench.gpu import training as gpu_training
from engine.bench.gpu.host import Ceilings, Host, matmul_precision
from engine.bench.gpu.network_peers import NetworkPeer, network_peers
from engine.bench.gpu.peers import Peer, compiled7, fla7, peers4
from engine.bench.gpu.plan import PARTS, Log, Plan, Say, gpu_host, write_report
from engine.bench.gpu.step import check_step
from engine.rwkv.network import Mode
from engine.verify import Check
from engine.wkv import HALF


@dataclass(frozen=True)
class Bench:
    """A device with the sizes of everything that is done on it; tests make it small."""

    host: Host
    plan: Plan
    checks: gpu_checks.Sizes = gpu_checks.WHOLE
    texts: gpu_modes.Texts = gpu_modes.WHOLE
    speeds: gpu_network.Speeds = gpu_network.WHOLE
    shapes7: tuple[tuple[int, int, int, int], ...] = (
        (8, 4096, 12, 64),
        (1, 4096, 12, 64),
        (32, 512, 12, 64),
        (8, 4096, 6, 128),
    )
    shapes4: tuple[tuple[int, int, int], ...] = ((8, 4096, 768), (32, 1024, 768), (1, 4096, 768))
    kinds: tuple[torch.dtype, ...] = (torch.bfloat16, torch.float32)
    modes: tuple[Mode, ...] = gpu_modes.MODES
    backend: str = "inductor"
    small: bool = False
    rounds: int = 20

    @classmethod
    def of(cls, host: Host, plan: Plan) -> Bench:
        """All of it, or the quick form."""
        if not plan.quick:
            return cls(host, plan)
        return cls(
            host,
            plan,
            checks=gpu_checks.QUICK,
            texts=gpu_modes.QUICK,
            speeds=gpu_network.QUICK,
            shapes7=((8, 4096, 12, 64),),
            shapes4=((8, 4096, 768),),
            backend="aot_eager",
        )


def run_part(part: str, bench: Bench, log: Log) -> None:
    """Do one part; never raises for what goes wrong in it."""
    try:
        _WORK[part](bench, log)
    except Exception as error:
        log.broken(part, error)


def _check_wkv7(bench: Bench, log: Log) -> None:
    _all(log, gpu_checks.wkv7_checks(bench.host.device, bench.checks, bench.plan.seed))


def _check_wkv4(bench: Bench, log: Log) -> None:
    _all(log, gpu_checks.wkv4_checks(bench.host.device, bench.checks, bench.plan.seed))


def _all(log: Log, checks: gpu_checks.Checks) -> None:
    for what, run in checks.items():
        log.all_of(what, run)


def _check_step(bench: Bench, log: Log) -> None:
    def checks() -> Iterator[Check]:
        for what, error, allowed in check_step(bench.host.device):
            yield Check(what, error, allowed)

    log.all_of("the fused step", checks)


def _check_modes(bench: Bench, log: Log) -> None:
    device, plan = bench.host.device, bench.plan
    _all(log, gpu_modes.mode_checks(device, bench.texts, plan.seed, plan.master))


def _check_operators(bench: Bench, log: Log) -> None:
    device, seed = bench.host.device, bench.plan.seed
    _all(log, gpu_modes.operator_checks(device, seed, bench.backend))


def _ceilings(bench: Bench, log: Log) -> Ceilings:
    found = bench.host.ceilings(bench.small)
    text = f"copy {found.bytes / 1e12:.2f} TB/s; products "
    rates = {name: getattr(found, name) / 1e12 for name in ("float32", "tf32", "bfloat16")}
    text += ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items()) + " TFLOP/s"
    log.row({"ceilings": asdict(found)}, text)
    return found


def _time_wkv7(bench: Bench, log: Log) -> None:
    jobs = [(gpu_kernels.job7, shape) for shape in bench.shapes7]
    _time(bench, log, jobs, compiled7(bench.plan.peer_sources))


def _time_wkv7_fla(bench: Bench, log: Log) -> None:
    """Alone, since its kernels take long until they are chosen."""
    jobs = [(gpu_kernels.job7, shape) for shape in bench.shapes7]
    half = tuple(kind for kind in bench.kinds if kind in HALF)
    _time(dataclasses.replace(bench, kinds=half), log, jobs, fla7())


def _time_wkv4(bench: Bench, log: Log) -> None:
    jobs = [(gpu_kernels.job4, shape) for shape in bench.shapes4]
    _time(bench, log, jobs, peers4(bench.plan.peer_sources))


def _time(
    bench: Bench, log: Log, jobs: Sequence[tuple[Callable[..., Any], Any]], peers: Sequence[Peer]
) -> None:
    ceilings = _ceilings(bench, log)
    log.say(gpu_kernels.head())
    for make, shape in jobs:
        for kind in bench.kinds:
            try:
                job = make(bench.host, ceilings, shape, kind)
                for row in gpu_kernels.time_job(bench.host, job, peers, bench.rounds):
                    log.row(row, gpu_kernels.line(row))
            except Exception as error:
                log.broken(f"{shape} {kind}", error)


def _time_network(bench: Bench, log: Log, peers: Sequence[NetworkPeer] | None = None) -> None:
    ceilings = _ceilings(bench, log)
    others = list(network_peers()) if peers is None else peers
    rows = gpu_network.time_networks(
        bench.host, ceilings, bench.speeds, bench.modes, others, bench.plan.master
    )
    for row in rows:
        log.row(row, gpu_network.line(row, bench.speeds))


def _time_training(bench: Bench, log: Log, peers: Sequence[NetworkPeer] | None = None) -> None:
    others = list(network_peers()) if peers is None else peers
    for row in gpu_training.time_training(bench.host, bench.speeds, others):
        log.row(row, gpu_network.line(row, bench.speeds))


_WORK: dict[str, Callable[[Bench, Log], None]] = {
    "wkv7": _check_wkv7,
    "wkv4": _check_wkv4,
    "step": _check_step,
    "modes": _check_modes,
    "operators": _check_operators,
    "times7": _time_wkv7,
    "times4": _time_wkv4,
    "times7fla": _time_wkv7_fla,
    "network": _time_network,
    "train": _time_training,
}


def build(host: Host, log: Log, wanted: Sequence[gpu.Program] | None = None) -> None:
    """Build every program, several at once, and load it; the parts then find them built."""
    began = time.perf_counter()
    arch = f"sm_{str(host.facts().get('capability', '9.0')).replace('.', '')}"
    for built in gpu_programs.build(arch, wanted):
        try:
            if built.problem:
                raise RuntimeError(built.problem)
            gpu.module(built.program, host.device)
        except Exception as error:
            log.broken(str(built.program), error)
        else:
            row = {"program": str(built.program), "seconds": built.seconds}
            log.rows.append(row | {"kernels": built.kernels})
            if any(stack for _, stack, _ in built.kernels.values()):
                log.say(gpu_programs.line(built))
    log.say(
        f"{len(log.rows) - log.failed} built and loaded, {log.failed} not, "
        f"in {time.perf_counter() - began:.1f} s; those with a stack are above"
    )


TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
BARE = "PYTORCH_NO_CUDA_MEMORY_CACHING=1"
SANITIZE = "python3 -m adventure bench gpu --sanitize-run"


def sanitizer_commands() -> str:
    """How to run `sanitize_run` under each tool; it makes kernels many times slower.

    Without torch's own pool of memory, since a read beyond a tensor would mostly still be in it.
    """
    return "\n".join(f"{BARE} compute-sanitizer --tool {tool} {SANITIZE}" for tool in TOOLS)


def sanitize_run(
    host: Host | None = None, say: Say = print, sizes: gpu_checks.Sizes = gpu_checks.SMALLEST
) -> int:
    """Launch every kernel a few times on small shapes; the number of checks that failed.

    Raises UserError where there is no GPU.
    """
    device = (host or gpu_host()).device
    log = Log(say)
    kinds = list(dict.fromkeys(kind for kind, _ in sizes.kinds))
    _all(log, gpu_checks.wkv7_checks(device, sizes, 0) | gpu_checks.wkv4_checks(device, sizes, 0))
    log.all_of("the step", lambda: gpu_modes.check_few_steps(device, sizes.head_sizes, kinds))
    return log.failed


# -- as a program ----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """One part of `bench`, in this process; rows are written after each line that prints."""
    parser = argparse.ArgumentParser(prog="engine.bench.gpu.parts")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    for option in ("--report", "--peer-sources", "--master"):
        parser.add_argument(option, type=Path)
    args = parser.parse_args(arguments)
    plan = Plan((), args.quick, 0, args.seed, args.report, args.peer_sources, args.master)
    log = Log(lambda line: print(line, flush=True))
    log.say = _saving(log, plan)
    with warnings.catch_warnings(), matmul_precision("highest"):
        warnings.simplefilter("ignore")  # of other programs: they would hide the table
        run_part(args.part, Bench.of(gpu_host(), plan), log)
    write_report(plan.report, {"rows": log.rows, "failed": log.failed})
    return 0


def _saving(log: Log, plan: Plan) -> Say:
    """Prints, and writes what there is so far: a part that is stopped loses nothing."""

    def say(line: str) -> None:
        print(line, flush=True)
        write_report(plan.report, {"rows": log.rows, "failed": log.failed})

    return say


if __name__ == "__main__":
    sys.exit(main())
