"""A game master as the benchmark plays it: the same turns as in play, and the controls."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fakes import COTTAGE, cottage
from tiny import tiny_model

from adventure.master import gamemaster
from adventure.master.gamemaster import GameMaster, Position
from adventure.master.segments import MemoryUse, end_segments
from adventure.master.subjects import Loss, NetworkSubject, RefereeDraft, lines_by_beginning, wiped
from adventure.referee.rules import play, start
from adventure.world.prompt import SPECIALS, memory_text, pack_text, reply_text
from engine.memoryconfig import MemoryConfig
from engine.rwkv.state import State
from engine.tokenizer import train_tokenizer

TEXT = [pack_text(cottage())]
FORMS = ["Taken: *.", "Yours: *."]


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> GameMaster:
    torch.set_num_threads(1)
    monkeypatch.setattr(gamemaster, "LONGEST_REPLY", 30)
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_RECORD", 6)
    tokenizer = train_tokenizer(TEXT, 330, SPECIALS)
    world = cottage(replies={**COTTAGE["replies"], "taken": FORMS})
    return GameMaster(tiny_model(hints=True, vocab=tokenizer.vocab), tokenizer, world)


def same(a: Position, b: Position) -> bool:
    tensors = all(torch.equal(a.state.tensors[n], b.state.tensors[n]) for n in a.state.tensors)
    hints = [h.tokens for h in a.state.hints or ()] == [h.tokens for h in b.state.hints or ()]
    return tensors and hints and a.records == b.records and a.changed == b.changed


def test_a_turn_is_the_one_that_is_played(master: GameMaster) -> None:
    for line in ("look", "go|east", "take|brass key"):
        said = NetworkSubject(master).play(master.opening(), line)
        (wanted,) = master.play_batch([master.opening()], [line])
        assert said[:2] == wanted[:2]
        assert all(
            torch.allclose(x, y, atol=1e-5)
            for x, y in zip(
                said[2].state.tensors.values(), wanted[2].state.tensors.values(), strict=True
            )
        )


@pytest.mark.parametrize("kind", ["state", "hints"])
def test_what_is_wiped_before_a_turn_is_gone(master: GameMaster, kind: Loss) -> None:
    opening = master.opening()
    before = wiped(opening, kind)
    zero = not any(t.any() for t in before.state.tensors.values())
    assert zero == (kind == "state")
    assert [len(h) for h in before.state.hints or ()] == (
        [0] if kind == "hints" else [len(opening.state.hints[0])]  # type: ignore[index]
    )
    assert same(wiped(opening, None), opening) and opening.state.tensors["wkv"].any()


def played(master: GameMaster, lines: list[str]) -> Position:
    """A position at a segment's end, with the records of these commands played well."""
    records, changed = start(master.world), dict[str, None]()
    for line in lines:
        after = play(master.world, records, line).records
        changed |= dict.fromkeys(key for key in after if after[key] != records[key])
        records = after
    opening = master.opening()
    return replace(opening, records=records, changed=tuple(changed), turns=gamemaster.SEGMENT_TURNS)


def test_a_swapped_memory_is_read_and_the_records_stay(master: GameMaster) -> None:
    mine, other = played(master, ["go|east"]), played(master, ["drop|lamp"])
    usual = NetworkSubject(master).settle(mine, other)
    assert same(usual, master.settle(mine)), "without a control, others are left alone"
    swapped = NetworkSubject(master, "words-swap").settle(mine, other)
    assert swapped.records == mine.records and swapped.changed == mine.changed
    read = master.tokenizer.decode([*swapped.state.hints[0].tokens])  # type: ignore[index]
    assert read.endswith(memory_text(other.records, other.changed))
    assert not read.endswith(memory_text(mine.records, mine.changed))
    assert NetworkSubject(master, "words-swap").settle(mine) is not None


def test_a_swapped_latent_memory_is_read(master: GameMaster) -> None:
    master.model.add_memory(MemoryConfig(slots=2, solidifier="none"), seed=3)
    mine = played(master, ["go|east"])
    other = replace(mine, memory=torch.full((2, 32), 0.5))
    (written,) = end_segments(master.model, MemoryUse(), [other])[0]  # type: ignore[misc]
    usual = NetworkSubject(master).settle(mine, other)
    swapped = NetworkSubject(master, "latent-swap").settle(mine, other)
    assert swapped.memory is not None and torch.equal(swapped.memory, written)
    assert swapped.records == usual.records and not same(swapped, usual)
    assert usual.memory is not None and not torch.equal(usual.memory, swapped.memory)
    first = NetworkSubject(master, "latent-swap").settle(mine, replace(mine))
    assert first.memory is not None and mine.memory is not None
    assert not torch.equal(first.memory, mine.memory), "what was written, not what had been read"
    unfinished = replace(mine, turns=1)
    assert NetworkSubject(master, "latent-swap").settle(unfinished, other) is unfinished


def test_a_question_is_a_record_begun_on_a_copy(
    master: GameMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = played(master, ["drop|lamp"])
    tokens = position.state.hints[0].tokens  # type: ignore[index]
    assert NetworkSubject(master).answer(position, "lamp").startswith(" lamp:")
    assert position.state.hints[0].tokens == tokens  # type: ignore[index]
    line = " lamp: Garden, portable."
    asked = master.tokenizer.encode("<|do|> look\n lamp:")
    whole = master.tokenizer.encode(f"<|do|> look\n{line}\n")
    read = list[list[int]]()

    def certain(row: torch.Tensor, state: State, **how: object) -> tuple[torch.Tensor, State]:
        read.append(row[0].tolist())
        choices = [*whole[len(asked) :], 0][: row.shape[1] - len(asked) + 1]
        return torch.nn.functional.one_hot(torch.tensor(choices), 330).float(), state

    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_RECORD", 50)
    monkeypatch.setattr(master.model, "forward", certain)
    assert NetworkSubject(master).answer(position, "lamp") == line
    assert read == [whole], "its own record is the draft, and is read in one pass"


def test_drafts_follow_the_forms_that_the_master_chose(master: GameMaster) -> None:
    encode = master.tokenizer.encode
    records = play(master.world, start(master.world), "go|east").records
    draft = RefereeDraft(master, records, "take|brass key", {})
    first = play(master.world, records, "take|brass key")
    second = play(master.world, records, "take|brass key", lambda kind, forms: forms - 1)
    texts = [reply_text(outcome.lines, outcome.reply) for outcome in (first, second)]
    assert draft([]) == encode(texts[0]) and texts[0] != texts[1]
    said = texts[1][: texts[1].index(" say taken or") + len(" say taken or")]
    assert [*encode(said), *draft(encode(said))] == encode(texts[1])


def test_drafts_go_on_line_by_line_after_something_else_was_said(master: GameMaster) -> None:
    encode = master.tokenizer.encode
    outcome = play(master.world, start(master.world), "drop|lamp")
    draft = RefereeDraft(master, start(master.world), "drop|lamp", lines_by_beginning(master))
    lines = outcome.lines
    wrong = f"{lines[0]}\n lamp: Moon.\n"
    assert draft(encode(" lamp: Mo")) == ()
    assert draft(encode(wrong)) == encode(f"{lines[2]}\n"), "as many lines on"
    assert draft(encode(f"{wrong}{lines[1]}\n")) == encode(f"{lines[2]}\n"), "after one it knows"
    everything = "".join(f"{line}\n" for line in [" lamp: Moon.", *lines])
    assert draft(encode(everything)) == [master.say]
    told = [*encode(everything), master.say]
    assert draft(told) == ()
    prose = encode(" Paint flakes off it.\n")
    assert draft([*told, *prose[:2]]) == () and draft([*told, *prose[:3]]) == prose[3:]
    assert draft([*told, *prose[:3], 5]) == (), "it went on in another way"


def test_records_that_make_no_sense_give_no_draft(master: GameMaster) -> None:
    draft = RefereeDraft(master, {**start(master.world), "At": ()}, "look", {})
    assert draft([]) == [master.say], "there is nothing to say but the reply"
