import pytest

from harness.decompose.micro import draw
from harness.decompose.perturb import damage_questions
from harness.errors import ConfigError
from harness.world.verifier import understands
from trainers.grpo.prompts import make_source

PROMPTS = [draw(7, i, split="train").prompt for i in range(300)]


def texts(prompt):
    return [q["question"] for q in prompt.meta["semantic_questions"]]


def shares(damage, share, count):
    before = sum(len(texts(p)) for p in PROMPTS)
    return count(before, [(texts(p), texts(damage_questions(p, damage, share))) for p in PROMPTS])


def test_share_of_questions_is_dropped_and_one_always_stays():
    lost = shares("drop", 0.3, lambda n, pairs: sum(len(a) - len(b) for a, b in pairs) / n)
    assert 0.25 < lost < 0.32
    assert all(len(texts(damage_questions(p, "drop", 1.0))) == 1 for p in PROMPTS)


def test_share_of_questions_is_asked_twice():
    more = shares("duplicate", 0.3, lambda n, pairs: sum(len(b) - len(a) for a, b in pairs) / n)
    assert 0.26 < more < 0.34
    assert set(texts(damage_questions(PROMPTS[0], "duplicate", 1.0))) == set(texts(PROMPTS[0]))


def test_corrupted_questions_ask_for_another_fact_that_the_verifier_understands():
    changed = shares(
        "corrupt", 0.3, lambda n, pairs: sum(x != y for a, b in pairs for x, y in zip(a, b, strict=True)) / n
    )
    assert 0.22 < changed < 0.34
    for prompt in PROMPTS[:60]:
        damaged = damage_questions(prompt, "corrupt", 1.0)
        assert all(understands(t) for t in texts(damaged))
        assert damaged.meta["quality_questions"] == prompt.meta["quality_questions"]
        assert damaged.text == prompt.text


def test_damage_depends_on_the_prompt_alone():
    assert damage_questions(PROMPTS[3], "drop", 0.5) == damage_questions(PROMPTS[3], "drop", 0.5)


@pytest.mark.parametrize(
    ("damage", "share", "word"), [("dorp", 0.1, "drop"), ("drop", 1.5, "share"), ("drop", True, "share")]
)
def test_wrong_damage_is_refused(damage, share, word):
    with pytest.raises(ConfigError, match=word):
        damage_questions(PROMPTS[0], damage, share)


def test_training_prompts_take_damage_as_an_option_and_refuse_a_mistyped_one_at_once():
    clean, damaged = make_source("micro", 3, {}), make_source("micro", 3, {"damage": {"drop": 0.5}})
    assert clean.at(5).text == damaged.at(5).text
    assert sum(len(texts(damaged.at(i))) for i in range(50)) < sum(len(texts(clean.at(i))) for i in range(50))
    assert "drop" in damaged.id
    with pytest.raises(ConfigError, match="drop"):
        make_source("micro", 3, {"damage": {"dorp": 0.5}})
