"""What a turn does to records, and the hidden lines that say so. Knows no verb, no player's typing.

Records recalled and written, the author's lines as they are followed, and a line for each thing
that will be told: all go through here, so that what is said and what is so can't differ.
"""

from __future__ import annotations

from collections.abc import Callable

from adventure.referee.tables import tables_of
from adventure.world.parts import WORN, YOU, World
from adventure.world.prompt import NOTHING, Records, list_key, listed, record_line
from adventure.world.script import Block, Op

Choose = Callable[[str, int], int]
"""Kind of reply and how many forms it has -> which one."""


class Turn:
    """One turn: `records` as they change, the hidden `lines`, what is `told`, and its `kinds`."""

    def __init__(self, world: World, records: Records, line: str, choose: Choose) -> None:
        self.world, self.choose = world, choose
        self.records = records.copy()
        self.verb, *rest = line.split("|")
        self.noun = rest[0] if rest else ""
        self.noun2 = rest[1] if len(rest) > 1 else ""
        self.lines: list[str] = []
        self.told: list[str] = []
        self.kinds: list[str] = []
        self.place = ""
        self.last: tuple[str, tuple[str, ...]] = ("", ())
        self.tables = tables_of(world)
        self.blocks = self.tables.blocks

    # -- hidden lines

    def recall(self, key: str) -> tuple[str, ...]:
        """Say a record as it is and use it."""
        items = self.records.get(key, ())
        self.last = key, items
        self.lines.append(record_line(key, items))
        return items

    def again(self, key: str) -> None:
        """Recall a record unless it was the last one."""
        if self.last[0] != key:
            self.recall(key)

    def write(self, key: str, items: tuple[str, ...]) -> None:
        """Say a record as it will be from now on."""
        self.records[key] = items
        self.last = key, items
        self.lines.append(record_line(key, items))

    def say(self, kind: str, subject: str = "") -> None:
        """Say that a standing reply will be told; `subject`: what the author's line is about."""
        forms = self.tables.said[kind]
        line, pieces = forms[self.choose(kind, len(forms)) if len(forms) > 1 else 0]
        self.lines.append(line)
        self.kinds.append(kind)
        if len(pieces) == 1:
            self.told.append(pieces[0])
            return
        filled = list(pieces)
        for i in range(1, len(filled), 2):  # what is split at stands at the odd places
            filled[i] = self._marked(filled[i], subject)
        self.told.append("".join(filled))

    def _marked(self, mark: str, subject: str) -> str:
        """What a mark of a standing reply stands for."""
        key, items = self.last
        match mark:
            case "*":
                return the(self.noun)
            case "#":
                return the(self.noun2)
            case "~":
                return the(key)
            case "@":
                return ", ".join(items) or NOTHING
            case "&":
                return items[-1] if items else ""
            case "%":
                return items[0] if items else ""
        return the(subject)

    def prose(self, name: str) -> None:
        """Say that a part's description will be told."""
        self.lines.append(f" {name}")
        self.told.append(self.tables.prose[name])

    # -- where things are

    def at(self) -> bool:
        """Recall the place; whether one can see there."""
        items = self.recall("At")
        self.place = items[0]
        if "dark" not in items:
            return True
        return self.light()

    def light(self) -> bool:
        """Recall whether something gives light in a dark place: what is carried, worn, or lies in
        the room itself. Of what is in or on other things, or held by people, no list here tells."""
        if any(i.endswith("(lit)") for i in self.recall("You carry")):
            return True
        return any(i.endswith("(lit)") for i in self.recall(f"{self.place} holds"))

    def find(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Recall a thing: whereabouts it is to the player, and its items.

        What is in another thing is recalled once more after that, so that whatever is decided next
        is decided by the record just read.
        """
        items = self.recall(name)
        where = self.whereabouts(items)
        if where == "inside":
            self.again(name)
        return where, items

    def whereabouts(self, items: tuple[str, ...]) -> str:
        """Where a thing just recalled is to the player; recalls what it is in, if it is in one."""
        if not items:
            return ""
        where = items[0]
        if where in (YOU, WORN):
            return "carried"
        if where == self.place or (_manifold(items) and self.place in items):
            return "here"
        if not _manifold(items) and where in self.records:
            holder = self.recall(where)
            if holder[-1] not in ("closed", "locked") and holder[0] in (self.place, YOU, WORN):
                return "held" if "person" in holder else "inside"
        return ""

    def move(self, name: str, to: str, notice: Callable[[], None] | None = None) -> None:
        """Write a thing's new place and the lists that change.

        notice: says what there is to notice about it: before the lists, which may be long, so that
        what decides it was just read.
        """
        items = self.records[name]
        old = items[0]
        lit = "light" in items and items[-1] == "on"
        self.write(name, (to, *items[1:]))
        if notice:
            notice()
        source, target = list_key(self.world, old), list_key(self.world, to)
        if source and source != target:
            gone = listed(name, old, lit)
            self.write(source, tuple(i for i in self.records.get(source, ()) if i != gone))
        if target and source != target:
            self.write(target, (*self.records.get(target, ()), listed(name, to, lit)))
        elif target:
            before, after = listed(name, old, lit), listed(name, to, lit)
            self.write(target, tuple(after if i == before else i for i in self.records[target]))

    def relist(self, name: str, lit: bool) -> None:
        """Write the list that a light is in, with or without (lit)."""
        where = self.records[name][0]
        key = list_key(self.world, where)
        before, after = listed(name, where, not lit), listed(name, where, lit)
        self.write(key, tuple(after if i == before else i for i in self.records.get(key, ())))

    def view(self) -> None:
        """What there is to see: the last record is At, or the place is known to be lit."""
        self.prose(self.place)
        self.recall(f"{self.place} exits")
        self.say("exits")
        if self.recall(f"{self.place} holds"):
            self.say("see")

    # -- the author's blocks

    def run(self, key: str) -> bool:
        """Follow a block; False where it says to go on as usual."""
        found = self.tables.followed(key)
        at = 0
        moved = False
        before = len(self.told)
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
                self._do(op, found.block, quiet=len(self.told) > before)
                moved = moved or op.fields[1] == "go to"
                at += 1
            elif op.what == "say":
                self.told.append(op.prose)
                self.kinds.append("say")
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
            if key in self.blocks:
                self.run(key)


def _manifold(items: tuple[str, ...]) -> bool:
    """Whether a record lists several places."""
    return "door" in items or "scenery" in items


def _was(block: Block) -> str:
    """The key of the record whether a block has been gone through."""
    return f"{block.key.replace('|', ' ')} was"


def the(name: str) -> str:
    """A name with its article: none for a proper one."""
    return name if name[:1].isupper() else f"the {name}"
