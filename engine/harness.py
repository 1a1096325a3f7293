"""lm-eval, the evaluation harness, on this engine's networks; knows no task.

Importing this needs the extra `harness`, and registers the model "adventure":
    import engine.harness, lm_eval
    lm_eval.simple_evaluate(model="adventure", model_args="path=FILE,weights=int8", tasks=[...])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from engine.checkpoint import load_model
from engine.kernels import KernelError, choose
from engine.native import RWKV
from engine.sampler import make_sampler
from engine.scoring import Scorer
from engine.tokenizer import open_tokenizer

NAME = "adventure"
LIMIT = 256
"""Tokens written where a task says nothing else: lm-eval's own default."""
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")


@register_model(NAME)
class EngineLM(LM):
    """Contexts of any length, read without being cut; likelihoods in natural logarithms.

    path: whatever engine.checkpoint.load_model takes, its tokenizer beside it; weights: "float32",
    "bfloat16" or "int8", as Network.weights. The rest is what lm-eval gives to every model; rows
    are chosen here, and the device is the CPU. Raises CheckpointError, TokenizerError, and
    KernelError for weights that only the C++ runtime could hold.
    """

    def __init__(
        self,
        path: str | Path,
        weights: str = "float32",
        batch_size: object = None,
        max_batch_size: object = None,
        device: object = None,
    ) -> None:
        super().__init__()
        kernel = choose(RWKV)
        if weights != "float32" and kernel.library is None:
            raise KernelError(
                f"Weights can be kept as {weights} only by the C++ runtime, which isn't there "
                f"({kernel.why}); keep them as float32."
            )
        model = load_model(path)
        model.weights = weights
        self.scorer = Scorer(model, open_tokenizer(path, model.config.vocab))

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """(log probability, whether greedy) of each request's (context, continuation)."""
        found = self.scorer.likelihoods([request.args for request in requests])
        answers = [(likelihood.log, likelihood.greedy) for likelihood in found]
        self._remember("loglikelihood", requests, answers)
        return answers

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """The log probability of each request's (text,), all of it, with its whole past."""
        found = self.scorer.likelihoods([("", request.args[0]) for request in requests])
        answers = [likelihood.log for likelihood in found]
        self._remember("loglikelihood_rolling", requests, answers)
        return answers

    def generate_until(self, requests: list[Any]) -> list[str]:
        """What is written after each request's (context, options), without the stop text."""
        alike: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            alike.setdefault(repr(request.args[1]), []).append(i)
        answers = [""] * len(requests)
        for places in alike.values():
            options = requests[places[0]].args[1]
            until = options.get("until") or []
            wild = bool(options.get("do_sample"))
            known = {name: options[name] for name in _SAMPLING if wild and name in options}
            texts = self.scorer.write(
                [requests[i].args[0] for i in places],
                make_sampler(**{"temperature": 1.0 if wild else 0.0, **known}),
                stops=[until] if isinstance(until, str) else [stop for stop in until if stop],
                limit=int(options.get("max_gen_toks", LIMIT)),
            )
            for i, text in zip(places, texts, strict=True):
                answers[i] = text
        self._remember("generate_until", requests, answers)
        return answers

    def _remember(self, what: str, requests: list[Any], answers: list[Any]) -> None:
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial(what, request.args, answer)
