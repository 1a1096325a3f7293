"""The arms of the ablation: how each is trained, and how it is played. Knows no run and no file.

Two families. *Fresh* arms begin from nothing, in small worlds: what of the design does it take to
learn to tell them at all? *Trained* arms go on from a trained master: what does it take to carry
what has changed from one segment into the next?
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adventure.errors import TrainError

Family = Literal["fresh", "trained"]
Control = Literal["wiped", "zeroed", "frozen", "swapped"]
"""What is taken away in play: the memory in words; the latent one, for zeros, or for what it was
before anything was written; either, for another game's."""

COMMON: dict[Family, str] = {
    "fresh": "--layers 3 --segments 3 --longest 1100 --recall 0 --peak 4e-3",
    "trained": "--segments 3 --chain 3 --whole-games --longest 1600 --peak 1.5e-3",
}
"""Options of `adventure tune` that all arms of a family have."""
WORLDS = "--simple --rooms 3 5 --worlds 1"
"""The same for both: small worlds, one a step."""
LATENT = "--words off --slots 16 --memory"


@dataclass(frozen=True)
class Arm:
    """One thing changed. what: in words; tune: its own options of `adventure tune`; words, start:
    as it is played, of segments.MemoryUse; hidden: whether its turns have hidden lines; controls:
    how it is played once more."""

    name: str
    family: Family
    what: str
    tune: str
    words: bool = True
    start: Literal["opening", "carried"] = "opening"
    hidden: bool = True
    controls: tuple[Control, ...] = ()

    @property
    def options(self) -> list[str]:
        """All its options of `adventure tune` but seed, budget and files."""
        return f"{WORLDS} {COMMON[self.family]} {self.tune}".split()


_OF_LATENT: tuple[Control, ...] = ("zeroed", "frozen", "swapped")


def _latent(name: str, what: str, options: str) -> Arm:
    tune = f"--mixed {LATENT} {options}"
    return Arm(name, "trained", what, tune, words=False, controls=_OF_LATENT)


ARMS = (
    Arm("base", "fresh", "records, words, copy hints; RWKV-7", "--mixed"),
    Arm("no-hints", "fresh", "without copy hints", "--mixed --no-hints"),
    Arm(
        "no-records",
        "fresh",
        "replies alone: no records, so no words; the state goes on",
        "--mixed --no-records --segments 2 --longest 1650",
        hidden=False,
    ),
    Arm("rwkv-4", "fresh", "RWKV-4 for RWKV-7", "--core 4"),
    Arm("attention", "fresh", "attention for RWKV-7's time mix", "--mixed --core attention"),
    Arm("words", "trained", "memory in words", "--mixed --words on", controls=("wiped", "swapped")),
    Arm("nothing", "trained", "nothing", "--mixed --words off", words=False),
    Arm(
        "state",
        "trained",
        "the recurrent state",
        "--mixed --words off --start carried",
        words=False,
        start="carried",
    ),
    _latent("latent", "latent memory, MLP", "mlp"),
    _latent("latent-wrong", "latent memory, MLP, the wrong formula", "mlp --formula wrong"),
    _latent("latent-none", "latent memory, no solidifier", "none"),
    _latent("latent-fsq", "latent memory, quantised", "fsq"),
    Arm(
        "both",
        "trained",
        "memory in words, and a latent one",
        "--mixed --words on --slots 16 --memory mlp",
        controls=("zeroed", "frozen"),
    ),
)


def chosen(names: Sequence[str]) -> list[Arm]:
    """The arms of these names, all for none, in the order of ARMS. Raises TrainError for others."""
    known = [arm.name for arm in ARMS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            raise TrainError(f"--only is {name}, which is no arm; {hint}")
    return [arm for arm in ARMS if not names or arm.name in names]
