"""A turn: the author's blocks followed among its hidden lines. Knows no verb, no player's typing.

A block is a program: its lines are said as they are followed, and under each condition the record
that decides it.
"""

from __future__ import annotations

from adventure.referee.hidden import HiddenLines
from adventure.world.parts import WORN, YOU
from adventure.world.prompt import list_key
from adventure.world.script import Block, Op


class Turn(HiddenLines):
    """One turn in play."""

    def run(self, key: str) -> bool:
        """Follow a block; False where it says to go on as usual."""
        found = self.tables.followed(key)
        at = 0
        moved = told = False
        self.lines.append(found.heading)
        while True:
            op, text = found.ops[at]
            self.lines.append(text)
            if op.what == "if":
                if self._holds(op, found.block):
                    at += 2
                    continue
                other, text = found.ops[at + 1]
                self.lines.append(text)
                if other.what == "usual":
                    return False
                found, at = self.tables.followed(other.fields[0]), 0
            elif op.what == "so":
                self._do(op, found.block, quiet=told)
                moved = moved or op.fields[1] == "go to"
                at += 1
            elif op.what == "say":
                self.told.append(op.prose)
                self.kinds.append("say")
                told = True
                at += 1
            else:
                if moved:
                    self.arrive(self.recall("At"))  # more was done since
                return op.what == "end"

    def _holds(self, op: Op, block: Block) -> bool:
        if op.fields == ("new",):
            return self.recall(_was(block)) == ("new",)
        subject, relation, *rest = op.fields
        other = rest[0] if rest else ""
        no = relation.startswith("not ") or relation.endswith(" not")
        if subject == YOU:
            return (self.recall("At")[0] == other) != no
        if subject == "Deeds":
            return (other in self.recall("Deeds")) != no
        items = self.recall(subject)
        match relation.removeprefix("not ").removesuffix(" not"):
            case "carried":
                return (items[0] in (YOU, WORN)) != no
            case "here":
                return bool(self.whereabouts(items)) != no
            case "in":
                return (items[0] == other) != no
            case _:
                return (items[-1] == other) != no

    def arrive(self, to: tuple[str, ...]) -> None:
        """Tell of the place that At, the last record, says."""
        self.say("place")
        if "dark" in to:
            if not self.light():
                self.say("dark")
                return
            self.recall("At")  # the lists of what gives light were read since
        if to[-1] == "story":
            self.run(f"arrive|{self.place}")
        self.view()

    def _do(self, op: Op, block: Block, quiet: bool) -> None:
        if op.fields[0] == "new":
            self.write(_was(block), ("old",))
            return
        match op.fields:
            case (subject, "becomes", state):
                items = self.records[subject]
                self.write(subject, (*items[:-1], state))
                if "light" in items and list_key(self.world, items[0]):  # even if it was so before
                    self.relist(subject, state == "on")
            case (subject, "moves to", to):
                self._carry_off(subject, to, quiet)
            case (way, "leads to", *target):
                room, _, direction = way.rpartition(" ")
                self.write(way, tuple(target))
                key = f"{room} exits"
                if direction not in self.records[key]:
                    self.write(key, (*self.records[key], direction))
            case (_, "go to", *target):
                self.write("At", tuple(target))
                self.place = target[0]
            case ("deed", name):
                if name not in self.recall("Deeds"):
                    self.write("Deeds", (*self.records["Deeds"], name))
            case ("clock", name, turns):
                known = (item.rpartition(" ") for item in self.records["Clocks"])
                left = tuple(f"{n} {t}" for n, _, t in known if n != name and t != "0")
                self.write("Clocks", left if turns == "off" else (*left, f"{name} {turns}"))
            case ("game", how):
                self.write("Game", (how,))

    def _carry_off(self, name: str, to: str, quiet: bool) -> None:
        """Move something by rule; a person who comes or goes is noticed, unless words told it."""
        person = "person" in self.records[name] and not quiet
        old = self.records[name][0]

        def notice() -> None:
            if person and old == self.place != to:
                self.say("goes", name)
            elif person and to == self.place != old:
                self.say("comes", name)

        self.move(name, to, notice)

    def tick(self) -> None:
        """The clocks go on by one turn."""
        if not self.records["Clocks"]:
            self.recall("Clocks")
            return
        left, rung = list[str](), list[str]()
        for item in self.records["Clocks"]:
            name, _, turns = item.rpartition(" ")
            if turns != "0":
                left.append(f"{name} {int(turns) - 1}")
                if turns == "1":
                    rung.append(name)
        self.write("Clocks", tuple(left))
        for name in rung:
            key = f"clock|{name}"
            if key in self.tables.blocks:
                self.run(key)


def _was(block: Block) -> str:
    """The key of the record whether a block has been gone through."""
    return f"{block.key.replace('|', ' ')} was"
