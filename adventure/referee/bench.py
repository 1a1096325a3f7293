"""How quick the referee is (`adventure bench referee`), and with --check whether it is right.

Turns a second of one core, over random worlds and the packs that come with the program: of play
alone, the commands being there already, and with the player who thinks of them.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from adventure.errors import UserError
from adventure.referee.invariants import CHECKED, Reader, faults_of
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.referee.rules import Outcome, frozen, play, start
from adventure.world.generate import random_world
from adventure.world.pack import list_worlds, load_world
from adventure.world.parts import World
from adventure.world.prompt import Records

Row = dict[str, str | float]
PLAYERS: dict[str, Callable[[], Player]] = {
    "any player": lambda: legal_player,
    "a player with goals": GoalPlayer,
    "a curious player": CuriousPlayer,
}
TURNS = 60
"""Of one game; a finished one begins again."""
_ROUNDS = 3  # of the processor's time, the best: others share its caches
_PACK_TURNS = 2000
_PEER_TURNS = 300


def bench(worlds: int) -> list[Row]:
    """Print and return one row a measurement; rate: turns a second."""
    drawn = [random_world(seed) for seed in range(worlds)]
    games = [list(_game(world, GoalPlayer(), seed, TURNS)) for seed, world in enumerate(drawn)]
    rows = [_row(f"play, {worlds} random worlds", _rate(_replay, drawn, games))]
    for name, make in PLAYERS.items():
        rows.append(_row(f"the same with {name}", _rate(_play_all, drawn, make)))
    for folder in list_worlds():
        try:
            world = load_world(folder)
        except UserError as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
            continue
        game = list(_game(world, GoalPlayer(), 0, _PACK_TURNS))
        rows.append(_row(f"play, {folder.name}", _rate(_replay, [world], [game])))
    rows += _peer(float(rows[0]["rate"]))
    return rows


def check(worlds: int, turns: int) -> int:
    """Play at random and see whether everything holds after every turn; the number of faults."""
    wrong = played = 0
    for seed in range(worlds):
        world = random_world(seed, held_out=seed % 2 == 1)
        reader, player = Reader(world), list(PLAYERS.values())[seed % len(PLAYERS)]()
        quota = turns // worlds + (seed < turns % worlds)
        for records, line, outcome in _game(world, player, seed, quota):
            found = list(faults_of(reader, records, line, outcome))
            held = frozen(records)
            if play(world, records, line, _chooser(seed, line)) != outcome:
                found.append("played again, it went another way")
            if frozen(records) != held:
                found.append("the records that were played on have changed")
            wrong += len(found)
            played += 1
            for fault in found:
                print(f"random world {seed}, {line}: {fault}")
    print(f"{played:,} turns in {worlds:,} random worlds, {wrong} faults. After every turn:")
    for text in (*CHECKED, "played again, it goes the same way", "what was played on is as it was"):
        print(f"  {text}")
    return wrong


def _chooser(seed: int, line: str) -> Callable[[str, int], int]:
    """Forms of replies, drawn alike for the same turn."""
    rng = random.Random(f"{seed}-{line}")
    return lambda kind, forms: rng.randrange(forms)


def _game(
    world: World, player: Player, seed: int, turns: int
) -> Iterator[tuple[Records, str, Outcome]]:
    """Turns of one player, begun again when the game is over: records before, line, outcome."""
    rng, records = random.Random(seed), start(world)
    for _ in range(turns):
        line = player(world, records, rng)
        outcome = play(world, records, line, _chooser(seed, line))
        yield records, line, outcome
        over = outcome.records["Game"] != ("on",)
        records = start(world) if over else outcome.records


def _play_all(worlds: list[World], make: Callable[[], Player]) -> int:
    """A game in each world; the number of turns."""
    for seed, world in enumerate(worlds):
        player, rng, records = make(), random.Random(seed), start(world)
        for _ in range(TURNS):
            records = play(world, records, player(world, records, rng)).records
            if records["Game"] != ("on",):
                records = start(world)
    return TURNS * len(worlds)


def _replay(worlds: list[World], games: list[list[tuple[Records, str, Outcome]]]) -> int:
    """Every turn of the games again; the number of turns."""
    for world, game in zip(worlds, games, strict=True):
        for records, line, _ in game:
            play(world, records, line)
    return sum(len(game) for game in games)


def _rate(work: Callable[..., int], *args: object) -> float:
    """Turns a second of the best round; work returns how many there were."""
    best = 0.0
    for _ in range(_ROUNDS):
        began = time.process_time()
        turns = work(*args)
        best = max(best, turns / (time.process_time() - began))
    return best


def _row(what: str, rate: float) -> Row:
    print(f"{what:<44} {rate:10,.0f} turns/s")
    return {"what": what, "rate": rate}


def _peer(ours: float) -> list[Row]:
    """TextWorld's own engine, if it is installed, the commands being there already."""
    try:
        from textworld import EnvInfos, GameOptions
        from textworld.envs import TextWorldEnv
        from textworld.generator import make_game
    except ImportError:
        print("TextWorld isn't installed, so there is nothing to compare with.")
        return []

    options = GameOptions()
    options.seeds, options.nb_rooms, options.nb_objects = 1, 8, 12
    options.quests_length = 3
    with tempfile.TemporaryDirectory() as folder:
        make_game(options).save(file := f"{folder}/game.json")
        helpful, plain = TextWorldEnv(EnvInfos(admissible_commands=True)), TextWorldEnv()
        for environment in (helpful, plain):
            environment.load(file)
    lines, rng = list[str](), random.Random(0)
    state, done = helpful.reset(), False
    while len(lines) < _PEER_TURNS and not done:
        lines.append(rng.choice(state["admissible_commands"]))
        state, _, done = helpful.step(lines[-1])

    def replay() -> int:
        plain.reset()
        for line in lines:
            plain.step(line)
        return len(lines)

    rate = _rate(replay)
    row = _row("TextWorld, a world of 8 rooms", rate)
    print(f"play is {ours / rate:,.1f} times as quick.")
    return [row, {"what": "times as quick", "rate": ours / rate}]
