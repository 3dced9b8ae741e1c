"""Dependencies between a prompt's questions: a question counts only if the questions that it rests on hold.

Two filters. The official one runs in table order and in place, so zeros cascade to later questions, a question before
its parent sees the parent's raw answer, and a parent that the prompt lacks is an error only when it is reached. The
corrected one runs in graph order and wants a proper graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError

_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Node:
    """One question of a prompt."""

    number: int
    """Question number inside the prompt, from 1."""
    parents: tuple[int, ...]
    """As listed, 0 (no parent) left out."""
    category: str
    """L2 category, e.g. `attribute - color`; empty where the table has no tuples."""
    text: str
    is_first_row: bool = False
    """Whether this is the first data row of its table, which the official reader takes for a header."""


class MissingParent(Exception):  # noqa: N818 (a finding about a prompt; official scoring goes on without it)
    """A question names a parent that the prompt does not have."""

    def __init__(self, number: int, parent: int) -> None:
        super().__init__(f"question {number} names parent {parent}, which the prompt does not have")


def category_of(label: str) -> str:
    """L2 category of a tuple: the text before the first `(`, stripped."""
    return label.split("(")[0].strip()


def l1_of(category: str) -> str:
    """L1 category of an L2 category: the text before the first `-`, stripped."""
    return category.split("-")[0].strip()


def parse_number(text: str, where: str, field: str) -> int:
    """A whole number in ASCII digits, surrounding blanks allowed.

    Raises:
        DataError: anything else.
    """
    if not _NUMBER.fullmatch(text.strip()) or len(text.strip()) > 9:
        raise DataError(f"{where}, field {field!r}: expected a question number, got {text[:40]!r}.")
    return int(text)


def parse_parents(text: str, where: str) -> tuple[int, ...]:
    """Parent numbers of a `dependency` entry (comma-separated, blanks allowed, 0 = no parent), in listed order.

    Raises:
        DataError: an entry is not a number.
    """
    numbers = [parse_number(part, where, "dependency") for part in text.split(",")]
    return tuple(n for n in numbers if n != 0)


def nodes_of(questions: Sequence[Mapping[str, Any]], where: str) -> list[Node]:
    """The nodes in `Prompt.meta["questions"]`, in table order.

    Raises:
        DataError: a field is missing or malformed, or a number occurs twice.
    """
    nodes: dict[int, Node] = {}
    for i, raw in enumerate(questions):
        place = f"{where}, question {i + 1}"
        for field in ("proposition_id", "dependency", "tuple", "question"):
            if field not in raw:
                raise DataError(f"{place}: field {field!r} is missing.")
        number = parse_number(str(raw["proposition_id"]), place, "proposition_id")
        if number in nodes:
            raise DataError(f"{place}, field 'proposition_id': {number} occurs twice in the prompt.")
        nodes[number] = Node(
            number,
            parse_parents(str(raw["dependency"]), place),
            category_of(str(raw["tuple"])),
            str(raw["question"]),
            bool(raw.get("first_row", False)),
        )
    return list(nodes.values())


def filter_in_place(nodes: Sequence[Node], raw: Mapping[int, float]) -> dict[int, float]:
    """The official filter.

    Args:
        nodes: in table order.
        raw: answer of each question, 1.0 or 0.0.

    Returns:
        Filtered answers by number, in table order.

    Raises:
        MissingParent: a parent that `nodes` lack was reached.

    Source: ELLA `dpg_bench/compute_dpg_bench.py`.
    """
    scores = {n.number: raw[n.number] for n in nodes}
    for node in nodes:
        for parent in node.parents:
            if parent not in scores:
                raise MissingParent(node.number, parent)
            if scores[parent] == 0:
                scores[node.number] = 0.0
                break
    return scores


def filter_in_graph_order(nodes: Sequence[Node], raw: Mapping[int, float]) -> dict[int, float]:
    """The corrected filter: a question holds if its answer is yes and all its parents hold.

    Args:
        nodes: parents before children, see `graph_order`.
        raw: answer of each question, 1.0 or 0.0.
    """
    scores: dict[int, float] = {}
    for node in nodes:
        scores[node.number] = raw[node.number] if all(scores[p] for p in node.parents) else 0.0
    return scores


def graph_order(nodes: Sequence[Node], where: str) -> list[Node]:
    """The nodes with parents before children, table order otherwise.

    Raises:
        DataError: an unknown parent, a question that is its own parent, or a cycle.
    """
    known = {n.number for n in nodes}
    for node in nodes:
        for parent in node.parents:
            if parent not in known:
                raise DataError(f"{where}, field 'dependency': {MissingParent(node.number, parent)}.")
            if parent == node.number:
                raise DataError(f"{where}, field 'dependency': question {parent} is its own parent.")
    ordered: list[Node] = []
    done: set[int] = set()
    waiting = list(nodes)
    while waiting:
        ready = [n for n in waiting if done.issuperset(n.parents)]
        if not ready:
            numbers = ", ".join(str(n.number) for n in waiting)
            raise DataError(f"{where}, field 'dependency': questions {numbers} rest on each other in a cycle.")
        ordered += ready
        done.update(n.number for n in ready)
        waiting = [n for n in waiting if n.number not in done]
    return ordered
