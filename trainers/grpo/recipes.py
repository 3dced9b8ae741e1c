"""Recipes: named presets of the settings in which the paper, its official code and the corrected method differ.

A key that the configuration file or `--set` gives always wins over the recipe. Source of the values: AlphaGRPO,
arXiv 2605.12495 (`paper`) and its released code (`official_code`); `corrected` is this project's default for new work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import unknown_name

_PAPER: dict[str, Any] = {
    "loss": {"text_weight": 0.2, "text_importance": "token", "text_level": "token", "std_over": "group"},
    "sampling": {"window": "first"},
    "reward": {"format_weight": 0.0},
    "refine": {"floor": "group_min", "margin": 0.0},
}
_PAPER_SRR: dict[str, Any] = {**_PAPER, "sampling": {"window": "random"}}

_OFFICIAL: dict[str, Any] = {
    "loss": {
        "text_weight": 1.0,
        "text_importance": "sequence",
        "text_level": "token",
        "std_over": "batch",
        "image_kl_form": "code",
    },
    "sampling": {"window": "contiguous"},
    "reward": {"format_weight": 1.0},
    "refine": {"floor": "init", "margin": 0.0, "skip_all_bad": True},
    "defects": {"text_outer_product": True, "group_by_text": True, "scale_by_steps": True, "detach_prompt": True},
}
_OFFICIAL_SRR: dict[str, Any] = {
    **_OFFICIAL,
    "loss": {**_OFFICIAL["loss"], "text_weight": 0.2},
    "reward": {"format_weight": 0.0},
}

_CORRECTED: dict[str, Any] = {
    "loss": {"text_weight": 0.2, "text_importance": "sequence", "std_over": "group", "image_kl_form": "gaussian"},
    "sampling": {"window": "contiguous"},
    "reward": {"format_weight": 0.0},
    "refine": {"floor": "group_min"},
}

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"rt2i": _PAPER, "t2i": _PAPER, "srr": _PAPER_SRR, "mixed": _PAPER_SRR},
    "official_code": {"rt2i": _OFFICIAL, "t2i": _OFFICIAL, "srr": _OFFICIAL_SRR, "mixed": _OFFICIAL_SRR},
    "corrected": dict.fromkeys(("rt2i", "t2i", "srr", "mixed"), _CORRECTED),
}
"""Recipe -> task -> settings."""


def apply_recipe(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the settings of its recipe under it.

    Raises:
        ConfigError: unknown recipe.
    """
    name, task = data.get("recipe", "corrected"), data.get("task", "rt2i")
    if name not in RECIPES:
        raise unknown_name("recipe", str(name), list(RECIPES))
    return _under(data, RECIPES[name].get(str(task), {}))


def _under(data: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(data)
    for key, value in preset.items():
        own = result.get(key)
        if isinstance(value, Mapping):
            result[key] = _under(own if isinstance(own, Mapping) else {}, value)
        elif key not in result:
            result[key] = value
    return result
