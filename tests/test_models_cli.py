"""`adventure models` and `adventure convert`: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from official import more_tokens, weights
from safetensors.torch import load_file, save_file
from tiny import HINTS, tiny_model
from torch import Tensor

from adventure import cli, convert
from engine import checkpoint
from engine import convert as engine_convert
from engine.checkpoint import load_model, save_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `adventure ...`; the exit status, standard output and error."""

    def runs(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return runs


def shown(run: Run, path: Path) -> dict[str, object]:
    status, out, err = run("models", "show", path, "--json")
    assert (status, err) == (0, "")
    facts = json.loads(out)
    assert isinstance(facts, dict)
    return facts


@pytest.mark.parametrize(
    ("generation", "heads", "elements", "size"),
    [
        ("2", 0, 5 * 2 * 128, 4 * 5 * 2 * 128),
        ("4", 0, 5 * 2 * 128, 4 * 5 * 2 * 128),
        ("5.2", 2, 2 * (2 * 128 + 64 * 128), 67_584),
        ("7", 2, 2 * (2 * 128 + 64 * 128), 67_584),
    ],
)
def test_facts_of_a_network(
    tmp_path: Path, run: Run, generation: str, heads: int, elements: int, size: int
) -> None:
    path = tmp_path / "m.safetensors"
    save_file(weights(generation), path)
    facts = shown(run, path)
    assert facts["generation"] == generation and facts["vocab"] == 61
    parameters = sum(t.numel() for t in weights(generation).values())
    assert facts["parameters"] == parameters
    assert (facts["layers"], facts["width"], facts["heads"]) == (2, 128, heads)
    assert facts["head_size"] == (64 if heads else 0)
    assert facts["dtypes"] == {"float16": parameters}
    assert facts["file_bytes"] == path.stat().st_size
    assert (facts["state_elements"], facts["state_bytes"]) == (elements, size)
    assert str(facts["tokenizer"]).startswith("none: ")
    assert str(facts["kernel"]).split(":")[0] in ("torch", "native")
    own, *more = str(facts["training_kernel"]).split(":")[0].split(", ")
    assert [own, *more][-1] in ("torch", "native")
    assert own == {"2": "WKV-4", "4": "WKV-4", "5.2": "torch", "7": "WKV-7"}[generation]
    assert str(facts["cuda"]).split()[0] in ("no:", "yes,")


def test_facts_as_text(tmp_path: Path, run: Run) -> None:
    mixed: dict[str, Tensor] = weights("7")
    mixed["ln_out.bias"] = mixed["ln_out.bias"].float()
    save_file(mixed, tmp_path / "m.safetensors")
    status, out, _ = run("models", "show", tmp_path / "m.safetensors")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert status == 0 and lines["network"] == "RWKV-7, 496,128 parameters"
    assert lines["layers"] == "2 x 128, 2 heads of 64, ffn 512"
    assert lines["weights"].startswith("float16 (496,000), float32 (128); 998.57 kB on disk")
    assert lines["state"] == "16,896 numbers, 67.58 kB"
    assert {"playing", "training", "cuda"} <= set(lines)
    save_model(tiny_model(hints=True, tied=True), tmp_path / "m.safetensors", {})
    _, out, _ = run("models", "show", tmp_path / "m.safetensors")
    assert "ffn 128, tied head, copy hints" in out


def test_showing_reads_no_weights(tmp_path: Path, run: Run) -> None:
    broken = weights("4")
    broken["head.weight"].fill_(float("nan"))
    save_file(broken, tmp_path / "m.safetensors")
    assert shown(run, tmp_path / "m.safetensors")["generation"] == "4"


def test_what_is_no_checkpoint(tmp_path: Path, run: Run) -> None:
    (tmp_path / "m.pth").write_text("hello")
    for arguments in (
        ("models", "show", tmp_path / "m.pth"),
        ("models", "show", tmp_path),
        ("models",),
        ("models", "list"),
        ("convert", tmp_path / "m.pth", tmp_path / "out"),
        ("convert", tmp_path / "m.pth"),
        ("convert", tmp_path / "m.pth", tmp_path / "out", "--dtype", "int4"),
    ):
        status, out, err = run(*arguments)
        assert status == 2 and out == "" and len(err.strip().splitlines()) == 1, arguments


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth", "folder"])
def test_converting_there_and_back(tmp_path: Path, run: Run, name: str) -> None:
    source, out, back = tmp_path / "in.pth", tmp_path / name, tmp_path / "back.pth"
    torch.save(weights("7"), source)
    (tmp_path / "tokenizer.json").write_text("{}")
    status, said, err = run("convert", source, out)
    form = "huggingface" if name == "folder" else name[2:]
    assert (status, err) == (0, "")
    assert said == f"Wrote RWKV-7 to {out} ({form}, float16).\n"
    assert (out / "tokenizer.json").exists() == (form == "huggingface")
    assert run("convert", out, back)[0] == 0
    found = torch.load(back, weights_only=True)
    unused = {f"blocks.0.att.v{n}" for n in "012"} if form == "huggingface" else set()
    assert found.keys() == weights("7").keys() - unused
    for tensor in found:
        assert torch.equal(found[tensor], weights("7")[tensor]), tensor


def test_types_and_forms_that_are_asked_for(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "in.safetensors"
    mixed = weights("4") | {"ln_out.bias": weights("4")["ln_out.bias"].float() + 1e-7}
    save_file(mixed, source, {"licence": "CC0"})
    run("convert", source, tmp_path / "exact.safetensors")
    exact = load_file(tmp_path / "exact.safetensors")
    assert all(torch.equal(exact[name], t.float()) for name, t in mixed.items())
    assert checkpoint.read_metadata(tmp_path / "exact.safetensors")["licence"] == "CC0"
    run("convert", source, tmp_path / "half", "--to", "safetensors", "--dtype", "bfloat16")
    assert {t.dtype for t in load_file(tmp_path / "half").values()} == {torch.bfloat16}
    status, _, err = run("convert", source, source)
    assert status == 2 and "is what is to be read" in err
    status, _, err = run("convert", source, tmp_path / "m.gguf")
    assert status == 2 and "ends in .gguf" in err


def test_a_network_with_hints_and_a_tied_head(tmp_path: Path, run: Run) -> None:
    model = tiny_model(hints=True, tied=True)
    save_model(model, tmp_path / "in.safetensors", {})
    assert run("convert", tmp_path / "in.safetensors", tmp_path / "out.safetensors")[0] == 0
    loaded = load_model(tmp_path / "out.safetensors")
    assert loaded.config.hints == HINTS and loaded.config.tied
    found, _ = loaded(more_tokens(), loaded.initial_state())
    assert torch.equal(found, model(more_tokens(), model.initial_state())[0])


def test_the_choices_are_the_engines() -> None:
    assert convert.FORMS == engine_convert.FORMS
    assert tuple(checkpoint.DTYPES) == convert.DTYPES


def test_help_does_not_wait_for_torch() -> None:
    for words in (["models", "show"], ["convert"]):
        program = (
            "import sys; from adventure import cli\n"
            f"try: cli.main({[*words, '--help']})\n"
            "except SystemExit: print('torch' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        assert run.stdout.splitlines()[-1] == "False"
