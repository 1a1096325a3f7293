"""The network that a run begins with, and what is saved of it; knows no corpus and no steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

from torch import Tensor

from adventure.errors import TrainError
from adventure.master.corpus import hint_config
from adventure.master.tune_options import Plan
from adventure.world.prompt import SPECIALS
from engine.adapters import Learn, merged, prepare, save_part
from engine.attention import AttentionNetwork
from engine.checkpoint import load_model, save_model, weights_hash
from engine.copyhints import HintConfig
from engine.memoryconfig import MemoryConfig
from engine.rwkv.config import Config
from engine.rwkv.network import Network
from engine.tokenizer import AnyTokenizer, Tokenizer

MASTER = "master.safetensors"
"""What a run saves for play."""


def check_marks(file: Path, config: Config, tokenizer: AnyTokenizer) -> Tokenizer:
    """The tokenizer of the checkpoint `file`, if a game can be told with it.

    Raises TokenizerError or TrainError where it lacks the marks of the protocol, or the network was
    made for other copy hints.
    """
    for mark in SPECIALS[1:]:
        tokenizer.id_of(mark)
    own = cast(Tokenizer, tokenizer)  # the only kind that has such marks
    hints = hints_of_vocabulary(own, f"the tokenizer of {file} has other words")
    if config.hints is not None and config.hints != hints:
        raise TrainError(f"{file} follows other copy hints than this version's; train a new one.")
    return own


def hints_of_vocabulary(tokenizer: Tokenizer, what: str) -> HintConfig:
    """Raises TrainError, beginning with `what`, for words that aren't single tokens."""
    try:
        return hint_config(tokenizer)
    except ValueError as error:
        raise TrainError(f"{what[:1].upper()}{what[1:]}: {error}.") from error


def first_network(plan: Plan, hints: HintConfig, out: Path, resumed: bool) -> Network:
    """The network of a run, in training mode, of which what is to learn requires gradients.

    resumed: there is a run.pt, which has what is learned. Raises CheckpointError for a checkpoint
    that can't be used, TrainError for one that was changed since the run began.
    """
    if not plan.init:
        model = fresh_network(plan, hints)
    elif resumed and plan.learn == "all":
        model = load_model(out / MASTER)  # for its shape; run.pt has the weights
    else:
        if weights_hash(plan.init) != plan.base:
            raise TrainError(f"{plan.init} was changed since the run began; put it back.")
        model = load_model(plan.init)
    if plan.memory:
        memory = MemoryConfig(plan.slots, plan.memory, plan.gate, plan.formula, plan.pause)
        if model.config.memory not in (None, memory):
            raise TrainError(
                f"{plan.init or out / MASTER} has a latent memory already, {model.config.memory}, "
                "whose learning would be lost; leave out --memory, or ask for the same one."
            )
        model.add_memory(memory, plan.seed)
    model = prepare(model.train(), cast(Learn, plan.learn), plan.rank, plan.seed)
    try:
        if plan.mixed:
            model.use_mixed()
    except ValueError as error:
        raise TrainError(f"--mixed can't be: {error}.") from error
    return model.train()


def fresh_network(plan: Plan, hints: HintConfig) -> Network:
    """A network of the plan's core and shape that has learned nothing.

    Raises TrainError for a latent memory in one that can't have it.
    """
    attends = plan.core == "attention"
    if attends and plan.memory:
        raise TrainError("--core attention has no latent memory; leave out --memory.")
    config = Config(
        n_layer=plan.layers,
        n_embd=plan.width,
        vocab=plan.vocab,
        tied=True,
        hints=hints if plan.hints else None,
        generation="7" if attends else plan.core,
    )
    return (AttentionNetwork if attends else Network).create(config, plan.seed)


def plain(model: Network, plan: Plan, averaged: Mapping[str, Tensor]) -> Network:
    """The network as it is to be judged and saved; `model` itself where nothing is merged."""
    return merged(model, averaged) if averaged or plan.learn != "all" else model


def export(
    model: Network, plan: Plan, averaged: Mapping[str, Tensor], out: Path, tokens: int
) -> None:
    """Save a master that plays, and the adapter or state that was learned, into the run's folder.

    Raises CheckpointError where that can't be.
    """
    about = {"tokens_seen": str(tokens), "plan": json.dumps(asdict(plan))}
    save_model(plain(model, plan, averaged), out / MASTER, about, dtype="float16")
    if plan.learn != "all":
        part = out / f"{plan.learn}.safetensors"
        save_part(model, part, plan.base, cast(Learn, plan.learn), averaged)
