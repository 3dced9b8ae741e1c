"""Exact numbers of prompts per split, task and difficulty: draw, check, refuse with a reason, draw again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from harness import seeds
from harness.errors import ConfigError, DataError
from harness.synthesis import VERSION
from harness.synthesis.cells import cell_counts
from harness.synthesis.compose import Prompt, draw_scene, finish, question_records
from harness.synthesis.draw import Draw, NoMatch
from harness.synthesis.pool import Pool
from harness.synthesis.scene import DIFFICULTIES, Difficulty, Scene
from harness.synthesis.similarity import NearIndex, normalise
from harness.synthesis.tasks import TASKS

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("test", "train")
"""Test first: where two prompts are too similar, the one for training gives way."""

NearDuplicates = Literal["report", "drop-and-refill"]

HELD_OUT_PERCENT = 8
"""Share of all pairs of content primitives that only test prompts may combine."""

_MAX_DRAWS_PER_PROMPT = 3000
_N_SAMPLE = 600
"""Prompts drawn beforehand to learn which shingles are common; see `NearIndex`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What determines the output, besides the pool and the prompts that are compared with."""

    seed: int = 0
    train: int = 19_500
    test: int = 1_024
    tasks: tuple[str, ...] = tuple(TASKS)
    near_duplicates: NearDuplicates = "report"
    threshold: float = 0.7
    """Jaccard similarity from which two prompts count as near-duplicates."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.train < 0 or self.test < 0 or not self.train + self.test:
            raise ConfigError(
                f"synthesis: expected seed, train and test of at least 0 and one prompt in all, got "
                f"seed={self.seed}, train={self.train}, test={self.test}."
            )
        if not 0.3 <= self.threshold <= 1:
            raise ConfigError(f"--threshold: expected a number from 0.3 to 1, got {self.threshold}.")

    def counts(self, split: Split) -> dict[str, dict[Difficulty, int]]:
        """Number of prompts by task and difficulty."""
        return cell_counts(self.train if split == "train" else self.test, self.tasks)


class Progress(Protocol):
    """Where progress goes."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begins a stage."""

    def advance(self, stage: str, n: int = 1) -> None:
        """`n` more are done."""


@dataclass(slots=True)
class Result:
    """All that was made, in drawing order."""

    prompts: dict[Split, list[Prompt]] = field(default_factory=lambda: {"train": [], "test": []})
    rejected: list[dict[str, Any]] = field(default_factory=list)
    near: list[dict[str, Any]] = field(default_factory=list)
    draws: Counter[str] = field(default_factory=Counter)
    """What became of the draws."""


def is_held_out(a: str, b: str) -> bool:
    """Whether only test prompts may combine two primitives; the same for every seed, so that no test set leaks."""
    first, second = sorted((a, b))
    return seeds.derive("held out", VERSION, first, second) % 100 < HELD_OUT_PERCENT


class Synthesis:
    """Draws all prompts of the settings.

    Args:
        pool: the primitives.
        settings: numbers, seed, and what to do with near-duplicates.
        references: prompts by id that the result is compared with.
        progress: told about each finished prompt.
    """

    def __init__(
        self, pool: Pool, settings: Settings, references: Mapping[str, str], progress: Progress | None = None
    ) -> None:
        self.pool = pool
        self.settings = settings
        self.result = Result()
        self._progress = progress
        self._references = references
        self._seen: set[tuple[str, ...]] = set()
        self._held_out: dict[tuple[str, str], bool] = {}
        sample = list(self._sample())
        self._benchmarks = NearIndex(settings.threshold, [*references.values(), *sample])
        self._output = NearIndex(settings.threshold, sample)
        self._texts: dict[str, str] = {}
        for id_, text in references.items():
            self._benchmarks.add(id_, text)

    def run(self) -> Result:
        """All prompts.

        Raises:
            DataError: the primitives do not give as many different prompts as one cell asks for.
        """
        total = self.settings.train + self.settings.test
        if self._progress:
            self._progress.start("prompts", total)
        for split in SPLITS:
            for task, numbers in self.settings.counts(split).items():
                index = 0
                for difficulty in DIFFICULTIES:
                    stream = self._stream(split, task, difficulty)
                    for _ in range(numbers[difficulty]):
                        id_ = f"{VERSION}/seed{self.settings.seed}/{split}/{task}/{index:04d}"
                        self.result.prompts[split].append(self._next(stream, id_, split, task, difficulty))
                        index += 1
                if self._progress:
                    self._progress.advance("prompts", index)
        return self.result

    def _stream(self, split: str, task: str, difficulty: Difficulty) -> Draw:
        return Draw(self.settings.seed, f"synthesis/{VERSION}/{split}/{task}/{difficulty}")

    def _sample(self) -> Iterator[str]:
        stream = self._stream("sample", "all", "hard")
        for i in range(_N_SAMPLE):
            try:
                difficulty = DIFFICULTIES[i % len(DIFFICULTIES)]
                yield draw_scene(self.pool, stream, stream.choice(self.settings.tasks), difficulty).text
            except NoMatch:
                continue

    def _next(self, stream: Draw, id_: str, split: Split, task: str, difficulty: Difficulty) -> Prompt:
        """The next usable prompt of a stream."""
        draws = self.result.draws
        for _ in range(_MAX_DRAWS_PER_PROMPT):
            draws["all"] += 1
            try:
                scene = draw_scene(self.pool, stream, task, difficulty)
            except NoMatch:
                draws["nothing fitted"] += 1
                continue
            if not self._belongs(scene, split):
                draws["for the other split"] += 1
                continue
            prompt = finish(self.pool, stream, scene)
            if prompt.problems:
                draws["rejected"] += 1
                self._reject(id_, prompt)
                continue
            key = normalise(prompt.text)
            if key in self._seen:
                draws["repeated"] += 1
                continue
            if self._is_too_near(id_, prompt):
                draws["near-duplicates replaced"] += 1
                continue
            self._seen.add(key)
            self._output.add(id_, prompt.text)
            self._texts[id_] = prompt.text
            draws["used"] += 1
            return prompt
        raise DataError(
            f"synthesis: no new prompt for {task!r} ({difficulty}, {split}) in {_MAX_DRAWS_PER_PROMPT} draws; the "
            f"primitives give hardly more than the {len(self._seen)} found so far. Ask for fewer prompts or more tasks."
        )

    def _belongs(self, scene: Scene, split: Split) -> bool:
        """Test: the core is a held-out pair. Train: no two content primitives are one."""
        if split == "test":
            return self._pair_is_held_out(*scene.core)
        content = scene.content
        return not any(self._pair_is_held_out(a, b) for i, a in enumerate(content) for b in content[:i])

    def _pair_is_held_out(self, a: str, b: str) -> bool:
        pair = (a, b) if a < b else (b, a)
        if pair not in self._held_out:
            self._held_out[pair] = is_held_out(*pair)
        return self._held_out[pair]

    def _reject(self, id_: str, prompt: Prompt) -> None:
        self.result.rejected.append(
            {
                "id": id_,
                "task": prompt.task,
                "difficulty": prompt.difficulty,
                "prompt": prompt.text,
                "reasons": list(prompt.problems),
            }
        )

    def _is_too_near(self, id_: str, prompt: Prompt) -> bool:
        """Records near-duplicates of a prompt; True where it has to be replaced."""
        found = [("benchmark", m, self._references[m.key]) for m in self._benchmarks.near(prompt.text)]
        found += [("output", m, self._texts[m.key]) for m in self._output.near(prompt.text)]
        is_replaced = bool(found) and self.settings.near_duplicates == "drop-and-refill"
        for against, match, text in found:
            self.result.near.append(
                {
                    "id": id_,
                    "prompt": prompt.text,
                    "against": against,
                    "other_id": match.key,
                    "other_prompt": text,
                    "similarity": round(match.similarity, 6),
                    "replaced": is_replaced,
                }
            )
        return is_replaced


def records(result: Result, settings: Settings, split: Split) -> list[dict[str, Any]]:
    """The prompts of a split in the published record format, in an order that mixes tasks and difficulties.

    The order is that of a hash of the id, so that the first lines of a file are a sample of all of it.
    """
    numbers: Counter[str] = Counter()
    found = []
    for prompt in result.prompts[split]:
        id_ = f"{VERSION}/seed{settings.seed}/{split}/{prompt.task}/{numbers[prompt.task]:04d}"
        numbers[prompt.task] += 1
        found.append((id_, prompt))
    found.sort(key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    return [_record(i, id_, prompt) for i, (id_, prompt) in enumerate(found)]


def _record(index: int, id_: str, prompt: Prompt) -> dict[str, Any]:
    return {
        "prompt": prompt.text,
        "original_index": index,
        "semantic_questions": question_records("semantic", prompt.semantic),
        "quality_questions": question_records("quality", prompt.quality),
        "id": id_,
        "task": prompt.task,
        "difficulty": prompt.difficulty,
        "primitives": list(prompt.primitives),
        "version": VERSION,
    }


def counts(result: Result, split: Split) -> dict[str, Any]:
    """Numbers of prompts by task and difficulty, and of questions by tag."""
    prompts: Sequence[Prompt] = result.prompts[split]
    semantic = Counter(q.tag for p in prompts for q in p.semantic)
    quality = Counter(q.tag for p in prompts for q in p.quality)
    return {
        "prompts": len(prompts),
        "difficulty": {d: sum(p.difficulty == d for p in prompts) for d in DIFFICULTIES},
        "task": dict(Counter(p.task for p in prompts)),
        "semantic_questions": dict(sorted(semantic.items())),
        "quality_questions": dict(sorted(quality.items())),
    }
