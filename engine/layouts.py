"""Names and shapes of weights: which generation they are, official names <-> Hugging Face's.

Pure functions over tables of tensors; knows nothing of files or of how a network computes.
Sources: the key names of BlinkDL/RWKV-LM's releases; transformers' RwkvForCausalLM (model_type
rwkv, RWKV-4); flash-linear-attention and rwkv7-hf (model_type rwkv7), which name weights alike.

Glossary: V vocabulary, C width, H heads, N head size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.errors import CheckpointError
from engine.rwkv.config import Config

Tensors = dict[str, Tensor]

MODEL_TYPES = {"rwkv": "4", "rwkv7": "7"}
"""config.json's model_type -> generation, for the Hugging Face layouts that can be read."""
NORM_EPS, GROUP_EPS = 1e-5, 64e-5
HEAD_SIZE = 64
"""Of every official network from generation 5 on."""
_TIME_STATE = re.compile(r"blocks\.\d+\.att\.time_state")


@dataclass(frozen=True)
class _Names:
    """How a layout spells names: their first part, any part, a part inside the attention."""

    first: Mapping[str, str]
    part: Mapping[str, str]
    inside: Mapping[str, str]
    attention: str

    def theirs(self, official: str) -> str:
        return _rename(official, self.first, self.part, self.inside, "att")

    def official(self, theirs: str) -> str:
        first, part, inside = (
            {value: key for key, value in names.items()}
            for names in (self.first, self.part, self.inside)
        )
        return _rename(theirs, first, part, inside, self.attention)


_V4 = _Names(
    first={
        "emb": "rwkv.embeddings",
        "blocks": "rwkv.blocks",
        "ln_out": "rwkv.ln_out",
    },
    part={
        "ln0": "pre_ln",
        "att": "attention",
        "ffn": "feed_forward",
        "time_mix_k": "time_mix_key",
        "time_mix_v": "time_mix_value",
        "time_mix_r": "time_mix_receptance",
    },
    inside={},
    attention="attention",
)
_V7 = _Names(
    first={
        "emb": "model.embeddings",
        "blocks": "model.layers",
        "ln_out": "model.norm",
        "head": "lm_head",
    },
    part={"ln0": "pre_norm", "ln1": "attn_norm", "ln2": "ffn_norm", "att": "attn"},
    inside={
        "receptance": "r_proj",
        "key": "k_proj",
        "value": "v_proj",
        "output": "o_proj",
        "ln_x": "g_norm",
    },
    attention="attn",
)
_LOW_RANK = {"0": "2.bias", "1": "0.weight", "2": "2.weight"}
"""w0 (a bias), w1 and w2 inside their w_lora.lora; likewise a, v and g."""


def _rename(
    name: str,
    first: Mapping[str, str],
    part: Mapping[str, str],
    inside: Mapping[str, str],
    attention: str,
) -> str:
    """The name with its parts replaced; one that begins with nothing known stays as it is."""
    for old, new in first.items():
        if name.startswith(f"{old}."):
            words = name.removeprefix(f"{old}.").split(".")
            spelt = {**part, **inside} if attention in words else part
            return ".".join([new, *(spelt.get(word, word) for word in words)])
    return name


def detect_generation(tensors: Mapping[str, Tensor]) -> str | None:
    """Which RWKV generation the tensors' names and shapes belong to; None for no RWKV."""

    def has(part: str) -> bool:
        return any(part in name for name in tensors)

    if "emb.weight" not in tensors or not has("blocks."):
        return None
    if has(".att.r_k"):
        return "7"
    if has(".time_maa"):
        return "6"
    decay = tensors.get("blocks.0.att.time_decay")
    if decay is None:
        return None
    two_dimensional = decay.dim() > 1 and decay.shape[-1] > 1
    if has(".att.ln_x"):
        if has(".att.gate"):
            return "5.2" if two_dimensional else "5.1"
        return "5"
    if not has("blocks.0.ln0") and has(".att.time_mix") and not has(".att.time_mix_"):
        return "2"
    return "3" if decay.dim() == 2 else "4"


def is_tuned_state(names: Mapping[str, Tensor]) -> bool:
    """Whether these are a tuned initial state, and nothing else."""
    return bool(names) and all(_TIME_STATE.fullmatch(name) for name in names)


def settle_names(generation: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The names and head shapes by which the network is made, from those that files also use.

    RWKV-5.2's `time_first` is the logarithm of `time_faaaa` (H, N). RWKV-7's `r_k` comes as
    (H, N), with leading ones, or flat: it is then read with the official head size.
    """
    settled = {}
    for name, t in tensors.items():
        if generation == "5.2" and name.endswith(".att.time_first"):
            name, t = name.replace("time_first", "time_faaaa"), t.float().exp()
        if generation == "7" and name.endswith(".att.r_k"):
            if t.dim() == 1 and t.numel() % HEAD_SIZE == 0:
                t = t.reshape(-1, HEAD_SIZE)
            elif t.dim() > 2 and t.numel() == t.shape[-1] * t.shape[-2]:
                t = t.reshape(t.shape[-2:])
        settled[name] = t
    return settled


def settle_shapes(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensors:
    """Tensors seen as the shapes `wanted`, where only dimensions of 1 differ ([C] is [1, 1, C])."""

    def long(t: Tensor) -> list[int]:
        return [size for size in t.shape if size != 1]

    return {
        name: t.reshape(wanted[name].shape)
        if name in wanted and t.shape != wanted[name].shape and long(t) == long(wanted[name])
        else t
        for name, t in tensors.items()
    }


# -- from Hugging Face ---------------------------------------------------------------------------


def from_huggingface(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tensors:
    """A folder's tensors under official names; names that have none stay as they are.

    settings: its config.json. A tied head is left out. Low-rank matrices come transposed, so they
    are copied. Raises CheckpointError for a model_type that isn't read.
    """
    generation = _generation_of(settings)
    official: Tensors = {}
    for theirs, t in tensors.items():
        if generation == "4":
            official[_V4.official(theirs)] = t
        else:
            official |= _official_v7(theirs, t)
    if settings.get("tie_word_embeddings"):
        official.pop("head.weight", None)
    return official


def check_settings(settings: Mapping[str, Any], config: Config) -> None:
    """That a folder's config.json says of the network what its weights say.

    Raises CheckpointError for an entry that contradicts them, or that asks for a normalisation
    other than the one with which RWKV networks are trained.
    """
    generation = _generation_of(settings)
    if generation != config.generation:
        raise CheckpointError(
            f"config.json says model_type {settings['model_type']!r}, which is RWKV-{generation}, "
            f"and the weights are RWKV-{config.generation}; get the folder again."
        )
    for name, value in _sizes(config).items():
        found = settings.get(name)
        if found is not None and found != value:
            raise CheckpointError(
                f"config.json says {name} is {found!r} and the weights have {value}; "
                "get the folder again."
            )
    if generation == "7":
        # These folders' group norm has an epsilon of head size * norm_eps.
        eps = settings.get("norm_eps", NORM_EPS)
        fits = eps == NORM_EPS and config.head_size == HEAD_SIZE
    else:
        eps = settings.get("layer_norm_epsilon", NORM_EPS)
        fits = eps == NORM_EPS
    if not fits:
        raise CheckpointError(
            f"config.json asks for a norm epsilon of {eps!r} at head size {config.head_size}, "
            f"wanted {NORM_EPS} and {HEAD_SIZE}; this network can't be run exactly."
        )


def _official_v7(theirs: str, t: Tensor) -> Tensors:
    name = _V7.official(theirs)
    low = re.fullmatch(r"(.+\.att\.)([wavg])_lora\.lora\.(0\.weight|2\.weight|2\.bias)", name)
    if low:
        number = next(n for n, part in _LOW_RANK.items() if part == low[3])
        return {f"{low[1]}{low[2]}{number}": t.t().contiguous() if t.dim() == 2 else t}
    if name.endswith(".att.x_x") and len(t) == 6:
        # Older folders keep the six shifts as one tensor, in this order.
        return {f"{name[:-1]}{x}": row for x, row in zip("rwkvag", t.unbind(), strict=True)}
    return {name: t}


def _generation_of(settings: Mapping[str, Any]) -> str:
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise CheckpointError(
            f"config.json says model_type {kind!r}, wanted {' or '.join(map(repr, MODEL_TYPES))}; "
            "give the network as an official .pth file."
        )
    return MODEL_TYPES[kind]


# -- to Hugging Face -----------------------------------------------------------------------------


def to_huggingface(
    config: Config, tensors: Mapping[str, Tensor], dtype: str
) -> tuple[dict[str, Any], Tensors]:
    """config.json and the tensors of a folder that public loaders read, from official names.

    `tensors` must hold every weight but a tied head; `dtype` is theirs. Layer 0's unused v0, v1,
    v2 are left out. Raises CheckpointError for what the layouts can't say.
    """
    _check_sayable(config)
    settings = _sizes(config)
    settings |= {"torch_dtype": dtype, "use_cache": True, "tie_word_embeddings": False}
    settings |= {"bos_token_id": 0, "eos_token_id": 0}
    official = dict(tensors) | {"head.weight": tensors.get("head.weight", tensors["emb.weight"])}
    if config.generation == "4":
        settings |= {"model_type": "rwkv", "architectures": ["RwkvForCausalLM"]}
        settings |= {"context_length": 1024, "layer_norm_epsilon": NORM_EPS}
        # Halving activations in deep layers keeps float16 in range, and costs exactness elsewhere.
        settings["rescale_every"] = 6 if dtype == "float16" else 0
        return settings, {_V4.theirs(n): t for n, t in official.items()}
    settings |= {"model_type": "rwkv7", "architectures": ["RWKV7ForCausalLM"]}
    settings |= {"norm_eps": NORM_EPS, "norm_first": True, "norm_bias": True, "attn": None}
    settings |= {"hidden_act": "sqrelu", "fuse_norm": False, "pad_token_id": 0}
    settings |= {"hidden_ratio": config.ffn / config.n_embd}
    settings |= {"value_dim": [config.n_embd] * config.n_layer}
    theirs: Tensors = {}
    for name, t in official.items():
        if not re.fullmatch(r"blocks\.0\.att\.v[012]", name):
            theirs |= _their_v7(name, t)
    return settings, theirs


def _check_sayable(config: Config) -> None:
    unsaid = None
    if config.generation not in MODEL_TYPES.values():
        unsaid = f"an RWKV-{config.generation} network"
    elif config.hints:
        unsaid = "a network with copy hints"
    elif config.memory:
        unsaid = "a network with a latent memory"
    elif config.time_state:
        unsaid = "a network with a tuned initial state"
    elif config.generation == "7" and config.head_size != HEAD_SIZE:
        unsaid = f"an RWKV-7 network with heads of {config.head_size}, not {HEAD_SIZE}"
    if unsaid:
        raise CheckpointError(
            f"No Hugging Face layout that public loaders read holds {unsaid}; "
            "write a .safetensors file instead."
        )


def _their_v7(name: str, t: Tensor) -> Tensors:
    low = re.fullmatch(r"(.+\.att\.)([wavg])([012])", name)
    if low:
        name = f"{low[1]}{low[2]}_lora.lora.{_LOW_RANK[low[3]]}"
        t = t.t().contiguous() if low[3] != "0" else t
    flat = name.endswith((".2.bias", ".k_k", ".k_a", ".ffn.x_k"))
    return {_V7.theirs(name): t.flatten() if flat else t}


def _sizes(config: Config) -> dict[str, Any]:
    """What both config.json and the weights say."""
    sizes: dict[str, Any] = {
        "vocab_size": config.vocab,
        "hidden_size": config.n_embd,
        "num_hidden_layers": config.n_layer,
        "attention_hidden_size": config.n_embd,
        "intermediate_size": config.ffn,
    }
    if config.generation == "7":
        sizes |= {
            "head_dim": config.head_size,
            "decay_low_rank_dim": config.ranks.w,
            "gate_low_rank_dim": config.ranks.g,
            "a_low_rank_dim": config.ranks.a,
        }
        if config.n_layer > 1:  # the only layer has no value mix
            sizes["v_low_rank_dim"] = config.ranks.v
    return sizes
