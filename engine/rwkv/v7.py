"""RWKV-7: the network and its two ways to run; knows nothing of files, text or training.

state_dict() has the names of official checkpoints, so the same object trains and plays.

Glossary: B batch, T tokens, C width, H heads, N head size, L layers, V vocabulary, K hint channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.copyhints import CopyHints
from engine.rwkv.blank import Embedding, Linear
from engine.rwkv.config import Config
from engine.rwkv.hints import HintLayer, Hints, read_hints
from engine.rwkv.state import State
from engine.rwkv.v7_init import initialise
from engine.rwkv.v7_layers import Block
from engine.rwkv.v7_step import LARGEST, Packed, advance, pack

Mode = Literal["gpt", "rnn"]


class RWKV7(nn.Module):
    """The network. RNN mode can be differentiated in train mode only, GPT mode always."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.emb = Embedding(config.vocab, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_out = nn.LayerNorm(config.n_embd)
        if not config.tied:
            self.head = Linear(config.n_embd, config.vocab, bias=False)
        self.hint = HintLayer(config.vocab, config.n_embd) if config.hints else None
        self._pack: Packed | None = None

    @classmethod
    def create(cls, config: Config, seed: int = 0) -> RWKV7:
        """A fresh network, ready to train; the same seed gives the same weights."""
        model = cls(config)
        initialise(model, config, seed)
        return model

    def use_mixed(self, on: bool = True) -> None:
        """Multiply in bfloat16 in GPT mode's large products (faster training, see mixed.py)."""
        for block in self._layers():
            block.att.mixed = block.ffn.mixed = on

    def initial_state(self, batch: int = 1) -> State:
        """The state before anything is read: zeros, on the weights' device."""
        c = self.config
        shift, heads = (c.n_layer, batch, c.n_embd), (c.n_head, c.head_size, c.head_size)
        device = self.emb.weight.device
        tensors = {
            "att_x": torch.zeros(shift, device=device),
            "wkv": torch.zeros((c.n_layer, batch, *heads), device=device),
            "ffn_x": torch.zeros(shift, device=device),
        }
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

        mode "gpt" runs all tokens in parallel, "rnn" one by one; the answers agree to rounding.
        hints: precomputed (ids, codes), each (B, T, K); else they are worked out from the tokens
        and state.hints. A state that comes of precomputed hints has hints None.
        last_only: logits of the last position alone, (B, 1, V).
        select: bool (B, T), M of them true; logits are then (M, V), for those positions alone.
        Raises ValueError for a mode, a shape or hints that don't fit.
        """
        if tokens.dim() != 2 or tokens.shape[0] != state.batch or not tokens.shape[1]:
            raise ValueError(
                f"tokens have shape {tuple(tokens.shape)}, wanted ({state.batch}, 1 or more)"
            )
        if mode not in ("gpt", "rnn"):
            raise ValueError(f"mode is {mode!r}, wanted 'gpt' or 'rnn'")
        past = None
        if self.hint is None:
            if hints is not None:
                raise ValueError("hints were given to a network without copy hints")
        elif hints is None:
            if state.hints is None:
                raise ValueError("the state came of precomputed hints; give hints again")
            hints, past = read_hints(state.hints, tokens)
        packed = self._packed() if mode == "rnn" and self._can_pack() else None
        with torch.set_grad_enabled(torch.is_grad_enabled() and packed is None):
            if packed:
                x, tensors = self._steps(packed, tokens, state.tensors, hints)
            elif mode == "gpt":
                x, tensors = self._parallel(tokens, state.tensors, hints)
            else:
                x, tensors = self._one_by_one(tokens, state.tensors, hints)
            if last_only:
                x = x[:, -1:]
                hints = hints and (hints[0][:, -1:], hints[1][:, -1:])
            elif select is not None:
                x = x[select].unsqueeze(0)  # (1, M, C)
                hints = hints and (hints[0][select].unsqueeze(0), hints[1][select].unsqueeze(0))
            logits = self._logits(x, hints, packed)
        return logits if last_only or select is None else logits[0], State(tensors, past)

    def _layers(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    # -- the parallel form -------------------------------------------------------------------

    def _embed(self, tokens: Tensor, hints: Hints | None) -> Tensor:
        x = self.emb(tokens)
        if hints is not None and self.hint is not None:
            x = x + self.hint.embed(hints)
        return self._layers()[0].ln0(x)

    def _head(self) -> Tensor:
        return self.emb.weight if self.config.tied else self.head.weight  # (V, C)

    def _logits(self, x: Tensor, hints: Hints | None, packed: Packed | None) -> Tensor:
        h = self.ln_out(x)
        logits = h @ packed.head if packed else F.linear(h, self._head())
        if hints is not None and self.hint is not None:
            logits = self.hint.raise_logits(logits, h, hints)
        return logits

    def _parallel(
        self, tokens: Tensor, past: Mapping[str, Tensor], hints: Hints | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x = self._embed(tokens, hints)
        att_x, wkv, ffn_x = [], [], []
        v_first = None
        for i, block in enumerate(self._layers()):
            h = block.ln1(x)
            out, S, v_first = block.att(h, past["att_x"][i], past["wkv"][i], v_first)
            x = x + out
            att_x.append(h[:, -1].float())
            wkv.append(S)
            h = block.ln2(x)
            x = x + block.ffn(h, past["ffn_x"][i])
            ffn_x.append(h[:, -1].float())
        new = {"att_x": torch.stack(att_x), "wkv": torch.stack(wkv), "ffn_x": torch.stack(ffn_x)}
        return x, new

    # -- token by token ----------------------------------------------------------------------

    def _one_by_one(
        self, tokens: Tensor, past: Mapping[str, Tensor], hints: Hints | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        rows = []
        for t in range(tokens.shape[1]):
            here = None if hints is None else (hints[0][:, t : t + 1], hints[1][:, t : t + 1])
            x, past = self._parallel(tokens[:, t : t + 1], past, here)
            rows.append(x)
        return torch.cat(rows, 1), dict(past)

    def _steps(
        self, packed: Packed, tokens: Tensor, past: Mapping[str, Tensor], hints: Hints | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        # What leaves is made outside inference mode, so that it can go anywhere.
        new = {name: tensor.clone() for name, tensor in past.items()}
        embedded = self._embed(tokens, hints).unbind(1)
        with torch.inference_mode():
            rows = [advance(packed, x, new) for x in embedded]
        return torch.stack(rows, 1), new

    def _can_pack(self) -> bool:
        if self.training and torch.is_grad_enabled():
            return False
        c, weights = self.config, self.emb.weight
        size = c.n_layer * c.n_embd * (5 * c.n_embd + 2 * c.ffn) + weights.numel()
        return size <= LARGEST and weights.dtype == torch.float32

    def _packed(self) -> Packed:
        if self._pack is None or not self._pack.fresh():
            self._pack = pack(self, self.config.n_layer, self._head())
        return self._pack

    # Whatever may replace the parameters themselves drops the stacked copies; what writes into
    # them is seen by Packed.fresh.

    def train(self, mode: bool = True) -> RWKV7:
        self._pack = None
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RWKV7:
        self._pack = None
        return super()._apply(fn, recurse)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        self._pack = None
        return super().load_state_dict(*args, **kwargs)
