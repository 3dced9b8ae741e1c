"""Runs as `load_run` gives them, made from a row's specification."""

import copy
from pathlib import Path

from harness.config import to_plain
from reports.paper.pricing import config_of
from reports.paper.rows import rows
from reports.runs import Run

HEADLINES = {
    "geneval": ("overall",),
    "tiif": ("overall/short", "overall/long"),
    "dpg": ("overall",),
    "wise": ("overall/official", "overall/unweighted"),
    "gedit": ("overall/SC", "overall/PQ", "overall/O"),
}


def row_of(number, key):
    return next(r for r in rows(number) if r.key == key)


def cell(value, half=0.02, n=553, n_missing=0):
    return {"value": value, "ci_low": value - half, "ci_high": value + half, "n": n, "n_missing": n_missing}


def make_run(row, value, *, name="", config=None, summary=None, block=None, half=0.02, path="runs/x"):
    """A finished run of the row with `value` at every headline; mappings change config, summary and block."""
    plain = copy.deepcopy(to_plain(config_of(row)))
    for key, changed in (config or {}).items():
        *parents, last = key.split(".")
        target = plain
        for part in parents:
            target = target[part]
        target[last] = changed
    benchmark = row.benchmark
    made = {
        "judge": f"{row.eval['judge']}+abc123",
        "judge_prompt": row.eval["options"][benchmark].get("judge_prompt", ""),
        "data": f"{benchmark}@1234",
        "title": benchmark,
        "headline": list(HEADLINES[benchmark]),
        "details": [],
        "n_prompts": 553,
        "n_missing": 0,
        "values": {metric: cell(value, half) for metric in HEADLINES[benchmark]},
        **(block or {}),
    }
    found = {
        "run": path,
        "model": row.model,
        "profile": plain["profile"],
        "protocol": plain["protocol"],
        "complete": True,
        "benchmarks": {benchmark: made},
        **(summary or {}),
    }
    identity = {"model": row.model, "policy": "p", "judge": plain["judge"], "generation": plain["generation"]}
    manifest = {"config": plain, "identity": identity}
    return Run(path=Path(path), name=name or row.model, summary=found, manifest=manifest)


def make_micro(name="dvreward", *, profile="micro", judge="micro-8cf4", data="geneval-micro@1/2", model="runs/ck"):
    block = {
        "judge": judge,
        "judge_prompt": "",
        "data": data,
        "title": "GenEval",
        "headline": ["overall"],
        "details": [],
        "n_prompts": 12,
        "n_missing": 0,
        "values": {"overall": cell(0.7917, 0.1, 48)},
    }
    summary = {"run": "r", "model": model, "profile": profile, "protocol": "official", "complete": True,
               "benchmarks": {"geneval": block}}  # fmt: skip
    return Run(path=Path(f"runs/{name}"), name=name, summary=summary, manifest={"config": {"profile": profile}})


def refinement_block(gates=("all", "self", "verifier", "oracle"), arms=("refine", "again"), metric="overall"):
    def difference(est):
        return {"est": est, "ci_low": est - 0.01, "ci_high": est + 0.01}

    rows_ = []
    for i, gate in enumerate(gates):
        for arm in arms:
            values = {**cell(0.80 + 0.02 * i - 0.01 * (arm == "again")), "minus_base": difference(0.01 * i)}
            if arm == "refine":
                values["minus_control"] = difference(0.01)
            rows_.append(
                {"gate": gate, "arm": arm, "round": 1, "values": {metric: values}, "n_images": 2212, "n_offered": 100,
                 "n_accepted": 40, "n_judge_calls": 2212, "acceptance": 0.4, "images_per_accepted": 55.3}
            )  # fmt: skip
    return {"rounds": 1, "n_samples": 2212, "gate_judge": "pickscore", "gate_reward": "pickscore",
            "base": {metric: cell(0.80)}, "rows": rows_, "notes": ["a note of the run"]}  # fmt: skip
