"""What a player's words come to: a canonical command, or why not. Knows no world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from adventure.world.verbs import BY_NAME


@dataclass(frozen=True)
class Command:
    """A canonical line, and the noun that IT will mean from now on (empty where there is none).

    then: the canonical line that follows when the first went well: `open X with Y` is two.
    """

    line: str
    noun: str = ""
    then: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All its canonical lines, in order."""
        return (self.line, self.then) if self.then else (self.line,)

    @property
    def phrase(self) -> str:
        """What can be typed for all of it."""
        name, *nouns = self.line.split("|")
        name = self.lines[-1].partition("|")[0]
        if not nouns:
            return "score" if name == "deeds" else name
        verb = BY_NAME.get(name)
        link = verb.links[0] if verb else "with"
        return f"{verb.phrases[0] if verb else name} {f' {link} '.join(nouns)}"


@dataclass(frozen=True)
class Rejection:
    """What to tell the player; the world is as it was.

    pending: where it is a question, the command with {} in place of the answer; among: the names
    to choose from, if it is about these.
    """

    text: str
    pending: str = field(default="", compare=False)
    among: tuple[str, ...] = field(default=(), compare=False)

    def completed(self, answer: str) -> str:
        """The command that the answer makes of the question."""
        return self.pending.replace("{}", answer)

    def waiting(self, pending: str) -> Rejection:
        """A question which of several is meant, with the command that waits for the answer."""
        return replace(self, pending=pending) if self.among else self
