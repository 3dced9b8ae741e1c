"""Refinement with a toy that reflects: what each gate keeps, what it costs, resume, refusals, and the intervals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness import seeds
from harness.errors import ConfigError
from harness.evalconfig import EvalConfig, config_hash
from harness.evaluate import evaluate, plan_stages
from harness.models.base import Output, Policy
from harness.progress import Silent
from harness.refinement.differences import NO_TERMS, difference, headlines
from harness.refinement.gates import is_accepted, is_offered, is_right
from harness.refinement.planning import planned_refinement
from harness.refinement.table import ORACLE_NOTE
from harness.registry import MODELS, REWARDS
from harness.rescore import rescore_run
from harness.rewards import Reward, RewardValue
from harness.stats import paired_difference
from harness.types import Question, SampleKey, Score
from tests.harness import toy
from tests.harness.selections import CASES, draw, edition


class Thinker(toy.Painter):
    """Says `fine` of a source brighter than 100, and paints anew."""

    name = "thinker"
    capabilities = frozenset({"reflect", "edit"})
    n_made = 0

    def _paint(self, request):
        Thinker.n_made += 1
        text = ""
        if request.mode == "reflect":
            image, prompt = request.items
            assert prompt.startswith("shade ")
            text = "fine" if image.getpixel((0, 0))[0] > 100 else "too dark"
        shade = seeds.numpy_generator(request.seed, "pixels").integers(256, size=(8, 8, 3), dtype=np.uint8)
        if self.argument == "clumsy" and request.mode == "reflect":
            return Output(status="error", error="slipped")
        return Output(image=Image.fromarray(shade), text=text)

    def reflection_verdict(self, text):
        return text == "fine"


class Mute(Thinker):
    reflection_verdict = Policy.reflection_verdict


@MODELS.register("thinker")
def thinker(argument: str, *, device: str = "cpu"):
    return Thinker(argument)


@MODELS.register("mute")
def mute(argument: str, *, device: str = "cpu"):
    return Mute(argument)


@REWARDS.register("brightness")
class Brightness(Reward):
    name = "brightness"
    fingerprint = "brightness"

    def requests(self, item):
        questions = tuple(Question(id=f"b{i}", text=f"b{i}") for i in range(toy.N_QUESTIONS))
        return [toy.JudgeRequest(kind="yesno", form="brightness", questions=questions, images=(item.image,))]

    def value(self, item, answers):
        return RewardValue(value=sum(a.value for a in answers.values()) / 3)


def config(out, **settings):
    chosen = {"benchmarks": ["toy"], "reflect": 1, "gate_judge": "toy:other", "gate_reward": "brightness"}
    return EvalConfig(**{**chosen, "out": str(out), **settings})


def run(out, model="thinker:a", **settings):
    return evaluate(config(out, **settings), model, Silent())


def rows(result):
    block = result.summary["benchmarks"]["toy"]["refinement"]
    return {(r["gate"], r["arm"], r["round"]): r for r in block["rows"]}


def shades(result):
    """Value of every stored picture: share of its questions answered yes, by (sample, round, gate)."""
    found = {}
    for line in (result.path / "generations.jsonl").read_text().splitlines():
        g = json.loads(line)
        shade = Image.open(result.path / g["image"]).getpixel((0, 0))[0]
        k = g["key"]
        found[k["prompt_id"], k["index"], k.get("round", 0), g.get("gate", "")] = (
            shade,
            sum(shade > 80 * i for i in range(3)) / 3,
        )
    return found


def test_gates_follow_their_rules():
    assert is_offered("all", verdict=True, is_right=True)
    assert [is_offered("self", verdict=v, is_right=None) for v in (True, False, None)] == [False, True, True]
    assert [is_offered("oracle", verdict=False, is_right=r) for r in (True, False, None)] == [False, True, False]
    assert [is_accepted("verifier", *p) for p in ((0.1, 0.2), (0.2, 0.2), (None, 1.0), (0.0, None))] == [True] + [
        False
    ] * 3
    assert all(is_accepted(g, 1.0, 0.0) for g in ("all", "self", "oracle"))


def test_a_sample_is_right_when_every_score_is_at_its_top():
    key = SampleKey(benchmark="b", prompt_id="b/0")

    def scores(*values, metric="q"):
        return [Score(key=key, metric=metric, value=v) for v in values]

    assert is_right(scores(1.0, 1.0), 1.0) is True
    assert is_right(scores(1.0, 0.0, None), 1.0) is False
    assert is_right(scores(1.0, None), 1.0) is None
    assert is_right([], 1.0) is None
    assert is_right(scores(1.0, metric="reward") + scores(0.0), 1.0) is True
    assert is_right(scores(4.0, metric="reward"), 5.0) is False


@pytest.mark.parametrize("arm", ["refine", "again"])
def test_each_gate_selects_what_its_rule_says(tmp_path, arm):
    result = run(tmp_path)
    found, table = shades(result), rows(result)
    samples = [k[:2] for k in found if k[2] == 0]
    assert len(samples) == 24
    kept = {"all": [], "self": [], "verifier": [], "oracle": []}
    for s in samples:
        shade, old = found[(*s, 0, "")]
        new = found[(*s, 1, arm)][1] if (*s, 1, arm) in found else None
        kept["all"].append(new)
        kept["self"].append(old if shade > 100 else new)
        kept["verifier"].append(max(old, new))
        kept["oracle"].append(new if old < 1 else old)
    for gate, values in kept.items():
        assert table[gate, arm, 1]["values"]["overall"]["value"] == pytest.approx(np.mean(values)), gate
    n_dark = sum(found[(*s, 0, "")][0] <= 100 for s in samples)
    n_wrong = sum(found[(*s, 0, "")][1] < 1 for s in samples)
    costs = {g: (r["n_images"], r["n_judge_calls"], r["n_offered"]) for (g, a, _), r in table.items() if a == arm}
    assert costs == {
        "all": (24, 0, 24),
        "self": (n_dark, 0, n_dark),
        "verifier": (24, 48, 24),
        "oracle": (n_wrong, 24, n_wrong),
    }


def test_records_name_their_parent_and_first_images_stay_as_they_are(tmp_path):
    plain = run(tmp_path / "plain", reflect=None, gate_judge=None)
    refined = run(tmp_path / "refined")
    read = [
        [json.loads(line) for line in (r.path / "generations.jsonl").read_text().splitlines()] for r in (plain, refined)
    ]
    first = {g["id"]: {**g, "seconds": 0} for g in read[1] if not g["key"].get("round")}
    assert first == {g["id"]: {**g, "seconds": 0} for g in read[0]}
    later = [g for g in read[1] if g["key"].get("round")]
    assert len(later) == 48
    assert all(g["parent"] in first and first[g["parent"]]["key"]["index"] == g["key"].get("index", 0) for g in later)
    assert len({g["image"] for g in read[1]}) == 72


def test_repeating_and_adding_rounds_makes_each_sample_once(tmp_path):
    first = run(tmp_path, gates=["all"])
    before = Thinker.n_made
    again = run(tmp_path, gates=["all"])
    assert (Thinker.n_made, again.n_generated, again.n_asked) == (before, 0, 0)
    assert rows(again) == rows(first)
    longer = run(tmp_path, reflect=2)
    assert {k: v for k, v in rows(longer).items() if k[0] == "all" and k[2] == 1} == rows(first)
    assert longer.n_generated > 0
    assert run(tmp_path, reflect=2).n_generated == 0


def test_a_run_cut_short_ends_with_the_same_table(tmp_path):
    whole = run(tmp_path / "whole", reflect=2)
    part = run(tmp_path / "part", reflect=2)
    for name in ("generations.jsonl", "judgements.jsonl"):
        file = part.path / name
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[: len(lines) * 2 // 3]) + lines[-1][:20])
    assert rows(run(tmp_path / "part", reflect=2)) == rows(whole)


def test_refinement_leaves_identity_and_rescore_alone(tmp_path):
    with_, without = config(tmp_path), config(tmp_path, reflect=None, gate_judge=None)
    assert config_hash(with_.identity("m", "f")) == config_hash(without.identity("m", "f"))
    result = run(tmp_path)
    rescored = rescore_run(tmp_path, [], None, 0.01).summary
    assert rescored["benchmarks"]["toy"]["values"] == result.summary["benchmarks"]["toy"]["values"]


def test_a_failed_refinement_keeps_the_old_image(tmp_path):
    result = run(tmp_path, "thinker:clumsy", gates=["all"])
    row = rows(result)["all", "refine", 1]
    assert (row["n_failed"], row["n_accepted"], row["acceptance"], row["images_per_accepted"]) == (24, 0, 0.0, None)
    assert row["values"]["overall"]["value"] == result.summary["benchmarks"]["toy"]["values"]["overall"]["value"]


def test_the_oracle_is_marked_as_an_upper_bound(tmp_path):
    notes = run(tmp_path, gates=["oracle"]).summary["benchmarks"]["toy"]["refinement"]["notes"]
    assert ORACLE_NOTE in notes
    assert ORACLE_NOTE not in run(tmp_path, gates=["all"]).summary["benchmarks"]["toy"]["refinement"]["notes"]


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        ("painter:a", {}, "does not reflect"),
        ("thinker:a", {"options": {"toy": {"edit": True}}}, None),
        ("mute:a", {"gates": ["self"]}, "no verdict"),
        ("thinker:a", {"gates": ["verifier"], "gate_judge": "toy"}, "independent"),
        ("thinker:a", {"gates": ["verifier"], "gate_reward": "dvreward"}, "needs questions"),
        ("thinker:a", {"gate_reward": "brightnes"}, "brightness"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_made(tmp_path, monkeypatch, model, settings, words):
    if words is None:
        monkeypatch.setattr(toy.Toy, "mode", "edit")
        words = "editing benchmark"
    before = Thinker.n_made
    with pytest.raises(ConfigError, match=words):
        run(tmp_path, model, **settings)
    assert Thinker.n_made == before


def test_gates_that_do_not_apply_are_left_out_with_a_note(tmp_path):
    block = run(tmp_path, "mute:a", gate_judge="toy").summary["benchmarks"]["toy"]["refinement"]
    assert {r["gate"] for r in block["rows"]} == {"all", "oracle"}
    assert any("no gate self" in n for n in block["notes"])
    assert any("no gate verifier" in n for n in block["notes"])


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_plan_bounds_what_is_made(tmp_path, rounds):
    chosen = config(tmp_path, reflect=rounds)
    policy = Thinker("a")
    stage = plan_stages(chosen, policy)[0]
    plan = planned_refinement(chosen, policy, stage)
    result = run(tmp_path, reflect=rounds)
    assert result.n_generated - 24 <= plan["n_images"]
    assert result.n_asked - 24 <= plan["n_calls"] + plan["n_gate_calls"]
    if rounds == 1:
        assert plan["n_images"] == result.n_generated - 24


def test_gates_without_rounds_are_refused():
    with pytest.raises(ConfigError, match="--reflect"):
        EvalConfig(gates=["all"])


@pytest.mark.parametrize("protocol", ["official", "corrected"])
@pytest.mark.parametrize("case", [c for c in CASES if c != "gedit"])
def test_the_difference_is_that_of_the_official_values(case, protocol):
    x, y = two_selections(case, protocol)
    for metric, mine in x.items():
        d = difference(mine, y[metric])
        assert d["est"] == mine.value - y[metric].value
        assert d["ci_low"] < d["est"] < d["ci_high"]
        assert 0 < d["p"] <= 1
        assert d["n_better"] + d["n_worse"] <= d["n_prompts"]
        back = difference(y[metric], mine)
        assert (back["est"], back["ci_low"], back["p"]) == pytest.approx((-d["est"], -d["ci_high"], d["p"]))


def two_selections(case, protocol, **settings):
    benchmark, prompts = edition(case, protocol, 60)
    return [
        headlines(benchmark, prompts, draw(benchmark, prompts, np.random.default_rng(seed), **settings))
        for seed in (0, 1)
    ]


def test_a_mean_of_category_means_has_the_textbook_interval():
    benchmark, prompts = edition("geneval", "official", 60)
    x, y = (draw(benchmark, prompts, np.random.default_rng(seed), samples=4) for seed in (0, 1))
    names = sorted({p.category for p in prompts.values()})
    cat = [names.index(p.category) for p in prompts.values()]

    def per_prompt(scores):
        return [np.mean([s.value for s in scores if s.key.prompt_id == p]) for p in prompts]

    d = paired_difference(per_prompt(x), per_prompt(y), cat, [1 / len(names)] * len(names))
    ours = difference(*(headlines(benchmark, prompts, s)["overall"] for s in (x, y)))
    assert (ours["est"], ours["ci_low"], ours["ci_high"]) == pytest.approx((d.est, d.low, d.high))
    assert ours["p"] == pytest.approx(d.p)


def test_selections_that_lost_different_prompts_still_pair():
    x, y = (v["overall"] for v in two_selections("geneval", "official", missing=0.2))
    assert (x.terms.den == 0).tolist() != (y.terms.den == 0).tolist()
    d = difference(x, y)
    assert d["n_prompts"] == int(((x.terms.den > 0) & (y.terms.den > 0)).sum())
    assert d["ci_low"] < x.value - y.value < d["ci_high"]


def test_without_terms_on_one_scale_there_is_a_difference_but_no_interval():
    x, y = (v["overall"] for v in two_selections("geneval", "official"))
    for other, reason in ((None, NO_TERMS), (replace(y.terms, hi=2.0), "only values on one scale compare")):
        d = difference(x, replace(y, terms=other))
        assert d["est"] == x.value - y.value
        assert (d["ci_low"], d["p"]) == (None, None)
        assert reason in d["reason"]


def test_without_a_value_there_is_no_difference():
    x = two_selections("geneval", "official")[0]["overall"]
    lost = replace(x, value=None, terms=None, method="tasks without a verdict")
    assert difference(x, lost)["est"] is None
    assert difference(lost, x)["reason"] == "tasks without a verdict"
    assert difference(x, None)["reason"] == "no value"


def test_a_mistyped_gate_judge_is_told_before_anything_is_made(tmp_path):
    before = Thinker.n_made
    with pytest.raises(ConfigError, match="toyy"):
        run(tmp_path, gate_judge="toyy")
    assert Thinker.n_made == before


def test_the_command_prints_and_writes_the_tables(tmp_path, capsys):
    from harness.cli.main import main

    line = f"eval -b geneval --limit 6 --samples-per-prompt 1 --reflect 1 --gate self,oracle -o {tmp_path}"
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code in (0, None)
    printed, written = capsys.readouterr().out, (tmp_path / "summary.md").read_text()
    for text in (printed, written):
        assert "self control" in text
        assert "upper bound" in text
    block = json.loads((tmp_path / "summary.json").read_text())["benchmarks"]["geneval"]["refinement"]
    assert [(r["gate"], r["arm"]) for r in block["rows"]] == [
        ("self", "refine"),
        ("self", "again"),
        ("oracle", "refine"),
        ("oracle", "again"),
    ]
    said = [json.loads(x) for x in (tmp_path / "generations.jsonl").read_text().splitlines()]
    approved = sum(g["text"].startswith("all correct") for g in said if g.get("gate") == "refine")
    assert block["rows"][0]["n_images"] == 6 - approved
