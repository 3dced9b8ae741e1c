"""What benchmarks share whose score is a reward: its judge, its answers, means of it and of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.base import Benchmark
from benchmarks.reward.scores import scores_of
from benchmarks.reward.summaries import REWARD, Means, Range, is_count
from harness.rewards import Reward
from harness.types import Generation, Judgement, Prompt, Score, Summary


class RewardedPrompts(Benchmark):
    """Prompts whose images get a reward; subclasses say which reward and which prompts."""

    default_judge: ClassVar[Mapping[str, str]] = {}
    """Of the class: none, so that `eval` without -b leaves rewards out. An instance has its reward's."""

    reward: Reward

    @property
    def judge_prompt(self) -> str:
        """`builtin`: rewards bring their own wording; their fingerprint says which."""
        return "builtin"

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """`reward` and one score for each of its parts; None with the reason where there is no reward."""
        return scores_of(self.reward, prompt, generation, verdicts)

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """`ROOT/0000.png` (also .jpg, .webp) for sample 0, `ROOT/0000-1.png` for sample 1, and so on."""
        stem = prompt.id.rpartition("/")[2].partition("-")[0] + (f"-{index}" if index else "")
        files = (root / f"{stem}{suffix}" for suffix in (".png", ".jpg", ".jpeg", ".webp"))
        return next((f for f in files if f.is_file()), None)


def reward_rows(
    means: Means, value_range: Range, group: str, categories: Sequence[str], extra: Mapping[str, Any]
) -> list[Summary]:
    """`overall`, with the sums of parts that count things, and `GROUP/CATEGORY` for each category of the prompts."""
    counts = {part: means.total(part) for part in means.parts if is_count(part)}
    rows = [means.summary("overall", REWARD, value_range, extra={**counts, **extra})]
    for c in categories:
        rows.append(means.summary(f"{group}/{c}", REWARD, value_range, only=lambda p, c=c: p.category == c))  # type: ignore[misc]
    return rows
