"""What `adventure bench gpu` is to do, and what it says and writes of it; does none of it.

Glossary: a part is what runs in one process; a group is what --only names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine import gpu
from engine.bench.gpu.host import CudaHost, no_gpu
from engine.bench.gpu.kernels import one_line
from engine.errors import UserError
from engine.verify import Check

GROUPS = {
    "checks": ("wkv7", "wkv4", "step", "modes", "operators"),
    "kernels": ("times7", "times4", "times7fla"),
    "network": ("network",),
    "train": ("train",),
}
"""What --only takes -> its parts. The device and the programs are looked at whatever is asked."""
PARTS = tuple(part for parts in GROUPS.values() for part in parts)

Report = dict[str, Any]
Say = Callable[[str], None]


class NoGpuError(UserError):
    """There is nothing to measure on."""


@dataclass(frozen=True)
class Plan:
    """What is to be done, and with what.

    only: names of groups or of parts; empty for all. minutes: after which no part is begun or
    left running. seed: of the random inputs. master: a trained checkpoint.
    """

    only: tuple[str, ...] = ()
    quick: bool = False
    minutes: float = 9.0
    seed: int = 0
    report: Path | None = None
    peer_sources: Path | None = None
    master: Path | None = None

    def parts(self) -> list[str]:
        """The parts asked for, in order. Raises UserError for one that isn't."""
        for name in self.only:
            if name not in GROUPS and name not in PARTS:
                known = ", ".join(dict.fromkeys((*GROUPS, *PARTS)))
                raise UserError(f'There is no part "{name}" to run; give one of {known}.')
        wanted = {p for name in self.only or GROUPS for p in GROUPS.get(name, (name,))}
        return [part for part in PARTS if part in wanted]


def write_report(path: Path | None, report: Report) -> None:
    """Replace the file by the report so far, whole; nothing for None."""
    if path is not None:
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(json.dumps(report, indent=1))
        temporary.replace(path)


class Log:
    """Lines as they come, and the rows behind them for the report."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.rows: list[Report] = []
        self.failed = 0

    def check(self, check: Check) -> None:
        """A check as a line."""
        self.failed += not check.passed
        found = check.found if math.isfinite(check.found) else None
        self.rows.append(asdict(check) | {"found": found, "passed": check.passed})
        end = "ok" if check.passed else "FAILED"
        form = ".1e" if check.allowed else ".0f"  # what must not differ at all is counted
        self.say(f"{end:<7}{check.found:9{form}} of {check.allowed:7{form}}  {check.what}")

    def row(self, row: Report, text: str) -> None:
        """A row of a table."""
        self.rows.append(row)
        self.say(text)

    def all_of(self, what: str, checks: Callable[[], Iterator[Check]]) -> None:
        """Every check there is; what breaks on the way is a failure, and the end of these."""
        try:
            for check in checks():
                self.check(check)
        except Exception as error:  # the device's, the compiler's, ours: the rest goes on
            self.broken(what, error)

    def broken(self, what: str, error: BaseException) -> None:
        """Something that came to no result."""
        self.failed += 1
        self.rows.append({"what": what, "broken": one_line(error), "passed": False})
        self.say(f"FAILED  {what}: {one_line(error)}")


def gpu_host() -> CudaHost:
    """The GPU. Raises NoGpuError where there is none, or the kernels can't run on it."""
    if why := no_gpu():
        raise NoGpuError(f"There is no GPU to measure on ({why}).")
    device = torch.device("cuda", torch.cuda.current_device())
    if why := gpu.why_not(device):
        raise NoGpuError(f"There is a GPU that the kernels can't run on ({why}).")
    return CudaHost(device)
