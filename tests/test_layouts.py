"""Hugging Face folders: read, written, refused in a sentence, and read by those they are for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official import more_tokens, network, weights
from safetensors.torch import load_file, save_file
from test_checkpoint import refusal
from tiny import relative, tiny_model
from torch import Tensor

from engine.checkpoint import load_model, weights_hash
from engine.convert import form_of, write_model
from engine.errors import CheckpointError
from engine.rwkv.network import Network

Change = Callable[[Path, dict[str, Any]], object]


def answers(model: Network, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        return model(tokens, model.initial_state(tokens.shape[0]))[0]


def folder(path: Path, generation: str) -> Path:
    write_model(network(generation), path / f"v{generation}", "huggingface")
    return path / f"v{generation}"


@pytest.mark.parametrize("form", ["safetensors", "pth", "huggingface"])
@pytest.mark.parametrize("generation", ["2", "3", "4", "5.2", "6", "7"])
def test_written_and_read_back(tmp_path: Path, generation: str, form: str) -> None:
    model, path = network(generation), tmp_path / "out"
    if form == "huggingface" and generation not in ("4", "7"):
        with pytest.raises(CheckpointError, match=f"holds an RWKV-{generation} network; write"):
            write_model(model, path, form)
        assert not list(tmp_path.iterdir())
        return
    write_model(model, path, form)
    loaded = load_model(path)
    assert torch.equal(answers(loaded, more_tokens()), answers(model, more_tokens()))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    if form != "huggingface":
        assert loaded.state_dict().keys() == weights(generation).keys()


def test_names_that_public_loaders_know(tmp_path: Path) -> None:
    four = load_file(folder(tmp_path, "4") / "model.safetensors")
    assert four["rwkv.blocks.0.pre_ln.weight"].shape == (128,)
    assert four["rwkv.blocks.1.attention.time_mix_receptance"].shape == (1, 1, 128)
    assert {"rwkv.embeddings.weight", "rwkv.ln_out.bias", "head.weight"} <= four.keys()
    assert four["rwkv.blocks.1.feed_forward.key.weight"].shape == (512, 128)
    seven = load_file(folder(tmp_path, "7") / "model.safetensors")
    assert seven["model.layers.1.attn.w_lora.lora.0.weight"].shape == (32, 128)
    assert seven["model.layers.1.attn.v_lora.lora.2.weight"].shape == (128, 32)
    assert seven["model.layers.1.attn.a_lora.lora.2.bias"].shape == (128,)
    assert seven["model.layers.0.attn.x_r"].shape == (1, 1, 128)
    assert seven["model.layers.0.ffn.x_k"].shape == seven["model.layers.0.attn.k_k"].shape == (128,)
    assert {"model.layers.0.pre_norm.bias", "model.norm.weight", "lm_head.weight"} <= seven.keys()
    assert not [name for name in seven if "layers.0.attn.v_lora" in name]


def test_half_precision_mapped_and_tied_networks(tmp_path: Path) -> None:
    write_model(network("7"), tmp_path / "half", "huggingface", dtype="bfloat16")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}
    write_model(network("7"), tmp_path / "m.pth", "pth")
    mapped = load_model(tmp_path / "m.pth")  # its weights are parts of one mapped file
    write_model(mapped, tmp_path / "again.pth", "pth")
    sizes = [(tmp_path / name).stat().st_size for name in ("m.pth", "again.pth")]
    assert abs(sizes[0] - sizes[1]) < 1000
    tied = tiny_model(tied=True)
    write_model(tied, tmp_path / "tied.pth", "pth")
    loaded = load_model(tmp_path / "tied.pth")
    assert not loaded.config.tied  # who reads a .pth file looks for a head
    tokens = more_tokens()
    assert relative(answers(loaded, tokens), answers(tied, tokens)) <= 1e-6


@pytest.mark.parametrize(
    ("model", "form", "said"),
    [
        (lambda: tiny_model(hints=True), "pth", "no room for the settings of copy hints"),
        (lambda: tiny_model(hints=True), "huggingface", "a network with copy hints"),
        (tiny_model, "huggingface", "heads of 16, not 64"),
    ],
)
def test_what_a_form_can_not_hold(
    tmp_path: Path, model: Callable[[], Network], form: str, said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        write_model(model(), tmp_path / "out", form)
    assert not list(tmp_path.iterdir())


def test_places_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="choose another place"):
        write_model(network("4"), tmp_path / "none" / "m.pth", "pth")
    with pytest.raises(CheckpointError, match="choose another place"):
        write_model(network("4"), tmp_path / "none" / "m", "huggingface")
    there = folder(tmp_path, "4")
    with pytest.raises(CheckpointError, match="exists and is not an empty folder"):
        write_model(network("4"), there, "huggingface")
    (tmp_path / "empty").mkdir()
    write_model(network("4"), tmp_path / "empty", "huggingface")
    assert load_model(tmp_path / "empty").config.generation == "4"
    assert {p.name for p in tmp_path.iterdir()} == {"v4", "empty"}
    with pytest.raises(ValueError, match="form is 'gguf'"):
        write_model(network("4"), tmp_path / "m", "gguf")


def test_forms_by_name(tmp_path: Path) -> None:
    assert form_of("a.safetensors") == "safetensors"
    assert form_of("a.pth") == form_of("b/c.pt") == "pth"
    assert form_of("a") == form_of(tmp_path) == "huggingface"
    with pytest.raises(CheckpointError, match=r"a\.gguf ends in \.gguf"):
        form_of("a.gguf")


# -- folders as others write them ----------------------------------------------------------------


def test_shards_pickles_fused_shifts_and_tied_heads(tmp_path: Path) -> None:
    there, tokens = folder(tmp_path, "7"), more_tokens()
    expected = answers(network("7"), tokens)
    tensors = load_file(there / "model.safetensors")
    (there / "model.safetensors").unlink()

    torch.save(tensors, there / "pytorch_model.bin")
    assert torch.equal(answers(load_model(there), tokens), expected)
    (there / "pytorch_model.bin").unlink()

    for i in range(2):
        rows = [tensors.pop(f"model.layers.{i}.attn.x_{x}") for x in "rwkvag"]
        tensors[f"model.layers.{i}.attn.x_x"] = torch.stack(rows).view(6, 128)
    names = sorted(tensors)
    halves = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, there / file)
    places = {name: file for file, part in halves.items() for name in part}
    index = {"metadata": {}, "weight_map": places}
    (there / "model.safetensors.index.json").write_text(json.dumps(index))
    before = weights_hash(there)
    assert torch.equal(answers(load_model(there), tokens), expected)

    settings = json.loads((there / "config.json").read_text())
    settings["tie_word_embeddings"] = True
    (there / "config.json").write_text(json.dumps(settings))
    tied = load_model(there)
    assert tied.config.tied and "head.weight" not in tied.state_dict()
    assert weights_hash(there) != before

    (there / "b.safetensors").unlink()
    assert "lacks the shard b.safetensors of 2" in refusal(there)
    places["x"] = "../v7/a.safetensors"
    (there / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "is not a file of its folder" in refusal(there)
    (there / "model.safetensors.index.json").write_text("{}")
    assert "has no weight_map" in refusal(there)


def test_settings_that_are_not_json(tmp_path: Path) -> None:
    there = folder(tmp_path, "4")
    for text, said in (
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds a list, wanted a table"),
        ("{}", "model_type None, wanted 'rwkv' or 'rwkv7'"),
        ('{"model_type": ["rwkv"]}', "model_type ['rwkv'], wanted"),
        ('{"model_type": "rwkv6"}', "model_type 'rwkv6', wanted"),
        ('{"model_type": "rwkv7"}', "not an RWKV network"),
    ):
        (there / "config.json").write_text(text)
        assert said in refusal(there)
    (there / "config.json").unlink()
    assert "No such file" in refusal(there)


@pytest.mark.parametrize(
    ("generation", "name", "value", "said"),
    [
        ("4", "hidden_size", 256, "hidden_size is 256 and the weights have 128"),
        ("4", "num_hidden_layers", 3, "num_hidden_layers is 3 and the weights have 2"),
        ("4", "vocab_size", "61", "vocab_size is '61' and the weights have 61"),
        ("4", "layer_norm_epsilon", 1e-6, "a norm epsilon of 1e-06"),
        ("7", "head_dim", 32, "head_dim is 32 and the weights have 64"),
        ("7", "gate_low_rank_dim", 128, "gate_low_rank_dim is 128 and the weights have 64"),
        ("7", "intermediate_size", 1, "intermediate_size is 1 and the weights have 512"),
        ("7", "norm_eps", 64e-5, "a norm epsilon of 0.00064"),
    ],
)
def test_settings_that_contradict_the_weights(
    tmp_path: Path, generation: str, name: str, value: object, said: str
) -> None:
    there = folder(tmp_path, generation)
    settings = json.loads((there / "config.json").read_text())
    assert settings[name] != value
    load_model(there)
    (there / "config.json").write_text(json.dumps(settings | {name: value}))
    assert said in refusal(there)


def test_a_folder_of_another_generation_than_it_says(tmp_path: Path) -> None:
    there = folder(tmp_path, "4")
    tensors = load_file(there / "model.safetensors")
    for i in range(2):
        for name in ("time_decay", "time_first"):
            key = f"rwkv.blocks.{i}.attention.{name}"
            tensors[key] = tensors[key].unsqueeze(1)
    save_file(tensors, there / "model.safetensors")
    assert "which is RWKV-4, and the weights are RWKV-3" in refusal(there)


# -- read by those they are for ------------------------------------------------------------------


@pytest.mark.parametrize("layers", [2, 7])
def test_transformers_reads_what_is_written_for_it(tmp_path: Path, layers: int) -> None:
    transformers = pytest.importorskip("transformers")
    official = weights("4")
    for i in range(2, layers):  # more than six: transformers would halve activations there
        official |= {n.replace("s.1.", f"s.{i}."): t for n, t in official.items() if "s.1." in n}
    model, tokens = network("4", official), more_tokens(24)
    write_model(model, tmp_path / "out", "huggingface")
    theirs, loading = transformers.RwkvForCausalLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    with torch.no_grad():
        found = theirs.eval()(tokens).logits
    assert relative(found, answers(model, tokens)) <= 1e-5
    theirs.save_pretrained(tmp_path / "back")
    back = load_model(tmp_path / "back")
    assert all(torch.equal(t, back.state_dict()[name]) for name, t in model.state_dict().items())


def test_rwkv7_hf_reads_what_is_written_for_it(tmp_path: Path) -> None:
    peer = pytest.importorskip("rwkv7_hf.modeling_rwkv7")
    model, tokens = network("7"), more_tokens(24)
    write_model(model, tmp_path / "out", "huggingface")
    theirs, loading = peer.RWKV7ForCausalLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    with torch.no_grad():
        found = theirs.eval()(tokens).logits
    assert relative(found, answers(model, tokens)) <= 1e-5
    theirs.save_pretrained(tmp_path / "back")
    back = load_model(tmp_path / "back")
    assert relative(answers(back, tokens), answers(model, tokens)) <= 1e-6
