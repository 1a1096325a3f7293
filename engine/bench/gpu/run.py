"""`adventure bench gpu`: builds, checks and times everything that runs on a GPU, in one command.

Every part is a process of its own with a time limit, so that one that crashes, hangs or poisons the
GPU's context takes nothing else with it; parts that only check run side by side, parts that measure
run alone. The report is written after each part.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from engine.bench.gpu.parts import build, sanitize_run, sanitizer_commands
from engine.bench.gpu.plan import GROUPS, Log, Plan, Report, Say, gpu_host, write_report
from engine.bench.gpu.programs import programs

__all__ = ["Plan", "bench", "sanitize_run"]

LIMITS = {"modes": 200, "operators": 200, "times7fla": 240, "network": 200, "train": 200}
USUAL_LIMIT = 120
"""Seconds after which a part is stopped. Triton tries many variants of a peer's kernels first."""
LEAST_SECONDS = 10.0
"""A part isn't begun with less time than that."""
TOGETHER = 4  # parts side by side
MODULE = "engine.bench.gpu.parts"


def _print(line: str) -> None:
    print(line, flush=True)


def bench(plan: Plan, say: Say = _print) -> Report:
    """Do what the plan says and return the report. Raises UserError where there is no GPU."""
    parts = plan.parts()
    host = gpu_host()
    deadline = time.monotonic() + 60 * plan.minutes
    report: Report = {"device": host.facts(), "seed": plan.seed, "parts": {}}
    say(", ".join(f"{name} {fact}" for name, fact in report["device"].items()))
    say(f"random inputs by seed {plan.seed}\n\nprograms")
    log = Log(say)
    build(host, log, programs((64,)) if plan.quick else None)  # others are built when needed
    report["parts"]["build"] = {"rows": log.rows, "failed": log.failed}
    write_report(plan.report, report)
    # Only this process has used the device so far, and it holds memory that nobody else needs.
    torch.cuda.empty_cache()
    checks = [part for part in parts if part in GROUPS["checks"]]
    with ThreadPoolExecutor(TOGETHER) as pool:
        for part, found in zip(
            checks, pool.map(lambda p: _in_process(p, plan, deadline), checks), strict=True
        ):
            _add(plan, report, part, found, say)
    for part in parts:
        if part not in checks:
            say(f"\n{part}")
            _add(plan, report, part, _in_process(part, plan, deadline, say), say)
    failed = {part: found["failed"] for part, found in report["parts"].items() if found["failed"]}
    report["failed"] = sum(failed.values())
    write_report(plan.report, report)
    listed = ", ".join(f"{number} in {part}" for part, number in failed.items())
    say(f"\n{report['failed']} failed: {listed}." if failed else "\nNothing failed.")
    say(f"Kernels under the sanitizer:\n{sanitizer_commands()}")
    return report


def _add(plan: Plan, report: Report, part: str, found: Report, say: Say) -> None:
    if text := found.pop("text", ""):
        say(f"\n{part}\n{text.rstrip()}")
    report["parts"][part] = found
    write_report(plan.report, report)


def _in_process(part: str, plan: Plan, deadline: float, say: Say | None = None) -> Report:
    """Do a part in a process of its own; its lines go to `say`, or come back as text."""
    left = min(LIMITS.get(part, USUAL_LIMIT), deadline - time.monotonic())
    if left < LEAST_SECONDS:
        (say or print)(f"FAILED  {part}: no time left")
        return {"rows": [], "failed": 1, "ended": "no time left"}
    began, lines = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rows.json"
        process = subprocess.Popen(
            _command(part, plan, target),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(together=say is None),
            start_new_session=True,
        )
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(_follow, process, say or lines.append)
            try:
                code: int | str = process.wait(left)
            except subprocess.TimeoutExpired:
                code = f"stopped after {left:.0f} s"
            finally:
                _end(process)
            reader.result()
        try:
            found: Report = json.loads(target.read_text())
        except (OSError, ValueError):
            found = {"rows": [], "failed": 0}
    if code:
        found["failed"] += 1
        found["ended"] = code
        (say or lines.append)(f"FAILED  {part} ended early: {code}")
    found["seconds"] = time.monotonic() - began
    return found | ({} if say else {"text": "\n".join(lines)})


def _end(process: subprocess.Popen[str]) -> None:
    """End it and whatever it has started: a compiler that goes on would hold its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _follow(process: subprocess.Popen[str], say: Say) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        say(line.rstrip("\n"))


def _command(part: str, plan: Plan, target: Path) -> list[str]:
    command = [sys.executable, "-m", MODULE, "--part", part, "--seed", str(plan.seed)]
    command += ["--report", str(target)] + (["--quick"] if plan.quick else [])
    for option, value in (("--peer-sources", plan.peer_sources), ("--master", plan.master)):
        command += [option, str(value)] if value is not None else []
    return command


def _environment(together: bool) -> dict[str, str]:
    """Of a part's process: it finds this package, and several share the processors."""
    found = os.environ | {"PYTHONUNBUFFERED": "1"}
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if together:
        found["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // TOGETHER))
    return found
