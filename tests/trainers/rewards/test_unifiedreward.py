"""UnifiedReward's three families: texts, images, parsing, scales, and no number for a reply without one."""

import json
import math

import pytest

from harness.errors import ConfigError, DataError
from harness.judges.base import Unparsed
from harness.prompttemplates import Field, Template, write_cache
from harness.rewards import make_reward, score
from trainers.rewards.unifiedreward import parse_axes, parse_final, parse_pair

from .judges import PICTURE, SOURCE, Writer, item

THREE = "Alignment Score (1-5): {}\nCoherence Score (1-5): {}\nStyle Score (1-5): {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Final Score: 4", 4.0),
        ("The picture is fine.\nFinal Score: 4.6\n", 4.6),
        ("Final Score:3.25.", 3.25),
        ("Final Score:\n 5", 5.0),
        ("Final Score: 2/5", 2.0),
        ("Final Score: 2, then Final Score: 4", 2.0),
        ("Final Score: none. Final Score: 4", 4.0),
        ("Final Score: 2.694700002670288", 2.694700002670288),
    ],
)
def test_the_first_final_score_counts(text, expected):
    assert parse_final(text)[0].value == expected


@pytest.mark.parametrize(
    "text",
    ["", "Score: 4", "final score: 4", "Final Score: 10", "Final Score: 0", "Final Score: 5.5", "Final Score:"],
)
def test_no_final_score_is_no_number(text):
    with pytest.raises(Unparsed):
        parse_final(text)


def test_axes_are_read_by_name_in_any_order():
    lines = THREE.format(1, "2.694700002670288", 5).splitlines()
    assert [a.value for a in parse_axes("\n".join(lines[::-1]))] == [1.0, 2.694700002670288, 5.0]


@pytest.mark.parametrize("text", [THREE.format(1, 2, "x"), THREE.format(1, 2, 5.1), THREE[:60].format(1, 2), ""])
def test_a_missing_axis_is_no_number(text):
    with pytest.raises(Unparsed):
        parse_axes(text)


def test_pairs_are_read_up_to_twenty_five():
    (found,) = parse_pair('<think>{"score": [1]}</think>' + json.dumps({"reasoning": "a", "score": [25, 10]}))
    assert found.value == 17.5 and found.payload == {"scores": [25.0, 10.0]}
    for scores in ([26, 0], [1], [1, 2, 3], ["a", 1], [True, 1]):
        with pytest.raises(Unparsed):
            parse_pair(json.dumps({"score": scores}))


def value_of(options, judge, **of_item):
    (found,) = score(make_reward("unifiedreward", options), judge, [item(**of_item)]).values
    return found


def test_pointwise_squashes_the_picture_and_divides_by_five():
    judge = Writer(unifiedreward_pointwise="Final Score: 4.6")
    found = value_of({"family": "pointwise"}, judge)
    assert found.value == pytest.approx(0.92) and found.parts == {"raw": 4.6}
    (request,) = judge.asked
    assert [i.load().size for i in request.images] == [(512, 512)] and request.temperature == 0.0
    assert request.prompt.count("a dog {in} a <prompt>") == 1
    assert value_of({"family": "pointwise", "scale": "raw"}, judge).value == 4.6


def test_axes_give_their_mean_or_one_of_them():
    judge = Writer(unifiedreward_axes=THREE.format(2, 3, 4.5))
    found = value_of({}, judge)
    assert found.value == pytest.approx(9.5 / 15)
    assert found.parts == pytest.approx({"alignment": 0.4, "coherence": 0.6, "style": 0.9, "raw": 9.5 / 3})
    assert value_of({"axis": "style"}, judge).value == pytest.approx(0.9)
    assert judge.asked[0].images == (PICTURE,)


def test_edits_ask_twice_and_combine_the_means():
    judge = Writer(
        unifiedreward_edit_sc=json.dumps({"score": [20, 10]}), unifiedreward_edit_pq=json.dumps({"score": [25, 25]})
    )
    found = value_of({"family": "edit"}, judge, text="make it blue", sources=(SOURCE,))
    assert found.value == pytest.approx(math.sqrt(15 * 25) / 25)
    assert found.parts == pytest.approx({"semantic": 0.6, "quality": 1.0, "raw": math.sqrt(15 * 25)})
    following, quality = judge.asked
    assert following.images == (SOURCE, PICTURE) and quality.images == (PICTURE,)
    assert "make it blue" in following.prompt and "make it blue" not in quality.prompt
    with pytest.raises(DataError, match="needs the source image"):
        make_reward("unifiedreward", {"family": "edit"}).requests(item())


def test_a_reply_without_a_number_is_missing_whatever_the_rest_of_the_batch_gets():
    judge = Writer(unifiedreward_axes=["no", THREE[:25].format(3), "no"])
    found = value_of({}, judge)
    assert found.value is None and found.n_failed == 3 and "alignment: unparsed" in found.reason


NAMES = {
    "pointwise": ("List.\nCaption: [", Field("prompt"), "]"),
    "flow-grpo": ("<image>\nRate [", Field("prompt"), "]"),
    "axes": ("Axes [", Field("prompt"), "]"),
    "axes-words": ("Words [", Field("prompt"), "]"),
    "edit-following": ("Judge. ", Field("instruction"), "\n"),
    "edit-quality": ("Quality.",),
}


@pytest.fixture
def prepared(tmp_path):
    templates = {n: Template(pieces=p, source_sha256="0" * 64) for n, p in NAMES.items()}
    write_cache(templates, tmp_path / "unifiedreward" / "judge_prompts.json")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("family", "judge_prompt", "texts"),
    [
        ("pointwise", "official", ["List.\nCaption: [x]"]),
        ("pointwise", "flow-grpo", ["Rate [x]"]),  # without the image tag of another model's format
        ("axes", "official", ["Axes [x]"]),
        ("axes", "axes-words", ["Words [x]"]),
        ("edit", "official", ["Judge. x\n", "Quality."]),
    ],
)
def test_upstreams_texts_come_from_the_data_folder(prepared, family, judge_prompt, texts):
    reward = make_reward("unifiedreward", {"family": family, "judge_prompt": judge_prompt, "data_dir": prepared})
    requests = reward.requests(item("x", sources=(SOURCE,)))
    assert [r.prompt for r in requests] == texts
    assert all(q.tag.startswith(f"judge_prompt:{judge_prompt}@") for r in requests for q in r.questions)
    assert judge_prompt in reward.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "2.0"}, "Known: axes, edit, pointwise"),
        ({"family": "edit", "axis": "style"}, "axis=style belongs to family=axes"),
        ({"family": "edit", "judge_prompt": "flow-grpo"}, "Known: builtin, official"),
        ({"axis": "stile"}, "Did you mean 'style'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        make_reward("unifiedreward", options)


def test_an_unprepared_text_says_how_to_prepare_it(tmp_path):
    with pytest.raises(DataError, match="data prepare unifiedreward"):
        make_reward("unifiedreward", {"judge_prompt": "official", "data_dir": str(tmp_path)})


def test_families_name_their_models_and_ranges():
    made = {f: make_reward("unifiedreward", {"family": f}) for f in ("pointwise", "axes", "edit")}
    assert len({r.default_judge["official"] for r in made.values()}) == len({r.fingerprint for r in made.values()}) == 3
    assert made["edit"].needs_source and not made["axes"].needs_source
    assert make_reward("unifiedreward", {"family": "edit", "scale": "raw"}).value_range == (0.0, 25.0)


@pytest.mark.parametrize("family", ["pointwise", "axes", "edit"])
def test_the_built_in_wording_asks_for_the_form_that_is_read(family):
    reward = make_reward("unifiedreward", {"family": family})
    for request in reward.requests(item("x", sources=(SOURCE,))):
        if family == "edit":
            request_form = request.prompt.partition("{")[2].partition("}")[0]
            assert '"score": [first, second]' in request_form
        else:
            assert all(a.value == 3.5 for a in request.parse(request.prompt))
