"""Core records. One line of a run directory's JSONL files is one of these.

All are frozen keyword-only dataclasses, read and written through msgspec. `None` is the only spelling of "no
value"; NaN never travels between modules. `status` says why a value is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from harness.terms import Terms

SCHEMA_VERSION = 1
"""Version of the record layout; stored in every run's manifest."""

Status = Literal["ok", "error", "unparsed", "refused", "skipped"]
Protocol = Literal["official", "corrected"]
Profile = Literal["micro", "official"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One case of a benchmark."""

    id: str
    """Stable and unique within the benchmark, e.g. `geneval/00017`; also a relative folder name."""
    text: str
    category: str = ""
    """The benchmark's own main category (task, type, group)."""
    source_images: tuple[str, ...] = ()
    """Names of images given to the policy with the text; `Benchmark.source_image` loads them."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the judge and the scorer need; JSON values only. Never shown to the policy."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SampleKey:
    """Which sample of which prompt."""

    benchmark: str
    prompt_id: str
    gen_seed: int = 0
    index: int = 0
    """0 .. n_samples_per_prompt - 1."""
    round: int = 0
    """0 for the first image, 1.. for refinements of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing asked about one sample's images."""

    id: str
    """Unique within the prompt."""
    text: str
    tag: str = ""
    """The benchmark's own label (category, expected answer, scale)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One image (or refused attempt at one)."""

    id: str
    """Content key: policy, prompt, parameters and seed determine it."""
    key: SampleKey
    seed: int
    policy: str
    """Fingerprint."""
    params: dict[str, Any]
    status: Status = "ok"
    error: str = ""
    image: str = ""
    """Path relative to the run directory."""
    image_sha256: str = ""
    """Of the file's bytes."""
    text: str = ""
    """Reasoning or reflection text."""
    token_ids: tuple[int, ...] = ()
    parent: str = ""
    """Generation id of the image that this one refines."""
    gate: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One answer to one question about one sample."""

    id: str
    """Content key: judge, image bytes, question and repeat determine it."""
    key: SampleKey
    question_id: str
    judge: str
    """Fingerprint: model, revision, precision, prompt hash, sampling."""
    question: str = ""
    tag: str = ""
    status: Status = "ok"
    value: float | None = None
    """The answer as a number (P(yes), a scale value), where it is one."""
    payload: dict[str, Any] = field(default_factory=dict)
    """Structured answers: detections, score lists, log-probabilities."""
    raw: str = ""
    """The judge's text; on the first record of a call only."""
    error: str = ""
    call_id: str = ""
    """One call may answer many questions; its cost counts once."""
    call_size: int = 1
    """Number of records the call wrote; fewer in the file means that it was interrupted."""
    repeat: int = 0
    attempts: int = 1
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number derived from the judgements of one sample."""

    key: SampleKey
    metric: str
    value: float | None
    reason: str = ""
    """Why the value is missing, or why a verdict is negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One cell of the result table."""

    metric: str
    """Flat `/`-separated key with the benchmark's official names, e.g. `task/color_attr`."""
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    """Scored prompts (or the official denominator where that is something else; see the benchmark)."""
    n_missing: int = 0
    printed: str = ""
    """The officially rounded number where the official script rounds."""
    method: str = ""
    """Name of the interval's method, or why there is none."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further official fields, e.g. `correct` and `total`."""
    terms: Terms | None = field(default=None, compare=False, repr=False)
    """The prompts' parts in the value, where it has the form that intervals and tests need. Never written as part of a
    summary: `terms.json` of the run holds them."""
