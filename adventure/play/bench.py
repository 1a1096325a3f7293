"""How quick play is (`adventure bench play`): the world's opening, a reply's first text, a save."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster

Row = dict[str, str | float]


def bench(master: GameMaster, lines: list[str]) -> list[Row]:
    """Play canonical `lines` once; prints and returns one row a measurement, in milliseconds but
    for the rate. The time to the first text is from the command to the first visible piece."""
    from safetensors.torch import save_file

    from adventure.master.gamemaster import GameMaster

    def timed(cache: Path | None) -> float:
        fresh = GameMaster(master.model, master.tokenizer, master.world, weights=master.weights)
        began = time.perf_counter()
        fresh.opening(cache_dir=cache)
        return 1000 * (time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        cold = timed(Path(folder))
        warm = timed(Path(folder))
    position = master.opening()
    first, whole, settle, tokens = list[float](), list[float](), list[float](), 0
    for line in lines:
        began, seen = time.perf_counter(), 0.0
        turn = master.turn(position, line)
        for piece in turn:
            if piece.kind == "text" and not seen:
                seen = time.perf_counter() - began
        whole.append(time.perf_counter() - began)
        first.append(1000 * seen)
        said = "".join(turn.records) + turn.reply
        tokens += len(master.tokenizer.encode(said))
        began = time.perf_counter()
        position = master.settle(turn.position)
        if position is not turn.position:
            settle.append(1000 * (time.perf_counter() - began))
        if position.over:
            break
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        file = Path(folder) / "position"
        save_file(master.position_to_file_parts(position)[0], file)
        save, size = 1000 * (time.perf_counter() - began), file.stat().st_size
    rows: list[Row] = [
        {
            "what": f"opening, read anew ({len(master.tokenizer.encode(master.prompt))} tokens)",
            "ms": cold,
        },
        {"what": "opening, from the cache", "ms": warm},
        {"what": f"first text of a reply, median of {len(first)}", "ms": statistics.median(first)},
        {"what": "first text of a reply, slowest", "ms": max(first)},
        {"what": "whole reply, median", "ms": 1000 * statistics.median(whole)},
        {
            "what": "end of a segment, median (after the reply)",
            "ms": statistics.median(settle or [0.0]),
        },
        {"what": f"one position written ({size:,} bytes)", "ms": save},
        {"what": "tokens a second while replying", "rate": tokens / sum(whole)},
    ]
    for row in rows:
        value = f"{row['ms']:10.1f} ms" if "ms" in row else f"{row['rate']:10.0f} /s"
        print(f"{row['what']:<48} {value}")
    return rows
