"""The game's standing replies, in several voices, persons and tenses. Knows no world.

In a reply `*` is the command's first noun with its article, `#` the second, `~` the key of the
record before with its article, `@` its value, `&` its last item, `^` what the author's line is
about, `%` the record's first item. None begins a sentence with a noun, which would want a capital
letter; and no verb or pronoun agrees with one, so names in the plural read as well as others.

In the tables below {take} is a verb that agrees with the player and the tense, {You} the player,
{me} the player as an object, {is} a verb with another subject; where several replies stand for one
kind, the game master varies them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

Voice = dict[str, tuple[str, ...]]
KINDS = (
    *("place", "exits", "see", "inside", "upon", "carry", "deeds", "state", "dark", "noway"),
    *("barred", "absent", "absent2", "taken", "treasure", "have", "fixed", "held", "dropped"),
    *("havenot", "nokey"),
    *("put", "noplace", "shut", "opened", "closed", "unlocked", "locked", "already"),
    *("cannot", "misfit", "worn", "unworn", "eaten", "drunk", "on", "off", "wait", "nothing"),
    *("unwanted", "silent", "comes", "goes"),
)

_PLAIN: Mapping[str, tuple[str, ...]] = {
    "place": ("%",),
    "exits": ("Exits: @.",),
    "see": ("{You} {see}: @.",),
    "inside": ("In *: @.",),
    "upon": ("On *: @.",),
    "carry": ("{You} {carry}: @.",),
    "deeds": ("So far: @.",),
    "state": ("At the moment: &.",),
    "dark": ("It {is} too dark to see.",),
    "noway": ("{You} {can't} go that way.", "There {is} no way through there."),
    "barred": ("{You} {can't}, with ~ &.",),
    "absent": ("{You} {can't} see * here.", "There {is} no sign of * here."),
    "absent2": ("{You} {can't} see # here.",),
    "taken": ("{You} {take} *.", "{You} {pick} up *.", "{You} {have} * now."),
    "treasure": ("{You} {take} *. A treasure!",),
    "have": ("{You} already {have} *.",),
    "fixed": ("{You} {can't} take *.", "There {is} no taking *."),
    "held": ("Somebody {has} * already.",),
    "dropped": ("{You} {put} down *.", "{You} {leave} * there.", "{You} {let} go of *."),
    "havenot": ("{You} {don't} have *.",),
    "nokey": ("{You} {don't} have #.",),
    "put": ("{You} {put} * there.", "There {is} just the place for *."),
    "noplace": ("Nothing {can} be put there.",),
    "shut": ("{You} {can't}, with # &.",),
    "opened": ("{You} {open} *.", "With a push, {you} {open} *."),
    "closed": ("{You} {close} *.", "{You} {shut} *."),
    "unlocked": ("{You} {unlock} * with #.",),
    "locked": ("{You} {lock} * with #.",),
    "already": ("No need for that, with * & already.",),
    "cannot": ("{You} {can't} do that with *.", "No use trying that with *."),
    "misfit": ("{You} {try} # on *, without success.",),
    "worn": ("{You} {put} on *.",),
    "unworn": ("{You} {take} off *.",),
    "eaten": ("{You} {eat} *.",),
    "drunk": ("{You} {drink} *.",),
    "on": ("{You} {turn} on *.",),
    "off": ("{You} {turn} off *.",),
    "wait": ("Time {passes}.", "{You} {wait}.", "A moment {goes} by."),
    "nothing": ("Nothing {happens}.", "That {changes} nothing.", "Nothing {comes} of it."),
    "unwanted": ("{You} {offer} * to #, without success.",),
    "silent": ("{You} {get} no answer from *.", "To that there {is} no answer from *."),
    "comes": ("{You} {notice} ^ arriving.", "{You} {hear} ^ come in."),
    "goes": ("{You} {notice} ^ leaving.", "{You} {hear} ^ go away."),
}
_TERSE: Mapping[str, tuple[str, ...]] = {
    "see": ("Here: @.",),
    "carry": ("Carried: @.",),
    "deeds": ("Done: @.",),
    "state": ("Now &.",),
    "dark": ("Dark. Nothing to be seen.",),
    "noway": ("No way there.",),
    "barred": ("Barred by ~: &.",),
    "absent": ("Not here: *.", "No sign of *."),
    "absent2": ("Not here: #.",),
    "taken": ("Taken: *.", "Got *."),
    "treasure": ("Taken: *. A treasure.",),
    "have": ("Carried already: *.",),
    "fixed": ("Not to be moved: *.", "Fixed."),
    "dropped": ("Dropped: *.", "Left here: *."),
    "havenot": ("Not carried: *.",),
    "nokey": ("Not carried: #.",),
    "put": ("Done.",),
    "noplace": ("No room for that.",),
    "shut": ("First open #.",),
    "opened": ("Opened: *.",),
    "closed": ("Closed: *.",),
    "unlocked": ("A click. Unlocked: *.",),
    "locked": ("A click. Locked: *.",),
    "already": ("No need, with * &.",),
    "cannot": ("Not with *.", "No use."),
    "misfit": ("Wrong key: #.",),
    "worn": ("Worn: *.",),
    "unworn": ("Off: *.",),
    "eaten": ("Eaten: *.",),
    "drunk": ("Drunk: *.",),
    "on": ("On: *.",),
    "off": ("Off: *.",),
    "wait": ("Time {passes}.",),
    "nothing": ("Nothing.", "No effect."),
    "unwanted": ("Refused by #.",),
    "silent": ("No answer from *.",),
    "comes": ("Arriving: ^.",),
    "goes": ("Leaving: ^.",),
}
_STORYBOOK: Mapping[str, tuple[str, ...]] = {
    "see": ("There before {me}: @.",),
    "carry": ("In {your} keeping: @.",),
    "deeds": ("Of this the tale {tells}: @.",),
    "state": ("At this hour: &.",),
    "dark": ("The dark {is} as thick as wool, and {you} {see} nothing in it.",),
    "noway": ("No path {leads} that way.", "{You} {look} for a way there, and there {is} none."),
    "barred": ("{You} {come} no further, with ~ &.",),
    "absent": ("{You} {look} about for *, and {find} no such thing.", "Of * there {is} no sign."),
    "absent2": ("Of # there {is} no sign.",),
    "taken": ("{You} {take} * into {your} keeping.", "{You} {take} * along.", "{You} {lift} up *."),
    "treasure": ("{You} {take} *, a treasure indeed.",),
    "fixed": ("Try as {you} {will}, there {is} no moving *.", "{You} {tug} at *, in vain."),
    "held": ("But another {has} hold of *.",),
    "dropped": ("{You} {lay} down *.", "Here {you} {part} with *."),
    "put": ("{You} {find} a fitting place for *.",),
    "opened": ("{You} {open} *, without any fuss.", "With a creak {you} {open} *."),
    "closed": ("{You} {close} * again.",),
    "unlocked": ("With a turn of # {you} {unlock} *.",),
    "locked": ("With a turn of # {you} {lock} *.",),
    "nothing": ("And nothing whatever {happens}.", "The world {goes} on as before."),
    "wait": ("{You} {bide} {your} time.", "A while {goes} by.", "{You} {stand} and {listen}."),
    "unwanted": ("{You} {hold} out *, and {get} a shake of the head from #.",),
    "silent": ("{You} {hear} nothing of that from *.", "Of that there {is} no word from *."),
}
_WRY: Mapping[str, tuple[str, ...]] = {
    "see": ("On offer: @.",),
    "carry": ("{You} {are} burdened with: @.",),
    "deeds": ("Achievements, of a sort: @.",),
    "dark": ("It {is} as dark as a tax return.", "Somebody {has} turned off the world."),
    "noway": ("The wall there {is} against it.", "A fine idea, but there {is} no way."),
    "barred": ("A small matter first: ~, &.",),
    "absent": ("Anything here but *.", "{You} {picture} *. No use."),
    "absent2": ("{You} {picture} #. No use.",),
    "taken": (
        "{You} {help} {yourself} to *.",
        "Mine, {you} {think}, and {take} *.",
        "{You} {pocket} *.",
    ),
    "treasure": ("{You} {take} *. Somebody will pay for that.",),
    "have": ("Look again: {you} {have} *.",),
    "fixed": (
        "{You} {find} the rest of the world attached to *.",
        "{You} {tug} at *. The world {holds} on.",
    ),
    "dropped": ("{You} {put} down *, with relief.", "{You} {abandon} *."),
    "noplace": ("Nobody {puts} anything there, and with reason.",),
    "opened": ("{You} {open} *. No alarms.", "{You} {open} *."),
    "closed": ("{You} {close} *, as {you} {were} taught.", "{You} {close} *."),
    "nothing": ("The universe {takes} no notice.", "A brave try.", "Well, that {is} done."),
    "cannot": ("Nobody {knows} a way to do that with *.",),
    "wait": ("{You} {wait}. It {is} what {you} {do} best.", "Nothing {happens}, in detail."),
    "unwanted": ("One look at *, and a polite no from #.",),
    "silent": ("{You} {ask}. A look {is} all that {you} {get} from *.", "No comment from *."),
}
VOICES = {"plain": _PLAIN, "terse": _TERSE, "storybook": _STORYBOOK, "wry": _WRY}

_IRREGULAR = {
    "see": "saw", "take": "took", "leave": "left", "have": "had", "eat": "ate", "drink": "drank",
    "don't": "didn't", "can't": "couldn't", "can": "could", "come": "came", "find": "found",
    "lay": "laid", "hold": "held", "get": "got", "think": "thought", "do": "did", "hear": "heard",
    "stand": "stood", "bide": "bided", "is": "was", "are": "were", "were": "had been",
    "has": "had", "comes": "came", "goes": "went", "tells": "told", "knows": "knew",
    "takes": "took", "try": "tried", "carry": "carried", "tug": "tugged", "leads": "led",
    "holds": "held", "puts": "put", "let": "let", "put": "put", "shut": "shut",
    "will": "would",
}  # fmt: skip
_THINGS = frozenset(
    "is can has comes goes tells knows takes leads passes happens changes holds puts".split()
)
"""Verbs whose subject is no player: `nothing`, `the world`, and never a marked name, which may be
in the plural."""
_IRREGULAR_THIRD = {
    "have": "has", "don't": "doesn't", "do": "does", "are": "is", "were": "was",
}  # fmt: skip
_SLOT = re.compile(r"\{([^}]+)\}")


def past(verb: str) -> str:
    """`take` -> `took`; a thing's verb too."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb in _THINGS and verb.endswith("es") and verb[:-2].endswith("ss"):
        return verb[:-2] + "ed"
    stem = verb[:-1] if verb in _THINGS and verb.endswith("s") else verb
    return stem + ("d" if stem.endswith("e") else "ed")


def third(verb: str) -> str:
    """`take` -> `takes`."""
    if verb in _IRREGULAR_THIRD:
        return _IRREGULAR_THIRD[verb]
    if verb in ("can't", "can", "will"):
        return verb
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s")


@lru_cache(maxsize=256)
def voice(name: str, person: str, tense: str, player: str) -> Voice:
    """All standing replies of a voice. Raises KeyError for a voice that there isn't."""
    subject = {"first": "I", "second": "you", "third": player or "they"}[person]
    object_ = {"first": "me", "second": "you", "third": player or "them"}[person]
    own = {"first": "my", "second": "your", "third": "their"}[person]
    self_ = {"first": "myself", "second": "yourself", "third": "themselves"}[person]

    def fill(found: re.Match[str]) -> str:
        word = found[1]
        match word:
            case "You":
                return subject[0].upper() + subject[1:]
            case "you":
                return subject
            case "me":
                return object_
            case "your" | "yourself":
                return own if word == "your" else self_
        if tense == "past":
            if word == "are" and person != "second":
                return "was" if person == "first" or player else "were"
            return past(word)
        if person == "third" and player and (word == "are" or word not in _THINGS):
            return third(word)
        return {"are": "am", "were": "was"}.get(word, word) if person == "first" else word

    table = {**_PLAIN, **VOICES[name]}
    return {kind: tuple(_SLOT.sub(fill, text) for text in table[kind]) for kind in KINDS}
