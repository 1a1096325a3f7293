"""All that can be said against a sound world without playing it. Knows no file and no network."""

from __future__ import annotations

from adventure.author.findings import Finding
from adventure.author.lint_parts import part_lints
from adventure.author.lint_prose import prose_lints
from adventure.author.lint_reach import reach_lints
from adventure.world.parts import World


def lints(world: World) -> list[Finding]:
    """Warnings and notes: first what can't happen, then the prose, then what is left over."""
    found = (*reach_lints(world), *prose_lints(world), *part_lints(world))
    return list(dict.fromkeys(found))
