"""The adapter as the engine uses it: requests, scores, tables, options, and the micro edition."""

import json

import msgspec
import pytest

from benchmarks.gedit.adapter import GEdit, GEditOptions
from benchmarks.gedit.groups import GROUPS
from benchmarks.gedit.judgeprompt import PLACEHOLDER
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.judges.base import Unparsed
from harness.judging import call_id
from harness.registry import BENCHMARKS

from .synthetic import generation, judgement, picture, prompt, reply, sample, scores_of, write_copy


def make(profile="official", protocol="official", data_dir=None, **options):
    return GEdit(profile=profile, protocol=protocol, options=GEditOptions(**options), data_dir=data_dir)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_copy(root / "gedit")
    return root


def requests_of(benchmark, prompt_, edited=None, source=None):
    images = [ref_of_image(edited or picture(1, (30, 20))), ref_of_image(source or picture(2, (16, 8)))]
    return benchmark.requests(prompt_, generation(prompt_), images)


def test_the_benchmark_is_registered_as_an_editing_one():
    assert BENCHMARKS.get("gedit") is GEdit
    assert (GEdit.mode, GEdit.value_range) == ("edit", (0, 10))
    assert GEdit.headline == ("overall/SC", "overall/PQ", "overall/O")
    assert "official" not in GEdit.default_judge


def test_official_prompts_are_the_rows_with_their_source(data_dir):
    b = make(data_dir=data_dir)
    prompts = b.prompts()
    assert len(prompts) == len({p.id for p in prompts}) == 606
    first = prompts[0]
    assert first.category == first.meta["group"] == "background_change"
    assert first.source_images == ("source",)
    assert first.meta["instruction_language"] == "en"
    assert b.source_image(first, "source").load().size == (8, 6)
    with pytest.raises(DataError, match="no source image 'mask'"):
        b.source_image(first, "mask")
    assert b.samples_per_prompt == 1


def test_the_data_id_names_language_subset_and_what_changes_numbers(data_dir):
    ids = [
        make(data_dir=data_dir, **options).data_id
        for options in ({}, {"lang": "cn"}, {"subset": "intersection"}, {"missing": "zero"}, {"guess": True})
    ]
    assert len(set(ids)) == len(ids)
    assert ids[0].startswith("gedit/en-full@") and ids[3] == ids[0] + "+zero" and ids[4] == ids[0] + "+guess0"


def test_subsets_and_languages_select_rows(data_dir):
    inside = make(data_dir=data_dir, lang="cn", subset="intersection").prompts()
    assert 0 < len(inside) < 606
    assert all(p.meta["Intersection_exist"] and p.meta["instruction_language"] == "cn" for p in inside)
    assert "做第" in inside[0].text


def test_two_independent_requests_ask_for_consistency_and_quality():
    sc, pq = requests_of(make(), prompt())
    assert (sc.form, pq.form) == ("gedit-sc", "gedit-pq")
    assert sc.kind == pq.kind == "text"
    assert [q.id for r in (sc, pq) for q in r.questions] == ["sc", "pq"]
    assert "make change 0" in sc.prompt and PLACEHOLDER not in sc.prompt
    assert "make change 0" not in pq.prompt
    assert sc.fields == {"instruction": "make change 0"} and pq.fields == {}
    assert sc.system == pq.system == ""
    assert sc.questions[0].tag.startswith("judge_prompt:builtin@")
    assert make().judge_prompt == "builtin"


def test_the_judge_sees_source_then_edited_at_the_size_of_the_source():
    sc, pq = requests_of(make(), prompt())
    assert [i.load().size for i in sc.images] == [(16, 8), (16, 8)]
    assert [i.load().size for i in pq.images] == [(16, 8)]
    assert sc.images[0].load().tobytes() == picture(2, (16, 8)).tobytes()
    assert sc.images[1].id == pq.images[0].id


def test_quality_of_equal_images_is_asked_once_whatever_the_instruction():
    a, b = prompt(number=0), prompt(number=1)
    calls = [[call_id("judge", r) for r in requests_of(make(), p)] for p in (a, b)]
    assert calls[0][1] == calls[1][1]
    assert calls[0][0] != calls[1][0]


def test_micro_questions_travel_in_the_fields():
    p = prompt()
    p.meta.update({"facts": ["Is it red?"], "kept": ["Is it round?"], "quality": ["Is it clean?"], "scene": "..."})
    sc, pq = requests_of(make(), p)
    assert sc.fields == {"instruction": p.text, "facts": ["Is it red?"], "kept": ["Is it round?"]}
    assert pq.fields == {"quality": ["Is it clean?"]}
    json.dumps([sc.fields, pq.fields])


def test_replies_are_parsed_by_the_rules_of_the_protocol():
    lenient, _ = requests_of(make(), prompt())
    strict, _ = requests_of(make(protocol="corrected"), prompt())
    (answer,) = lenient.parse("7")
    assert (answer.value, answer.status) == (7, "ok")
    with pytest.raises(Unparsed, match="1 scores, expected 2"):
        strict.parse("7")
    (answer,) = strict.parse("<think>{}</think>```json\n" + reply(9, 4) + "\n```")
    assert (answer.value, answer.payload) == (4, {"scores": [9, 4], "reasoning": "fine"})
    msgspec.json.encode(answer.payload)


def test_temperature_is_upstreams_only_with_upstreams_prompts():
    assert {r.temperature for r in requests_of(make(), prompt())} == {0.0}
    assert {r.temperature for r in requests_of(make(temperature=1.0), prompt())} == {1.0}


def test_official_prompts_are_asked_for_by_name_and_must_be_there(tmp_path):
    with pytest.raises(DataError, match=r"judge_prompts\.json"):
        requests_of(make(judge_prompt="official", data_dir=tmp_path), prompt())


def test_a_sample_without_image_is_missing_with_its_reason():
    scores = make().score(prompt(), generation(prompt(), "error", "out of memory"), [])
    assert {s.value for s in scores} == {None}
    assert scores[0].reason == "no image: error out of memory"
    assert make().score(prompt(), generation(prompt()), [])[1].reason == "not judged"


def test_guesses_are_the_same_on_every_run_and_differ_by_seed():
    refused = [judgement(q, "No.", status="refused", id_=f"gedit/{i}") for i in range(40) for q in ("sc", "pq")]

    def drawn(**options):
        b = make(guess=True, **options)
        return [b.score(prompt(), generation(prompt()), [v])[0].value for v in refused if v.question_id == "sc"]

    assert drawn() == drawn()
    assert drawn() != drawn(guess_seed=1)
    assert set(drawn()) <= set(range(11)) and len(set(drawn())) > 5
    assert make().score(prompt(), generation(prompt()), refused[:2])[2].value is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lang": "zh"}, "gedit.lang"),
        ({"subset": "half"}, "Known: full, intersection"),
        ({"judge_prompt": "offical"}, "Did you mean 'official'"),
        ({"missing": "drop"}, "gedit.missing"),
        ({"n_per_group": 0}, "n_per_group"),
        ({"temperature": -1.0}, "temperature"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        GEditOptions(**options)


def test_guessing_is_refused_under_the_corrected_protocol():
    with pytest.raises(ConfigError, match="guess"):
        make(protocol="corrected", guess=True)


def test_the_table_of_the_full_set_shows_its_intersection(data_dir):
    b = make(data_dir=data_dir)
    prompts = {p.id: p for p in b.prompts()}
    scores = [
        s for id_, p in prompts.items() for s in scores_of(sample(id_), *[4 + 4 * p.meta["Intersection_exist"]] * 2)
    ]
    found = {s.metric: s for s in b.aggregate(prompts, scores)}
    assert list(found)[:3] == list(GEdit.headline)
    assert found["intersection/overall/O"].value == 8
    assert 4 < found["overall/O"].value < 8
    assert len(found) == 2 * 3 * 12
    inside = make(data_dir=data_dir, subset="intersection")
    prompts = {p.id: p for p in inside.prompts()}
    found = {s.metric: s for s in inside.aggregate(prompts, [s for s in scores if s.key.prompt_id in prompts])}
    assert found["overall/O"].value == 8 and len(found) == 36


def test_images_in_the_official_layout_are_found(data_dir, tmp_path):
    b = make(data_dir=data_dir)
    p = b.prompts()[0]
    path = tmp_path / "model/fullset/background_change/en" / f"{p.meta['key']}.png"
    path.parent.mkdir(parents=True)
    path.touch()
    assert b.find_image(tmp_path, p, 0) == path.resolve()
    assert b.find_image(tmp_path, p, 1) is None
    assert b.find_image(tmp_path, b.prompts()[1], 0) is None


def test_absent_data_is_told_when_prompts_are_asked_for(tmp_path):
    with pytest.raises(DataError, match="data prepare gedit"):
        make(data_dir=tmp_path).prompts()


@pytest.fixture(scope="module")
def micro():
    return make("micro", n_per_group=3)


class TestMicroEdition:
    def test_six_groups_with_questions_and_source_pictures(self, micro):
        prompts = micro.prompts()
        assert len(prompts) == 18
        groups = list(dict.fromkeys(p.meta["group"] for p in prompts))
        assert groups == [g for g in GROUPS if g in groups] and len(groups) == 6
        refs = [micro.source_image(p, "source") for p in prompts]
        assert [r.id for r in refs] == [make("micro", n_per_group=3).source_image(p, "source").id for p in prompts]
        assert refs[0].load().mode == "RGB"
        sc, pq = micro.requests(prompts[0], generation(prompts[0]), [refs[1], refs[0]])
        assert sc.fields["facts"] == prompts[0].meta["facts"] and sc.fields["kept"] and pq.fields["quality"]

    def test_other_seeds_and_sizes_are_other_data(self, micro):
        others = [make("micro", n_per_group=2), make("micro", n_per_group=3, prompt_seed=1)]
        assert len({micro.data_id, *(b.data_id for b in others)}) == 3

    def test_the_mean_is_over_the_groups_present_and_says_so(self, micro):
        prompts = {p.id: p for p in micro.prompts()}
        scores = [s for id_ in prompts for s in scores_of(sample(id_), 6, 6)]
        found = {s.metric: s for s in micro.aggregate(prompts, scores)}
        cell = found["overall/O"]
        assert (cell.value, cell.n, cell.extra["groups"]) == (6, 18, 6)
        assert cell.extra["note"].startswith("mean over 6 of the 11 groups: background_change, color_alter")
        assert not any(k.startswith("intersection/") for k in found)
