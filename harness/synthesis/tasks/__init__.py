"""The 39 tasks, modelled on the types of TIIF-Bench, and who builds a scene for each.

A builder takes the entities of the task's core into the scene, says them, asks about them, and names the core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from harness.synthesis.pairs import Maker
from harness.synthesis.primitives import Dimension, Kind
from harness.synthesis.tasks import (
    actions,
    attributes,
    comparison,
    differentiation,
    lettering,
    negation,
    numeracy,
    real_world,
    relations,
    styles,
)

Builder = Callable[[Maker], None]


class _Flavored(Protocol):
    """A builder for several tasks."""

    def __call__(self, maker: Maker, flavor: str) -> None: ...


def _flavors(name: str, build: _Flavored, *flavors: str) -> dict[str, Builder]:
    return {f"{name}+{flavor}": partial(build, flavor=flavor) for flavor in flavors}


def _related(kind: Kind) -> dict[str, Builder]:
    dimensions: tuple[Dimension, Dimension] = ("2d", "3d")
    return {f"{kind}+{d}": partial(relations.build, kinds=(kind,), dimension=d) for d in dimensions}


_REASONING: dict[str, _Flavored] = {
    "numeracy": numeracy.build,
    "comparison": comparison.build,
    "differentiation": differentiation.build,
    "negation": negation.build,
}

TASKS: dict[str, Builder] = {
    "shape+color": partial(attributes.build, first="shape", second="color"),
    "color+texture": partial(attributes.build, first="color", second="texture"),
    "texture+color": partial(attributes.build, first="texture", second="color"),
    "shape+texture": partial(attributes.build, first="shape", second="texture"),
    "2d_spatial_relation": partial(relations.build, kinds=(), dimension="2d"),
    "3d_spatial_relation": partial(relations.build, kinds=(), dimension="3d"),
    **_flavors("action", actions.build, "2d", "3d"),
    "numeracy": partial(numeracy.build, flavor=""),
    "negation": partial(negation.build, flavor=""),
    "differentiation": partial(differentiation.build, flavor=""),
    "comparison": partial(comparison.build, flavor=""),
    **_flavors("action", actions.build, "color", "texture"),
    **_related("color"),
    **_related("shape"),
    **_related("texture"),
}
"""Name -> builder, in the order of TIIF-Bench's report."""
for _name, _build in _REASONING.items():
    TASKS |= _flavors(_name, _build, "color", "texture")
for _name, _build in _REASONING.items():
    TASKS |= _flavors(_name, _build, "2d", "3d")
TASKS |= {"text": lettering.build, "style": styles.build, "real_world": real_world.build}
