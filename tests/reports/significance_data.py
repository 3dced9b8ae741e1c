"""Run directories written by hand: terms and a summary, without a model or a judge."""

import json

import numpy as np

from harness.stats import influence_values
from harness.terms import Terms, to_json


def make_terms(a, cat, weights, *, den=None, prompts=None, planned=None, hi=1.0, step=1.0):
    """Terms of one row of scores; NaN is a missing prompt."""
    a = np.asarray(a, float)
    den = np.where(np.isnan(a), 0.0, 1.0 if den is None else den) + np.zeros_like(a)
    return Terms(
        prompts=prompts or tuple(f"p{i}" for i in range(len(a))),
        num=np.nan_to_num(a),
        den=den,
        planned=np.maximum(1.0, den) if planned is None else np.asarray(planned, float),
        cat=np.asarray(cat, np.intp),
        categories=tuple(f"c{g}" for g in range(len(weights))),
        weights=np.asarray(weights, float),
        hi=hi,
        step=step,
    )


def cell(terms):
    """The entry of `summary.json` that an adapter writes for such terms."""
    value = float(influence_values(terms.num, terms.cat, terms.weights, terms.den).theta)
    return {
        "value": None if np.isnan(value) else value,
        "ci_low": None,
        "ci_high": None,
        "n": int(terms.den.sum()),
        "n_missing": int((terms.planned - terms.den).sum()),
        **terms.interval(),
    }


def write_run(path, benchmarks, *, model="model", judge="judge-1", protocol="official", headline=None):
    """`path` as a finished run; `benchmarks` maps a name to {metric: Terms}."""
    path.mkdir(parents=True, exist_ok=True)
    blocks = {
        name: {
            "judge": judge,
            "judge_prompt": "",
            "data": f"{name}-data",
            "title": name,
            "headline": headline or [next(iter(metrics))],
            "details": ["type/"],
            "values": {m: cell(t) for m, t in metrics.items()},
        }
        for name, metrics in benchmarks.items()
    }
    summary = {
        "run": str(path),
        "model": model,
        "profile": "micro",
        "protocol": protocol,
        "complete": True,
        "benchmarks": blocks,
    }
    (path / "summary.json").write_text(json.dumps(summary))
    (path / "terms.json").write_text(json.dumps({n: to_json(m) for n, m in benchmarks.items()}))
    return path
