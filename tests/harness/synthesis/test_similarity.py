import itertools

import pytest

from harness.synthesis.similarity import NearIndex, jaccard, normalise, shingles


def test_wording_that_adds_nothing_is_ignored():
    assert normalise("A cat is situated beneath a microwave.") == normalise("There is a cat under the microwave")
    assert normalise("3 grey cups") == normalise("Three gray cups.")
    assert normalise("The boxes") == ("box",)


def test_roles_matter():
    same = jaccard(shingles("A cat under a table."), shingles("A cat sits under the table."))
    swapped = jaccard(shingles("A cat under a table."), shingles("A table under a cat."))
    assert same == 1
    assert swapped < 0.5


def test_jaccard_by_hand():
    # {red, cup, table, red cup, cup table} against {blue, cup, table, blue cup, cup table}: 3 common, 7 in all
    assert jaccard(shingles("a red cup table"), shingles("a blue cup table")) == pytest.approx(3 / 7)
    assert jaccard(frozenset(), frozenset()) == 1


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.7, 0.9, 1.0])
def test_the_index_finds_what_comparing_all_pairs_finds(small_records, threshold):
    texts = {r["id"]: r["prompt"] for r in small_records["train"][:400]}
    index = NearIndex(threshold, common=list(texts.values())[:100])
    found = set()
    for key, text in texts.items():
        found |= {(m.key, key, round(m.similarity, 9)) for m in index.near(text)}
        index.add(key, text)
    sets = {key: shingles(text) for key, text in texts.items()}
    expected = set()
    for a, b in itertools.combinations(texts, 2):
        similarity = jaccard(sets[a], sets[b])
        if similarity >= threshold - 1e-12:
            expected.add((a, b, round(similarity, 9)))
    assert found == expected
    if threshold <= 0.5:
        assert expected


def test_what_is_common_changes_the_speed_but_not_the_answer(small_records):
    texts = [r["prompt"] for r in small_records["train"][:200]]
    answers = []
    for common in ([], texts, ["an unrelated sentence"]):
        index = NearIndex(0.5, common)
        for i, text in enumerate(texts):
            index.add(str(i), text)
        answers.append([index.near(text) for text in texts])
    assert answers[0] == answers[1] == answers[2]


def test_the_most_similar_comes_first():
    index = NearIndex(0.3)
    index.add("far", "a red cup beside a blue plate on a table")
    index.add("near", "a red cup beside a blue plate")
    assert [m.key for m in index.near("A red cup beside a blue plate.")] == ["near", "far"]
