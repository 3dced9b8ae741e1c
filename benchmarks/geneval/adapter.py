"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.base import Benchmark, Imported, check_positive, why_missing
from benchmarks.geneval import aggregate, human
from benchmarks.geneval.assembling import Settings
from benchmarks.geneval.data import PROMPT_SETS, PromptSet, official_id, official_metadata, prompts_from
from benchmarks.geneval.filtering import Thresholds
from benchmarks.geneval.folders import ImageFolder
from benchmarks.geneval.importing import import_results
from benchmarks.geneval.judging import judge
from benchmarks.geneval.metadata import parse_metadata
from benchmarks.micro.build import data_id as micro_data_id
from harness.errors import ConfigError, DataError
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, Question, Score, Summary

QUESTION_ID = "detections"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenEvalOptions:
    """Options of GenEval, `--set geneval.OPTION=VALUE`. Thresholds other than the defaults are another benchmark."""

    prompt_set: PromptSet = "short"
    """Official edition: `short` (the 553 prompts) or `long` (their rewritten form). Two settings that never mix."""
    samples_per_prompt: int = 4
    """Images per prompt."""
    threshold: float = 0.3
    """Detections count above this score."""
    counting_threshold: float = 0.9
    """The same for prompts with the tag `counting`."""
    max_objects: int = 16
    """At most this many detections per class."""
    max_overlap: float = 1.0
    """Overlap (IoU) from which the less confident of two detections of a class is dropped; 1 keeps all."""
    position_threshold: float = 0.1
    """Share of the objects' sizes taken off an offset before its direction is read."""
    prompts_per_tag: int = 90
    """Micro edition: generated prompts per task."""
    prompt_seed: int = 0
    """Micro edition: which prompts are generated."""

    def __post_init__(self) -> None:
        if self.prompt_set not in PROMPT_SETS:
            raise ConfigError(f"geneval.prompt_set: {self.prompt_set!r}, expected one of {', '.join(PROMPT_SETS)}.")
        check_positive("geneval", self, "samples_per_prompt", "max_objects", "prompts_per_tag")

    @property
    def thresholds(self) -> Thresholds:
        """The parameters of filtering and judging."""
        return Thresholds(
            threshold=self.threshold,
            counting_threshold=self.counting_threshold,
            max_objects=self.max_objects,
            max_overlap=self.max_overlap,
            position_threshold=self.position_threshold,
        )


@BENCHMARKS.register("geneval")
class GenEval(Benchmark):
    """GenEval in the official or the micro edition; the package docstring has the details."""

    name: ClassVar[str] = "geneval"
    title: ClassVar[str] = "GenEval"
    options_type: ClassVar[type] = GenEvalOptions
    default_judge: ClassVar[Mapping[str, str]] = {"micro": "micro", "official": "geneval-official"}

    options: GenEvalOptions

    @property
    def data_id(self) -> str:
        """Prompt set and hash; thresholds too where they are not the benchmark's."""
        if self.profile == "official":
            name = official_id(self.options.prompt_set)
        else:
            name = micro_data_id("geneval", self.prompts())
        return name + self.options.thresholds.changes

    @property
    def samples_per_prompt(self) -> int:
        """Four, unless the option says otherwise."""
        return self.options.samples_per_prompt

    def prompts(self) -> list[Prompt]:
        """All prompts, in official order; `meta` is the metadata object.

        Raises:
            DataError: the official file is absent or not the pinned one.
        """
        return list(self._prompts)

    @cached_property
    def _prompts(self) -> list[Prompt]:
        return self._official_prompts() if self.profile == "official" else self._micro_prompts()

    @cached_property
    def _folders(self) -> dict[Path, ImageFolder]:
        return {}

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """One `detect` request of form `geneval`.

        The judge answers its single question with the payload
        `{"detections": {class: [[x1, y1, x2, y2, score], ...]}, "colours": {class: [name or None, ...]}}`: detections
        unfiltered in the detector's order, colours aligned with them. Where the prompt has colour clauses, `fields`
        holds `colour_classes`, for which colours are needed under either protocol, and `min_score`: detections up to
        that score may have None, or may be left out of both lists.
        """
        metadata = parse_metadata(prompt.meta, where=prompt.id)
        coloured = sorted({c.class_ for c in metadata.include if c.color is not None})
        min_score = self.options.thresholds.for_tag(metadata.tag)
        text = "objects" + (f"; colours of {', '.join(coloured)}" if coloured else "")
        question = Question(id=QUESTION_ID, text=text, tag=metadata.tag)
        return [
            JudgeRequest(
                kind="detect",
                form="geneval",
                questions=(question,),
                images=(images[0],),
                fields={"colour_classes": coloured, "min_score": min_score} if coloured else {},
            )
        ]

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """One score `correct`: 1 or 0 with upstream's reason text; None where there is no detection result.

        Raises:
            DataError: a payload is malformed or lacks a colour that decides.
        """
        answers = sorted((v for v in verdicts if v.question_id == QUESTION_ID), key=lambda v: v.repeat)
        answer = next((v for v in answers if v.status == "ok"), None)
        if answer is None:
            return [
                Score(key=generation.key, metric=aggregate.METRIC, value=None, reason=why_missing(generation, answers))
            ]
        decisive = _classes(prompt)
        try:
            verdict = judge(
                prompt.meta,
                {name: rows for name, rows in _part(answer, "detections").items() if name in decisive},
                _part(answer, "colours"),
                thresholds=self.options.thresholds,
                protocol=self.protocol,
            )
        except DataError as error:
            raise DataError(
                f"{prompt.id} image {generation.key.index}: judgement {answer.id} of {answer.judge}: {error}"
            ) from None
        return [Score(key=generation.key, metric=aggregate.METRIC, value=float(verdict.correct), reason=verdict.reason)]

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, see `aggregate.summarise`; for imported human annotations that of `human.summarise`.

        Raises:
            DataError: scores of unknown prompts or metrics, or both kinds at once.
        """
        annotated = [s for s in scores if s.metric.startswith(human.PREFIX)]
        if annotated and len(annotated) < len(scores):
            raise DataError("geneval: human annotations and a judge's verdicts cannot be summarised in one table.")
        if annotated:
            return human.summarise(prompts, annotated)
        counts = aggregate.count_images(prompts, scores, samples_per_prompt=self.samples_per_prompt)
        return aggregate.summarise(counts, protocol=self.protocol)

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """Where an official image folder keeps a sample, see `ImageFolder`; each root is scanned once."""
        root = root.resolve()
        if root not in self._folders:
            self._folders[root] = ImageFolder(root)
        return self._folders[root].find(prompt.meta, index)

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Results of the official evaluator, recorded detections and human annotations, see `importing`."""
        settings = Settings(
            protocol=self.protocol,
            samples_per_prompt=self.samples_per_prompt,
            thresholds=self.options.thresholds,
            data_dir=self.data_dir,
            prompt_of=self._prompt_of,
        )
        return import_results(source, settings)

    def _official_prompts(self) -> list[Prompt]:
        return prompts_from(
            official_metadata(self.data_dir, self.options.prompt_set), where=f"geneval {self.options.prompt_set}"
        )

    def _micro_prompts(self) -> list[Prompt]:
        generate: Callable[[int, int], list[Prompt]] = import_module("benchmarks.micro.geneval").prompts
        prompts = generate(self.options.prompts_per_tag, self.options.prompt_seed)
        for prompt in prompts:
            parse_metadata(prompt.meta, where=prompt.id)
        return prompts

    def _prompt_of(self, id: str) -> Prompt:
        found = next((p for p in self.prompts() if p.id == id), None)
        if found is None:
            raise DataError(f"{id!r} is not among the {len(self.prompts())} prompts of {self.data_id}.")
        return found


def _classes(prompt: Prompt) -> set[str]:
    """The classes that decide; a detector records eighty."""
    metadata = parse_metadata(prompt.meta, where=prompt.id)
    return {c.class_ for c in (*metadata.include, *metadata.exclude)}


def _part(answer: Judgement, name: str) -> Mapping[str, Any]:
    value = answer.payload.get(name, {} if name == "colours" else None)
    if not isinstance(value, Mapping):
        raise DataError(f"payload.{name}: expected an object with one list per class, got {type(value).__name__}.")
    return value
