"""An RWKV network of any generation and its ways to run; knows nothing of files or text.

state_dict() has the names of official checkpoints, so the same object trains and plays.

Glossary: B batch, T tokens, C width, H heads, N head size, L layers, V vocabulary, K hint channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import gpu
from engine.copyhints import CopyHints
from engine.kernels import KernelError, assumed_constant
from engine.memory import LatentMemory
from engine.memoryconfig import MemoryConfig
from engine.native import Runner, runner_for
from engine.rwkv import passes, v4, v7_layers
from engine.rwkv.blank import Embedding, Linear
from engine.rwkv.block import Block
from engine.rwkv.config import Config
from engine.rwkv.hints import HintLayer, Hints, read_hints
from engine.rwkv.init import initialise
from engine.rwkv.layers import new_block
from engine.rwkv.state import State
from engine.rwkv.v7_gpu import MOST_ROWS, MOST_TOKENS, GpuStep, step_for
from engine.rwkv.v7_step import LARGEST, Packed, pack

Mode = Literal["gpt", "rnn", "cuda"]


class Network(nn.Module):
    """The network. GPT mode can always be differentiated, RNN mode in train mode only.

    Where nothing is differentiated, on the CPU, the native runtime (engine/native.py) does the work
    if it can be built: quick, and bit-identical for every mode, split of the tokens and batch.
    weights: how it keeps the large matrices: "float32" as made, "bfloat16" or "int8".
    exact: False as made. When True, plain torch is bit-identical too: every token of every row goes
    alone through the very same operations, slowly. The bits of the two differ.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.exact = self.mixed = False
        self.weights = "float32"
        self.emb = Embedding(config.vocab, config.n_embd)
        self.blocks = nn.ModuleList(new_block(config, i) for i in range(config.n_layer))
        self.ln_out = nn.LayerNorm(config.n_embd)
        if not config.tied:
            self.head = Linear(config.n_embd, config.vocab, bias=False)
        self.hint = HintLayer(config.vocab, config.n_embd) if config.hints else None
        self.memory = LatentMemory(config.memory, config) if config.memory else None
        self._pack: Packed | None = None
        self._runner: Runner | None = None
        self._gpu_step: GpuStep | None = None

    @classmethod
    def create(cls, config: Config, seed: int = 0) -> Network:
        """A fresh network, ready to train; the same seed gives the same weights."""
        model = cls(config)
        initialise(model, config, seed)
        if model.memory:
            model.memory.initialise(model.emb.weight, seed)
        return model

    def add_memory(self, memory: MemoryConfig, seed: int = 0) -> None:
        """Give the network a latent memory that has learned nothing; one that is just so stays.

        Raises ValueError where it has another one: what that has learned would be lost.
        """
        if self.config.memory is not None:
            if self.config.memory != memory:
                raise ValueError(f"there is another one already: {self.config.memory}")
            return
        self.config = replace(self.config, memory=memory)
        self.memory = LatentMemory(memory, self.config).to(self.emb.weight.device)
        self.memory.initialise(self.emb.weight, seed)
        self.drop_copies()

    def use_mixed(self, on: bool = True) -> None:
        """Multiply in bfloat16 in GPT mode's large products (faster training, see mixed.py).

        Raises ValueError for a generation other than 7.
        """
        if self.config.generation != "7":
            raise ValueError(f"RWKV-{self.config.generation} has no mixed products, only RWKV-7")
        self.mixed = on
        for block in self._layers():
            cast(v7_layers.TimeMix, block.att).mixed = on
            cast(v7_layers.ChannelMix, block.ffn).mixed = on

    @property
    def compat(self) -> float | None:
        """None, or the epsilon with which RWKV-2 and 3 compute as the first programs for them did.

        Those cut off keys at 60 and added 1e-9 to the denominator, 1e-8 for the checkpoint
        20220615-10803. Setting it raises ValueError for other generations.
        """
        att = self._layers()[0].att
        return att.compat if isinstance(att, v4.TimeMix) else None

    @compat.setter
    def compat(self, epsilon: float | None) -> None:
        if self.config.generation not in ("2", "3"):
            raise ValueError(f"compat is for RWKV-2 and 3, not RWKV-{self.config.generation}")
        for block in self._layers():
            cast(v4.TimeMix, block.att).compat = epsilon

    @property
    def step_mode(self) -> Mode:
        """The quickest mode for one token: "cuda" where the weights' GPU runs the kernels."""
        return "cuda" if gpu.usable(self.emb.weight.device) else "rnn"

    def initial_state(self, batch: int = 1) -> State:
        """The state before anything is read, on the weights' device: empty, or a tuned time_state.

        With gradients on, a tuned state can be trained through what this returns.
        """
        c = self.config
        layers = [block.initial(batch) for block in self._layers()]
        tensors = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
        hints = (CopyHints.start(c.hints),) * batch if c.hints else None
        return State(tensors, hints)

    def forward(
        self,
        tokens: Tensor,
        state: State,
        mode: Mode = "gpt",
        hints: Hints | None = None,
        last_only: bool = False,
        select: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read tokens (B, T) int64 from `state`: logits (B, T, V) and the state after them.

        mode "gpt" runs all tokens in parallel, "rnn" one by one; "cuda" is for weights on a GPU: in
        parallel, or by the fused step where that is quicker (RWKV-7, few tokens, no gradients). The
        answers agree to rounding, and to the bit in an `exact` network. Tokens, state, hints and
        select may be on any device; logits and state come on that of the weights.
        hints: precomputed (ids, codes), each (B, T, K); else they are worked out from the tokens
        and state.hints. A state that comes of precomputed hints has hints None.
        last_only: logits of the last position alone, (B, 1, V).
        select: bool (B, T), M of them true; logits are then (M, V), for those positions alone.
        Raises ValueError for a mode, a shape or hints that don't fit; KernelError for mode "cuda"
        where the weights are not on a GPU that can run the kernels.
        """
        self._check(tokens, state, mode, select)
        hints, past = self._hints(tokens, state, hints)
        device = self.emb.weight.device
        tokens, state = tokens.to(device), state.to(device)
        hints = hints and (hints[0].to(device), hints[1].to(device))
        wanted = None if last_only or select is None else select.to(device)
        if runner := self._native(mode):
            logits, tensors = runner.forward(tokens, state.tensors, hints, last_only, wanted)
            return logits, State(tensors, past)
        if self.exact:
            given = (tokens, state.tensors, hints, last_only, wanted)
            logits, tensors = passes.exactly(self, self._layers(), *given)
            return logits, State(tensors, past)
        if step := self._fused(mode, tokens):
            logits, tensors = step.forward(tokens, hints, state.tensors)
            shown = logits[:, -1:] if last_only else logits if wanted is None else logits[wanted]
            return shown, State(tensors, past)
        packed = self._packed() if mode == "rnn" and self._can_pack() else None
        with torch.set_grad_enabled(torch.is_grad_enabled() and packed is None):
            x = self._layers()[0].enter(self.embed(tokens, hints))
            if packed:
                x, tensors = passes.by_steps(packed, x, state.tensors)
            elif mode == "rnn":
                x, tensors = passes.one_by_one(self._layers(), x, state.tensors)
            else:
                x, tensors = passes.parallel(self._layers(), x, state.tensors)
            if last_only:
                x = x[:, -1:]
                hints = hints and (hints[0][:, -1:], hints[1][:, -1:])
            elif wanted is not None:
                x = x[wanted].unsqueeze(0)  # (1, M, C)
                hints = hints and (hints[0][wanted].unsqueeze(0), hints[1][wanted].unsqueeze(0))
            logits = self.logits(self.ln_out(x), hints, packed)
        return logits if wanted is None else logits[0], State(tensors, past)

    def read_embeddings(self, x: Tensor, state: State, mode: Mode = "gpt") -> tuple[Tensor, State]:
        """Read embeddings x (B, T, C), as `embed` gives them, in place of tokens.

        Returns what the head would take, the last layer's outputs (B, T, C) after the final norm,
        and the state; its copy hints are those of `state`. Modes and bits are as in `forward`: the
        native runtime, where it does the work, gives the same ones in every way.
        Raises ValueError for a mode or shape that doesn't fit, KernelError as `forward`.
        """
        if x.dim() != 3 or x.shape[0] != state.batch or not x.shape[1]:
            raise ValueError(
                f"embeddings have shape {tuple(x.shape)}, wanted ({state.batch}, 1 or more, width)"
            )
        _check_mode(mode, self.emb.weight.device)
        past, state = state.hints, state.to(self.emb.weight.device)
        x = x.to(self.emb.weight.device)
        if runner := self._native(mode):
            h, tensors = runner.read_embeddings(x, state.tensors)
            return h, State(tensors, past)
        if self.exact:
            h, tensors = passes.exactly_embedded(self, self._layers(), x, state.tensors)
            return h, State(tensors, past)
        way = passes.one_by_one if mode == "rnn" else passes.parallel
        x, tensors = way(self._layers(), self._layers()[0].enter(x), state.tensors)
        return self.ln_out(x), State(tensors, past)

    def _check(self, tokens: Tensor, state: State, mode: Mode, select: Tensor | None) -> None:
        if tokens.dim() != 2 or tokens.shape[0] != state.batch or not tokens.shape[1]:
            raise ValueError(
                f"tokens have shape {tuple(tokens.shape)}, wanted ({state.batch}, 1 or more)"
            )
        if tokens.is_floating_point() or tokens.dtype is torch.bool:
            raise ValueError(f"tokens are {tokens.dtype}, wanted whole numbers")
        if select is not None and select.dtype is not torch.bool:
            raise ValueError(f"select is {select.dtype}, wanted a mask of bool")
        _check_mode(mode, self.emb.weight.device)

    def _hints(
        self, tokens: Tensor, state: State, hints: Hints | None
    ) -> tuple[Hints | None, tuple[CopyHints, ...] | None]:
        """The hints to show, given or worked out, and those of the state after the tokens."""
        if self.hint is None:
            if hints is not None:
                raise ValueError("hints were given to a network without copy hints")
            return None, None
        if hints is not None:
            return hints, None
        if state.hints is None:
            raise ValueError("the state came of precomputed hints; give hints again")
        return read_hints(state.hints, tokens)

    def _layers(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    # -- tokens in, logits out ---------------------------------------------------------------

    def embed(self, tokens: Tensor, hints: Hints | None) -> Tensor:
        """The embeddings (B, T, C) of tokens and of what is hinted after them."""
        x: Tensor = self.emb(tokens)
        return x if hints is None or self.hint is None else x + self.hint.embed(hints)

    def unhinted(self, x: Tensor) -> Tensor:
        """Embeddings x (..., C) that are no tokens', as those that nothing is hinted after."""
        return x if self.hint is None else x + self.hint.unhinted()

    def _head(self) -> Tensor:
        return self.emb.weight if self.config.tied else self.head.weight  # (V, C)

    def logits(self, h: Tensor, hints: Hints | None, packed: Packed | None = None) -> Tensor:
        """Logits (B, T, V) of the last layer's outputs after the final norm, h (B, T, C)."""
        logits = h @ packed.head if packed else F.linear(h, self._head())
        # Half-precision weights too: all forms then give the same type, which saved games hold.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if hints is not None and self.hint is not None:
            logits = self.hint.raise_logits(logits, h, hints)
        return logits

    # -- other forms of the weights -------------------------------------------------------------

    def _native(self, mode: Mode) -> Runner | None:
        if mode == "cuda" or not self.emb.weight.is_cpu:
            return None
        detached = mode == "rnn" and not self.training and not self.exact
        if (torch.is_grad_enabled() and not detached) or self.compat is not None:
            return None
        self._runner = runner_for(self, self.config, self.weights, self._runner)
        return self._runner

    def _can_pack(self) -> bool:
        if self.config.generation != "7" or (self.training and torch.is_grad_enabled()):
            return False
        c, weights = self.config, self.emb.weight
        size = c.n_layer * c.n_embd * (5 * c.n_embd + 2 * c.ffn) + weights.numel()
        return size <= LARGEST and weights.dtype == torch.float32

    def _packed(self) -> Packed:
        if self._pack is None or not self._pack.fresh():
            self._pack = pack(self, self.config.n_layer, self._head())
        return self._pack

    def _fused(self, mode: Mode, tokens: Tensor) -> GpuStep | None:
        if mode != "cuda" or torch.is_grad_enabled():
            return None
        if len(tokens) > MOST_ROWS or tokens.shape[1] > MOST_TOKENS:
            return None
        self._gpu_step = step_for(self, self.config, self._gpu_step)
        return self._gpu_step

    def drop_copies(self) -> None:
        """Forget the packed forms of the weights, which are then made anew when needed.

        Done by itself when weights are replaced or written to, except through `.data` or numpy,
        where nobody can see it: call this then.
        """
        self._pack = self._runner = self._gpu_step = None

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: a copy packs its own weights."""
        return self.__dict__ | {"_pack": None, "_runner": None, "_gpu_step": None}

    def train(self, mode: bool = True) -> Network:
        self.drop_copies()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Network:
        self.drop_copies()
        return super()._apply(fn, recurse)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        self.drop_copies()
        return super().load_state_dict(*args, **kwargs)


def _check_mode(mode: Mode, device: torch.device) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}, wanted 'gpt', 'rnn' or 'cuda'")
    if mode == "cuda":
        _must_run_cuda(device)


@assumed_constant
def _must_run_cuda(device: torch.device) -> None:
    if why := gpu.why_not(device):
        raise KernelError(
            f'Mode "cuda" can\'t run here ({why}): it needs a network on a GPU, as '
            f'load_model(path, device="cuda") gives it.'
        )
