"""TIIF-Bench: does an image follow a short and a long wording of one instruction? Yes/no questions to a VLM judge.

Paper: arXiv 2506.02161. Reference code: github.com/A113N-W3I/TIIF-Bench at 3aae7504d2546516eaec2fea82fde9ae445dfea3
(`eval/eval_with_vlm.py` and its two summary scripts). Data lock: `benchmarks/locks/tiif.yaml`; the data has no licence,
so it is read from the user's copy in `DATA_DIR/tiif`, every file checked by hash.

Judge: a vision-language model that answers all questions of an image in one reply. Published numbers use an undated
`gpt-4o` or Qwen2.5-VL-72B; numbers of different judges do not compare, so the official edition has no default judge.
The built-in prompt is this project's own, one fixed template. `judge_prompt=official` takes upstream's three templates
from `DATA_DIR/tiif/judge_prompts.json` and draws one for each sample from what identifies the sample; upstream draws
unseeded for every attempt, samples at temperature 1.0 and retries without limit, which are the judge's settings here
and bounded.

Sampling: one image for each of the two wordings of a case; size free, upstream examples 1024 px. `testmini` has 277
cases, 554 images and 1,446 questions per length; `full` has 2,538, 5,076 and 12,160.

Aggregation, per length: type accuracy = right answers / answers, pooled over the images; group = mean of its types;
overall = mean of the nine groups; level average = mean of the level's *types*. Short and long are never merged;
`mean_accuracy` mixes them and only sorts the official workbook.

Quirks that `official` keeps:
    - type accuracies are rounded to 4 decimals before they are averaged;
    - images without an answer leave the denominators, types without answers leave group, level and overall means.
`corrected` repairs:
    - no rounding before the last;
    - a group, level or overall mean is missing as soon as a type that was to be judged has no answer.
In both, unanswered images are counted beside every number, with the bounds that they imply, and a number that does not
rest on the complete set carries a note. `printed` has 4 decimals, half to even, as the official report.

Data defect: the full set's `comparison` question file of the pinned revision is out of step with its prompts from row
23 to row 70; upstream repaired it on 2025-08-28. Either file is accepted; `comparison_rows` says which order is used.

Text rendering (GNED, word recall) is reported apart when `ocr_file` names OCR results of the `text` images.

Micro edition: the types that the micro world can show, from `benchmarks.micro.tiif`.

Checked against: the official summaries of 1,073 recorded results of two models (exact).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, Literal

from benchmarks.base import Benchmark, Imported, check_choices, check_positive
from benchmarks.micro.build import data_id as micro_data_id
from benchmarks.tiif import images as image_files
from benchmarks.tiif import judgeprompt, ocr, officialprompt
from benchmarks.tiif.data import ComparisonRows, DataSet, data_root, load_set
from benchmarks.tiif.importer import import_results
from benchmarks.tiif.lock import SetName, shipped_lock
from benchmarks.tiif.replies import parse_reply
from benchmarks.tiif.summaries import summarise, summarise_text
from benchmarks.tiif.tally import QUESTION_METRIC, tally
from benchmarks.tiif.taxonomy import LENGTHS, TYPES, Length, prompt_id
from harness import seeds
from harness.errors import DataError
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, Question, SampleKey, Score, Summary

_CHOICES = {
    "set": ("testmini", "full"),
    "length": ("both", *LENGTHS),
    "comparison_rows": ("corrected", "snapshot"),
    "judge_prompt": ("builtin", "official"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TIIFOptions:
    """Options of TIIF-Bench."""

    set: SetName = "testmini"
    """`testmini` (what nearly all published numbers use) or `full`. Official edition and imports."""
    length: Literal["both", "short", "long"] = "both"
    """Which wordings to draw and score."""
    comparison_rows: ComparisonRows = "corrected"
    """Order of the full set's comparison questions: upstream's repair, or the pinned revision's defect."""
    judge_prompt: Literal["builtin", "official"] = "builtin"
    """The project's own judge prompt, or upstream's three templates from the user's data folder."""
    image_model: str = ""
    """Model folder in an official image folder that holds several."""
    ocr_file: str = ""
    """JSONL with recognised text of the `text` images (see `benchmarks.tiif.ocr`); adds GNED and word recall."""
    n_per_type: int = 8
    """Micro edition: cases of each type."""
    prompt_seed: int = 0
    """Micro edition: seed of the prompts."""

    def __post_init__(self) -> None:
        check_choices("tiif", self, _CHOICES)
        check_positive("tiif", self, "n_per_type")


@BENCHMARKS.register("tiif")
class TIIF(Benchmark):
    """TIIF-Bench; see the module's docstring for protocol, sources and quirks."""

    name: ClassVar[str] = "tiif"
    title: ClassVar[str] = "TIIF-Bench"
    options_type: ClassVar[type] = TIIFOptions
    headline: ClassVar[tuple[str, ...]] = ("overall/short", "overall/long")
    options: TIIFOptions

    @property
    def data_id(self) -> str:
        """Set or micro edition, and the hash of its content, whatever `length` selects of it."""
        if self.profile == "micro":
            return micro_data_id("tiif", self._micro)
        return self._official_id

    @property
    def _official_id(self) -> str:
        order = f", comparison {self._official.comparison_rows}" if self._official.comparison_rows else ""
        return f"tiif/{self.options.set}@{self._official.sha256[:12]}{order}"

    @property
    def lengths(self) -> tuple[Length, ...]:
        """The selected lengths."""
        return tuple(n for n in LENGTHS if self.options.length in ("both", n))

    def prompts(self) -> list[Prompt]:
        """All short prompts, then all long ones, each by type in table order and by row."""
        if self.profile == "micro":
            return [p for length in self.lengths for p in self._micro if p.meta["length"] == length]
        return _prompts_of(self._official, self.lengths)

    @cached_property
    def _official(self) -> DataSet:
        return load_set(data_root(self.data_dir), self.options.set, shipped_lock(), self.options.comparison_rows)

    @cached_property
    def _micro(self) -> list[Prompt]:
        from benchmarks.micro.tiif import prompts

        return list(prompts(self.options.n_per_type, self.options.prompt_seed))

    @cached_property
    def _judge_prompt(self) -> officialprompt.OfficialPrompt | None:
        if self.options.judge_prompt == "builtin":
            return None
        if self.data_dir is None:
            raise DataError(
                "TIIF: judge_prompt=official needs a data folder. Run `run.py data prepare tiif --source CHECKOUT`."
            )
        return officialprompt.read_cache(self.data_dir / "tiif" / officialprompt.CACHE_NAME)

    @cached_property
    def _ocr(self) -> ocr.Table | None:
        return ocr.read_ocr(Path(self.options.ocr_file).expanduser()) if self.options.ocr_file else None

    def requests(self, prompt: Prompt, generation: Generation, images: Sequence[ImageRef]) -> list[JudgeRequest]:
        """One request with all questions of the case; `fields` holds them and whose wording it is."""
        questions = [str(q) for q in prompt.meta["questions"]]
        key, official = generation.key, self._judge_prompt
        sample = (prompt.id, key.gen_seed, key.index, key.round)
        record = {"judge_prompt": self.judge_prompt}
        template, placeholder, system = judgeprompt.TEMPLATE, judgeprompt.PLACEHOLDER, judgeprompt.SYSTEM
        if official is not None:
            drawn = official.draw(*sample)
            template, placeholder, system = official.templates[drawn], official.placeholder, official.system
            record |= {"template": drawn, "template_sha256": official.hashes[drawn]}
        return [
            JudgeRequest(
                kind="text",
                form="tiif",
                questions=tuple(
                    Question(id=f"{QUESTION_METRIC}{i}", text=text, tag=str(answer))
                    for i, (text, answer) in enumerate(zip(questions, prompt.meta["answers"], strict=True))
                ),
                images=(images[0],),
                system=system,
                prompt=judgeprompt.render(template, placeholder, questions),
                parse=partial(parse_reply, n_questions=len(questions), payload=record),
                fields={"questions": questions, **record},
                temperature=0.0 if official is None else 1.0,
                seed=seeds.derive("tiif-judge", *sample),
            )
        ]

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """`question/I` for each question: 1.0 where the judge's yes or no is the reference answer, else 0.0.

        An answer of at least 0.5 is a yes. With repeats the mean over them. No answer: None, the reason starts with
        the status (`unparsed: ...`) or `missing`. With `ocr_file`, also the text metrics of `text` prompts.
        """
        by_question: dict[str, list[Judgement]] = {}
        for verdict in verdicts:
            by_question.setdefault(verdict.question_id, []).append(verdict)
        lost = "missing: no judgement" if generation.status == "ok" else f"missing: no image ({generation.status})"
        found = []
        for i, answer in enumerate(prompt.meta["answers"]):
            metric = f"{QUESTION_METRIC}{i}"
            found.append(_question_score(generation.key, metric, answer, by_question.get(metric, []), lost))
        return [*found, *self._text_scores(prompt, generation.key)]

    def aggregate(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
        """The table, `overall/short` and `overall/long` first; see `benchmarks.tiif.summaries.summarise`."""
        counts = tally(prompts, scores)
        return [*summarise(counts, self.protocol), *summarise_text(prompts, scores, counts.lengths())]

    def find_image(self, root: Path, prompt: Prompt, index: int) -> Path | None:
        """The image in the official layout, numbered by row of the set in use; only sample 0 exists there."""
        if index != 0:
            return None
        meta = prompt.meta
        return image_files.find_image(root, meta["type"], meta["length"], meta["row"], model=self.options.image_model)

    def import_results(self, source: Path) -> dict[str, Imported]:
        """Recorded results (folder, tar or zip) of the set `set`, by model name; see `benchmarks.tiif.importer`."""
        official = None
        if self._has_data():
            official = {p.id: p for p in _prompts_of(self._official, LENGTHS)}
        return import_results(
            source,
            set_name=self.options.set,
            lengths=self.lengths,
            official=official,
            data_id=self._official_id if official else None,
            further=lambda prompt: self._text_scores(prompt, SampleKey(benchmark="tiif", prompt_id=prompt.id)),
        )

    def _has_data(self) -> bool:
        try:
            data_root(self.data_dir)
        except DataError:
            return False
        return True

    def _text_scores(self, prompt: Prompt, key: SampleKey) -> list[Score]:
        if self._ocr is None or prompt.meta["type"] != "text":
            return []
        return ocr.text_scores(prompt, key, self._ocr)


def _prompts_of(data: DataSet, lengths: Sequence[Length]) -> list[Prompt]:
    return [
        Prompt(
            id=prompt_id(type_, case.row, length),
            text=case.short if length == "short" else case.long,
            category=type_,
            meta={
                "type": type_,
                "length": length,
                "row": case.row,
                "questions": list(case.questions),
                "answers": list(case.answers),
                "set": data.name,
                "full_row": case.full_row,
            },
        )
        for length in lengths
        for type_ in TYPES
        for case in data.cases[type_]
    ]


def _question_score(key: SampleKey, metric: str, answer: str, verdicts: Sequence[Judgement], lost: str) -> Score:
    values = [v.value for v in verdicts if v.status == "ok" and v.value is not None]
    if not values:
        reason = f"{verdicts[0].status}: {verdicts[0].error}" if verdicts else lost
        return Score(key=key, metric=metric, value=None, reason=reason)
    right = [(value >= 0.5) == (answer.strip().lower() == "yes") for value in values]
    reason = "" if all(right) else f"judge says {'yes' if values[0] >= 0.5 else 'no'}, expected {answer}"
    return Score(key=key, metric=metric, value=sum(right) / len(right), reason=reason)
