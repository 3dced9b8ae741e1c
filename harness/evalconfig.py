"""The configuration of `run.py eval`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from harness.config import to_plain
from harness.errors import ConfigError
from harness.models.base import GenerationParams
from harness.types import Profile, Protocol

SAMPLES = ("benchmarks", "profile", "seeds", "samples_per_prompt", "limit", "options", "generation")
"""Settings that decide which samples exist; who judges them again asks for the same."""

Gate = Literal["all", "self", "verifier", "oracle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """What to evaluate and how; every field can stand in a YAML file or behind `--set`."""

    models: list[str] = field(default_factory=lambda: ["micro"])
    """`NAME`, `NAME:PATH`, or a checkpoint folder."""
    benchmarks: list[str] = field(default_factory=list)
    """Empty: every benchmark that has the profile's edition."""
    profile: Profile = "micro"
    """Which prompts and judge: `micro` (generated, exact verifier) or `official` (upstream data)."""
    protocol: Protocol = "official"
    """`official` keeps the reference script's arithmetic with its quirks, `corrected` repairs them."""
    judge: str | None = None
    """`NAME` or `NAME:ARGUMENT`; None takes the benchmark's own for the profile."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Generation seeds; each adds a full set of samples."""
    samples_per_prompt: int | None = None
    """None takes the benchmark's own number."""
    limit: int | None = None
    """At most this many prompts per benchmark, evenly spread over its prompts."""
    batch_size: int | None = None
    """Requests per model call; None takes the policy's own. Never changes a result."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`."""
    threads: int | None = None
    """CPU threads of the model; None takes half of the cores, at least one."""
    max_missing: float = 0.01
    """Share of missing answers above which the command ends with exit code 3."""
    out: str | None = None
    """Run directory (one model) or parent of run directories (several)."""
    data_dir: str | None = None
    """Folder with official data; None takes `~/.cache/ummbench/data`."""
    generation: GenerationParams = field(default_factory=GenerationParams)
    """Sampling settings of the policy."""
    reflect: int | None = None
    """Rounds of self-reflective refinement after the first image; None for none."""
    gates: list[Gate] | None = None
    """Rules that decide which refinements replace their image; None takes all that the model and profile allow."""
    gate_judge: str | None = None
    """Judge of the gate `verifier`, not the benchmark's own; None takes `micro-cnn` for the micro profile."""
    gate_reward: str = "dvreward"
    """Reward that the gate `verifier` computes from its judge's answers."""
    reflect_generation: GenerationParams = field(default_factory=GenerationParams)
    """Sampling settings of refinements where they differ from `generation`."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of single benchmarks, by benchmark name. `--set geneval.prompt_set=long` lands here."""

    def __post_init__(self) -> None:
        for name in ("samples_per_prompt", "limit", "batch_size", "threads", "reflect"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: expected a positive number, got {value}.")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds: expected different integers, got {self.seeds}.")
        if self.gates is not None and (not self.gates or len(set(self.gates)) != len(self.gates)):
            raise ConfigError(f"gates: expected different ones of {', '.join(get_args(Gate))}, got {self.gates}.")
        if self.reflect is None and (self.gates is not None or self.gate_judge is not None):
            raise ConfigError("gates and gate_judge decide over refinements: give the number of rounds with --reflect.")
        if not self.models:
            raise ConfigError("models: name at least one.")
        if not 0 <= self.max_missing <= 1:
            raise ConfigError(f"max_missing: expected a share between 0 and 1, got {self.max_missing}.")

    def identity(self, model: str, policy_fingerprint: str) -> dict[str, Any]:
        """Settings that give a stored record its meaning.

        Benchmarks and limit may grow, batch size changes nothing, and both protocols read the same records. Refinements
        only add records of later rounds, each keyed by what it was made from.
        """
        return {
            "model": model,
            "policy": policy_fingerprint,
            "profile": self.profile,
            "judge": self.judge or "default",
            "seeds": self.seeds,
            "samples_per_prompt": self.samples_per_prompt,
            "generation": {k: v for k, v in to_plain(self.generation).items() if v is not None and v != {}},
            "options": self.options,
        }


def config_hash(identity: dict[str, Any]) -> str:
    """Eight hex digits that name a default run directory."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def fold_benchmark_options(data: dict[str, Any], benchmarks: list[str]) -> dict[str, Any]:
    """`data` with top-level keys that are benchmark names moved under `options`."""
    moved = {k: v for k, v in data.items() if k in benchmarks}
    if not moved:
        return data
    rest = {k: v for k, v in data.items() if k not in moved}
    options = {k: dict(v) for k, v in rest.get("options", {}).items()}
    for name, values in moved.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{name}: expected options of the benchmark, e.g. {name}.option=value, got {values!r}.")
        options[name] = {**options.get(name, {}), **values}
    return {**rest, "options": options}
