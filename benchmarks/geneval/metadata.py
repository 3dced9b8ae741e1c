"""What a GenEval prompt demands: tags, clauses, and reading them from JSON with the failing field named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from harness.errors import DataError

Tag = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]
Relation = Literal["left of", "right of", "above", "below"]

TAGS: tuple[str, ...] = get_args(Tag)
"""The six tasks, in the order of the official prompt file."""
RELATIONS: tuple[str, ...] = get_args(Relation)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The official colours, in the classifier's order; reasons list them in this order."""


class Clause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One demand: at least (`include`) or fewer than (`exclude`) `count` objects of a class."""

    class_: str = msgspec.field(name="class")
    count: Annotated[int, msgspec.Meta(ge=0)]
    color: str | None = None
    """Colour that `count` objects must have."""
    position: tuple[Relation, int] | None = None
    """Relation to the objects of an earlier `include` clause, given by its index."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `evaluation_metadata.jsonl`. The prompt text plays no part in judging."""

    tag: Tag
    include: tuple[Clause, ...] = ()
    exclude: tuple[Clause, ...] = ()
    prompt: str = ""


def parse_metadata(raw: Any, *, where: str) -> Metadata:
    """`raw` (a mapping as JSON gives it) as `Metadata`.

    Args:
        raw: the metadata object.
        where: file and line or prompt id, for messages.

    Raises:
        DataError: a field is missing, misspelt or of a wrong type, the tag or relation is unknown, or a position
            points at no earlier `include` clause.
    """
    if not isinstance(raw, Mapping):
        raise DataError(f"{where}: metadata: expected a JSON object with tag and include, got {type(raw).__name__}.")
    try:
        metadata = msgspec.convert(dict(raw), Metadata)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{where}: metadata: {error}. Known tags: {', '.join(TAGS)}; relations: {', '.join(RELATIONS)}."
        ) from None
    for i, clause in enumerate(metadata.include):
        if clause.position is not None and not 0 <= clause.position[1] < i:
            raise DataError(
                f"{where}: metadata: include[{i}].position points at clause {clause.position[1]}; "
                f"expected the index of an earlier include clause (below {i})."
            )
    return metadata


def demands_key(raw: Mapping[str, Any]) -> str:
    """Text that is equal for metadata with the same demands, whatever the prompt's wording."""
    return json.dumps({k: raw[k] for k in ("tag", "include", "exclude") if raw.get(k)}, sort_keys=True)
