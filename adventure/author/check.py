"""`adventure check`: faults, warnings and notes on a world, and whether it can be won."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adventure.author.findings import NOTE, WARNING, Finding, note
from adventure.author.lint_search import search_lints
from adventure.author.lints import lints
from adventure.author.solve import LIMIT, Found, Solution, solve
from adventure.errors import PackError, UserError
from adventure.master import LEARNT, SHIPPED
from adventure.world.lines import Source
from adventure.world.pack import find_world, load_world, read_source
from adventure.world.parts import World
from adventure.world.prompt import SPECIALS, pack_text
from engine.errors import TokenizerError
from engine.tokenizer import Tokenizer

if TYPE_CHECKING:
    from adventure.author.recall import Recall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure check`."""
    parser.add_argument("world", metavar="WORLD", help="a name, a folder or a packed world")
    parser.add_argument("--no-search", action="store_true", help="don't look for a way to win")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_steps,
        default=LIMIT,
        help=f"steps to try before a search gives up (default: {LIMIT:,})",
    )
    parser.add_argument(
        "--recall",
        action="store_true",
        help="ask the game master about each room, thing, door, person and reply (slow)",
    )
    parser.add_argument("--model", metavar="PATH", type=Path, help="for --recall: another master")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there is a warning")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _steps(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000000")
    return int(text)


@dataclass
class Report:
    """All that was found out about one world."""

    world: World
    source: Source
    asked: str
    findings: list[Finding] = field(default_factory=list)
    found: Found | None = None
    recall: Recall | None = None

    def count(self, level: str) -> int:
        """Findings of a level."""
        return sum(finding.level == level for finding in self.findings)


def run(args: argparse.Namespace) -> int:
    """Check and print. Raises PackError for faults; 1 with --strict where there is a warning."""
    if args.model and not args.recall:
        raise UserError("--model is for --recall: the game master to be asked; add --recall.")
    try:
        report = check(args)
    except PackError as error:
        if not args.json:
            raise
        print(json.dumps({"faults": list(error.faults)}, indent=1))
        return 2
    print(json.dumps(figures(report), indent=1) if args.json else "\n".join(told(report)))
    return 1 if args.strict and report.count(WARNING) else 0


def check(args: argparse.Namespace) -> Report:
    """Load a world and look at it from every side that was asked for."""
    place = find_world(args.world)
    report = Report(load_world(place), read_source(place), args.world)
    report.findings += lints(report.world)
    if place.is_dir() and not (place / "tests" / "solution.walk").is_file():
        said = "there is no tests/solution.walk; write the commands that win, one a line"
        report.findings.append(note("no-solution", (), f"{said}."))
    report.findings += _length(report.world, args.model or SHIPPED)
    if not args.no_search:
        report.found = solve(report.world, args.limit)
        report.findings += search_lints(report.world, report.found)
    if args.recall:
        from adventure.author.recall import recall

        report.recall = recall(report.world, args.model)
    levels = (WARNING, NOTE)
    report.findings.sort(key=lambda f: (report.source.line(f.place), levels.index(f.level)))
    return report


def _length(world: World, model: Path) -> Iterator[Finding]:
    """What a pack's text costs the game master, where its tokenizer is made for packs."""
    folder = model if model.is_dir() else model.parent
    try:
        tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
        for special in SPECIALS:
            tokenizer.id_of(special)
    except TokenizerError:
        return
    tokens = len(tokenizer.encode(pack_text(world)))
    if tokens > LEARNT:
        said = f"the pack has {tokens:,} tokens, and the game master learnt from {LEARNT:,} at most"
        yield note("long-pack", (), f"{said}; see with --recall what it can keep.")


def told(report: Report) -> list[str]:
    """The report for people."""
    where = report.source.where
    lines = [f"{where(f.place)}: {f.level}: {f.text}" for f in report.findings]
    warnings, notes = report.count(WARNING), report.count(NOTE)
    counted = f"{_several(warnings, 'warning')}, {_several(notes, 'note')}"
    lines.append(f"{report.world.title}: no faults, {counted}.")
    if report.found:
        lines.append(_search_told(report.world, report.found))
    if report.recall:
        lines += report.recall.told()
    told_by = f"adventure test {shlex.quote(report.asked)} --master"
    lines.append(f'Whether the game master can play it too, "{told_by}" tells.')
    return lines


def _several(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' * (count != 1)}"


def _search_told(world: World, found: Found) -> str:
    if found.won is None or found.best is None:
        proven = "Nobody can win this world" if found.impossible else "No way to win was found"
        return f"{proven} ({found.steps:,} steps tried)."
    most = sum(world.points.values())
    said = f"It can be won in {_several(len(found.won.commands), 'command')}"
    if most:
        said += f", with {found.won.score} of {most} points"
        if found.best.score > found.won.score:
            said += f"; with {found.best.score} in {len(found.best.commands)}"
    reached = sum(done for _, done in found.endings.values())
    said += f". Endings come to: {reached} of {len(found.endings)}"
    return f"{said} ({found.steps:,} steps tried)."


def figures(report: Report) -> dict[str, Any]:
    """The report for programs."""
    rows = [
        {
            "level": finding.level,
            "kind": finding.kind,
            "file": report.source.name,
            "line": report.source.line(finding.place) or None,
            "text": finding.text,
        }
        for finding in report.findings
    ]
    whole: dict[str, Any] = {"world": report.world.name, "faults": [], "findings": rows}
    if report.found:
        whole["search"] = _search_figures(report.world, report.found)
    if report.recall:
        whole["recall"] = report.recall.figures()
    return whole


def _search_figures(world: World, found: Found) -> dict[str, Any]:
    return {
        "steps": found.steps,
        "impossible": found.impossible,
        "won": _solution_figures(found.won),
        "best": _solution_figures(found.best),
        "most_points": sum(world.points.values()),
        "endings": [
            {"block": key, "branch": j, "game": how, "reached": reached}
            for (key, j), (how, reached) in found.endings.items()
        ],
        "dead_ends": {line: list(before) for line, before in found.dead_ends.items()},
    }


def _solution_figures(solution: Solution | None) -> dict[str, Sequence[str] | int] | None:
    if solution is None:
        return None
    deeds: Sequence[str] = list(solution.deeds)
    return {"commands": list(solution.commands), "score": solution.score, "deeds": deeds}
