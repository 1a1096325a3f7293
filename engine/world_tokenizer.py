"""RWKV's World tokenizer: the longest known token at every place; knows no network.

A vocabulary file has a line for each id from 1 on, in order: the id, the token as a Python literal
(text in quotes, or bytes) and the number of its bytes, as in `257 '\\t\\t' 2`. Id 0 ends a text and
has no bytes. The vocabulary of RWKV's own networks has 65,529 lines, and their embeddings 65,536
rows. Every single byte is a token, so all bytes can be read and come back unchanged.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from engine.errors import TokenizerError
from engine.tokenizer import END_OF_TEXT, AnyTokenizer, utf8

VOCABULARY = "rwkv_vocab_v20230424.txt"
PATTERN = "rwkv_vocab*.txt"
"""What a vocabulary beside a checkpoint may be called."""
ROWS = 65_536
"""Embedding rows of the networks that use VOCABULARY."""
PACKAGES = ("rwkv", "pyrwkv_tokenizer")
"""Python packages that hold VOCABULARY; their code isn't run."""

Node = dict[int, "Branch"]
Branch = tuple[int, Node]
"""Of a token's next byte: the id of the token that ends there, or 0, and what may follow."""


class WorldTokenizer(AnyTokenizer):
    """Greedy longest match over bytes. It has no special tokens but the end, which no text is."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        """`tokens` get the ids from 1 on. Raises ValueError for twins, or a byte lacking."""
        if len(set(tokens)) < len(tokens):
            raise ValueError("a token comes twice")
        lacking = set(range(256)) - {token[0] for token in tokens if len(token) == 1}
        if lacking:
            raise ValueError(f"the single byte 0x{min(lacking):02x} is lacking")
        super().__init__([b"", *tokens], padded=True)
        self._trie = _trie(tokens)

    @classmethod
    def from_file(cls, path: str | Path) -> WorldTokenizer:
        """Read a vocabulary file. Raises TokenizerError for a missing or damaged one."""
        try:
            lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
            return cls([_token(line, number) for number, line in enumerate(lines, 1)])
        except OSError as error:
            raise TokenizerError(
                f"Can't read the vocabulary {path}: {error.strerror or error}; check the path."
            ) from error
        except ValueError as error:  # text that isn't UTF-8 is one, too
            raise TokenizerError(
                f"{path} is not a World vocabulary ({error}); get it again."
            ) from error

    @cached_property
    def hash(self) -> str:
        """sha256 of all ids' bytes and their lengths."""
        whole = hashlib.sha256(b"World")
        for token in self._bytes[: self.vocab]:
            whole.update(len(token).to_bytes(4, "little") + token)
        return whole.hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; lone surrogates, which no UTF-8 text has, are read as U+FFFD."""
        return self.encode_bytes(utf8(text))

    def encode_bytes(self, data: bytes) -> list[int]:
        """The ids of any bytes; `decode_bytes` gives them back."""
        ids: list[int] = []
        root, at, total = self._trie, 0, len(data)
        token = end = 0
        while at < total:
            here, look = root, at
            # Running off the trie or the text is the rule, once a token: quicker than asking first.
            try:
                while True:
                    found, here = here[data[look]]
                    look += 1
                    if found:
                        token, end = found, look
            except (KeyError, IndexError):
                ids.append(token)
                at = end
        return ids

    def id_of(self, special: str) -> int:
        """0 for END_OF_TEXT. Raises TokenizerError for anything else."""
        if special != END_OF_TEXT:
            raise TokenizerError(
                f"The World tokenizer has no special token {special!r}, only {END_OF_TEXT}; "
                "use the tokenizer that the checkpoint was trained with."
            )
        return 0


def installed_vocabulary() -> Path | None:
    """VOCABULARY in the first of PACKAGES that is installed; None without any."""
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(folder) / VOCABULARY).is_file():
                return Path(folder) / VOCABULARY
    return None


def _token(line: str, number: int) -> bytes:
    """The bytes in line `number` of a vocabulary file. Raises ValueError for any other form."""
    start, _, rest = line.partition(" ")
    literal, _, length = rest.rpartition(" ")
    try:
        value = ast.literal_eval(literal)
        token = value.encode() if isinstance(value, str) else value
        if isinstance(token, bytes) and (int(start), int(length)) == (number, len(token)) and token:
            return token
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    raise ValueError(f"line {number} is {line[:40]!r}, wanted: {number} 'token' length")


def _trie(tokens: Iterable[bytes]) -> Node:
    root: Node = {}
    leaf: Node = {}  # stands for "nothing follows" everywhere, and stays empty
    for i, token in enumerate(tokens, 1):
        node = root
        for byte in token[:-1]:
            found, after = node.get(byte, (0, leaf))
            if after is leaf:
                after = {}
                node[byte] = found, after
            node = after
        node[token[-1]] = i, node.get(token[-1], (0, leaf))[1]
    return root
