"""Which room may know which: the arrows of docs/ARCHITECTURE.md, read from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "engine": {"engine"},
    "adventure.errors": {"engine.errors"},
    "adventure.world": {"adventure.world", "adventure.errors"},
    "adventure.referee": {"adventure.referee", "adventure.world", "adventure.errors"},
    "adventure.master": {
        "adventure.master",
        "adventure.referee",
        "adventure.world",
        "adventure.errors",
        "engine",
    },
    "adventure.master.judged": {
        "adventure.master",
        "adventure.referee",
        "adventure.author.import_game",  # TextWorld's games are judged in, too
        "adventure.author.textworld",
        "adventure.world",
        "adventure.errors",
        "engine",
    },
    "adventure.master.walks": {
        "adventure.play.session",  # a walk is typed as players do
        "adventure.referee",
        "adventure.world",
        "adventure.errors",
    },
    "adventure.play": {
        "adventure",
        "adventure.play",
        "adventure.master.gamemaster",
        "adventure.world",
        "adventure.errors",
        "engine",
    },
    "adventure.author": {
        "adventure",
        "adventure.author",
        "adventure.schema",
        "adventure.play",
        "adventure.master",
        "adventure.referee",
        "adventure.world",
        "adventure.errors",
        "engine",
    },
    "adventure.schema": {"adventure.world"},
    "adventure.models": {"adventure.errors", "engine"},
    "adventure.convert": {"adventure.errors", "engine"},
    "adventure.cli": {"adventure", "engine"},
    "adventure.play_command": {"adventure", "engine"},
    "adventure.bench_command": {"adventure", "engine"},
    "adventure.__main__": {"adventure.cli"},
    "adventure": set(),
}
"""Room -> what of our own it may import; "adventure" itself is the version number."""
WHOLE = {"adventure.cli", "adventure.play_command", "adventure.bench_command"}
"""Rooms that may import anything below the names they are allowed."""
NOT_EVEN_LATER = ("adventure.play.ui", "adventure.play.screen", "adventure.play.commands")


def modules() -> dict[str, Path]:
    found = {}
    for package in ("adventure", "engine"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(module: str, path: Path) -> Iterator[tuple[str, bool]]:
    """Everything a module imports anywhere, and whether only for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    known = modules()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = ".".join(parts[: len(parts) - node.level + 1])
                base = f"{above}.{base}" if base else above
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in known else base), id(node) in typing


def room_of(module: str) -> str:
    return max((r for r in ALLOWED if inside(module, r)), key=len)


def inside(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def permitted(target: str, module: str) -> bool:
    room = room_of(module)
    for name in ALLOWED[room]:
        if name == "adventure" and room not in WHOLE:
            if target == "adventure":
                return True
        elif inside(target, name):
            return True
    return False


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_room_may_know(module: str) -> None:
    wrong = {
        target
        for target, _ in imports(module, modules()[module])
        if target.split(".")[0] in ("adventure", "engine") and not permitted(target, module)
    }
    assert not wrong


@pytest.mark.parametrize("module", modules())
def test_nobody_imports_cuda_and_the_engine_knows_no_terminal(module: str) -> None:
    targets = {target.split(".")[0] for target, _ in imports(module, modules()[module])}
    assert "cuda" not in targets
    if inside(module, "engine"):
        assert not targets & {"adventure", "prompt_toolkit"}


@pytest.mark.parametrize("module", NOT_EVEN_LATER)
def test_terminal_and_commands_import_no_torch(module: str) -> None:
    targets = {
        target.split(".")[0] for target, typing in imports(module, modules()[module]) if not typing
    }
    assert "torch" not in targets


@pytest.mark.parametrize("module", NOT_EVEN_LATER)
def test_nor_does_anything_that_they_import(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_this_test_would_notice() -> None:
    assert not permitted("adventure.play.loop", "adventure.referee.rules")
    assert not permitted("adventure.world.pack", "engine.train")
    assert not permitted("adventure.master.tune", "adventure.play.session")
    assert not permitted("adventure.cli", "adventure.play.loop")
    assert permitted("adventure.master.gamemaster", "adventure.play.session")
    assert permitted("adventure.master.tune", "adventure.cli")
