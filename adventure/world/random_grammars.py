"""Grammars of prose for random worlds, one an author's way to write. Data, and how it is expanded.

A grammar maps a symbol to its alternatives, the shortest first. In an alternative `{UPPER}` is
another symbol, `{lower}` a word: s stuff, a adjective, p place, t thing, j somebody, v w b g a verb
(glows, glowed, glow, glowing), d adverb, c any word, m a name of this world with its article, n a
number in words, x in digits, ts ps js several; `{^...}` with a capital.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Grammar = dict[str, tuple[str, ...]]

_NOUNS: Grammar = {
    "NP": ("the {s}", "the {a} {t}", "a {a} {t}", "{m}", "{s} and {s}", "the {t} of {NP}",
           "the {p} {REL}", "what {v} {PP}", "nobody's {t}", "{n} {ts}"),
    "REL": ("that {v}", "where {NP} {v}", "which {w} {PP}"),
    "PP": ("in the {s}", "beyond the {p}", "under {NP}", "by the {a} {t}", "among {s} and {s}",
           "like a {j}'s {t}", "without {s}"),
    "VP": ("{v}", "{v} {d}", "{v} {PP}", "{d} {v} {PP}", "{v}, {g}"),
}  # fmt: skip

TALE: Grammar = {
    **_NOUNS,
    "S": ("{NP} {VP}.", "here {NP} {v}.", "{PP}, {NP} {VP}.", "{NP} {VP}, and {NP} {v}.",
          "{NP}, {a} and {a}, {VP}.", "{NP} {v}; {NP} doesn't.", "there is {s} {PP}, and {NP}.",
          "all that {v} is {NP}.", "{s} {v} here, {d}.", "{d}, {NP} {VP}.", "{n} {ts} {REL}.",
          "the {a} {p} and the {t} {b} as one.", "nothing {REL} but {s}.", "{m}, {a}, {v} {PP}.",
          "some {s} {v}, some doesn't.", "every {t} here is {a}.", "between {s} and {s} {v} {NP}.",
          "{g} {d}, {NP} {v}.", "far off a {j} {v}; the {s} {v}."),
}  # fmt: skip
"""Present tense, relative clauses."""

PAST: Grammar = {
    **_NOUNS,
    "VP": ("{w}", "{w} {d}", "{w} {PP}", "had {w} {PP}", "was {g}"),
    "S": ("{NP} {VP}.", "nobody {w}.", "once the {js} {w} here; then {NP} {w}.",
          "{n} years ago {NP} {VP}.", "{NP} {VP}, as {NP} had {w}.", "the {j} {w}. The {j} {w}.",
          "it was {a}, and {NP} {w}.", "that was the {t} that {w}.", "long after, {NP} {w}.",
          "the {s} had never {w}.", "{g}, the {j} {w}.", "{m} {w} it; {m} {w} again.",
          "before the {a} {t} there was only {s}.", "they {w} the {p} in {n} days.",
          "how it {w}, none of the {js} asked.", "{s} {w} where {s} had {w}.",
          "in those days {NP} {VP}.", "a {j} {w} {PP} and was {a}.", "it had {w} {d}."),
}  # fmt: skip
"""Narrated as gone by."""

YOU: Grammar = {
    **_NOUNS,
    "S": ("you {b} {PP}.", "you could {b} {NP}.", "is it {a}?", "don't {b} {NP}.",
          "if you {b}, {NP} {v}.", "you'd {b} {d}, if {NP} {w}.", "who {w} {PP}? Not you.",
          "you have {n} {ts}. {^d}.", "wherever you {b}, {NP} {v}.", "your {t}, {a} as ever, {v}.",
          "your {j} {w} here.", "mind the {t}.", "you know this {s}.", "have you ever {w} {PP}?",
          "{b}, and {b} again.", "you aren't the first to {b} it.", "nobody asks you to {b}.",
          "it might {b}, or you might.", "why {b} a {a} {t}?", "look: {s}, {s}, your own {t}.",
          "you think of {NP}.", "{n} {ts}, and you {b} {d}.", "at your feet {NP} {v}."),
}  # fmt: skip
"""To the reader; questions, advice."""

TALK: Grammar = {
    **_NOUNS,
    "S": ('"{^S1}," says {m}.', '"{^S1}."', '"{^S1}," says the {j}. "{^S1}!"', "\"{^S1},\" it {v}.",
          '"{^S1}?" asks {m}, {g}. "{^S1}."', '{m} {v}. "{^c}," he says {d}.',
          '"Ah, the {t}..." {m} {v}.', '"{^c} {c}," {m} {v}, "and {c} {c}."', '"{^S1} - {S1}."',
          '"{^t}?" - "{^s}."', '"{^S1}; {S1}," she {w}.', 'somebody calls: "{^S1}!"',
          '"{^n} {ts}," says {m}.', '{m} {v}: "{^S1}."', '"No," says the {j}, "{S1}."',
          '"{^S1}, {S1}, and so on."', '"{^a}, isn\'t it?"'),
    "S1": ("{c} {c}", "I'd {b} {NP}", "it's {a}", "you can't {b} {PP}", "{NP} {v}", "we {w} {d}",
           "my {j} {w} it - {n} times", "isn't it the {t}", "don't {b} before you {b}"),
}  # fmt: skip
"""Speech."""

SIGNS: Grammar = {
    **_NOUNS,
    "S": ("no. {x}: {NP}.", "a sign says {^a} {^t}.", "it reads: \"{^NP}, {x} {ps}.\"",
          "({^NP}; {a}, {a}, {x} of them.)", "{x} {ts}, {x} {s}, and {NP}.",
          "\"Dear {^j}, {NP} {w}. - {^j}\"",
          "the label - {a}, {g} - says {x}/{x}.", "since 1{x}{x}: {s}, {s} & {s}.",
          "to the {t}: {x} steps.", "{^s}, {x} to {x}, by order.", "{x} of {x}: {NP}.",
          'the {t} is marked "{^a} {^s}".', "page {x}, on {ts}.", "for {s} & {s}, apply to {m}.",
          "{^j} and {^j}, {ts}.", "this {p} is {x} {ts} wide.", "at {x}.{x}, {s}.",
          "in {a} letters: {^t}, {^t}, {^p}.", "section {x} ({a}).",
          "two columns - {s}, {s} - and a {t}.", "{^a} {^t} Co., {^p}."),
}  # fmt: skip
"""Labels, letters, lists and numbers."""

SENSES: Grammar = {
    **_NOUNS,
    "S": ("{a} {s}.", "{s}, {s}, {a} {ts}.", "it smells of {s}.", "{NP}. {^NP}.",
          "a taste of {s}; {s}.",
          "{^d} {a}.", "you hear {NP}, {g}.", "no {s} here - only {s}...", "{a}, {a}, {a}: {NP}.",
          "{g}. {^g}.", "cold {s} underfoot.", "{a} to the touch; {a} to the ear.",
          "the {s}... the {s}.", "{d}, {s}.", "only {NP}.", "smell of {s}, sound of {ts}.",
          "{a} {t}, {a} {p}, {a} {s}.", "so {a}! So {d} {a}!", "{s} on the tongue.",
          "more {s} than {s}.", "{a}. {^a}. {^v}.", "hum of {s} {PP}."),
}  # fmt: skip
"""What is seen, heard and smelled, hardly a verb."""

HOUSE: Grammar = {
    "NP": ("the {t}", "the {a} {t}", "{m}", "a {a} {t}"),
    "S": ("the {t} is {a}.", "you see {NP}.", "it's {a}, for a {p}.", "so this is {NP}.",
          "{NP} looks {a}.",
          "you notice {NP} here, and on it {s}.", "{NP} stands against the wall.",
          "you can't help {g}.", "there is {NP}, {a} but {a}.", "here is your {a} {p}.",
          "{NP} has {s} on it.", "you make out {NP}, {g} {d}.", "what a {a} {p} it is.",
          "next to {NP} is {NP}.", "{n} {ts} take up one side.", "this {p} holds {s}, and {NP}.",
          "{NP} is all but {a}.", "nothing is on the {t}.", "it is a {t}, and a {a} one."),
}  # fmt: skip
"""A house that was drawn by lot: plain furniture, plainly told."""

STYLES: dict[str, Grammar] = {
    "tale": TALE, "past": PAST, "you": YOU, "talk": TALK, "signs": SIGNS, "senses": SENSES,
    "house": HOUSE,
}  # fmt: skip

WAYS = (
    "{^x} leads the way out.",
    "You can go {x}.",
    "The {p} goes on {x}.",
    "Ways {x}, and no others.",
    "{^s} {v} {x}.",
    "A {t} marks the way {x}.",
    "Ways lead {x}, past the {s}.",
)
"""Sentences about the ways out of a room; in them x is their directions."""

_SLOT = re.compile(r"{(\^?)(\w+)}")
_A = re.compile(r"\b([Aa]) (?=[aeiou])")


def expand(
    grammar: Grammar, symbol: str, rng: random.Random, word: Callable[[str], str], depth: int
) -> str:
    """A text of the symbol; word: slot -> a word for it. Below `depth` the shortest is taken."""
    ways = grammar[symbol]
    text = rng.choice(ways) if depth > 0 else ways[0]

    def filled(slot: re.Match[str]) -> str:
        name = slot[2]
        if name in grammar:
            found = expand(grammar, name, rng, word, depth - 1)
        else:
            found = word(name)
        return found[:1].upper() + found[1:] if slot[1] else found

    return _SLOT.sub(filled, text)


def finished(sentence: str) -> str:
    """With a capital, and `an` before a vowel."""
    sentence = _A.sub(r"\1n ", sentence)
    start = 1 if sentence[0] in "\"'(" else 0
    return sentence[:start] + sentence[start : start + 1].upper() + sentence[start + 1 :]


def curly(text: str) -> str:
    """Typographic quotes, dashes and dots, as some authors set them."""
    text = re.sub(r"(^|[\s(])\"", "\\1\u201c", text).replace('"', "\u201d")
    text = re.sub(r"(^|[\s(])'", "\\1\u2018", text).replace("'", "\u2019")
    return text.replace(" - ", " \u2014 ").replace("...", "\u2026")
