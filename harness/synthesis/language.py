"""English forms that the templates need: articles, plurals, lists, numbers, sentences."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_VOWEL_SOUND = re.compile(r"(?:[aeio]|u(?!ni|se|su|ti|re|ku|ke)|hour|honest|heir|L-)", re.IGNORECASE)
_CONSONANT_SOUND = re.compile(r"(?:one\b|once|eu|ewe)", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
_SPACE_BEFORE_MARK = re.compile(r" [.,!?;:]")
_DOUBLED_MARK = re.compile(r"[.,?]{2}")
_DOUBLED_WORD = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_WITH_ARTICLE = re.compile(r"\b(an?) ([A-Za-z][\w'-]*)", re.IGNORECASE)
_STARTS_WITH_ARTICLE = re.compile(r"(?:an?|the) ")


def article(phrase: str) -> str:
    """`a` or `an`, by the sound that `phrase` starts with."""
    is_vowel = _VOWEL_SOUND.match(phrase) is not None and _CONSONANT_SOUND.match(phrase) is None
    return "an" if is_vowel else "a"


def with_article(phrase: str) -> str:
    """`phrase` behind its indefinite article."""
    return f"{article(phrase)} {phrase}"


def without_article(phrase: str) -> str:
    """`a lid` as `lid`; phrases without an article are unchanged."""
    return _STARTS_WITH_ARTICLE.sub("", phrase, count=1)


def plural(noun: str) -> str:
    """The regular plural of a noun phrase that ends in its head."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def number(n: int) -> str:
    """`n` in words, 0 to 12."""
    return NUMBERS[n]


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b, and c`."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def sentence(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def sentences(text: str) -> str:
    """`text` with a capital letter at its start and behind each full stop."""
    return sentence(re.sub(r"\. ([a-z])", lambda found: f". {found[1].upper()}", text))


def continued(text: str) -> str:
    """A sentence as it stands behind an opening phrase: first letter in lower case."""
    return text[:1].lower() + text[1:]


@functools.lru_cache(maxsize=1 << 16)
def words(text: str) -> tuple[str, ...]:
    """Lower-case words of `text`, in order; inner hyphens and apostrophes belong to a word."""
    return tuple(_WORD.findall(text.lower()))


@functools.lru_cache(maxsize=1 << 16)
def flaws(text: str) -> tuple[str, ...]:
    """What is plainly wrong with the form of a prompt or a question: spaces, articles, ends, open slots."""
    found = []
    if "  " in text or text != text.strip() or _SPACE_BEFORE_MARK.search(text):
        found.append("wrong spaces")
    if "{" in text or "}" in text:
        found.append("unfilled slot")
    if not text.endswith((".", "?")):
        found.append("no end mark")
    if not text[:1].isupper():
        found.append("starts in lower case")
    if text.count('"') % 2:
        found.append("open quotation mark")
    unquoted = _QUOTED.sub('""', text)
    if _DOUBLED_MARK.search(unquoted):
        found.append("doubled punctuation")
    if _DOUBLED_WORD.search(unquoted):
        found.append("doubled word")
    for match in _WITH_ARTICLE.finditer(unquoted):
        if match[1].lower() != article(match[2]):
            found.append(f"wrong article in {match[0]!r}")
    return tuple(found)
