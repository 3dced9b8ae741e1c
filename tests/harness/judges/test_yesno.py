"""P(yes): spellings of byte-level and sentencepiece vocabularies, exact values, bounds, the published code's rule."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judges.vlm.yesno import (
    SATURATED,
    log_sum_exp,
    normalised,
    p_yes_exact,
    p_yes_official_code,
    p_yes_top_k,
    spellings,
    token_text,
    unseen_mass,
)


def test_spellings_are_found_in_byte_level_and_sentencepiece_vocabularies():
    vocabulary = {"Yes": 1, "Ġyes": 2, "Ċyes": 3, "▁YES": 4, "yes!": 5, "yesterday": 6, "No": 7, "ĠNO.": 8, "▁no": 9}
    found = spellings({**vocabulary, "now": 10, "Ġnope": 11, "ye": 12, "<|yes|>": 13})
    assert found.yes == (1, 2, 3, 4, 5)
    assert found.no == (7, 8, 9)


def test_spellings_by_a_decoding_function_equal_those_of_the_vocabulary():
    texts = ["x", " yes", "No", "YES\n", "no?", "nó"]
    assert spellings(lambda i: texts[i], len(texts)) == spellings({t: i for i, t in enumerate(texts)})


def test_a_vocabulary_without_one_of_the_words_is_refused():
    with pytest.raises(ValueError, match="spells no"):
        spellings({"yes": 0})
    with pytest.raises(ValueError, match="size"):
        spellings(lambda i: "yes")


def test_byte_level_signs_decode_to_the_bytes_they_stand_for():
    assert token_text("ĠÃ©") == " é"
    assert token_text("Ċ") == "\n"
    assert token_text("▁yes") == " yes"
    assert token_text("Ã") == "\ufffd"


@pytest.mark.parametrize("text", ["yes", " Yes", "\n\nYES.", "?!, yes ,.", "Yes\t"])
def test_white_space_punctuation_and_case_do_not_matter(text):
    assert normalised(text) == "yes"


def test_other_words_stay_other_words():
    assert normalised("yes-") != "yes" and normalised("y es") != "yes" and normalised("**yes**") != "yes"


def test_exact_value_is_the_ratio_of_the_merged_probabilities():
    found = p_yes_exact([math.log(0.2), math.log(0.1)], [math.log(0.05)])
    assert found.value == pytest.approx(0.3 / 0.35, rel=1e-12)
    assert found.mass == pytest.approx(0.35, rel=1e-12)
    assert not found.saturated and found.bound is None
    assert "bound" not in found.payload and found.payload["how"] == "token_ids"


def test_exact_value_survives_probabilities_that_underflow():
    found = p_yes_exact([-2000.0], [-2001.0])
    assert found.value == pytest.approx(1 / (1 + math.exp(-1)))
    assert found.mass == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-30, 5), min_size=3, max_size=30), st.integers(1, 28))
def test_exact_value_equals_a_softmax_over_the_vocabulary(logits, cut):
    n_yes = 1 + cut % (len(logits) - 1)
    logs = np.array(logits) - np.logaddexp.reduce(logits)
    half = (n_yes + len(logits)) // 2
    yes, no = logs[:n_yes], logs[n_yes : max(half, n_yes + 1)]
    found = p_yes_exact(yes.tolist(), no.tolist())
    assert found.value == pytest.approx(np.exp(yes).sum() / (np.exp(yes).sum() + np.exp(no).sum()), rel=1e-9)


def test_no_probability_for_either_word_is_an_error_not_a_half():
    with pytest.raises(ValueError, match="neither"):
        p_yes_exact([-math.inf], [-math.inf])


@pytest.mark.parametrize("bad", [0.5, math.nan])
def test_values_that_are_no_log_probabilities_are_refused(bad):
    with pytest.raises(ValueError, match="not a log-probability"):
        p_yes_exact([bad], [-1.0])


def test_values_that_float32_cannot_tell_from_the_ends_are_saturated():
    assert p_yes_exact([-1e-9], [-25.0]).saturated
    assert p_yes_exact([-25.0], [-1e-9]).saturated
    assert not p_yes_exact([math.log(1e-5)], [math.log(0.5)]).saturated
    assert np.float32(1 - SATURATED / 2) == 1


def test_top_k_merges_spellings_and_bounds_what_was_not_shown():
    top = [("Yes", math.log(0.5)), (" yes", math.log(0.1)), ("No", math.log(0.2)), ("The", math.log(0.1))]
    found = p_yes_top_k(top)
    assert found.value == pytest.approx(0.6 / 0.8)
    assert found.mass == pytest.approx(0.8)
    assert found.bound == pytest.approx((0.6 / 0.9, 0.7 / 0.9))
    assert found.how == "top_k"


def test_top_k_with_one_word_unseen_is_saturated_and_says_how_far_it_may_be_off():
    found = p_yes_top_k([("Yes", math.log(0.9)), ("Maybe", math.log(0.05))])
    assert found.value == 1.0 and found.saturated
    assert found.bound[0] == pytest.approx(0.9 / 0.95) and found.bound[1] == 1.0


def test_a_known_number_of_unseen_spellings_narrows_the_bound():
    top = [("Yes", math.log(0.5)), ("Maybe", math.log(0.01))]
    assert p_yes_top_k(top, n_unseen=3).bound[0] == pytest.approx(0.5 / 0.53)


def test_top_k_without_either_word_has_no_value():
    found = p_yes_top_k([("A", -0.1), ("B", -4.0)], "yes")
    assert found.value is None and found.bound == (0.0, 1.0) and found.mass == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-20, 5), min_size=6, max_size=40), st.integers(1, 10), st.integers(0, 2**16))
def test_the_exact_value_lies_within_the_bound_of_every_k(logits, k, seed):
    logs = np.array(logits) - np.logaddexp.reduce(logits)
    words = np.random.default_rng(seed).permutation(["yes", " Yes", "no", " No", *["x"] * (len(logits) - 4)])
    exact = p_yes_exact(
        [lp for w, lp in zip(words, logs, strict=True) if normalised(w) == "yes"],
        [lp for w, lp in zip(words, logs, strict=True) if normalised(w) == "no"],
    )
    ranked = sorted(zip(words, logs, strict=True), key=lambda p: -p[1])[:k]
    low, high = p_yes_top_k(ranked).bound
    assert low - 1e-9 <= exact.value <= high + 1e-9
    tight = p_yes_top_k(ranked, n_unseen=2).bound
    assert tight[0] - 1e-9 <= exact.value <= tight[1] + 1e-9


def test_the_published_rule_reads_five_tokens():
    top = [("a", -1.0), ("b", -2.0), ("c", -3.0), ("d", -4.0), ("Yes", -5.0), ("No", -6.0)]
    found = p_yes_official_code(top, "a")
    assert found.value == 1.0 and found.how == "top_k"
    assert p_yes_top_k(top).value == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize(("text", "value"), [(" Yes.", 1.0), ("no", 0.0), ("maybe", 0.0), ("yes it is", 0.0)])
def test_the_published_rule_falls_back_to_the_written_word(text, value):
    found = p_yes_official_code([(t, -1.7) for t in "abcde"], text)
    assert found.value == value and found.how == "text" and found.saturated and found.mass == 0.0


def test_log_sum_exp_and_unseen_mass_of_nothing():
    assert log_sum_exp([]) == -math.inf
    assert unseen_mass([]) == 1.0 and unseen_mass([0.0]) == 0.0
