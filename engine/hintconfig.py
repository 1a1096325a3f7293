"""Copy hints' channels and the tokens that structure the text. Knows how no hint is found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

RECORD, SKIP, VALUE, KEY, NOUN, NOUN2, SEQUEL, NEXT, ELSE, ABOUT, TO, PLACE, DUE = range(13)
CHANNELS = 13
CODES = 10
"""Sureness codes of a channel: 0 no hint. RECORD: 1 inside the key, 2 and 4-9 inside the value; all
but 4 say that the item is the block's line's subject (2), the first or second noun (5, 6), the
place (7), the line's object (8) or the command's verb (9). Others: 1 fresh (at the start of its
source), 2 running (the last token came from there), 3 and 4 the same and the hinted token is also
RECORD's. VALUE: 5 fresh, and the item named is the key of a record (what something is in, if it
isn't a room). VALUE and TO: 6 fresh, and the list that they name is that of the place, of which
this block hasn't told anything. KEY: 7 fresh, and somebody who comes or goes has to be told."""


class OtherVersionError(ValueError):
    """Settings of another version of this format; which: "an earlier" or "a later"."""

    def __init__(self, which: str) -> None:
        super().__init__(f"they are of {which} version")
        self.which = which


@dataclass(frozen=True)
class HintConfig:
    """Ids of the tokens that structure the text."""

    newline: int
    colon: int
    comma: int
    stop: int
    command: int
    say: int
    end: int
    field: int
    when: int
    condition: int  # " if"
    does: int  # " so"
    tell: int  # " say"
    at: int  # " At"
    article: int  # " the"
    bracket: int  # " ("
    noun: int  # the marks of templates
    noun2: int
    key: int
    value: int
    last: int
    about: int
    first: int
    new: int  # " new"
    was: int  # " was"
    clock: int  # " clock"
    leads: int  # " leads"
    clocks: int  # " Clocks"
    zero: int  # " 0"
    nothing: int  # " nothing"
    off: int  # " off"
    go: int  # " go"
    you: int  # " you"
    worn: int  # " worn"
    holds: int  # " holds"
    exits: int  # " exits"
    deeds: int  # " Deeds"
    game: int  # " game"
    arrive: int  # " arrive"
    light: int  # " light"
    dark: int  # " dark"
    person: int  # " person"
    carry: tuple[int, ...] = ()  # " You carry"
    capitals: tuple[int, ...] = ()  # tokens that begin with a capital: such names take no article

    def to_metadata(self) -> dict[str, str]:
        """As the safetensors header keeps it."""
        return {"hints": json.dumps(asdict(self), sort_keys=True)}

    @staticmethod
    def from_metadata(metadata: dict[str, str]) -> HintConfig | None:
        """None where the checkpoint has no hints. Raises ValueError on a damaged entry,
        OtherVersionError on one with fewer names or others."""
        if "hints" not in metadata:
            return None
        raw = json.loads(metadata["hints"])
        names = {f.name for f in fields(HintConfig)}
        if not isinstance(raw, dict) or not raw:
            raise ValueError(f"hints must name exactly {sorted(names)}")
        lacking = names - set(raw)
        if set(raw) - names:
            raise OtherVersionError("a later")
        several = {name: raw.pop(name, []) for name in ("carry", "capitals")}
        ids = [*raw.values()]
        for many in several.values():
            ids += many if isinstance(many, list) else [None]
        if not all(type(value) is int and value >= 0 for value in ids):
            raise ValueError(f"hints must be token ids, got {raw}")
        if lacking:  # every version so far has named more than the one before
            raise OtherVersionError("an earlier")
        carry, capitals = (tuple(several[name]) for name in ("carry", "capitals"))
        return HintConfig(**raw, carry=carry, capitals=capitals)
