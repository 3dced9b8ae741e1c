from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.wise import WISE, WISEOptions
from benchmarks.wise.officialprompt import extract, write_cache
from benchmarks.wise.summaries import summarise, tally
from benchmarks.wise.variants import CATEGORIES, SCALES
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.plan import checked_prompts
from harness.registry import BENCHMARKS

from .synthetic import (
    SCRIPT,
    USER,
    benchmark,
    data_files,
    few_prompts,
    generation,
    lock_of,
    scores_of,
    script_lock,
    verdict,
    write_data,
)

IMAGE = ref_of_image(Image.new("RGB", (4, 4)))


@pytest.fixture(scope="module")
def files():
    return data_files()


@pytest.fixture
def make(monkeypatch, tmp_path, files):
    def build(**options):
        return benchmark(monkeypatch, write_data(tmp_path, files), lock_of(files), **options)

    return build


def table(variant, scores, protocol="official", prompts=None, n_expected=12, has_time_labels=True):
    prompts = prompts if prompts is not None else few_prompts(variant)
    rows = summarise(
        tally(prompts, scores, variant),
        variant,
        protocol,
        n_expected=n_expected,
        has_time_labels=has_time_labels,
    )
    return {s.metric: s for s in rows}


def all_scores(variant, value_of, prompts=None):
    found = []
    for i, prompt in enumerate((prompts or few_prompts(variant)).values()):
        values = value_of(i, prompt)
        found += scores_of(prompt, variant, values)
    return found


def test_it_is_registered_under_its_name():
    assert BENCHMARKS.get("wise") is WISE


def test_the_variants_share_neither_prompts_nor_data_nor_forms(make):
    verified, legacy, rewrite = make(), make(variant="legacy"), make(variant="legacy", prompt_set="rewrite")
    assert len({b.data_id for b in (verified, legacy, rewrite)}) == 3
    ids = [{p.id for p in b.prompts()} for b in (verified, legacy, rewrite)]
    assert not (ids[0] & ids[1] or ids[0] & ids[2] or ids[1] & ids[2])
    forms = [b.requests(b.prompts()[0], generation(b.prompts()[0]), [IMAGE])[0].form for b in (verified, legacy)]
    assert forms == ["wise-verified", "wise-legacy"]
    assert checked_prompts(verified, None)


def test_a_request_has_one_question_per_scale_and_the_texts_of_the_record(make):
    bench = make(variant="legacy")
    prompt = bench.prompts()[4]
    (request,) = bench.requests(prompt, generation(prompt), [IMAGE])
    assert request.kind == "text"
    assert [(q.id, q.tag) for q in request.questions] == [(s, "0-2") for s in SCALES["legacy"]]
    assert request.fields == {"prompt": "p 5 ü", "explanation": "because 5"}
    assert '"p 5 ü"' in request.prompt and '"because 5"' in request.prompt
    answers = request.parse("Consistency: 2\nRealism: 1\nAesthetic Quality: 0")
    assert [a.value for a in answers] == [2.0, 1.0, 0.0]
    assert {a.payload["judge_prompt"] for a in answers} == {"builtin"} == {bench.judge_prompt}


def test_the_official_wording_is_used_where_it_was_prepared(make, tmp_path):
    bench = make(judge_prompt="official")
    prompt = bench.prompts()[0]
    with pytest.raises(DataError, match="judge_prompt=official needs"):
        bench.requests(prompt, generation(prompt), [IMAGE])
    write_cache({"verified": extract(SCRIPT.encode(), script_lock())}, tmp_path / "wise" / "judge_prompts.json")
    (request,) = make(judge_prompt="official").requests(prompt, generation(prompt), [IMAGE])
    assert request.prompt == USER.replace("@@PROMPT@@", "p 1 ü").replace("@@EXPLANATION@@", "because 1")
    assert request.parse("Score: 1")[0].payload["judge_prompt"] == "official"


def test_micro_facts_reach_the_judge(make):
    bench = make()
    prompt = bench.prompts()[0]
    prompt.meta.update(facts=["Is it red?"], quality=["Is it clean?"])
    fields = bench.requests(prompt, generation(prompt), [IMAGE])[0].fields
    assert fields["facts"] == ["Is it red?"]
    assert fields["quality"] == ["Is it clean?"]


def test_only_the_exact_file_name_is_looked_up(make, tmp_path):
    bench = make()
    prompt = bench.prompts()[0]
    for name in ("1.jpg", "01.png"):
        (tmp_path / name).write_bytes(b"x")
    assert bench.find_image(tmp_path, prompt, 0) is None
    (tmp_path / "1.png").write_bytes(b"x")
    assert bench.find_image(tmp_path, prompt, 0) == tmp_path / "1.png"
    assert bench.find_image(tmp_path, prompt, 1) is None


def test_scores_are_the_judges_numbers_and_failures_are_missing(make):
    bench = make(variant="legacy")
    prompt = bench.prompts()[0]
    gen = generation(prompt)
    given = [verdict(gen, "consistency", 2.0), verdict(gen, "realism", None, "unparsed", "no score for realism")]
    found = bench.score(prompt, gen, given)
    assert [(s.metric, s.value, s.reason) for s in found] == [
        ("consistency", 2.0, ""),
        ("realism", None, "judge: unparsed no score for realism"),
        ("aesthetic_quality", None, "not judged"),
    ]
    lost = bench.score(prompt, generation(prompt, "error", "out of memory"), [])
    assert {s.reason for s in lost} == {"no image: error out of memory"}


def test_beyond_the_scale_is_kept_officially_and_missing_when_corrected(make):
    prompt = make().prompts()[0]
    gen = generation(prompt)
    given = [verdict(gen, "consistency", 7.0)]
    assert make(variant="legacy").score(prompt, gen, given)[0].value == 7.0
    corrected = make(variant="legacy", protocol="corrected").score(prompt, gen, given)[0]
    assert (corrected.value, corrected.reason) == (None, "unusable: consistency is 7")
    assert make().score(prompt, gen, [verdict(gen, "score", 0.5)])[0].value is None


def test_the_overalls_are_the_published_formulas():
    right = {"CULTURE": 2, "TIME": 0, "SPACE": 2, "BIOLOGY": 1, "PHYSICS": 0, "CHEMISTRY": 1}
    scores = all_scores("verified", lambda i, p: [float(i % 2 < right[p.category])])
    found = table("verified", scores)
    means = {c: found[f"category/{c}"].value for c in CATEGORIES}
    assert means == {c: n / 2 for c, n in right.items()}
    assert found["overall/official"].value == pytest.approx(0.4 + 0.12 * (0 + 1 + 0.5 + 0 + 0.5))
    assert found["overall/unweighted"].value == pytest.approx(3 / 6)
    assert "overall/bagel" not in found
    assert next(iter(found)) == "overall/official"


def test_legacy_has_wiscores_scales_and_bagels_overall():
    scores = all_scores("legacy", lambda i, p: [i % 3, 1, 2])
    found = table("legacy", scores)
    values = [(0.7 * (i % 3) + 0.2 + 0.2) / 2 for i in range(12)]
    assert found["category/CULTURE"].value == pytest.approx((values[0] + values[1]) / 2)
    assert found["scale/consistency"].value == pytest.approx(1.0)
    assert (found["scale/realism"].value, found["scale/aesthetic_quality"].value) == (1.0, 2.0)
    assert found["overall/bagel"].value == pytest.approx(found["overall/unweighted"].value)
    assert found["overall/official"].value != pytest.approx(found["overall/unweighted"].value)
    assert found["subcategory/Horizontal time"].n == 1


def test_bagel_tells_time_from_space_by_label():
    prompts = few_prompts("legacy")
    moved = next(p for p in prompts.values() if p.category == "SPACE")
    moved.meta["Subcategory"] = "Longitudinal time"
    scores = all_scores("legacy", lambda i, p: [2, 2, 2] if p.category == "SPACE" else [0, 0, 0], prompts)
    found = table("legacy", scores, prompts=prompts)
    assert found["overall/unweighted"].value == pytest.approx(1 / 6)
    assert found["overall/bagel"].value == pytest.approx((1 / 3 + 1) / 6)
    by_id = table("legacy", scores, prompts=prompts, has_time_labels=False)
    assert by_id["overall/bagel"].value == pytest.approx(1 / 6)


def test_one_missing_image_leaves_partial_overalls_only():
    scores = all_scores("verified", lambda i, p: [None if i == 3 else 1.0])
    for protocol in ("official", "corrected"):
        found = table("verified", scores, protocol)
        assert found["overall/official"].value is None
        assert found["overall/official"].method == "missing_ids: 1 of 12 ids have no record"
        assert found["overall/official"].extra["outcome"] == "missing_ids"
        assert found["partial_overall/official"].value == pytest.approx(1.0)
        assert found["partial_overall/official"].n_missing == 1
        assert found["partial_overall/official"].extra["bounds"] == pytest.approx([0.94, 1.0])
        assert (found["category/TIME"].value, found["category/TIME"].n, found["category/TIME"].n_missing) == (1.0, 1, 1)


def test_a_record_without_a_score_is_present_officially_and_missing_when_corrected():
    scores = all_scores("verified", lambda i, p: [1.0])
    prompts = few_prompts("verified")
    first = next(iter(prompts))
    scores = [s for s in scores if s.key.prompt_id != first]
    scores += scores_of(prompts[first], "verified", [None], reason="unusable: field 'score' is 'x'")
    official, corrected = table("verified", scores), table("verified", scores, "corrected")
    assert official["overall/official"].value == pytest.approx(1.0)
    assert official["overall/official"].extra["images_unusable"] == 1
    assert "incomplete" in official["overall/official"].extra["note"]
    assert corrected["overall/official"].value is None
    assert corrected["overall/official"].method == "not computed: 1 images have no score"


def test_bagels_overall_needs_every_score():
    prompts = few_prompts("legacy")
    first = next(iter(prompts))
    scores = [s for s in all_scores("legacy", lambda i, p: [1, 1, 1]) if s.key.prompt_id != first]
    scores += scores_of(prompts[first], "legacy", [None] * 3, reason="unusable: x")
    found = table("legacy", scores)
    assert found["overall/official"].value == pytest.approx(0.5)
    assert found["overall/bagel"].value is None
    assert found["partial_overall/bagel"].value == pytest.approx(0.5)


def test_an_empty_category_leaves_no_overall_of_any_kind():
    prompts = {k: p for k, p in few_prompts("verified").items() if p.category != "TIME"}
    found = table("verified", all_scores("verified", lambda i, p: [1.0], prompts), prompts=prompts, n_expected=10)
    assert found["overall/official"].value is None
    assert found["overall/official"].extra["outcome"] == "no_overall"
    assert not any(k.startswith("partial_overall") for k in found)
    assert found["category/SPACE"].value == 1.0
    assert "category/TIME" not in found


def test_nothing_at_all_is_no_valid_data_or_missing():
    found = table("verified", [])
    assert found["overall/official"].extra["outcome"] == "missing_ids"
    unusable = [
        s for p in few_prompts("verified").values() for s in scores_of(p, "verified", [None], reason="unusable: x")
    ]
    assert table("verified", unusable)["overall/official"].extra["outcome"] == "no_valid_data"


def test_a_limited_run_is_partial(make):
    bench = make()
    prompts = {p.id: p for p in bench.prompts()[::50]}
    scores = [s for p in prompts.values() for s in scores_of(p, "verified", [1.0])]
    found = {s.metric: s for s in bench.aggregate(prompts, scores)}
    assert found["overall/official"].value is None
    assert found["partial_overall/official"].value == pytest.approx(1.0)
    assert found["overall/official"].extra["ids_expected"] == 1000


def test_a_complete_run_equals_the_mean_over_images(make):
    bench = make()
    prompts = {p.id: p for p in bench.prompts()}
    scores = [s for i, p in enumerate(prompts.values()) for s in scores_of(p, "verified", [float(i % 7 == 0)])]
    found = bench.aggregate(prompts, scores)[0]
    assert (found.metric, found.n, found.n_missing, found.extra["complete"]) == ("overall/official", 1000, 0, True)
    assert found.value == pytest.approx(143 / 1000)
    assert found.printed == "0.1430"
    assert 0 < found.ci_low < found.value < found.ci_high < 1


def test_repeated_images_pool_officially_and_average_by_prompt_when_corrected():
    prompts = few_prompts("verified")
    scores = all_scores("verified", lambda i, p: [0.0])
    first = next(iter(prompts.values()))
    for index in (1, 2):
        scores += scores_of(first, "verified", [1.0], index=index)
    assert table("verified", scores)["category/CULTURE"].value == pytest.approx(2 / 4)
    assert table("verified", scores, "corrected")["category/CULTURE"].value == pytest.approx(1 / 3)


def test_values_beyond_the_scale_are_counted_and_leave_no_interval():
    found = table("legacy", all_scores("legacy", lambda i, p: [9, 0, 0] if i == 0 else [0, 0, 0]))
    top = found["overall/official"]
    assert top.value == pytest.approx(0.4 * (0.7 * 9 / 2) / 2)
    assert (top.ci_low, top.extra["out_of_range"]) == (None, 1)
    assert top.method == "none: a score lies outside 0 to 1"
    assert found["category/TIME"].ci_low == 0


@pytest.mark.parametrize(
    ("metric", "prompt", "twice", "message"),
    [
        ("realism", None, False, "the verified variant has the scales score"),
        ("score", "wise/none", False, "no such prompt"),
        ("score", None, True, "given twice"),
    ],
)
def test_scores_that_do_not_belong_are_refused(metric, prompt, twice, message):
    prompts = few_prompts("verified")
    (score,) = scores_of(next(iter(prompts.values())), "verified", [1.0])
    score = replace(score, metric=metric, key=replace(score.key, prompt_id=prompt or score.key.prompt_id))
    with pytest.raises(DataError, match=message):
        tally(prompts, [score] * (2 if twice else 1), "verified")


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "binary"},
        {"prompt_set": "other"},
        {"prompt_set": "rewrite"},
        {"judge_prompt": "mine"},
        {"n_per_category": 0},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError, match="wise"):
        WISEOptions(**options)


def test_the_micro_edition_feeds_the_same_arithmetic():
    pytest.importorskip("harness.world.version", reason="the micro world is not complete here")
    pytest.importorskip("harness.world.verifier", reason="the micro world is not complete here")
    benches = {
        v: WISE(profile="micro", protocol="official", options=WISEOptions(variant=v, n_per_category=2))
        for v in ("verified", "legacy")
    }
    assert benches["verified"].data_id != benches["legacy"].data_id
    for variant, bench in benches.items():
        prompts = {p.id: p for p in bench.prompts()}
        assert checked_prompts(bench, None)
        assert {p.category for p in prompts.values()} == set(CATEGORIES)
        request = bench.requests(next(iter(prompts.values())), generation(next(iter(prompts.values()))), [IMAGE])[0]
        assert request.fields["facts"]
        top = 1.0 if variant == "verified" else 2.0
        scores = [s for p in prompts.values() for s in scores_of(p, variant, [top] * len(SCALES[variant]))]
        assert bench.aggregate(prompts, scores)[0].value == pytest.approx(1.0)
