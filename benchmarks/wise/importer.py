"""Recorded results as scores: what is missing, repeated, unusable or out of range is named, never filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.base import Imported
from benchmarks.sources import ARCHIVES, read_files, strip_suffix
from benchmarks.wise.calculation import Line, calculate
from benchmarks.wise.data import prompt_id
from benchmarks.wise.records import Group, add, agrees, group_name, is_marked, kind_of, scores_of_reply
from benchmarks.wise.summaries import UNUSABLE
from benchmarks.wise.variants import N_PROMPTS, SCALES, Variant, category_of
from harness.errors import DataError
from harness.types import Prompt, Protocol, SampleKey, Score

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the records are read as."""

    variant: Variant
    set_name: str
    protocol: Protocol
    strict: bool
    """Refuse repeated ids, booleans and values out of range."""
    prompts: list[Prompt] | None
    """The set's prompts where the data is at hand."""
    data_id: str


@dataclass(slots=True)
class _Found:
    samples: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)
    marked: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    disagreeing: list[int] = field(default_factory=list)


def import_results(source: Path, settings: Settings) -> dict[str, Imported]:
    """Recorded judgements by model: files of one folder belong together unless their names tell models apart.

    Raises:
        DataError: no such files, scores of the other variant, damaged full records, or, where `strict`, repeated ids,
            booleans and values out of range (file, line, field).
    """
    groups: dict[tuple[str, str], Group] = {}
    ignored = []
    for file in read_files(source, (".jsonl", ".json")):
        kind = kind_of(file)
        if kind is None:
            ignored.append(str(file.path))
            continue
        folder = file.path.parent.name
        name = group_name(file)
        group = groups.setdefault((str(file.path.parent), name), Group(name or folder))
        add(group, file, kind, settings.variant)
    if not groups:
        raise DataError(
            f"{source}: no WISE results. Expected score files (JSON lines with prompt_id and "
            f"{', '.join(SCALES[settings.variant])}) or full records (with evaluation); looked at "
            f"{', '.join(ignored[:_SHOWN]) or 'no such file'}."
        )
    found: dict[str, Imported] = {}
    for (folder, _), group in groups.items():
        name = group.name or strip_suffix(source.name, ARCHIVES)
        imported = _import(group, settings)
        imported.notes.extend(_note("other JSON files ignored", ignored))
        found[f"{name} ({folder})" if name in found else name] = imported
    return found


def _import(group: Group, settings: Settings) -> Imported:
    found = _Found()
    if group.scores:
        _read_scores(group, found, settings)
    else:
        for id_, reply in group.replies.items():
            _take_reply(id_, reply, found, settings)
    prompts = _prompts(found, settings)
    missing = [i for i in range(1, N_PROMPTS + 1) if i not in found.samples and i not in found.unusable]
    scores = [s for i in range(1, N_PROMPTS + 1) for s in _scores(i, found, settings)]
    other_labels = [] if settings.prompts is None else _other_labels(found, settings.prompts)
    report: dict[str, Any] = {
        "variant": settings.variant,
        "set": settings.set_name,
        "judge_prompt": "not recorded",
        "source": "scores" if group.scores else "replies",
        "files": sorted(group.scores),
        "missing": missing,
        "repeated": found.repeated,
        "unusable": sorted(found.unusable),
        "marked_missing": sorted(found.marked),
        "out_of_range": found.odd,
        "skipped_lines": found.skipped,
        "reparse_mismatches": found.disagreeing,
        "other_labels": other_labels,
    }
    if group.scores:
        report["calculation"] = calculate(group.data, settings.variant).outcome
        report["rejected_files"] = {f: s.rejected for f, s in group.scores.items() if s.rejected}
    return Imported(
        prompts=prompts,
        scores=scores,
        judge="unknown (the source does not say)",
        data=settings.data_id if settings.prompts is not None and not other_labels else f"wise-{settings.set_name}",
        notes=_notes(report, group),
        report=report,
    )


def _notes(report: dict[str, Any], group: Group) -> list[str]:
    rejected = [f"{f} ({why})" for f, why in report.get("rejected_files", {}).items()]
    return [
        *_note("ids have no record", report["missing"]),
        *_note("ids are recorded more than once", report["repeated"]),
        *_note("records hold no usable score", report["unusable"]),
        *_note("records hold the mark 9.9 or 999 for a score that was not found; missing", report["marked_missing"]),
        *_note("values are out of range", report["out_of_range"]),
        *_note("lines were skipped", report["skipped_lines"]),
        *_note("files were rejected", rejected),
        *_note("replies, read again, do not give the recorded scores (which were kept)", report["reparse_mismatches"]),
        *_note(f"records carry other sub-categories than the {report['set']} set", report["other_labels"]),
        *([] if group.scores else ["Scores are read from the raw replies; there is no score file."]),
    ]


def _read_scores(group: Group, found: _Found, settings: Settings) -> None:
    if all(f.rejected for f in group.scores.values()):
        file, read = next(iter(group.scores.items()))
        raise DataError(f"{file}: {read.rejected}. A score file has one object a line; upstream rejects such a file.")
    for file, read in group.scores.items():
        for line in read.lines:
            _take_line(line, file, found, settings)
    for id_, reply in group.replies.items():
        samples = found.samples.get(id_, [])
        if samples and not any(agrees(reply, s, settings.variant) for s in samples):
            found.disagreeing.append(id_)


def _take_line(line: Line, file: str, found: _Found, settings: Settings) -> None:
    where = f"{file}, line {line.number}"
    id_ = line.prompt_id
    if id_ is None or category_of(settings.variant, id_) is None:
        found.skipped.append(f"{where} ({line.problem})")
        return
    seen = id_ in found.samples or id_ in found.unusable or id_ in found.marked
    is_refused = not is_marked(line) and (line.has_boolean or line.out_of_range)
    if settings.strict and (seen or is_refused):
        what = f"prompt_id {id_} again" if seen else line.out_of_range or "a boolean"
        raise DataError(
            f"{where}: {what}. The official program would use it as it is; repair the file, or take it with "
            "wise.strict=false."
        )
    if seen and id_ not in found.repeated:
        found.repeated.append(id_)
    found.labels.setdefault(id_, str(line.record.get("Subcategory", "")))
    if is_marked(line):
        found.marked.append(id_)
    elif line.scores is None:
        found.unusable[id_] = line.problem
    elif settings.protocol == "corrected" and is_refused:
        found.unusable[id_] = line.out_of_range or "a boolean"
    else:
        found.samples.setdefault(id_, []).append(line.scores)
    if line.out_of_range and not is_marked(line):
        found.odd.append(f"{id_} ({line.out_of_range})")


def _take_reply(id_: int, reply: str, found: _Found, settings: Settings) -> None:
    if category_of(settings.variant, id_) is None:
        found.skipped.append(f"id {id_} (outside 1 to {N_PROMPTS})")
        return
    scores = scores_of_reply(reply, settings.variant)
    if scores is None:
        found.marked.append(id_)
        return
    top = 1.0 if settings.variant == "verified" else 2.0
    odd = [f"{id_} ({scale} {v:g})" for scale, v in scores.items() if v > top]
    if odd and settings.protocol == "corrected":
        found.unusable[id_] = "out of range"
    else:
        found.samples[id_] = [scores]
    found.odd += odd


def _prompts(found: _Found, settings: Settings) -> dict[str, Prompt]:
    if settings.prompts is not None:
        return {p.id: p for p in settings.prompts}
    made = [
        Prompt(
            id=prompt_id(settings.set_name, i),
            text="",
            category=category_of(settings.variant, i) or "",
            meta={"prompt_id": i, "Subcategory": found.labels.get(i, "")},
        )
        for i in range(1, N_PROMPTS + 1)
    ]
    return {p.id: p for p in made}


def _scores(id_: int, found: _Found, settings: Settings) -> list[Score]:
    scales = SCALES[settings.variant]
    key = SampleKey(benchmark="wise", prompt_id=prompt_id(settings.set_name, id_))
    made = []
    for index, sample in enumerate(found.samples.get(id_, [])):
        own = SampleKey(benchmark="wise", prompt_id=key.prompt_id, index=index)
        made += [Score(key=own, metric=scale, value=sample[scale]) for scale in scales]
    if made:
        return made
    reason = "missing: no record"
    if id_ in found.unusable:
        reason = UNUSABLE + found.unusable[id_]
    elif id_ in found.marked:
        reason = "missing: the source found no score in the reply"
    return [Score(key=key, metric=scale, value=None, reason=reason) for scale in scales]


def _other_labels(found: _Found, prompts: Sequence[Prompt]) -> list[int]:
    known = {p.meta["prompt_id"]: p.meta["Subcategory"] for p in prompts}
    return [i for i, label in found.labels.items() if label and label != known.get(i)]


def _note(what: str, items: Sequence[Any]) -> list[str]:
    if not items:
        return []
    return [f"{len(items)} {what}: {', '.join(map(str, items[:_SHOWN]))}{' ...' if len(items) > _SHOWN else ''}."]
