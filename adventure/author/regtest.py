"""Files of an author's tests -> steps and what is expected of each. Knows no world and no game.

The form is RegTest's, so far as it is of use here (`.test`):

    * name                a test, played from the beginning of the game
    > command             as a player types it
    text                  must stand in what the game says to that command
    !text                 must not
    /regex                must be found in it; !/regex must not
    {status} text         the same of the status line: room, score, turns; {status}/regex as well
    >{include} name       the steps of another test of the file
    {ends} won            how the test ends: won, lost or on (still going on)
    # comment

A `.walk` is one test of commands alone, each of which must be understood; `# ends: won` at its top
says how it ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from adventure.errors import PackError

ENDS = ("won", "lost", "on")
SUFFIXES = (".test", ".walk")
LARGEST = 1 << 20
"""Bytes of a file of tests."""
_MOST_STEPS, _DEEPEST = 20_000, 50
"""Of a test with all that it includes, since includes of includes double."""


@dataclass(frozen=True)
class Expectation:
    """What must, or must not, stand in a reply or in the status line.

    regex: the pattern, where it is one; else `text` is meant to the letter, but for spaces.
    """

    text: str
    line: int
    wanted: bool = True
    of_status: bool = False
    regex: re.Pattern[str] | None = None

    def met(self, reply: str, status: str) -> bool:
        """Whether a turn's output is as expected."""
        seen = status if self.of_status else reply
        if self.regex is not None:
            return (self.regex.search(seen) is not None) == self.wanted
        return (one_line(self.text) in one_line(seen)) == self.wanted

    @property
    def words(self) -> str:
        """As a report names it."""
        what = f"/{self.text}/" if self.regex else f'"{self.text}"'
        where = " in the status line" if self.of_status else ""
        return f"{what}{where}" if self.wanted else f"no {what}{where}"


@dataclass(frozen=True)
class Step:
    """A command and what is expected of its reply. typed: None for the game's first words."""

    typed: str | None
    line: int
    expected: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Script:
    """One test. ends: how, if it says so; understood: whether every command must be understood."""

    file: Path
    name: str
    line: int
    steps: tuple[Step, ...]
    ends: str = ""
    understood: bool = False


@dataclass(frozen=True)
class _Include:
    name: str
    line: int


def one_line(text: str) -> str:
    """Text with single spaces: how prose is wrapped doesn't matter."""
    return " ".join(text.split())


def read_scripts(file: Path) -> list[Script]:
    """The tests of a `.test`, or the one of a `.walk`. Raises PackError."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "that is no name of a file"
        raise PackError(f"Can't read the tests {file}: {why}.") from error
    return scripts_of(file, raw)


def scripts_of(file: Path, raw: bytes) -> list[Script]:
    """The same of the contents of a file. Raises PackError."""
    if file.suffix not in SUFFIXES:
        raise PackError(f"{file} is neither a .test nor a .walk; give one of these.")
    if len(raw) > LARGEST:
        raise PackError(f"{file} has more than {LARGEST:,} bytes; split it.")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        where = f"{file}, line {raw[: error.start].count(10) + 1}"
        raise PackError(f"{where}: this is not UTF-8 text; save it as UTF-8.") from error
    return _walk(file, lines) if file.suffix == ".walk" else _tests(file, lines)


# -- .walk ---------------------------------------------------------------------------------------

_WALK_END = re.compile(r"#\s*ends\s*:\s*(.*)", re.IGNORECASE)


def _walk(file: Path, lines: list[str]) -> list[Script]:
    ends, steps = "", []
    for number, line in enumerate(lines, 1):
        said = line.strip()
        if header := _WALK_END.fullmatch(said):
            ends = _end(file, number, header[1])
        elif said and not said.startswith("#"):
            steps.append(Step(said, number))
    if not steps:
        raise PackError(f"{file} has no commands; write one a line.")
    return [Script(file, file.stem, 1, tuple(steps), ends, understood=True)]


def _end(file: Path, number: int, said: str) -> str:
    end = said.strip().lower()
    if end not in ENDS:
        raise _fault(file, number, f"a test can't end {end!r}; say won, lost or on")
    return end


# -- .test ---------------------------------------------------------------------------------------


def _tests(file: Path, lines: list[str]) -> list[Script]:
    drafts: list[_Draft] = []
    for number, line in enumerate(lines, 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        if said.startswith("*"):
            drafts.append(_begin(file, number, said, drafts))
        elif not drafts:
            what = f"{_short(said)} stands before the first test; begin one with * and a name"
            raise _fault(file, number, what)
        else:
            _add(file, number, said, drafts[-1])
    if not drafts:
        raise PackError(f"{file} has no tests; begin one with a line of * and its name.")
    known = {draft.script.name: draft for draft in drafts}
    done: dict[str, _Steps] = {}
    return [replace(draft.script, steps=_steps(file, draft, known, done)) for draft in drafts]


@dataclass
class _Draft:
    script: Script
    items: list[Step | _Include]


def _begin(file: Path, number: int, said: str, drafts: list[_Draft]) -> _Draft:
    name = said.removeprefix("*").strip()
    if not name or name.startswith("*"):
        raise _fault(file, number, f"{_short(said)} names no test; write * and a name")
    before = next((d.script.line for d in drafts if d.script.name == name), 0)
    if before:
        what = f"a test is called {name!r} already, on line {before}; rename one"
        raise _fault(file, number, what)
    return _Draft(Script(file, name, number, ()), [Step(None, number)])


def _add(file: Path, number: int, said: str, draft: _Draft) -> None:
    """One line more of a test."""
    kind, brace, rest = said.removeprefix(">").lstrip().partition("}")
    word = kind[1:].strip() if brace and kind.startswith("{") else ""
    if said.startswith(">"):
        command = said.removeprefix(">").strip()
        if word == "include":
            draft.items.append(_Include(rest.strip(), number))
        elif word:
            raise _fault(file, number, f">{{{word}}} is unknown; there is >{{include}} name")
        else:
            draft.items.append(Step(command, number))
        return
    if word == "ends":
        draft.script = replace(draft.script, ends=_end(file, number, rest))
        return
    last = draft.items[-1]
    if isinstance(last, _Include):
        raise _fault(file, number, f"{_short(said)} follows no command; put it after a > line")
    expected = _expectation(file, number, said)
    draft.items[-1] = replace(last, expected=(*last.expected, expected))


_LABEL = re.compile(r"(!?)\s*\{\s*(\w+)\s*\}\s*(.*)")


def _expectation(file: Path, number: int, said: str) -> Expectation:
    wanted, of_status, text = True, False, said
    if label := _LABEL.fullmatch(said):
        if label[2] != "status":
            known = "{status} and {ends}"
            raise _fault(file, number, f"{{{label[2]}}} is unknown; there are {known}")
        wanted, of_status, text = not label[1], True, label[3]
    while text.startswith("!"):
        wanted, text = not wanted, text[1:].lstrip()
    if not text or text == "/":
        raise _fault(file, number, "nothing is expected here; write some text, or remove the line")
    if not text.startswith("/"):
        return Expectation(text, number, wanted, of_status)
    try:
        return Expectation(text[1:], number, wanted, of_status, re.compile(text[1:]))
    except re.error as error:
        raise _fault(
            file, number, f"{_short(text)} is no regular expression ({error}); correct it"
        ) from error


_Steps = tuple[Step, ...]


def _steps(
    file: Path,
    draft: _Draft,
    known: dict[str, _Draft],
    done: dict[str, _Steps],
    within: tuple[str, ...] = (),
) -> _Steps:
    """A test's steps, those of included tests in their places; the first words come once."""
    name = draft.script.name
    if name in done:
        return done[name]
    found: list[Step] = []
    for item in draft.items:
        if isinstance(item, Step):
            found.append(item)
            continue
        other = known.get(item.name)
        if other is None:
            there = ", ".join(n for n in known if n != name) or "no other test"
            what = f"there is no test {item.name!r} to include; there is {there}"
            raise _fault(file, item.line, what)
        if item.name in (name, *within):
            what = f"the test {item.name!r} includes itself; leave that out"
            raise _fault(file, item.line, what)
        if len(within) == _DEEPEST:
            what = f"includes are nested more than {_DEEPEST} deep; name the steps themselves"
            raise _fault(file, item.line, what)
        found += _steps(file, other, known, done, (name, *within))[1:]
        if len(found) > _MOST_STEPS:
            what = f"with all its includes this is over {_MOST_STEPS:,} steps; include less"
            raise _fault(file, item.line, what)
    done[name] = tuple(found)
    return done[name]


def _short(said: str) -> str:
    return repr(said if len(said) <= 40 else f"{said[:40]}...")


def _fault(file: Path, number: int, what: str) -> PackError:
    return PackError(f"{file}, line {number}: {what}.")
