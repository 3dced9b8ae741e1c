import pytest

from harness.synthesis import language


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "an"),
        ("red apple", "a"),
        ("hourglass", "an"),
        ("unicycle", "a"),
        ("umbrella", "an"),
        ("L-shaped sofa", "an"),
        ("one-eyed cat", "a"),
        ("oval mirror", "an"),
        ("ukulele", "a"),
        ("upright piano", "an"),
    ],
)
def test_article_follows_the_sound(phrase, expected):
    assert language.article(phrase) == expected


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("box", "boxes"), ("bench", "benches"), ("toy", "toys"), ("baby", "babies"), ("cup", "cups"), ("bus", "buses")],
)
def test_regular_plurals(noun, expected):
    assert language.plural(noun) == expected


def test_lists_have_the_serial_comma_from_three_on():
    assert language.listed(["a"]) == "a"
    assert language.listed(["a", "b"]) == "a and b"
    assert language.listed(["a", "b", "c"]) == "a, b, and c"


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("A apple lies there.", "wrong article in 'A apple'"),
        ("An cup.", "wrong article in 'An cup'"),
        ("A cup  here.", "wrong spaces"),
        ("A cup .", "wrong spaces"),
        ("A cup", "no end mark"),
        ("a cup.", "starts in lower case"),
        ("A {thing}.", "unfilled slot"),
        ("A cup the the.", "doubled word"),
        ("A cup..", "doubled punctuation"),
        ('A "cup.', "open quotation mark"),
    ],
)
def test_flaws_are_named(text, flaw):
    assert flaw in language.flaws(text)


def test_sound_sentences_have_no_flaws_and_quoted_words_are_left_alone():
    assert language.flaws('An hourglass and a unicycle: the sign says "A Apple".') == ()


def test_second_sentences_start_with_a_capital():
    assert language.sentences("a cup is here. the cup is red.") == "A cup is here. The cup is red."
