"""`adventure new`: a small working world to begin with. Knows the questions, not the world."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from adventure.author.folder import command, new_folder, refuse_existing, write_folder
from adventure.author.template import FEWEST, MOST, Plan, files_of
from adventure.errors import PackError, UserError
from adventure.world.ifiction import new_ifid
from adventure.world.voice import VOICES

PERSONS = ("second", "first", "third")
_LONGEST = {"title": 120, "author": 120, "description": 600, "player": 40}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `adventure new`."""
    parser.description = (
        "Make a small world that works, with a locked door, somebody to talk to, a rule, hints "
        "and tests, and comments on how it is done: to play, to read, and to change into your "
        "own. Asks some questions; Enter takes what stands in brackets. The world is made in the "
        "folder worlds if there is one here, else right here. Nothing is ever replaced."
    )
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help="of the folder (default: made of the title)")
    add("--title", help="what the world is called")
    add("--author", help="who it is by")
    add("--description", help="one or two sentences that make one want to play it")
    add("--rooms", metavar="N", help=f"rooms to begin with, {FEWEST} to {MOST} (default: 4)")
    add("--voice", help=f"how the game's own replies sound: {', '.join(VOICES)}")
    add("--person", help="who is spoken of: second (you, the default), first (I) or third")
    add("--player", help="in the third person: the name of who it is about")
    add("-y", "--yes", action="store_true", help="ask nothing: take what isn't given as it comes")


def run(args: argparse.Namespace) -> int:
    """Ask, write, and say what comes next. Raises UserError, and then nothing is written."""
    if args.name is not None:
        refuse_existing(new_folder(args.name))  # before anything is asked
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    asking = _Asking(args.yes)
    title = asking.text("title", "Title", args.title, _titled(args.name) or "The Comet")
    name = args.name or asking.name("Name of its folder", _plain(title))
    plan = _ask(asking, title, args)
    target = new_folder(name)
    texts = files_of(plan)
    _prove(texts["world.toml"], name)
    texts = _with_schema(target, texts)
    write_folder(target, {file: text.encode() for file, text in texts.items()})
    print(_NEXT.format(target=target, title=plan.title, do=command()))
    return 0


_NEXT = """\
{title} is in {target}, ready to be played. From here:

  {do} play {target} --watch    play it, and see what you change at once
  {do} check {target}           look for faults, and whether it can be won
  {do} test {target}            play the games in {target}/tests
  {do} map {target}             draw its rooms

Everything that is told stands in {target}/world.toml; its comments say how."""


# -- questions -----------------------------------------------------------------------------------


def _ask(asking: _Asking, title: str, args: argparse.Namespace) -> Plan:
    """The plan of options, answers and defaults. Raises UserError."""
    author = asking.text("author", "Author", args.author, "Anonymous")
    description = asking.text(
        *("description", "In one sentence, what is it about?", args.description),
        "A comet is due tonight, and the dome is shut.",
    )
    sizes = tuple(map(str, range(FEWEST, MOST + 1)))
    rooms = asking.one_of("rooms", "Rooms to begin with", args.rooms, "4", sizes)
    sound = "Voice of the game's replies"
    voice = asking.one_of("voice", sound, args.voice, "plain", tuple(VOICES))
    person = asking.one_of("person", "Person", args.person, "second", PERSONS)
    player = ""
    if person == "third":
        player = asking.text("player", "Who is it about?", args.player, "Ada")
    elif args.player:
        raise UserError(f"--player goes with --person third; it is {person} here.")
    return Plan(title, author, description, new_ifid(), int(rooms), voice, person, player)


class _Asking:
    """Asks at the terminal what no option has told, again until the answer will do."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent

    def text(self, option: str, question: str, given: str | None, default: str) -> str:
        """A line of text. Raises UserError for an option that won't do, and at the input's end."""
        return self._answer(option, question, given, default, lambda t: _line_fault(option, t))

    def name(self, question: str, default: str) -> str:
        """The name of a folder that isn't there yet."""

        def fault(text: str) -> str:
            try:
                refuse_existing(new_folder(text))
            except UserError as error:
                return str(error).rstrip(".")
            return ""

        name = self._answer("name", question, None, default, fault)
        refuse_existing(new_folder(name))
        return name

    def one_of(
        self, option: str, question: str, given: str | None, default: str, choices: tuple[str, ...]
    ) -> str:
        """One of some words; the beginning of one is enough."""

        def fault(text: str) -> str:
            few = [c for c in choices if c == text] or [c for c in choices if c.startswith(text)]
            return "" if len(few) == 1 else f"it can be {', '.join(choices)}"

        among = f"{question} ({', '.join(choices)})"
        said = self._answer(option, among, given and given.lower(), default, fault)
        return said if said in choices else next(c for c in choices if c.startswith(said))

    def _answer(
        self,
        option: str,
        question: str,
        given: str | None,
        default: str,
        fault: Callable[[str], str],
    ) -> str:
        if given is not None:
            said = " ".join(given.split())
            if why := fault(said):
                raise UserError(f"--{option} {ascii(given)[:60]} won't do: {why}.")
            return said
        while not self.silent:
            try:
                said = " ".join(input(f"{question} [{default}]: ").split()) or default
            except EOFError as error:
                print()
                raise UserError(
                    "The answers ended before the questions did, so nothing was written; "
                    "give --yes to be asked nothing."
                ) from error
            if not (why := fault(said)):
                return said
            print(f"That won't do: {why}.")
        return default


def _line_fault(option: str, text: str) -> str:
    """Why a text can't stand in a world, or nothing."""
    if not text:
        return "it is empty"
    if len(text) > _LONGEST[option]:
        return f"it has {len(text):,} characters, and {_LONGEST[option]} are the most"
    odd = next((c for c in text if not c.isprintable()), None)
    if odd:
        return f"it holds the character {odd!a}, which can't be shown"
    if "<|" in text:
        return "it holds '<|', which the engine uses itself"
    if option == "player" and not re.fullmatch(r"[^\W\d_][^\W\d_' -]*(?: [^\W\d_]+)*", text):
        return "a name is made of letters"
    return ""


# -- names and files -----------------------------------------------------------------------------


def _titled(name: str | None) -> str:
    """`old-mill` -> `Old Mill`."""
    return " ".join(word.capitalize() for word in re.split(r"[-_]+", name or "") if word)


def _plain(title: str) -> str:
    """`The Old Mill` -> `the-old-mill`."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return plain[:40].strip("-") or "world"


def _prove(text: str, name: str) -> None:
    """Raises PackError where an answer has made a world that can't be loaded."""
    import tomllib

    from adventure.world.pack import make_world

    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise PackError("One of the answers can't stand in a world; use plain letters.") from error
    make_world(table, source=name, text=text, name=name)


def _with_schema(target: Path, texts: dict[str, str]) -> dict[str, str]:
    """The texts with the schema that editors check world.toml by: there, or in the folder above."""
    above = "world.schema.json"
    shared = (target.parent / above).is_file()
    first = f"#:schema {'..' if shared else '.'}/{above}\n"
    texts = {**texts, "world.toml": first + texts["world.toml"]}
    if shared:
        return texts
    from adventure.schema import schema_text

    return {**texts, above: schema_text()}
