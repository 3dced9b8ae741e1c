"""Reading replies and averaging, written a second time from the specification: one character, one row at a time."""

import json
import math

MARK = "||V^=^V||"


def read(text, guess=None):
    """The score list, or None where the reply is not read (or upstream fails and starts over)."""
    if text == "rate_limit_exceeded":
        return None
    marks = [i for i in range(len(text)) if text[i : i + len(MARK)] == MARK]
    marks = [i for n, i in enumerate(marks) if n == 0 or i >= marks[n - 1] + len(MARK)]
    if len(marks) == 2:
        return body_scores(text[marks[0] + len(MARK) : marks[1]])
    opening = [i for i, c in enumerate(text) if c == "{"]
    closing = [i for i, c in enumerate(text) if c == "}"]
    if opening and closing:
        return body_scores("".join(text[i] for i in range(opening[0], closing[-1] + 1)))
    if guess is not None:
        return [guess]
    left = [i for i, c in enumerate(text) if c == "["]
    right = [i for i, c in enumerate(text) if c == "]"]
    if left and right and left[0] < right[-1]:
        pair = two_integers(text[left[0] : right[-1] + 1])
        if pair:
            return pair
    try:
        number = int(text)
    except ValueError:
        return None
    return [number] if number in range(11) else None


def two_integers(span):
    """[a, b] of a text `[DIGITS,DIGITS]` with at most one space after the comma; no sign, no leading zero."""
    inner = span[1:-1]
    if inner.count(",") != 1:
        return None
    first, second = inner.split(",")
    if second.startswith(" "):
        second = second[1:]
    for digits in (first, second):
        if not digits or any(c not in "0123456789" for c in digits) or (digits[0] == "0" and len(digits) > 1):
            return None
    return [int(first), int(second)]


def body_scores(body):
    body = "".join(c for c in body.strip() if c != "\n")
    try:
        found = json.loads(body)
        scores = found["score"]
        return scores if isinstance(scores, list) else [scores]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        found = json.loads(repaired(body))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return found.get("score")


def repaired(body):
    quoted = ""
    for char in body:
        if char == ":":
            word = ""
            while quoted and (quoted[-1].isalnum() or quoted[-1] == "_"):
                word = quoted[-1] + word
                quoted = quoted[:-1]
            quoted += f'"{word}":' if word else ":"
        else:
            quoted += char
    return with_values(quoted)


def with_values(text):
    done = ""
    while True:
        starts = [i for i, c in enumerate(text) if c == '"']
        ends = [j for j in range(len(text) - 1) if starts and j > starts[0] and text[j : j + 2] == '":']
        stops = [k for k, c in enumerate(text) if ends and k >= ends[0] + 2 and c in ",}"]
        if not stops:
            return done + text
        value = text[ends[0] + 2 : stops[0]].strip()
        if is_number(value):
            value = f"[{value}]"
        elif value.lower() not in ("true", "false", "null"):
            value = f'"{value}"'
        done += text[: ends[0] + 1] + ": " + value + text[stops[0]]
        text = text[stops[0] + 1 :]


def is_number(value):
    whole, dot, part = value.removeprefix("-").partition(".")
    return whole.isdecimal() and (part.isdecimal() if dot else True)


def smallest(scores):
    """The official minimum as a finite float, or None where upstream fails or the result is no number."""
    if not isinstance(scores, list) or not scores:
        return None
    best = scores[0]
    for entry in scores[1:]:
        try:
            if entry < best:
                best = entry
        except TypeError:
            return None
    if not isinstance(best, (int, float)):
        return None
    try:
        best = float(best)
    except OverflowError:
        return None
    return best if math.isfinite(best) else None


def strict(scores, length):
    """Whether a score list is `length` finite numbers from 0 to 10."""
    if not isinstance(scores, list) or len(scores) != length:
        return False
    return all(type(s) in (int, float) and s == s and 0 <= s <= 10 for s in scores)


def without_thinking(text):
    while "<think>" in text:
        start = text.index("<think>")
        end = text.find("</think>", start)
        text = text[:start] + (text[end + len("</think>") :] if end >= 0 else "")
    while "</think>" in text:
        text = text[text.index("</think>") + len("</think>") :]
    return text


def table(groups, names, *, zero=False):
    """(group means, overall) of SC, PQ, O for `groups[name]` = list of (sc, pq) or None."""
    means = {}
    for name in names:
        sums, n = [0.0, 0.0, 0.0], 0
        for item in groups.get(name, []):
            if item is None and not zero:
                continue
            sc, pq = item or (0.0, 0.0)
            for i, value in enumerate((sc, pq, math.sqrt(sc * pq))):
                sums[i] += value
            n += 1
        means[name] = [s / n for s in sums] if n else None
    if any(m is None for m in means.values()):
        return means, None
    return means, [sum(m[i] for m in means.values()) / len(names) for i in range(3)]
