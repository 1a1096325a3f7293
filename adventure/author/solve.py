"""Looks for ways to win a world by really playing it. Knows the referee, no network.

A step of the search is a command with the walk to where it can be given. Steps with which a relaxed
plan (relax.py) begins are tried before the others, those of the shortest plans first; of the states
that are alike in all that matters, one is kept.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from adventure.author.facts import Fact
from adventure.author.places import Source
from adventure.author.relax import Reach, Relaxed
from adventure.author.steps import Steps
from adventure.referee.rules import start
from adventure.world.parts import World
from adventure.world.prompt import Records
from adventure.world.script import Op, heading

LIMIT = 12_000
"""Steps played before a search gives up."""
Goal = tuple[Fact, ...]
WON: Goal = (("game", "won"),)
_ENDS = {Op("so", ("game", how)).text for how in ("won", "lost")}


@dataclass(frozen=True)
class Solution:
    """Commands that win, and the deeds that they do."""

    commands: tuple[str, ...]
    deeds: tuple[str, ...]
    score: int


@dataclass
class Found:
    """What the searches of a world saw.

    won: the first way to win; best: the one with the most points; impossible: proven, no player can
    win; endings: how each rule that ends the game ends it, and whether it did; dead_ends: commands
    after which nobody can win any more, with those that lead there; steps: played in all;
    thinkable, hoped: endings and deeds that aren't proven impossible.
    """

    won: Solution | None = None
    best: Solution | None = None
    impossible: bool = False
    endings: dict[Source, tuple[str, bool]] = field(default_factory=dict)
    deeds: set[str] = field(default_factory=set)
    dead_ends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    steps: int = 0
    thinkable: set[Source] = field(default_factory=set)
    hoped: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Spot:
    """A state of play, and the steps that led to it."""

    records: Records
    steps: tuple[tuple[str, ...], ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """From the start of the game."""
        return tuple(itertools.chain.from_iterable(self.steps))


@dataclass(frozen=True, eq=False)
class Node(Spot):
    """The same with what can follow from it, which takes too much memory to be kept for all."""

    reach: Reach


_Entry = tuple[tuple[int, int], int, Spot, int]
"""Worth (the less, the better), a running number, a state, the operator to be tried in it."""


class Search:
    """Searches of one world: what each has seen is noted in `found`."""

    def __init__(self, world: World) -> None:
        self.world, self.relaxed, self.found = world, Relaxed(world), Found()
        self.first = Node(start(world), (), self.relaxed.reach(start(world)))
        reach = self.first.reach
        self.found.hoped = {d for d in world.points if reach.possible(("deed", d))}
        self._ends: dict[str, Source] = {}
        for key, several in self.relaxed.model.facts.branches.items():
            for j, branch in enumerate(several):
                for op in branch.body:
                    if op.fields[:1] == ("game",):
                        self._ends[heading(key + " or" * j)] = (key, j)
                        self.found.endings[key, j] = (op.fields[1], False)
                        if reach.possible(("fired", key, str(j))):
                            self.found.thinkable.add((key, j))

    def run(self, goal: Goal, limit: int, origin: Node | None = None) -> Node | None:
        """The first state found in which all of the goal is true; None: not within the limit."""
        origin = origin or self.first
        plan = origin.reach.plan(goal)
        if plan is None:
            return None
        seen, count = {self._key(origin)}, itertools.count()
        hopeful, others = list[_Entry](), list[_Entry]()
        tried = set[tuple[int, int]]()

        def push(node: Node, plan: set[int]) -> None:
            number, spot = next(count), Spot(node.records, node.steps)
            for step in node.reach.candidates():
                entry = ((len(plan), len(node.steps)), number, spot, step)
                heapq.heappush(others, entry)
                if step in plan:
                    heapq.heappush(hopeful, entry)

        push(origin, plan)
        while len(tried) < limit and (hopeful or others):
            queue = (hopeful or others) if len(tried) % 2 else (others or hopeful)
            _, number, spot, step = heapq.heappop(queue)
            if (number, step) in tried:
                continue
            tried.add((number, step))
            after = self.step(spot, step)
            if after is None:
                continue
            if self._reached(goal, after):
                return after
            key = self._key(after)
            if after.records["Game"] != ("on",) or key in seen:
                continue
            seen.add(key)
            plan = after.reach.plan(goal)
            if plan is not None:
                push(after, plan)
        return None

    def step(self, spot: Spot, step: int) -> Node | None:
        """Play one operator; None where it changes nothing."""
        steps = Steps(self.world, spot.records)
        steps.perform(self.relaxed.operators[step])
        self.found.steps += 1
        if steps.records == spot.records:
            return None
        self.found.deeds |= set(steps.records["Deeds"])
        if steps.over:
            self._note_ending(steps.last)
        reach = self.relaxed.reach(steps.records)
        return Node(steps.records, (*spot.steps, tuple(steps.commands)), reach)

    def _note_ending(self, lines: Sequence[str]) -> None:
        """Which block it was that ended the game."""
        block: Source | None = None
        for line in lines:
            block = self._ends.get(line, block)
            if line in _ENDS and block:
                self.found.endings[block] = (self.found.endings[block][0], True)
                return

    def _reached(self, goal: Goal, node: Node) -> bool:
        for fact in goal:
            if fact[0] == "fired":  # asked for of endings alone
                if not self.found.endings[fact[1], int(fact[2])][1]:
                    return False
            elif self.relaxed.number[fact] not in node.reach.facts:
                return False
        return True

    def _key(self, node: Node) -> tuple[frozenset[int], frozenset[str]]:
        """All that matters of a state: not where within reach one stands, nor where walkers are."""
        return node.reach.facts & self._lasting, node.reach.rooms

    @cached_property
    def _lasting(self) -> frozenset[int]:
        walkers = {p.name for p in self.world.people if p.route}
        passing = {
            n
            for fact, n in self.relaxed.number.items()
            if fact[0] in ("at", "elsewhere")
            or (fact[0] in ("place", "out", "free") and fact[1] in walkers)
        }
        return self.relaxed.mattering - passing

    def solution(self, node: Node) -> Solution:
        """A state in which the game is won, as a list of commands."""
        deeds = node.records["Deeds"]
        return Solution(node.commands, deeds, sum(map(self.world.points_of, deeds)))

    def dead_ends(self, node: Node) -> None:
        """Note commands near the way to `node` after which it is proven that nobody can win."""
        at = self.first
        for taken in (*node.steps, ()):
            for i in at.reach.candidates(all_of_them=True):
                line = self.relaxed.operators[i].line
                after = None if line in self.found.dead_ends else self.step(at, i)
                if after and after.records["Game"] == ("on",) and after.reach.plan(WON) is None:
                    self.found.dead_ends[line] = at.commands
            if not taken:
                break
            steps = Steps(self.world, at.records)
            for line in taken:
                steps.do(line)
            if steps.over:
                break
            reach = self.relaxed.reach(steps.records)
            at = Node(steps.records, (*at.steps, taken), reach)


def solve(world: World, limit: int = LIMIT) -> Found:
    """Look for a way to win, then for the other endings, for points, and for dead ends."""
    search = Search(world)
    found = search.found
    found.impossible = search.first.reach.plan(WON) is None
    won = search.run(WON, limit)
    for key, j in sorted(found.thinkable):
        if not found.endings[key, j][1]:
            search.run((("fired", key, str(j)),), limit // 4)
    if won:
        found.won = search.solution(won)
        found.best = max((found.won, *_richer(search, limit // 4)), key=lambda s: s.score)
        search.dead_ends(won)
    return found


def _richer(search: Search, limit: int) -> Sequence[Solution]:
    """Ways to win with as many points as can be had one after another."""
    reach = search.first.reach
    wanted = [d for d in search.world.points if d in search.found.hoped]
    at = search.first
    for deed in sorted(wanted, key=lambda d: reach.cost(("deed", d))):
        if deed in at.records["Deeds"]:
            continue
        further = search.run((("deed", deed),), limit, at)
        if further and further.records["Game"] == ("on",) and further.reach.plan(WON) is not None:
            at = further
    missing = tuple(("deed", d) for d in wanted if d not in at.records["Deeds"])
    for goal in ((*missing, *WON), WON):
        node = search.run(goal, limit, at)
        if node:
            return [search.solution(node)]
    return []
