"""Tasks of a random world: what is to be so, in whatever way, and a clock a task that looks after
every turn. So are quests in games that are brought over (author/textworld_quests.py). Knows no
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adventure.world.random_parts import Table

if TYPE_CHECKING:
    from adventure.world.random_rules import Rules

_LOOKED_AT = {"turns": 1, "running": True, "every": True}
_LETTERS = "abcdefghij"


class Tasks:
    """Makes deeds that are done when something is so, for a pack that is finished but for them."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.rng, self.prose = rules, rules.rng, rules.prose
        self.table = rules.table
        self.clocks: list[Table] = []
        self.points: dict[str, int] = {}

    def add(self, count: int) -> None:
        """So many tasks; often one clock more that fails them and one that ends the game."""
        rng = self.rng
        stem = self.rules.names.clock() if rng.random() < 0.5 else ""
        said = self.prose.text() if rng.random() < 0.7 else ""
        for _ in range(count):
            self._task(stem, said)
        lost = self._portable()
        if rng.random() < 0.4 and lost["in"] != "nowhere":
            self._clock(stem, [f"{lost['name']} in nowhere"], ["game lost"], said)
        if rng.random() < 0.7:
            self._clock(stem, [f"{deed} done" for deed in self.points], ["game won"], said)
        self.table["clocks"] = [*self.table["clocks"], *self.clocks]
        self.table["deeds"] = {**self.table["deeds"], **self.points}

    def _task(self, stem: str, said: str) -> None:
        verb, name, fact = self._fact()
        deed = f"{verb} {name}"
        while deed in self.points or deed in self.table["deeds"]:
            deed += " again"
        self.points[deed] = self.rng.choice((0, 1, 1, 5))
        needs = [f"{deed} not done", fact]
        if self.rng.random() < 0.2:
            needs.append(self._fact()[2])
        self._clock(stem, needs, [f"deed {deed}"], said or self.prose.text())

    def _fact(self) -> tuple[str, str, str]:
        """The words of a command, and what is so once it has been done."""
        rng, things = self.rng, self.table["things"]
        shut = [t["name"] for t in things if t.get("openable")]
        shut += [door["name"] for door in self.table["doors"]]
        boxes = [t["name"] for t in things if t.get("container") or t.get("supporter")]
        roll, thing = rng.random(), self._portable()["name"]
        boxes = [name for name in boxes if name != thing]
        if roll < 0.3 and shut:
            name, state = rng.choice(shut), rng.choice(("open", "open", "closed"))
            return {"open": "open", "closed": "close"}[state], name, f"{name} is {state}"
        if roll < 0.5:
            return "go", (room := rng.choice(self.rules.rooms)).lower(), f"you in {room}"
        if roll < 0.7 and boxes:
            return "put", thing, f"{thing} in {rng.choice(boxes)}"
        return "take", thing, f"{thing} carried"

    def _portable(self) -> Table:
        thing: Table = self.rng.choice([t for t in self.table["things"] if not t.get("fixed")])
        return thing

    def _clock(self, stem: str, needs: list[str], then: list[str], said: str) -> None:
        name = f"{stem}-{_LETTERS[len(self.clocks)]}" if stem else self.rules.names.clock()
        clock = {"name": name, "needs": tuple(dict.fromkeys(needs)), "then": tuple(then)}
        self.clocks.append({**_LOOKED_AT, **clock, "say": said or self.prose.text()})
