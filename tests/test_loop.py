"""The game at a terminal: rich and plain screens, meta commands, interruptions, dying terminals."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import COTTAGE, SOLUTION, cottage, fingerprint, new_console, say, tell
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import ColorDepth, DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from adventure.errors import SaveError, UserError
from adventure.play import loop, ui
from adventure.play import screen as screens
from adventure.play.commands import GAME_OVER, LOST, QUIT_QUESTION, WON, Console
from adventure.play.flow import Sentences, Wrapper
from adventure.play.meta import Meta, read_meta
from adventure.play.saves import read_saved
from adventure.play.transcript import Said

LONG = 300.0  # seconds; what takes longer hangs: a start took 32 of them beside other work
ROOMS = ("Garden", "Shed", "Parlour")


def plain(typed: str, scripted: bool = True) -> tuple[screens.PlainScreen, io.StringIO]:
    page = io.StringIO()
    screen = screens.PlainScreen(
        io.StringIO(typed), page, io.StringIO(), scripted=scripted, rooms=ROOMS
    )
    return screen, page


def played(
    folder: Path, typed: str, scripted: bool = True, **options: Any
) -> tuple[str, int, Console]:
    """Run the loop over typed lines; the page, the exit status and the console."""
    console = new_console(folder, **options)
    screen, page = plain(typed, scripted)
    status = loop.run(console, screen, console.introduction())
    return page.getvalue(), status, console


# -- scripts, to the letter ----------------------------------------------------------------------


def test_a_script_reads_as_it_should(tmp_path: Path) -> None:
    text, status, console = played(
        tmp_path, "# to the shed\n\neast\n  take all\nfly\nundo\nx ring. oops\nn then look\n"
    )
    assert status == 0 and not console.asking
    assert (
        text
        == """\
The Cottage
A very small adventure
By A. Tester

Night falls, and the fire must be lit. Bring the log to the hearth.

Garden
Roses and rain.
Exits: north, east.
You see: green door.

> east
Shed
It smells of tar.
Exits: west.
You see: brass key, dry log, gold ring, workbench.

> take all
brass key: Taken: the brass key.
dry log: Taken: the dry log.
gold ring: You take the gold ring. A treasure!

> fly
I don't know how to "fly". (HELP lists what you can say.)

> undo
Shed
[Previous turn undone: "take all".]

> x ring. oops
Somebody's.

Sorry, that can't be corrected.

> n then look
You can't go that way.

"""
    )


def test_two_rooms_in_one_line_have_a_heading_each(tmp_path: Path) -> None:
    text, _, _ = played(tmp_path, "e. w\n")
    assert text.split("> e. w\n")[1] == (
        "Shed\nIt smells of tar.\nExits: west.\n"
        "You see: brass key, dry log, gold ring, workbench.\n"
        "\nGarden\nRoses and rain.\nExits: north, east.\nYou see: green door.\n\n"
    )


def test_records_are_shown_on_request(tmp_path: Path) -> None:
    text, _, _ = played(tmp_path, "wait\nrecords on\ntake lamp\nrecords off\ntake lamp\n")
    shown = "> take lamp\n[At: Garden.]\n[lamp: you, portable.]\n[say have]\n"
    assert f"[The game master's records are shown.]\n\n{shown}" in text
    assert text.count("[lamp: you, portable.]") == 1


def test_a_script_ends_without_a_question_and_answers_those_it_asks(tmp_path: Path) -> None:
    text, _, console = played(tmp_path, "east\nquit\nno\nquit\nyes\nwest\n")
    assert text.endswith(f"> quit\n{QUIT_QUESTION}\n\n> yes\n")
    assert console.session.room == "Shed"
    text, _, _ = played(tmp_path, "east\n")
    assert QUIT_QUESTION not in text


def test_a_line_without_end_is_read_past(tmp_path: Path) -> None:
    text, _, console = played(tmp_path, "x" * 300_000 + "\neast\n")
    assert "say it in 200." in text
    assert (console.session.room, len(text) < 70_000) == ("Shed", True)


# -- meta commands -------------------------------------------------------------------------------


def test_what_is_said_to_the_program_and_what_to_the_game() -> None:
    assert read_meta("SAVE My Game") == Meta("save", "My Game")
    assert read_meta("load x") == Meta("restore", "x")
    assert read_meta(" q ") == Meta("quit")
    assert read_meta("script on a.txt") == Meta("transcript", "on a.txt")
    for game in ("undo it", "hint at it", "look", "quit smoking", "", "saved", "help her"):
        assert read_meta(game) is None
    assert read_meta("Help me") == Meta("help")


def test_undo_tells_the_end_of_its_memory_from_a_game_not_begun(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert tell(console, "undo") == "There is nothing to undo.\n"
    tell(console, "look")
    console.session.past.clear()
    assert tell(console, "undo") == "That is as far back as this game can go.\n"


def test_a_game_is_called_kept_only_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = new_console(tmp_path, autosave=True)
    screen, page = plain("east\nquit\nyes\n")
    autosave = console.saves.autosave

    def full_in_the_end(session: Any, leaving: bool = False) -> None:
        if leaving:
            raise SaveError("The disk is full.")
        autosave(session)

    monkeypatch.setattr(console.saves, "autosave", full_in_the_end)
    with pytest.raises(UserError, match="The disk is full"):
        loop.run(console, screen, iter(()))
    assert page.getvalue().endswith(f"{QUIT_QUESTION}\n\n> yes\n")


def test_meta_commands_cost_no_turn_and_no_model_time(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    tell(console, "east")
    before = fingerprint(console.session)

    def no_model() -> None:
        raise AssertionError("the model was asked")

    console.session.master.before_piece = no_model  # type: ignore[attr-defined]
    for line in "save,help,version,records on,records,saves,about,hint,hints".split(","):
        assert tell(console, line)
    for line in (
        "restart",
        "no",
        "quit",
        "n",
        "unscript",
        "transcript off",
        "x" * 201,
        "restore nothing",
        "records x",
    ):
        assert tell(console, line)
    assert fingerprint(console.session) == before
    assert "turn 1" in tell(console, "restore")
    assert tell(console, "undo") == 'Garden\n[Previous turn undone: "go east".]\n'
    assert tell(console, "undo") == "There is nothing to undo.\n"


def test_save_and_restore_by_name(tmp_path: Path) -> None:
    console = new_console(tmp_path, moody=True)
    assert tell(console, "east", "save v1.2 of Mine") == '[Saved as "v1.2 of Mine".]\n'
    mark = fingerprint(console.session)
    tell(console, "take all", "west")
    assert tell(console, "restore v1.2 of Mine") == 'Shed\n[Restored "v1.2 of Mine": turn 1.]\n'
    assert fingerprint(console.session) == mark
    assert "no save called" in tell(console, "restore other")
    assert "won't do" in tell(console, "save *")
    assert fingerprint(console.session) == mark


def test_another_save_is_replaced_only_after_asking(tmp_path: Path) -> None:
    tell(new_console(tmp_path), "east", "save")
    console = new_console(tmp_path)
    asked = 'There is a save "cottage" already (Shed, turn 1). Replace it?\n'
    assert tell(console, "save") == asked
    assert tell(console, "no") == '[Not saved: "cottage" is as it was.]\n'
    kept = '[Not saved: "cottage" is as it was.]\n'
    assert tell(console, "save", "look").startswith(f"{kept}Garden\n")
    assert tell(console, "save", "save") == kept + asked
    assert tell(console, "save. look").endswith(kept), "asked and dropped on one line"
    assert tell(console, "save") == asked
    assert tell(console, "y") == '[Saved as "cottage".]\n'
    assert tell(console, "look", "save") == '[Saved as "cottage".]\n'  # our own by now
    assert console.saves.load("cottage", console.session).now.turns == 3


def test_a_save_that_somebody_else_has_replaced_is_asked_about_again(tmp_path: Path) -> None:
    first, second = new_console(tmp_path), new_console(tmp_path)
    tell(first, "save")
    tell(second, "east", "save", "yes")
    assert "(Shed, turn 1). Replace it?" in tell(first, "look", "save")
    tell(first, "no", "restore")
    assert tell(first, "west", "save") == '[Saved as "cottage".]\n'


def test_a_save_from_another_folder_is_not_written_back_there(tmp_path: Path) -> None:
    away = tmp_path / "away"
    tell(new_console(away), "east", "save x")
    console = new_console(tmp_path / "saves")
    tell(console, f"restore {away}/x.save", "west")
    assert tell(console, "save") == '[Saved as "x".]\n'
    assert read_saved(tmp_path / "saves" / "x.save").about.turns == 2
    assert read_saved(away / "x.save").about.turns == 1
    assert "won't do" in tell(console, f"save {away}/x.save")
    assert tell(console, "save y.save") == '[Saved as "y".]\n'


def test_the_list_of_saves_names_damaged_ones_apart(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert tell(console, "saves") == "There are no saves of this world yet.\n"
    tell(console, "save one", "east", "save two", "west", "save three")
    three = tmp_path / "three.save"
    three.write_bytes(three.read_bytes()[:-1])
    listed = (
        "two: Shed, turn 1\none: Garden, turn 0\n"
        f'"{three}" is damaged: put a copy in its place, or delete it.\n'
    )
    assert tell(console, "saves") == listed
    fresh = new_console(tmp_path)
    assert tell(fresh, "restore") == f"Say RESTORE and the name of a save.\n{listed}"
    assert "is damaged and can't be restored" in tell(fresh, "restore three")


def test_a_question_that_is_not_answered_is_dropped(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    tell(console, "restart", "east", "yes")
    assert (console.session.room, console.asking) == ("Shed", False)
    assert "Roses and rain." in tell(console, "restart", "yes")
    assert (console.session.turns, console.session.room) == (0, "Garden")


def test_after_the_end_the_game_takes_no_more_commands(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert tell(console, *SOLUTION, "drop log").endswith(
        f"The fire burns. You are home.\n{WON}\n[0 of 5 points, 8 turns.]\n{GAME_OVER}\n"
    )
    turns = console.session.turns
    for line in ("look", "take all", "g", "xyzzy", ""):
        assert tell(console, line) == f"{GAME_OVER}\n"
    assert tell(console, "score") == "[0 of 5 points, 8 turns.]\n"
    assert console.session.turns == turns
    assert "Previous turn undone" in tell(console, "undo")
    assert tell(console, "look") != f"{GAME_OVER}\n"


def test_a_lost_game_says_so(tmp_path: Path) -> None:
    trap = {"when": "push|workbench", "say": "It falls on you.", "then": ["game lost"]}
    console = new_console(tmp_path, world=cottage(rules=[trap]))
    text = tell(console, "east", "push workbench")
    assert text == f"It falls on you.\n{LOST}\n[0 of 5 points, 2 turns.]\n{GAME_OVER}\n"
    assert tell(console, "hint") == "There are no hints for this world.\n"
    assert "Previous turn undone" in tell(console, "undo")
    assert not console.session.over


def test_hints_are_given_one_at_a_time_and_can_be_read_again(tmp_path: Path) -> None:
    console = new_console(tmp_path, world=cottage(hints=["Look east.", "A key."]))
    assert tell(console, "hints") == "You have had no hints yet. (HINT gives the first one.)\n"
    assert tell(console, "hint") == "Hint 1 of 2: Look east. (HINT again gives the next one.)\n"
    assert tell(console, "save x", "hint") == "Hint 2 of 2: A key.\n"
    assert "no further hints" in tell(console, "hint")
    assert tell(console, "restore x", "hints") == "Hint 1: Look east.\nHint 2: A key.\n"
    fresh = new_console(tmp_path, world=cottage(hints=["Look east.", "A key."]))
    assert tell(fresh, "restore x", "hint").startswith("Hint 2 of 2")


def test_about_and_help(tmp_path: Path) -> None:
    world = cottage(genre="Cosy", released="2025", ifid="A-1", description="A  fire\nis lit.")
    console = new_console(tmp_path, world=world)
    assert tell(console, "about") == (
        "The Cottage\nA very small adventure\nBy A. Tester\nA fire is lit.\n"
        "Genre: Cosy\nFirst published: 2025\nIFID: A-1\n"
    )
    text, _, _ = played(tmp_path, "help\n")
    assert "> help\nGetting about\nNORTH, SOUTH" in text and "\n\nPeople\nTALK TO" in text


def test_long_paragraphs_stand_apart(tmp_path: Path) -> None:
    """What follows a room's long description begins after an empty line; short lines stay close."""
    prose = "Roses and rain, and roses again." * 6
    rooms = [{**COTTAGE["rooms"][0], "description": prose}, *COTTAGE["rooms"][1:]]
    text, _, _ = played(tmp_path, "look\n", world=cottage(rooms=rooms))
    assert text.endswith(
        f"> look\nGarden\n{prose}\n\nExits: north, east.\nYou see: green door.\n\n"
    )


def test_what_the_clocks_bring_about_stands_apart(tmp_path: Path) -> None:
    """And isn't told where no time passes: in the introduction."""
    clock = {"name": "bell", "turns": 1, "running": True, "every": True, "say": "A bell rings."}
    text, _, _ = played(tmp_path, "wait. wait\n", world=cottage(clocks=[clock]))
    assert text.endswith(
        "You see: green door.\n\n> wait. wait\nTime passes.\n\nA bell rings.\n"
        "Time passes.\n\nA bell rings.\n\n"
    )


def test_the_transcript_has_what_was_on_the_page(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("Kept.\n")
    console = new_console(tmp_path)
    assert tell(console, "look", f"script on {file}") == f'[Writing a transcript to "{file}".]\n'
    tell(console, "east", "records on", "wait", "xyzzy")
    assert tell(console, "unscript") == f'[The transcript is in "{file}".]\n'
    tell(console, "look")
    text = file.read_text()
    assert text.startswith("Kept.\nThe Cottage\n\n> script on")
    assert "> east\nShed\nIt smells of tar.\n" in text
    assert "> wait\n[" in text or "> wait\nTime passes.\n\n> xyzzy\nI don't know how" in text
    assert "look" not in text


def test_a_transcript_that_can_not_be_written_does_not_stop_the_game(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert "is not a file" in tell(console, f"script {tmp_path}")
    assert "Can't write" in tell(console, f"script {tmp_path}/no/such/folder")
    tell(console, f"script {tmp_path}/log")

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    console.transcript._file = Full()
    text = tell(console, "east")
    assert text.startswith("Shed") and "The transcript has ended: No space left on device." in text
    assert "transcript" not in tell(console, "west")


def test_control_characters_in_packs_and_input_reach_neither_screen_nor_file(
    tmp_path: Path,
) -> None:
    evil = "Red\x1b[31m\x07 mist\u202e."
    world = cottage()
    room = world.rooms[0].model_copy(update={"description": evil})
    world = world.model_copy(
        update={"rooms": (room, *world.rooms[1:]), "title": f"{COTTAGE['title']}\x1b[2J"}
    )
    text, _, console = played(tmp_path, "look\x1b[A\x07\nsave \x1b]0;x\x07y\n", world=world)
    assert "Red mist." in text
    assert all(c.isprintable() or c == "\n" for c in text)
    assert (tmp_path / "y.save").exists()
    last = console.session.transcript.last
    assert last and last.typed == "look"


# -- plain screens -------------------------------------------------------------------------------


def test_plain_screens_print_whole_sentences() -> None:
    class Speech(io.StringIO):
        said: list[str] = []  # noqa: RUF012

        def write(self, text: str) -> int:
            self.said.append(text)
            return len(text)

    page = Speech()
    screen = screens.PlainScreen(io.StringIO(), page, io.StringIO(), rooms=ROOMS)
    for piece in ("The do", "or is sh", 'ut. "Go awa', 'y!" says a voi', "ce. You", " go"):
        screen.show(Said("text", piece))
    screen.end()
    assert page.said == ["The door is shut. ", '"Go away!" says a voice. ', "You go\n", "\n"]


def test_ctrl_d_asks_and_a_second_one_leaves(tmp_path: Path) -> None:
    text, status, console = played(tmp_path, "", scripted=False)
    assert status == 0 and console.finished
    assert text.endswith(f"> \n{QUIT_QUESTION}\n\n> \n")


class Interrupting(io.StringIO):
    """Standard input at which Ctrl-C is pressed where the line says so."""

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        line = super().readline(-1)
        if line == "^C\n":
            raise KeyboardInterrupt
        return line


def test_ctrl_c_at_the_prompt_only_clears_the_line(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    page = io.StringIO()
    screen = screens.PlainScreen(
        Interrupting("east\n^C\nwest\nquit\ny\n"), page, io.StringIO(), rooms=ROOMS
    )
    assert loop.run(console, screen, iter(())) == 0
    assert (console.session.turns, console.session.room) == (2, "Garden")


@pytest.mark.parametrize("piece", [1, 20, 40])
def test_ctrl_c_in_a_reply_abandons_the_turn(tmp_path: Path, piece: int) -> None:
    console = new_console(tmp_path, autosave=True, moody=True)
    tell(console, "look")
    before = fingerprint(console.session)
    calls = iter(range(10_000))

    def interrupt() -> None:
        if next(calls) == piece:
            raise KeyboardInterrupt

    console.session.master.before_piece = interrupt  # type: ignore[attr-defined]
    screen, page = plain("east\nwest\nquit\ny\n", scripted=False)
    assert loop.run(console, screen, iter(())) == 0
    assert "[Interrupted. That turn was not played.]" in page.getvalue()
    assert "You can't go that way." in page.getvalue()  # there is no way west of the garden
    console.session.undo()
    assert fingerprint(console.session)[0] == before[0]


def test_ctrl_c_in_a_script_ends_it(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    screen = screens.PlainScreen(
        Interrupting("east\n^C\nwest\n"), io.StringIO(), io.StringIO(), scripted=True
    )
    with pytest.raises(KeyboardInterrupt):
        loop.run(console, screen, iter(()))
    assert console.session.turns == 1


class Broken(io.StringIO):
    """A terminal that goes away after some writing."""

    def __init__(self, writes: int, number: int) -> None:
        super().__init__()
        self.left, self.number = writes, number

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
@pytest.mark.parametrize("writes", [0, 3, 12, 15])
def test_a_terminal_that_goes_away_does_not_lose_the_game(
    tmp_path: Path, number: int, writes: int
) -> None:
    console = new_console(tmp_path, autosave=True)
    tell(console, "east")
    page = Broken(writes, number)
    screen = screens.PlainScreen(
        io.StringIO("look\n" * 50), page, io.StringIO(), scripted=True, rooms=ROOMS
    )
    assert loop.run(console, screen, iter(())) == loop.GONE
    left = console.saves.left_off()
    assert left and left.about.turns == console.session.turns >= 1


def test_output_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    page = Broken(3, errno.ENOSPC)
    screen = screens.PlainScreen(io.StringIO("look\n"), page, io.StringIO(), scripted=True)
    with pytest.raises(UserError, match=r"The output can't be written: No space left on device\."):
        loop.run(new_console(tmp_path), screen, iter(()))


# -- rich screens --------------------------------------------------------------------------------


class _Sized(Vt100_Output):
    """Knows how much room there is below the cursor, without having to ask the terminal."""

    def get_rows_below_cursor_position(self) -> int:
        return 20


class Terminal:
    """A terminal of some size whose output is kept."""

    def __init__(self, columns: int = 40) -> None:
        self.page = io.StringIO()
        self.columns = columns

    def output(self) -> Vt100_Output:
        size = Size(24, self.columns)
        depth = ColorDepth.from_env()  # as prompt_toolkit's own create_output does
        return _Sized(self.page, lambda: size, default_color_depth=depth, enable_cpr=False)

    @property
    def text(self) -> str:
        """What was written, without escapes."""
        from adventure.play.transcript import clean

        return clean(self.page.getvalue())


def rich(console: Console, keys: str, output: Any = None) -> int:
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        screen = ui.RichScreen(
            lambda: console.words, ROOMS, input=pipe, output=output or DummyOutput()
        )
        return loop.run(console, screen, console.introduction())


def test_a_game_in_the_rich_terminal(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert rich(console, "east\rtake key\rquit\ry\r") == 0
    assert [turn.line for turn in console.session.transcript] == ["go|east", "take|brass key"]


def test_keys_ctrl_c_clears_up_recalls_tab_completes_ctrl_d_leaves(tmp_path: Path) -> None:
    """Keys are pressed when the line being edited is as the step before should have left it."""
    console = new_console(tmp_path)
    up, tab, ctrl_c, ctrl_d = "\x1b[A", "\t", "\x03", "\x04"
    steps = [
        ("", "take lam"), ("take lam", ctrl_c), ("", "east"), ("east", "\r"),
        ("", up), ("east", "\r"),
        ("", "take bra"), ("take bra", tab), ("take brass key", "\r"),
        ("", ctrl_d), ("", ctrl_d),
    ]  # fmt: skip
    with create_pipe_input() as pipe:
        screen = ui.RichScreen(lambda: console.words, ROOMS, input=pipe, output=DummyOutput())
        line = screen._prompt.default_buffer
        asked, ask = 0, screen.ask

        def counted(left: str, right: str) -> str:
            nonlocal asked
            asked += 1
            return ask(left, right)

        def press() -> None:
            ended = 0
            for before, keys in steps:
                limit = time.monotonic() + LONG
                while (asked, line.text) != (ended + 1, before) and time.monotonic() < limit:
                    time.sleep(0.005)
                while keys == up and len(line._working_lines) < 2 and time.monotonic() < limit:
                    time.sleep(0.005)  # the history is loaded in the background
                pipe.send_text(keys)
                ended += keys in ("\r", ctrl_d)

        screen.ask = counted  # type: ignore[method-assign]
        hands = threading.Thread(target=press)
        hands.start()
        assert loop.run(console, screen, iter(())) == 0
        hands.join()
    assert [turn.line for turn in console.session.transcript] == [
        "go|east",
        "go|east",
        "take|brass key",
    ]


def test_earlier_commands_of_a_restored_game_can_be_recalled(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    with create_pipe_input() as pipe:
        pipe.send_text("\x1b[A\x1b[A\r\x04\x04")
        screen = ui.RichScreen(lambda: ((), ()), ROOMS, input=pipe, output=DummyOutput())
        screen.remember(["east", "west"])
        assert loop.run(console, screen, iter(())) == 0
    assert [turn.line for turn in console.session.transcript] == ["go|east"]


def test_the_status_line_and_headings(tmp_path: Path) -> None:
    terminal, console = Terminal(60), new_console(tmp_path)
    room = f" Shed{' ' * (60 - len(' ShedScore 5/5  Turns 2 '))}Score 5/5  Turns 2"
    with create_pipe_input() as pipe:
        screen = ui.RichScreen(lambda: console.words, ROOMS, input=pipe, output=terminal.output())

        def press() -> None:
            for awaited, keys in (("Turns 0", "e. take ring\r"), (room, "quit\ry\r")):
                limit = time.monotonic() + LONG
                while awaited not in terminal.text and time.monotonic() < limit:
                    time.sleep(0.005)
                pipe.send_text(keys)

        hands = threading.Thread(target=press)
        hands.start()
        assert loop.run(console, screen, console.introduction()) == 0
        hands.join()
    assert room in terminal.text
    assert "\x1b[0;1mShed" in terminal.page.getvalue()
    assert "\x1b[0;1mThe Cottage" in terminal.page.getvalue()


def test_replies_are_wrapped_to_the_terminal(tmp_path: Path) -> None:
    terminal = Terminal(24)
    rich(new_console(tmp_path), "quit\ry\r", terminal.output())
    assert (
        "Night falls, and the\nfire must be lit. Bring\nthe log to the hearth.\n" in terminal.text
    )
    wide = Terminal(200)
    rich(new_console(tmp_path), "help\rquit\ry\r", wide.output())
    help_lines = [
        line for line in wide.text.split("\n") if "NORTHEAST" in line or "DROP ALL" in line
    ]
    assert help_lines and all(len(line) <= screens.WIDEST for line in help_lines)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headings stay bold, which is no colour; words that are dressed in nothing have no escapes."""

    def page() -> str:
        terminal = Terminal()
        with create_pipe_input() as pipe:
            screen = ui.RichScreen(lambda: ((), ()), ROOMS, input=pipe, output=terminal.output())
            begun = len(terminal.page.getvalue())
            for said in (
                Said("text", "Shed\nIt smells "),
                Said("text", "of tar.\x1b"),
                Said("record", "At: Shed."),
                Said("note", "So."),
            ):
                screen.show(said)
        return terminal.page.getvalue()[begun:]

    bold, grey, off = "\x1b[0;1m", "\x1b[0;90m", "\x1b[0m"
    told = f"{bold}Shed\r\n{off}It smells of tar.\r\n%s\r\n{{}}So.\r\n"
    assert page() == (told % f"{grey}[At: Shed.]").format(off)
    monkeypatch.setenv("NO_COLOR", "1")
    assert page() == (told % "[At: Shed.]").format("")


def test_completion_gives_nothing_away(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    list(console.introduction())

    def offered(text: str) -> set[str]:
        completer = ui._Completer(lambda: console.words)
        return {c.text for c in completer.get_completions(Document(text), None)}  # type: ignore[arg-type]

    assert offered("unl") == {"unlock"}
    assert "examine" in offered("look. exa")
    assert offered("open g") == {"green door"}
    assert offered("take br") == set()
    tell(console, "east")
    assert offered("take br") == {"brass key"}
    assert offered("unlock green door with bra") == {"brass key"}
    assert offered("n then take GO") == {"gold ring"}


def test_progress_is_told_only_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 0.4, 0.6, 0.9, 1.2])
    monkeypatch.setattr(screens.time, "monotonic", lambda: next(clock))
    notices = io.StringIO()
    progress = screens.PlainScreen(io.StringIO(), io.StringIO(), notices).progress()
    for done in (1, 2, 3, 4, 5):
        progress(done, 5)
        assert bool(notices.getvalue()) == (done >= 3)
    progress.close()
    assert notices.getvalue().count("\n") == 1

    clock = iter([0.0, 0.6])
    terminal = Terminal()
    with create_pipe_input() as pipe:
        bar = ui.RichScreen(lambda: ((), ()), input=pipe, output=terminal.output()).progress()
    bar(1, 2)
    bar.close()
    assert f"\rReading the world [{'#' * 15}{'.' * 15}]" in terminal.page.getvalue()
    assert terminal.page.getvalue().endswith("\r\x1b[K")


# -- words as they come --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("width", [10, 17, 40])
def test_wrapping_does_not_depend_on_how_text_arrives(step: int, width: int) -> None:
    cats = "\u732b" * 6
    text = f"The  quick brown fox\njumps over\n\nthe incomprehensibilities of {cats}. "
    flow = Wrapper(width)
    out = "".join(flow.push(text[i : i + step]) for i in range(0, len(text), step)) + flow.flush()
    whole = Wrapper(width)
    assert out == whole.push(text) + whole.flush()
    from prompt_toolkit.utils import get_cwidth

    assert max(get_cwidth(line) for line in out.split("\n")) <= width
    assert "".join(out.split()) == "".join(text.split())


def test_wrapping_breaks_between_words_and_waits_for_their_end() -> None:
    flow = Wrapper(12)
    assert flow.push("one two thr") == "one two"
    assert flow.push("ee") == ""
    assert flow.push(" four") == "\nthree"
    assert flow.push("\n") == " four\n"


def test_sentences() -> None:
    flow = Sentences()
    assert flow.push("It is 3.5 m. Then") == "It is 3.5 m. "
    assert flow.push(' what? "Oh!" ') == "Then what? "
    assert (flow.push("she said. "), flow.flush()) == ("", '"Oh!" she said. ')


# -- real terminals that die ---------------------------------------------------------------------

PROMPT = b"\x1b[?2004h"  # bracketed paste is switched on while a line is read
PLAYER = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
sys.path.insert(0, {tests!r})
from pathlib import Path
from fakes import new_console
from adventure.play import loop, ui
console = new_console(Path({folder!r}), autosave=True)
hold, held = Path({folder!r}, "hold"), Path({folder!r}, "held")
def wait():
    if hold.exists():
        held.touch()
        try:
            while hold.exists():
                time.sleep(0.01)
        finally:
            held.unlink()
console.session.master.before_piece = wait
screen = ui.RichScreen(lambda: console.words, ("Garden", "Shed"))
sys.exit(loop.run(console, screen, console.introduction()))
"""


def _own_the_terminal() -> None:
    """Heed its Ctrl-C, also where these tests run in a background that ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def in_a_terminal(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[bytes], int]]]:
    """Starts a player in a terminal of its own: the process and our end of the terminal.

    While there is a file "hold" its replies stand still, and there is a file "held".
    """
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], int]:
        ours, theirs = pty.openpty()
        code = PLAYER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=theirs,
                stdout=theirs,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_own_the_terminal,
                env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            )
        )
        os.close(theirs)
        return started[-1], ours

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_until(handle: int, *wanted: bytes) -> bytes:
    """What the terminal is sent until these words have come, in this order; no byte more."""
    seen, limit = b"", time.monotonic() + LONG
    for words in wanted:
        start = len(seen)
        while words not in seen[start:]:
            assert time.monotonic() < limit, seen
            if select.select([handle], [], [], 1.0)[0]:
                seen += os.read(handle, 1)
    return seen


def test_keys_pressed_in_a_reply_stand_in_the_next_prompt(
    tmp_path: Path, in_a_terminal: Callable[[], tuple[subprocess.Popen[bytes], int]]
) -> None:
    """They aren't seen before; Ctrl-C interrupts as ever; the terminal is left as it was."""
    player, handle = in_a_terminal()
    hold, held = tmp_path / "hold", tmp_path / "held"
    before = termios.tcgetattr(handle)

    def press_in_a_reply(command: bytes, keys: bytes, as_a_shell: bool = False) -> None:
        hold.touch()
        os.write(handle, command)
        limit = time.monotonic() + LONG
        while not held.exists() and time.monotonic() < limit:
            time.sleep(0.005)
        if as_a_shell:  # where Ctrl-Z led to it
            termios.tcsetattr(handle, termios.TCSANOW, before)
        os.write(handle, keys)
        time.sleep(0.05)  # a terminal that shows them does so at once
        while keys == b"\x03" and held.exists() and time.monotonic() < limit:
            time.sleep(0.005)  # until it has been heard
        hold.unlink()
        while held.exists() and time.monotonic() < limit:
            time.sleep(0.005)

    read_until(handle, b"green", PROMPT)
    press_in_a_reply(b"east\r", b"take ke")
    reply = read_until(handle, b"workbench", PROMPT)
    assert b"take ke" not in reply
    read_until(handle, b"take ke")
    press_in_a_reply(b"y\r", b"x ring\rquit")
    read_until(handle, b"Taken", PROMPT, b"Somebody's.", PROMPT, b"quit")
    press_in_a_reply(b"\x15inventory\r", b"", as_a_shell=True)
    read_until(handle, b"lamp, brass key.", PROMPT)
    press_in_a_reply(b"x lamp\r", b"x log")
    assert b"x log" not in read_until(handle, b"It is lit.", PROMPT)
    read_until(handle, b"x log")
    press_in_a_reply(b"\x15look\r", b"\x03")
    read_until(handle, b"[Interrupted. That turn was not played.]", PROMPT)
    os.write(handle, b"quit\r")
    read_until(handle, b"want to quit?", PROMPT)
    os.write(handle, b"y\r")
    assert player.wait(timeout=LONG) == 0
    assert termios.tcgetattr(handle) == before


def test_ctrl_z_at_the_prompt_suspends_and_coming_back_draws_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, console = Terminal(60), new_console(tmp_path)
    signals: list[tuple[int, int]] = []
    pressed = ""

    def suspended(*sent: int) -> None:
        nonlocal pressed
        signals.append(sent)  # type: ignore[arg-type]
        pressed = terminal.text

    with create_pipe_input() as pipe:
        screen = ui.RichScreen(lambda: console.words, ROOMS, input=pipe, output=terminal.output())
        monkeypatch.setattr("prompt_toolkit.application.application.os.kill", suspended)

        def press() -> None:
            pipe.send_text("ea\x1a")
            limit = time.monotonic() + LONG
            while not signals and time.monotonic() < limit:
                time.sleep(0.005)
            pipe.send_text("st\rquit\ry\r")

        hands = threading.Thread(target=press)
        hands.start()
        assert loop.run(console, screen, iter(())) == 0
        hands.join()
    assert signals == [(0, signal.SIGTSTP)]
    assert "> ea" in terminal.text[len(pressed) :]
    assert [turn.line for turn in console.session.transcript] == ["go|east"]


@pytest.mark.parametrize("how", ["terminal closed", "SIGHUP", "SIGTERM"])
def test_a_real_terminal_that_dies(
    tmp_path: Path, in_a_terminal: Callable[[], tuple[subprocess.Popen[bytes], int]], how: str
) -> None:
    player, handle = in_a_terminal()
    read_until(handle, b"green", PROMPT)
    os.write(handle, b"east\r")
    read_until(handle, b"workbench", PROMPT)
    if how == "terminal closed":
        os.close(handle)
    else:
        player.send_signal(getattr(signal, how))
    assert player.wait(timeout=LONG) in (0, loop.GONE, 128 + signal.SIGHUP, 128 + signal.SIGTERM)
    assert player.stderr is not None
    assert b"Traceback" not in player.stderr.read()
    console = new_console(tmp_path, autosave=True)
    console.go_on()
    assert (console.session.room, console.session.turns) == ("Shed", 1)
    assert say(console.session, "g").startswith("You can't go that way.")
