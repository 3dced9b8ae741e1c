"""Recorded judges against people: published numbers come back; released annotations give their control totals."""

import csv
import gzip
import io
import json

import numpy as np
import pytest

from harness.audit import geneval, viescore
from harness.audit.recorded import run_recorded
from harness.errors import ConfigError, DataError
from harness.stats import cohens_kappa, krippendorff_alpha, rating_table


@pytest.fixture(scope="module")
def recorded(official):
    if not (official / "viescore").is_dir():
        pytest.skip("recorded VIEScore answers are not here (../shared/official/viescore)")
    return run_recorded("recorded:viescore", official / "viescore")


def values(audit):
    return {(r.section, r.measure): r for r in audit.rows}


def test_published_numbers_are_reproduced(recorded):
    row = values(recorded)["published numbers", "largest difference"]
    assert row.value <= 1e-3 and row.n > 350
    assert "NOT" not in row.note


def test_correlations_of_every_generator_are_in_the_details(recorded, official):
    expected = json.loads((official / "viescore" / "official_numbers.json").read_text())["recomputed"]
    n = 0
    for judge, tasks in recorded.sections["recorded answers"].details.items():
        for task, generators in tasks.items():
            for generator, entry in generators.items():
                if generator.startswith("_"):
                    continue
                for column, rho in expected[judge][task][generator]["spearman"].items():
                    assert entry["spearman"][column] == pytest.approx(rho, abs=1e-3)
                    low, high = entry["interval"][column]
                    assert low < entry["spearman"][column] < high
                    n += 1
    assert n > 90


def test_people_agree_better_with_each_other_than_a_judge_does(recorded):
    found = values(recorded)
    for task in ("editing", "text to image"):
        people = found[f"people · {task}", "Krippendorff's alpha of 3 raters, SC"]
        judge = found[f"gpt4o_0shot · {task}", "Krippendorff's alpha with people, SC"]
        guesser = found[f"cogvlm_0shot · {task}", "Krippendorff's alpha with people, SC"]
        assert people.value > judge.value > guesser.value
        assert people.low < people.value < people.high
    guessed = found["cogvlm_0shot · editing", "Spearman with people, SC"]
    assert guessed.low < 0 < guessed.high and "guess" in guessed.note


def test_one_recorded_judge_can_be_named(official):
    audit = run_recorded("recorded:viescore/gemini_0shot", official / "viescore")
    assert set(audit.sections["recorded answers"].details) == {"gemini_0shot"}
    with pytest.raises(ConfigError, match="gpt4o_0shot"):
        run_recorded("recorded:viescore/gpt4o", official / "viescore")


def test_missing_files_and_names_say_what_is_wanted(tmp_path):
    with pytest.raises(DataError, match=r"recorded_answers\.tar\.gz"):
        viescore.read(tmp_path)
    with pytest.raises(DataError, match="annotations_"):
        geneval.read(tmp_path)
    with pytest.raises(ConfigError, match="--source DIR is missing"):
        run_recorded("recorded:viescore", None)
    with pytest.raises(ConfigError, match="Did you mean 'viescore'"):
        run_recorded("recorded:viscore", tmp_path)
    (tmp_path / "recorded_answers.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(DataError, match="cannot be unpacked"):
        viescore.read(tmp_path)


# GenEval

TOTALS = {"clip": (161, 0.8920, 0.9125), "if-xl": (287, 0.8755, 0.8975), "sdv2": (227, 0.8360, 0.8375)}


@pytest.fixture(scope="module")
def rated(official):
    return geneval.read(official / "geneval")


def test_released_annotations_give_their_control_totals(rated):
    rows = {(r.section, r.measure): r for r in geneval.measure_people(rated).rows}
    assert {r.name for r in rated} == set(TOTALS)
    for name, (correct, pairs, quality) in TOTALS.items():
        where = f"people · GenEval {name}"
        assert rows[where, "images correct by majority"].value == pytest.approx(correct / 400)
        assert rows[where, "pairs of people who agree"].value == pytest.approx(pairs, abs=1e-9)
        fits = rows[where, "majority agrees with 'fully captures the caption'"]
        assert fits.value == pytest.approx(quality) and fits.n == 400
        alpha = rows[where, "Krippendorff's alpha of 5 people"]
        assert alpha.low < alpha.value < alpha.high


def test_one_against_the_others_leaves_even_splits_out(rated):
    (found,) = [r for r in rated if r.name == "sdv2"]
    n = agree = 0
    for image in found.verdicts.T:
        for k in range(5):
            others = np.delete(image, k).sum()
            if others != 2:
                n += 1
                agree += (others > 2) == image[k]
    rows = {r.measure: r for r in geneval.measure_people([found]).rows}
    row = rows["one person agrees with the other four"]
    assert (row.n, row.value) == (n, pytest.approx(agree / n)) and row.n_missing == 0


def write_verdicts(path, found, flip):
    lines = []
    for i, ((prompt, image), correct) in enumerate(zip(found.keys, found.majority, strict=True)):
        metadata = {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"}
        lines.append(
            json.dumps(
                {
                    "filename": f"out/{prompt:05d}/samples/{image:04d}.png",
                    "tag": "single_object",
                    "prompt": "a photo of a bench",
                    "correct": bool(correct) != (i in flip),
                    "reason": "",
                    "metadata": json.dumps(metadata),
                    "details": "{}",
                }
            )
        )
    path.write_text("\n".join(lines))


def test_a_judges_verdicts_are_compared_with_the_majority(rated, tmp_path, official):
    (found,) = [r for r in rated if r.name == "sdv2"]
    flip = set(range(0, 400, 8))
    path = tmp_path / "results_sdv2.jsonl"
    write_verdicts(path, found, flip)
    audit = run_recorded("recorded:geneval", official / "geneval", path)
    rows = {r.measure: r for r in audit.sections["verdicts"].rows}
    assert rows["agrees with the majority"].value == pytest.approx(350 / 400)
    judge = np.array([m != (i in flip) for i, m in enumerate(found.majority)], float)
    people = found.majority.astype(float)
    assert rows["Cohen's kappa with the majority"].value == cohens_kappa(rating_table(judge, people)[0]).value
    assert rows["Krippendorff's alpha with the majority"].value == krippendorff_alpha(np.stack([judge, people])).value
    by_task = audit.sections["verdicts"].details["by_task"]
    assert sum(t["images"] for t in by_task.values()) == 400
    assert sum(t["agrees"] * t["images"] for t in by_task.values()) == pytest.approx(350)


def test_verdicts_must_say_whose_images_they_are_about(rated, tmp_path):
    path = tmp_path / "results.jsonl"
    write_verdicts(path, rated[0], set())
    with pytest.raises(DataError, match="cannot tell whose images"):
        geneval.measure_judge(rated, path)


def test_a_single_annotation_file_is_enough(tmp_path, official):
    data = gzip.decompress((official / "geneval" / "annotations_clip.csv.gz").read_bytes()).decode()
    rows = list(csv.reader(io.StringIO(data.replace("\r", " "), newline="")))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows[:101])
    (tmp_path / "annotations_few.csv").write_text(out.getvalue())
    (found,) = geneval.read(tmp_path)
    assert found.name == "few" and found.verdicts.shape == (5, len(found.keys)) and len(found.keys) == 20
