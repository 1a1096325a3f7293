"""What an author is told of each key of a world.toml: one or two lines. Knows nothing of schemas.

Under the empty key stands what is told of the table itself.
"""

from __future__ import annotations

from adventure.world.parts import (
    Clock,
    Door,
    Ending,
    Person,
    Room,
    Rule,
    Style,
    Table,
    Thing,
    World,
)

_NOUN = {
    "name": "One to four words, beginning with a small letter: 'oak door'. No other part has it.",
    "description": "What EXAMINE tells, wherever it is: one paragraph, 12 to 35 words.",
    "synonyms": "Other words that players may use for it.",
    "plural": "Whether THEM means it.",
}
_LOCK = {
    "locked": "Locked at the beginning.",
    "open": "Open at the beginning; otherwise closed.",
    "key": "The thing that locks and unlocks it.",
}
HOVER: dict[type[Table], dict[str, str]] = {
    World: {
        "": "A world pack of format 1: what the game master reads, and what the referee plays.",
        "format": "The version of this format: 1.",
        "ifid": "What libraries know the game by: a UUID in capitals, never changed.",
        "title": "The game's name.",
        "author": "Who wrote it.",
        "headline": "A line below the title, such as 'An evening on a lighthouse island'.",
        "genre": "Such as Comedy, Mystery, Maritime.",
        "description": "The blurb that lists of games show.",
        "language": "The language of the prose, such as en or en-GB.",
        "released": "A year or a day: 2026 or 2026-05-01.",
        "forgiveness": "How a game can be spoilt: Merciful (never) to Cruel (without warning).",
        "cover": "A .png or .jpg file in this folder.",
        "cover_alt": "What the cover shows, for those who can't see it.",
        "intro": "What the player reads first: one paragraph that says what there is to do.",
        "start": "The room where the game begins.",
        "hints": "Hints for the whole game, told one at a time, the gentlest first.",
        "style": "How the game's own replies speak.",
        "replies": "Your wording of standing replies: one, or several in turn. Marks: * the first "
        "noun, # the second, ~ and & something and its state, @ a list, ^ who comes or goes.",
        "deeds": "What can be achieved, and its points. A treasure's name may be listed here; "
        "a treasure that isn't counts 5.",
        "ending": "The game is won when a thing is dropped in a room. Rules can end it too.",
        "rooms": "The places.",
        "doors": "What stands between two rooms and can be opened, closed and locked.",
        "things": "What can be looked at, taken, opened, worn, eaten, switched.",
        "people": "Whom one can talk to.",
        "rules": "What commands do here that they wouldn't do elsewhere.",
        "clocks": "What happens after a number of turns.",
    },
    Style: {
        "": "How the game's own replies speak.",
        "person": "Who the player is in them: you, I, or somebody with a name.",
        "tense": "The tense that they are told in.",
        "voice": "Their wording: plain, terse, storybook or wry.",
        "name": "The player's name, for the third person.",
    },
    Room: {
        "": "A place.",
        "name": "One to four words, beginning with a capital letter: 'Lamp Room'.",
        "description": "What LOOK tells: one paragraph, 25 to 60 words. It mentions every exit and "
        "no thing that can be taken.",
        "exits": "Direction = room. A way back is listed in the other room; doors are no exits.",
        "dark": "Whether one needs a light to see here.",
        "first": "Told on the first visit, before the description.",
        "scenery": "What can only be looked at: name = what one sees. Synonyms follow the name: "
        "'weed, seaweed'.",
    },
    Door: {
        "": "Stands between two rooms; needs no exits.",
        **_NOUN,
        "from": "The room on one side.",
        "direction": "The direction in which one leaves that room.",
        "to": "The room on the other side.",
        **_LOCK,
    },
    Thing: {
        "": "Something. It has one kind of state at most: openable, or switch or light, or states.",
        **_NOUN,
        "in": "Where it is: a room, a container, a supporter, a person, you, worn or nowhere.",
        "fixed": "Whether it can't be taken.",
        "container": "Whether things can be put in it.",
        "supporter": "Whether things can be put on it.",
        "openable": "Whether it opens and closes.",
        **_LOCK,
        "light": "Whether it gives light while it is on.",
        "switch": "Whether players can turn it on and off.",
        "on": "On at the beginning.",
        "wearable": "Whether it can be worn.",
        "edible": "Whether it can be eaten; then it is gone.",
        "drinkable": "Whether it can be drunk; then it is gone.",
        "treasure": "Whether taking it is a deed.",
        "text": "What READ tells.",
        "states": "Words for its states, the first one for the beginning; only rules change them.",
    },
    Person: {
        "": "Somebody.",
        **_NOUN,
        "name": "With a capital it is a proper name, 'Old Marta'; else it is 'the ferryman'.",
        "in": "The room where they are, or nowhere.",
        "topics": "What they say when asked: 'storm, weather' = ... The first names the topic.",
        "talk": "What they say to TALK TO.",
        "other": "What they say when asked about anything else.",
        "route": "Rooms through which they walk, round and round.",
        "every": "How many turns they stay in each.",
    },
    Rule: {
        "": "What a command does here, if all of needs hold; else the next rule of that command is "
        "tried, and then what the command always does.",
        "when": "The command: 'pull lever', 'put lamp on iron plate', 'north', 'listen', 'ask Zoya "
        "about spoon'. A list: several ways to say it.",
        "in": "The room where the rule holds; without it, everywhere.",
        "needs": "Conditions: 'lamp carried', 'lamp not here', 'coin in chest', 'gate is open', "
        "'you in Hall', 'lit the lamp done'. As a table: condition = what is told if it fails.",
        "otherwise": "Told where a condition without words of its own fails.",
        "then": "What changes: 'gate becomes open', 'coin moves to you', 'Hall north leads to "
        "Crypt', 'you go to Crypt', 'deed lit the lamp', 'clock tide 5', 'game won'.",
        "say": "What is told.",
        "once": "Whether it holds only once.",
        "again": "Told instead from the second time on; needs once.",
    },
    Clock: {
        "": "Something that happens after a number of turns.",
        "name": "One word of small letters.",
        "turns": "How many turns it runs.",
        "running": "Whether it runs from the beginning; otherwise a rule starts it.",
        "every": "Whether it begins again each time.",
        "needs": "Conditions, as in rules: without them it runs out unheard.",
        "then": "What changes, as in rules.",
        "say": "What is told when it runs out.",
    },
    Ending: {
        "": "The game is won when the thing is dropped in the room.",
        "thing": "What has to be brought.",
        "room": "Where it has to be dropped.",
        "text": "The last words.",
    },
}
