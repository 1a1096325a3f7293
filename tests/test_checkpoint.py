"""Checkpoint files: what is written comes back, and what can't be used is refused in a sentence."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.checkpoint import (
    detect_generation,
    load_model,
    read_metadata,
    save_model,
    weights_hash,
)
from engine.errors import CheckpointError
from engine.rwkv.v7 import RWKV7

VECTOR = Path(__file__).parent / "vectors" / "rwkv7.safetensors"


def answers(model: RWKV7) -> Tensor:
    logits, _ = model(tiny_tokens(1, 8), model.initial_state())
    return logits.detach()


def refusal(path: Path) -> str:
    """The one sentence with which the file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize("hints", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_written_and_read_back(tmp_path: Path, hints: bool, tied: bool) -> None:
    model, path = tiny_model(hints=hints, tied=tied), tmp_path / "m.safetensors"
    save_model(model, path, {"tokenizer": "abc"})
    assert ("head.weight" in load_file(path)) != tied
    loaded = load_model(path)
    assert loaded.config == model.config and not loaded.training
    assert torch.equal(answers(loaded), answers(model))
    assert read_metadata(path)["tokenizer"] == "abc"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files_and_weights(tmp_path: Path, dtype: str) -> None:
    model, path = tiny_model(), tmp_path / "m.safetensors"
    save_model(model, path, {}, dtype=dtype)
    assert {str(t.dtype) for t in load_file(path).values()} == {f"torch.{dtype}"}
    loaded = load_model(path)
    assert loaded.emb.weight.dtype == torch.float32
    assert 0 < relative(answers(loaded), answers(model)) < 0.05
    assert str(load_model(path, dtype=dtype).emb.weight.dtype) == f"torch.{dtype}"


def test_official_names_in_a_pth_file(tmp_path: Path) -> None:
    tensors = load_file(VECTOR)
    weights = {n.removeprefix("weights/"): t for n, t in tensors.items() if "weights/" in n}
    torch.save(weights, tmp_path / "zip.pth")
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    # Layer 0 never uses these, and some official files leave them out.
    lean = {n: t for n, t in weights.items() if not n.startswith("blocks.0.att.v")}
    lean["blocks.0.att.value.weight"] = weights["blocks.0.att.value.weight"]
    torch.save(lean, tmp_path / "lean.pth")
    for name in ("zip.pth", "old.pth", "lean.pth"):
        model = load_model(tmp_path / name)
        logits, _ = model(tensors["tokens"].unsqueeze(0), model.initial_state())
        assert relative(logits[0], tensors["logits"]) <= 2e-6, name


class Malicious:
    """Unpickles by running a command that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path, new: bool) -> None:
    mark, path = tmp_path / "ran", tmp_path / "bad.pth"
    bad = {"emb.weight": torch.zeros(2, 2), "x": Malicious(mark)}
    torch.save(bad, path, _use_new_zipfile_serialization=new)
    assert "would run code" in refusal(path)
    path.write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    assert "would run code" in refusal(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the file does what it says, elsewhere
    assert mark.exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    assert "is a folder" in refusal(tmp_path)
    path = tmp_path / "file"
    for content in (b"", b"hello, this is text", b"\0" * 40):
        path.write_bytes(content)
        assert "neither a .safetensors nor a .pth" in refusal(path)
    torch.save([1, 2], path)
    assert "holds a list" in refusal(path)
    torch.save({"model": {"emb.weight": torch.zeros(2)}}, path)
    assert "not a table of named tensors" in refusal(path)
    save_file({"w": torch.zeros(2)}, path)
    assert "not an RWKV network" in refusal(path)
    with pytest.raises(ValueError, match="float8"):
        load_model(path, dtype="float8")


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("kept", [12, 200, 0.3, 0.99])
def test_files_cut_short(tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / "m"
    if kind == "pth":
        torch.save(tiny_model().state_dict(), path)
    else:
        save_model(tiny_model(), path, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    assert "cut short or damaged" in refusal(path)


def test_a_header_that_lies_about_its_length(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 39) + json.dumps({}).encode())
    assert "cut short or damaged" in refusal(path)


Change = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.pop("blocks.1.ffn.value.weight"),
            "lacks the weight blocks.1.ffn.value.weight",
        ),
        (lambda t: t.pop("head.weight"), "lacks the weight head.weight"),
        (lambda t: t.pop("blocks.1.att.w1"), "lacks the weight blocks.1.att.w1"),
        (lambda t: t.update({"emb.weight": torch.zeros(61)}), "shapes that no RWKV-7 has"),
        (lambda t: t.update({"blocks.0.att.r_k": torch.zeros(2, 0)}), "shapes that no RWKV-7 has"),
        (
            lambda t: t.update({"blocks.99999999.att.w1": torch.zeros(2, 2)}),
            "shapes that no RWKV-7 has",
        ),
        (
            lambda t: t.update({"blocks.0.att.key.weight": torch.zeros(32, 31)}),
            "blocks.0.att.key.weight of shape (32, 31), wanted (32, 32)",
        ),
        (lambda t: t["ln_out.bias"].fill_(float("nan")), "not a number in ln_out.bias"),
        (lambda t: t["blocks.0.att.w2"][3].fill_(float("inf")), "not a number in blocks.0.att.w2"),
        (lambda t: t.update({"extra": torch.zeros(1)}), "has a weight extra that RWKV-7"),
        (lambda t: t.update({"hint.scale": torch.zeros(1)}), "has a weight hint.scale"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: Change, said: str) -> None:
    tensors = {name: t.detach().clone() for name, t in tiny_model().state_dict().items()}
    change(tensors)
    save_file(tensors, tmp_path / "m.safetensors")
    assert said in refusal(tmp_path / "m.safetensors")


def test_damaged_settings_for_hints(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", tiny_model(hints=True)
    for text in ("{", "[]", '{"newline": 1}'):
        save_file(dict(model.state_dict()), path, {"hints": text})
        assert "damaged settings for copy hints" in refusal(path)


def block(*names: str, decay: tuple[int, ...] | None = None) -> dict[str, Tensor]:
    """The marks of a generation: names under blocks.0., and the shape of its decay."""
    found = {f"blocks.0.{name}": torch.zeros(1) for name in names}
    if decay:
        found["blocks.0.att.time_decay"] = torch.zeros(decay)
    return {"emb.weight": torch.zeros(4, 8)} | found


@pytest.mark.parametrize(
    ("generation", "tensors"),
    [
        ("2", block("att.time_mix", decay=(8, 1))),
        ("3", block("ln0.weight", "att.time_mix_k", decay=(8, 1))),
        ("4", block("ln0.weight", "att.time_mix_k", decay=(8,))),
        ("5", block("ln0.weight", "att.ln_x.weight", decay=(2,))),
        ("5.1", block("ln0.weight", "att.ln_x.weight", "att.gate.weight", decay=(2,))),
        ("5.2", block("ln0.weight", "att.ln_x.weight", "att.gate.weight", decay=(2, 4))),
        ("6", block("ln0.weight", "att.ln_x.weight", "att.time_maa_x", decay=(1, 1, 8))),
        ("7", block("ln0.weight", "att.r_k")),
        (None, {"transformer.h.0.attn.weight": torch.zeros(1)}),
        (None, block("attn.q")),
    ],
)
def test_generations_by_their_marks(
    tmp_path: Path, generation: str | None, tensors: dict[str, Tensor]
) -> None:
    assert detect_generation(tensors) == generation
    save_file(tensors, tmp_path / "m.safetensors")
    if generation not in (None, "7"):
        assert f"an RWKV-{generation} network" in refusal(tmp_path / "m.safetensors")


def test_saving_over_a_file_replaces_it_whole_or_not_at_all(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", tiny_model()
    save_model(model, path, {})
    first = weights_hash(path)
    with torch.no_grad():
        model.ln_out.bias[0] = 1e6
    with pytest.raises(CheckpointError, match=r"ln_out\.bias is not finite as float16"):
        save_model(model, path, {}, dtype="float16")
    assert weights_hash(path) == first
    save_model(model, path, {})
    assert weights_hash(path) != first
    with pytest.raises(CheckpointError, match="choose another place"):
        save_model(model, tmp_path / "none" / "m.safetensors", {})
    with pytest.raises(CheckpointError, match="No such file"):
        weights_hash(tmp_path / "none")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_engine_needs_no_game() -> None:
    program = "import sys, engine; print([m for m in sys.modules if m.startswith('adventure')])"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert run.stdout.strip() == "[]"
