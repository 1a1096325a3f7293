"""The game master: what every network's turns, files and segments hold to, and how well the shipped
one plays for real: what it says, remembers, and gives back from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fakes import cottage
from tiny import tiny_model

from adventure.master import SHIPPED
from adventure.master.gamemaster import (
    SEGMENT_TOKENS,
    SEGMENT_TURNS,
    GameMaster,
    Position,
    load_network,
)
from adventure.master.subjects import wiped
from adventure.master.walks import read_walk
from adventure.referee.rules import play, start
from adventure.world.pack import find_world, load_world
from adventure.world.prompt import SPECIALS, initial_records, memory_text, pack_text, shown
from engine.checkpoint import weights_hash
from engine.errors import SnapshotError, TokenizerError
from engine.tokenizer import open_tokenizer, train_tokenizer


def say(master: GameMaster, position: Position, line: str) -> tuple[str, Position]:
    turn = master.turn(position, line)
    text = "".join(piece.text for piece in turn if piece.kind == "text")
    assert text == turn.reply
    return text, turn.position


# -- any network ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def untrained() -> GameMaster:
    """A master of the cottage that has learnt nothing: it never comes to a reply."""
    torch.set_num_threads(1)
    world = cottage()
    tokenizer = train_tokenizer([pack_text(world)], 320, SPECIALS)
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    return GameMaster(model, tokenizer, world, weights="untrained")


def copy_of(master: GameMaster) -> GameMaster:
    """The same master before it has read anything."""
    return GameMaster(master.model, master.tokenizer, master.world, weights=master.weights)


def moved(master: GameMaster, *lines: str) -> Position:
    """A position as if these hidden lines had been said in one turn."""
    opening = master.opening()
    return master.after(opening, opening.state, opening.logits, lines, 10)


def test_a_network_that_never_comes_to_a_reply_changes_nothing(
    untrained: GameMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_REPLY", 60)
    opening = untrained.opening()
    turn = untrained.turn(opening, "look")
    assert list(turn)
    assert turn.lost
    assert turn.position is opening
    assert untrained.play_batch([opening], ["look"])[0][2] is opening


def test_hidden_lines_change_records_and_nothing_else(untrained: GameMaster) -> None:
    position = moved(
        untrained,
        " At: Shed.",
        "<|when|> pull<|of|> lever",
        " if<|of|> crank<|of|> carried",
        " brass key: you, portable.",
        " say taken or",
        " nobody: Shed, person.",
        " You carry: lamp, brass key.",
        " Garden holds: green door.",  # as it was
        " Clocks: nothing.",
    )
    before = initial_records(untrained.world)
    news = {
        "At": ("Shed",),
        "brass key": ("you", "portable"),
        "You carry": ("lamp", "brass key"),
    }
    assert position.records == {**before, **news}
    assert position.changed == ("brass key", "You carry", "At")  # in the order of the pack
    assert (position.turns, position.over) == (1, False)
    assert moved(untrained, " Game: lost.").over and moved(untrained, " Game: won.").over


def test_a_full_segment_is_closed_and_a_game_that_is_over_is_not(untrained: GameMaster) -> None:
    opening = untrained.opening()
    position = moved(untrained, " At: Shed.")
    for _ in range(SEGMENT_TURNS - 1):
        assert untrained.settle(position) is position
        position = untrained.after(position, position.state, position.logits, [" At: Garden."], 10)
    fresh = untrained.settle(position)
    assert (fresh.turns, fresh.records, fresh.changed) == (0, position.records, ("At",))
    assert fresh.state.hints is not None and opening.state.hints is not None
    memory = fresh.state.hints[0].tokens[len(opening.state.hints[0]) :]
    assert untrained.tokenizer.decode(memory) == " At: Garden.\n"
    wordy = untrained.after(fresh, fresh.state, fresh.logits, [" At: Shed."], SEGMENT_TOKENS)
    assert untrained.settle(wordy).turns == 0, "few turns that took many words"
    over = untrained.after(position, position.state, position.logits, [" Game: won."], 10)
    assert untrained.settle(over) is over


def test_a_position_comes_back_from_its_file_parts(untrained: GameMaster) -> None:
    position = moved(untrained, " At: Shed.", " Deeds: gold ring.")
    tensors, meta = untrained.position_to_file_parts(position)
    restored = untrained.position_from_parts(tensors, meta)
    assert (restored.records, restored.changed, restored.turns) == (
        position.records,
        position.changed,
        1,
    )
    assert torch.equal(restored.logits, position.logits)
    for name, tensor in position.state.tensors.items():
        assert torch.equal(tensor, restored.state.tensors[name])
    with pytest.raises(SnapshotError, match="lacks its records"):
        untrained.position_from_parts(tensors, {**meta, "extra": {"records": {}}})
    other = GameMaster(
        tiny_model(hints=True, vocab=330), untrained.tokenizer, untrained.world, weights="x"
    )
    with pytest.raises(SnapshotError, match="another network"):
        other.position_from_parts(tensors, meta)


def test_the_opening_is_read_back_from_the_cache_exactly(
    untrained: GameMaster, tmp_path: Path
) -> None:
    made = copy_of(untrained).opening(cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    read: list[int] = []
    cached = copy_of(untrained).opening(lambda done, total: read.append(done), tmp_path)
    assert not read
    assert torch.equal(made.logits, cached.logits)
    file.write_bytes(file.read_bytes()[:1000])
    assert torch.equal(copy_of(untrained).opening(cache_dir=tmp_path).logits, made.logits)


def test_a_cache_that_cant_be_written_is_done_without(untrained: GameMaster) -> None:
    made = copy_of(untrained).opening(cache_dir=Path("/dev/null/x"))
    assert torch.equal(made.logits, untrained.opening().logits)


def test_the_controls_take_away_what_they_say(untrained: GameMaster) -> None:
    opening = untrained.opening()
    assert opening.state.hints is not None
    empty, blind = wiped(opening, "state"), wiped(opening, "hints")
    assert not any(tensor.any() for tensor in empty.state.tensors.values())
    assert empty.state.hints == opening.state.hints
    assert blind.state.tensors == opening.state.tensors
    assert blind.state.hints is not None and len(blind.state.hints[0]) == 0


# -- the shipped one -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def master() -> GameMaster:
    """The game master that comes with the program, in the default world."""
    torch.set_num_threads(1)
    tokenizer = open_tokenizer(SHIPPED, 4096)
    try:
        for special in SPECIALS:
            tokenizer.id_of(special)
    except TokenizerError as error:
        pytest.skip(f"the shipped weights are of another protocol: {error}")
    model, tokenizer = load_network()
    world = load_world(find_world("lantern"))
    return GameMaster(model, tokenizer, world, weights=weights_hash(SHIPPED))


@pytest.mark.parametrize("walk", ["solution", "tour"])
def test_played_walks_are_told_as_the_referee_tells_them(master: GameMaster, walk: str) -> None:
    """In one of the forms that there are of each standing reply, so forms are not compared here."""
    file = find_world("lantern") / "tests" / f"{walk}.walk"
    position, truth = master.opening(), start(master.world)
    same, lines = 0, read_walk(file, master.world)
    for line in lines:
        _, position = say(master, position, line)
        truth = play(master.world, truth, line).records
        same += dict(position.records) == truth
        position = master.settle(position)
    assert same >= 0.95 * len(lines)
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
    _, position = say(master, master.opening(), "go|up")
    restored = master.position_from_parts(*master.position_to_file_parts(position))
    for line in ("go|north", "open|blue door", "go|east"):
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
    first, _ = say(master, opening, "go|up")
    again, _ = say(master, opening, "go|up")
    assert first == again
    for name, tensor in opening.state.tensors.items():
        assert torch.equal(tensor, before[name])


def test_games_in_step_say_what_each_says_alone(master: GameMaster) -> None:
    opening = master.opening()
    _, moved = say(master, opening, "go|west")
    lines = ["go|up", "look", "take|glass float"]
    places = [opening, moved, moved]
    together = master.play_batch(places, lines)
    for line, place, (reply, _, after) in zip(lines, places, together, strict=True):
        alone, position = say(master, place, line)
        assert shown(reply) == alone
        assert after.records == position.records


def test_a_new_segment_starts_from_the_opening_and_the_changed_records(master: GameMaster) -> None:
    position = master.opening()
    for line in ["go|west", "take|glass float", *["wait"] * (SEGMENT_TURNS - 2)]:
        position = say(master, position, line)[1]
    assert position.turns == SEGMENT_TURNS
    fresh = master.settle(position)
    assert fresh.turns == 0
    assert fresh.records == position.records
    assert "You carry" in fresh.changed
    text = memory_text(fresh.records, fresh.changed)
    assert fresh.state.hints is not None and master.opening().state.hints is not None
    memory = fresh.state.hints[0].tokens[len(master.opening().state.hints[0]) :]
    assert master.tokenizer.decode(memory) == text
    assert "glass float" in say(master, fresh, "inventory")[0]


def test_what_a_control_takes_away_is_missed(master: GameMaster) -> None:
    opening = master.opening()
    assert say(master, wiped(opening, "hints"), "look")[0] != say(master, opening, "look")[0]


def test_a_tokenizer_of_another_model_is_refused(master: GameMaster) -> None:
    with pytest.raises(TokenizerError, match="4096 tokens and the model 1024"):
        master.tokenizer.check_fits(1024)
