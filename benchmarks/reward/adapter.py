"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.base import check_positive
from benchmarks.micro.dvtest import N_PROMPTS
from benchmarks.reward.base import RewardedPrompts, reward_rows
from benchmarks.reward.prompts import file_id, file_prompts, micro_prompts
from benchmarks.reward.summaries import Means, is_count
from harness import config as configs
from harness.errors import ConfigError
from harness.images import ImageRef, ref_of_file
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS, REWARDS
from harness.rewards import RewardItem, make_reward
from harness.types import Generation, Prompt, Score, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardOptions:
    """Options of a reward benchmark, `--set reward.OPTION=VALUE`."""

    name: str = ""
    """The reward; `-b reward:NAME` sets it."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Options of the reward; `-b reward:NAME,option=value` sets them."""
    prompts: str | None = None
    """File with prompts, `.txt` or `.jsonl`; None takes the generated ones (profile `micro`)."""
    n_prompts: int = N_PROMPTS
    """Generated prompts: how many."""
    prompt_seed: int = 0
    """Generated prompts: their seed."""

    def __post_init__(self) -> None:
        check_positive("reward", self, "n_prompts")


@BENCHMARKS.register("reward")
class RewardBenchmark(RewardedPrompts):
    """One registered reward on generated prompts or on a user's; the package docstring has the details."""

    name: ClassVar[str] = "reward"
    title: ClassVar[str] = "Reward"
    options_type: ClassVar[type] = RewardOptions
    details: ClassVar[tuple[str, ...]] = ("part/semantic/", "part/quality/")

    options: RewardOptions

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.options.name:
            raise ConfigError(f"Name the reward, e.g. -b reward:dvreward. Known: {', '.join(REWARDS.names())}.")
        self.reward = make_reward(self.options.name, self.options.settings)
        settings = ", ".join(f"{k}={v}" for k, v in sorted(self.options.settings.items()))
        self.title = f"Reward {self.options.name}" + (f" ({settings})" if settings else "")  # type: ignore[misc]
        self.default_judge = self.reward.default_judge  # type: ignore[misc]
        self.value_range = self.reward.value_range  # type: ignore[misc]

    @classmethod
    def parse_argument(cls, argument: str) -> dict[str, Any]:
        """Options from what follows `reward:`, e.g. `dvreward,scoring=binary`.

        Raises:
            ConfigError: a part after the name is not `option=value`.
        """
        name, *settings = (part.strip() for part in argument.split(","))
        return {"name": name, "settings": configs.apply_settings({}, settings)}

    @property
    def mode(self) -> str:  # type: ignore[override]
        """`edit` where the prompts have source images."""
        return "edit" if self._prompts[0].source_images else "t2i"

    @property
    def data_id(self) -> str:
        """Micro edition or file, and the hash of the prompts; then the reward's fingerprint, which fixes the unit."""
        if self._file is not None:
            return f"{file_id(self._file)}+{self.reward.fingerprint}"
        from benchmarks.micro.dvtest import data_id

        return f"{data_id(self.options.n_prompts, self.options.prompt_seed)}+{self.reward.fingerprint}"

    def prompts(self) -> list[Prompt]:
        """The prompts, ids `reward/0000-1a2b3c4d` by place and text.

        Raises:
            ConfigError: the official profile without a file, or a reward of edits for prompts without source images.
            DataError: the file is damaged.
        """
        return list(self._prompts)

    @cached_property
    def _file(self) -> Path | None:
        return Path(self.options.prompts).expanduser() if self.options.prompts else None

    @cached_property
    def _prompts(self) -> list[Prompt]:
        if self._file is None and self.profile != "micro":
            raise ConfigError(
                f"reward: the {self.profile} edition has no prompts of its own. Give a file with --set "
                "reward.prompts=FILE, or evaluate DVReward on its published test prompts with -b dvtest."
            )
        options = self.options
        prompts = file_prompts(self._file) if self._file else micro_prompts(options.n_prompts, options.prompt_seed)
        if self.reward.needs_source and not prompts[0].source_images:
            raise ConfigError(
                f"Reward {self.reward.name!r} judges edits and must see the source image, which these prompts do not "
                "have. Give a .jsonl file whose objects have 'source_images' with --set reward.prompts=FILE."
            )
        return prompts

    def source_image(self, prompt: Prompt, name: str) -> ImageRef:
        """The image `name`, a path relative to the file of prompts."""
        if self._file is None:
            return super().source_image(prompt, name)
        return ref_of_file(self._file.parent / name)

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """The reward's own."""
        return self.reward.requests(RewardItem(prompt=prompt, image=images[0], sources=tuple(images[1:])))

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """`overall` (mean reward), `category/NAME`, `part/NAME`; parts that count things are sums in `overall`."""
        means = Means(prompts, scores)
        categories = list(dict.fromkeys(p.category for p in prompts.values() if p.category))
        rows = reward_rows(means, self.value_range, "category", categories, {"reward": self.reward.fingerprint})
        return rows + [means.summary(f"part/{p}", p, means.range_of(p)) for p in means.parts if not is_count(p)]
