"""The test prompts of DVReward: both protocols from the same judgements, the published format, the pinned file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.data.local import prepare_from
from benchmarks.data.lock import read_lock
from benchmarks.data.remote import prepare_upstream
from benchmarks.data.verify import verify
from benchmarks.dvtest import DVTest, DVTestOptions, data
from benchmarks.micro import dvtest as micro
from harness.errors import ConfigError, DataError
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.images import ref_of_image
from harness.plan import checked_prompts
from harness.progress import Silent
from harness.rescore import rescore_run
from harness.types import Prompt
from harness.world.grammar import sample_layout
from tests.benchmarks.data import synthetic
from tests.benchmarks.reward.support import generation_of, scored

RECORD = {
    "prompt": "a brown dog without a collar",
    "original_index": 17,
    "semantic_questions": [
        {"question_type": "semantic", "question": "Is there a dog?", "is_valid": True, "tag": "Existence"},
        {"question_type": "semantic", "question": "Is it big?", "is_valid": False, "tag": "Attribute"},
        {"question_type": "semantic", "question": "Is the dog without a collar?", "is_valid": True, "tag": "Negative"},
    ],
    "quality_questions": [
        {"question_type": "quality", "question": "Is the fur detailed?", "is_valid": True, "tag": "Texture"}
    ],
}


def make(profile="micro", protocol="official", data_dir=None, **options):
    return DVTest(profile=profile, protocol=protocol, options=DVTestOptions(**options), data_dir=data_dir)


def write(path, *records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return str(path)


@pytest.fixture
def of_record(tmp_path):
    """Both protocols on one published-form record."""
    file = write(tmp_path / "r.jsonl", RECORD)
    return [make("official", p, records=file) for p in ("official", "corrected")]


def image():
    from PIL import Image

    return ref_of_image(Image.new("RGB", (8, 8)))


def test_both_protocols_ask_the_same(of_record):
    asked = []
    for benchmark in of_record:
        (prompt,) = benchmark.prompts()
        general, negative = benchmark.requests(prompt, generation_of(prompt, "dvtest"), [image()])
        asked.append((general, negative))
        assert [q.id for q in general.questions] == ["semantic/00", "semantic/01", "semantic/02", "quality/00"]
        assert [q.id for q in negative.questions] == ["semantic/02/negative"]
    assert [(r.system, r.questions) for r in asked[0]] == [(r.system, r.questions) for r in asked[1]]


def test_the_protocols_differ_in_invalid_questions_and_in_the_negative(of_record):
    from harness.types import Judgement

    found = []
    values = {
        "semantic/00": 1.0,
        "semantic/01": 0.0,
        "semantic/02": 0.2,
        "semantic/02/negative": 0.8,
        "quality/00": 1.0,
    }
    for benchmark in of_record:
        (prompt,) = benchmark.prompts()
        generation = generation_of(prompt, "dvtest")
        verdicts = [Judgement(id=i, key=generation.key, question_id=i, judge="", value=v) for i, v in values.items()]
        found.append({s.metric: s.value for s in benchmark.score(prompt, generation, verdicts)})
    official, corrected = found
    assert official["semantic"] == pytest.approx(1.2 / 3) and corrected["semantic"] == pytest.approx(1.8 / 2)
    assert official["reward"] == pytest.approx(0.4**0.5) and corrected["reward"] == pytest.approx(0.9**0.5)
    assert official["semantic/Negative"] == 0.2 and corrected["semantic/Negative"] == 0.8
    assert "semantic/Attribute" not in corrected


def test_a_prompt_with_invalid_questions_only_is_missing_under_corrected(tmp_path):
    only = {"prompt": "a", "semantic_questions": [{"question": "Is it?", "is_valid": False}]}
    file = write(tmp_path / "r.jsonl", only)
    benchmark = make("official", "corrected", records=file)
    (prompt,) = benchmark.prompts()
    assert len(benchmark.requests(prompt, generation_of(prompt, "dvtest"), [image()])) == 1
    (score,) = benchmark.score(prompt, generation_of(prompt, "dvtest"), [])
    assert score.value is None and "marked invalid" in score.reason


def test_records_without_difficulty_say_so_in_the_total(of_record):
    benchmark = of_record[0]
    prompts = {p.id: p for p in checked_prompts(benchmark, None)}
    (overall,) = benchmark.aggregate(prompts, [])
    assert overall.value is None and overall.n_missing == 1 and "no difficulty" in overall.extra["note"]
    assert benchmark.data_id.startswith("dvtest-like:r.jsonl@")


def test_records_with_difficulty_get_rows(tmp_path):
    file = write(tmp_path / "r.jsonl", *({**RECORD, "difficulty": d} for d in ("hard", "easy", "odd", "easy")))
    benchmark = make("official", records=file)
    table = benchmark.aggregate({p.id: p for p in benchmark.prompts()}, [])
    assert [s.metric for s in table] == ["overall", "difficulty/easy", "difficulty/hard", "difficulty/odd"]
    assert "note" not in table[0].extra


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, r"line 2, field 'prompt': expected a non-empty text, got None"),
        ({"original_index": "17"}, r"line 2, field 'original_index': expected an integer, got '17'"),
        (
            {"semantic_questions": {"q": 1}},
            r"line 2, field 'semantic_questions': expected a list of questions",
        ),
        (
            {"quality_questions": [{"tag": "Texture"}]},
            r"line 2, field 'quality_questions', question 1: expected",
        ),
        ({"difficulty": 3}, r"line 2, field 'difficulty': expected a text"),
        ({"semantic_questions": [], "quality_questions": []}, r"line 2: no question"),
    ],
)
def test_a_damaged_record_is_refused_with_file_line_and_field(tmp_path, change, message):
    file = write(tmp_path / "r.jsonl", RECORD, {**RECORD, **change})
    with pytest.raises(DataError, match=rf"r\.jsonl, {message}"):
        make("official", records=file).prompts()


def test_the_lock_pins_both_published_files():
    lock = read_lock("alphagrpo20k")
    files = {e.name: e for _, e in lock.files()}
    assert {n: e.bytes for n, e in files.items()} == {"train.jsonl": 144_536_712, "test.jsonl": 7_622_432}
    assert all(e.lfs and e.sha256 for e in files.values())


def test_an_absent_or_another_official_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"test\.jsonl is not there.*data prepare alphagrpo20k"):
        make("official", data_dir=tmp_path).prompts()
    (tmp_path / "alphagrpo20k").mkdir()
    write(tmp_path / "alphagrpo20k" / "test.jsonl", RECORD)
    with pytest.raises(DataError, match=r"expected sha256 1206efed.*dvtest\.records=FILE"):
        make("official", data_dir=tmp_path).prompts()


@pytest.fixture
def small_lock(monkeypatch):
    """The shipped lock with other content pinned."""
    content = {
        "test.jsonl": "".join(json.dumps({**RECORD, "prompt": f"dog {i}"}) + "\n" for i in range(3)).encode(),
        "train.jsonl": (json.dumps(RECORD) + "\n").encode(),
    }
    lock = read_lock("alphagrpo20k")
    files = [
        dataclasses.replace(e, sha256=synthetic.sha256(content[e.name]), bytes=len(content[e.name]))
        for _, e in lock.files()
    ]
    changed = dataclasses.replace(lock, sources=[dataclasses.replace(lock.sources[0], files=files)])
    monkeypatch.setattr(data, "read_lock", lambda name: changed)
    return changed, content


def test_a_local_copy_is_prepared_and_read(tmp_path, small_lock):
    lock, content = small_lock
    copy = synthetic.write_checkout(tmp_path / "copy", {n: (n, d) for n, d in content.items()})
    assert prepare_from(lock, tmp_path / "data", [copy]).complete
    assert verify(lock, tmp_path / "data").clean
    benchmark = make("official", data_dir=tmp_path / "data")
    assert [p.text for p in checked_prompts(benchmark, None)] == ["dog 0", "dog 1", "dog 2"]
    assert benchmark.data_id == "alphagrpo20k-test@1f604fff"
    assert benchmark.prompts()[0].id == "dvtest/0000" and benchmark.prompts()[0].meta["original_index"] == 17


def test_the_test_file_alone_is_enough_for_the_benchmark(tmp_path, small_lock):
    lock, content = small_lock
    (tmp_path / "test.jsonl").write_bytes(content["test.jsonl"])
    report = prepare_from(lock, tmp_path / "data", [tmp_path])
    assert [m.name for m in report.missing] == ["train.jsonl"] and not report.complete
    assert len(make("official", data_dir=tmp_path / "data").prompts()) == 3


def test_a_pointer_of_a_checkout_without_its_content_is_named(tmp_path, small_lock):
    lock, _ = small_lock
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    files = {"test.jsonl": ("alpha_grpo/dataset/alphagrpo20k/test.jsonl", pointer)}
    synthetic.write_checkout(tmp_path / "copy", files)
    with pytest.raises(DataError, match=r"Git LFS pointer.*git lfs pull"):
        prepare_from(lock, tmp_path / "data", [tmp_path / "copy"])


def test_content_behind_pointers_is_downloaded_from_its_own_address(tmp_path, small_lock):
    lock, content = small_lock
    web = synthetic.Web()
    base = f"{lock.sources[0].repository}/{lock.sources[0].revision}/alpha_grpo/dataset/alphagrpo20k"
    web.content = {f"/media/{base}/{n}": d for n, d in content.items()}
    with synthetic.serving(web) as upstream:
        media = dataclasses.replace(upstream, media=upstream.raw.replace("/raw", "/media"))
        assert prepare_upstream(lock, tmp_path / "data", upstream=media).complete
    assert sorted(web.urls()) == sorted(web.content)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_prompts": 0}, "positive number"),
        ({"max_missing": 2.0}, "share"),
        ({"scoring": "x"}, "Known: binary, confidence"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


@pytest.fixture(scope="module")
def drawn():
    cases = micro.cases(40)
    rng = np.random.default_rng(0)
    return [c.prompt for c in cases], [sample_layout(rng, c.spec) for c in cases]


@pytest.mark.parametrize("protocol", ["official", "corrected"])
def test_right_pictures_score_near_one_by_difficulty_and_tag(drawn, protocol):
    prompts, scenes = drawn
    benchmark = make(protocol=protocol, n_prompts=40)
    assert benchmark.prompts() == prompts
    table = {s.metric: s for s in benchmark.aggregate({p.id: p for p in prompts}, scored(benchmark, prompts, scenes))}
    rows = ["overall", "difficulty/easy", "difficulty/medium", "difficulty/hard", "semantic", "quality", "all_yes"]
    assert list(table)[:7] == rows
    assert [table[f"difficulty/{d}"].n for d in ("easy", "medium", "hard")] == [12, 20, 8]
    assert table["overall"].value > 0.97 and table["all_yes"].value == 1.0
    assert {"semantic/Negative", "semantic/Spatial", "quality/Coherence"} <= set(table)
    assert all(0.9 < s.value <= 1.0 for s in table.values())


def test_a_missing_answer_costs_the_image_in_both_protocols(drawn):
    prompts, scenes = drawn
    lost = prompts[5].id

    def change(j):
        gone = j.key.prompt_id == lost and j.question_id == "semantic/00"
        return replace(j, value=None, status="unparsed", error="no word") if gone else j

    for protocol in ("official", "corrected"):
        benchmark = make(protocol=protocol, n_prompts=40)
        table = benchmark.aggregate({p.id: p for p in prompts}, scored(benchmark, prompts, scenes, change))
        assert (table[0].n, table[0].n_missing) == (39, 1)


def test_options_that_change_the_unit_change_the_data_id():
    ids = [make(n_prompts=10, **o).data_id for o in ({}, {"scoring": "binary"}, {"aggregation": "mean"})]
    assert len(set(ids)) == 3 and ids[1] == f"{ids[0]}+binary"


def test_images_of_a_folder_are_found_by_number(tmp_path):
    for name in ("0003.jpg", "0003-1.png"):
        (tmp_path / name).write_bytes(b"")
    benchmark = make()
    for id_ in ("dvtest/0003", "dvtest/0003-1a2b3c4d"):
        prompt = Prompt(id=id_, text="")
        assert benchmark.find_image(tmp_path, prompt, 0) == tmp_path / "0003.jpg"
        assert benchmark.find_image(tmp_path, prompt, 1) == tmp_path / "0003-1.png"
        assert benchmark.find_image(tmp_path, prompt, 2) is None


def test_a_run_and_its_rescore_agree_and_a_reward_judges_the_images_again(tmp_path):
    settings = {"limit": 10, "threads": 1}
    first = evaluate(EvalConfig(benchmarks=["dvtest"], out=str(tmp_path / "a"), **settings), "micro", Silent())
    assert (
        first.complete
        and rescore_run(tmp_path / "a", [], None, 0.01).summary["benchmarks"] == first.summary["benchmarks"]
    )
    assert rescore_run(tmp_path / "a", [], "corrected", 0.01).summary["complete"]
    config = EvalConfig(benchmarks=["reward:dvreward,scoring=binary"], out=str(tmp_path / "b"), **settings)
    second = evaluate(config, "micro", Silent())
    again = replace(config, benchmarks=["reward:dvreward"], out=str(tmp_path / "c"))
    third = evaluate(again, f"stored:{tmp_path / 'b'}", Silent())
    assert second.n_generated == third.n_generated == 10 and third.complete
    values = [r.summary["benchmarks"]["reward"]["values"]["overall"]["value"] for r in (second, third)]
    assert values[0] != values[1]
    assert rescore_run(tmp_path / "c", [], None, 0.01).summary["benchmarks"] == third.summary["benchmarks"]
