from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tiif.textmetrics import gned, levenshtein, ned, tokens_of, word_recall, words_of
from harness.errors import DataError


@pytest.mark.parametrize(
    ("words", "lines", "expected_gned", "expected_recall"),
    [
        (["a", "b", "c"], ["a b c"], 0.0, 1.0),
        (["sale"], ["sale sale"], 0.5, 1.0),
        (["a", "b"], ["a  b"], 1 / 3, 1.0),
        (["abcdefghij"], ["abcdefgxyz"], 0.3, 1.0),
        (["abcdefghij"], ["abcdefxxxx"], 0.4, 0.0),
        (["2024"], None, 1.0, 0.0),
        (["2024"], [], 1.0, 0.0),
        (["SALE"], ["Sale"], 0.0, 1.0),
    ],
)
def test_official_examples(words, lines, expected_gned, expected_recall):
    assert gned(words, lines) == pytest.approx(expected_gned, abs=1e-15)
    assert word_recall(words, lines) == expected_recall


def test_recall_takes_the_first_close_token_not_the_closest():
    # "abcd" takes "abce" (0.25), so "abce" finds only "abcd", which is close enough; "xyzw" stays unmatched.
    assert word_recall(["abcd", "abce", "abcd"], ["abce abcd"]) == pytest.approx(2 / 3)
    # The first word takes the second word's only match although an exact one follows.
    assert word_recall(["aaaaaaaaaa", "aaaaaaabbb"], ["aaaaaaabbb aaaaaaaaaa"]) == 1.0
    assert word_recall(["aaaaaaaaaa", "aaaabbbbbb"], ["aaaaaaabbb aaaaaaaaaa"]) == 0.5


def test_recall_without_words_is_not_available():
    assert word_recall([], ["a"]) is None


def test_lines_keep_empty_pieces_and_are_lower_cased():
    assert tokens_of(["A  b", ""]) == ["a", "", "b", ""]
    assert tokens_of(None) == tokens_of([]) == [""]


def test_words_come_from_the_questions_whatever_quotes_they_hold():
    assert words_of(["Is the text 'it's' in the image?", "Is the text 'TEA' in the image? "]) == ["it's", "TEA"]


def test_a_question_of_another_form_is_refused():
    with pytest.raises(DataError, match="Is there tea"):
        words_of(["Is there tea?"])


def recursive_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        recursive_distance(a[1:], b) + 1,
        recursive_distance(a, b[1:]) + 1,
        recursive_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


short_words = st.text("ab", max_size=4)


@given(short_words, short_words)
def test_levenshtein_equals_its_recursive_definition(a, b):
    assert levenshtein(a, b) == recursive_distance(a, b)


@given(st.lists(short_words.filter(bool), min_size=1, max_size=4), st.lists(short_words, max_size=4))
def test_gned_equals_the_best_of_all_assignments(words, tokens):
    line = " ".join(tokens)
    tokens = line.split(" ")
    fewer, more = sorted((tokens, words), key=len)
    best = min(sum(ned(a, b) for a, b in zip(fewer, chosen, strict=True)) for chosen in permutations(more, len(fewer)))
    assert gned(words, [line]) == pytest.approx((best + len(more) - len(fewer)) / len(more), abs=1e-12)
