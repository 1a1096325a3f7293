"""Play as you write: an edited world is read anew, and the game goes on in it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from adventure import cli, play_command
from adventure.author.import_game import toml
from adventure.play import ui
from adventure.play.carry import carried_over, parts_changed
from adventure.play.commands import Console
from adventure.play.loop import run
from adventure.play.saves import Saves
from adventure.play.screen import PlainScreen, Screen, Stirred
from adventure.play.session import Session
from adventure.play.ui import RichScreen
from adventure.play.watch import Watch
from adventure.referee.players import legal_player, walk
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.pack import load_world, make_world
from adventure.world.parts import World
from adventure.world.prompt import Records, initial_records
from tests.fakes import COTTAGE, FakeGameMaster, identity, tell

Table = dict[str, Any]
HOUSE: Table = {
    **deepcopy(COTTAGE),
    "format": 1,
    "deeds": {"rang": 5},
    "rules": [
        {
            "when": "ring|gold ring",
            "then": ["deed rang", "Shed north leads to Loft"],
            "say": "Ting.",
        },
        {"when": "jump", "once": True, "say": "Up.", "again": "Down."},
    ],
    "clocks": [{"name": "owl", "turns": 9, "running": True, "say": "An owl calls."}],
    "people": [{"name": "Ann", "description": "Tall.", "in": "Garden", "other": "Hm."}],
}
HOUSE["rooms"].append({"name": "Loft", "description": "Straw.", "exits": {"south": "Shed"}})
HOUSE["things"] += [
    {"name": "chest", "description": "Oak.", "in": "Shed", "fixed": True}
    | {"container": True, "openable": True},
    {"name": "torch", "description": "Tin.", "in": "you", "light": True, "switch": True},
    {"name": "hat", "description": "Felt.", "in": "Garden", "wearable": True},
]


def house(edit: Callable[[Table], None] = lambda table: None) -> World:
    table = deepcopy(HOUSE)
    edit(table)
    return make_world(table, name="house")


def played(world: World, *lines: str) -> Records:
    records = start(world)
    for line in lines:
        records = play(world, records, line).records
    return records


def thing(table: Table, name: str) -> Table:
    return next(t for t in table["things"] if t["name"] == name)


# -- what is carried over ------------------------------------------------------------------------

LINES = (
    *("on|torch", "take|hat", "wear|hat", "go|east", "take|gold ring", "ring|gold ring", "jump"),
    *("take|brass key", "open|chest", "put|brass key|chest"),
)


def test_nothing_edited_nothing_changes() -> None:
    world = house()
    records = played(world, *LINES)
    assert carried_over(world, records, world) == records
    assert parts_changed(world, house()) == 0


def test_what_play_has_changed_stays() -> None:
    def edit(table: Table) -> None:
        thing(table, "hat")["description"] = "Straw, now."
        thing(table, "dry log")["in"] = "Garden"
        table["rooms"][0]["exits"]["west"] = "Shed"

    world, new = house(), house(edit)
    records = carried_over(world, played(world, *LINES), new)
    assert records["hat"] == ("worn", "portable", "wearable")
    assert records["You carry"] == ("lamp", "torch (lit)", "hat (worn)", "gold ring")
    assert records["chest"][-1] == "open" and records["chest holds"] == ("brass key",)
    assert records["At"] == ("Shed",)
    assert records["Deeds"] == ("gold ring", "rang")
    assert records["gold ring"] == ("you", "portable")
    assert records["Shed north"] == ("Loft",) and "north" in records["Shed exits"]
    assert records["jump was"] == ("old",)
    assert records["dry log"][0] == "Garden"  # nobody has moved it: as the author has it now
    assert "dry log" in records["Garden holds"] and "dry log" not in records["Shed holds"]
    assert records["Garden exits"] == ("north", "east", "west")
    assert parts_changed(world, new) == 3


def test_what_is_gone_is_gone_and_what_is_new_is_there() -> None:
    def edit(table: Table) -> None:
        table["things"] = [t for t in table["things"] if t["name"] not in ("hat", "chest")]
        table["things"].append({"name": "spade", "description": "New.", "in": "Shed"})
        table["deeds"] = {"dug": 5}
        table["rules"] = table["rules"][1:]
        table["clocks"] = [{"name": "fox", "turns": 3, "running": True, "say": "A fox."}]
        table["rooms"][1]["name"] = "Barn"
        for t in (*table["things"], *table["people"]):
            t["in"] = {"Shed": "Barn"}.get(t["in"], t["in"])
        table["rooms"][0]["exits"]["east"] = table["rooms"][3]["exits"]["south"] = "Barn"

    world = house()
    records = carried_over(world, played(world, *LINES), house(edit))
    assert records.keys() == initial_records(house(edit)).keys()
    assert records["At"] == ("Garden",)  # there is no Shed to be in
    assert records["brass key"][0] == "Barn"  # the chest that it was put in is gone
    assert "spade" in records["Barn holds"]
    assert records["Deeds"] == ("gold ring",)
    assert records["Clocks"] == ("fox 3",)


def test_a_long_clock_goes_on_where_it_was() -> None:
    def turns(number: int) -> Callable[[Table], None]:
        return lambda table: table["clocks"][0].update(turns=number)

    world = house(turns(30))
    records = played(world, "wait", "wait")
    (item,) = records["Clocks"]
    assert carried_over(world, records, house(turns(40)))["Clocks"] == (item,)
    assert carried_over(world, records, house(turns(5)))["Clocks"] == ("owl 5",)


def test_states_that_no_longer_fit_are_the_authors() -> None:
    def edit(table: Table) -> None:
        del thing(table, "hat")["wearable"]
        del thing(table, "chest")["openable"]
        thing(table, "torch")["states"] = ["bent", "straight"]
        del thing(table, "torch")["switch"], thing(table, "torch")["light"]

    world = house()
    records = carried_over(world, played(world, *LINES), house(edit))
    assert records["hat"] == ("you", "portable")
    assert records["chest"] == ("Shed", "fixed", "container")
    assert records["torch"] == ("you", "portable", "bent")
    assert "torch" in records["You carry"]


def test_what_would_be_inside_itself_is_put_back() -> None:
    def boxes(table: Table) -> None:
        table["things"] += [
            {"name": name, "description": "A box.", "in": "Garden", "container": True}
            for name in ("red box", "blue box")
        ]

    def other(table: Table) -> None:
        boxes(table)
        thing(table, "blue box")["in"] = "red box"

    world, new = house(boxes), house(other)
    records = played(world, "take|red box", "put|red box|blue box")
    assert records["red box"][0] == "blue box"
    carried = carried_over(world, records, new)
    assert carried["blue box"][0] == "red box" and carried["red box"][0] == "Garden"
    assert carried["red box holds"] == ("blue box",) and carried["blue box holds"] == ()


@pytest.mark.parametrize("seed", range(12))
def test_any_game_goes_on_in_any_edit(seed: int) -> None:
    rng = random.Random(seed)
    world = random_world(seed)
    for _, _, outcome in walk(world, legal_player, rng, 30):
        records = outcome.records
    assert carried_over(world, records, world) == records
    ticks = repr(world.clocks)  # what a clock speaks of has to be there
    plain = (t for t in world.things if not (t.container or t.supporter))
    keep = [t for t in plain if rng.random() < 0.6 or t.name in ticks]
    held = [t for t in world.things if t.container or t.supporter]
    new = world.model_copy(update={"things": (*held, *keep), "rules": (), "ending": None})
    new = World.model_validate(new.model_dump(by_alias=True))
    carried = carried_over(world, records, new)
    assert carried.keys() == initial_records(new).keys()
    lists = [i.partition(" (")[0] for k, v in carried.items() for i in v if k.endswith(" holds")]
    lists += [i.partition(" (")[0] for i in carried["You carry"]]
    for part in new.things:
        assert lists.count(part.name) == (carried[part.name][0] != "nowhere")
    for _ in range(20):
        carried = play(new, carried, legal_player(new, carried, rng)).records


# -- watching a file -----------------------------------------------------------------------------


class Author:
    """Somebody who plays a world and writes it."""

    def __init__(self, folder: Path, screen: Screen | None = None) -> None:
        self.file = folder / "house" / "world.toml"
        self.file.parent.mkdir()
        self.table = deepcopy(HOUSE)
        self.save()
        world = load_world(self.file.parent)
        master = FakeGameMaster(world)
        session = Session(world, master, master.opening(), 1)  # type: ignore[arg-type]
        self.console = Console(session, Saves(folder / "saves", identity(world)), autosave=True)
        self.screen = screen or PlainScreen(StringIO(), StringIO(), StringIO())
        self.reads = 0
        self.watch = Watch(self.console, self.screen, self.file, self._read)

    def _read(self, world: World) -> Any:
        self.reads += 1
        master = FakeGameMaster(world)
        return master, master.opening(), identity(world)

    def save(self, text: str = "") -> None:
        self.file.write_text(text or toml(self.table), encoding="utf-8")

    def news(self) -> str:
        return "\n".join(said.text for said in self.watch.news())


@pytest.fixture
def author(tmp_path: Path) -> Author:
    author = Author(tmp_path)
    assert author.news() == ""
    return author


def test_an_edit_made_while_the_network_was_loaded_is_seen(tmp_path: Path) -> None:
    author = Author(tmp_path)
    author.table["title"] = "Another"
    author.save()
    assert author.news() == "[The world was read anew: 1 part changed.]"


def test_an_edit_is_in_the_game_before_the_next_command(author: Author) -> None:
    tell(author.console, "take hat", "east")
    assert (author.news(), author.reads) == ("", 0)
    thing(author.table, "hat")["description"] = "It has a feather now."
    author.table["rooms"].append({"name": "Attic", "description": "High.", "exits": {}})
    author.table["rooms"][1]["exits"]["up"] = "Attic"
    author.save()
    assert author.watch.stirred()
    assert author.news() == "[The world was read anew: 3 parts changed.]"
    assert not author.watch.stirred()
    assert "feather" in tell(author.console, "x hat")
    assert "Attic" in tell(author.console, "up")
    assert "Attic" in author.screen.rooms
    assert author.console.session.turns == 4
    assert author.console.saves.identity.digest == author.console.session.world.digest
    assert (author.news(), author.reads) == ("", 1)


def test_the_position_is_the_opening_and_the_memory(author: Author) -> None:
    tell(author.console, "take hat", "east")
    author.table["title"] = "Another"
    author.save()
    author.news()
    session = author.console.session
    master: Any = session.master
    assert master.settled == 1
    assert set(session.position.changed) == {"hat", "Garden holds", "You carry", "At", "Clocks"}
    assert session.position.changed[-1] in ("At", "Clocks")
    assert "as far back as this game can go" in tell(author.console, "undo")


def test_a_fault_is_told_once_and_the_game_goes_on(author: Author) -> None:
    tell(author.console, "take hat")
    author.table["start"] = "Nowhere Land"
    author.save()
    told = author.news()
    assert "Nowhere Land" in told and "The game goes on in the world as it was." in told
    assert author.news() == ""
    assert "hat" in tell(author.console, "i")
    author.save("this is not TOML")
    assert "is not valid TOML" in author.news()
    author.table["start"] = "Garden"
    author.save()
    assert (author.news(), author.reads) == ("", 0)  # as it is in play already


def test_a_comment_or_a_touch_is_no_edit(author: Author) -> None:
    os.utime(author.file, (1, 1))
    assert not author.watch.stirred()
    author.save(f"# a remark\n{toml(author.table)}")
    assert (author.news(), author.reads) == ("", 0)


def test_a_file_that_is_away_for_a_moment_is_waited_for(author: Author) -> None:
    text = author.file.read_text()
    author.file.unlink()
    assert not author.watch.stirred()
    assert author.news() == ""
    author.save(text)
    assert author.news() == ""


def test_a_file_that_is_still_being_written_is_waited_for(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = toml({**author.table, "title": "Another"})
    author.save(whole[: len(whole) // 2])
    monkeypatch.setattr("adventure.play.watch.time.sleep", lambda seconds: author.save(whole))
    assert (author.news(), author.reads) == ("", 0)
    assert author.news() == "[The world was read anew: 1 part changed.]"


def test_reading_that_is_interrupted_leaves_all_as_it_was(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(world: World) -> Any:
        raise KeyboardInterrupt

    tell(author.console, "take hat")
    before = author.console.session.position, author.console.session.world
    author.watch._read = stop
    author.table["title"] = "Another"
    author.save()
    with pytest.raises(KeyboardInterrupt):
        author.news()
    assert (author.console.session.position, author.console.session.world) == before
    assert author.news() == ""


def test_the_loop_tells_the_news_between_commands(tmp_path: Path) -> None:
    class Typing(StringIO):
        """Edits the world before the second command is read."""

        lines = iter(("take hat\n", "x hat\n", ""))

        def readline(self, size: int | None = -1, /) -> str:
            line = next(self.lines)
            if line.startswith("take"):
                thing(author.table, "hat")["description"] = "It has a feather now."
                author.save()
            return line

    page = StringIO()
    author = Author(tmp_path, PlainScreen(Typing(), page, StringIO(), scripted=True))
    nothing: Iterator[Any] = iter(())
    assert run(author.console, author.screen, nothing, author.watch) == 0
    told = page.getvalue()
    assert told.index("take hat") < told.index("read anew: 1 part") < told.index("a feather now")


def test_a_prompt_that_waits_is_left_when_something_stirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_LOOK_EVERY", 0.01)
    with create_pipe_input() as pipe:
        screen = RichScreen(lambda: ((), ()), input=pipe, output=DummyOutput())
        looked = 0

        def stirred() -> bool:
            nonlocal looked
            looked += 1
            if looked == 2:
                pipe.send_text("take h")
            return looked > 4

        screen.stirred = stirred
        with pytest.raises(Stirred):
            screen.ask("Garden", "")
        screen.stirred = lambda: False
        pipe.send_text("at\n")
        assert screen.ask("Garden", "") == "take hat"


def test_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    author = Author(tmp_path)
    monkeypatch.setenv("ADVENTURE_SAVES", str(tmp_path / "saves"))
    monkeypatch.setattr(
        play_command, "load_master", lambda world, _: (FakeGameMaster(world), "w", "t")
    )
    monkeypatch.setattr("adventure.master.opening.use_packed_opening", lambda *_: False)
    seen: list[Watch] = []
    tell_news = Watch.news

    def news(watch: Watch) -> Iterator[Any]:
        if not seen:
            author.table["title"] = "Another"
            author.save()
        seen.append(watch)
        return tell_news(watch)

    monkeypatch.setattr(Watch, "news", news)
    script = tmp_path / "script"
    script.write_text("look\n")
    assert cli.main(["play", str(author.file.parent), "--watch", "--script", str(script)]) == 0
    assert "[The world was read anew: 1 part changed.]" in capsys.readouterr().out
    assert cli.main(["pack", str(author.file.parent), "-o", str(tmp_path / "h.world")]) == 0
    assert cli.main(["play", str(tmp_path / "h.world"), "--watch", "--script", str(script)]) == 2
    assert "--watch is for worlds that can be edited" in capsys.readouterr().err
