"""A game's course: where it stands, how it came about, and the way back. Reads nothing typed.

Knows the world, the game master's interface, the randomness, and what was left open by the last
command (a slip, a question, what IT means); no files and no terminal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from adventure.play import phrases, readings
from adventure.play.known import Known
from adventure.play.moments import Game, Moment
from adventure.play.transcript import Transcript
from adventure.world.grammar import Rejection
from engine.sampler import make_sampler

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster, Position, Turn
    from adventure.world.parts import World

UNDO_TURNS = 200
TYPED = 100
"""Commands that a save keeps as they were typed, for the arrow keys."""
UNDO_BYTES = 512 << 20  # states of a large network: fewer turns rather than more memory


class Course:
    """A game from `opening` on, and what it may be taken back to.

    sampler: settings of engine.sampler.make_sampler; seed: of the randomness, which only this
    game uses. Undo gives the randomness back too: the same command then has the same reply.
    """

    def __init__(
        self,
        world: World,
        master: GameMaster,
        opening: Position,
        seed: int = 0,
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        self.world, self.master, self.opening, self.seed = world, master, opening, seed
        self.generator = torch.Generator()
        self.known = Known(world)
        self.hints = 0
        self.use_sampler(sampler or {})
        self.restart()

    # -- what can be seen of it ------------------------------------------------------------------

    @property
    def room(self) -> str:
        return readings.room_of(self.world, self.position.records)

    @property
    def score(self) -> int:
        return readings.score(self.world, self.position.records)

    @property
    def max_score(self) -> int:
        return readings.max_score(self.world)

    @property
    def turns(self) -> int:
        return len(self.transcript)

    @property
    def tally(self) -> str:
        """Points and turns in words."""
        points = f"{self.score} of {self.max_score} points, " if self.max_score else ""
        return f"[{points}{self.turns} turn{'s' * (self.turns != 1)}.]"

    @property
    def over(self) -> bool:
        return self.position.over

    @property
    def won(self) -> bool:
        return self.items("Game") == ("won",)

    def items(self, key: str) -> tuple[str, ...]:
        """The items of the master's latest record under `key`."""
        return tuple(self.position.records.get(key, ()))

    # -- the game as a value ---------------------------------------------------------------------

    def restart(self) -> None:
        """Go back to the opening; what was played is forgotten."""
        self.generator.manual_seed(self.seed)
        self.position, self.settled = self.opening, True
        self.past: list[Moment] = []
        self.shortened = False
        self.transcript = Transcript()
        self.typed = deque[str](maxlen=TYPED)
        self.noun = self.person = self.last = ""
        self._slip: phrases.Slip | None = None
        self._question: Rejection | None = None
        self.known.read(*readings.beginning(self.world, self.opening.records))
        self.known.look_round(self.opening.records)

    def moment(self) -> Moment:
        """The present."""
        self._settle()
        return Moment(
            self.position,
            self.generator.get_state(),
            self.turns,
            self.noun,
            self.person,
            self.last,
        )

    def game(self) -> Game:
        """Everything that is needed to go on from here."""
        now, past, kept = self.moment(), tuple(self.past), self.known.kept
        return Game(now, past, tuple(self.typed), self.seed, self.sampler, self.hints, kept)

    def resume(self, game: Game) -> None:
        """Go on with `game`, which belongs to this world and this master."""
        self.seed, self.past, self.typed = game.seed, list(game.past), deque(game.typed, TYPED)
        self.transcript = Transcript(game.now.turns)
        self.shortened = game.shortened
        self.hints = max(self.hints, game.hints)  # what has been read can't be forgotten
        self.use_sampler(game.sampler)
        self._return_to(game.now)
        self.known.add(game.known)

    def go_on_in(
        self, world: World, master: GameMaster, opening: Position, position: Position
    ) -> None:
        """Go on at `position` in an edited world; what was played can't be undone any more."""
        self.world, self.master, self.opening = world, master, opening
        self.position, self.settled, self.past = position, True, []
        self.noun, self.person = (n if n in world.names else "" for n in (self.noun, self.person))
        self.known.go_on_in(world)
        self.known.look_round(position.records)
        self._slip = self._question = None

    def use_sampler(self, settings: Mapping[str, Any]) -> None:
        """Choose tokens by these settings from now on."""
        self.sampler = dict(settings)
        self._choose = make_sampler(**self.sampler)

    def _ask(self, line: str) -> Turn:
        """Put a canonical line to the master, which other sessions may use too."""
        self.master.sampler = self._choose
        return self.master.turn(self.position, line, self.generator)

    def reseed(self, seed: int) -> None:
        """Begin the randomness anew."""
        self.seed = seed
        self.generator.manual_seed(seed)

    def undo(self) -> bool:
        """Take the last command back. False where none is left."""
        if not self.past:
            return False
        moment = self.past.pop()
        self.transcript.cut(moment.turns)
        self._return_to(moment)
        return True

    def _return_to(self, moment: Moment) -> None:
        self.position, self.settled = moment.position, True
        self.generator.set_state(moment.generator)
        self.noun, self.person, self.last = moment.noun, moment.person, moment.last
        self._slip = self._question = None

    def _remember(self, moment: Moment) -> None:
        self.past.append(moment)
        room = max(1, min(UNDO_TURNS, UNDO_BYTES // max(1, moment.position.state.nbytes)))
        del self.past[:-room]

    def _settle(self) -> None:
        """Let the master close a full segment; the reply is on the screen by now."""
        if not self.settled:
            self.position, self.settled = self.master.settle(self.position), True
