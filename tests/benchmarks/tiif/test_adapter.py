import sys
import types

import pytest
from PIL import Image

from benchmarks.tiif import TIIF
from benchmarks.tiif.officialprompt import extract, write_cache
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.judges.base import Unparsed
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, SampleKey

from . import synthetic

PROMPT = next(iter(synthetic.prompts_of({"text": 1}, lengths=["short"]).values()))
IMAGE = ref_of_image(Image.new("RGB", (4, 4)))


def generation(index=0, status="ok"):
    key = SampleKey(benchmark="tiif", prompt_id=PROMPT.id, index=index)
    return Generation(id="g", key=key, seed=0, policy="p", params={}, status=status)


def verdict(i, value, status="ok", **more):
    key = generation().key
    return Judgement(id=f"j{i}", key=key, question_id=f"question/{i}", judge="j", value=value, status=status, **more)


def ask(benchmark, index=0):
    (request,) = benchmark.requests(PROMPT, generation(index), [IMAGE])
    return request


def test_it_is_registered_and_needs_no_torch():
    assert BENCHMARKS.get("tiif") is TIIF
    assert TIIF.headline == ("overall/short", "overall/long")


def test_one_request_holds_all_questions_in_order_with_the_expected_answers_as_tags():
    request = ask(synthetic.adapter())
    assert (request.kind, request.form, request.images) == ("text", "tiif", (IMAGE,))
    assert [(q.id, q.text, q.tag) for q in request.questions] == [
        ("question/0", "Is there a text 0?", "yes"),
        ("question/1", "Is text 0 red?", "no"),
    ]
    assert request.fields == {"questions": ["Is there a text 0?", "Is text 0 red?"], "judge_prompt": "builtin"}
    assert "\nIs there a text 0?\nIs text 0 red?\n" in request.prompt
    assert request.system


def test_the_request_reads_its_own_replies():
    request = ask(synthetic.adapter())
    assert [a.value for a in request.parse("Yes, it is.\nno")] == [1.0, 0.0]
    with pytest.raises(Unparsed):
        request.parse("**Yes**\n**No**")


def test_the_request_depends_on_nothing_but_the_sample():
    first, again, other = ask(synthetic.adapter()), ask(synthetic.adapter()), ask(synthetic.adapter(), index=1)
    assert (first.prompt, first.seed) == (again.prompt, again.seed)
    assert first.seed != other.seed
    assert first.prompt == other.prompt


def test_official_templates_are_drawn_by_sample_and_named_in_the_record(tmp_path):
    lock = synthetic.lock_of({})
    prompt = extract(synthetic.SCRIPT, lock)
    write_cache(prompt, tmp_path / "tiif" / "judge_prompts.json")
    benchmark = synthetic.adapter(data_dir=tmp_path, judge_prompt="official")
    with pytest.warns(UserWarning, match="differ"):
        requests = [ask(benchmark, index=i) for i in range(20)]
    assert {r.fields["template"] for r in requests} == {"raw_a", "raw_b"}
    for request in requests:
        name = request.fields["template"]
        expected = synthetic.TEMPLATES[name].replace("##Q##", "Is there a text 0?\nIs text 0 red?")
        assert (request.prompt, request.system) == (expected, "You judge.")
        assert request.fields["template_sha256"] == prompt.hashes[name]
        assert request.parse("yes\nno")[0].payload == {
            "judge_prompt": "official",
            "template": name,
            "template_sha256": prompt.hashes[name],
        }


def test_official_templates_without_their_file_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"judge_prompts.json"):
        ask(synthetic.adapter(data_dir=tmp_path, judge_prompt="official"))
    with pytest.raises(DataError, match="data folder"):
        ask(synthetic.adapter(judge_prompt="official"))


def test_a_question_scores_one_where_the_answer_is_the_expected_one():
    scores = synthetic.adapter().score(PROMPT, generation(), [verdict(1, 1.0), verdict(0, 1.0)])
    assert [(s.metric, s.value, s.reason) for s in scores] == [
        ("question/0", 1.0, ""),
        ("question/1", 0.0, "judge says yes, expected no"),
    ]


@pytest.mark.parametrize(
    ("verdicts", "status", "reason"),
    [
        ([], "ok", "missing: no judgement"),
        ([], "refused", "missing: no image (refused)"),
        ([verdict(0, None, "unparsed", error="1 line"), verdict(1, None, "unparsed")], "ok", "unparsed: 1 line"),
        ([verdict(0, None, "refused", error="safety")], "ok", "refused: safety"),
    ],
)
def test_a_missing_answer_has_no_value_and_a_reason(verdicts, status, reason):
    scores = synthetic.adapter().score(PROMPT, generation(status=status), verdicts)
    assert [s.value for s in scores] == [None, None]
    assert scores[0].reason == reason


def test_repeated_answers_are_averaged():
    verdicts = [verdict(0, v, repeat=i) for i, v in enumerate([1.0, 0.0, 1.0, 1.0])]
    assert synthetic.adapter().score(PROMPT, generation(), verdicts)[0].value == 0.75


def test_unparsed_replies_reach_the_table():
    benchmark = synthetic.adapter()
    scores = benchmark.score(PROMPT, generation(), [verdict(i, None, "unparsed") for i in range(2)])
    cell = benchmark.aggregate({PROMPT.id: PROMPT}, scores)[0]
    assert (cell.metric, cell.value, cell.n_missing, cell.extra["images_unparsed"]) == ("overall/short", None, 1, 1)
    assert (cell.printed, cell.ci_low, cell.method) == ("", None, "none: no value")


@pytest.mark.parametrize("option", [{"set": "test"}, {"length": "longer"}, {"judge_prompt": "x"}, {"n_per_type": 0}])
def test_wrong_options_are_refused(option):
    with pytest.raises(ConfigError, match=f"tiif.{next(iter(option))}"):
        synthetic.adapter(**option)


def test_the_micro_edition_asks_for_its_prompts(monkeypatch):
    calls = []

    def prompts(n_per_type, seed):
        calls.append((n_per_type, seed))
        return list(synthetic.prompts_of({"numeracy": n_per_type, "negation": 1}).values())

    module = types.ModuleType("benchmarks.micro.tiif")
    module.prompts = prompts
    monkeypatch.setitem(sys.modules, "benchmarks.micro.tiif", module)
    benchmark = synthetic.adapter(profile="micro", n_per_type=3, prompt_seed=7)
    assert [p.meta["length"] for p in benchmark.prompts()] == ["short"] * 4 + ["long"] * 4
    assert len(synthetic.adapter(profile="micro", n_per_type=3, prompt_seed=7, length="short").prompts()) == 4
    assert calls[0] == (3, 7)
    assert benchmark.data_id.startswith("tiif-micro@")
    assert benchmark.data_id != synthetic.adapter(profile="micro", n_per_type=4, prompt_seed=7).data_id


def test_the_micro_edition_fits_the_adapter():
    benchmark = synthetic.adapter(profile="micro", n_per_type=2)
    prompts = {p.id: p for p in benchmark.prompts()}
    scores = [s for p in prompts.values() for s in synthetic.scores_of(p, [1.0] * len(p.meta["answers"]))]
    short, long = benchmark.aggregate(prompts, scores)[:2]
    for cell in (short, long):
        assert (cell.value, cell.n, cell.n_missing, cell.extra["complete"]) == (1.0, len(prompts) // 2, 0, True)
    assert len({p.meta["type"] for p in prompts.values()}) >= 20


class TestOcr:
    LINES = '{"prompt_id": "tiif/text/0000/short", "lines": ["drink  Tea"]}\n\n'

    def prompt(self):
        questions = ["Is the text 'drink' in the image?", "Is the text 'tea' in the image?"]
        return synthetic.prompts_of({"text": 1})[PROMPT.id].__class__(
            id=PROMPT.id,
            text="",
            category="text",
            meta={**PROMPT.meta, "questions": questions, "answers": ["yes", "yes"]},
        )

    def scores(self, tmp_path, text, index=0):
        path = tmp_path / "ocr.jsonl"
        path.write_text(text)
        benchmark = synthetic.adapter(ocr_file=str(path))
        return {s.metric: s for s in benchmark.score(self.prompt(), generation(index), [])}

    def test_ocr_lines_give_both_metrics(self, tmp_path):
        scores = self.scores(tmp_path, self.LINES)
        assert (scores["text/gned"].value, scores["text/recall"].value) == (pytest.approx(1 / 3), 1.0)

    def test_an_image_without_entry_is_missing(self, tmp_path):
        scores = self.scores(tmp_path, self.LINES, index=1)
        assert (scores["text/gned"].value, scores["text/gned"].reason) == (None, "missing: no OCR entry")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (LINES + '{"prompt_id": "tiif/te', "line 3: not valid JSON"),
            ('{"lines": []}', "line 1, field 'prompt_id'"),
            ('{"prompt_id": "a", "lines": "b"}', "line 1, field 'lines'"),
            (LINES + LINES, "line 3: a second entry"),
        ],
    )
    def test_damaged_lines_are_located(self, tmp_path, text, message):
        with pytest.raises(DataError, match=message):
            self.scores(tmp_path, text)


class TestImageFolders:
    def find(self, root, type_="comparison", length="short", row=3, index=0, **options):
        prompt = synthetic.prompts_of({type_: row + 1}, lengths=[length])[f"tiif/{type_}/{row:04d}/{length}"]
        return synthetic.adapter(**options).find_image(root, prompt, index)

    def test_the_official_layout(self, tmp_path):
        path = synthetic.touch(tmp_path / "comparison/m/short_description/3.PNG")
        synthetic.touch(tmp_path / "comparison/m/short_description/33.png")
        synthetic.touch(tmp_path / "comparison/m/short_description/3.txt")
        assert self.find(tmp_path) == path
        assert self.find(tmp_path, index=1) is None
        assert self.find(tmp_path, length="long") is None
        assert self.find(tmp_path, row=4) is None

    @pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "webp"])
    def test_every_accepted_ending(self, tmp_path, ending):
        path = synthetic.touch(tmp_path / f"comparison/m/short_description/3.{ending}")
        assert self.find(tmp_path) == path

    def test_png_is_preferred(self, tmp_path):
        for ending in ("jpeg", "webp", "png"):
            synthetic.touch(tmp_path / f"comparison/m/short_description/3.{ending}")
        assert self.find(tmp_path).suffix == ".png"

    def test_a_postfix_is_not_confused_with_a_longer_type(self, tmp_path):
        synthetic.touch(tmp_path / "comparison+2d_v1/m/short_description/3.png")
        assert self.find(tmp_path) is None
        path = synthetic.touch(tmp_path / "comparison_v1/m/short_description/3.png")
        assert self.find(tmp_path) == path

    def test_two_postfixes_are_an_error(self, tmp_path):
        for postfix in ("_a", "_b"):
            synthetic.touch(tmp_path / f"comparison{postfix}/m/short_description/3.png")
        with pytest.raises(DataError, match="comparison_a, comparison_b"):
            self.find(tmp_path)

    def test_several_models_need_a_name(self, tmp_path):
        paths = {m: synthetic.touch(tmp_path / f"comparison/{m}/short_description/3.png") for m in "ab"}
        synthetic.touch(tmp_path / "comparison/.cache/x")
        with pytest.raises(DataError, match=r"\(a, b\).*tiif.image_model"):
            self.find(tmp_path)
        assert self.find(tmp_path, image_model="b") == paths["b"]
        assert self.find(tmp_path, image_model="c") is None
