"""Scores drawn at random for the prompts of a micro edition: what every aggregate must cope with."""

from __future__ import annotations

from harness.evalconfig import EvalConfig
from harness.evaluate import make_benchmark
from harness.types import SampleKey, Score

CASES = {
    "geneval": {},
    "tiif": {},
    "dpg": {},
    "wise": {},
    "wise-legacy": {"variant": "legacy"},
    "gedit": {},
    "dvtest": {},
    "reward": {"name": "dvreward"},
}
"""Editions by name: benchmark and its options."""


def edition(case, protocol, n_prompts=48):
    """A benchmark and some of its prompts, evenly spread, by id."""
    name = case.partition("-")[0]
    benchmark = make_benchmark(name, EvalConfig(protocol=protocol, options={name: CASES[case]}))
    everything = benchmark.prompts()
    return benchmark, {p.id: p for p in everything[:: max(1, len(everything) // n_prompts)]}


def draw(benchmark, prompts, rng, *, missing=0.0, samples=1):
    """Scores of every sample; each is lost with probability `missing`, a tenth of the lost prompts altogether."""
    found = []
    for prompt in prompts.values():
        if rng.random() < missing / 10:
            continue
        for index in range(samples):
            key = SampleKey(benchmark=benchmark.name, prompt_id=prompt.id, index=index)
            lost = rng.random() < missing
            for metric, value in _values(benchmark, prompt, rng).items():
                gone = lost if benchmark.name != "tiif" else rng.random() < missing
                reason = "lost" if gone else ""
                found.append(Score(key=key, metric=metric, value=None if gone else value, reason=reason))
    return found


def _values(benchmark, prompt, rng):
    def verdict():
        return float(rng.random() < 0.7)

    match benchmark.name:
        case "geneval":
            return {"correct": verdict()}
        case "wise" if benchmark.options.variant == "legacy":
            return {s: float(rng.integers(3)) for s in ("consistency", "realism", "aesthetic_quality")}
        case "wise":
            return {"score": verdict()}
        case "tiif":
            return {f"question/{i}": verdict() for i in range(len(prompt.meta["questions"]))}
        case "dpg":
            return {f"question/{q['proposition_id']}": verdict() for q in prompt.meta["questions"]}
        case "gedit":
            sc, pq = (float(rng.integers(11)) for _ in range(2))
            return {"sc": sc, "pq": pq, "o": (sc * pq) ** 0.5}
    return {"reward": rng.random(), "semantic": rng.random(), "all_yes": verdict(), "n_asked": 5.0}
