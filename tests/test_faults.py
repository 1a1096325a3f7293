"""What an author is told where a world's keys are right and its sense isn't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mill import mill_table

from adventure.errors import PackError
from adventure.world.faults import faults
from adventure.world.ifiction import new_ifid
from adventure.world.pack import make_world
from adventure.world.prose_faults import MARKS_OF
from adventure.world.script import MARKS
from adventure.world.voice import KINDS, VOICES, voice

Spoil = Callable[[dict[str, Any]], object]


def change(kind: str, index: int, **keys: Any) -> Spoil:
    """One part with other values; `in_` stands for `in`."""
    return lambda table: table[kind][index].update({k.rstrip("_"): v for k, v in keys.items()})


def top(**keys: Any) -> Spoil:
    return lambda table: table.update(keys)


def inside(kind: str, **keys: Any) -> Spoil:
    return lambda table: table[kind].update(keys)


def rule(**keys: Any) -> Spoil:
    made = {"when": "pull millstone", "say": "It moves.", **keys}
    return lambda table: table["rules"].append(made)


def both(*several: Spoil) -> Spoil:
    def spoil(table: dict[str, Any]) -> None:
        for each in several:
            each(table)

    return spoil


def put_in_each_other(table: dict[str, Any]) -> None:
    flour_bin, apron = table["things"][5:7]
    flour_bin["in"] = "apron"
    apron.update({"in": "flour bin", "container": True})


def empty_clock(table: dict[str, Any]) -> None:
    del table["clocks"][0]["say"], table["clocks"][0]["then"]


SENSE_FAULTS: dict[str, tuple[Spoil, str]] = {
    "start": (
        top(start="Yrad"),
        "the world starts in 'Yrad', which doesn't exist; did you mean 'Yard'?",
    ),
    "misspelt direction": (
        change("rooms", 2, exits={"nroth": "Yard"}),
        "'Pit' has an exit 'nroth'; did you mean 'north'?",
    ),
    "direction in capitals": (
        change("rooms", 2, exits={"NORTH": "Yard"}),
        "'Pit' has an exit 'NORTH'; did you mean 'north'?",
    ),
    "short direction": (
        change("rooms", 2, exits={"n": "Yard"}),
        "'Pit' has an exit 'n'; did you mean 'north'?",
    ),
    "exit to nowhere": (
        change("rooms", 2, exits={"north": "Barm"}),
        "the exit north of 'Pit' leads to 'Barm', which doesn't exist; did you mean 'Barn'?",
    ),
    "exit to the room itself": (
        change("rooms", 2, exits={"north": "Pit"}),
        "the exit north of 'Pit' leads to that room itself; lead it elsewhere, or leave it out.",
    ),
    "door to the room itself": (
        change("doors", 1, to="Barn"),
        "door 'low hatch' leads from 'Barn' back to it; lead it elsewhere.",
    ),
    "direction of a door": (
        change("doors", 1, direction="upp"),
        "door 'low hatch': direction 'upp'; did you mean 'up'?",
    ),
    "door from nowhere": (
        change("doors", 1, from_="Bran"),
        "door 'low hatch' is in 'Bran', which doesn't exist; did you mean 'Barn'?",
    ),
    "key that isn't there": (
        change("doors", 0, key="bras key"),
        "'oak door' has the key 'bras key', which is no thing; did you mean 'brass key'?",
    ),
    "key that is a person": (
        change("doors", 0, key="miller"),
        "'oak door' has the key 'miller', which is no thing; did you mean 'millstone'?",
    ),
    "key that can't be carried": (
        change("doors", 0, key="millstone"),
        "'oak door' has the key 'millstone', which can't be carried; don't fix it.",
    ),
    "its own key": (
        change("things", 5, key="flour bin", fixed=False),
        "'flour bin' is its own key; name another thing.",
    ),
    "lock without a key": (
        change("doors", 1, locked=True),
        "'low hatch' is locked but has no key; give it one, or a rule.",
    ),
    "box without a key": (
        lambda t: t["things"][5].pop("key"),
        "'flour bin' is locked but has no key; give it one, or a rule.",
    ),
    "open and locked": (
        change("doors", 0, open=True),
        "'oak door' is both open and locked; choose one.",
    ),
    "door where an exit is": (
        change("doors", 1, direction="west"),
        "'Barn' has both an exit and the door 'low hatch' to the west; each way has room for one.",
    ),
    "door where a door is": (
        change("doors", 1, from_="Attic", to="Yard", direction="south"),
        "'Yard' has both the door 'oak door' and the door 'low hatch' to the north; each way "
        "has room for one.",
    ),
    "thing in no place": (
        change("things", 0, in_="Yurt"),
        "'iron key' is in 'Yurt', which doesn't exist; did you mean 'you'?",
    ),
    "thing in what holds nothing": (
        change("things", 0, in_="millstone"),
        "'iron key' is in 'millstone', which is neither a container nor a supporter; make it one.",
    ),
    "thing in itself": (
        change("things", 5, in_="flour bin"),
        "'flour bin' would be in itself ('flour bin' in 'flour bin'); put it somewhere else.",
    ),
    "ring of things": (
        put_in_each_other,
        "'apron' would be in itself ('apron' in 'flour bin' in 'apron'); put it somewhere else.",
    ),
    "worn but not wearable": (
        change("things", 0, in_="worn"),
        "'iron key' is worn, but it isn't wearable; add wearable = true.",
    ),
    "fixed treasure": (
        change("things", 1, treasure=True),
        "'millstone' is fixed, so it can't be a treasure; choose one.",
    ),
    "fixed in the hand": (
        change("things", 1, in_="you"),
        "'millstone' is fixed, so it can't be carried; choose one.",
    ),
    "two kinds of state": (
        change("things", 5, states=["full", "half full"]),
        "'flour bin' has several kinds of state (openable and states); a thing has one at most.",
    ),
    "switch that opens": (
        change("things", 5, light=True),
        "'flour bin' has several kinds of state (openable and light or switch); a thing has one"
        " at most.",
    ),
    "key without a lid": (
        change("things", 0, key="brass key"),
        "'iron key' has 'key' but doesn't open; add openable = true.",
    ),
    "on without a switch": (
        change("things", 0, on=True),
        "'iron key' has 'on' but can't be switched; add switch = true.",
    ),
    "one state": (
        change("things", 1, states=["still"]),
        "'millstone' has one state, which can't change; list two or more, or none.",
    ),
    "state of the game's": (
        change("things", 1, states=["still", "open"]),
        "the state 'open' of 'millstone' belongs to things that open or switch; choose another "
        "word.",
    ),
    "state with a comma": (
        change("things", 1, states=["still", "up, down"]),
        "the state 'up, down' of 'millstone' won't do: one to six words of small or capital "
        "letters, no commas.",
    ),
    "state with a word of conditions": (
        change("things", 1, states=["still", "in motion"]),
        "the state 'in motion' of 'millstone' holds a word that the game needs; change it.",
    ),
    "state that is a trait": (
        change("things", 1, states=["still", "fixed"]),
        "the state 'fixed' of 'millstone' holds a word that the game needs; change it.",
    ),
    "state listed twice": (
        change("things", 1, states=["still", "turning", "still"]),
        "the state 'still' of 'millstone' is listed twice; leave one out.",
    ),
    "person in no room": (
        change("people", 0, in_="flour bin"),
        "'miller' is in 'flour bin', which is no room; it can be 'Attic', 'Barn', 'Loft', "
        "'Pit', 'Yard'.",
    ),
    "route to nowhere": (
        change("people", 0, route=["Yard", "Barb"]),
        "the route of 'miller' leads to 'Barb'; did you mean 'Barn'?",
    ),
    "route with a loop": (
        change("people", 0, route=["Yard", "Barn", "Yard"]),
        "the route of 'miller' passes 'Yard' twice; list each room once.",
    ),
    "route of one room": (
        change("people", 0, route=["Yard"]),
        "the route of 'miller' has one room; list two or more, or leave it out.",
    ),
    "route elsewhere": (
        change("people", 0, route=["Loft", "Barn"]),
        "the route of 'miller' never passes 'Yard', where it is; add that room.",
    ),
    "topic without words": (
        change("people", 0, topics={"storm, ": "Yes."}),
        "the topic '' of 'miller' won't do; write a word or two.",
    ),
    "topic of all else": (
        change("people", 0, topics={"anything": "Yes."}),
        "'miller' has the topic 'anything'; write it as other = \"...\".",
    ),
    "topic twice": (
        change("people", 0, topics={"storm": "Yes.", "storm, weather": "No."}),
        "'miller' has the topic 'storm' twice; leave one out.",
    ),
    "ending without its thing": (
        inside("ending", thing="gold cup"),
        "the ending needs 'gold cup', which doesn't exist; did you mean 'silver cup'?",
    ),
    "ending without its room": (
        inside("ending", room="loft"),
        "the ending happens in 'loft', which doesn't exist; did you mean 'Loft'?",
    ),
    "ending that nobody can reach": (
        inside("ending", thing="millstone"),
        "the ending needs 'millstone', which is fixed, so nobody can bring it; choose another "
        "thing.",
    ),
    "digit in a name": (
        change("things", 0, name="key 2"),
        "the name 'key 2' won't do: one to four words of letters, hyphens and apostrophes, 40 "
        "characters at most.",
    ),
    "hyphen at the end": (
        change("things", 0, name="key-"),
        "the name 'key-' won't do: one to four words of letters, hyphens and apostrophes, 40 "
        "characters at most.",
    ),
    "long name": (
        change("things", 0, name="k" * 300),
        "the name 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk... won't do: one to four words of "
        "letters, hyphens and apostrophes, 40 characters at most.",
    ),
    "five words": (
        change("doors", 0, synonyms=["a b c d e"]),
        "the name 'a b c d e' won't do: one to four words of letters, hyphens and apostrophes, "
        "40 characters at most.",
    ),
    "word of commands": (
        change("things", 0, name="key with teeth"),
        "the name 'key with teeth' contains 'with', a word that the game needs; change it.",
    ),
    "word of conditions": (
        change("things", 0, name="not here"),
        "the name 'not here' contains 'here', a word that the game needs; change it.",
    ),
    "name of the game's own": (
        change("rooms", 4, name="Game"),
        "the name 'Game' is taken by the game itself; choose another.",
    ),
    "direction for a name": (
        change("things", 0, name="up"),
        "the name 'up' is a direction; choose another, or add a word.",
    ),
    "direction for a synonym": (
        change("doors", 0, synonyms=["north"]),
        "the name 'north' is a direction; choose another, or add a word.",
    ),
    "short direction for a synonym": (
        change("things", 0, synonyms=["iron", "U"]),
        "the name 'U' is a direction; choose another, or add a word.",
    ),
    "article": (
        change("things", 0, name="the key"),
        "the name 'the key' begins with an article, which the game adds; leave it out.",
    ),
    "line of the master's": (
        change("things", 0, name="say key"),
        "the name 'say key' begins with 'say', as the game master's own lines do; change that"
        " word.",
    ),
    "small room": (
        change("rooms", 4, name="attic"),
        "the name 'attic' should begin with a capital letter (rooms: capital, doors and things:"
        " small).",
    ),
    "capital thing": (
        change("things", 0, name="Iron key"),
        "the name 'Iron key' should begin with a small letter (rooms: capital, doors and "
        "things: small).",
    ),
    "twins": (
        change("things", 0, name="brass key"),
        "two parts are both called 'brass key'; give each a name of its own.",
    ),
    "thing like a room": (
        change("things", 0, name="barn"),
        "the names 'Barn' and 'barn' sound alike; give each a name of its own.",
    ),
    "names that sound alike": (
        change("things", 0, name="brass key'"),
        "the name \"brass key'\" won't do: one to four words of letters, hyphens and apostrophes,"
        " 40 characters at most.",
    ),
    "thing called as the door's key is noted": (
        change("things", 0, name="oak door key"),
        "the name 'oak door key' is also what the game master calls a note on 'oak door'; "
        "choose another.",
    ),
    "thing called as a box's contents are noted": (
        change("things", 0, name="flour bin holds"),
        "the name 'flour bin holds' is also what the game master calls a note on 'flour bin'; "
        "choose another.",
    ),
    "room called as a room's way is noted": (
        change("rooms", 4, name="Yard north"),
        "the name 'Yard north' is also what the game master calls a note on 'Yard'; choose "
        "another.",
    ),
    "scenery called like a thing": (
        change("rooms", 1, scenery={"apron": "White."}),
        "the scenery 'apron' of 'Barn' is called like 'apron'; give it a name of its own.",
    ),
    "scenery of two kinds": (
        change("rooms", 1, scenery={"sky": "Blue."}),
        "the scenery 'sky' of 'Barn' reads otherwise than in 'Yard'; give both the same words, "
        "or one another name.",
    ),
    "scenery's name": (
        change("rooms", 1, scenery={"sky, it": "Blue."}),
        "the name 'it' contains 'it', a word that the game needs; change it.",
    ),
    "blank prose": (
        change("rooms", 1, description=" \n "),
        "the description of the room 'Barn' is empty; write a sentence.",
    ),
    "blank line": (
        change("rooms", 1, description="Straw.\n \nSwallows."),
        "the description of the room 'Barn' holds a blank line; write it as one paragraph.",
    ),
    "blank line in the intro": (
        top(intro="Flour.\n\nAnd the cup."),
        "the intro holds a blank line; write it as one paragraph.",
    ),
    "control character": (
        top(intro="Hear the bell \a."),
        "the intro holds the character '\\x07', which can't be shown; take it out.",
    ),
    "escape in what lists show": (
        top(headline="\x1b[31mred"),
        "the headline holds the character '\\x1b', which can't be shown; take it out.",
    ),
    "escape in a topic": (
        change("people", 0, topics={"storm\x1b": "Yes."}),
        "a key in 'topics' of the person 'miller' holds the character '\\x1b', which can't be "
        "shown; take it out.",
    ),
    "mark of the engine": (
        change("rooms", 1, description="<|end|>"),
        "the description of the room 'Barn' holds '<|', which the engine uses itself; take it out.",
    ),
    "mark of the engine in a reply": (
        inside("replies", nothing="Nothing <|say|>."),
        "the text of 'nothing' in [replies] holds '<|', which the engine uses itself; take it out.",
    ),
    "line break in a title": (
        top(title="The\nMill"),
        "the title holds a line break; write it on one line.",
    ),
    "prose like a record": (
        change("rooms", 1, description="At: the end of all ways."),
        "the description of the room 'Barn' begins with 'At:', as the game master's notes do; "
        "begin it otherwise.",
    ),
    "prose like a room's record": (
        change("rooms", 1, description="Yard holds: geese."),
        "the description of the room 'Barn' begins with 'Yard holds:', as the game master's "
        "notes do; begin it otherwise.",
    ),
    "prose that is a name": (
        change("things", 0, description="millstone"),
        "the description of the thing 'iron key' is nothing but 'millstone'; write a sentence.",
    ),
    "prose that is a hidden line": (
        rule(say="say taken"),
        "the say of the rule 'pull millstone' is nothing but 'say taken'; write a sentence.",
    ),
    "unknown reply": (
        inside("replies", takn="You take *."),
        "there is no reply 'takn'; did you mean 'taken'?",
    ),
    "reply with a mark that means nothing": (
        inside("replies", wait="You wait for *."),
        "the reply 'wait' has the mark '*', which stands for nothing there; it has no marks.",
    ),
    "reply that begins with a mark": (
        inside("replies", taken="* is yours."),
        "the reply 'taken' begins a sentence with the mark '*', which makes a small letter; put"
        " a word before it.",
    ),
    "reply with a mark after a stop": (
        inside("replies", taken="Got it. * is yours."),
        "the reply 'taken' begins a sentence with the mark '*', which makes a small letter; put"
        " a word before it.",
    ),
    "empty reply": (
        inside("replies", wait=" "),
        "the text of 'wait' in [replies] is empty; write a sentence.",
    ),
    "long reply": (
        inside("replies", wait="x" * 400),
        "the reply 'wait' has 400 characters; shorten it to 300.",
    ),
    "voice": (
        inside("style", voice="wary"),
        "there is no voice 'wary'; did you mean 'wry'?",
    ),
    "small ifid": (
        top(ifid="7b0e2c52-6a5d-4c4e-9f43-2d1a3a6b8c90"),
        "the ifid '7b0e2c52-6a5d-4c4e-9f43-2d1a3a6b8c90' won't do; take 8 to 63 capital "
        "letters, digits and hyphens, such as a UUID in capitals.",
    ),
    "date": (
        top(released="last May"),
        "released is 'last May'; it must be a year or a day, such as '2026' or '2026-05-01'.",
    ),
    "forgiveness": (
        top(forgiveness="Kind"),
        "the forgiveness 'Kind' is none of Zarf's words; it can be 'Cruel', 'Merciful', "
        "'Nasty', 'Polite', 'Tough'.",
    ),
    "cover elsewhere": (
        top(cover="../cover.png"),
        "the cover '../cover.png' lies outside the world's folder; copy it there and give its "
        "name alone.",
    ),
    "cover that is no picture": (
        top(cover="cover.svg"),
        "the cover 'cover.svg' is no picture that can be shown; take a .png or .jpg file.",
    ),
    "rule about nothing": (
        rule(when="pull milstone"),
        "the rule 'pull milstone' names 'milstone', which is no door, thing, person or "
        "scenery; did you mean 'millstone'?",
    ),
    "rule about nothing, with a verb of its own": (
        rule(when="wind up the milstone"),
        "the rule 'wind up the milstone' names 'milstone', which is no door, thing, person or "
        "scenery; did you mean 'millstone'?",
    ),
    "rule about two nouns, the first of them nothing": (
        rule(when="give aprn to miller"),
        "the rule 'give aprn to miller' names 'aprn', which is no door, thing, person or "
        "scenery; did you mean 'apron'?",
    ),
    "rule about two nouns, the second of them nothing": (
        rule(when="give apron to miler"),
        "the rule 'give apron to miler' names 'miler', which is no door, thing, person or "
        "scenery; did you mean 'miller'?",
    ),
    "rule about what two things are called": (
        both(
            change("things", 0, synonyms=["key", "old key"]),
            change("things", 2, synonyms=["key"]),
            rule(when="rub the key"),
        ),
        "the rule 'rub the key' names 'key', which can be 'iron key' or 'brass key'; write which.",
    ),
    "rule that lacks a noun": (
        rule(when="unlock"),
        "the rule 'unlock' lacks a noun; say what it is done to.",
    ),
    "rule about nothing at all": (
        rule(when="the"),
        "the rule 'the' says nothing to do; write a command such as 'pull lever'.",
    ),
    "rule of a thousand words": (
        rule(when="pull " * 1000),
        "the rule 'pull pull pull pull pull pull pull pull... is too long for a command; write "
        "one such as 'pull lever'.",
    ),
    "rule on a first visit": (
        rule(when="arrive Yard"),
        "the rule 'arrive Yard' is no command; what is told on a first visit stands in the room, "
        "as 'first'.",
    ),
    "canonical rule about nothing": (
        rule(when="pull|milstone"),
        "the rule 'pull milstone' names 'milstone', which is no door, thing, person or scenery; "
        "did you mean 'millstone'?",
    ),
    "canonical rule about a synonym": (
        rule(when="pull|keeper's light"),
        "the rule \"pull keeper's light\" names 'wax candle' by a synonym; write 'pull wax "
        "candle'.",
    ),
    "canonical rule with three nouns": (
        rule(when="pull|millstone|miller|apron"),
        "the rule 'pull|millstone|miller|apron' won't do; write a command such as 'pull lever'.",
    ),
    "canonical rule without a verb": (
        rule(when="|millstone"),
        "the rule '|millstone' won't do; write a command such as 'pull lever'.",
    ),
    "canonical rule with a verb of the game's": (
        rule(when="arrive|Yard"),
        "the rule 'arrive Yard' has the verb 'arrive'; take one to three words of small letters.",
    ),
    "canonical rule with a verb in capitals": (
        rule(when="Pull|millstone"),
        "the rule 'Pull millstone' has the verb 'Pull'; take one to three words of small letters.",
    ),
    "canonical rule that goes nowhere": (
        rule(when="go|nroth"),
        "the rule 'nroth' needs one direction; did you mean 'north'?",
    ),
    "canonical rule that goes a short way": (
        rule(when="go|n"),
        "the rule 'n' needs one direction; did you mean 'north'?",
    ),
    "canonical rule with an odd topic": (
        rule(when="ask|miller|a: b"),
        "the rule 'ask miller about a: b' has the topic 'a: b'; write a word or two.",
    ),
    "rule that another hides": (
        rule(when="show apron to miller"),
        "the rule 'show apron to miller' answers 'show apron to miller', which is another way to "
        "say 'give apron to miller' by an earlier rule; begin its when with 'give apron to "
        "miller'.",
    ),
    "in": (
        rule(**{"in": "Yrad"}),
        "the rule 'pull millstone' holds in 'Yrad', which is no room; did you mean 'Yard'?",
    ),
    "again without once": (
        rule(again="No."),
        "the rule 'pull millstone' has 'again' but not 'once'; add once = true.",
    ),
    "otherwise without needs": (
        rule(otherwise="No."),
        "the rule 'pull millstone' has 'otherwise', but no condition that it would be told for;"
        " add one to needs, or leave it out.",
    ),
    "condition that is none": (
        rule(needs=["have the key"]),
        "the rule 'pull millstone' has the condition 'have the key'; write one like 'lamp "
        "carried', 'lamp here', 'lamp in Hall', 'lamp is on', 'you in Hall', 'lit the lamp "
        "done' or, with not, 'lamp not carried', 'lamp is not on'.",
    ),
    "condition on nothing": (
        rule(needs=["irn key carried"]),
        "the rule 'pull millstone' asks about 'irn key' (in the condition 'irn key carried'), "
        "which doesn't exist; did you mean 'iron key'?",
    ),
    "condition on a synonym": (
        rule(needs=["light carried"]),
        "the rule 'pull millstone' asks about 'light' (in the condition 'light carried'), which"
        " is a synonym; write 'wax candle'.",
    ),
    "condition on a room": (
        rule(needs=["Yard is dark"]),
        "the rule 'pull millstone' asks about 'Yard' (in the condition 'Yard is dark'), which "
        "is a room; rooms have no states and go nowhere.",
    ),
    "condition on where you are": (
        rule(needs=["you in Brn"]),
        "the rule 'pull millstone' asks whether you are in 'Brn' (in the condition 'you in "
        "Brn'), which is no room; did you mean 'Barn'?",
    ),
    "condition on a place": (
        rule(needs=["iron key in flour bun"]),
        "the rule 'pull millstone' (in the condition 'iron key in flour bun') asks about 'flour"
        " bun', which doesn't exist; did you mean 'flour bin'?",
    ),
    "condition on no place": (
        rule(needs=["iron key in millstone"]),
        "the rule 'pull millstone' (in the condition 'iron key in millstone') asks about "
        "'millstone', which is neither a container nor a supporter; make it one.",
    ),
    "condition on where a door is": (
        rule(needs=["oak door in Yard"]),
        "the rule 'pull millstone' asks where 'oak door' is (in the condition 'oak door in "
        "Yard'), but doors and scenery stay where they are; ask whether it is here.",
    ),
    "condition on a state": (
        rule(needs=["millstone is spinning"]),
        "the rule 'pull millstone' says that 'millstone' is 'spinning' (in the condition "
        "'millstone is spinning'); it can be 'still', 'turning'.",
    ),
    "condition on no state": (
        rule(needs=["iron key is rusty"]),
        "the rule 'pull millstone' says that 'iron key' is 'rusty' (in the condition 'iron key "
        "is rusty'), but it has no states; list them as states = [...].",
    ),
    "condition on a deed": (
        rule(needs=["ground the flower done"]),
        "the rule 'pull millstone' asks for the deed 'ground the flower' (in the condition "
        "'ground the flower done'), not in [deeds]; did you mean 'ground the flour'?",
    ),
    "effect that is none": (
        rule(then=["open the oak door"]),
        "the rule 'pull millstone' has the effect 'open the oak door'; write one like 'gate "
        "becomes open', 'lamp moves to Hall', 'Hall north leads to Crypt', 'you go to Hall', "
        "'deed lit the lamp', 'clock tide 5', 'clock tide off', 'game won' or 'game lost'.",
    ),
    "effect on nothing": (
        rule(then=["mill stone becomes still"]),
        "the rule 'pull millstone' changes 'mill stone' (in the effect 'mill stone becomes "
        "still'), which doesn't exist; did you mean 'millstone'?",
    ),
    "effect on a state": (
        rule(then=["oak door becomes ajar"]),
        "the rule 'pull millstone' says that 'oak door' is 'ajar' (in the effect 'oak door "
        "becomes ajar'); it can be 'open', 'closed', 'locked'.",
    ),
    "moves nothing": (
        rule(then=["iron kee moves to you"]),
        "the rule 'pull millstone' moves 'iron kee' (in the effect 'iron kee moves to you'), "
        "which doesn't exist; did you mean 'iron key'?",
    ),
    "moves a door": (
        rule(then=["oak door moves to Pit"]),
        "the rule 'pull millstone' moves 'oak door' (in the effect 'oak door moves to Pit'), "
        "but doors and scenery stay; make it a thing.",
    ),
    "moves you": (
        rule(then=["you moves to Pit"]),
        "the rule 'pull millstone' moves you (in the effect 'you moves to Pit'); write 'you go "
        "to Pit'.",
    ),
    "moves into itself": (
        rule(then=["flour bin moves to flour bin"]),
        "the rule 'pull millstone' moves 'flour bin' into itself (in the effect 'flour bin "
        "moves to flour bin'); move it elsewhere.",
    ),
    "moves into what holds nothing": (
        rule(then=["iron key moves to millstone"]),
        "the rule 'pull millstone' moves 'iron key' to 'millstone', which is neither a "
        "container nor a supporter; make it one.",
    ),
    "moves a person into a box": (
        rule(then=["miller moves to flour bin"]),
        "the rule 'pull millstone' moves 'miller' to 'flour bin' (in the effect 'miller moves "
        "to flour bin'); people are in rooms or nowhere; it can be 'Attic', 'Barn', 'Loft', "
        "'Pit', 'Yard'.",
    ),
    "worn by rule": (
        rule(then=["iron key moves to worn"]),
        "the rule 'pull millstone' has 'iron key' worn (in the effect 'iron key moves to "
        "worn'), which isn't wearable; make it so.",
    ),
    "way out of nowhere": (
        rule(then=["Yrd south leads to Pit"]),
        "the rule 'pull millstone' opens a way out of 'Yrd' (in the effect 'Yrd south leads to "
        "Pit'), which is no room; did you mean 'Yard'?",
    ),
    "way in no direction": (
        rule(then=["Yard sout leads to Pit"]),
        "the rule 'pull millstone' opens the way 'sout' (in the effect 'Yard sout leads to "
        "Pit'); did you mean 'south'?",
    ),
    "way to nowhere": (
        rule(then=["Yard south leads to Pitt"]),
        "the rule 'pull millstone' leads a way to 'Pitt' (in the effect 'Yard south leads to "
        "Pitt'), which is no room; did you mean 'Pit'?",
    ),
    "you go nowhere": (
        rule(then=["you go to Lofty"]),
        "the rule 'pull millstone' leads you to 'Lofty' (in the effect 'you go to Lofty'), "
        "which is no room; did you mean 'Loft'?",
    ),
    "unknown deed": (
        rule(then=["deed ground the flower"]),
        "the rule 'pull millstone' does the deed 'ground the flower', which isn't in [deeds]; "
        "did you mean 'ground the flour'?",
    ),
    "unknown clock": (
        rule(then=["clock sale 5"]),
        "the rule 'pull millstone' sets the clock 'sale', which doesn't exist; did you mean "
        "'sails'?",
    ),
    "clock of no turns": (
        rule(then=["clock sails 0"]),
        "the rule 'pull millstone' sets a clock to '0' (in the effect 'clock sails 0'); write 1"
        " to 200, or off.",
    ),
    "clock of many turns": (
        rule(then=["clock sails 201"]),
        "the rule 'pull millstone' sets a clock to '201' (in the effect 'clock sails 201'); "
        "write 1 to 200, or off.",
    ),
    "a walker's clock of many turns": (
        rule(then=["clock miller 10"]),
        "the rule 'pull millstone' sets a clock to '10' (in the effect 'clock miller 10'); "
        "write 1 to 9, or off.",
    ),
    "game over": (
        rule(then=["game over"]),
        "the rule 'pull millstone' has the effect 'game over'; write one like 'gate becomes "
        "open', 'lamp moves to Hall', 'Hall north leads to Crypt', 'you go to Hall', 'deed lit "
        "the lamp', 'clock tide 5', 'clock tide off', 'game won' or 'game lost'.",
    ),
    "clock's name": (
        change("clocks", 0, name="Sails 2"),
        "the clock 'Sails 2' won't do for a name; take one word of small letters.",
    ),
    "clock like a person": (
        change("clocks", 0, name="miller"),
        "the clock 'miller' has a name that is taken; choose another.",
    ),
    "clock that does nothing": (
        empty_clock,
        "the clock 'sails' does nothing when it runs out; add say or then.",
    ),
    "clock's condition": (
        change("clocks", 0, needs=["wax candle is lit"]),
        "the clock 'sails' says that 'wax candle' is 'lit' (in the condition 'wax candle is "
        "lit'); it can be 'on', 'off'.",
    ),
    "clock's effect": (
        change("clocks", 0, then=["wax candle becomes lit"]),
        "the clock 'sails' says that 'wax candle' is 'lit' (in the effect 'wax candle becomes "
        "lit'); it can be 'on', 'off'.",
    ),
    "deed with a comma": (
        lambda t: t["deeds"].update({"came, saw": 1}),
        "the deed 'came, saw' won't do: a few words without commas, colons or stops, and "
        "without 'becomes', 'moves to' or 'leads to'.",
    ),
    "pronoun": (
        rule(when="push it"),
        "the rule 'push it' says 'it', which players' words never keep; name it.",
    ),
    "pronoun of a person": (
        rule(when="kiss her"),
        "the rule 'kiss her' says 'her', which players' words never keep; name it.",
    ),
    "a rule named as its author typed it": (
        rule(when="tie the apron around millstone", again="No."),
        "the rule 'tie the apron around millstone' has 'again' but not 'once'; add once = true.",
    ),
    "deed like an effect": (
        lambda t: t["deeds"].update({"it becomes late": 1}),
        "the deed 'it becomes late' won't do: a few words without commas, colons or stops, and "
        "without 'becomes', 'moves to' or 'leads to'.",
    ),
}


@pytest.mark.parametrize("fault", SENSE_FAULTS)
def test_faults_of_sense(fault: str) -> None:
    spoil, said = SENSE_FAULTS[fault]
    table = mill_table()
    spoil(table)
    with pytest.raises(PackError) as raised:
        make_world(table)
    assert f"world: {said}" in raised.value.faults
    assert len(raised.value.faults) <= 4


@pytest.mark.parametrize(
    "spoil",
    [
        change("things", 0, **{"in": "nowhere"}),
        change("things", 0, **{"in": "miller"}),
        change("things", 0, synonyms=["watch", "saw", "light"]),
        change("things", 0, text="At last: a key. You see: nothing."),
        change("rooms", 1, description='A sign: "Keep out".'),
        change("rooms", 1, scenery={"sky": "Grey."}),
        change("people", 1, synonyms=["ferry woman", "Marta"]),
        change("doors", 1, locked=True, key="brass key"),
        inside("replies", shut="You can't, while # is &.", place="In: %"),
        inside("replies", noplace="Nothing."),
        top(released="2026", ifid=new_ifid(), forgiveness="Cruel"),
        top(intro="\n\nFlour must\nbe ground.\n\n"),
        rule(when="wind up millstone"),
        rule(when="wind up|millstone"),
        rule(when="sing"),
        rule(when="ask the miller about wages"),
        rule(when="talk to miller about flour"),
        rule(when=["pull oak door", "shake north door"], **{"in": "Yard"}),
        rule(
            when="take weeds", then=["clock miller off", "clock sails 200", "Pit up leads to Yard"]
        ),
        rule(needs=["wax candle is not off", "miller in Yard", "miller not here", "sky here"]),
        rule(needs=["silver cup done", "iron key not in flour bin", "oak door is not locked"]),
        rule(needs={"you not in Pit": "Not here."}, once=True),
    ],
    ids=lambda spoil: "",
)
def test_what_is_no_fault(spoil: Spoil) -> None:
    table = mill_table()
    spoil(table)
    assert list(faults(make_world(table))) == []


@pytest.mark.parametrize(
    ("kind", "most"),
    [("rooms", 200), ("doors", 200), ("things", 400), ("people", 100), ("rules", 400)],
    ids=str,
)
def test_absurd_numbers_of_parts(kind: str, most: int) -> None:
    table = mill_table()
    table[kind] = [table[kind][0]] * 10_000
    with pytest.raises(PackError) as raised:
        make_world(table)
    said = f"world: the world has more than {most} {kind}; leave some out."
    assert raised.value.faults[-1] == said


def test_no_rooms_at_all() -> None:
    with pytest.raises(PackError, match="there are no rooms; write at least one"):
        make_world({**mill_table(), "rooms": []})


def test_deep_nesting_where_text_should_be() -> None:
    deep: Any = "Yard"
    for _ in range(200):
        deep = [deep]
    with pytest.raises(PackError, match=r"^world: 'start' is a list; it must be text"):
        make_world({**mill_table(), "start": deep})


@pytest.mark.parametrize("name", VOICES)
def test_marks_that_a_reply_may_have_are_those_that_the_voices_use(name: str) -> None:
    """And no voice begins a sentence with one: its own words pass the check."""
    assert set(MARKS_OF) <= set(KINDS)
    table = voice(name, "second", "present", "")
    for kind, templates in table.items():
        for text in templates:
            assert set(text) & set(MARKS) <= set(MARKS_OF.get(kind, "")), (kind, text)
    replies = {kind: list(texts) for kind, texts in table.items()}
    assert make_world({**mill_table(), "replies": replies}).replies
