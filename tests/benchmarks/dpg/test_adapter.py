import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.dpg import DPG, DPGOptions
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.plan import checked_prompts
from harness.registry import BENCHMARKS
from harness.types import Score

from .synthetic import TABLE, TEXTS, benchmark, csv_bytes, generation, lock_of, row, values_of, verdicts, write_data

ALL = {1: 0.9, 2: 0.9, 3: 0.9, 4: 0.9}


@pytest.fixture
def make(monkeypatch, tmp_path):
    def build(rows=TABLE, **options):
        return benchmark(monkeypatch, write_data(tmp_path, rows), lock=lock_of(rows), **options)

    return build


def scored(bench, answers, pic_num=4, seeds=(0,)):
    """Scores of all prompts; `answers(item, index)` gives number -> P(yes)."""
    found = []
    for prompt in bench.prompts():
        for seed in seeds:
            for index in range(pic_num):
                gen = generation(prompt, index, seed)
                found += bench.score(prompt, gen, verdicts(gen, answers(prompt.id.removeprefix("dpg/"), index)))
    return found


def table_of(bench, scores):
    return {s.metric: s for s in bench.aggregate({p.id: p for p in bench.prompts()}, scores)}


def test_it_is_registered_under_its_name():
    assert BENCHMARKS.get("dpg") is DPG


def test_prompts_keep_their_texts_and_stand_in_file_order(make):
    bench = make()
    assert [(p.id, p.text) for p in bench.prompts()] == [(f"dpg/{i}", TEXTS[i]) for i in ("7", "b.x", "first9")]
    assert checked_prompts(bench, None)
    assert bench.data_id.startswith("dpg@")


def test_another_table_brings_its_own_texts_and_says_dpg_like(make, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(csv_bytes([row("k", 1)]))
    bench = make(table=str(path))
    assert [(p.id, p.text) for p in bench.prompts()] == [("dpg/k", "prompt k")]
    assert bench.data_id.startswith("dpg-like@")


def test_prompts_and_table_must_name_the_same_items(make):
    with pytest.raises(DataError, match=r"differ in 1 items, e\.g\. 'extra'"):
        make([*TABLE, row("extra", 1)]).prompts()


def test_each_image_is_one_request_with_all_questions(make):
    bench = make()
    prompt = bench.prompts()[0]
    image = ref_of_image(Image.new("RGB", (4, 4)))
    (request,) = bench.requests(prompt, generation(prompt, 2), [image])
    assert (request.kind, request.form, request.images) == ("yesno", "dpg", (image,))
    assert [(q.id, q.tag) for q in request.questions] == [
        ("question/1", "entity - whole"),
        ("question/2", "attribute - size"),
        ("question/3", "relation - spatial"),
        ("question/4", "entity - whole"),
    ]
    assert bench.samples_per_prompt == 4


def test_the_first_row_is_asked_too_so_that_both_protocols_share_judgements(make):
    official, corrected = make(), make(protocol="corrected")
    for a, b in zip(official.prompts(), corrected.prompts(), strict=True):
        assert official.requests(a, generation(a), [ref_of_image(Image.new("L", (1, 1)))])[0].questions == (
            corrected.requests(b, generation(b), [ref_of_image(Image.new("L", (1, 1)))])[0].questions
        )
    assert official.data_id == corrected.data_id


def test_a_grid_is_cut_by_sample_index(make):
    bench = make(layout="grid", resolution=2)
    prompt = bench.prompts()[0]
    pixels = np.kron(np.array([[1, 2], [3, 4]], dtype=np.uint8), np.ones((2, 2), dtype=np.uint8))
    image = ref_of_image(Image.fromarray(pixels))
    for index in range(4):
        crop = bench.requests(prompt, generation(prompt, index), [image])[0].images[0].load()
        assert crop.getcolors() == [(4, index + 1)]


def test_a_size_is_checked_where_given(make):
    image = ref_of_image(Image.new("RGB", (4, 4), "red"))
    prompt = make().prompts()[0]
    assert make(resolution=4).requests(prompt, generation(prompt), [image])[0].images[0].load().size == (4, 4)
    with pytest.raises(DataError, match="image is 4x4, expected 5x5"):
        make(resolution=5).requests(prompt, generation(prompt), [image])[0].images[0].load()
    assert make(resolution=5, allow_size_mismatch=True).requests(prompt, generation(prompt), [image])[0].images == (
        image,
    )


def test_a_picture_is_found_for_every_sample_of_a_grid_and_for_a_single_one(make, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("7.png", "b.jpg"):
        (folder / name).write_bytes(b"x")
    prompt = make().prompts()[0]
    assert [make(layout="grid", resolution=8).find_image(folder, prompt, i).name for i in range(4)] == ["7.png"] * 4
    assert make(pic_num=1).find_image(folder, prompt, 0).name == "7.png"
    assert make().find_image(folder, prompt, 0) is None


def test_more_than_half_is_a_yes(make):
    bench = make()
    prompt = bench.prompts()[0]
    gen = generation(prompt)
    found = bench.score(prompt, gen, verdicts(gen, {1: 0.51, 2: 0.5, 3: 0.0, 4: 1.0}))
    assert [(s.metric, s.value) for s in found] == [
        (f"question/{i}", v) for i, v in ((1, 1.0), (2, 0.0), (3, 0.0), (4, 1.0))
    ]


def test_a_missing_answer_has_a_reason_and_no_value(make):
    bench = make()
    prompt = bench.prompts()[0]
    gen = generation(prompt)
    found = bench.score(prompt, gen, verdicts(gen, {1: None, 2: 0.9}, status="refused"))
    assert [s.reason for s in found] == ["judge: refused no reply", "", "not judged", "not judged"]
    lost = bench.score(prompt, generation(prompt, status="skipped", error="no file"), [])
    assert {s.reason for s in lost} == {"no image: skipped no file"}
    assert all(s.value is None for s in lost)


def test_official_drops_the_first_prompt_and_corrected_keeps_it(make):
    def answers(item, index):
        return {"first9": {1: 0.0, 2: 0.0}, "7": ALL, "b.x": {1: 1.0, 2: 0.0}}[item]

    official, corrected = make(), make(protocol="corrected")
    a = table_of(official, scored(official, answers))
    b = table_of(corrected, scored(corrected, answers))
    assert (a["overall"].value, a["overall"].n, a["overall"].n_missing) == (75.0, 2, 0)
    assert a["overall"].extra["prompts_failed"] == {
        "dpg/first9": "question 2 names parent 1, which the prompt does not have"
    }
    assert a["overall"].extra["complete"]
    assert (b["overall"].value, b["overall"].n) == (50.0, 3)


def test_official_categories_are_raw_answers_of_the_last_crop(make):
    def answers(item, index):
        if item != "7":
            return {1: 1.0, 2: 1.0}
        return {1: 0.0, 2: 1.0, 3: 1.0, 4: 1.0} if index == 3 else ALL

    bench, fixed = make(), make(protocol="corrected")
    a, b = table_of(bench, scored(bench, answers)), table_of(fixed, scored(fixed, answers))
    assert a["L2/attribute - size"].value == 100.0  # its parent is answered no in the last crop
    assert a["L2/entity - whole"].value == 50.0
    assert (a["L2/entity - whole"].n, a["L2/entity - whole"].extra) == (2, {"correct": 1, "total": 2})
    assert b["L2/attribute - size"].value == 75.0
    assert b["raw/L2/attribute - size"].value == 100.0
    assert b["raw/L2/entity - whole"].n == 12
    assert not any(k.startswith("raw/") for k in a)


def test_a_question_before_its_parent_sees_the_raw_answer_officially(make):
    """Question 3 rests on 4, which comes later and itself rests on 1."""
    rows = [row("first9", 1), row("7", 1), row("7", 3, "4"), row("7", 4, "1")]
    texts = {"first9": "x", "7": "y"}

    def value(protocol, monkeypatch, tmp_path):
        bench = benchmark(
            monkeypatch, write_data(tmp_path, rows, texts), lock=lock_of(rows, texts), protocol=protocol, pic_num=1
        )
        scores = scored(bench, lambda item, index: {1: 0.0, 3: 1.0, 4: 1.0} if item == "7" else {1: 1.0}, 1)
        return table_of(bench, scores)["overall"].value

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        assert value("official", patch, Path(folder)) == pytest.approx(100 / 3)
        assert value("corrected", patch, Path(folder)) == pytest.approx(50.0)


def test_a_missing_image_costs_its_prompt_and_is_counted_and_bounded(make):
    def answers(item, index):
        return {} if (item, index) == ("b.x", 1) else (ALL if item == "7" else {1: 1.0, 2: 1.0})

    official, corrected = make(), make(protocol="corrected")
    a = table_of(official, scored(official, answers))
    assert (a["overall"].value, a["overall"].n, a["overall"].n_missing) == (100.0, 1, 1)
    assert a["overall"].extra["bounds"] == [50.0, 100.0]
    assert a["overall"].extra["note"] == "incomplete: 1 of 3 prompts are scored"
    assert (a["L1/global"].value, a["L1/global"].n_missing) == (None, 1)
    b = table_of(corrected, scored(corrected, answers))
    assert b["overall"].value is None
    assert "pictures of 1 prompts are missing, e.g. dpg/b.x" in b["overall"].method
    assert (b["partial_overall"].value, b["partial_overall"].n) == (100.0, 2)
    assert b["L1/global"].n_missing == 4


def test_a_prompt_without_scores_is_missing(make):
    bench = make()
    prompts = {p.id: p for p in bench.prompts()}
    assert {s.metric: (s.value, s.n_missing) for s in bench.aggregate(prompts, [])}["overall"] == (None, 3)


def test_several_seeds_count_a_prompt_once(make):
    bench = make(pic_num=1)

    def answers(item, index):
        return ALL if item == "7" else {1: 0.0, 2: 0.0}

    one = table_of(bench, scored(bench, answers, 1))["overall"]
    two = table_of(bench, scored(bench, answers, 1, seeds=(0, 1)))["overall"]
    assert (one.value, one.n) == (two.value, two.n) == (50.0, 2)
    assert two.ci_low == pytest.approx(one.ci_low)


def test_the_interval_holds_the_value_and_stays_in_range(make):
    bench = make()
    rng = np.random.default_rng(0)
    scores = scored(bench, lambda item, index: {n: float(rng.random()) for n in range(1, 5)})
    for s in table_of(bench, scores).values():
        if s.ci_low is not None:
            assert 0 <= s.ci_low <= s.value + 1e-9
            assert s.value - 1e-9 <= s.ci_high <= 100
            assert s.method == "score interval"
        assert s.value is None or math.isfinite(s.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "question/9"}, "has no question 'question/9'"),
        ({"metric": "other"}, "unknown metric"),
        ({"value": 0.5}, "value is 0.5, expected 0 or 1"),
        ({"prompt": "dpg/none"}, "no such prompt"),
        ({"twice": True}, "given twice"),
    ],
)
def test_scores_that_do_not_belong_are_refused(make, change, message):
    bench = make()
    prompt = bench.prompts()[0]
    key = generation(prompt).key
    if "prompt" in change:
        key = replace(key, prompt_id=change["prompt"])
    score = Score(key=key, metric=change.get("metric", "question/1"), value=change.get("value", 1.0))
    scores = [score] * 2 if change.get("twice") else [score]
    with pytest.raises(DataError, match=message):
        bench.aggregate({p.id: p for p in bench.prompts()}, scores)


@pytest.mark.parametrize(
    "options",
    [{"pic_num": 0}, {"pic_num": 5}, {"layout": "grid"}, {"layout": "tiles"}, {"resolution": 0}, {"n_prompts": 0}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError, match="dpg"):
        DPGOptions(**options)


def test_the_micro_edition_feeds_the_same_arithmetic():
    pytest.importorskip("harness.world.version", reason="the micro world is not complete here")
    bench = DPG(profile="micro", protocol="official", options=DPGOptions(n_prompts=4))
    fixed = DPG(profile="micro", protocol="corrected", options=DPGOptions(n_prompts=4))
    assert bench.data_id == fixed.data_id
    assert checked_prompts(bench, None)
    right = scored(bench, lambda item, index: dict.fromkeys(range(1, 99), 1.0))
    assert values_of(fixed.aggregate({p.id: p for p in fixed.prompts()}, right))["overall"] == 100.0
    prompts = {p.id: p for p in bench.prompts()}
    assert prompts["dpg/0001"].meta["questions"][0]["first_row"]
    first = bench.aggregate(prompts, right)[0]
    assert first.value == 100.0
    assert first.n + len(first.extra["prompts_failed"]) == 4
