"""Text to token ids and back, byte-level; knows nothing of networks or of what the text says."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from engine.errors import TokenizerError

WORDS = r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\n|\s"
"""Where a token may not cross: words with their space, single digits, single other characters."""


class Tokenizer:
    """A byte-level BPE tokenizer: every string of characters comes back from its ids unchanged."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        """Wrap a `tokenizers` object; raises TokenizerError when it isn't byte-level."""
        self._inner = inner
        special = {i: t.content for i, t in inner.get_added_tokens_decoder().items()}
        self._bytes: list[bytes] = [b""] * inner.get_vocab_size()
        alphabet = _byte_of_character()
        for text, i in inner.get_vocab().items():
            if i >= len(self._bytes):
                raise TokenizerError(
                    f"The tokenizer has id {i} but only {len(self._bytes)} tokens; "
                    "its ids must run from 0 without gaps."
                )
            if i in special:
                self._bytes[i] = special[i].encode()
                continue
            try:
                self._bytes[i] = bytes(alphabet[c] for c in text)
            except KeyError:
                raise TokenizerError(
                    f"The tokenizer's token {i} is {text!r}, which is not in the byte-level "
                    "alphabet; use a byte-level BPE tokenizer."
                ) from None

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

    @property
    def vocab(self) -> int:
        """The number of ids; they run from 0 to vocab - 1."""
        return len(self._bytes)

    @cached_property
    def hash(self) -> str:
        """sha256 of the canonical JSON: equal for tokenizers that treat text alike."""
        canonical = json.dumps(json.loads(self.to_json()), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def check_fits(self, vocab: int) -> None:
        """Raises TokenizerError where a network of `vocab` ids isn't one of this tokenizer's."""
        if self.vocab != vocab:
            raise TokenizerError(
                f"The tokenizer has {self.vocab} tokens and the model {vocab}; put the model's own "
                "tokenizer.json beside it."
            )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens written out in it become their own ids.

        Lone surrogates, which no UTF-8 text has, are read as U+FFFD.
        """
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; bytes that aren't UTF-8 become U+FFFD."""
        return b"".join(self._bytes[i] for i in ids).decode("utf-8", "replace")

    def bytes_of(self, token: int) -> bytes:
        return self._bytes[token]

    def id_of(self, special: str) -> int:
        """The id of a special token. Raises TokenizerError when there is no such token."""
        i = self._inner.token_to_id(special)
        if i is None or i not in self._inner.get_added_tokens_decoder():
            raise TokenizerError(
                f"The tokenizer has no special token {special!r}; "
                "use the tokenizer that the checkpoint was trained with."
            )
        return int(i)


class StreamDecoder:
    """Text of ids that come one by one; characters cut between tokens are held back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        return self._utf8.decode(self._tokenizer.bytes_of(token))

    def flush(self) -> str:
        """What is still held back, as U+FFFD; the decoder is then as new."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest


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
