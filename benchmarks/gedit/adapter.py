"""The benchmark class; see the package docstring for what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.base import Benchmark, Imported, check_choices, check_positive, why_missing
from benchmarks.gedit import data, officialprompt
from benchmarks.gedit.groups import GROUPS, LANGS, SUBSETS, Lang, Subset, in_order
from benchmarks.gedit.images import ImageLayout
from benchmarks.gedit.importer import import_results
from benchmarks.gedit.judgeprompt import BUILTIN, JudgePrompt
from benchmarks.gedit.rows import Row, selected
from benchmarks.gedit.scoring import QUESTIONS, Guess, score_sample
from benchmarks.gedit.summaries import intersection_note, summarise
from benchmarks.gedit.tally import Missing, tally
from harness import seeds
from harness.errors import ConfigError, DataError
from harness.images import ImageRef, ref_of_image
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, Question, SampleKey, Score, Summary
from harness.viescore.images import as_judged
from harness.viescore.parsing import Rules, answers_of

SOURCE = "source"
_CHOICES = {
    "lang": LANGS,
    "subset": SUBSETS,
    "judge_prompt": ("builtin", "official"),
    "missing": ("leave_out", "zero"),
}
_QUESTION_TEXTS = {"sc": "semantic consistency", "pq": "perceptual quality"}
_FIELDS = {"sc": ("instruction", "facts", "kept"), "pq": ("quality",)}
"""What `fields` of each request may hold; the quality judge sees neither source nor instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GEditOptions:
    """Options of GEdit-Bench, `--set gedit.OPTION=VALUE`."""

    lang: Lang = "en"
    """Official edition: English or Chinese instructions. There is no combined number."""
    subset: Subset = "full"
    """Official edition: all 606 rows, or those on which every method of the paper gave an image. `full` shows the
    values of the intersection too."""
    judge_prompt: str = "builtin"
    """`builtin`: the project's own wording; `official`: upstream's, from the user's data folder."""
    missing: Missing = "leave_out"
    """Items without a score leave the means (as upstream leaves out missing images), or count as `zero` (lmms-eval)."""
    guess: bool = False
    """Replace replies that upstream would guess at by seeded random scores 0..10. Protocol `official` only."""
    guess_seed: int = 0
    """Seed of the guesses."""
    temperature: float | None = None
    """What the judge samples with. None: 1.0 with upstream's prompts (as upstream calls GPT-4.1), 0 with the built-in
    ones; upstream's Qwen judge is greedy (0)."""
    image_model: str = ""
    """Model folder in an official image folder that holds several."""
    n_per_group: int = 36
    """Micro edition: generated prompts per group."""
    prompt_seed: int = 0
    """Micro edition: which prompts are generated."""

    def __post_init__(self) -> None:
        check_choices("gedit", self, _CHOICES)
        check_positive("gedit", self, "n_per_group")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ConfigError(f"gedit.temperature: expected 0 to 2, got {self.temperature}.")


@BENCHMARKS.register("gedit")
class GEdit(Benchmark):
    """GEdit-Bench in the official or the micro edition; the package docstring has the details."""

    name: ClassVar[str] = "gedit"
    title: ClassVar[str] = "GEdit-Bench"
    options_type: ClassVar[type] = GEditOptions
    mode: ClassVar[str] = "edit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 10.0)
    headline: ClassVar[tuple[str, ...]] = ("overall/SC", "overall/PQ", "overall/O")
    details: ClassVar[tuple[str, ...]] = ("group/", "intersection/group/")
    options: GEditOptions

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.options.guess and self.protocol != "official":
            raise ConfigError("gedit.guess: guessed scores belong to the official protocol; use --protocol official.")
        self._layouts: dict[Path, ImageLayout] = {}
        self._micro_sources: dict[str, ImageRef] = {}

    @property
    def data_id(self) -> str:
        """Edition, language and subset, hash of the rows and source images, and options that change the numbers."""
        options = self.options
        changes = ("+zero" if options.missing == "zero" else "") + (f"+guess{options.guess_seed}" * options.guess)
        if self.profile == "official":
            return f"gedit/{options.lang}-{options.subset}@{self._data.sha256[:12]}{changes}"
        name: str = import_module("benchmarks.micro.gedit").data_id(options.n_per_group, options.prompt_seed)
        return name + changes

    @property
    def rules(self) -> Rules:
        """How replies are read: by upstream's rules under `official`, strictly under `corrected`."""
        return "official" if self.protocol == "official" else "strict"

    def prompts(self) -> list[Prompt]:
        """The rows of language and subset, by group in official order.

        Raises:
            DataError: the data set is absent, damaged or incomplete.
        """
        if self.profile == "micro":
            return list(self._micro)
        return [_prompt_of(r) for r in selected(self._data.rows, self.options.lang, self.options.subset)]

    def source_image(self, prompt: Prompt, name: str) -> ImageRef:
        """The image to be edited, `input_image` of the row."""
        if name != SOURCE:
            raise DataError(f"{prompt.id}: no source image {name!r}; the only one is {SOURCE!r}.")
        if self.profile == "official":
            return self._data.source(str(prompt.meta["source_sha256"]))
        if prompt.id not in self._micro_sources:
            self._micro_sources[prompt.id] = ref_of_image(import_module("benchmarks.micro.gedit").source_image(prompt))
        return self._micro_sources[prompt.id]

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """Two independent `text` requests: `gedit-sc` (source, edited) and `gedit-pq` (edited only).

        Each has one question, `sc` or `pq`; its answer's value is the smallest score of the reply, its payload
        `{"scores": [...], "reasoning": ...}`. The edited image comes at the source's size. `fields` holds the
        instruction (SC) and, in the micro edition, the questions `facts` and `kept` (SC) or `quality` (PQ).
        """
        edited, source = as_judged(images[0], images[1]), images[1]
        views = {"sc": (source, edited), "pq": (edited,)}
        known = {**prompt.meta, "instruction": prompt.text}
        key = generation.key
        return [
            JudgeRequest(
                kind="text",
                form=f"gedit-{id_}",
                questions=(Question(id=id_, text=_QUESTION_TEXTS[id_], tag=self._wording.label(id_)),),
                images=views[id_],
                prompt=self._wording.text(id_, prompt.text),
                parse=partial(answers_of, rules=self.rules),
                fields={name: known[name] for name in _FIELDS[id_] if name in known},
                temperature=self._temperature,
                seed=seeds.derive("gedit-judge", id_, prompt.id, key.gen_seed, key.index, key.round),
            )
            for id_ in QUESTIONS
        ]

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """`sc`, `pq` and `o` = sqrt(sc * pq), each 0..10; None with the reason where an answer is missing."""
        lost = why_missing(generation, ())
        guess = self._guess if self.options.guess else None
        return score_sample(generation.key, verdicts, rules=self.rules, lost=lost, guess=guess)

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, see `summaries.summarise`; for the full official set also that of the intersection subset.

        Raises:
            DataError: scores of unknown prompts, groups or metrics.
        """
        is_official = self.profile == "official"
        groups = tally(prompts, scores)
        missing, subset = self.options.missing, self.options.subset
        table = summarise(
            groups,
            expected=GROUPS if is_official else in_order(groups),
            missing=missing,
            subset=subset if is_official else None,
        )
        flagged = {id_: p for id_, p in prompts.items() if p.meta.get("Intersection_exist") is True}
        if not is_official or subset != "full" or not flagged:
            return table
        inside = tally(flagged, [s for s in scores if s.key.prompt_id in flagged])
        return table + summarise(
            inside, expected=GROUPS, missing=missing, subset="intersection", prefix="intersection/"
        )

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """The edited image in the official layout, see `ImageLayout`; only sample 0 exists there."""
        if index != 0:
            return None
        root = root.resolve()
        if root not in self._layouts:
            self._layouts[root] = ImageLayout(root, self.options.image_model)
        return self._layouts[root].find(prompt)

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Recorded results (`*_gpt_score.csv`) of language and subset, by model; see `benchmarks.gedit.importer`."""
        rows = data.load(self.data_dir).rows if data.has_data(self.data_dir) else None
        found = import_results(
            source,
            lang=self.options.lang,
            subset=self.options.subset,
            protocol=self.protocol,
            rows=rows,
            data_id=self.data_id if rows is not None else None,
        )
        for imported in found.values():
            n_flagged = sum(p.meta.get("Intersection_exist") is True for p in imported.prompts.values())
            imported.notes.append(intersection_note(self.options.lang, n_flagged))
        return found

    @cached_property
    def _data(self) -> data.DataSet:
        return data.load(self.data_dir)

    @cached_property
    def _micro(self) -> list[Prompt]:
        generate: Any = import_module("benchmarks.micro.gedit").prompts
        return list(generate(self.options.n_per_group, self.options.prompt_seed))

    @cached_property
    def _wording(self) -> JudgePrompt:
        if self.options.judge_prompt == "builtin":
            return BUILTIN
        folder = self.data_dir or Path("DATA_DIR")
        return officialprompt.read_cache(folder / "gedit" / officialprompt.CACHE_NAME)

    @property
    def _temperature(self) -> float:
        if self.options.temperature is not None:
            return self.options.temperature
        return 1.0 if self.options.judge_prompt == "official" else 0.0

    @property
    def _guess(self) -> Guess:
        seed = self.options.guess_seed

        def draw(key: SampleKey, question: str, repeat: int) -> int:
            purpose = f"gedit-guess/{key.prompt_id}/{key.gen_seed}/{key.index}/{key.round}/{question}"
            return int(seeds.numpy_generator(seed, purpose, repeat).integers(0, 11))

        return draw


def _prompt_of(row: Row) -> Prompt:
    return Prompt(
        id=row.id,
        text=row.instruction,
        category=row.group,
        source_images=(SOURCE,),
        meta={
            "key": row.key,
            "group": row.group,
            "instruction_language": row.lang,
            "Intersection_exist": row.intersection,
            "source_sha256": row.image_sha256,
        },
    )
