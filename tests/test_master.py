"""The shipped game master, played for real: what it says, remembers, and gives back from a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from adventure.master import SHIPPED
from adventure.master.consistency import read_walk, wiped
from adventure.master.gamemaster import SEGMENT_TURNS, GameMaster, Position, load_network
from adventure.referee.rules import play, start
from adventure.world.pack import find_world, load_world
from adventure.world.prompt import memory_text, shown
from engine.checkpoint import weights_hash
from engine.errors import TokenizerError
from engine.rwkv.network import Network


@pytest.fixture(scope="module")
def master() -> GameMaster:
    torch.set_num_threads(1)
    model, tokenizer = load_network()
    world = load_world(find_world("lantern"))
    return GameMaster(model, tokenizer, world, weights=weights_hash(SHIPPED))


def say(master: GameMaster, position: Position, line: str) -> tuple[str, Position]:
    turn = master.turn(position, line)
    text = "".join(piece.text for piece in turn if piece.kind == "text")
    assert text == turn.reply
    return text, turn.position


@pytest.mark.parametrize("walk", ["solution", "tour"])
def test_played_walks_are_told_as_the_referee_tells_them(master: GameMaster, walk: str) -> None:
    file = find_world("lantern") / "tests" / f"{walk}.walk"
    position, truth = master.opening(), start(master.world)
    exact, lines = 0, read_walk(file, master.world)
    for line in lines:
        reply, position = say(master, position, line)
        outcome = play(master.world, truth, line)
        truth = outcome.records
        exact += reply == shown(outcome.reply)
        position = master.settle(position)
    assert exact >= 0.95 * len(lines)
    assert position.over == (truth["Game"] == ("won",))


def test_both_modes_and_any_split_agree_on_the_shipped_weights(master: GameMaster) -> None:
    tokens = torch.tensor([master.tokenizer.encode(master.prompt)[:160]])
    with torch.inference_mode():
        begin = master.model.initial_state(1)
        gpt, state = master.model(tokens, begin, mode="gpt")
        rnn, other = master.model(tokens, begin, mode="rnn")
        left, middle = master.model(tokens[:, :37], begin, mode="gpt")
        right, split = master.model(tokens[:, 37:], middle, mode="rnn")
    for logits in (rnn, torch.cat((left, right), 1)):
        assert (logits - gpt).norm() / gpt.norm() < 2e-6
    for tensors in (other.tensors, split.tensors):
        for name, tensor in tensors.items():
            assert (tensor - state.tensors[name]).norm() / state.tensors[name].norm() < 2e-6


def test_a_position_from_its_file_parts_goes_on_bit_for_bit(master: GameMaster) -> None:
    _, position = say(master, master.opening(), "go up")
    restored = master.position_from_parts(*master.position_to_file_parts(position))
    for line in ("go north", "open blue door", "go east"):
        one, position = say(master, position, line)
        two, restored = say(master, restored, line)
        assert one == two
        assert torch.equal(position.logits, restored.logits)
        for name, tensor in position.state.tensors.items():
            assert torch.equal(tensor, restored.state.tensors[name])
    assert position.records == restored.records


def test_a_turn_leaves_the_position_before_it_as_it_was(master: GameMaster) -> None:
    opening = master.opening()
    before = {name: tensor.clone() for name, tensor in opening.state.tensors.items()}
    first, _ = say(master, opening, "go west")
    again, _ = say(master, opening, "go west")
    assert first == again
    for name, tensor in opening.state.tensors.items():
        assert torch.equal(tensor, before[name])


def test_games_in_step_say_what_each_says_alone(master: GameMaster) -> None:
    opening = master.opening()
    _, moved = say(master, opening, "go west")
    lines = ["go up", "look", "take glass float"]
    places = [opening, moved, moved]
    together = master.play_batch(places, lines)
    for line, place, (reply, _, after) in zip(lines, places, together, strict=True):
        alone, position = say(master, place, line)
        assert shown(reply) == alone
        assert after.records == position.records


def test_a_new_segment_starts_from_the_opening_and_the_changed_records(master: GameMaster) -> None:
    position = master.opening()
    for line in ["go west", "take glass float", *["wait"] * (SEGMENT_TURNS - 2)]:
        position = say(master, position, line)[1]
    assert position.turns == SEGMENT_TURNS
    fresh = master.settle(position)
    assert fresh.turns == 0
    assert fresh.records == position.records
    assert set(fresh.changed) >= {"At", "You carry", "Shingle Cove holds"}
    text = memory_text(fresh.records, fresh.changed)
    assert fresh.state.hints is not None and master.opening().state.hints is not None
    memory = fresh.state.hints[0].tokens[len(master.opening().state.hints[0]) :]
    assert master.tokenizer.decode(memory) == text
    assert say(master, fresh, "inventory")[0] == "You carry: glass float."


def test_the_opening_is_read_back_from_the_cache_exactly(
    master: GameMaster, tmp_path: Path
) -> None:
    def fresh() -> GameMaster:
        return GameMaster(master.model, master.tokenizer, master.world, weights=master.weights)

    made = fresh().opening(cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    read: list[int] = []
    cached = fresh().opening(lambda done, total: read.append(done), tmp_path)
    assert not read
    assert torch.equal(made.logits, cached.logits)
    file.write_bytes(file.read_bytes()[:1000])
    assert torch.equal(fresh().opening(cache_dir=tmp_path).logits, made.logits)


def test_a_network_that_never_comes_to_a_reply_changes_nothing(master: GameMaster) -> None:
    untrained = Network.create(dataclasses.replace(master.model.config, n_layer=1)).eval()
    lost = GameMaster(untrained, master.tokenizer, master.world)
    opening = lost.opening()
    turn = lost.turn(opening, "look")
    assert list(turn)
    assert turn.lost
    assert turn.position is opening
    assert lost.play_batch([opening], ["look"])[0][2] is opening


def test_the_controls_take_away_what_they_say(master: GameMaster) -> None:
    opening = master.opening()
    assert opening.state.hints is not None
    empty, blind = wiped(opening, "state"), wiped(opening, "hints")
    assert not any(tensor.any() for tensor in empty.state.tensors.values())
    assert empty.state.hints == opening.state.hints
    assert blind.state.tensors == opening.state.tensors
    assert blind.state.hints is not None and len(blind.state.hints[0]) == 0
    assert say(master, blind, "look")[0] != say(master, opening, "look")[0]


def test_a_cache_that_cant_be_written_is_done_without(master: GameMaster) -> None:
    fresh = GameMaster(master.model, master.tokenizer, master.world, weights=master.weights)
    assert torch.equal(fresh.opening(cache_dir=Path("/dev/null/x")).logits, master.opening().logits)


def test_a_tokenizer_of_another_model_is_refused(master: GameMaster) -> None:
    with pytest.raises(TokenizerError, match="4096 tokens and the model 1024"):
        master.tokenizer.check_fits(1024)
