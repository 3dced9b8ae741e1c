"""The shipped model end to end: invariance to batching and order, a noisy judge, and a rescore that agrees."""

import random

import numpy as np
import pytest
from PIL import Image

from benchmarks.geneval import GenEval
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.progress import Silent
from harness.rescore import rescore_run


def run(out, **settings):
    config = EvalConfig(benchmarks=["geneval", "tiif"], limit=18, samples_per_prompt=2, out=str(out), threads=1)
    return evaluate(EvalConfig(**{**_fields(config), **settings}), "micro", Silent())


def _fields(config):
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "reference")


def pictures(result):
    """Every sample's pixels by generation id, (48, 48, 3) int."""
    found = {}
    for generations in result.generations.values():
        for g in generations.values():
            found[g.id] = np.asarray(Image.open(result.path / g.image), dtype=int)
    return found


def verdicts(result):
    return {(s.key, s.metric): s.value for scores in result.scores.values() for s in scores}


def assert_same(a, b):
    assert verdicts(a) == verdicts(b)
    first, second = pictures(a), pictures(b)
    assert first.keys() == second.keys()
    assert max(np.abs(first[k] - second[k]).max() for k in first) <= 1


def test_the_default_model_scores_both_benchmarks_completely(reference):
    assert reference.complete
    for name in ("geneval", "tiif"):
        block = reference.summary["benchmarks"][name]
        assert block["n_missing"] == 0 and block["n_samples"] == 36
        value = block["values"][block["headline"][0]]
        assert 0.2 < value["value"] < 0.95
        if value["ci_low"] is None:
            assert "one prompt per category" in value["method"]
        else:
            assert value["ci_low"] < value["value"] < value["ci_high"]


@pytest.mark.parametrize("size", [1, 3, 8])
def test_batch_size_changes_nothing(reference, tmp_path, size):
    assert_same(reference, run(tmp_path / "run", batch_size=size))


def test_prompt_order_changes_nothing(reference, tmp_path, monkeypatch):
    ordered = GenEval.prompts

    def shuffled(self):
        prompts = ordered(self)
        chosen = [prompts[i * len(prompts) // 18] for i in range(18)]
        random.Random(5).shuffle(chosen)
        return chosen

    monkeypatch.setattr(GenEval, "prompts", shuffled)
    monkeypatch.setattr(GenEval, "data_id", "shuffled")
    assert_same(reference, run(tmp_path / "run"))


def test_rescoring_the_run_gives_its_summary(reference):
    again = rescore_run(reference.path, [], None, 0.01).summary
    assert again == reference.summary
    corrected = rescore_run(reference.path, [], "corrected", 0.01).summary
    assert corrected["protocol"] == "corrected"


def test_a_noisy_judge_changes_answers_and_is_named(reference, tmp_path):
    noisy = run(tmp_path / "run", judge="micro:flip=0.3", benchmarks=["tiif"])
    block = noisy.summary["benchmarks"]["tiif"]
    assert "flip=0.3" in block["judge"]
    changed = [k for k, v in verdicts(noisy).items() if verdicts(reference)[k] != v]
    assert 0.15 < len(changed) / len(verdicts(noisy)) < 0.45
