"""One test of an author's, played by the referee and, if wanted, by the game master beside it.

Knows what playing is; no files and no reports. No network is loaded for the referee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adventure.author.regtest import Script, Step
from adventure.referee.master import RefereeMaster
from adventure.referee.rules import Choose, play
from adventure.world.prompt import PROTOCOL, Records, shown

if TYPE_CHECKING:
    from adventure.play.commands import Console
    from adventure.play.transcript import PlayedTurn
    from adventure.world.parts import World

_SAY = " say "


@dataclass(frozen=True)
class Failure:
    """What was not as expected. by: who played, referee or master."""

    line: int
    typed: str
    expected: str
    said: str
    by: str


@dataclass(frozen=True)
class Difference:
    """The first turn that the master played in another way than the rules."""

    turn: int
    typed: str
    expected: str
    got: str


@dataclass
class Result:
    """How a test went. turns, exact: of the master's, if it played."""

    script: Script
    failures: list[Failure] = field(default_factory=list)
    played: int = 0
    turns: int = 0
    exact: int = 0
    difference: Difference | None = None

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class _Answer:
    """What came of one line: text, status line, the turns it took, the records before."""

    text: str
    status: str
    turns: list[PlayedTurn]
    before: Records
    heard: bool


class _Game:
    """One run of a test, from the beginning of the game."""

    def __init__(self, world: World, master: Any) -> None:
        from adventure.play.commands import Console
        from adventure.play.header import Identity
        from adventure.play.saves import Saves
        from adventure.play.session import Session

        whose = Identity(world.name, world.title, world.digest, "", "", PROTOCOL)
        session = Session(world, master, master.opening())
        self.console: Console = Console(session, Saves(Path(), whose), autosave=False)

    def answer(self, typed: str | None) -> _Answer:
        """Play a line; None: the game's first words."""
        from adventure.play.meta import read_meta

        console, session = self.console, self.console.session
        before, count = session.position.records, session.turns
        pieces = console.introduction() if typed is None else console.play(typed)
        text = "".join(
            said.text if said.kind == "text" else f"\n{said.text}\n"
            for said in pieces
            if said.kind != "record"
        )
        status = f"{console.status.left}  {console.status.right}"
        turns = list(session.transcript)[count:]
        heard = typed is None or bool(turns) or read_meta(typed) is not None
        return _Answer(text.strip(), status, turns, before, heard)

    @property
    def ended(self) -> str:
        """won, lost or on."""
        return next(iter(self.console.session.items("Game")), "on")


def play_test(
    world: World, script: Script, master: Any = None, tell: Callable[[str], None] | None = None
) -> Result:
    """One test by the referee, and by the master beside it if there is one.

    What a master says with another form of a standing reply is as good as the first: where its
    turn is exact but for that, it is held to the referee's words.
    """
    result = Result(script)
    referee = _Game(world, RefereeMaster(world))
    beside = _Game(world, master) if master else None
    for step in script.steps:
        answer = referee.answer(step.typed)
        result.played += len(answer.turns)
        if tell:
            tell(f"> {step.typed}\n{answer.text}\n" if step.typed is not None else answer.text)
        result.failures += _failures(script, step, answer, answer.text, "referee")
        if beside:
            own = beside.answer(step.typed)
            exact = _compare(world, step, answer, own, result)
            result.failures += _failures(
                script, step, own, answer.text if exact else own.text, "master"
            )
            if tell and not exact:
                tell(f"The master:\n{own.text}\n")
    for game, by in ((referee, "referee"), (beside, "master")):
        if game and script.ends and game.ended != script.ends:
            last = script.steps[-1]
            result.failures.append(
                Failure(last.line, last.typed or "", f"the game {script.ends}", game.ended, by)
            )
    return result


def _failures(script: Script, step: Step, answer: _Answer, text: str, by: str) -> Iterator[Failure]:
    typed = step.typed or ""
    if script.understood and not answer.heard:
        yield Failure(step.line, typed, "a command that is understood", text, by)
    for expected in step.expected:
        if not expected.met(text, answer.status):
            said = answer.status if expected.of_status else text
            yield Failure(expected.line, typed, expected.words, said, by)


def _compare(world: World, step: Step, answer: _Answer, own: _Answer, result: Result) -> bool:
    """Whether the master's turns are what the rules make of them; notes the first that isn't."""
    records, exact = answer.before, True
    first = result.turns
    for i, turn in enumerate(answer.turns):
        got = own.turns[i] if i < len(own.turns) else None
        told = got.records if got else ()
        outcome = play(world, records, turn.line, _forms(told))
        records = outcome.records
        right = got is not None and (got.line, got.reply, [*got.records]) == (
            turn.line,
            shown(outcome.reply),
            outcome.lines,
        )
        result.turns += 1
        result.exact += right
        if not right and result.difference is None:
            wanted, had = shown(outcome.reply), got.reply if got else own.text
            if wanted == had and got:
                wanted, had = _first_apart(outcome.lines, got.records)
            result.difference = Difference(first + i + 1, step.typed or "", wanted, had)
        exact = exact and right
    return exact and len(own.turns) == len(answer.turns)


def _first_apart(wanted: Sequence[str], had: Sequence[str]) -> tuple[str, str]:
    """The first hidden lines that differ."""
    for ours, theirs in zip([*wanted, ""], [*had, ""], strict=False):
        if ours != theirs:
            break
    return f"(hidden) {ours.strip()}", f"(hidden) {theirs.strip()}"


def _forms(lines: Sequence[str]) -> Choose:
    """Chooses the forms of standing replies that hidden lines have chosen."""
    chosen: dict[str, list[int]] = {}
    for line in lines:
        if line.startswith(_SAY):
            kind, *others = line.removeprefix(_SAY).split(" ")
            chosen.setdefault(kind, []).append(len(others))

    def choose(kind: str, forms: int) -> int:
        waiting = chosen.get(kind)
        return min(waiting.pop(0), forms - 1) if waiting else 0

    return choose
