"""What the shipped tasks' YAML files call: data, and the verdict on a written plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

FILE = Path(__file__).parent / "plans.json"


def load(**_: Any) -> dict[str, Dataset]:
    """The rows of `plans.json` as split `test`; nothing is downloaded and no cache written."""
    from datasets import Dataset

    return {"test": Dataset.from_list(json.loads(FILE.read_text(encoding="utf-8"))["rows"])}


def with_decided_word(rows: Dataset) -> Dataset:
    """The rows whose prompt decides a word of the plan."""
    return rows.select([i for i, word in enumerate(rows["word"]) if word >= 0])


def judge_plan(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """`acc`: the written plan fulfils the prompt; `well_formed`: it is a plan at all."""
    from harness.world.grammar import satisfies
    from harness.world.plan import scene_from_plan
    from harness.world.vocabulary import words_of

    scene = scene_from_plan(words_of(results[0]))
    right = scene is not None and satisfies(scene, _spec(doc["spec"]))
    return {"acc": float(right), "well_formed": float(scene is not None)}


def nats_per_word(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """Log-probability of the right plan and its end, over their number of words."""
    total, _ = results[0] if isinstance(results[0], tuple | list) else results
    return {"nats_per_word": float(total) / (len(doc["plans"][doc["answer"]].split()) + 1)}


def _spec(text: str) -> Any:
    import msgspec

    from harness.world.grammar import Spec

    return msgspec.json.decode(text.encode(), type=Spec)
