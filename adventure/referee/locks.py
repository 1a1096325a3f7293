"""The exact rules of what can be opened: OPEN, CLOSE, UNLOCK, LOCK. Knows no other verb."""

from __future__ import annotations

from adventure.referee.turn import Turn
from adventure.world.parts import WORN, YOU

LOCK_STATES = ("open", "closed", "locked")


def _lockable(turn: Turn, name: str) -> tuple[str, ...]:
    """The items of what can be opened and is at hand; else why not is told, and there are none."""
    where, items = turn.find(name)
    if where and where != "held" and items[-1] in LOCK_STATES:
        return items
    turn.say("cannot" if where and where != "held" else where or "absent")
    return ()


def _so_already(turn: Turn, name: str, stands_in_the_way: bool) -> None:
    """Tell a state in which nothing is to be done, or which has to change first."""
    turn.again(name)
    turn.say("state" if stands_in_the_way else "already")


def open_it(turn: Turn, name: str) -> None:
    """OPEN."""
    items = _lockable(turn, name)
    if not items:
        return
    if items[-1] != "closed":
        _so_already(turn, name, items[-1] == "locked")
        return
    turn.write(name, (*items[:-1], "open"))
    turn.say("opened")
    if "container" in items and turn.recall(f"{name} holds"):
        turn.say("inside")


def close_it(turn: Turn, name: str) -> None:
    """CLOSE."""
    items = _lockable(turn, name)
    if not items:
        return
    if items[-1] != "open":
        _so_already(turn, name, items[-1] == "locked")
        return
    turn.write(name, (*items[:-1], "closed"))
    turn.say("closed")


def turn_key(turn: Turn, name: str) -> None:
    """UNLOCK and LOCK."""
    before, after = ("locked", "closed") if turn.verb == "unlock" else ("closed", "locked")
    items = _lockable(turn, name)
    if not items:
        return
    if items[-1] != before:
        _so_already(turn, name, after == "locked" and items[-1] == "open")
        return
    key = turn.noun2
    if turn.recall(key)[:1] not in ((YOU,), (WORN,)):
        turn.say("nokey")
        return
    if key not in turn.recall(f"{name} key"):
        turn.say("misfit")
        return
    turn.write(name, (*items[:-1], after))
    turn.say("unlocked" if after == "closed" else "locked")
