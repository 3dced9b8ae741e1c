"""UnifiedReward: fine-tuned vision-language models that write their score as text (arXiv 2503.05236; code MIT).

| family | models | asks for | reward |
|---|---|---|---|
| `pointwise` (1.0) | UnifiedReward-qwen-*, UnifiedReward-7b-v1.5 | one "Final Score", 1..5 | / 5 |
| `axes` (2.0) | UnifiedReward-2.0-qwen-*, -2.0-qwen3vl-* | three axes, 1..5 each | mean / 5, or one axis / 5 |
| `edit` | UnifiedReward-Edit-qwen-*, -Edit-qwen3vl-* | two calls, two numbers 0..25 each | sqrt(SC * PQ) / 25 |

SC and PQ of an edit are the means of their two numbers. Think and Flex models compare pairs; they are not meant here.
For `pointwise` the image is resized to 512x512, squashed and not cropped; the temperature is 0. Upstream sends PNG
(AlphaGRPO JPEG at quality 85, the edit family JPEG at 95): an option of the judge.

The models were trained with upstream's texts (`judge_prompt: official`; for `pointwise` also `flow-grpo`, for `axes`
also `axes-words`), which `run.py data prepare unifiedreward` brings. `builtin` is this project's wording; its numbers
do not compare with published ones.

A reply without the number is asked for again by the judge, and then is missing. Upstreams give 0 instead (flow_grpo,
AlphaGRPO, Pref-GRPO's edits) or the mean of the other samples of the batch (Pref-GRPO's axes).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from harness import seeds
from harness.errors import ConfigError, DataError
from harness.images import ImageRef
from harness.judges.base import Answer, JudgeRequest, Unparsed
from harness.plan import content_hash
from harness.prompttemplates import Template
from harness.registry import REWARDS
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Question
from harness.viescore.parsing import check_strict, parse_official, without_thinking
from trainers.rewards.base import SCALES, Scale, check_choice, values_of
from trainers.rewards.prompts import BUILTIN, OFFICIAL, UNIFIEDREWARD, Wording, builtin, upstream

Family = Literal["pointwise", "axes", "edit"]
Axis = Literal["mean", "alignment", "coherence", "style"]

AXES = ("alignment", "coherence", "style")
SIDE_PX = 512
_TOP: dict[Family, float] = {"pointwise": 5.0, "axes": 5.0, "edit": 25.0}
_UPSTREAM: dict[Family, dict[str, tuple[str, ...]]] = {
    "pointwise": {OFFICIAL: ("pointwise",), "flow-grpo": ("flow-grpo",)},
    "axes": {OFFICIAL: ("axes",), "axes-words": ("axes-words",)},
    "edit": {OFFICIAL: ("edit-following", "edit-quality")},
}
"""Family -> wording -> names of upstream's texts, one for each call."""
_MODELS: dict[Family, str] = {
    "pointwise": "CodeGoat24/UnifiedReward-qwen-7b",
    "axes": "CodeGoat24/UnifiedReward-2.0-qwen-7b",
    "edit": "CodeGoat24/UnifiedReward-Edit-qwen-7b",
}
_QUESTIONS: dict[Family, tuple[tuple[str, ...], ...]] = {
    "pointwise": (("score",),),
    "axes": (AXES,),
    "edit": (("sc",), ("pq",)),
}
"""Family -> the questions of each call."""

_DECIMALS = r"(?:\.\d+)?)(?!\d)"
"""Upstream would take the 1 of a 10; here the digit must be all there is before the point."""
_FINAL = re.compile(rf"Final Score:\s*([1-5]{_DECIMALS}")
_AXIS = {name: re.compile(rf"{name.capitalize()} Score \(1-5\):\s*([0-5]{_DECIMALS}") for name in AXES}
_IMAGE_TAG = "<image>"
"""Starts flow_grpo's text for LLaVA; for the Qwen models it would be plain text, and is left out."""


def parse_final(text: str) -> list[Answer]:
    """The number 1..5 after the first "Final Score:" that one digit with optional decimals follows.

    Raises:
        Unparsed: there is none, or it is above 5.
    """
    return [Answer(value=_number(_FINAL, text, "'Final Score: NUMBER'"))]


def parse_axes(text: str) -> list[Answer]:
    """The numbers 0..5 of the lines "Alignment Score (1-5): NUMBER", and of coherence and style, in this order.

    Raises:
        Unparsed: a line is missing, or its number is above 5.
    """
    return [
        Answer(value=_number(pattern, text, f"'{name.capitalize()} Score (1-5): NUMBER'"))
        for name, pattern in _AXIS.items()
    ]


def parse_pair(text: str) -> list[Answer]:
    """The mean of the two numbers 0..25 in the reply's JSON object; the payload has both.

    Raises:
        Unparsed: no such object, another number of scores, or one outside 0..25.
    """
    scores = parse_official(without_thinking(text)).scores
    check_strict(scores, length=2, top=_TOP["edit"])
    return [Answer(value=sum(scores) / 2, payload={"scores": [float(s) for s in scores]})]


def _number(pattern: re.Pattern[str], text: str, what: str) -> float:
    found = pattern.search(text)
    if found is None:
        raise Unparsed(f"no {what}" if text else "empty reply")
    value = float(found[1])
    if value > 5.0:
        raise Unparsed(f"{what} gives {value:g}, above 5")
    return value


_PARSERS = {"pointwise": parse_final, "axes": parse_axes, "edit": parse_pair}


@REWARDS.register("unifiedreward")
class UnifiedReward(Reward):
    """Written scores of the UnifiedReward models: one score, three axes, or edits.

    Args:
        family: `pointwise` (1.0), `axes` (2.0) or `edit`; the judge must be a model of that family.
        judge_prompt: `builtin`, `official`, or another upstream text, see the module's docstring.
        axis: of family `axes`: the `mean` of the three, or one of them.
        scale: `normalised` to 0..1, or `raw`.
        data_dir: folder with official data; None takes the default one.
    """

    name: ClassVar[str] = "unifiedreward"

    def __init__(
        self,
        *,
        family: Family = "axes",
        judge_prompt: str = BUILTIN,
        axis: Axis = "mean",
        scale: Scale = "normalised",
        data_dir: str | None = None,
    ) -> None:
        check_choice(self.name, "family", family, _TOP)
        check_choice(self.name, "judge_prompt", judge_prompt, (BUILTIN, *_UPSTREAM[family]))
        check_choice(self.name, "axis", axis, ("mean", *AXES))
        check_choice(self.name, "scale", scale, SCALES)
        if axis != "mean" and family != "axes":
            raise ConfigError(f"unifiedreward: axis={axis} belongs to family=axes, not to family={family}.")
        self.family, self.axis, self.scale = family, axis, scale
        self.needs_source = family == "edit"  # type: ignore[misc]
        self.default_judge: Mapping[str, str] = {"official": f"transformers:{_MODELS[family]}"}  # type: ignore[misc]
        self.value_range = (0.0, 1.0 if scale == "normalised" else _TOP[family])  # type: ignore[misc]
        self._wordings = _wordings(family, judge_prompt, data_dir)

    @property
    def fingerprint(self) -> str:
        """Options, and a hash of them with the wording."""
        labels = [w.label for w in self._wordings]
        settings = (self.family, self.axis, self.scale)
        return "-".join(("unifiedreward", *settings, self._wordings[0].origin, content_hash(settings, labels)[:8]))

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """One `text` request (family `edit`: two), of the form `unifiedreward-FAMILY`.

        Raises:
            DataError: an edit without its source image.
        """
        values = {"instruction" if self.family == "edit" else "prompt": item.prompt.text}
        return [
            JudgeRequest(
                kind="text",
                form=f"unifiedreward-{self.family}" + (f"-{ids[0]}" if self.family == "edit" else ""),
                questions=tuple(Question(id=i, text=i, tag=wording.label) for i in ids),
                images=images,
                prompt=wording.render(**values),
                parse=_PARSERS[self.family],
                seed=seeds.derive("unifiedreward", ids[0], item.prompt.id, item.image.id),
            )
            for ids, images, wording in zip(_QUESTIONS[self.family], self._views(item), self._wordings, strict=True)
        ]

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """The score over the top of its scale (`raw`: as it is).

        `parts`: `raw`; the three axes in 0..1; of edits `semantic` and `quality` in 0..1.
        """
        names = [i for ids in _QUESTIONS[self.family] for i in ids]
        found = values_of(answers, names)
        if isinstance(found, RewardValue):
            return found
        top = _TOP[self.family]
        if self.family == "edit":
            raw = math.sqrt(found[0] * found[1])
            parts = {"semantic": found[0] / top, "quality": found[1] / top}
        elif self.family == "axes":
            by_axis = dict(zip(AXES, found, strict=True))
            raw = by_axis.get(self.axis, sum(found) / len(found))
            parts = {name: value / top for name, value in by_axis.items()}
        else:
            raw, parts = found[0], {}
        value = raw / top if self.scale == "normalised" else raw
        return RewardValue(value=value, parts={**parts, "raw": raw}, n_asked=len(names))

    def _views(self, item: RewardItem) -> list[tuple[ImageRef, ...]]:
        """The images of each call."""
        if self.family == "pointwise":
            return [(item.image.derive(f"squashed-{SIDE_PX}", _squashed),)]
        if self.family == "axes":
            return [(item.image,)]
        if not item.sources:
            raise DataError(
                f"prompt {item.prompt.id}: unifiedreward's family 'edit' needs the source image, and there is none."
            )
        return [(item.sources[0], item.image), (item.image,)]


def _squashed(image: Any) -> Any:
    from PIL import Image

    return image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


def _wordings(family: Family, judge_prompt: str, data_dir: str | None) -> list[Wording]:
    """The text of each call."""
    if judge_prompt == BUILTIN:
        return [builtin(text, **({field: marker} if field else {})) for text, field, marker in UNIFIEDREWARD[family]]
    field = "instruction" if family == "edit" else "prompt"
    found = []
    for name in _UPSTREAM[family][judge_prompt]:
        fields = () if name == "edit-quality" else (field,)
        found.append(_without_tag(upstream(data_dir, "unifiedreward", name, *fields, origin=judge_prompt)))
    return found


def _without_tag(wording: Wording) -> Wording:
    first, *rest = wording.template.pieces
    if not isinstance(first, str) or not first.startswith(_IMAGE_TAG):
        return wording
    pieces = (first.removeprefix(_IMAGE_TAG).lstrip("\n"), *rest)
    return Wording(
        origin=wording.origin, template=Template(pieces=pieces, source_sha256=wording.template.source_sha256)
    )
