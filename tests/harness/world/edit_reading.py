"""The edit grammar read backwards: shows that a wording names one request only."""

import re

from harness.world.edits import EditRequest
from harness.world.grammar.facts import RELATION_PHRASES, described
from harness.world.grammar.spec import PLACES, Description
from harness.world.scene import BACKGROUNDS, COLOURS

_COLOUR = f"({'|'.join(COLOURS)})"
_BACKGROUND = f"({'|'.join(BACKGROUNDS)})"
_THE, _NEW = r"the (?P<the>(?:\w+ ){0,3}?\w+)", r"an? (?P<new>(?:\w+ ){0,3}?\w+)"
_PLACE = f"the (?P<place>{'|'.join(PLACES.values())})"
_BESIDE = rf"(?P<relation>{'|'.join(RELATION_PHRASES)}) the (?P<anchor>(?:\w+ ){{0,3}}?\w+)"
_READERS = [
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("background", rf"(?:change the background to|make the background) (?P<background>{_BACKGROUND})"),
        ("background", rf"use a (?P<background>{_BACKGROUND}) background"),
        ("recolour", rf"change the colour of {_THE} to (?P<colour>{_COLOUR})"),
        ("recolour", rf"(?:make|paint|turn) {_THE} (?P<colour>{_COLOUR})"),
        ("replace", rf"replace {_THE} (?:with|by) {_NEW}"),
        ("replace", rf"swap {_THE} for {_NEW}"),
        ("replace", rf"turn {_THE} into {_NEW}"),
        ("remove", rf"(?:remove|delete|erase|take away) {_THE}"),
        ("move", rf"(?:move|shift) {_THE} to {_PLACE}"),
        ("move", rf"(?:move|shift) {_THE} {_BESIDE}"),
        ("add", rf"(?:add|put|insert|draw) {_NEW} in {_PLACE}"),
        ("add", rf"(?:add|put|insert|draw) {_NEW} {_BESIDE}"),
        ("add", rf"(?:add|put|insert|draw) {_NEW}"),
    )
]


def _request(kind: str, words: dict[str, str]) -> EditRequest | None:
    fields: dict[str, object] = {}
    for group, name in (("the", "subject"), ("new", "new"), ("anchor", "anchor")):
        if group in words:
            fields[name] = described(words[group])
            if fields[name] is None:
                return None
    if "place" in words:
        fields["place"] = next(cell for cell, name in PLACES.items() if name == words["place"])
    if "colour" in words:
        fields["colour"] = COLOURS.index(words["colour"])
    if "background" in words:
        fields["background"] = BACKGROUNDS.index(words["background"])
    if "relation" in words:
        fields["relation"] = RELATION_PHRASES.index(words["relation"])
    new = fields.get("new")
    if isinstance(new, Description) and (new.shape is None or new.colour is None):
        return None
    return EditRequest(kind, **fields)  # type: ignore[arg-type]


def request_of(text: str) -> EditRequest | None:
    """The request behind an instruction of this grammar, or None for other text."""
    plain = " ".join(text.lower().replace(".", " ").replace("please ", "").split())
    for kind, pattern in _READERS:
        match = pattern.fullmatch(plain)
        request = _request(kind, {k: v for k, v in match.groupdict().items() if v}) if match else None
        if request is not None:
            return request
    return None
