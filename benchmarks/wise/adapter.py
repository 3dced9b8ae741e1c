"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.base import Benchmark, Imported, check_choices, check_positive, first_answer, why_missing
from benchmarks.wise import judgeprompt, officialprompt
from benchmarks.wise.data import DataSet, has_set, load_set, reidentified, set_name
from benchmarks.wise.importer import Settings, import_results
from benchmarks.wise.lock import Lock, shipped_lock
from benchmarks.wise.replies import parse_legacy, parse_verified
from benchmarks.wise.summaries import UNUSABLE, summarise, tally
from benchmarks.wise.variants import N_PROMPTS, SCALES, VARIANTS, Variant
from harness.errors import ConfigError
from harness.images import ImageRef
from harness.judges.base import Answer, JudgeRequest
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, Question, Score, Summary

_CHOICES = {
    "variant": VARIANTS,
    "prompt_set": ("original", "rewrite"),
    "judge_prompt": ("builtin", "official"),
}
_PARSERS: dict[Variant, Callable[..., list[Answer]]] = {"verified": parse_verified, "legacy": parse_legacy}


@dataclass(frozen=True, slots=True, kw_only=True)
class WISEOptions:
    """Options of WISE, `--set wise.OPTION=VALUE`."""

    variant: Variant = "verified"
    """`verified` (one binary score) or `legacy` (three scales, WiScore). Other prompts, ids, judge and weights."""
    prompt_set: Literal["original", "rewrite"] = "original"
    """Legacy, official edition: the prompts, or their direct wordings (the paper's ablation)."""
    judge_prompt: Literal["builtin", "official"] = "builtin"
    """The project's own judge prompt, or upstream's from the user's data folder."""
    strict: bool = True
    """Imports: refuse repeated ids, booleans and values out of range, which the official program uses as they are."""
    n_per_category: int = 36
    """Micro edition: prompts of each category."""
    prompt_seed: int = 0
    """Micro edition: seed of the prompts."""

    def __post_init__(self) -> None:
        check_choices("wise", self, _CHOICES)
        if self.prompt_set == "rewrite" and self.variant != "legacy":
            raise ConfigError("wise.prompt_set=rewrite exists for wise.variant=legacy only.")
        check_positive("wise", self, "n_per_category")


@BENCHMARKS.register("wise")
class WISE(Benchmark):
    """WISE in the official or the micro edition; the package docstring has the details."""

    name: ClassVar[str] = "wise"
    title: ClassVar[str] = "WISE"
    options_type: ClassVar[type] = WISEOptions
    headline: ClassVar[tuple[str, ...]] = ("overall/official",)
    details: ClassVar[tuple[str, ...]] = ("subcategory/",)

    options: WISEOptions

    @property
    def data_id(self) -> str:
        """Variant, prompt set or micro edition, and the hash of the prompts."""
        if self.profile == "micro":
            from benchmarks.micro.wise import data_id

            return f"{data_id(self.options.n_per_category, self.options.prompt_seed)}+{self.options.variant}"
        return self._official.data_id

    def prompts(self) -> list[Prompt]:
        """All prompts by id; `meta` has `prompt_id`, `Explanation` and `Subcategory`.

        Raises:
            DataError: the official files are absent or not the pinned ones.
        """
        return list(self._micro if self.profile == "micro" else self._official.prompts)

    @property
    def _lock(self) -> Lock:
        return shipped_lock()

    @property
    def _set_name(self) -> str:
        return set_name(self.options.variant, self.options.prompt_set)

    @cached_property
    def _official(self) -> DataSet:
        return load_set(self.data_dir, self._set_name, self._lock)

    @cached_property
    def _micro(self) -> list[Prompt]:
        from benchmarks.micro.wise import prompts

        return reidentified(prompts(self.options.n_per_category, self.options.prompt_seed), self._set_name)

    @cached_property
    def _prompt(self) -> judgeprompt.JudgePrompt:
        variant = self.options.variant
        if self.judge_prompt == "builtin":
            return judgeprompt.BUILTIN[variant]
        path = (self.data_dir or Path("DATA_DIR")) / "wise" / officialprompt.CACHE_NAME
        return officialprompt.read_cache(path, variant, self._lock.scripts[variant])

    @cached_property
    def _record(self) -> dict[str, str]:
        """What every answer records about the wording."""
        return {"judge_prompt": self.judge_prompt, "prompt_sha256": officialprompt.hashes(self._prompt)["user"]}

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """One `text` request of form `wise-verified` or `wise-legacy`, one question per scale.

        `fields` has `prompt` and `explanation`, and in the micro edition `facts` and `quality`, lists of questions.
        """
        variant = self.options.variant
        explanation = str(prompt.meta["Explanation"])
        fields: dict[str, Any] = {"prompt": prompt.text, "explanation": explanation}
        fields |= {name: list(prompt.meta[name]) for name in ("facts", "quality") if name in prompt.meta}
        top = 1 if variant == "verified" else 2
        return [
            JudgeRequest(
                kind="text",
                form=f"wise-{variant}",
                questions=tuple(
                    Question(id=scale, text=judgeprompt.QUESTIONS[scale], tag=f"0-{top}") for scale in SCALES[variant]
                ),
                images=(images[0],),
                system=self._prompt.system,
                prompt=self._prompt.render(prompt.text, explanation),
                parse=partial(_PARSERS[variant], payload=self._record),
                fields=fields,
            )
        ]

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """One score per scale: `score` (0 or 1), or `consistency`, `realism`, `aesthetic_quality` (0 to 2).

        A value outside its scale is kept under `official` for legacy, as upstream does, and is missing otherwise.
        """
        return [self._score(generation, scale, verdicts) for scale in SCALES[self.options.variant]]

    def _score(self, generation: Generation, scale: str, verdicts: Sequence[Judgement]) -> Score:
        given = [v for v in verdicts if v.question_id == scale]
        answer = first_answer(given)
        if answer is None or answer.value is None:
            return Score(key=generation.key, metric=scale, value=None, reason=why_missing(generation, given))
        if not self._is_usable(answer.value):
            reason = f"{UNUSABLE}{scale} is {answer.value:g}"
            return Score(key=generation.key, metric=scale, value=None, reason=reason)
        return Score(key=generation.key, metric=scale, value=answer.value)

    def _is_usable(self, value: float) -> bool:
        if self.options.variant == "verified":
            return value in (0.0, 1.0)
        return self.protocol == "official" or 0.0 <= value <= 2.0

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, `overall/official` first; see `summaries.summarise`.

        Raises:
            DataError: scores of unknown prompts or of other scales.
        """
        return summarise(
            tally(prompts, scores, self.options.variant),
            self.options.variant,
            self.protocol,
            n_expected=len(prompts) if self.profile == "micro" else N_PROMPTS,
            has_time_labels=self.profile == "official",
        )

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """`ROOT/ID.png`, the only name that upstream looks up; only sample 0 exists there."""
        path = root / f"{prompt.meta['prompt_id']}.png"
        return path if index == 0 and path.is_file() else None

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Score files and full records of the official scripts and of BAGEL's copy, see `importer`."""
        has_data = self.profile == "official" and has_set(self.data_dir, self._set_name, self._lock)
        return import_results(
            source,
            Settings(
                variant=self.options.variant,
                set_name=self._set_name,
                protocol=self.protocol,
                strict=self.options.strict,
                prompts=self._official.prompts if has_data else None,
                data_id=self._official.data_id if has_data else "",
            ),
        )
