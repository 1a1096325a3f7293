"""Does a latent memory carry facts? A toy that nothing else can answer; no text and no game.

In each of several segments some keys are told a value, some of them anew; the last one asks for
every key. Each segment starts from the same state, so that only memory can know. Right by chance:
one in VALUES.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from torch import Generator, Tensor

from engine.memoryconfig import SOLIDIFIERS, MemoryConfig
from engine.rwkv.config import Config, Ranks
from engine.rwkv.draws import normal
from engine.rwkv.network import Network
from engine.segments import Latent, Segment, segments_loss
from engine.train import Schedule, Trainer

KEYS, VALUES = 2, 8
MANY = 24
_ASKED = KEYS * VALUES  # the first tokens are facts: a key and its value
_ANSWERS = _ASKED + KEYS
VOCAB = _ANSWERS + VALUES
_SMALL = MemoryConfig(slots=4)
_ON: Latent = "on"
_FROZEN: Latent = "frozen"


@dataclass(frozen=True)
class Plan:
    """A toy of up to `segments` segments, learned in at most `steps` steps of `batch` games.

    Segments grow in number as the network, one layer `width` wide, learns: one more when nine
    tenths are right.
    """

    memory: MemoryConfig = _SMALL
    generation: str = "7"
    segments: int = 3
    width: int = 32
    steps: int = 400
    batch: int = 64
    rate: float = 1e-2
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """Share of answers right: over as many segments as were learned, with the memory that nothing
    is written to, and over MANY segments."""

    plan: Plan
    right: float
    frozen: float
    many: float
    steps: int
    seconds: float

    def as_text(self) -> str:
        m = self.plan.memory
        how = f"{m.solidifier}, gate {m.gate}, formula {m.formula}, pause {m.pause}"
        return (
            f"RWKV-{self.plan.generation}, {how}: {self.right:.1%} right over "
            f"{self.plan.segments} segments, frozen {self.frozen:.1%}; over {MANY} "
            f"{self.many:.1%} ({self.steps} steps, {self.seconds:.0f} s)"
        )


def toy_chain(batch: int, segments: int, rng: Generator) -> list[Segment]:
    """`segments` segments of `batch` games: all facts told, then one anew in each, then all asked.

    A fact, a question and an answer are a token each; answers are the targets.
    """
    held = torch.randint(VALUES, (batch, KEYS), generator=rng)
    made = []
    for i in range(segments):
        keys = torch.rand(batch, KEYS, generator=rng).argsort(1)
        if i == segments - 1:
            told = torch.stack((_ASKED + keys, _ANSWERS + held.gather(1, keys)), 2).flatten(1)
        else:
            if i:  # one fact is overwritten, the others stay as they are
                keys = keys[:, :1]
                fresh = torch.randint(VALUES, (batch, 1), generator=rng)
                held = held.scatter(1, keys, fresh)
            told = keys * VALUES + held.gather(1, keys)
        said = (told >= _ASKED) & (told < _ANSWERS)
        made.append(Segment(told, said, torch.full((batch,), told.shape[1])))
    return made


def learn(plan: Plan) -> Result:
    """Train a fresh network on the toy, then count; the same plan gives the same result."""
    began = time.perf_counter()
    model = _network(plan)
    trainer = Trainer(model, Schedule(plan.steps, plan.rate, warmup=20, decay=0.5))
    rng = torch.Generator().manual_seed(plan.seed)
    segments, smooth = 2, 0.0
    while trainer.step < plan.steps:
        chain = toy_chain(plan.batch, segments, rng)
        smooth = 0.8 * smooth + 0.2 * trainer.update([partial(_loss, model, chain)])[1]
        if smooth > 0.9 and segments < plan.segments:
            segments, smooth = segments + 1, 0.0
        elif smooth > 0.99:
            break
    model.eval()
    with torch.no_grad():
        chain = toy_chain(512, plan.segments, rng)
        right, frozen, many = (
            float(_loss(model, asked, latent)[1].float().mean())
            for asked, latent in (
                (chain, _ON),
                (chain, _FROZEN),
                (toy_chain(512, MANY, rng), _ON),
            )
        )
    return Result(plan, right, frozen, many, trainer.step, time.perf_counter() - began)


def bench(plan: Plan, seeds: int = 1) -> list[dict[str, object]]:
    """The plan with every solidifier, with an elephant gate, pause tokens and the wrong formula.

    Prints a line on each as it is done.
    """
    kinds = [replace(plan.memory, solidifier=name) for name in SOLIDIFIERS]
    kinds.append(replace(plan.memory, gate="elephant"))
    kinds.append(replace(plan.memory, solidifier="fsq", gate="elephant"))
    kinds.append(replace(plan.memory, pause=2))
    kinds.append(replace(plan.memory, formula="wrong"))
    rows: list[dict[str, object]] = []
    for memory in kinds:
        for seed in range(seeds):
            result = learn(replace(plan, memory=memory, seed=seed))
            print(result.as_text(), flush=True)
            rows.append(asdict(result))
    return rows


def _network(plan: Plan) -> Network:
    config = Config(
        n_layer=1,
        n_embd=plan.width,
        vocab=VOCAB,
        head_size=16,
        ranks=Ranks(w=8, a=8, v=8, g=16, mix=8),
        generation=plan.generation,
        memory=plan.memory,
    )
    model = Network.create(config, plan.seed)
    rng = torch.Generator().manual_seed(plan.seed)
    with torch.no_grad():
        # Layers that at first add nothing take most of so short a training to wake up.
        for name, p in model.named_parameters():
            if name.endswith(("att.output.weight", "ffn.value.weight")):
                p.copy_(normal(p, p.shape[1] ** -0.5, rng))
    return model


def _loss(model: Network, chain: Sequence[Segment], latent: Latent = "on") -> tuple[Tensor, Tensor]:
    state = model.initial_state(len(chain[0].tokens))
    return segments_loss(model, state, chain, latent=latent)
