"""The 39 tasks, modelled on the types of TIIF-Bench, and who builds a scene for each.

A builder takes the entities of the task's core into the scene, says them, asks about them, and names the core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness.synthesis.pairs import Maker
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


def _crossed(names: tuple[str, ...], build: Callable[[Maker, str], None], flavors: tuple[str, ...]) -> dict[str, Builder]:
    return {f"{name}+{flavor}": partial(build, flavor=flavor) for name in names for flavor in flavors}


_DETAILS = ("color", "texture")
_DIMENSIONS = ("2d", "3d")
_REASONING: dict[str, Callable[[Maker, str], None]] = {
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
    **_crossed(("action",), actions.build, _DIMENSIONS),
    **{name: partial(_REASONING[name], flavor="") for name in ("numeracy", "negation", "differentiation", "comparison")},
    **_crossed(("action",), actions.build, _DETAILS),
    **{
        f"{kind}+{dimension}": partial(relations.build, kinds=(kind,), dimension=dimension)
        for kind in ("color", "shape", "texture")
        for dimension in ("2d", "3d")
    },  # type: ignore[misc]
    **{k: v for name, build in _REASONING.items() for k, v in _crossed((name,), build, _DETAILS).items()},
    **{k: v for name, build in _REASONING.items() for k, v in _crossed((name,), build, _DIMENSIONS).items()},
    "text": lettering.build,
    "style": styles.build,
    "real_world": real_world.build,
}
"""Name -> builder, in the order of TIIF-Bench's report."""
