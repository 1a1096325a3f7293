"""ALL and lists -> a command for each thing. Knows records and phrases; not how a game goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adventure.play import readings
from adventure.play.phrases import Several
from adventure.play.readings import Records
from adventure.world.grammar import Command, Rejection
from adventure.world.parts import World

_EMPTY = {
    "take": "There is nothing here to take.",
    "drop": "You have nothing to drop.",
    "put": "You have nothing to put there.",
    "give": "You have nothing to give away.",
    "wear": "You have nothing to put on.",
    "remove": "You are wearing nothing.",
}
_WHERE = {"put": "Where do you want to put them?", "give": "Who do you want to give them to?"}
_NOTHING_THERE = "You can't see anything there to take."
_TOO_DARK = "It is too dark to see what there is to take."

Parse = Callable[[str], Command | Rejection]


def each(many: Several, world: World, records: Records, parse: Parse) -> list[str] | Rejection:
    """What is to be done, as commands that name one thing; a rejection where that is nothing."""
    other = ""
    if many.lacks_other:
        return Rejection(_WHERE[many.verb], f"{many.head} {{}}")
    if many.other:
        found = parse(f"examine {many.other}")
        if isinstance(found, Rejection):
            return replace(found, pending=f"{many.head} {{}}" if found.among else "")
        other = found.noun
    tail = f" {many.link} {other}" if many.verb in ("put", "give") else ""
    if not many.everything:
        return [f"{many.verb} {noun}{tail}" for noun in many.nouns]
    if many.verb == "take" and readings.too_dark(world, records):
        return Rejection(_TOO_DARK)
    named = [parse(f"examine {noun}") for noun in many.nouns if noun]
    left_out = {other, *(command.noun for command in named if isinstance(command, Command))}
    names = [name for name in _pool(many, other, world, records) if name not in left_out]
    if not names:
        return Rejection(_NOTHING_THERE if many.verb == "take" and other else _EMPTY[many.verb])
    return [f"{many.verb} {name}{tail}" for name in names]


def _pool(many: Several, other: str, world: World, records: Records) -> list[str]:
    """What ALL is. What gives the player light stays in hand when the rest is put away."""
    match many.verb:
        case "take" if other:
            return [n for n in readings.inside(records, other) if readings.is_loose(records, n)]
        case "take":
            return readings.loose_here(world, records)
        case "put":
            carried = readings.carried(records)
            return [name for name in carried if not readings.is_lit(records, name)]
        case "wear":
            return [n for n in readings.carried(records) if "wearable" in records.get(n, ())]
        case "remove":
            return readings.worn(records)
        case _:
            return readings.carried(records)
