"""Features that training worlds never have, so that judging can show whether the master needs them.

Each joins two things that training has one by one: a light that lies in a container when the game
begins, and a clock that a topic of talk starts. Knows the pack format, no network.
"""

from __future__ import annotations

from adventure.world.random_parts import Parts, Table
from adventure.world.words import STUFF


def drop_features(table: Table) -> None:
    """Take out of a random pack what is held out; lights are never put into anything."""
    for rule in table["rules"]:
        if _is_talk(rule["when"]):
            rule["then"] = tuple(text for text in rule["then"] if not text.startswith("clock "))


def _is_talk(command: str) -> bool:
    return command.partition("|")[0] in ("ask", "tell")


def add_features(table: Table, parts: Parts) -> None:
    """Put both into a random pack."""
    lamp = next((t for t in table["things"] if t.get("light")), None) or parts.add_lamp()
    # One that is lit wouldn't be found again: what is in a container lights no room.
    lamp |= {"switch": True, "on": False, "in": _container(parts)}
    if not table["clocks"]:
        clock = {"name": parts.prose.stock.draw(STUFF), "turns": parts.rng.randint(2, 9)}
        table["clocks"].append({**clock, "say": parts.prose.text()})
    if not table["people"]:
        table["people"].append(parts.person())
    person, clock = parts.rng.choice(table["people"]), parts.rng.choice(table["clocks"])
    topics = [topic.partition(",")[0] for topic in person["topics"]] or [parts.names.topic()]
    table["rules"].append(
        {
            "when": f"ask|{person['name']}|{parts.rng.choice(topics)}",
            "then": (f"clock {clock['name']} {clock['turns']}",),
            "say": parts.prose.text(),
        }
    )


def _container(parts: Parts) -> str:
    """An openable container that can be come by; made of a thing that has no state, if need be."""
    for thing in parts.things:
        if thing.get("openable") and not thing.get("locked") and thing["in"] in parts.rooms:
            return str(thing["name"])
    thing = parts.add_thing()
    for key in ("states", "switch", "on", "supporter", "wearable", "edible", "drinkable"):
        thing.pop(key, None)
    thing |= {"container": True, "openable": True, "open": False}
    thing["in"] = parts.rng.choice(parts.rooms)
    return str(thing["name"])
