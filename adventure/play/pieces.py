"""A turn as the game master decodes it -> pieces of a page. Knows no game and no screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from adventure.play import readings
from adventure.play.transcript import Cleaner, Said

if TYPE_CHECKING:
    from adventure.master.gamemaster import Turn
    from adventure.world.parts import World


def pieces_of(turn: Turn, world: World, whole: bool = True) -> Iterator[Said]:
    """A turn as it is decoded: hidden lines whole, the reply in bits.

    What the clocks make happen stands apart from what the command did; whole: it is told at all.
    """
    hidden, lines, cleaner, own, ended = "", list[str](), Cleaner(), -1, 0
    for piece in turn:
        text = cleaner.push(piece.text)
        if piece.kind == "record":
            *complete, hidden = (hidden + text).split("\n")
            lines += complete
            yield from (Said("record", line) for line in complete if line.strip())
            continue
        if hidden.strip():
            yield Said("record", hidden)
        if own < 0:
            own = readings.paragraphs(world, readings.before_clocks([*lines, hidden]))
        hidden = ""
        before, ended = ended, ended + text.count("\n")
        if own and before < own <= ended:
            said = text.split("\n")
            text = "\n".join(said[: own - before])
            text += "\n\n" + "\n".join(said[own - before :]) if whole else ""
        elif own and ended >= own and not whole:
            text = ""
        yield Said("text", text)
