"""Run directories written by hand: GenEval-like verdicts over six categories."""

import json

import numpy as np

from harness.terms import Terms, to_json

CATEGORIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def draw_pair(n_prompts, k, loss, seed, *, spread=0.1):
    """(P, k) verdicts of a baseline and of a candidate whose chances are lower by `loss`; NaN nowhere."""
    rng = np.random.default_rng(seed)
    chance = np.clip(0.7 + spread * rng.standard_normal(n_prompts), 0.05, 0.95)
    return tuple((rng.random((n_prompts, k)) < (chance - x)[:, None]).astype(float) for x in (0.0, loss))


def terms_of(verdicts, *, prefix="geneval", scale=1.0):
    n, k = verdicts.shape
    cat = np.arange(n) * len(CATEGORIES) // n
    valid = np.isfinite(verdicts)
    return Terms(
        prompts=tuple(f"{prefix}/{i:05d}" for i in range(n)),
        num=np.where(valid, verdicts, 0).sum(1) * scale,
        den=valid.sum(1).astype(float),
        planned=np.full(n, float(k)),
        cat=cat,
        categories=CATEGORIES,
        weights=np.full(6, 1 / 6),
        hi=scale,
        step=scale / k,
    )


def write_run(
    path,
    verdicts,
    *,
    benchmarks=("geneval",),
    model="model",
    policy="policy-1",
    judge="micro-1",
    data="world-1",
    protocol="official",
    complete=True,
    text="a photo of a star",
    scale=1.0,
    lost=None,
):
    """A finished run of one or several benchmarks with the same verdicts; `lost` marks missing images (P, k)."""
    path.mkdir(parents=True)
    seen = np.where(lost, np.nan, verdicts) if lost is not None else verdicts
    blocks, terms, scores, prompts = {}, {}, [], []
    for name in benchmarks:
        t = terms_of(seen, prefix=name, scale=scale)
        metric = {"geneval": "overall", "gedit": "overall/O", "tiif": "overall/long"}[name]
        rates = np.array([t.num[t.cat == g].sum() / t.den[t.cat == g].sum() for g in range(6)])
        blocks[name] = {
            "judge": judge,
            "judge_prompt": "",
            "data": data,
            "title": name,
            "headline": [metric],
            "details": [],
            "n_prompts": len(t.prompts),
            "n_answers": int(t.planned.sum()),
            "n_missing": int((t.planned - t.den).sum()),
            "values": {metric: {"value": float(rates.mean()), "ci_low": None, "ci_high": None, "n": 1, "n_missing": 0}},
        }
        terms[name] = to_json({metric: t})
        own = {"geneval": "correct", "gedit": "o", "tiif": "question/0"}[name]
        for p, row in zip(t.prompts, seen * scale, strict=True):
            prompts.append({"benchmark": name, "id": p, "text": text, "category": "", "source_images": []})
            for i, v in enumerate(row):
                key = {"benchmark": name, "prompt_id": p, "gen_seed": 0, "index": i, "round": 0}
                value = None if np.isnan(v) else float(v)
                scores.append({"key": key, "metric": own, "value": value, "reason": ""})
    summary = {"run": str(path), "model": model, "profile": "micro", "protocol": protocol, "complete": complete}
    manifest = {
        "identity": {"policy": policy},
        "updated": 1.7e9,
        "config": {"generation": {}, "seeds": [0], "samples_per_prompt": None},
        "environment": {"ummbench": "0", "python": "3.11", "machine": "x86_64", "packages": {"torch": "2"}},
    }
    for file, value in (
        ("summary.json", {**summary, "benchmarks": blocks}),
        ("terms.json", terms),
        ("manifest.json", manifest),
    ):
        (path / file).write_text(json.dumps(value))
    for file, rows in (("scores.jsonl", scores), ("prompts.jsonl", prompts)):
        (path / file).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path
