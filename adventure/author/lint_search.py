"""What a search of solve.py has to say of a world, as findings. Plays nothing itself."""

from __future__ import annotations

from collections.abc import Iterator

from adventure.author.findings import Finding, note, warning
from adventure.author.places import phrase, rule_places
from adventure.author.solve import Found
from adventure.world.parts import World


def search_lints(world: World, found: Found) -> Iterator[Finding]:
    """No way to win, endings and deeds that were not come to, commands that spoil the game."""
    if found.won is None and not found.impossible and found.endings:
        said = f"no way to win was found in {found.steps:,} steps tried"
        yield warning("unsolved", (), f"{said}; see that there is one, or raise --limit.")
    places = rule_places(world)
    for source, (how, reached) in found.endings.items():
        if not reached and source in found.thinkable:
            said = f"the ending of {phrase(source[0])!r} (game {how}) was not come to"
            yield note("ending-not-found", places.get(source, ()), f"{said}; see that it can be.")
    for deed in world.points:
        if deed not in found.deeds and deed in found.hoped:
            said = f"the deed {deed!r} was not come to"
            yield note("deed-not-found", ("deeds", deed), f"{said}; see that it can be.")
    if found.dead_ends:
        lines = ", ".join(sorted(repr(phrase(line)) for line in found.dead_ends))
        yield note("dead-end", (), f"the game can no longer be won after {lines}.")
