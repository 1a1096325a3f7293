"""`adventure test`: an author's tests, played by the referee and, if wanted, by the game master.

Reads, plays and reports; knows nothing of how a test is played.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adventure.author.playing import Result, play_test
from adventure.author.regtest import SUFFIXES, Script, one_line, read_scripts, scripts_of
from adventure.errors import PackError
from adventure.world.pack import find_world, load_world
from adventure.world.parcel import is_parcel, open_parcel

if TYPE_CHECKING:
    from adventure.world.parts import World

_ON_DISK = ("save", "restore", "saves", "transcript", "unscript")
_SHOWN = 160
"""Characters of a reply that a report quotes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure test`."""
    add = parser.add_argument
    add("world", metavar="WORLD", help="a name, a folder or a packed world")
    add("files", metavar="FILE", nargs="*", help="tests to play (default: all of the world's)")
    add("--master", action="store_true", help="let the game master play too, and compare")
    add("--model", metavar="PATH", type=Path, help="with --master: a game master of your own")
    add("--json", action="store_true", help="print one JSON object")
    add("-v", "--verbose", action="store_true", help="print the games as they are played")


def run(args: argparse.Namespace) -> int:
    """Play all tests; 0 if all passed, 1 if not. Raises UserError on files that can't be read."""
    place = find_world(args.world)
    world = load_world(place)
    scripts = list(_scripts(place, args.files))
    for script in scripts:
        _refuse_files(script)
    master = _master(world, args.model) if args.master or args.model else None
    results = []
    for script in scripts:
        results.append(play_test(world, script, master, print if args.verbose else None))
        if not args.json:
            print("\n".join(_report(results[-1])), flush=True)
    failed = sum(not result.passed for result in results)
    if args.json:
        rows = [_row(result) for result in results]
        print(json.dumps({"world": world.name, "failed": failed, "tests": rows}, indent=1))
    else:
        print(_summary(results, failed))
    return 1 if failed else 0


# -- what is to be played ------------------------------------------------------------------------


def _scripts(place: Path, named: Sequence[str]) -> Iterator[Script]:
    """Of the files named, which may lie among the world's tests, or of all that lie there."""
    if is_parcel(place):
        yield from _packed_scripts(place, named)
        return
    folder = (place if place.is_dir() else place.parent) / "tests"
    files = [Path(n) if Path(n).exists() else folder / n for n in named]
    found = files or sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES)
    if not found:
        raise PackError(f"There are no tests in {folder}; write one there, say first.test.")
    for file in found:
        yield from read_scripts(file)


def _packed_scripts(place: Path, named: Sequence[str]) -> Iterator[Script]:
    packed = {n: raw for n, raw in open_parcel(place).items() if n.endswith(SUFFIXES)}
    wanted = [n if n.startswith("tests/") else f"tests/{n}" for n in named] or sorted(packed)
    if not wanted:
        raise PackError(f"There are no tests in {place}; pack the world again with some.")
    for name in wanted:
        if name not in packed:
            there = ", ".join(sorted(packed)) or "none at all"
            raise PackError(f"{place} has no {name}; its tests are: {there}.")
        yield from scripts_of(place / name, packed[name])


def _refuse_files(script: Script) -> None:
    """Raises PackError where a command would write or read files of the player's."""
    from adventure.play.meta import read_meta
    from adventure.play.phrases import commands_of

    for step in script.steps:
        typed = step.typed or ""
        for said in (typed, *commands_of(typed)):
            meta = read_meta(said)
            if meta and meta.verb in _ON_DISK:
                where = f"{script.file}, line {step.line}"
                raise PackError(f"{where}: a test has no files for {said!r}; leave it out.")


def _master(world: World, model: Path | None) -> Any:
    import torch  # here, so that the referee's tests don't wait for the network

    from adventure.master import SHIPPED
    from adventure.master.gamemaster import GameMaster, load_network

    network, tokenizer = load_network(model or SHIPPED)
    torch.set_num_threads(1)  # turns are short: a second thread would be waited for
    return GameMaster(network, tokenizer, world)


# -- reports -------------------------------------------------------------------------------------


def _report(result: Result) -> Iterator[str]:
    script = result.script
    name = script.file.name if script.understood else f"{script.file.name}: {script.name}"
    share = f"  ({result.exact} of {result.turns} turns exact)" if result.turns else ""
    yield f"{'ok    ' if result.passed else 'FAILED'} {name}{share}"
    for fault in result.failures:
        whose = "the game master, " if fault.by == "master" else ""
        after = f" after > {fault.typed}" if fault.typed else ""
        yield f"  {script.file}, line {fault.line}: {whose}expected {fault.expected}{after}"
        yield f"    said: {_quoted(fault.said)}"
    if apart := result.difference:
        yield f"  the master differs first in turn {apart.turn}, > {apart.typed}"
        yield f"    expected: {_quoted(apart.expected)}"
        yield f"    got:      {_quoted(apart.got)}"


def _quoted(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} ..."


def _summary(results: Sequence[Result], failed: int) -> str:
    played, exact = sum(r.turns for r in results), sum(r.exact for r in results)
    many = f"{len(results)} tests" if len(results) > 1 else "1 test"
    line = f"{many}, {failed} failed." if failed else f"{many}, all passed."
    if played:
        line += f" The game master: {exact:,} of {played:,} turns exact ({exact / played:.1%})."
    return line


def _row(result: Result) -> dict[str, object]:
    row = asdict(result)
    script = row.pop("script")
    del row["played"]
    names = {"file": str(script["file"]), "name": script["name"], "line": script["line"]}
    return {**names, "passed": result.passed, **row}
