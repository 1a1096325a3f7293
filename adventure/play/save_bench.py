"""What a save costs as a game grows (`adventure bench saves`): bytes, writing it, restoring it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adventure.play.readings import Records
from adventure.play.saves import Saves
from adventure.play.session import Session

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster
    from adventure.play.header import Identity

MARKS = (10, 100, 300, 1000, 3000, 10_000)
Row = dict[str, int | float]
Player = Callable[[Records], str]
"""Records -> a canonical command that doesn't end the game."""


def bench(master: GameMaster, identity: Identity, turns: int, player: Player) -> list[Row]:
    """Play so many turns and save at MARKS; prints and returns a row a save: its turn, bytes, how
    often as many as in the first, milliseconds to write it and to restore it in another session."""
    opening, rows = master.opening(), list[Row]()
    game, other = (Session(master.world, master, opening) for _ in range(2))
    print(
        f"{'turn':>7} {'bytes':>9} {'of the first':>13} {'ms to write':>12} {'ms to restore':>14}"
    )
    with tempfile.TemporaryDirectory() as folder:
        saves = Saves(Path(folder), identity)
        for mark in [mark for mark in MARKS if mark <= turns] or [turns]:
            while game.turns < mark:
                line = player(game.position.records)
                for _ in game.play(line.replace("|", " ")):  # what has two nouns isn't understood
                    pass
            began = time.perf_counter()
            size = saves.save("game", game).stat().st_size
            written = time.perf_counter()
            other.resume(saves.load("game", other))
            read = time.perf_counter()
            first = rows[0]["bytes"] if rows else size
            rows.append(
                {"turn": game.turns, "bytes": size, "of_first": size / first}
                | {"ms_write": 1000 * (written - began), "ms_restore": 1000 * (read - written)}
            )
            print("{:7d} {:9,d} {:13.3f} {:12.0f} {:14.0f}".format(*rows[-1].values()), flush=True)
    return rows
