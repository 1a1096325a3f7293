"""Checkpoint files: what is written comes back, and what can't be used is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from official import network, vector, weights
from safetensors.torch import load_file, save_file
from tiny import HINTS, relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.checkpoint import (
    load_model,
    read_metadata,
    save_model,
    weights_hash,
)
from engine.errors import CheckpointError
from engine.layouts import detect_generation
from engine.native import why_not
from engine.rwkv.network import Network


def answers(model: Network) -> Tensor:
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


GENERATIONS = ("2", "3", "4", "5.2", "6", "7")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_from_either_form(tmp_path: Path, generation: str) -> None:
    official = weights(generation)
    save_file(official, tmp_path / "m.safetensors")
    torch.save(official, tmp_path / "zip.pth")
    torch.save(official, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    expected = network(generation)
    for path in tmp_path.iterdir():
        model = load_model(path)
        assert model.config == expected.config and model.config.generation == generation
        assert torch.equal(answers(model), answers(expected)), path.name
    if generation in ("4", "5.2", "6", "7"):
        run = vector(generation)["run"]
        logits, _ = expected(run["tokens"].unsqueeze(0), expected.initial_state())
        assert relative(logits[0], run["logits"]) <= 2e-6


def lean(t: dict[str, Tensor]) -> None:
    for name in ("v0", "v1", "v2"):  # layer 0 never uses these; some official files lack them
        del t[f"blocks.0.att.{name}"]


def flat(t: dict[str, Tensor]) -> None:
    for name in list(t):
        if t[name].dim() == 3 and t[name].shape[:2] == (1, 1):
            t[name] = t[name].flatten()


def flat_bonus(t: dict[str, Tensor]) -> None:
    for i in range(2):
        t[f"blocks.{i}.att.r_k"] = t[f"blocks.{i}.att.r_k"].flatten()


def long_bonus(t: dict[str, Tensor]) -> None:
    for i in range(2):
        t[f"blocks.{i}.att.r_k"] = t[f"blocks.{i}.att.r_k"][None, None]


def long_norms(t: dict[str, Tensor]) -> None:
    for name in list(t):
        if ".ln" in name:
            t[name] = t[name].view(1, 1, -1)


def logarithms(t: dict[str, Tensor]) -> None:
    for i in range(2):
        faaaa = t.pop(f"blocks.{i}.att.time_faaaa").float()
        faaaa.abs_()
        t[f"blocks.{i}.att.time_first"] = faaaa.log()


@pytest.mark.parametrize(
    ("generation", "change"),
    [
        ("7", lean),
        ("7", flat),
        ("7", flat_bonus),
        ("7", long_bonus),
        ("7", long_norms),
        ("6", flat),
        ("5.2", flat),
        ("5.2", logarithms),
        ("4", flat),
        ("2", flat),
    ],
)
def test_other_shapes_seen_in_files(
    tmp_path: Path, generation: str, change: Callable[[dict[str, Tensor]], None]
) -> None:
    official = weights(generation)
    if change is logarithms:
        for i in range(2):
            official[f"blocks.{i}.att.time_faaaa"].abs_()
    expected = answers(network(generation, official))
    change(official)
    torch.save(official, tmp_path / "m.pth")
    assert relative(answers(load_model(tmp_path / "m.pth")), expected) <= 1e-6


@pytest.mark.parametrize("generation", ["6", "7"])
def test_a_tuned_state_in_a_network_is_where_it_begins(tmp_path: Path, generation: str) -> None:
    official = weights(generation)
    tuned = {f"blocks.{i}.att.time_state": torch.randn(2, 64, 64) for i in range(2)}
    torch.save(official | tuned, tmp_path / "m.pth")
    model = load_model(tmp_path / "m.pth")
    assert model.config.time_state
    start = model.initial_state().tensors["wkv"]
    assert torch.equal(start[:, 0], torch.stack(list(tuned.values())))
    torch.save(tuned, tmp_path / "alone.pth")
    assert "is a tuned state and holds no network" in refusal(tmp_path / "alone.pth")


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
    assert "is a folder without model.safetensors" in refusal(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    assert "(it is empty)" in refusal(tmp_path / "file")
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
        (lambda t: t["head.weight"][7].fill_(-float("inf")), "not a number in head.weight"),
        (lambda t: t.update({"extra": torch.zeros(1)}), "has a weight extra that RWKV-7"),
        (
            lambda t: t.update({"emb.weight": torch.zeros(61, 32, dtype=torch.int8)}),
            "has emb.weight as int8, strided, wanted plain floating-point weights",
        ),
        (lambda t: t.update({"hint.scale": torch.zeros(1)}), "has a weight hint.scale"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: Change, said: str) -> None:
    tensors = {name: t.detach().clone() for name, t in tiny_model().state_dict().items()}
    change(tensors)
    save_file(tensors, tmp_path / "m.safetensors")
    assert said in refusal(tmp_path / "m.safetensors")


def test_a_view_that_claims_more_than_the_file_holds(tmp_path: Path) -> None:
    tensors = weights("7") | {"emb.weight": torch.zeros(1).expand(1 << 40, 128)}
    torch.save(tensors, tmp_path / "m.pth")
    assert "(1099511627776, 128) in 4 bytes" in refusal(tmp_path / "m.pth")
    sparse = weights("7") | {"head.weight": torch.zeros(61, 128).to_sparse()}
    torch.save(sparse, tmp_path / "m.pth")
    assert "head.weight as float32, sparse_coo" in refusal(tmp_path / "m.pth")


def test_weights_stay_in_the_mapped_file(tmp_path: Path) -> None:
    """128 MiB of float32: neither loading nor checking them takes a sixteenth of that."""
    config = network("7").config
    config = dataclasses.replace(config, vocab=1 << 17)
    model = Network.create(config)
    save_file(dict(model.state_dict()), tmp_path / "m.safetensors")
    torch.save(model.state_dict(), tmp_path / "m.pth")
    del model
    for name in ("m.safetensors", "m.pth"):
        run = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        held, anonymous = (int(n) for n in run.stdout.split())
        assert held >= 128 << 20
        assert anonymous < 8 << 20, name


MEASURE = """
import sys
from pathlib import Path
import torch
from engine.checkpoint import load_model

def anonymous():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) << 10

torch.set_num_threads(1)
torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))
before = anonymous()
model = load_model(sys.argv[1])
print(sum(p.nbytes for p in model.parameters()), anonymous() - before)
"""


def test_damaged_settings_for_hints(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", tiny_model(hints=True)
    for text in ("{", "[]", "{}", '{"newline": "x"}'):
        save_file(dict(model.state_dict()), path, {"hints": text})
        assert "damaged settings for copy hints" in refusal(path)


def test_a_master_of_another_version_is_not_called_damaged(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", tiny_model(hints=True)
    own = json.loads(HINTS.to_metadata()["hints"])
    lacking = {name: own[name] for name in own if name not in ("nothing", "off")}
    others = {"an earlier": lacking, "a later": own | {"spoons": [3]}}
    for which, names in others.items():
        save_file(dict(model.state_dict()), path, {"hints": json.dumps(names)})
        assert refusal(path) == (
            f"{path} was trained for {which} version of the game and can't be played by this one; "
            "train one with this version (adventure tune)."
        )


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
        ("7", block("ln0.weight") | {"blocks.0.att.r_k": torch.zeros(2, 4)}),
        (None, {"transformer.h.0.attn.weight": torch.zeros(1)}),
        (None, block("attn.q")),
    ],
)
def test_generations_by_their_marks(
    tmp_path: Path, generation: str | None, tensors: dict[str, Tensor]
) -> None:
    assert detect_generation(tensors) == generation
    save_file(tensors, tmp_path / "m.safetensors")
    said = refusal(tmp_path / "m.safetensors")
    if generation in ("5", "5.1"):
        assert f"an RWKV-{generation} network; give an RWKV checkpoint of generation 2, 3" in said
    elif generation:
        assert "lacks the weight" in said
    else:
        assert "not an RWKV network" in said


@pytest.mark.parametrize("generation", GENERATIONS)
def test_any_one_missing_weight_is_named(tmp_path: Path, generation: str) -> None:
    """Of all but those that tell the generation or the number of layers by being there."""
    whole = weights(generation)
    marks = ("emb.weight", "ln0", "r_k", "ln_x", "gate", "time_decay", "time_mix", "time_maa")
    unused = {f"blocks.0.att.v{n}" for n in "012"} if generation == "7" else set()
    for name in whole.keys() - unused:
        if not any(mark in name for mark in marks):
            torch.save({n: t for n, t in whole.items() if n != name}, tmp_path / "m.pth")
            assert f"lacks the weight {name}" in refusal(tmp_path / "m.pth")


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


@pytest.mark.parametrize("generation", GENERATIONS)
def test_any_one_weight_of_another_shape_is_refused(tmp_path: Path, generation: str) -> None:
    whole = weights(generation)
    for name, t in whole.items():
        if not name.startswith("blocks.1"):
            for odd in (t.new_zeros(()), t.new_zeros(0), t.new_zeros(3, 5, 7)):
                torch.save(whole | {name: odd}, tmp_path / "m.pth")
                assert refusal(tmp_path / "m.pth").startswith(str(tmp_path))


def test_int8_is_the_native_runtimes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.safetensors"
    save_model(tiny_model(), file, {})
    monkeypatch.setenv("ADVENTURE_KERNEL", "torch")
    with pytest.raises(CheckpointError, match=r"int8 needs the native runtime"):
        load_model(file, dtype="int8")
    monkeypatch.setenv("ADVENTURE_KERNEL", "auto")
    if why_not(model := load_model(file), model.config):
        pytest.skip("no native runtime here")
    rounded = load_model(file, dtype="int8")
    tokens = tiny_tokens(1, 20)
    with torch.no_grad():
        exact, _ = model(tokens, model.initial_state())
        logits, _ = rounded(tokens, rounded.initial_state())
    assert 1e-5 < relative(logits, exact) < 0.05
    assert rounded.emb.weight.dtype == torch.float32


def test_compat_is_passed_on_where_it_means_something(tmp_path: Path) -> None:
    for generation in ("2", "4"):
        save_model(tiny_model(generation=generation), tmp_path / generation, {})
    assert load_model(tmp_path / "2", compat=1e-8).compat == 1e-8
    assert load_model(tmp_path / "2").compat is None
    with pytest.raises(ValueError, match="compat is for RWKV-2 and 3, not RWKV-4"):
        load_model(tmp_path / "4", compat=1e-9)


def test_what_cannot_even_be_opened_is_refused_in_a_sentence(tmp_path: Path) -> None:
    assert "Can't read the checkpoint" in refusal(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in refusal(tmp_path / "pipe")  # and isn't waited for
    folder = tmp_path / "folder"
    folder.mkdir()
    index = {"weight_map": {"emb.weight": "x" * 300}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "not a file of its folder" in refusal(folder)


def test_odd_headers_and_empty_tables_are_refused(tmp_path: Path) -> None:
    tensors = tiny_model().state_dict()
    save_file(tensors, tmp_path / "deep", {"hints": "[" * 9999})
    assert "damaged settings for copy hints" in refusal(tmp_path / "deep")
    for name in ("emb.weight", "head.weight"):
        tensors[name] = torch.empty(0, 32)
    torch.save(tensors, tmp_path / "none.pth")
    assert "0 tokens" in refusal(tmp_path / "none.pth")
