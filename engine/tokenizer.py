"""Text to token ids and back, byte-level; knows nothing of networks or of what the text says.

`AnyTokenizer` is what all can do. `Tokenizer` reads `tokenizers` JSON files: those learned here,
and 20B, the GPT-NeoX tokenizer of the RWKV-2 to RWKV-4 networks trained on the Pile. World, that of
the later networks, is in engine/world_tokenizer.py. `open_tokenizer` finds the one that a
checkpoint wants.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from engine.errors import TokenizerError

WORDS = r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\n|\s"
"""Where a token may not cross: words with their space, single digits, single other characters."""
END_OF_TEXT = "<|endoftext|>"
"""The special token between documents, by which `id_of` gives its id in World and in 20B."""
PADDING = 512
"""Embedding tables are rounded up to a multiple of at most this many rows."""
VOCAB_20B = 50_277


class AnyTokenizer(ABC):
    """What all tokenizers can do: ids from 0 to vocab - 1, each of which stands for bytes."""

    def __init__(self, table: Sequence[bytes], padded: bool) -> None:
        """`table` holds each id's bytes; padded: networks may have rows that stand for no id."""
        self._vocab = len(table)
        self._padding = PADDING - 1 if padded else 0
        self._bytes = [*table, *[b""] * self._padding]

    @property
    def vocab(self) -> int:
        """The number of ids; they run from 0 to vocab - 1."""
        return self._vocab

    @property
    @abstractmethod
    def hash(self) -> str:
        """sha256 of what the tokenizer is made of: equal for tokenizers that treat text alike."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of `text`; lone surrogates, which no UTF-8 text has, are read as U+FFFD."""

    @abstractmethod
    def id_of(self, special: str) -> int:
        """The id of a special token. Raises TokenizerError when there is no such token."""

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of `ids`, special tokens included. Raises IndexError for what is no id."""
        return b"".join([self._bytes[i] for i in ids])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; bytes that aren't UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def bytes_of(self, token: int) -> bytes:
        """The bytes of one id; none for a row that only pads the table."""
        return self._bytes[token]

    def check_fits(self, vocab: int) -> None:
        """Raises TokenizerError where a network of `vocab` ids isn't one of this tokenizer's.

        Networks of World and 20B may have rows for fewer than PADDING ids that don't exist.
        """
        if not 0 <= vocab - self.vocab <= self._padding:
            raise TokenizerError(
                f"The tokenizer has {self.vocab} tokens and the model {vocab}; put the model's own "
                "tokenizer.json beside it."
            )


class Tokenizer(AnyTokenizer):
    """A byte-level BPE tokenizer, read from a `tokenizers` JSON file or learned.

    Every string comes back from its ids unchanged, unless the file asks for a normal form, as 20B
    does: its strings come back in NFC.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        """Wrap a `tokenizers` object; raises TokenizerError when it isn't byte-level."""
        self._inner = inner
        special = {i: t.content for i, t in inner.get_added_tokens_decoder().items()}
        table: list[bytes] = [b""] * inner.get_vocab_size()
        alphabet = _byte_of_character()
        for text, i in inner.get_vocab().items():
            if i >= len(table):
                raise TokenizerError(
                    f"The tokenizer has id {i} but only {len(table)} tokens; "
                    "its ids must run from 0 without gaps."
                )
            if i in special:
                table[i] = special[i].encode()
                continue
            try:
                table[i] = bytes(alphabet[c] for c in text)
            except KeyError:
                raise TokenizerError(
                    f"The tokenizer's token {i} is {text!r}, which is not in the byte-level "
                    "alphabet; use a byte-level BPE tokenizer."
                ) from None
        super().__init__(table, len(table) == VOCAB_20B and table[0] == END_OF_TEXT.encode())

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Read a `tokenizers` JSON file. Raises TokenizerError for a missing or damaged file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise TokenizerError(
                f"Can't read the tokenizer {path}: {error.strerror or error}; check the path."
            ) from error
        except UnicodeDecodeError as error:
            raise TokenizerError(
                f"The tokenizer {path} is not UTF-8 text; get it again."
            ) from error
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, name: str = "given") -> Tokenizer:
        """Read the text of a `tokenizers` JSON file; `name` is what messages call it."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception for whatever it dislikes
            raise TokenizerError(
                f"The tokenizer {name} is not a `tokenizers` JSON file ({error}); get it again."
            ) from error
        return cls(inner)

    def to_json(self) -> str:
        return self._inner.to_str()

    @cached_property
    def hash(self) -> str:
        """sha256 of the canonical JSON: equal for tokenizers that treat text alike."""
        canonical = json.dumps(json.loads(self.to_json()), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens written out in it become their own ids.

        Lone surrogates, which no UTF-8 text has, are read as U+FFFD.
        """
        return list(self._inner.encode(utf8(text).decode(), add_special_tokens=False).ids)

    def id_of(self, special: str) -> int:
        """The id of a special token. Raises TokenizerError when there is no such token."""
        i = self._inner.token_to_id(special)
        added = self._inner.get_added_tokens_decoder()
        if i not in added or not added[i].special:  # 20B also adds runs of spaces
            raise TokenizerError(
                f"The tokenizer has no special token {special!r}; "
                "use the tokenizer that the checkpoint was trained with."
            )
        return int(i)


class StreamDecoder:
    """Text of ids that come one by one; characters cut between tokens are held back."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        self._tokenizer, self._cut = tokenizer, b""

    def push(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        text, self._cut = split_utf8(self._cut + self._tokenizer.bytes_of(token))
        return text

    def flush(self) -> str:
        """What is still held back, as U+FFFD; the decoder is then as new."""
        rest, self._cut = self._cut.decode("utf-8", "replace"), b""
        return rest


def split_utf8(data: bytes) -> tuple[str, bytes]:
    """The text of `data`, U+FFFD for what can't be UTF-8, and the bytes of a character cut off."""
    text, used = codecs.utf_8_decode(data, "replace", False)
    return text, data[used:]


def utf8(text: str) -> bytes:
    """The bytes of `text`; each byte of a lone surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()


def open_tokenizer(path: str | Path, vocab: int) -> AnyTokenizer:
    """The tokenizer of a network of `vocab` ids whose checkpoint, or its folder, is `path`.

    That is tokenizer.json there, else the World vocabulary there (rwkv_vocab*.txt), else, for the
    65,536 ids of World's networks, the one of an installed package. Raises TokenizerError where
    there is none, or one that doesn't fit.
    """
    from engine import world_tokenizer as world  # it is built on this module

    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    vocabularies = sorted(folder.glob(world.PATTERN))
    found: AnyTokenizer
    if (folder / "tokenizer.json").exists():
        found = Tokenizer.from_file(folder / "tokenizer.json")
    elif len(vocabularies) > 1:
        names = ", ".join(file.name for file in vocabularies)
        raise TokenizerError(f"{folder} holds {names}, wanted one of them; take the others away.")
    elif vocabularies:
        found = world.WorldTokenizer.from_file(vocabularies[0])
    elif vocab == world.ROWS and (installed := world.installed_vocabulary()):
        found = world.WorldTokenizer.from_file(installed)
    else:
        what = "the model's own tokenizer.json"
        if vocab == world.ROWS:
            what = f"{world.VOCABULARY} (the Python package rwkv holds it; installed, it is found)"
        elif 0 <= vocab - VOCAB_20B < PADDING:
            what = "20B_tokenizer.json under the name tokenizer.json"
        raise TokenizerError(
            f"{folder} holds no tokenizer for a model of {vocab} tokens; put {what} there."
        )
    found.check_fits(vocab)
    return found


def train_tokenizer(texts: Iterable[str], vocab: int, specials: list[str]) -> Tokenizer:
    """Learn a byte-level BPE tokenizer of at most `vocab` ids from `texts`.

    The ids begin with `specials` in their order, then the 256 bytes, then merges. Specials that
    stand in the texts are left out of the learning. Raises ValueError for too small a vocabulary.
    """
    least = 256 + len(specials)
    if vocab < least:
        raise ValueError(f"vocab is {vocab}, wanted at least {least} (256 bytes and the specials)")
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[AddedToken(s, normalized=False, special=True) for s in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_without(specials, texts), trainer)
    return Tokenizer(inner)


def _without(specials: list[str], texts: Iterable[str]) -> Iterator[str]:
    if not specials:
        yield from texts
        return
    pattern = re.compile("|".join(re.escape(s) for s in specials))
    for text in texts:
        yield from (piece for piece in pattern.split(text) if piece)


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's byte-level alphabet: printable bytes stand for themselves, the rest from U+0100."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + n): b for n, b in enumerate(rest)}
