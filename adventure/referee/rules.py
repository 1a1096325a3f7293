"""The exact rules: (world, records, canonical command) -> what a perfect master would write.

Knows worlds and records, no network and no player's typing. The state of play is the records
themselves, so the referee can start from any set of them, the master's own included.

The hidden lines of a turn are a program and its run: records recalled and written, the author's
lines as they are followed, and a line for each thing that will be told. The reply is those told, in
order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adventure.referee.hidden import Choose
from adventure.referee.locks import close_it, open_it, turn_key
from adventure.referee.turn import Turn
from adventure.world.parts import NOWHERE, WORN, YOU, World
from adventure.world.prompt import Records, initial_records

BLIND = ("go", "drop", "inventory", "deeds", "wait", "on", "off", "talk", "ask", "tell", "listen")
"""What can be done in the dark."""


def first(kind: str, forms: int) -> int:
    """Always the first form."""
    return 0


@dataclass
class Outcome:
    """One turn: the new records, the hidden lines, the visible reply (raw, each line begins with a
    space), and a kind for statistics: the verb, and what was told."""

    records: Records
    lines: list[str]
    reply: str
    kind: str


def start(world: World) -> Records:
    """The records before the first turn."""
    return initial_records(world)


def frozen(records: Records) -> frozenset[tuple[str, tuple[str, ...]]]:
    """The records as something that a set or a dictionary can hold: equal states are equal."""
    return frozenset(records.items())


def play(world: World, records: Records, line: str, choose: Choose = first) -> Outcome:
    """Carry out one canonical command. choose: which form of a standing reply is told."""
    turn = Turn(world, records, line, choose)
    verb = RULES.get(turn.verb, _other)
    seen = turn.at()
    if line not in turn.tables.blocks or not turn.run(line):
        if line in turn.tables.blocks and "dark" in turn.records["At"]:
            seen = turn.at()  # the block was read since
        if not seen and turn.verb not in BLIND:
            turn.say("dark")
        else:
            verb(turn, turn.noun)
    if turn.records["Game"] == ("on",):
        turn.tick()
    reply = "\n".join(f" {text}" for text in turn.told)
    return Outcome(turn.records, turn.lines, reply, f"{turn.verb}: {' '.join(turn.kinds)}")


def _look(turn: Turn, _: str) -> None:
    turn.again("At")  # in a dark place the light was recalled since
    turn.say("place")
    turn.view()


def _go(turn: Turn, direction: str) -> None:
    way = turn.recall(f"{turn.place} {direction}")
    if not way:
        turn.say("noway")
        return
    if way[-1] == "a door":
        door = way[0]
        if turn.recall(door)[-1] != "open":
            turn.say("barred")
            return
        way = turn.recall(f"{door} {direction}")
    turn.write("At", way)
    turn.place = way[0]
    turn.arrive(way)


def _examine(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    if not where:
        turn.say("absent")
        return
    turn.again(name)  # somebody has it: they were recalled last
    turn.prose(name)
    if name in turn.tables.stateful:
        turn.again(name)
        turn.say("state")
    if _open_holder(items) and turn.recall(f"{name} holds"):
        turn.say("upon" if "supporter" in items else "inside")


def _is_holder(items: tuple[str, ...]) -> bool:
    return "container" in items or "supporter" in items


def _open_holder(items: tuple[str, ...]) -> bool:
    return "supporter" in items or ("container" in items and items[-1] not in ("closed", "locked"))


def _take(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    if where == "carried":
        turn.say("have")
    elif not where:
        turn.say("absent")
    elif where == "held":
        turn.say("held")
    elif {"fixed", "door", "person", "scenery"} & set(items):
        turn.say("fixed")
    elif "treasure" in items:
        turn.records[name] = (items[0], "portable", *items[2:])
        turn.move(name, YOU)
        turn.write("Deeds", (*turn.records["Deeds"], name))
        turn.say("treasure")
    else:
        turn.move(name, YOU)
        turn.say("taken")


def _drop(turn: Turn, name: str) -> None:
    where, _ = turn.find(name)
    if where != "carried":
        turn.say("havenot")
        return
    turn.move(name, turn.place)
    turn.say("dropped")


def _put(turn: Turn, name: str) -> None:
    holder = turn.noun2
    where, thing = turn.find(name)
    if where != "carried":
        turn.say("havenot")
        return
    there, items = turn.find(holder)
    if not there:
        turn.say("absent2")
    elif there == "held" or not _is_holder(items) or name in (holder, items[0]):
        turn.say("noplace")
    elif not _open_holder(items):
        turn.say("shut")
    else:
        turn.again(name)
        if thing[-1] == "on" and "light" in thing:
            turn.say("noplace")  # nobody could find it again
            return
        turn.move(name, holder)
        turn.say("put")


def _wear(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    if where != "carried":
        turn.say("havenot")
    elif "wearable" not in items:
        turn.say("cannot")
    elif items[0] == WORN:
        turn.say("have")
    else:
        turn.move(name, WORN)
        turn.say("worn")


def _remove(turn: Turn, name: str) -> None:
    _, items = turn.find(name)
    if items[:1] != (WORN,):
        turn.say("cannot")
    else:
        turn.move(name, YOU)
        turn.say("unworn")


def _consume(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    trait, kind = ("edible", "eaten") if turn.verb == "eat" else ("drinkable", "drunk")
    if where not in ("carried", "here", "inside"):
        turn.say("absent")
    elif trait not in items:
        turn.say("cannot")
    else:
        turn.move(name, NOWHERE)
        turn.say(kind)


def _switch(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    if not where:
        turn.say("absent")
    elif where == "held":
        turn.say("held")
    elif "switch" not in items:
        turn.say("cannot")
    elif items[-1] == turn.verb:
        turn.again(name)
        turn.say("already")
    else:
        turn.write(name, (*items[:-1], turn.verb))
        if "light" in items:
            turn.relist(name, turn.verb == "on")
        turn.say(turn.verb)


def _give(turn: Turn, name: str) -> None:
    where, _ = turn.find(name)
    if where != "carried":
        turn.say("havenot")
        return
    there, items = turn.find(turn.noun2)
    if not there:
        turn.say("absent2")
    elif "person" not in items:
        turn.say("nothing")
    else:
        turn.say("unwanted")


def _ask(turn: Turn, name: str) -> None:
    where, items = turn.find(name)
    if not where:
        turn.say("absent")
    else:
        turn.say("silent" if "person" in items else "nothing")


def _other(turn: Turn, name: str) -> None:
    if name and not turn.find(name)[0]:
        turn.say("absent")
    else:
        turn.say("nothing")


def _inventory(turn: Turn, _: str) -> None:
    turn.recall("You carry")
    turn.say("carry")


def _deeds(turn: Turn, _: str) -> None:
    turn.recall("Deeds")
    turn.say("deeds")


def _wait(turn: Turn, _: str) -> None:
    turn.say("wait")


RULES: dict[str, Callable[[Turn, str], None]] = {
    "look": _look,
    "go": _go,
    "examine": _examine,
    "take": _take,
    "drop": _drop,
    "put": _put,
    "open": open_it,
    "close": close_it,
    "unlock": turn_key,
    "lock": turn_key,
    "wear": _wear,
    "remove": _remove,
    "eat": _consume,
    "drink": _consume,
    "on": _switch,
    "off": _switch,
    "give": _give,
    "ask": _ask,
    "tell": _ask,
    "show": _give,
    "talk": _ask,
    "inventory": _inventory,
    "deeds": _deeds,
    "wait": _wait,
}
