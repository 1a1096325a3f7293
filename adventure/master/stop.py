"""Whether a run is asked to end, so that it can save first. Knows signals, no run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stop:
    """signal: the SIGTERM or SIGINT that asked for an end, 0 for none; a second one ends the
    program as ever."""

    signal = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, signals are noted."""
        kinds = (signal.SIGTERM, signal.SIGINT)
        before = {kind: signal.getsignal(kind) for kind in kinds}

        def stop(kind: int, frame: FrameType | None) -> None:
            self.signal = kind
            signal.signal(kind, before[signal.Signals(kind)])

        for kind in kinds:
            signal.signal(kind, stop)
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
