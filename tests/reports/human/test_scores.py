"""Labels and judge together: against the statistics worked out by hand, and against the truth over many draws."""

import json

import numpy as np
import pytest

from harness.cli.main import main
from harness.errors import ConfigError, DataError
from harness.stats import prediction_powered
from reports.groups import design_of
from reports.human import draw_prompts, human_scores, read_sheet, write_sheet
from reports.runs import load_run
from tests.reports.human.made import fill, judged_run, read, truth_and_judge, write

N, K = 240, 2
CAT, W = np.arange(N) * 6 // N, np.full(6, 1 / 6)


def labelled(tmp_path, seed=0, n=60, name="run", **options):
    """(run, filled sheet, truth, judge)."""
    truth, judge = truth_and_judge(N, K, seed, **options)
    path = judged_run(tmp_path / name, judge)
    run = load_run(path)
    sheet = tmp_path / f"{name}.csv"
    write_sheet(run, {"geneval": draw_prompts(run.terms("geneval")["overall"], n, seed, "geneval")}, sheet)
    return path, fill(sheet, truth), truth, judge


def one(path, sheet):
    return human_scores(design_of([path], (), None), {"": read_sheet(sheet)})[0]


def test_it_is_the_stratified_estimate_of_prompt_means(tmp_path):
    path, sheet, truth, judge = labelled(tmp_path)
    found = one(path, sheet)
    chosen = np.zeros(N, bool)
    chosen[[int(r["prompt_id"][-5:]) for r in read(sheet)]] = True
    y, f = truth.mean(1), judge.mean(1)
    parts = y[chosen], f[chosen], f[~chosen]
    known = {"cat_labelled": CAT[chosen], "cat_unlabelled": CAT[~chosen], "weights": W}
    both, alone = prediction_powered(*parts, **known), prediction_powered(*parts, **known, lam=0.0)
    assert (found.est, found.low, found.high, found.weight) == pytest.approx((both.est, both.low, both.high, both.lam))
    assert (found.labels, found.labels_low) == pytest.approx((alone.est, alone.low))
    assert found.judge == pytest.approx(np.mean([f[g == CAT].mean() for g in range(6)]))
    assert (found.n_labelled, found.n_others, found.n_blank, found.remark) == (60, 180, 0, "")
    assert found.label_factor == pytest.approx(both.label_factor) and found.label_factor > 1.5


def test_a_judge_that_says_yes_too_often_is_corrected(tmp_path):
    """Over draws the estimate is unbiased and its interval holds, where the judge alone is nine points off."""
    hits, errors, alone, n = 0, [], [], 60
    for seed in range(n):
        (tmp_path / str(seed)).mkdir()
        path, sheet, *_ = labelled(tmp_path / str(seed), seed, wrong=0.3)
        found = one(path, sheet)
        errors.append(found.est - 0.7)
        hits += found.low <= 0.7 <= found.high
        alone.append(found.judge - 0.7)
    assert np.mean(alone) == pytest.approx(0.09, abs=0.01)
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(n)
    assert hits >= 52  # 0.95 n less about three standard errors


def test_prompts_of_unequal_numbers_of_images_count_as_in_the_pooled_mean(tmp_path):
    """GenEval's tasks are means over images; with a perfect judge both routes give that mean exactly."""
    truth, _ = truth_and_judge(N, K, 0)
    seen = truth.copy()
    seen[::3, 1] = np.nan
    path = judged_run(tmp_path / "run", seen, lost={(i, 1) for i in range(0, N, 3)})
    run, sheet = load_run(path), tmp_path / "s.csv"
    write_sheet(run, {"geneval": draw_prompts(run.terms("geneval")["overall"], 60, 0, "geneval")}, sheet)
    found = one(path, fill(sheet, truth))
    pooled = np.mean([np.nanmean(seen[g == CAT]) for g in range(6)])
    assert found.judge == pytest.approx(pooled) and found.weight <= 1
    assert found.est + (1 - found.weight) * (pooled - found.labels) == pytest.approx(pooled, abs=0.02)


def test_a_difference_is_that_of_differences(tmp_path):
    x, y = labelled(tmp_path, 0, name="x"), labelled(tmp_path, 1, name="y", chance=0.5)
    for r, (_, sheet, truth, _) in zip("xy", (x, y), strict=True):  # the same prompts on both sides
        sheet.unlink()
        run = load_run(tmp_path / r)
        drawn = draw_prompts(run.terms("geneval")["overall"], 60, 7, "geneval")
        write_sheet(run, {"geneval": drawn}, sheet)
        fill(sheet, truth)
    design = design_of([x[0], y[0]], (), None)
    names = [c.name for c in design.conditions]
    found = human_scores(design, {n: read_sheet(s) for n, s in zip(names, (x[1], y[1]), strict=True)})
    value_x, value_y, difference = found
    assert (difference.condition, difference.reference) == (names[1], names[0])
    assert difference.labels == pytest.approx(value_y.labels - value_x.labels)
    assert difference.judge == pytest.approx(value_y.judge - value_x.judge)
    assert difference.low < -0.2 < difference.high and difference.high < 0


def test_prompts_left_empty_are_told_and_partly_labelled_ones_refused(tmp_path):
    path, sheet, truth, _ = labelled(tmp_path)
    numbers = sorted({int(r["prompt_id"][-5:]) for r in read(sheet)})
    found = one(path, fill(sheet, truth, leave=numbers[:1], out=tmp_path / "part.csv"))
    assert found.n_labelled == 59 and found.remark.startswith("1 drawn prompts have no label; not valid if")
    rows = read(sheet)
    rows[1]["value"] = ""
    with pytest.raises(DataError, match=r"half\.csv, line 2: .* is labelled in part: image 1 of seed 0 has no value"):
        one(path, write(tmp_path / "half.csv", rows))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "2"}, "line 2, value: expected 0 to 1, got 2"),
        ({"image_sha256": "00"}, r"line 2, image_sha256: the label is of another image \(00, this run has"),
        ({"index": "7"}, "has no image 7 of seed 0 in this run"),
        ({"prompt_id": "geneval/99999"}, "prompt_id: 'geneval/99999' is no prompt of geneval overall"),
        ({"benchmark": "dpg"}, "labels of 'dpg'; .* holds geneval"),
    ],
)
def test_labels_of_another_run_are_refused(tmp_path, change, message):
    path, sheet, *_ = labelled(tmp_path)
    rows = read(sheet)
    rows[0] |= change
    with pytest.raises(DataError, match=message):
        one(path, write(sheet, rows))


def test_without_hashes_it_says_what_was_not_checked(tmp_path):
    path, sheet, *_ = labelled(tmp_path)
    write(sheet, [{k: v for k, v in r.items() if k != "image_sha256"} for r in read(sheet)])
    assert "not checked that it is of these images" in one(path, sheet).remark


def test_too_few_labels_and_labels_without_spread_have_no_interval(tmp_path):
    path, sheet, _truth, _ = labelled(tmp_path)
    rows = read(sheet)
    found = one(path, write(tmp_path / "few.csv", rows[:8]))
    assert found.est is None and "fewer than two scored prompts with a label" in found.remark
    alike = judged_run(tmp_path / "alike", np.ones((N, K)))
    run, other = load_run(alike), tmp_path / "alike.csv"
    write_sheet(run, {"geneval": draw_prompts(run.terms("geneval")["overall"], 60, 0, "geneval")}, other)
    assert "are alike: no spread" in one(alike, fill(other, np.ones((N, K)))).remark


def test_a_scale_without_ends_keeps_a_finite_interval_where_the_judge_was_never_wrong(tmp_path):
    truth, _ = truth_and_judge(N, K, 0)
    path = judged_run(tmp_path / "run", truth)
    content = json.loads((path / "terms.json").read_bytes())
    content["geneval"]["metrics"]["overall"]["range"] = [None, None]
    (path / "terms.json").write_text(json.dumps(content))
    run, sheet = load_run(path), tmp_path / "s.csv"
    write_sheet(run, {"geneval": draw_prompts(run.terms("geneval")["overall"], 60, 0, "geneval")}, sheet)
    found = one(path, fill(sheet, truth))
    assert found.weight > 0 and -1 < found.low < found.est < found.high < 2


def test_seeds_of_one_method_have_no_sheet(tmp_path):
    path, sheet, *_ = labelled(tmp_path)
    other = judged_run(tmp_path / "other", truth_and_judge(N, K, 5)[1])
    design = design_of([], [f"method={path},{other}"], None)
    with pytest.raises(ConfigError, match="method holds 2 runs, and labels belong to the images of one"):
        human_scores(design, {"method": read_sheet(sheet)})
    with pytest.raises(ConfigError, match="whose images are these"):
        human_scores(design_of([path, other], (), None), {"": read_sheet(sheet)})


def test_from_the_command_line(tmp_path, capsys):
    truth, judge = truth_and_judge(N, K, 0)
    path, sheet = judged_run(tmp_path / "run", judge), tmp_path / "s.csv"
    assert call(capsys, "labels", path, "-n", "60", "-o", sheet, "--json")[1] == {
        "file": str(sheet), "images": 120, "prompts": {"geneval": 60}
    }  # fmt: skip
    fill(sheet, truth)
    code, found = call(capsys, "report", path, "--human", sheet, "--no-page", "--json", "-o", tmp_path / "out")
    assert code == 0 and found["human"][0]["n_labelled"] == 60
    assert json.loads((tmp_path / "out/report.json").read_text())["human"] == found["human"]
    assert "As people would rate it" in (tmp_path / "out/report.md").read_text()
    for wrong, message in (
        (["labels", path, "-b", "genevil"], "Did you mean 'geneval'"),
        (["labels", path, "-o", sheet], "exists; labels in it would be lost"),
        (["report", path, "--human", f"other={sheet}"], "Unknown condition in --human 'other'"),
        (["report", path, "--human", sheet, "--human", sheet], "a second sheet"),
        (["report", path, "--table", "1", "--human", sheet], "not with --table"),
    ):
        with pytest.raises(SystemExit) as leaving:
            main(list(map(str, wrong)))
        assert leaving.value.code in (1, 2) and message in capsys.readouterr().err


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as leaving:
        main(list(map(str, arguments)))
    return leaving.value.code, json.loads(capsys.readouterr().out)
