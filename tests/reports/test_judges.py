"""Rank agreement of judges over a sweep's checkpoints, on result folders written by hand."""

import json

import pytest
from scipy.stats import spearmanr

from reports.judges import write_agreement

VALUES = {"a": [0.1, 0.2, 0.3], "b": [0.5, 0.4, 0.6], "c": [0.9, 0.8, 0.7]}
OTHER = {"a": [0.2, 0.1, 0.4], "b": [0.5, 0.6, 0.3], "c": [0.8, 0.9, 0.95]}


def evaluation(tmp_path, name, judge, values):
    folder = tmp_path / "results" / name
    folder.mkdir(parents=True)
    conditions = {}
    for condition, scores in values.items():
        conditions[condition] = []
        for seed, value in enumerate(scores):
            run = tmp_path / condition / f"seed-{seed}" / f"eval-{name}"
            run.mkdir(parents=True)
            cell = {"value": value, "ci_low": None, "ci_high": None, "n": 1, "n_missing": 0}
            block = {
                "judge": judge,
                "judge_prompt": "",
                "data": "d",
                "headline": ["overall"],
                "values": {"overall": cell},
            }
            summary = {"model": "m", "profile": "micro", "protocol": "official", "benchmarks": {"geneval": block}}
            (run / "summary.json").write_text(json.dumps(summary))
            conditions[condition].append({"seed": seed, "run": f"../../{condition}/seed-{seed}/eval-{name}"})
    (folder / "sweep.json").write_text(
        json.dumps({"name": "s", "conditions": conditions, "reference": "a", "base": None})
    )
    return folder


def test_checkpoints_are_ranked_by_both_judges_and_equal_judges_are_not_compared(tmp_path):
    folders = [
        evaluation(tmp_path, "first", "exact", VALUES),
        evaluation(tmp_path, "other", "network", OTHER),
        evaluation(tmp_path, "again", "exact", VALUES),
    ]
    text = write_agreement(folders, tmp_path).read_text()
    rows = [line for line in text.splitlines() if "checkpoints |" in line]
    assert len(rows) == 1  # one pair of judges, though three evaluations
    expected = spearmanr([v for x in VALUES.values() for v in x], [v for x in OTHER.values() for v in x]).statistic
    assert float(rows[0].split("|")[6]) == pytest.approx(expected, abs=1e-4)
    assert "conditions |" not in text.split("Note")[0]  # three conditions have no rank correlation worth printing


def test_one_judge_alone_has_nothing_to_agree_with(tmp_path):
    folders = [evaluation(tmp_path, "first", "exact", VALUES), evaluation(tmp_path, "again", "exact", OTHER)]
    assert write_agreement(folders, tmp_path) is None


def test_complete_agreement_prints_no_interval_of_width_zero(tmp_path):
    folders = [evaluation(tmp_path, "first", "exact", VALUES), evaluation(tmp_path, "other", "network", VALUES)]
    (row,) = [x for x in write_agreement(folders, tmp_path).read_text().splitlines() if "checkpoints |" in x]
    assert [cell.strip() for cell in row.split("|")[6:9]] == ["1.0", "", ""]
