"""What training is watched by: turns told exactly in worlds of held-out words. Knows no run.

The true history is fed, so that one wrong turn leads to no other; what the master says beside the
reply counts too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from adventure.master.corpus import Group, Sample
from engine.copyhints import HintConfig
from engine.rwkv.hints import Hints
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer
from engine.train import read_opening

_SHOWN = 6  # first wrong tokens that are described
_BEFORE = 60  # tokens shown before one


@dataclass
class Tally:
    """Turns by kind, those that were exact, and a line on each of the first wrong tokens."""

    total: Counter[str] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def summary(self, kinds: int = 8) -> str:
        """All in numbers, and the kinds that failed most."""
        share = {kind: self.exact[kind] / n for kind, n in self.total.items()}
        worst = sorted(share, key=lambda kind: (share[kind], -self.total[kind]))[:kinds]
        failed = ", ".join(f"{k} {self.exact[k]}/{self.total[k]}" for k in worst if share[k] < 1)
        return f"exact turns {self.exact.total()}/{self.total.total()}: {failed}"


def hints_of(sample: Sample) -> Hints:
    """A batch's hints as the network takes them."""
    return torch.from_numpy(sample.ids), torch.from_numpy(sample.codes)


def row_of(sample: Sample) -> Sample:
    """One sample as a batch of itself."""
    tokens, ids = sample.tokens[None], sample.ids[None]
    return Sample(tokens, ids, sample.codes[None], sample.said[None], sample.turns)


def validate(
    model: Network, tokenizer: Tokenizer, hints: HintConfig, groups: Iterable[Group]
) -> Tally:
    """Judge the segments of groups that have one each; `model` is to be in evaluation mode."""
    tally = Tally()
    # Which form of a standing reply is told is the master's to choose.
    form = torch.tensor([hints.newline, tokenizer.encode(" or")[0]])
    for group in groups:
        one, before = group.segments, row_of(group.opening)
        hinted = model.config.hints is not None
        tokens = torch.from_numpy(one.tokens)
        with torch.inference_mode():
            state = read_opening(
                model,
                torch.from_numpy(before.tokens),
                hints_of(before) if hinted else None,
                copies=1,
            )
            logits, _ = model(tokens, state, hints=hints_of(one) if hinted else None)
        guess, truth = logits[0].argmax(-1).cpu(), tokens[0].roll(-1)
        for first, last, kind in one.turns:
            tally.total[kind] += 1
            off = guess[first:last] != truth[first:last]
            free = torch.isin(guess[first:last], form) & torch.isin(truth[first:last], form)
            wrong = (off & ~free).nonzero()
            tally.exact[kind] += not len(wrong)
            if len(wrong) and len(tally.wrong) < _SHOWN:
                at = first + int(wrong[0])
                said = tokenizer.decode(tokens[0, max(0, at - _BEFORE) : at + 1].tolist())
                got, want = (tokenizer.decode([int(x)]) for x in (guess[at], truth[at]))
                tally.wrong.append(f"  wrong [{kind}] ...{said!r} -> {got!r}, wanted {want!r}")
    return tally
