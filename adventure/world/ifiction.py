"""A world's iFiction record, for libraries of interactive fiction. Knows no file, no network.

Source: the Treaty of Babel, https://babel.ifarchive.org/babel.html.
"""

from __future__ import annotations

import uuid
from xml.etree import ElementTree as Xml

from adventure.errors import PackError
from adventure.world.parts import World
from adventure.world.prompt import one_line

NAMESPACE = "http://babel.ifarchive.org/protocol/iFiction/"
FORMAT = "world"
"""The Treaty names no format of ours; this is the ending of a world packed into one file."""
_START_OF_IMAGE, _NO_LENGTH = 0xD8, {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def new_ifid() -> str:
    """A fresh IFID: a random UUID in capitals."""
    return str(uuid.uuid4()).upper()


def ifiction(world: World, cover: bytes = b"") -> str:
    """The record as XML; cover: the bytes of the picture. Raises PackError without an IFID."""
    if not world.ifid:
        line = f'ifid = "{new_ifid()}"'
        raise PackError(f"{world.title} has no IFID; add this new one to its world.toml: {line}.")
    Xml.register_namespace("", NAMESPACE)
    index = Xml.Element(_tag("ifindex"), version="1.0")
    story = Xml.SubElement(index, _tag("story"))
    _add(story, "identification", ifid=world.ifid, format=FORMAT)
    _add(
        story,
        "bibliographic",
        title=world.title,
        author=world.author or "Anonymous",
        language=world.language,
        headline=world.headline,
        firstpublished=world.released,
        genre=world.genre,
        description=world.description,
        forgiveness=world.forgiveness,
    )
    if kind_and_size := picture_size(cover):
        kind, width, height = kind_and_size
        size = {"height": str(height), "width": str(width)}
        _add(story, "cover", format=kind, **size, description=world.cover_alt)
    Xml.indent(index)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(index, encoding="unicode")


def picture_size(data: bytes) -> tuple[str, int, int] | None:
    """png or jpg, width and height; None for bytes that are neither."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return "png", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not data.startswith(bytes((0xFF, _START_OF_IMAGE))):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:  # from one marker to the next
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return "jpg", int.from_bytes(width, "big"), int.from_bytes(height, "big")
        length = 0 if marker in _NO_LENGTH else int.from_bytes(data[at + 2 : at + 4], "big")
        at += 2 + length
    return None


def _add(parent: Xml.Element, name: str, **texts: str) -> None:
    element = Xml.SubElement(parent, _tag(name))
    for tag, text in texts.items():
        if text:
            Xml.SubElement(element, _tag(tag)).text = one_line(text)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
