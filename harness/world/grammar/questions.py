"""From a spec to what can be asked about its picture: facts, yes/no questions, and a dependency graph."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.world.grammar.facts import ATTRIBUTES, Fact, question_text
from harness.world.grammar.spec import PLACES, RELATIONS, Description, Group, Link, Spec
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES


@dataclass(frozen=True, slots=True)
class Node:
    """One question of a dependency graph."""

    id: int
    """From 1, in order; a parent always comes before its children."""
    parents: tuple[int, ...]
    label: str
    """What is asked in the form `attribute - color (circle, red)`; category first."""
    text: str
    fact: Fact
    expected: str = "yes"


def _head(spec: Spec, group: Group) -> Description:
    """The shortest description that tells `group` from the others: its shape, else shape and colour."""
    shapes = [g.what.shape for g in spec.groups]
    if group.what.shape is not None and shapes.count(group.what.shape) == 1:
        return Description(group.what.shape)
    return group.core


def _is_many(group: Group) -> bool:
    return group.count != 1


def _name(what: Description) -> str:
    words = [] if what.colour is None else [COLOURS[what.colour]]
    return " ".join([*words, "object" if what.shape is None else SHAPES[what.shape]])


_LABELS = {"colour": "color", "size": "size", "texture": "texture"}


class _Graph:
    """Collects nodes in order; each node's text follows from its fact."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(
        self, label: str, fact: Fact, parents: tuple[int, ...] = (), *, many: bool = False, many_other: bool = False
    ) -> int:
        text = question_text(fact, many=many, many_other=many_other)
        self.nodes.append(Node(len(self.nodes) + 1, parents, label, text, fact))
        return len(self.nodes)


def _add_group(graph: _Graph, spec: Spec, group: Group) -> int:
    """The nodes of one group: it exists; how many; colour, size, texture, place. Returns the first node's id."""
    head, many = _head(spec, group), _is_many(group)
    name = _name(head)
    first = graph.add(f"entity - whole ({name})", Fact("exists", head))
    if group.count is not None and group.count > 1:
        label = f"other - count ({name}, =={group.count})"
        graph.add(label, Fact("count", head, value=group.count), (first,))
    for attribute, label in _LABELS.items():
        value = getattr(group.what, attribute)
        if value is not None and getattr(head, attribute) is None:
            fact = Fact("attribute", head, attribute=attribute, value=value)
            word = ATTRIBUTES[attribute][value]
            graph.add(f"attribute - {label} ({name}, {word})", fact, (first,), many=many)
    if group.place is not None:
        label = f"relation - spatial ({name}, {PLACES[group.place]})"
        graph.add(label, Fact("place", head, value=group.place), (first,))
    return first


def _add_link(graph: _Graph, spec: Spec, link: Link, ids: list[int]) -> None:
    a, b = spec.groups[link.a], spec.groups[link.b]
    head_a, head_b = _head(spec, a), _head(spec, b)
    words = {
        "relation": tuple(f"{r} of" if r in ("left", "right") else r for r in RELATIONS),
        "size": ("larger than", "smaller than"),
        "number": ("more than", "fewer than", "as many as"),
    }[link.kind][link.value]
    category = {"relation": "relation - spatial", "size": "relation - non-spatial", "number": "other - count"}[
        link.kind
    ]
    label = f"{category} ({_name(head_a)}, {words}, {_name(head_b)})"
    fact = Fact(link.kind, head_a, head_b, value=link.value)
    graph.add(label, fact, (ids[link.a], ids[link.b]), many=_is_many(a), many_other=_is_many(b))


def question_graph(spec: Spec) -> list[Node]:
    """Every atomic question about `spec` with its parents, in an order where parents come first.

    The last question is the exclusivity question: the picture holds exactly the objects asked for, no more.
    Categories are those of the DPG question table (`entity - whole`, `attribute - color`, `relation - spatial`,
    `relation - non-spatial`, `other - count`, `global -`).
    """
    graph = _Graph()
    if spec.background is not None:
        label = f"global - ({BACKGROUNDS[spec.background]} background)"
        graph.add(label, Fact("background", value=spec.background))
    ids = [_add_group(graph, spec, group) for group in spec.groups]
    for variety in spec.varieties:
        head = _head(spec, spec.groups[variety.group])
        kind = "same" if variety.same else "different"
        label = f"attribute - {_LABELS[variety.attribute]} ({_name(head)}, {kind})"
        graph.add(label, Fact(kind, head, attribute=variety.attribute), (ids[variety.group],))
    for link in spec.links:
        _add_link(graph, spec, link, ids)
    for what in spec.absent:
        graph.add(f"entity - whole (no {_name(what)})", Fact("none", what))
    graph.add(f"other - count (object, =={spec.total})", Fact("count", Description(), value=spec.total))
    return graph.nodes


def facts_of(spec: Spec) -> list[Fact]:
    """The facts that together are equivalent to `spec`, exclusivity last; a scene shows `spec` when all hold."""
    counted = {n.fact.subject for n in question_graph(spec) if n.fact.kind == "count"}
    return [n.fact for n in question_graph(spec) if not (n.fact.kind == "exists" and n.fact.subject in counted)]


def questions(spec: Spec, *, negated: bool = False) -> list[tuple[str, str]]:
    """(question, expected answer) pairs that decide whether a picture shows `spec`; exclusivity last.

    Existence is left out where an exact count of the same description is asked. With `negated`, negations are asked as
    `Is there a red object in the picture?` with the expected answer "no"; otherwise every expected answer is "yes".
    """
    wanted = set(facts_of(spec))
    pairs = []
    for node in question_graph(spec):
        if node.fact not in wanted:
            continue
        if negated and node.fact.kind == "none":
            pairs.append((question_text(replace(node.fact, kind="exists")), "no"))
        else:
            pairs.append((node.text, node.expected))
    return pairs
