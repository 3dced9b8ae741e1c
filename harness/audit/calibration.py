"""Accuracy and calibration of yes/no answers against what the micro world drew."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from harness.audit.asking import Asker, says_yes
from harness.audit.cases import flawed, pairs
from harness.audit.table import Row, Section, share_row
from harness.stats import Calibration, calibration_error

SECTION = "calibration"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with its truth and the judge's P(yes)."""

    kind: str
    """Of the fact, or `quality`."""
    truth: bool
    p_yes: float | None
    cluster: str
    """The prompt, whose pictures and questions are not independent."""
    is_damaged: bool


def ask_about_pairs(asker: Asker, n: int, seed: int) -> list[Asked]:
    """Every fact of `n` benchmark prompts asked about a right and a wrong picture, then quality questions."""
    cases = [(pair, picture) for pair in pairs(n, seed) for picture in pair.pictures]
    questions = [pair.questions(picture.scene) for pair, picture in cases]
    given = asker.ask([(p.image, [t for _, t, _ in qs]) for (_, p), qs in zip(cases, questions, strict=True)])
    found = [
        Asked(kind, truth, p_yes, pair.prompt.id, bool(pair.damage))
        for (pair, _), qs, row in zip(cases, questions, given, strict=True)
        for (kind, _, truth), p_yes in zip(qs, row, strict=True)
    ]
    plain = flawed(n, seed)
    answers = asker.ask([(image, [text]) for image, text, _ in plain])
    found += [
        Asked("quality", truth, row[0], image.id, not truth)
        for (image, _, truth), row in zip(plain, answers, strict=True)
    ]
    return found


def measure(asked: list[Asked]) -> Section:
    """Share of right answers (all, by kind), share of answers yes beyond the truth, and the calibration error.

    Calibration: debiased root mean squared gap over bins of equal mass, with its interval; the plug-in mean gap (ECE)
    is given without one, as it is biased upward (`harness.stats.calibration`).
    """
    if all(a.p_yes is None for a in asked):
        return Section(skipped="the judge answered none of the questions")
    rows = [_accuracy("right answers", asked)]
    kinds: dict[str, list[Asked]] = defaultdict(list)
    for a in asked:
        kinds[a.kind].append(a)
    for name, chosen in (("undamaged pictures", False), ("damaged pictures", True)):
        rows.append(_accuracy(f"right answers, {name}", [a for a in asked if a.is_damaged is chosen]))
    by_kind = {kind: _accuracy(kind, kinds[kind]) for kind in sorted(kinds)}
    rows += _error_rows(asked)
    error = _calibration(asked)
    rows.append(
        Row(
            section=SECTION,
            measure="calibration error (RMS)",
            value=error.rms,
            low=error.low,
            high=error.high,
            n=error.n,
            note=error.reason,
        )
    )
    rows.append(Row(section=SECTION, measure="ECE (plug-in)", value=error.ece_l1, n=error.n, note="biased upward"))
    details: dict[str, Any] = {
        "accuracy_by_kind": {kind: _cell(row) for kind, row in by_kind.items()},
        "reliability": [asdict(b) for b in error.bins],
    }
    return Section(rows=tuple(rows), details=details)


def _accuracy(measure_name: str, asked: list[Asked]) -> Row:
    values = [None if a.p_yes is None else float((a.p_yes > 0.5) == a.truth) for a in asked]
    return share_row(SECTION, measure_name, values, [a.cluster for a in asked], note="questions")


def _error_rows(asked: list[Asked]) -> list[Row]:
    rows = []
    for name, truth in (("yes where no is right", False), ("no where yes is right", True)):
        chosen = [a for a in asked if a.truth is truth]
        values = [None if a.p_yes is None else float((a.p_yes > 0.5) != truth) for a in chosen]
        rows.append(share_row(SECTION, name, values, [a.cluster for a in chosen], note="questions"))
    known = [a for a in asked if a.p_yes is not None]
    excess = sum((says_yes(a.p_yes) or 0.0) - float(a.truth) for a in known) / len(known)
    rows.append(
        Row(section=SECTION, measure="yes-bias", value=excess, n=len(known), note="share of yes beyond the truth")
    )
    return rows


def _calibration(asked: list[Asked]) -> Calibration:
    known = [a for a in asked if a.p_yes is not None]
    # A probability may leave 0..1 by rounding.
    confidence = [min(1.0, max(0.0, a.p_yes or 0.0)) for a in known]
    return calibration_error(confidence, [float(a.truth) for a in known], clusters=[a.cluster for a in known])


def _cell(row: Row) -> dict[str, Any]:
    return {"value": row.value, "low": row.low, "high": row.high, "n": row.n, "n_missing": row.n_missing}
