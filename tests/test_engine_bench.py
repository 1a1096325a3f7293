"""`adventure bench engine` on a tiny shape: every figure is there and makes sense."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import relative, tiny_model, tiny_tokens

from adventure import cli
from engine.bench import peers as bench_peers
from engine.bench.drift import drift
from engine.bench.engine import GENERATIONS, config_of, count_weights, random_network
from engine.bench.gguf_writer import write_gguf
from engine.bench.machine import Machine
from engine.bench.peers import Absent, Contender
from engine.convert import write_model
from engine.errors import UserError

SHAPE = "2x64x96"


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run reads more memory than a cache holds, and multiplies larger matrices."""
    monkeypatch.setattr("engine.bench.machine.READ_BYTES", 1 << 20)
    monkeypatch.setattr("engine.bench.machine.SIDES", ((64, 64, 64),))


def test_the_command_measures_every_contender(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--threads", "1", "--tokens", "24", "--decode", "3", "--rounds", "1", "--json"]
    threads = torch.get_num_threads()
    assert cli.main(["bench", "engine", "--shape", SHAPE, *options]) == 0
    assert torch.get_num_threads() == threads
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["engine"]
    about = report["about"]
    assert (about["layers"], about["width"], about["vocabulary"]) == (2, 64, 96)
    assert (about["threads"], about["tokens"], about["decode"]) == (1, 24, 3)
    assert about["gflops"] > 0 and about["gbytes_per_s"] > 0
    ran = [row for row in report["contenders"] if "absent" not in row]
    assert {row["name"] for row in report["contenders"]} == {"this engine", *bench_peers.PEERS}
    for row in ran:
        for figure in ("prefill_per_s", "prefill_share", "decode_per_s", "decode_share"):
            assert row[figure] > 0, row
        # All compute the same network, as nearly as their weights let them.
        assert row["differs"] <= (1e-5 if "32" in row["weights"] else 5e-2), row
        if row["name"] != "this engine":
            assert row["prefill_ratio"] > 0 and row["decode_ratio"] > 0
    assert ran[0]["differs"] == 0
    for row in report["drift"]:
        assert row["positions"] > 0 and row["kl"] >= 0 and 0 <= row["agreement"] <= 1
    assert {row["name"] for row in report["drift"]} <= {"random weights", "the game master"}


@pytest.mark.parametrize("generation", ["4", "6"])
def test_what_is_installed_computes_the_same_network(generation: str) -> None:
    # A process of its own: one can import the rwkv package for one of its two kinds only.
    small = f"--generation {generation} --threads 1 --tokens 16 --decode 2 --rounds 1 --json"
    command = [sys.executable, "-m", "adventure", "bench", "engine", "--shape", SHAPE]
    done = subprocess.run([*command, *small.split()], capture_output=True, text=True, check=True)
    for row in json.loads(done.stdout)["engine"]["contenders"]:
        if "absent" not in row:
            assert row["differs"] <= (1e-5 if "32" in row["weights"] else 5e-2), row


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = list(bench_peers.peers(random_network(config_of(SHAPE)), tmp_path, 1, 8))
    assert found == [Absent(name, "not installed") for name in bench_peers.PEERS]


@pytest.mark.parametrize("generation, kind", [("4", "F32"), ("7", "Q4_0")])
def test_what_gguf_is_not_written_for_is_refused(
    generation: str, kind: str, tmp_path: Path
) -> None:
    model = random_network(config_of(SHAPE, generation))
    with pytest.raises(ValueError, match="RWKV-7" if generation == "4" else "Q4_0"):
        write_gguf(model, tmp_path / "m.gguf", kind)


@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="gguf is not installed")
def test_gguf_files_hold_every_weight(tmp_path: Path) -> None:
    model = random_network(config_of(SHAPE))
    write_gguf(model, tmp_path / "m.gguf", "F16")
    reader = importlib.import_module("gguf").GGUFReader(tmp_path / "m.gguf")
    held = {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in reader.tensors}
    weights = model.state_dict()
    matrix = held["blk.1.channel_mix_key.weight"]
    assert torch.equal(matrix, weights["blocks.1.ffn.key.weight"].half())
    assert torch.equal(held["blk.1.time_mix_w1.weight"], weights["blocks.1.att.w1"].t())
    # The first layer's v0, v1 and v2 are extra; six mixes of each layer are one tensor.
    assert len(held) == len(weights) + 3 - 2 * 5


def test_a_contender_starts_anew_with_every_prefill(tmp_path: Path) -> None:
    model = random_network(config_of(SHAPE))
    write_model(model, tmp_path / "m.safetensors", "safetensors")
    entries = bench_peers.ours(tmp_path / "m.safetensors")
    runner = next(entry for entry in entries if isinstance(entry, Contender)).load()
    once = runner.prefill([1, 2, 3]), runner.step(4)
    again = runner.prefill([1, 2, 3]), runner.step(4)
    assert torch.equal(once[0], again[0]) and torch.equal(once[1], again[1])
    with torch.no_grad():
        wanted, _ = model(torch.tensor([[1, 2, 3, 4]]), model.initial_state())
    assert relative(torch.stack(once), wanted[0, 2:]) <= 2e-6


@pytest.mark.parametrize("shape", ["", "0.3B", "2x64", "0x64x96", "2x63x96", "axbxc"])
def test_a_shape_that_is_none_is_the_users_mistake(shape: str) -> None:
    with pytest.raises(UserError) as error:
        config_of(shape)
    assert str(error.value).count("\n") == 0 and f'"{shape}"' in str(error.value)


def test_other_mistakes_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "engine", "--shape", SHAPE, "--generation", "5.1"]) == 2
    assert "'5.1'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", "engine", "--rounds", "0"])
    assert left.value.code == 2


@pytest.mark.parametrize("generation", GENERATIONS)
def test_operations_are_counted_from_the_matrices(generation: str) -> None:
    model = random_network(config_of(SHAPE, generation))
    found = count_weights(model)
    C, F, L = 64, model.config.ffn, 2
    projections = {"4": 4, "5.2": 5, "6": 5, "7": 4}[generation] * C * C
    mixes = 2 * C * F + (0 if generation == "7" else C * C)
    assert (found.large, found.head) == (L * (projections + mixes), 96 * C)
    ranks = model.config.ranks
    wanted = {
        "4": 0,
        "5.2": 0,
        "6": L * 2 * C * (5 * ranks.mix + ranks.w),
        "7": 2 * C * (L * (ranks.w + ranks.a + ranks.g) + (L - 1) * ranks.v),
    }
    assert found.low == wanted[generation]
    assert found.all == sum(weight.numel() for weight in model.parameters())


def test_random_networks_stay_finite_and_depend_on_all_they_read() -> None:
    for generation in GENERATIONS:
        model = random_network(config_of(SHAPE, generation))
        tokens = torch.randint(96, (1, 300), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            logits, _ = model(tokens, model.initial_state())
            tokens[0, 295] = (tokens[0, 295] + 1) % 96
            changed, _ = model(tokens, model.initial_state())
        assert logits.isfinite().all()
        assert 1e-3 < relative(changed[0, 299], logits[0, 299]) < 1.9


def test_drift_is_nothing_from_a_network_to_itself_and_grows_with_noise() -> None:
    model, text = tiny_model(), tiny_tokens(1, 150)[0]
    same = drift(model, model, [text, text[:30]])
    assert (same.positions, same.kl, same.agreement) == (180, 0, 1)
    assert same.sure_agreement in (1, None)
    found = []
    for size in (0.01, 0.1):
        other, rng = tiny_model(), torch.Generator().manual_seed(0)
        with torch.no_grad():
            other.head.weight.add_(size * torch.randn(61, 32, generator=rng))
        found.append(drift(model, other, [text]))
    assert 0 < found[0].kl < found[1].kl and found[1].agreement < 1
    with torch.no_grad():
        p, q = (
            m(text.unsqueeze(0), m.initial_state())[0][0].double().log_softmax(-1)
            for m in (model, other)
        )
    assert found[1].kl == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-6)
    with pytest.raises(ValueError):
        drift(model, model, [])


def test_the_best_of_all_samples_counts() -> None:
    machine = Machine()
    machine.sample()
    first = machine.gflops, machine.gbytes
    machine.sample()
    assert 0 < first[0] <= machine.gflops and 0 < first[1] <= machine.gbytes
