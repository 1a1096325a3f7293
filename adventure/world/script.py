"""What an author's rules are to the network: blocks of short lines. Knows no rule of the game.

Lines are run one by one. A block has a heading, the canonical command that it answers (or `arrive
ROOM`, `clock NAME`), and lines:

    if X REL Y     a condition; the line after it is where to go when it fails: a label, or `usual`
    so X REL Y     something that changes
    say            the line after it is told to the player
    usual          go on as if there were no block
    end            that was all

Fields of a line are kept apart, so that a name of any number of words stays one.
"""

from __future__ import annotations

from dataclasses import dataclass

FIELD = "<|of|>"
"""Between the fields of a command or of a script line."""


@dataclass(frozen=True)
class Op:
    """One line of a block. what: if, so, say, usual, end, goto; fields: X, REL, Y.

    prose: what a `say` tells.
    """

    what: str
    fields: tuple[str, ...] = ()
    prose: str = ""

    @property
    def text(self) -> str:
        """The line as the network reads it, without its newline."""
        if self.what == "goto":
            return heading(self.fields[0])
        return " " + line_text((self.what, *self.fields))


@dataclass(frozen=True)
class Block:
    """Lines under one heading."""

    key: str
    ops: tuple[Op, ...]


def line_text(fields: tuple[str, ...]) -> str:
    """`so`, `gate`, `becomes`, `open` -> `so<|of|> gate<|of|> becomes<|of|> open`."""
    return f"{FIELD} ".join(fields)


WHEN = "<|when|>"
MARKS = {
    "*": "<|noun|>",
    "#": "<|noun2|>",
    "~": "<|key|>",
    "@": "<|all|>",
    "&": "<|last|>",
    "^": "<|about|>",
    "%": "<|first|>",
}
"""The marks of templates as tokens of their own."""


def marked(template: str) -> str:
    """A template as the pack has it: a mark takes in the space before it."""
    for mark, token in MARKS.items():
        template = template.replace(f" {mark}", token).replace(mark, token)
    return template


def heading(key: str) -> str:
    """The heading of a block: its command, fields apart."""
    return f"{WHEN} {line_text(tuple(key.split('|')))}"


def block_text(block: Block) -> list[str]:
    """A block's lines as the pack has them."""
    lines = [heading(block.key)]
    for op in block.ops:
        lines.append(op.text)
        if op.what == "say":
            lines.append(f" {op.prose}")
    return lines
