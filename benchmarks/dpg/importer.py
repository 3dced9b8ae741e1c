"""Official result and detail files as scores.

A detail file holds every answer: with the question table at hand both protocols are computed from it. A results file
holds crop scores only, which gives the official total and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.base import Imported
from benchmarks.dpg.data import PREFIX, item_of
from benchmarks.dpg.graph import Node, nodes_of
from benchmarks.dpg.lock import Lock
from benchmarks.dpg.resultfiles import Details, Results, is_results, read_details, read_results
from benchmarks.dpg.scoring import CROP_METRIC, QUESTION_METRIC, score_grid
from benchmarks.sources import ARCHIVES, File, read_files, strip_suffix
from harness.errors import DataError
from harness.types import Prompt, Protocol, SampleKey, Score

JUDGE = "damo/mplug_visual-question-answering_coco_large_en (official script; revision not recorded)"
_DETAIL_SUFFIX = "_detail"
_TOLERANCE = 1e-9
_SHOWN = 10


@dataclass(slots=True)
class _Pair:
    """The two files of one run."""

    path: str
    results: Results | None = None
    details: Details | None = None
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the records are matched to."""

    prompts: dict[str, Prompt] | None
    """By id, with questions; None where the table is not at hand."""
    data_id: str
    first_row_item: str
    """The item of the table's first row; if upstream dropped it, it has no scores and is not missing."""
    protocol: Protocol
    lock: Lock


@dataclass(slots=True)
class _Report:
    scores: list[Score] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    other_questions: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)


def import_results(source: Path, reference_of: Callable[[], Reference]) -> dict[str, Imported]:
    """Recorded results by model name: the name in the summary, else that of the folder.

    Raises:
        DataError: no such files, or a damaged one (file, line); a results file alone under `corrected`; a detail file
            without the question table.
    """
    pairs, ignored = _pairs(read_files(source, (".txt",)))
    if not pairs:
        raise DataError(
            f"{source}: no DPG-Bench results. Expected dpg-bench_*_results.txt and dpg-bench_*_results_detail.txt; "
            f"looked at {', '.join(ignored[:_SHOWN]) or 'no such file'}."
        )
    reference = reference_of()
    found: dict[str, Imported] = {}
    for pair in pairs:
        name = (pair.results.model if pair.results else "") or pair.folder or strip_suffix(source.name, ARCHIVES)
        imported = _import(pair, reference)
        imported.notes.extend(_note("other text files ignored", ignored))
        found[f"{name} ({pair.path})" if name in found else name] = imported
    return found


def _pairs(files: Sequence[File]) -> tuple[list[_Pair], list[str]]:
    pairs: dict[tuple[str, str], _Pair] = {}
    ignored = []
    for file in files:
        stem, folder = file.stem, file.path.parent
        is_detail = stem.endswith(_DETAIL_SUFFIX)
        if not is_detail and not is_results(file.data):
            ignored.append(str(file.path))
            continue
        key = (str(folder), stem.removesuffix(_DETAIL_SUFFIX))
        pair = pairs.setdefault(key, _Pair(str(folder / key[1]), folder="" if folder.name == "." else folder.name))
        if is_detail:
            pair.details = read_details(file.data, file.where)
        else:
            pair.results = read_results(file.data, file.where)
    return list(pairs.values()), ignored


def _import(pair: _Pair, reference: Reference) -> Imported:
    results, details = pair.results, pair.details
    if details is not None and details.answers and reference.prompts is not None:
        made, prompts = _from_details(details, results, reference)
        n_crops = max(max(crops) for crops in details.answers.values()) + 1
        data = reference.data_id
    elif results is not None and results.crops:
        made, prompts = _from_results(results, reference)
        n_crops = max(map(len, results.crops.values()))
        data = reference.data_id if reference.prompts is not None else "dpg (question table not at hand)"
    elif details is not None and details.answers:
        raise DataError(
            f"{pair.path}: answers can only be scored with the question table (dependencies, categories). Bring it "
            "with `run.py data prepare dpg`, or name it with dpg.table=PATH."
        )
    else:
        raise DataError(f"{pair.path}: the file holds no scores and no answers.")
    repeated = sorted({*(results.repeated if results else ()), *(details.repeated if details else ())})
    report: dict[str, Any] = {
        "pic_num": n_crops,
        "resolution": details.resolution if details else None,
        "prompts_expected": len(prompts),
        "source": "answers" if made.scores and made.scores[0].metric != CROP_METRIC else "crop scores",
        "missing": made.missing,
        "repeated": repeated,
        "extra": made.extra,
        "other_questions": made.other_questions,
        "disagreeing": made.disagreeing,
        "recorded": results.recorded if results else {},
    }
    return Imported(
        prompts=prompts,
        scores=made.scores,
        judge=JUDGE,
        data=data,
        notes=[
            *_note("prompts have no record", made.missing),
            *_note("prompts have a second picture; the first was kept, upstream counts every one", repeated),
            *_note("records are of no known prompt and were left out", made.extra),
            *_note("prompts have recorded questions that the table does not have", made.other_questions),
            *_note("crop scores in the results file differ from those of the recorded answers", made.disagreeing),
            *([] if results is None or results.recorded else ["The results file has no summary: an interrupted run?"]),
            *(
                ["Categories are not recorded in a form that can be recomputed."]
                if report["source"] != "answers"
                else []
            ),
        ],
        report=report,
    )


def _from_results(results: Results, reference: Reference) -> tuple[_Report, dict[str, Prompt]]:
    if reference.protocol == "corrected":
        raise DataError(
            "dpg: a results file holds crop scores of the official filter. protocol=corrected needs the _detail.txt "
            "file beside it, and the question table."
        )
    made = _Report()
    known = reference.prompts
    prompts = (
        dict(known) if known is not None else {PREFIX + i: Prompt(id=PREFIX + i, text="") for i in reference.lock.ids}
    )
    if reference.first_row_item not in results.crops:
        prompts.pop(PREFIX + reference.first_row_item, None)
    n_crops = max(map(len, results.crops.values()))
    for item, crops in results.crops.items():
        if PREFIX + item not in prompts:
            made.extra.append(item)
            continue
        padded = [*crops, *[None] * (n_crops - len(crops))]
        made.scores += [_score(item, i, CROP_METRIC, value) for i, value in enumerate(padded)]
    for id_ in prompts:
        item = item_of(id_)
        if item in results.crops:
            continue
        made.missing.append(item)
        made.scores += [_score(item, i, CROP_METRIC, None) for i in range(n_crops)]
    return made, prompts


def _from_details(details: Details, results: Results | None, reference: Reference) -> tuple[_Report, dict[str, Prompt]]:
    made = _Report()
    prompts = dict(reference.prompts or {})
    n_crops = max(max(crops) for crops in details.answers.values()) + 1
    made.extra = [item for item in details.answers if PREFIX + item not in prompts]
    for id_, prompt in prompts.items():
        item = item_of(id_)
        nodes = nodes_of(prompt.meta["questions"], id_)
        asked = [n for n in nodes if reference.protocol == "corrected" or not n.is_first_row]
        crops = details.answers.get(item, {})
        if not crops:
            made.missing.append(item)
        answers = []
        for i in range(n_crops):
            matched, odd = _matched(asked, crops.get(i, []))
            answers.append(matched)
            if odd and item not in made.other_questions:
                made.other_questions.append(item)
        grid = score_grid(nodes, answers, reference.protocol, id_)
        if results is not None and grid.score is not None and not _agree(grid.crops, results.crops.get(item)):
            made.disagreeing.append(item)
        for i, matched in enumerate(answers):
            if grid.failed and i not in crops:
                continue
            made.scores += [_score(item, i, f"{QUESTION_METRIC}{n}", value) for n, value in matched.items()]
    return made, prompts


def _matched(nodes: Sequence[Node], recorded: Sequence[tuple[str, str]]) -> tuple[dict[int, float | None], bool]:
    """Answers by question number, and whether a recorded question is none of `nodes`; equal texts in order."""
    left: dict[str, list[int]] = {}
    for node in nodes:
        left.setdefault(node.text, []).append(node.number)
    found: dict[int, float | None] = {n.number: None for n in nodes}
    is_odd = False
    for question, answer in recorded:
        numbers = left.get(question)
        if numbers:
            found[numbers.pop(0)] = float(answer == "yes")
        else:
            is_odd = True
    return found, is_odd


def _agree(computed: Sequence[float], recorded: Sequence[float] | None) -> bool:
    if recorded is None or len(computed) != len(recorded):
        return False
    return all(abs(a - b) <= _TOLERANCE for a, b in zip(computed, recorded, strict=True))


def _score(item: str, crop: int, metric: str, value: float | None) -> Score:
    key = SampleKey(benchmark="dpg", prompt_id=PREFIX + item, index=crop)
    return Score(key=key, metric=metric, value=value, reason="" if value is not None else "missing: no record")


def _note(what: str, items: Sequence[str] | Mapping[str, Any]) -> list[str]:
    if not items:
        return []
    names = list(items)
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}."]
