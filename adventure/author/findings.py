"""What a check has to say of a world: how grave it is, where, in a sentence. Knows no rule."""

from __future__ import annotations

from dataclasses import dataclass

from adventure.world.lines import Place

WARNING, NOTE = "warning", "note"


@dataclass(frozen=True)
class Finding:
    """kind: a word for programs; place: in the pack, () for all of it; text: a whole sentence."""

    level: str
    kind: str
    place: Place
    text: str


def warning(kind: str, place: Place, text: str) -> Finding:
    """Something that is most likely a mistake."""
    return Finding(WARNING, kind, place, text)


def note(kind: str, place: Place, text: str) -> Finding:
    """Something that is often meant so, and worth a look."""
    return Finding(NOTE, kind, place, text)
