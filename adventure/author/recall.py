"""`adventure check --recall`: what of a world its game master can say from memory.

Each fact of the pack is asked for by a command, from the pack as just read and the records that the
question needs, in words, as a game is restored. The true turn is then shown to the network token by
token: it recalls the fact if at each of them it would have said the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from adventure.author.probes import Probe, probes
from adventure.master import SHIPPED
from adventure.master.gamemaster import GameMaster, load_network
from adventure.referee.rules import Outcome, play, start
from adventure.world.parts import World
from adventure.world.prompt import changed_keys, command_text, memory_text, reply_text
from engine.generate import prefill

_SHOWN = 40
"""Misses that are printed."""
_WIDE = 512
"""A network no wider than this is asked on one thread."""


@dataclass(frozen=True)
class Miss:
    """A probe that failed: the hidden or visible line in which it went wrong, and what was said."""

    probe: Probe
    wanted: str
    said: str


@dataclass
class Recall:
    """Probes by kind: how many there were and how many were answered to the letter."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)

    def told(self) -> list[str]:
        """A line a kind, then the misses."""
        lines = [
            f"The game master recalls {self.right.total()} of {self.asked.total()} facts "
            f"({', '.join(f'{kind} {self.right[kind]}/{n}' for kind, n in self.asked.items())})."
        ]
        for miss in self.misses[:_SHOWN]:
            said = f"in {miss.wanted!r} it would say {miss.said!r}"
            given = f" ({miss.probe.line})" if miss.probe.line != miss.probe.what else ""
            lines.append(f"  {miss.probe.kind} {miss.probe.what}{given}: {said}")
        if len(self.misses) > _SHOWN:
            lines.append(f"  and {len(self.misses) - _SHOWN} more (all of them: --json)")
        return lines

    def figures(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "kinds": {k: {"asked": n, "right": self.right[k]} for k, n in self.asked.items()},
            "misses": [
                {
                    "kind": miss.probe.kind,
                    "what": miss.probe.what,
                    "command": miss.probe.line,
                    "wanted": miss.wanted,
                    "said": miss.said,
                }
                for miss in self.misses
            ],
        }


def recall(world: World, path: Path | None = None) -> Recall:
    """Ask a game master about all of a world. Raises UserError where there is none."""
    model, tokenizer = load_network(path or SHIPPED)
    if model.config.n_embd <= _WIDE:
        torch.set_num_threads(1)
    return ask(GameMaster(model, tokenizer, world))


def ask(master: GameMaster) -> Recall:
    """The same of a game master at hand; its opening stays as it was."""
    found = Recall()
    seen: dict[tuple[str, str], Miss | None] = {}
    for probe in probes(master.world):
        found.asked[probe.kind] += 1
        read = question(master.world, probe)
        if read not in seen:
            seen[read] = _miss(master, probe)
        if miss := seen[read]:
            found.misses.append(Miss(probe, miss.wanted, miss.said))
        else:
            found.right[probe.kind] += 1
    return found


def _miss(master: GameMaster, probe: Probe) -> Miss | None:
    """None if some form of the standing replies is what the network would say; else the nearest."""
    asked = [t for text in question(master.world, probe) for t in master.tokenizer.encode(text)]
    with torch.no_grad():
        logits, state = prefill(master.model, torch.tensor([asked]), master.opening().state)
        nearest: tuple[int, Miss] | None = None
        for outcome in _forms(master.world, probe):
            tokens = master.tokenizer.encode(reply_text(outcome.lines, outcome.reply))
            after, _ = master.model(torch.tensor([tokens[:-1]]), state, mode="gpt")
            guesses = torch.cat((logits[:, None], after), 1)[0].argmax(-1).tolist()
            wrong = next((i for i, t in enumerate(tokens) if guesses[i] != t), None)
            if wrong is None:
                return None
            if nearest is None or wrong > nearest[0]:
                wanted = _line_of(master, tokens, wrong)
                nearest = wrong, Miss(probe, wanted, master.tokenizer.decode([guesses[wrong]]))
    return nearest[1] if nearest else None


def question(world: World, probe: Probe) -> tuple[str, str]:
    """What is read after the pack: the memory in words, and the command."""
    changed = changed_keys([], start(world), probe.records)
    return memory_text(probe.records, changed), command_text(probe.line)


def _forms(world: World, probe: Probe) -> Iterator[Outcome]:
    """The turn with the first form of each standing reply, with the second, and so on."""
    seen = set[str]()
    for form in range(max(map(len, world.voice.values()))):

        def choose(_: str, forms: int, form: int = form) -> int:
            return min(form, forms - 1)

        outcome = play(world, probe.records, probe.line, choose)
        if outcome.reply not in seen:
            seen.add(outcome.reply)
            yield outcome


def _line_of(master: GameMaster, tokens: list[int], at: int) -> str:
    """The line of a turn that a token stands in."""
    before = master.tokenizer.decode(tokens[:at])
    whole = master.tokenizer.decode(tokens)
    begin = before.rfind("\n") + 1
    end = whole.find("\n", max(begin, len(before)))
    return whole[begin : end if end >= 0 else len(whole)].strip()
