"""The latent memory in play and in what is learned from: segments that end and begin, what a save
keeps of it, the controls, and chains of consecutive segments."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import cottage
from tiny import tiny_model
from torch import Tensor

from adventure.master import gamemaster
from adventure.master.chains import Chain, chain_loss, chain_of
from adventure.master.corpus import hint_config
from adventure.master.gamemaster import SEGMENT_TURNS, GameMaster, Position, settle_batch
from adventure.master.opening import opening_bytes, use_opening
from adventure.master.segments import MemoryUse, end_segments
from adventure.referee.rules import play
from adventure.world.prompt import (
    SPECIALS,
    changed_keys,
    command_text,
    memory_text,
    pack_text,
    reply_text,
)
from engine.copyhints import CopyHints
from engine.errors import SnapshotError
from engine.generate import prefill
from engine.memoryconfig import MemoryConfig
from engine.rwkv.network import Network
from engine.segments import memory_of, read_memory, write_memory
from engine.tokenizer import Tokenizer, train_tokenizer

WORLD = cottage()
LINES = ["go|east", "take|brass key", "take|dry log", "go|west", "look", "drop|dry log"]


PLAYED = 4


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    torch.set_num_threads(1)
    text = pack_text(WORLD) + "".join(f"{command_text(line)}" for line in LINES)
    words = "if so say At the ( new was clock leads Clocks 0 go you worn holds exits game Deeds"
    structure = f"\n {words} arrive light dark person : , ." * 20
    return train_tokenizer([text, structure], 440, SPECIALS)


def network(tokenizer: Tokenizer, **memory: object) -> Network:
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    if memory:
        model.add_memory(MemoryConfig(**{"slots": 3, **memory}), seed=2)  # type: ignore[arg-type]
    return model.eval()


def master_of(model: Network, tokenizer: Tokenizer, **use: object) -> GameMaster:
    return GameMaster(model, tokenizer, WORLD, memory=MemoryUse(**use))  # type: ignore[arg-type]


def told(master: GameMaster, position: Position, line: str) -> Position:
    """A turn in which the master said just what the referee says."""
    outcome = play(WORLD, position.records, line)
    reply = master.tokenizer.encode(reply_text(outcome.lines, outcome.reply))
    tokens = [*master.tokenizer.encode(command_text(line)), *reply]
    logits, state = prefill(master.model, torch.tensor([tokens]), position.state)
    return master.after(position, state, logits[0], outcome.lines, len(reply))


def full(master: GameMaster, lines: list[str] = LINES) -> Position:
    """A position at the end of a segment: after few turns, but full."""
    position = master.opening()
    for line in lines[:PLAYED]:
        position = told(master, position, line)
    return dataclasses.replace(position, turns=SEGMENT_TURNS)


def same(one: Position, other: Position) -> bool:
    """To the bit."""
    left, right = (
        {**p.state.tensors, "logits": p.logits} | ({} if p.memory is None else {"memory": p.memory})
        for p in (one, other)
    )
    if set(left) != set(right) or not all(torch.equal(t, right[n]) for n, t in left.items()):
        return False
    hints = [p.state.hints and p.state.hints[0].tokens for p in (one, other)]
    rest = [(p.records, p.changed, p.turns, p.tokens, p.recent) for p in (one, other)]
    return hints[0] == hints[1] and rest[0] == rest[1]


def memory(position: Position) -> Tensor:
    assert position.memory is not None
    return position.memory


# -- segments ------------------------------------------------------------------------------------


def test_a_segment_ends_by_writing_and_begins_by_reading(tokenizer: Tokenizer) -> None:
    model = network(tokenizer, pause=1)
    master = master_of(model, tokenizer)
    opening, end = master.opening(), full(master)
    assert torch.equal(memory(opening), memory_of(model).initial)
    assert torch.equal(memory(end), memory(opening)), "the memory is of the whole segment"
    fresh = master.settle(end)
    with torch.no_grad():
        written, _ = write_memory(model, memory(end).unsqueeze(0), end.state)
        begun = read_memory(model, written, opening.state)
    words = tokenizer.encode(memory_text(end.records, end.changed))
    logits, state = prefill(model, torch.tensor([words]), begun)
    wanted = Position(state, logits[0], end.records, end.changed, memory=written[0])
    assert same(fresh, wanted)
    assert not torch.equal(memory(fresh), memory(opening))
    assert master.settle(fresh) is fresh and master.settle(opening) is opening


def test_without_a_memory_nothing_is_read_but_words(tokenizer: Tokenizer) -> None:
    master = master_of(network(tokenizer), tokenizer)
    fresh = master.settle(full(master))
    words = tokenizer.encode(memory_text(fresh.records, fresh.changed))
    logits, state = prefill(master.model, torch.tensor([words]), master.opening().state)
    assert same(fresh, Position(state, logits[0], fresh.records, fresh.changed))


def test_games_in_step_settle_as_each_alone(tokenizer: Tokenizer) -> None:
    for solidifier in ("layer", "fsq"):
        model = network(tokenizer, solidifier=solidifier)
        master = master_of(model, tokenizer)
        masters = [master] * 4
        orders = (LINES, LINES[3:], ["look"], LINES[:2])
        positions = [full(m, lines) for m, lines in zip(masters, orders, strict=True)]
        positions[1] = dataclasses.replace(positions[1], turns=3)  # goes on
        together = settle_batch(masters, positions)
        assert together[1] is positions[1]
        for master, position, settled in zip(masters, positions, together, strict=True):
            assert same(settled, master.settle(position))
        # Quantised, short games may have the same memory.
        if solidifier == "layer":
            assert len({memory(p).numpy().tobytes() for p in together}) == len(together)


def test_the_controls_do_what_they_say(tokenizer: Tokenizer) -> None:
    model = network(tokenizer)
    model.add_memory(MemoryConfig(slots=3), seed=2)
    model.eval()
    end = full(master_of(model, tokenizer))
    usual = master_of(model, tokenizer).settle(end)

    frozen = master_of(model, tokenizer, latent="frozen").settle(end)
    assert torch.equal(memory(frozen), memory_of(model).initial)
    zeroed = master_of(model, tokenizer, latent="zeroed").settle(end)
    assert not memory(zeroed).any()
    off = master_of(model, tokenizer, latent="off")
    without = off.settle(full(off))
    plain = master_of(network(tokenizer), tokenizer)
    assert without.memory is None and same(without, plain.settle(full(plain)))

    given = torch.randn(3, 32)
    swapped = master_of(model, tokenizer).settle(end, given)
    assert torch.equal(memory(swapped), given)
    for other in (frozen, zeroed, without, swapped):
        assert not same(usual, other)
        assert not torch.equal(usual.logits, other.logits)

    silent = master_of(model, tokenizer, words=False).settle(end)
    opening = master_of(model, tokenizer).opening()
    assert silent.state.hints is not None and opening.state.hints is not None
    assert silent.state.hints[0].tokens == opening.state.hints[0].tokens
    assert (silent.records, silent.changed) == (end.records, end.changed)
    assert torch.equal(memory(silent), memory(usual))


def test_a_carried_state_goes_on_from_the_end_of_the_segment(tokenizer: Tokenizer) -> None:
    model = network(tokenizer, slots=2)
    master = master_of(model, tokenizer, start="carried", words=False)
    end = full(master)
    fresh = master.settle(end)
    with torch.no_grad():
        written, after = write_memory(model, memory(end).unsqueeze(0), end.state)
        state = read_memory(model, written, after)
    for name, tensor in state.tensors.items():
        assert torch.equal(fresh.state.tensors[name], tensor)
    opening = master.opening()
    assert fresh.state.hints == opening.state.hints, "hints must not look back without end"
    bare = master_of(network(tokenizer), tokenizer, start="carried", words=False)
    end = full(bare)
    for name, tensor in end.state.tensors.items():
        assert torch.equal(bare.settle(end).state.tensors[name], tensor)


def test_the_last_turns_are_read_again_after_the_memory_from_before_them(
    tokenizer: Tokenizer,
) -> None:
    master = master_of(network(tokenizer), tokenizer, start="replay", turns=2)
    end = full(master)
    fresh, opening = master.settle(end), master.opening()
    assert fresh.state.hints is not None and opening.state.hints is not None
    text = tokenizer.decode(fresh.state.hints[0].tokens[len(opening.state.hints[0]) :])
    before = opening
    for line in LINES[: PLAYED - 2]:
        before = told(master, before, line)
    turns = ""
    position = before
    for line in LINES[PLAYED - 2 : PLAYED]:
        outcome = play(WORLD, position.records, line)
        turns += command_text(line) + reply_text(outcome.lines, outcome.reply)
        position = told(master, position, line)
    assert text == memory_text(before.records, before.changed) + turns
    assert (fresh.records, fresh.changed) == (end.records, end.changed)
    with pytest.raises(ValueError, match="only a network with copy hints"):
        master_of(tiny_model(vocab=tokenizer.vocab), tokenizer, start="replay")


def test_a_use_of_memory_that_cant_be_is_refused() -> None:
    for wrong in ({"latent": "half"}, {"start": "end"}, {"turns": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            MemoryUse(**wrong)  # type: ignore[arg-type]


# -- turns in step -------------------------------------------------------------------------------


def test_turns_in_step_are_those_of_each_alone(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrained network never ends a turn, so what it would say is compared, lost as it is."""
    monkeypatch.setattr(gamemaster, "LONGEST_REPLY", 12)
    master = master_of(network(tokenizer, slots=2), tokenizer)
    places = [master.opening(), master.settle(full(master)), told(master, master.opening(), "look")]
    lines = ["look", "take|brass key", "go|north"]
    together = master.play_batch(places, lines)
    for place, line, (_, records, after) in zip(places, lines, together, strict=True):
        alone = master.turn(place, line)
        list(alone)
        assert after is place and alone.lost
        assert records == alone.records


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solidifier", ["mlp", "fsq"])
def test_a_position_comes_back_with_its_memory(tokenizer: Tokenizer, solidifier: str) -> None:
    model = network(tokenizer, solidifier=solidifier)
    master = master_of(model, tokenizer, start="replay")
    position = told(master, master.settle(full(master)), "look")
    tensors, meta = master.position_to_file_parts(position)
    assert (tensors["memory"].dtype is torch.int8) == (solidifier == "fsq")
    restored = master.position_from_parts(tensors, meta)
    assert same(restored, position) and restored.recent
    again = [told(master, p, "go|east") for p in (position, restored)]
    assert same(*again)
    assert same(*(master.settle(dataclasses.replace(p, turns=99)) for p in again))

    bare = {name: t for name, t in tensors.items() if name != "memory"}
    with pytest.raises(SnapshotError, match="lacks one"):
        master.position_from_parts(bare, meta)
    with pytest.raises(SnapshotError, match="where this game master has none"):
        master_of(model, tokenizer, latent="off").position_from_parts(tensors, meta)
    for wrong in (tensors["memory"][:1], tensors["memory"].double() * torch.nan):
        with pytest.raises(SnapshotError, match="latent memory of another network"):
            master.position_from_parts({**tensors, "memory": wrong}, meta)
    if solidifier == "fsq":
        with pytest.raises(SnapshotError, match="latent memory of another network"):
            master.position_from_parts({**tensors, "memory": tensors["memory"] + 100}, meta)


def test_openings_bring_no_memory_of_their_own(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = network(tokenizer, slots=2)

    def master(**use: object) -> GameMaster:
        made = master_of(model, tokenizer, **use)
        made.weights = "w"
        return made

    made = master()
    made.opening(cache_dir=tmp_path)
    cached = master()
    assert same(cached.opening(cache_dir=tmp_path), made.opening())
    other = master(latent="off")
    assert other.opening(cache_dir=tmp_path).memory is None
    assert len(list(tmp_path.iterdir())) == 2, "one cache for each"
    begun = dataclasses.replace(made.opening(), memory=torch.ones(2, 32))
    data = opening_bytes(_with(master(), begun))
    fresh = master()
    assert use_opening(fresh, data, fresh.opening_hash)
    assert same(fresh.opening(), made.opening())


def _with(master: GameMaster, opening: Position) -> GameMaster:
    master._opening = opening
    return master


def test_a_memory_is_asked_for_in_every_position(tokenizer: Tokenizer) -> None:
    master = master_of(network(tokenizer, slots=2), tokenizer)
    with pytest.raises(ValueError, match="has no latent memory"):
        end_segments(
            master.model, master.memory, [dataclasses.replace(master.opening(), memory=None)]
        )


# -- chains --------------------------------------------------------------------------------------


def chain(tokenizer: Tokenizer, index: int = 0, **options: object) -> Chain:
    chosen = {"segments": 3, "games": 2, "longest": 900, **options}
    rng = random.Random(index)
    return chain_of(WORLD, rng, tokenizer, hint_config(tokenizer), **chosen)  # type: ignore[arg-type]


def texts(tokenizer: Tokenizer, made: Chain, game: int) -> list[str]:
    return [
        tokenizer.decode(sample.tokens[game, : int(n[game])].tolist())
        for sample, n in zip(made.segments, made.lengths, strict=True)
    ]


def replayed(text: str, records: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The records after the commands in a segment's text, by the referee."""
    for turn in text.split("<|do|> ")[1:]:
        line = turn.partition("\n")[0].replace("<|of|> ", "|")
        records = play(WORLD, records, line).records
    return records


def test_a_chain_is_one_game_and_the_same_every_time(tokenizer: Tokenizer) -> None:
    one, again = chain(tokenizer), chain(tokenizer)
    for left, right in zip(one.segments, again.segments, strict=True):
        assert np.array_equal(left.tokens, right.tokens) and np.array_equal(left.said, right.said)
    assert not np.array_equal(one.segments[0].tokens, chain(tokenizer, 1).segments[0].tokens)
    assert one.tokens == len(one.opening.tokens) + sum(int(n.sum()) for n in one.lengths)


def test_memory_in_words_says_what_the_segments_before_have_changed(tokenizer: Tokenizer) -> None:
    start = gamemaster.initial_records(WORLD)
    for index in range(2):
        made = chain(tokenizer, index, words="off", segments=4)
        for game in range(2):
            assert not any(text.startswith(" ") for text in texts(tokenizer, made, game))
    checked = 0
    for index in range(5):
        for game in range(2):
            on = texts(tokenizer, chain(tokenizer, index), game)
            first = texts(tokenizer, chain(tokenizer, index, words="first"), game)
            records = start
            for line in on[0].partition("<|do|>")[0].splitlines():
                key, items = gamemaster.parse_record(line) or ("", ())
                records = {**records, key: items}
            order = changed_keys([], start, records)
            for number, text in enumerate(on):
                words = text.partition("<|do|>")[0]
                assert number == 0 or not first[number].startswith(" ")
                if not text:
                    continue
                said = {gamemaster.parse_record(line) for line in words.splitlines()}
                assert {(key, records[key]) for key in order} <= said
                assert all(record and records[record[0]] == record[1] for record in said)
                after = replayed(text, records)
                order, records = changed_keys(order, records, after), after
                checked += number
    assert checked > 8


def test_what_is_said_is_replies_alone_and_hints_see_the_opening(tokenizer: Tokenizer) -> None:
    made = chain(tokenizer)
    read = CopyHints.start(hint_config(tokenizer)).read(made.opening.tokens.tolist())[2]
    for sample, lengths in zip(made.segments, made.lengths, strict=True):
        for game, n in enumerate(lengths):
            tokens = sample.tokens[game, :n].tolist()
            ids, codes, _ = read.read(tokens)
            assert np.array_equal(sample.ids[game, :n], ids)
            assert np.array_equal(sample.codes[game, :n], codes)
            assert not sample.said[game, n:].any()
            said = [t for t, on in zip(tokens[1:], sample.said[game], strict=False) if on]
            turns = tokenizer.decode(tokens).split("<|do|>")[1:]
            assert tokenizer.decode(said) == "".join(t.partition("\n")[2] for t in turns)
            assert len(turns) <= SEGMENT_TURNS


def test_a_game_is_won_in_the_last_segment_only(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever would win earlier has to do something else."""
    keys = ("unlock|green door|brass key", "open|green door")
    way = ["go|east", "take|brass key", "take|dry log", "go|west", *keys, "go|north"]
    steps = iter(way)

    def goes_on(*_: object) -> str:
        return next(steps, "drop|dry log")

    monkeypatch.setattr("adventure.master.corpus.pick_player", lambda _: goes_on)
    monkeypatch.setattr("adventure.master.chains.legal_player", lambda *_: "look")
    before, last = texts(
        tokenizer, chain(tokenizer, words="off", segments=2, games=1, longest=4000), 0
    )
    assert before.count("<|do|>") == SEGMENT_TURNS and " Game: won" not in before
    assert last.count("<|do|>") == 1 and " Game: won" in last


def test_the_loss_of_a_chain_learns_with_memory_and_without(tokenizer: Tokenizer) -> None:
    model = network(tokenizer, slots=2).train()
    made = chain(tokenizer, segments=2, longest=300)
    said = sum(int(sample.said.sum()) for sample in made.segments)
    losses = set()
    for start in ("opening", "carried"):
        for latent in ("on", "frozen", "off"):
            model.zero_grad()
            loss, right = chain_loss(model, made, start=start, latent=latent)  # type: ignore[arg-type]
            loss.backward()
            assert len(right) == said
            losses.add(round(loss.item(), 4))
            touched = memory_of(model).initial.grad is not None
            assert touched == (latent != "off")
    assert len(losses) == 6
