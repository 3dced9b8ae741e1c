"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.base import check_positive
from benchmarks.dvtest.data import DataSet, load_official, load_records
from benchmarks.micro.dvtest import N_PROMPTS
from benchmarks.reward.base import RewardedPrompts, reward_rows
from benchmarks.reward.summaries import REWARD, UNIT, Means, is_count
from harness.decompose.dimensions import QUALITY, SEMANTIC
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS
from harness.rewards import Reward, RewardItem, make_reward
from harness.types import Generation, Judgement, Prompt, Score, Summary

_NO_DIFFICULTY = "the records name no difficulty, so there are no rows by difficulty"
_DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True, kw_only=True)
class DVTestOptions:
    """Options of the benchmark, `--set dvtest.OPTION=VALUE`."""

    scoring: Literal["confidence", "binary"] = "confidence"
    """P(yes), or 0 and 1."""
    aggregation: Literal["geometric", "mean", "pooled"] = "geometric"
    """How semantic and quality questions make one number."""
    max_missing: float = 0.05
    """Share of an image's questions without an answer above which it has no reward."""
    records: str | None = None
    """Official edition: another JSONL file in the published format."""
    n_prompts: int = N_PROMPTS
    """Micro edition: prompts."""
    prompt_seed: int = 0
    """Micro edition: seed of the prompts."""

    def __post_init__(self) -> None:
        check_positive("dvtest", self, "n_prompts")


@BENCHMARKS.register("dvtest")
class DVTest(RewardedPrompts):
    """DVReward's test prompts in the official or the micro edition; the package docstring has the details."""

    name: ClassVar[str] = "dvtest"
    title: ClassVar[str] = "DVReward test prompts"
    options_type: ClassVar[type] = DVTestOptions
    details: ClassVar[tuple[str, ...]] = ("semantic/", "quality/")

    options: DVTestOptions

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._official_code, self._corrected = (self._make(b) for b in ("official_code", "corrected"))
        self.reward = self._official_code if self.protocol == "official" else self._corrected
        self.default_judge = self._corrected.default_judge  # type: ignore[misc]

    def _make(self, behaviour: str) -> Reward:
        o = self.options
        settings = {"scoring": o.scoring, "aggregation": o.aggregation, "max_missing": o.max_missing}
        return make_reward("dvreward", {**settings, "behaviour": behaviour})

    @property
    def data_id(self) -> str:
        """`alphagrpo20k-test@...`, `dvtest-like:...` or `dvtest-micro@...`, and the options that change the unit."""
        suffix = "" if self.options.scoring == "confidence" else f"+{self.options.scoring}"
        suffix += "" if self.options.aggregation == "geometric" else f"+{self.options.aggregation}"
        if self.profile == "micro":
            from benchmarks.micro.dvtest import data_id

            return data_id(self.options.n_prompts, self.options.prompt_seed) + suffix
        return self._official.data_id + suffix

    def prompts(self) -> list[Prompt]:
        """All prompts with their questions in `meta`, in the order of the file; category is the difficulty, if known.

        Raises:
            DataError: the official file is absent, not the pinned one, or damaged (file, line, field).
        """
        return list(self._micro if self.profile == "micro" else self._official.prompts)

    @cached_property
    def _official(self) -> DataSet:
        if self.options.records is not None:
            return load_records(Path(self.options.records).expanduser())
        return load_official(self.data_dir)

    @cached_property
    def _micro(self) -> list[Prompt]:
        from benchmarks.micro.dvtest import prompts

        return prompts(self.options.n_prompts, self.options.prompt_seed)

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """All questions under the general instruction, and valid negatives again under theirs: for both protocols."""
        item = RewardItem(prompt=prompt, image=images[0])
        own = self._official_code.requests(item)
        if self._asks_anything(prompt):
            own += [r for r in self._corrected.requests(item) if r.form not in {o.form for o in own}]
        return own

    def _asks_anything(self, prompt: Prompt) -> bool:
        """Whether a question is left when the invalid ones are not asked."""
        lists = (prompt.meta.get(f"{side}_questions") or [] for side in ("semantic", "quality"))
        return any(isinstance(q, str) or q.get("is_valid", True) for questions in lists for q in questions)

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """`reward` and its parts (see DVReward); None with the reason where there is no reward."""
        if self.protocol == "corrected" and not self._asks_anything(prompt):
            reason = "every question of the prompt is marked invalid"
            return [Score(key=generation.key, metric=REWARD, value=None, reason=reason)]
        return super().score(prompt, generation, verdicts)

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, `overall` first, then `difficulty/...`, `semantic`, `quality`, `all_yes` and the means by tag.

        Raises:
            DataError: a score of an unknown prompt.
        """
        means = Means(prompts, scores)
        categories = {p.category for p in prompts.values()} - {""}
        difficulties = [d for d in _DIFFICULTIES if d in categories] + sorted(categories - set(_DIFFICULTIES))
        rows = reward_rows(means, UNIT, "difficulty", difficulties, {} if difficulties else {"note": _NO_DIFFICULTY})
        return rows + [means.summary(part, part, UNIT) for part in _ordered(means.parts)]


def _ordered(parts: Sequence[str]) -> list[str]:
    """Sides, then tags in the order of the dimensions, then tags that are none of them."""
    known = ["semantic", "quality", "all_yes", *(f"semantic/{t}" for t in SEMANTIC), *(f"quality/{t}" for t in QUALITY)]
    named = [p for p in known if p in parts]
    return named + [p for p in parts if p not in named and not is_count(p)]
