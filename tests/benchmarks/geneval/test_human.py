import csv
import gzip
import io
import json
from dataclasses import replace

import pytest

from benchmarks.geneval import GenEval
from benchmarks.geneval.human import read_annotations
from harness.errors import DataError

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
SIZES = (52, 72, 68, 76, 80, 52)
CONTROL = {
    "clip": ((51, 17, 31, 56, 6, 0), 305, 0.8920, 0.9125, (921, 550, 344, 185)),
    "if-xl": ((52, 61, 52, 65, 24, 33), 293, 0.8755, 0.8975, (1311, 500, 159, 30)),
    "sdv2": ((52, 44, 37, 67, 12, 15), 262, 0.8360, 0.8375, (1082, 596, 250, 72)),
}

HEADER = [
    *("HITId", "Input.index", "Input.prompt_id", "Input.image_id", "Input.caption"),
    *("Input.object_0_name", "Input.object_1_name"),
    *("Answer.task-color-0", "Answer.task-color-1", "Answer.task-count-0", "Answer.task-count-1"),
    *("Answer.task-position-x", "Answer.task-position-y", "Answer.task-quality"),
]


def row(caption="a photo of a bench", names=("bench", ""), **answers):
    values = {
        "HITId": "H",
        "Input.prompt_id": "0",
        "Input.image_id": "0",
        "Input.caption": caption,
        "Input.object_0_name": names[0],
        "Input.object_1_name": names[1],
        "Answer.task-count-0": "1",
        "Answer.task-quality": "4",
    }
    return {**values, **answers}


def write(path, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def table(source, data_dir=None, name=None):
    benchmark = GenEval(profile="official", protocol="official", data_dir=data_dir)
    found = benchmark.import_results(source)
    (model,) = found
    if name is not None:
        assert model == name
    imported = found[model]
    return imported, {s.metric: s for s in benchmark.aggregate(imported.prompts, imported.scores)}


@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("model", sorted(CONTROL))
def test_released_annotations_give_the_control_totals(official, model, with_data):
    majority, unanimous, pairwise, quality4, quality = CONTROL[model]
    source = official / "geneval" / f"annotations_{model}.csv.gz"
    imported, got = table(source, official if with_data else None, model)
    assert tuple(got[f"human/majority/{t}"].extra["correct"] for t in TAGS) == majority
    assert tuple(got[f"human/majority/{t}"].n for t in TAGS) == SIZES
    assert got["human/majority/total"].extra == {"correct": sum(majority), "total": 400}
    assert got["human/unanimous/total"].extra["images"] == unanimous
    assert got["human/pairwise/total"].value == pairwise
    assert got["human/quality4/total"].value == quality4
    assert tuple(imported.report["quality"][q] for q in "4321") == quality
    assert (imported.report["images"], imported.report["annotations"], imported.notes) == (400, 2000, [])
    assert len(imported.prompts) == 100


def test_captions_and_names_give_the_official_metadata(official):
    data = gzip.decompress((official / "geneval" / "annotations_clip.csv.gz").read_bytes())
    lines = (official / "geneval" / "evaluation_metadata.jsonl").read_text().splitlines()
    imported, _ = table(official / "geneval" / "annotations_clip.csv.gz")
    for prompt in imported.prompts.values():
        assert prompt.meta == json.loads(lines[int(prompt.id.split("/")[1])])
    assert len(read_annotations(data, where="clip")) == 2000


def test_carriage_returns_inside_fields_do_not_split_records(tmp_path):
    path = write(tmp_path / "a.csv", [row(), row()])
    path.write_bytes(path.read_bytes().replace(b"H,,", b'"H\rx",,', 1))
    assert len(read_annotations(path.read_bytes(), where="a")) == 2


@pytest.mark.parametrize(
    ("caption", "names", "answers", "correct"),
    [
        ("a photo of a bench", ("bench", ""), {"Answer.task-count-0": "5"}, True),
        ("a photo of a bench", ("bench", ""), {"Answer.task-count-0": "0"}, False),
        ("a photo of two clocks", ("clock", ""), {"Answer.task-count-0": "2.0"}, True),
        ("a photo of two clocks", ("clock", ""), {"Answer.task-count-0": "3"}, False),
        ("a photo of a red cup", ("cup", ""), {"Answer.task-color-0": "blue|red"}, True),
        ("a photo of a red cup", ("cup", ""), {"Answer.task-color-0": "gray"}, False),
        ("a photo of a cup and a cat", ("cup", "cat"), {"Answer.task-count-1": "1.0"}, True),
        ("a photo of a cup and a cat", ("cup", "cat"), {"Answer.task-count-1": "0.0"}, False),
        (
            "a photo of a cat left of a cup",
            ("cup", "cat"),
            {"Answer.task-count-1": "1", "Answer.task-position-x": "left", "Answer.task-position-y": "above"},
            True,
        ),
        (
            "a photo of a cat below a cup",
            ("cup", "cat"),
            {"Answer.task-count-1": "1", "Answer.task-position-x": "left", "Answer.task-position-y": "above"},
            False,
        ),
        (
            "a photo of a red cup and an orange cat",
            ("cup", "cat"),
            {"Answer.task-count-1": "1", "Answer.task-color-0": "red", "Answer.task-color-1": "orange"},
            True,
        ),
        (
            "a photo of a red cup and an orange cat",
            ("cup", "cat"),
            {"Answer.task-count-1": "1", "Answer.task-color-0": "orange", "Answer.task-color-1": "red"},
            False,
        ),
    ],
)
def test_one_answer_is_correct_exactly_if_all_demands_hold(tmp_path, caption, names, answers, correct):
    source = write(tmp_path / "annotations_x.csv", [row(caption, names, **answers)] * 5)
    _, got = table(source, name="x")
    assert got["human/majority/total"].value == float(correct)


def test_measures_follow_from_five_verdicts_and_quality(tmp_path):
    def image(i, counts, quality):
        return [
            row(**{"Input.image_id": str(i), "Answer.task-count-0": c, "Answer.task-quality": q})
            for c, q in zip(counts, quality, strict=True)
        ]

    rows = image(0, "11100", "44411") + image(1, "11110", "43331")
    rows += image(2, "00000", "11111")
    _, got = table(write(tmp_path / "annotations_x.csv", rows))
    assert got["human/majority/total"].value == pytest.approx(2 / 3)
    assert got["human/unanimous/total"].value == pytest.approx(1 / 3)
    assert got["human/pairwise/total"].extra == {"equal_pairs": 4 + 6 + 10, "pairs": 30}
    assert got["human/quality4/total"].extra["images"] == 2  # image 1: majority correct, but not of quality 4


def test_image_with_fewer_people_is_missing_and_noted(tmp_path):
    rows = [row()] * 5 + [row(**{"Input.image_id": "1"})] * 3
    imported, got = table(write(tmp_path / "annotations_x.csv", rows))
    assert (got["human/majority/total"].n, got["human/majority/total"].n_missing) == (1, 1)
    assert "image 1 (3)" in imported.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Answer.task-count-0": "6"}, "record 2 .*Answer.task-count-0 is '6'"),
        ({"Answer.task-count-0": ""}, "Answer.task-count-0"),
        ({"Answer.task-quality": "True"}, "Answer.task-quality is 'True'"),
        ({"Answer.task-color-0": "teal"}, "unknown colour 'teal'"),
        ({"Answer.task-position-x": "up"}, "Answer.task-position-x"),
        ({"Input.caption": "a picture of a bench"}, "two captions"),
    ],
)
def test_answers_outside_their_scale_are_refused_by_record_and_column(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        table(write(tmp_path / "annotations_x.csv", [row(), row(**change)]))


def test_unknown_caption_missing_column_and_cut_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="none of the official forms"):
        table(write(tmp_path / "a.csv", [row(caption="a photo of five benchs")]))
    path = write(tmp_path / "b.csv", [row()])
    path.write_text(path.read_text().replace("Answer.task-quality", "quality"))
    with pytest.raises(DataError, match=r"no column Answer\.task-quality"):
        table(path)
    path = write(tmp_path / "c.csv", [row(), row()])
    path.write_text(path.read_text()[:-12])
    with pytest.raises(DataError, match=r"record 2 .*fields"):
        table(path)


def test_caption_of_another_official_line_is_refused(official, tmp_path):
    source = write(tmp_path / "a.csv", [row(**{"Input.prompt_id": "1"})] * 5)
    with pytest.raises(DataError, match="official prompt of that line"):
        table(source, official)


def test_cut_gzip_file_is_refused(official, tmp_path):
    path = tmp_path / "annotations_x.csv.gz"
    path.write_bytes((official / "geneval" / "annotations_clip.csv.gz").read_bytes()[:20000])
    with pytest.raises(DataError, match="gzip"):
        table(path)


def test_human_and_judge_scores_do_not_share_a_table(official):
    benchmark = GenEval(profile="official", protocol="official")
    (imported,) = benchmark.import_results(official / "geneval" / "annotations_clip.csv.gz").values()
    mixed = [replace(imported.scores[0], metric="correct"), *imported.scores[1:]]
    with pytest.raises(DataError, match="one table"):
        benchmark.aggregate(imported.prompts, mixed)
