"""What each row of the paper's tables takes: model, benchmark, generation settings, judge, training if there is any.

A row of a table needs one evaluation per benchmark, since benchmarks differ in judge and guidance interval; where the
source does not state the thinking mode, both modes are listed. Settings are those of the official evaluation scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import ConfigError, unknown_name
from harness.registry import JUDGES, MODELS
from reports.reference import Reference, reference

GRID_POINTS = 50
"""Of the scripts; their sampler evaluates the network once less. The paper says 40."""
VERIFIER = "pickscore"
"""Reward and judge of the gate `verifier`: it needs the prompt only, and no benchmark here uses it."""

_STEPS = GRID_POINTS - 1
_JUDGES = {
    "geneval": "geneval-official",
    "tiif": "openai:gpt-4.1-2025-04-14",
    "dpg": "mplug",
    "wise": "openai:gpt-4o-2024-11-20",
    "gedit": "openai:gpt-4.1-2025-04-14",
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "geneval": {"prompt_set": "long"},
    "tiif": {"set": "testmini", "judge_prompt": "official"},
    "dpg": {"pic_num": 4},
    "wise": {"variant": "legacy", "judge_prompt": "official"},
    "gedit": {"lang": "en", "judge_prompt": "official"},
}
_CFG_INTERVAL = {"geneval": [0.0, 1.0], "tiif": [0.4, 1.0], "dpg": [0.0, 1.0], "wise": [0.4, 1.0], "gedit": [0.4, 1.0]}
_BAGEL = "bagel:ByteDance-Seed/BAGEL-7B-MoT"
_OTHER_MODELS = {
    "sd3-medium": "sd3:stabilityai/stable-diffusion-3-medium-diffusers",
    "flux1-dev": "diffusers:black-forest-labs/FLUX.1-dev?dtype=bfloat16",
    "show-o": "show-o:showlab/show-o-512x512",
    "janus-pro": "janus-pro:deepseek-ai/Janus-Pro-7B",
    "bagel": _BAGEL,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One evaluation that fills cells of one row of a table."""

    key: str
    """`ROW/BENCHMARK`, or `ROW/BENCHMARK/think` with reasoning text before the image."""
    label: str
    model: str
    """Model spec, or the name of a placeholder that the user fills (`is_placeholder`)."""
    eval: dict[str, Any]
    """Fields of `EvalConfig`; without `models` where `model` is a placeholder."""
    train: dict[str, Any] | None = None
    """How the placeholder's checkpoint is made: `config`, a name that `train` takes, and `set`, changes of it."""
    note: str = ""
    is_placeholder: bool = field(default=False)
    family: str = ""
    """Registered model that can load a placeholder's checkpoint; of other rows the model's own."""

    @property
    def row(self) -> str:
        """The paper's row."""
        return self.key.split("/")[0]

    @property
    def benchmark(self) -> str:
        """What is evaluated."""
        return self.key.split("/")[1]

    @property
    def is_thinking(self) -> bool:
        """Whether the model writes reasoning text first."""
        return self.key.endswith("/think")

    @property
    def missing_parts(self) -> tuple[str, ...]:
        """Why the row cannot be run with this version of the project, in words; empty where it can."""
        parts = []
        if self.family not in MODELS.names():
            parts.append(f"model {self.family!r} is not part of this version")
        if self.judge_name not in JUDGES.names():
            parts.append(f"judge {self.judge_name!r} is not part of this version")
        if self.is_placeholder:
            given = f"give one with --model {self.model}=PATH"
            parts.append(f"no public checkpoint; {given}" if self.train is None else f"train one, or {given}")
        return tuple(parts)

    @property
    def state(self) -> str:
        """`ready`, or what is missing."""
        return "; ".join(self.missing_parts) or "ready"

    @property
    def judge_name(self) -> str:
        """Registered name of the judge."""
        return str(self.eval["judge"]).partition(":")[0]


def rows(number: int) -> list[Row]:
    """Every evaluation that Table `number` takes, in the paper's order; nothing is left out, see `Row.state`.

    Raises:
        ConfigError: no such table.
    """
    return [r for row in table(number).rows for r in _TABLES[number](number, row)]


def table(number: int) -> Reference:
    """The published Table `number`.

    Raises:
        ConfigError: not one of 1 to 5.
    """
    if number not in _TABLES:
        raise ConfigError(f"table {number}: the paper's tables are {', '.join(map(str, _TABLES))}.")
    return reference(f"table{number}")


def with_models(found: Iterable[Row], given: Mapping[str, str]) -> list[Row]:
    """The rows with placeholders filled.

    Args:
        found: rows.
        given: placeholder -> model spec or checkpoint folder.

    Raises:
        ConfigError: a name that no row has as its placeholder.
    """
    all_rows = list(found)
    names = dict.fromkeys(r.model for r in all_rows if r.is_placeholder)
    for name in given:
        if name not in names:
            raise unknown_name("placeholder", name, names)
    return [_filled(r, given[r.model]) if r.is_placeholder and r.model in given else r for r in all_rows]


def _filled(row: Row, spec: str) -> Row:
    family = spec.partition(":")[0] if ":" in spec else row.family
    return replace(row, model=spec, eval={"models": [spec], **row.eval}, is_placeholder=False, family=family)


def _benchmarks(number: int) -> list[str]:
    return list(dict.fromkeys(c.benchmark for c in table(number).columns.values() if c.benchmark))


def _evaluation(benchmark: str, *, generation: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "benchmarks": [benchmark],
        "profile": "official",
        "protocol": "official",
        "judge": _JUDGES[benchmark],
        "seeds": [42],
        "generation": generation,
        "options": {benchmark: dict(_OPTIONS[benchmark])},
        **more,
    }


def _of_bagel(benchmark: str, *, think: bool) -> dict[str, Any]:
    is_edit = benchmark == "gedit"
    extra = {"timestep_shift": 3.0, "cfg_interval": _CFG_INTERVAL[benchmark]}
    extra["cfg_renorm"] = "text_channel" if is_edit else "global"
    text = {"temperature": 0.3, "top_p": 1.0, "max_text_tokens": 10240 if is_edit else 2048} if think else {}
    size = {"image_guidance_scale": 1.5} if is_edit else {"size_px": 512}
    return {"think": think, "num_inference_steps": _STEPS, "guidance_scale": 4.0, **size, **text, "extra": extra}


def _refinement(benchmark: str) -> dict[str, Any]:
    points = 40 if benchmark == "tiif" else GRID_POINTS
    refined = {
        "think": True,
        "num_inference_steps": points - 1,
        "guidance_scale": 4.0,
        "image_guidance_scale": 2.0,
        "temperature": 0.3,
        "extra": {"timestep_shift": 3.0, "cfg_interval": [0.4, 1.0], "cfg_renorm": "text_channel"},
    }
    gates = {"reflect": 1, "gates": ["all", "self", "verifier", "oracle"]}
    return {**gates, "gate_judge": VERIFIER, "gate_reward": VERIFIER, "reflect_generation": refined}


def _bagel_rows(number: int, row: str, *, placeholder: bool, train: dict[str, Any] | None, note: str) -> list[Row]:
    found = []
    paper_row = table(number).rows[row]
    model = row.removesuffix("-inference") if placeholder else _BAGEL
    for benchmark in _benchmarks(number):
        if paper_row.refinement and benchmark == "wise":
            continue  # no source has refinement on WISE
        for think in (False, True):
            more = _refinement(benchmark) if paper_row.refinement else {}
            evaluation = _evaluation(benchmark, generation=_of_bagel(benchmark, think=think), **more)
            found.append(
                Row(
                    key=f"{row}/{benchmark}" + "/think" * think,
                    label=paper_row.label + (", thinking" if think else ""),
                    model=model,
                    eval=evaluation if placeholder else {"models": [model], **evaluation},
                    train=train,
                    note=note,
                    is_placeholder=placeholder,
                    family="bagel",
                )
            )
    return found


def _other_rows(number: int, row: str) -> list[Row]:
    spec = _OTHER_MODELS[row]
    found = []
    for benchmark in _benchmarks(number):
        evaluation = _evaluation(benchmark, generation={})
        if benchmark == "geneval":
            evaluation["options"] = {"geneval": {"prompt_set": "short"}}
        found.append(
            Row(
                key=f"{row}/{benchmark}",
                label=table(number).rows[row].label,
                model=spec,
                eval={"models": [spec], **evaluation},
                note="the source states no settings: the model's own defaults, GenEval with its plain prompts",
                family=spec.partition(":")[0],
            )
        )
    return found


_UNSTATED = f"the table does not say whether the model thinks; {GRID_POINTS} grid points as in the scripts, paper 40"


def _main_rows(number: int, row: str) -> list[Row]:
    if row == "bagel":
        return _bagel_rows(number, row, placeholder=False, train=None, note=_UNSTATED)
    if row in _OTHER_MODELS:
        return _other_rows(number, row)
    return _bagel_rows(number, row, placeholder=True, train=None, note=_UNSTATED)


def _reward_rows(number: int, row: str) -> list[Row]:
    base, _, reward = row.partition("-")
    if base == "bagel":
        train = {"config": "bagel-rt2i", "set": {"reward.weights": {reward: 1.0}}}
        return _bagel_rows(number, row, placeholder=True, train=train, note=_UNSTATED)
    return [_sd35_row(number, row, reward, benchmark) for benchmark in _benchmarks(number)]


def _sd35_row(number: int, row: str, reward: str, benchmark: str) -> Row:
    generation = {"num_inference_steps": 40, "guidance_scale": 4.0, "size_px": 512}
    return Row(
        key=f"{row}/{benchmark}",
        label=table(number).rows[row].label,
        model=row,
        eval=_evaluation(benchmark, generation=generation),
        train={"config": "sd35-medium-lora", "set": {"reward.weights": {reward: 1.0}}},
        note="the paper's settings for SD3.5-M are not relayed; the training configuration is a labelled substitute",
        is_placeholder=True,
        family="sd3",
    )


def _scoring_rows(number: int, row: str) -> list[Row]:
    train = {"config": "bagel-rt2i", "set": {"reward.options": {"dvreward": {"scoring": row}}}}
    return _bagel_rows(number, row, placeholder=True, train=train, note=_UNSTATED)


def _fpr_rows(number: int, row: str) -> list[Row]:
    floor = {"fpr-off": "off", "fpr-on": "group_min"}[row]
    train = {"config": "bagel-srr", "set": {"refine.floor": floor}}
    return _bagel_rows(number, row, placeholder=True, train=train, note=_UNSTATED)


_TABLES = {1: _main_rows, 2: _main_rows, 3: _reward_rows, 4: _scoring_rows, 5: _fpr_rows}
