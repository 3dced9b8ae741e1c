"""From answers to the score of one picture (upstream's grid: the samples of one prompt and one seed)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.dpg.graph import MissingParent, Node, filter_in_graph_order, filter_in_place, graph_order
from harness.errors import DataError
from harness.types import Prompt, Protocol, SampleKey, Score

QUESTION_METRIC = "question/"
CROP_METRIC = "crop"
"""Score of one crop where the questions are not known (imported result files)."""

Answers = Mapping[int, float | None]
"""Question number -> 1.0, 0.0 or None (missing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One picture's outcome: scored, failed (as upstream drops it, whatever is missing), or missing."""

    score: float | None
    """Mean of the crop scores, in [0, 1]."""
    crops: tuple[float, ...] = ()
    failed: str = ""
    missing: str = ""
    raw: list[tuple[str, float]] = field(default_factory=list)
    """(L2 category, answer) of every question that enters the categories."""
    filtered: list[tuple[str, float]] = field(default_factory=list)
    """The same after the dependency filter; empty under `official`, which does not use them."""
    lost: list[str] = field(default_factory=list)
    """Categories of the questions that a missing picture keeps from the categories."""
    dropped: list[str] = field(default_factory=list)
    """Categories of the questions of a failed picture, which count nowhere."""
    n_questions: int = 1
    """Questions per crop; 1 where only crop scores are recorded."""


def score_grid(nodes: Sequence[Node], crops: Sequence[Answers], protocol: Protocol, where: str) -> Grid:
    """The outcome of one picture.

    Args:
        nodes: the prompt's questions in table order, the first row of the table included.
        crops: answers per crop, in crop order.
        protocol: `official` leaves the first row out, filters in place, and takes categories from the raw answers of
            the last crop; `corrected` keeps it, filters in graph order, and takes categories from all crops.
        where: names the prompt.

    Raises:
        DataError: under `corrected`, a graph with unknown parents, self-dependencies or cycles.
    """
    if protocol == "official":
        return _official([n for n in nodes if not n.is_first_row], crops)
    return _corrected(graph_order(nodes, where), crops)


def _official(nodes: Sequence[Node], crops: Sequence[Answers]) -> Grid:
    """Crop by crop as upstream goes: what happens first, a missing answer or a missing parent, decides."""
    if not nodes:
        return Grid(score=None, failed="no questions are left of the prompt")
    scores = []
    for crop in crops or ({},):
        if _missing(nodes, [crop]):
            return Grid(score=None, missing=_missing(nodes, crops), lost=[n.category for n in nodes])
        try:
            filtered = filter_in_place(nodes, _known(nodes, crop))
        except MissingParent as error:
            return Grid(score=None, failed=str(error), dropped=[n.category for n in nodes])
        scores.append(sum(filtered.values()) / len(filtered))
    last = _known(nodes, crops[-1])
    raw = [(n.category, last[n.number]) for n in nodes]
    return Grid(score=sum(scores) / len(scores), crops=tuple(scores), raw=raw, n_questions=len(nodes))


def _corrected(nodes: Sequence[Node], crops: Sequence[Answers]) -> Grid:
    if lost := _missing(nodes, crops):
        return Grid(score=None, missing=lost, lost=[n.category for _ in crops or (0,) for n in nodes])
    scores, raw, filtered = [], [], []
    for crop in crops:
        answers = _known(nodes, crop)
        kept = filter_in_graph_order(nodes, answers)
        scores.append(sum(kept.values()) / len(kept))
        raw += [(n.category, answers[n.number]) for n in nodes]
        filtered += [(n.category, kept[n.number]) for n in nodes]
    return Grid(
        score=sum(scores) / len(scores), crops=tuple(scores), raw=raw, filtered=filtered, n_questions=len(nodes)
    )


def _missing(nodes: Sequence[Node], crops: Sequence[Answers]) -> str:
    if not crops:
        return "no image was judged"
    n_lost = sum(crop.get(n.number) is None for crop in crops for n in nodes)
    return f"{n_lost} of {len(nodes) * len(crops)} answers are missing" if n_lost else ""


def _known(nodes: Sequence[Node], crop: Answers) -> dict[int, float]:
    return {n.number: value for n in nodes if (value := crop.get(n.number)) is not None}


def grids_of(
    prompts: Mapping[str, Prompt], nodes: Mapping[str, Sequence[Node]], scores: Sequence[Score], protocol: Protocol
) -> dict[str, list[Grid]]:
    """Outcomes by prompt, one per seed (and round); a prompt without any score has one missing picture.

    Args:
        prompts: by id.
        nodes: questions by prompt id.
        scores: `question/N` with 1, 0 or None per crop (the key's index), or `crop` with the crop's score.
        protocol: see `score_grid`.

    Raises:
        DataError: a score of an unknown prompt, question or metric, a repeated one, a value out of range, or crop
            scores under `corrected`.
    """
    collected: dict[str, dict[tuple[int, int], dict[int, dict[str, float | None]]]] = {p: {} for p in prompts}
    for score in scores:
        _collect(collected, score)
    found: dict[str, list[Grid]] = {}
    for id_, grids in collected.items():
        found[id_] = [_outcome(nodes[id_], crops, protocol, id_) for crops in grids.values()]
        if not grids:
            found[id_] = [score_grid(nodes[id_], [], protocol, id_)]
    return found


def _collect(collected: dict[str, dict[tuple[int, int], dict[int, dict[str, float | None]]]], score: Score) -> None:
    key: SampleKey = score.key
    where = f"dpg: score {score.metric!r} of {key.prompt_id}, image {key.index} (seed {key.gen_seed})"
    if key.prompt_id not in collected:
        raise DataError(f"{where}: no such prompt among the {len(collected)} given.")
    crop = collected[key.prompt_id].setdefault((key.gen_seed, key.round), {}).setdefault(key.index, {})
    if score.metric in crop:
        raise DataError(f"{where}: given twice.")
    if score.metric.startswith(QUESTION_METRIC):
        if score.value not in (None, 0.0, 1.0):
            raise DataError(f"{where}: value is {score.value}, expected 0 or 1.")
    elif score.metric != CROP_METRIC:
        raise DataError(f"{where}: unknown metric; expected {QUESTION_METRIC}NUMBER or {CROP_METRIC}.")
    elif score.value is not None and not 0.0 <= score.value <= 1.0:
        raise DataError(f"{where}: value is {score.value}, expected 0 to 1.")
    crop[score.metric] = score.value


def _outcome(
    nodes: Sequence[Node], crops: Mapping[int, Mapping[str, float | None]], protocol: Protocol, id_: str
) -> Grid:
    ordered = [crops[i] for i in sorted(crops)]
    if any(CROP_METRIC in crop for crop in ordered):
        return _recorded(ordered, protocol, id_)
    known = {f"{QUESTION_METRIC}{n.number}": n.number for n in nodes}
    for crop in ordered:
        for metric in crop:
            if metric not in known:
                raise DataError(f"dpg: {id_} has no question {metric!r}; it has {', '.join(known)[:200]}.")
    answers = [{known[m]: value for m, value in crop.items()} for crop in ordered]
    return score_grid(nodes, answers, protocol, id_)


def _recorded(crops: Sequence[Mapping[str, float | None]], protocol: Protocol, id_: str) -> Grid:
    if protocol == "corrected":
        raise DataError(
            f"dpg: of {id_} only crop scores are recorded, made by the official filter. The corrected score needs the "
            "answers: import the _detail.txt file, with the question table at hand."
        )
    values = [crop.get(CROP_METRIC) for crop in crops]
    if any(set(crop) != {CROP_METRIC} for crop in crops):
        raise DataError(f"dpg: {id_} has crop scores and answers at once.")
    scores = [v for v in values if v is not None]
    if len(scores) < len(values):
        return Grid(score=None, missing=f"{len(values) - len(scores)} of {len(values)} crop scores are missing")
    return Grid(score=sum(scores) / len(scores), crops=tuple(scores))
