"""The rich face of the terminal, by prompt_toolkit: editing, history, completion, a status line.

Knows text and keys; no game and no network. Terminals are arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from adventure.play.flow import Wrapper
from adventure.play.quiet import quiet
from adventure.play.screen import WIDEST, Progress, Screen, Stirred
from adventure.play.transcript import clean

_LOOK_EVERY = 0.5  # seconds
_STYLE = Style.from_dict({"heading": "bold", "record": "ansibrightblack", "prompt": "bold"})
_COMMAND_START = re.compile(r".*(?:[.;,]|\bthen\b)\s*", re.IGNORECASE)


class RichScreen(Screen):
    """Line editing, history, completion, a status line; text is wrapped as it arrives.

    words: gives the verbs and the names to complete; output: of stdout if left out.
    """

    def __init__(
        self,
        words: Callable[[], tuple[Iterable[str], Iterable[str]]],
        rooms: Iterable[str] = (),
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._output = output or create_output()
        self._history = InMemoryHistory()
        self._status = ("", "")
        self._hush: Callable[[], None] = lambda: None
        self._draft = ""  # what was being typed when something stirred
        self._prompt: PromptSession[str] = PromptSession(
            FormattedText([("class:prompt", "> ")]),
            completer=_Completer(words),
            complete_while_typing=False,
            enable_suspend=True,
            history=self._history,
            bottom_toolbar=self._toolbar,
            key_bindings=_keys(),
            style=_STYLE,
            input=input,
            output=self._output,
        )
        super().__init__(rooms)

    def remember(self, typed: Iterable[str]) -> None:
        for line in typed:
            self._history.append_string(line)

    def ask(self, left: str, right: str) -> str:
        self._status = (clean(left), clean(right))
        draft, self._draft = self._draft, ""
        self._prompt.app.erase_when_done = False
        try:
            return self._prompt.prompt(default=draft, pre_run=self._look_out)
        finally:
            self._hush()

    def _look_out(self) -> None:
        if self.stirred is not None:
            self._prompt.app.create_background_task(self._leave_when(self.stirred))

    async def _leave_when(self, stirred: Callable[[], bool]) -> None:
        app = self._prompt.app
        while not stirred():
            await asyncio.sleep(_LOOK_EVERY)
        self._draft, app.erase_when_done = app.current_buffer.text, True
        app.exit(exception=Stirred())

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        with quiet(self._prompt.input.fileno()) as self._hush:
            yield

    def _toolbar(self) -> FormattedText:
        left, right = self._status
        room = self._output.get_size().columns - get_cwidth(left) - get_cwidth(right) - 2
        return FormattedText([("", f" {left}{' ' * max(1, room)}{right} ")])

    def _print(self, style: str, text: str) -> None:
        depth = self._output.get_default_color_depth()
        dress = _STYLE.get_attrs_for_style_str(style)
        if depth is ColorDepth.DEPTH_1_BIT:  # NO_COLOR
            dress = dress._replace(color="", bgcolor="")
        dressed = dress != _STYLE.get_attrs_for_style_str("")
        if dressed:
            self._output.set_attributes(dress, depth)
        self._output.write(text.replace("\n", "\r\n"))
        if dressed:
            self._output.reset_attributes()
        self._output.flush()

    def _new_flow(self) -> Wrapper:
        return Wrapper(min(WIDEST, self._output.get_size().columns))

    def progress(self) -> Progress:
        def draw(part: float) -> None:
            full = round(part * 30)
            self._output.write_raw(f"\rReading the world [{'#' * full}{'.' * (30 - full)}]")
            self._output.flush()

        def erase() -> None:
            self._output.write_raw("\r")
            self._output.erase_end_of_line()
            self._output.flush()

        return Progress(draw, erase)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    return keys


class _Completer(Completer):
    """A command's first word from the verbs, the rest from the names."""

    def __init__(self, words: Callable[[], tuple[Iterable[str], Iterable[str]]]) -> None:
        self._words = words

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        line = document.text_before_cursor
        command = _COMMAND_START.sub("", line, count=1).lstrip()
        verbs, names = self._words()
        if " " not in command:
            yield from (
                Completion(verb, -len(command))
                for verb in verbs
                if verb.startswith(command.lower())
            )
            return
        starts = [match.end() for match in re.finditer(r" +", command)]
        offered = set()
        for start in starts:  # the longest beginning of a name first
            tail = command[start:].lower()
            for name in names:
                if name.lower().startswith(tail) and name not in offered:
                    offered.add(name)
                    yield Completion(name, -len(tail))
