"""The benchmark interface and the aggregation that benchmarks share.

How a number comes about: `prompts()` -> the policy's images -> `requests()` -> the judge's answers -> `score()` per
sample -> `aggregate()`. The last two are pure arithmetic; `rescore` enters there with recorded judgements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import ConfigError, DataError, unknown_name
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.types import Generation, Judgement, Profile, Prompt, Protocol, Score, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Recorded results of one model, read from an upstream format."""

    prompts: dict[str, Prompt]
    scores: list[Score]
    judge: str
    """Who judged, as far as the source says."""
    data: str
    """Which prompts or data release, as far as the source says."""
    notes: list[str] = field(default_factory=list)
    """What the user must know: missing, duplicate or extra items with counts and ids."""
    report: dict[str, Any] = field(default_factory=dict)
    """Benchmark-specific completeness figures for `summary.json`."""
    headline: tuple[str, ...] = ()
    """Summary keys that head these results; empty takes the benchmark's."""


class Benchmark(ABC):
    """One benchmark in one edition (`profile`) under one `protocol`."""

    name: ClassVar[str]
    title: ClassVar[str]
    options_type: ClassVar[type]
    """Dataclass of the benchmark's own options (`--set NAME.option=value`), each field documented."""
    mode: ClassVar[str] = "t2i"
    """Request mode of its generations: `t2i` or `edit`."""
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Range of the headline's unit, for intervals."""
    headline: ClassVar[tuple[str, ...]] = ("overall",)
    """Summary keys shown first, in bold."""
    details: ClassVar[tuple[str, ...]] = ("type/", "L2/", "subcategory/", "question/")
    """Beginnings of keys that only the full table shows."""
    default_judge: ClassVar[Mapping[str, str]] = {"micro": "micro"}
    """Judge by profile, where the user names none."""

    def __init__(
        self, *, profile: Profile, protocol: Protocol, options: Any = None, data_dir: Path | None = None
    ) -> None:
        self.profile = profile
        self.protocol = protocol
        self.options = self.options_type() if options is None else options
        self.data_dir = data_dir

    @property
    @abstractmethod
    def data_id(self) -> str:
        """Name and hash of the prompts in use; numbers with different ids never compare."""

    @property
    def samples_per_prompt(self) -> int:
        """The benchmark's own number of images per prompt: one, unless it says otherwise."""
        return 1

    @property
    def judge_prompt(self) -> str:
        """Whose wording a language-model judge gets, `builtin` or `official`; empty where the judge gets none.

        Every table header shows it: numbers with a built-in wording never stand beside published ones without the word.
        """
        return str(getattr(self.options, "judge_prompt", ""))

    @abstractmethod
    def prompts(self) -> list[Prompt]:
        """All prompts, in official order.

        Raises:
            DataError: official data is missing or of an unknown version.
        """

    def source_image(self, prompt: Prompt, name: str) -> ImageRef:
        """The image `name` of `prompt.source_images`."""
        raise DataError(f"{self.name} has no source images (asked for {name!r} of {prompt.id}).")

    @abstractmethod
    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """What to ask the judge about one sample; `images` is (generated, *sources)."""

    @abstractmethod
    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """Scores of one sample from its judgements; missing answers give `value=None` with the reason."""

    @abstractmethod
    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table: official chain of operations, headline first, each value with its interval."""

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """Where an official image folder keeps sample `index` of `prompt`; None when it is not there."""
        return None

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Recorded judgements in the benchmark's published formats, by model name.

        Raises:
            DataError: the source has no known format, or a record is damaged (file, line, field).
        """
        raise DataError(f"{self.name} knows no published result format.")


def first_answer(answers: Sequence[Judgement]) -> Judgement | None:
    """Of the repeats of one question the first with a value."""
    ordered = sorted(answers, key=lambda a: a.repeat)
    return next((a for a in ordered if a.status == "ok" and a.value is not None), None)


def why_missing(generation: Generation, answers: Sequence[Judgement]) -> str:
    """Why a question about a sample has no answer: no image, never asked, or what the judge's last repeat says."""
    if generation.status != "ok":
        return no_image(generation)
    if not answers:
        return "not judged"
    last = sorted(answers, key=lambda a: a.repeat)[-1]
    return f"judge: {last.status} {last.error}".strip()


def no_image(generation: Generation) -> str:
    """Why a generation that failed has no image."""
    return f"no image: {generation.status} {generation.error}".strip()


def check_number(name: str, value: int, limit: int | None = None) -> None:
    """Raises ConfigError unless 1 <= value (<= limit)."""
    if value < 1 or (limit is not None and value > limit):
        expected = "a positive number" if limit is None else f"a number from 1 to {limit}"
        raise ConfigError(f"{name}: expected {expected}, got {value}.")


def check_positive(benchmark: str, options: Any, *names: str) -> None:
    """Raises ConfigError unless the options `names` are at least 1."""
    for name in names:
        check_number(f"{benchmark}.{name}", getattr(options, name))


def check_choices(benchmark: str, options: Any, choices: Mapping[str, Sequence[str]]) -> None:
    """Raises ConfigError, with near misses, unless each option named in `choices` has one of its values."""
    for name, known in choices.items():
        if getattr(options, name) not in known:
            raise unknown_name(f"value of {benchmark}.{name}", str(getattr(options, name)), known)
