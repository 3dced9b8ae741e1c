"""From question scores to counts: how many questions of each type and length were right, answered, or lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.tiif.lock import questions_by_type, rows_by_type
from benchmarks.tiif.taxonomy import LENGTHS, TYPES, check_type
from harness.errors import DataError
from harness.types import Prompt, SampleKey, Score

QUESTION_METRIC = "question/"
UNPARSED = "unparsed"


@dataclass(slots=True, kw_only=True)
class PromptCount:
    """One prompt, all its samples together."""

    correct: float = 0.0
    answered: int = 0
    asked: int = 0
    """Questions that should have an answer."""


@dataclass(slots=True, kw_only=True)
class Cell:
    """One type in one length."""

    images_expected: int = 0
    images_judged: int = 0
    images_unparsed: int = 0
    questions_expected: int | None = 0
    """None where unknown: prompts without questions (an import without official data) in a partial type."""
    prompts: dict[str, PromptCount] = field(default_factory=dict)

    @property
    def correct(self) -> float:
        """Right answers; a whole number unless a question was asked repeatedly."""
        return sum(p.correct for p in self.prompts.values())

    @property
    def total(self) -> int:
        """Answered questions."""
        return sum(p.answered for p in self.prompts.values())

    @property
    def images_missing(self) -> int:
        """Images without any answer, for whatever reason."""
        return self.images_expected - self.images_judged

    @property
    def questions_missing(self) -> int | None:
        """Questions without an answer; None where their number is unknown."""
        return None if self.questions_expected is None else self.questions_expected - self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All cells that have prompts, and what the complete official set would hold."""

    cells: dict[tuple[str, str], Cell]
    """By (type, length), in table order."""
    official_set: str | None
    """`testmini` or `full`; None for prompts of another origin."""

    def types(self, length: str) -> list[str]:
        """Types with prompts of that length, in table order."""
        return [t for t, n in self.cells if n == length]

    def lengths(self) -> list[str]:
        """Lengths with prompts."""
        return [n for n in LENGTHS if self.types(n)]

    def complete_size(self, length: str, scope: Iterable[str]) -> tuple[int, int | None]:
        """(images, questions) of a complete run over the types `scope`, one image per prompt in official sets."""
        if self.official_set is not None:
            rows, questions = rows_by_type(self.official_set), questions_by_type(self.official_set)
            return sum(rows[t] for t in scope), sum(questions[t] for t in scope)
        cells = [self.cells[t, length] for t in scope if (t, length) in self.cells]
        known = [c.questions_expected for c in cells]
        return sum(c.images_expected for c in cells), None if None in known else sum(k or 0 for k in known)


def tally(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> Tally:
    """Counts by type and length.

    Args:
        prompts: all prompts that were to be judged, by id; meta needs `type` and `length`, and `questions` where known.
        scores: question scores (`question/I`); other metrics are passed over.

    Raises:
        DataError: a score without its prompt, an unknown type or length, prompts of two official sets.
    """
    cells: dict[tuple[str, str], Cell] = {}
    samples = _by_prompt(prompts, scores)
    for prompt in prompts.values():
        cell = cells.setdefault(_place(prompt), Cell())
        _add(cell, prompt, samples.get(prompt.id, {}))
    sets = {p.meta.get("set") for p in prompts.values()}
    if len(sets) > 1:
        raise DataError(
            f"TIIF: prompts of different sets ({', '.join(sorted(map(str, sets)))}) cannot be averaged together."
        )
    official_set = next(iter(sets), None)
    ordered: dict[tuple[str, str], Cell] = {(t, n): cells[t, n] for n in LENGTHS for t in TYPES if (t, n) in cells}
    if official_set is not None:
        _fill_question_counts(ordered, official_set)
    return Tally(cells=ordered, official_set=official_set)


def _place(prompt: Prompt) -> tuple[str, str]:
    type_ = check_type(str(prompt.meta.get("type")), f"prompt {prompt.id}")
    length = prompt.meta.get("length")
    if length not in LENGTHS:
        raise DataError(f"prompt {prompt.id}: length {length!r}, expected short or long.")
    return type_, length


def _by_prompt(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> dict[str, dict[SampleKey, list[Score]]]:
    found: dict[str, dict[SampleKey, list[Score]]] = {}
    for score in scores:
        if score.key.prompt_id not in prompts:
            raise DataError(f"TIIF: a score belongs to prompt {score.key.prompt_id!r}, which is not among the prompts.")
        if score.metric.startswith(QUESTION_METRIC):
            found.setdefault(score.key.prompt_id, {}).setdefault(score.key, []).append(score)
    return found


def _add(cell: Cell, prompt: Prompt, samples: Mapping[SampleKey, list[Score]]) -> None:
    n_samples = max(1, len(samples))
    cell.images_expected += n_samples
    if "questions" not in prompt.meta:
        cell.questions_expected = None
    elif cell.questions_expected is not None:
        cell.questions_expected += n_samples * len(prompt.meta["questions"])
    count = PromptCount()
    for scores in samples.values():
        values = [s.value for s in scores if s.value is not None]
        count.correct += sum(values)
        count.answered += len(values)
        count.asked += len(scores)
        if values:
            cell.images_judged += 1
        elif any(s.reason.startswith(UNPARSED) for s in scores):
            cell.images_unparsed += 1
    if "questions" in prompt.meta:
        count.asked = n_samples * len(prompt.meta["questions"])
    cell.prompts[prompt.id] = count


def _fill_question_counts(cells: Mapping[tuple[str, str], Cell], official_set: str) -> None:
    """Types whose prompts are all there but not all known have the official number of questions."""
    rows, questions = rows_by_type(official_set), questions_by_type(official_set)
    for (type_, _), cell in cells.items():
        if cell.questions_expected is None and cell.images_expected == rows[type_] == len(cell.prompts):
            cell.questions_expected = questions[type_]
