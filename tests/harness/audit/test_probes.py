"""Noise floor, bias probes, rewards on pairs and wordings, on judges with one known fault each."""

import numpy as np
import pytest

from harness.audit import bias, noise, pilot, reassurance
from harness.audit.asking import Asker
from harness.audit.cases import pairs
from harness.audit.runner import PARTS, run_audit
from harness.errors import ConfigError
from harness.judges.base import Answer, Unparsed
from harness.judges.micro import MicroJudge
from harness.judges.micro import load as load_micro
from harness.registry import REWARDS
from harness.rewards import Reward, RewardValue
from tests.harness.audit.toys import Toy, exact, pixels


def rows_of(section):
    return {row.measure: row for row in section.rows}


# Noise floor


def test_a_deterministic_judge_has_no_noise():
    rows = rows_of(noise.measure(Asker(load_micro("flip=0.2")), 6, 0, 3))
    assert all(row.value == 0 for row in rows.values())
    assert all(row.n_missing == 0 for row in rows.values())


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda judge: judge.batch == 1, "one picture at a time"),
        (lambda judge: judge.position > 0, "questions in reverse order"),
    ],
)
def test_what_changes_the_answers_is_named(fault, named):
    rows = rows_of(noise.measure(Asker(Toy(lambda judge, *_: 0.9 if fault(judge) else 0.2)), 6, 0, 2))
    assert rows[f"{named}: largest change"].value == pytest.approx(0.7)
    assert rows[f"{named}: flipped"].value > 0.1
    assert rows["asked 2 times: largest change"].value == 0


def test_repeats_measure_the_noise_floor():
    rng = np.random.default_rng(0)
    judge = Toy(lambda *_: 0.5 + 0.1 * rng.standard_normal())
    rows = rows_of(noise.measure(Asker(judge), 20, 0, 8))
    n_questions = np.mean([len(p.questions(p.right.scene)) for p in pairs(20, 0)])
    # 40 pictures, each a mean over its questions; a difference of two scorings.
    assert rows["noise floor of the mean score"].value == pytest.approx(0.1 * np.sqrt(2 / (40 * n_questions)), rel=0.3)
    assert rows["judge's share of the variance"].value > 0.7
    assert rows["asked 8 times: flipped"].value > 0.9


# Biases


def test_a_yes_sayer_fails_every_probe():
    rows = rows_of(bias.measure(Asker(Toy(lambda *_: 0.8)), 12, 0, reads_text=True))
    for name in ("yes on a blank picture", "yes on random pixels", "yes about another prompt's picture"):
        assert rows[name].value == 1.0
        assert rows[f"{name}: mean P(yes)"].value == pytest.approx(0.8)
    assert rows["contradicts itself under negation"].value == 1.0
    assert rows["swayed by text in the picture"].value == 0.0


def test_the_exact_verifier_passes_every_probe():
    section = bias.measure(Asker(MicroJudge()), 30, 0, reads_text=False)
    rows = rows_of(section)
    assert all(row.value <= 0.02 for row in rows.values())
    assert "swayed by text in the picture" not in rows and "no writing" in section.details["painted text"]


def test_a_judge_that_obeys_writing_is_found_out():
    def reads(judge, request, text):
        shown = pixels(request)
        strip = shown[384:] if shown.shape[0] > 48 else np.full((1, 1, 3), 255)
        return 0.9 if (strip < 128).any() else 0.1

    rows = rows_of(bias.measure(Asker(Toy(reads)), 10, 0, reads_text=True))
    assert rows["swayed by text in the picture"].value == 1.0
    assert rows["swayed by text in the picture"].n > 10


# Rewards on pairs


class Fixed(Reward):
    """A reward that is a function of the image's id."""

    name = "fixed"

    def __init__(self, values):
        self.values = values

    @property
    def fingerprint(self):
        return "fixed"

    def requests(self, item):
        return []

    def value(self, item, answers):
        value = self.values.get(item.image.id)
        return RewardValue(value=value, reason="" if value is not None else "nothing known")


def test_ties_and_rankings_are_counted_by_definition():
    found = pairs(8, 0)
    values = {}
    for i, pair in enumerate(found[:7]):
        values[pair.right.image.id] = 0.5
        values[pair.wrong.image.id] = (0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 0.9)[i]
    results = pilot.rank(Fixed(values), MicroJudge(), found)
    assert [r.ranked for r in results] == [1, 1, 1, 1, 0.5, 0.5, 0, None]
    assert [r.tied for r in results] == [0, 0, 0, 0, 1, 1, 0, None]
    rows = {r.measure: r for r in pilot._rows("fixed", results, "")}
    assert rows["fixed: right ranking"].value == pytest.approx(5 / 7)
    assert rows["fixed: ties"].value == pytest.approx(2 / 7)
    assert rows["fixed: ties"].n_missing == 1 and "nothing known" in rows["fixed: ties"].note


def test_questions_separate_what_the_exact_verifier_sees():
    rows = rows_of(pilot.measure(MicroJudge(), 40, 0, ["dvreward", "dvreward:scoring=binary"]))
    assert rows["dvreward: right ranking"].value > 0.9
    assert rows["dvreward: mean margin"].value > 0.05
    assert rows["dvreward: ties"].value <= rows["dvreward:scoring=binary: ties"].value


def test_rewards_that_need_another_kind_of_judge_say_whose_it_is():
    section = pilot.measure(MicroJudge(), 10, 0, ["micro-hps"])
    row = rows_of(section)["micro-hps: right ranking"]
    assert row.n == 10 and row.note == "judged by micro-hps"
    assert section.details["micro-hps"]["judge"].startswith("micro-hps-")
    assert sum(v["n"] for v in section.details["micro-hps"]["by_change"].values()) == 10


def test_unknown_rewards_are_refused_and_defaults_are_what_is_registered():
    with pytest.raises(ConfigError, match="Did you mean 'dvreward'"):
        pilot.measure(MicroJudge(), 2, 0, ["dvrewad"])
    assert set(pilot.known_rewards([])) <= {*pilot.DEFAULT_REWARDS}
    assert all(name.partition(":")[0] in REWARDS.names() for name in pilot.known_rewards([]))


# Two wordings


def test_wordings_are_told_apart():
    def write(request):
        return "<think>yes yes</think> Yes." if request.form == "audit-verify" else "No, it can stay."

    rows = rows_of(reassurance.measure(Toy(None, write), 6, 0))
    assert rows["verify: wrong pictures called fine"].value == 1.0
    assert rows["reflect: right pictures called fine"].value == 1.0

    def strict(request):
        return "no" if request.form == "audit-verify" else "yes"

    rows = rows_of(reassurance.measure(Toy(None, strict), 6, 0))
    assert rows["reflect: wrong pictures called fine"].value == 0.0
    assert rows["verify: right pictures called fine"].value == 0.0


def test_unreadable_replies_are_missing_and_micro_judges_are_left_out():
    section = reassurance.measure(Toy(None, lambda request: "I cannot tell"), 4, 0)
    assert "neither yes nor no" in section.skipped
    with pytest.raises(Unparsed):
        reassurance.first_yes_or_no("yesterday")
    audit = run_audit("micro", MicroJudge(), n=2, only=["reassurance"])
    assert "free text" in audit.sections["false reassurance"].skipped


def test_a_policys_own_reflection_is_tried():
    from harness.models.load import load_policy

    section = reassurance.measure_policy(load_policy("micro"), 12, 0)
    wrong, right = section.rows
    assert wrong.n + wrong.n_missing == right.n + right.n_missing == 12
    assert 0 <= wrong.value < 1 and wrong.n >= 8


def test_an_audit_holds_all_parts_or_says_why_not():
    audit = run_audit("toy", Toy(lambda judge, request, text: exact(request, text), lambda r: "yes"), n=4, repeats=2)
    assert len(audit.sections) == len(PARTS)
    assert list(audit.as_dict()["skipped"]) == ["people"]
    with pytest.raises(ConfigError, match="part of an audit"):
        run_audit("toy", Toy(None), only=["nois"])


def test_failures_make_an_audit_incomplete():
    audit = run_audit("toy", Toy(lambda judge, request, text: None if "circle" in text else 0.1), n=4, only=["bias"])
    assert not audit.is_complete
    assert audit.settings["unanswered"]["error: toy fails"] > 0
    assert Answer().value is None
