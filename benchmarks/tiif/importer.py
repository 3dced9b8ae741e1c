"""Recorded results of the official pipeline, matched to the prompts of the set.

A record is scored with the questions and predictions that it carries. Its prompt is found from its number (three
conventions, see `conventions`) and, where the official data is at hand, checked by its questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.base import Imported
from benchmarks.tiif.conventions import Matches, Numbering, resolve
from benchmarks.tiif.lock import questions_by_type, rows_by_type
from benchmarks.tiif.records import Record, RecordedModel, read_records
from benchmarks.tiif.taxonomy import TYPES, prompt_id
from harness.types import Prompt, SampleKey, Score

Texts = Callable[[Prompt], list[Score]]
"""Further scores of an image, e.g. from OCR."""


def import_results(
    source: Path,
    *,
    set_name: str,
    lengths: Sequence[str],
    official: dict[str, Prompt] | None,
    data_id: str | None,
    further: Texts = lambda prompt: [],
) -> dict[str, Imported]:
    """Recorded judgements by model name.

    Args:
        source: folder, tar or zip archive.
        set_name: the set that the results are for.
        lengths: which lengths to take.
        official: the set's prompts by id where the data is at hand.
        data_id: their data id.
        further: gives further scores of a prompt's image.
    """
    models, n_other = read_records(source)
    imported = {}
    for name, model in models.items():
        result = _import_model(model, str(source.name), set_name, lengths, official, data_id, further)
        if n_other:
            result.notes.append(f"{n_other} other JSON files in {source.name} are not records and were passed over.")
        imported[name] = result
    return imported


def _import_model(
    model: RecordedModel,
    source: str,
    set_name: str,
    lengths: Sequence[str],
    official: dict[str, Prompt] | None,
    data_id: str | None,
    further: Texts,
) -> Imported:
    records = [r for r in model.records if r.length in lengths]
    numbering = _numbering(model, source, set_name, official)
    kept, duplicates, extra = _sorted_out(records, numbering)
    prompts = _prompts(kept, set_name, lengths, official)
    missing = [id_ for id_ in prompts if id_ not in kept]
    scores = [s for id_, record in kept.items() for s in [*_scores(id_, record), *further(prompts[id_])]]
    scores += [s for id_, n in _unasked(prompts, missing, set_name).items() for s in _missing_scores(id_, n)]
    no_reply = [r.file for r in kept.values() if r.reply is None]
    disagreeing = [r.file for r in kept.values() if r.reply is not None and not r.reparses]
    mismatches = set(numbering.mismatches)
    other_questions = [id_ for id_, r in kept.items() if (r.type, r.index) in mismatches]
    notes = [
        numbering.note,
        _note(len(missing), "prompts have no record", missing),
        _note(len(duplicates), "records repeat an image; the first of each was kept", duplicates),
        _note(len(extra), f"records lie outside the {set_name} set and were left out", extra),
        _note(
            len(disagreeing), "replies, read again, do not give the recorded predictions (which were kept)", disagreeing
        ),
        _note(len(no_reply), "records hold no reply to read again", no_reply),
        _note(
            len(other_questions), "records carry other questions than the data; scored with their own", other_questions
        ),
    ]
    return Imported(
        prompts=prompts,
        scores=scores,
        judge=model.judge or "unknown (the source does not say)",
        data=data_id if data_id and not other_questions else f"tiif/{set_name} as carried by the records",
        notes=[n for n in notes if n],
        report={
            "set": set_name,
            "convention": numbering.convention,
            "records": len(records),
            "scored": len(kept),
            "reparsed": sum(r.reparses for r in kept.values()),
            "missing": missing,
            "duplicates": duplicates,
            "extra": extra,
            "reparse_mismatches": disagreeing,
            "other_questions": other_questions,
            "questions_compared": official is not None,
        },
    )


def _numbering(model: RecordedModel, source: str, set_name: str, official: dict[str, Prompt] | None) -> Numbering:
    indices: dict[str, set[int]] = {}
    for record in model.records:
        indices.setdefault(record.type, set()).add(record.index)
    return resolve(
        indices,
        rows_by_type(set_name),
        n_full=rows_by_type("full") if set_name == "testmini" else None,
        matches=None if official is None else _matcher(model.records, official),
        where=f"{source}, model {model.name!r}",
    )


def _matcher(records: Sequence[Record], official: dict[str, Prompt]) -> Matches:
    carried: dict[tuple[str, int], set[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for r in records:
        carried.setdefault((r.type, r.index), set()).add((r.questions, r.answers))

    def matches(type_: str, index: int, row: int) -> bool:
        prompt = official.get(prompt_id(type_, row, "short"))
        if prompt is None:
            return False
        return carried[type_, index] == {(tuple(prompt.meta["questions"]), tuple(prompt.meta["answers"]))}

    return matches


def _sorted_out(records: Sequence[Record], numbering: Numbering) -> tuple[dict[str, Record], list[str], list[str]]:
    """(record by prompt id, files of repeats, files outside the set)."""
    kept: dict[str, Record] = {}
    duplicates, extra = [], []
    for record in sorted(records, key=lambda r: (TYPES.index(r.type), r.length != "short", r.index)):
        row = numbering.rows[record.type, record.index]
        if row is None:
            extra.append(record.file)
        elif prompt_id(record.type, row, record.length) in kept:
            duplicates.append(record.file)
        else:
            kept[prompt_id(record.type, row, record.length)] = record
    return kept, duplicates, extra


def _prompts(
    kept: dict[str, Record], set_name: str, lengths: Sequence[str], official: dict[str, Prompt] | None
) -> dict[str, Prompt]:
    """Every prompt of the set, with its record's questions if it has one, else with those of the data if there."""
    n_rows, prompts = rows_by_type(set_name), {}
    for length in lengths:
        for type_ in TYPES:
            for row in range(n_rows[type_]):
                id_ = prompt_id(type_, row, length)
                known = official[id_] if official is not None else None
                prompts[id_] = _prompt(id_, type_, row, length, set_name, kept.get(id_), known)
    return prompts


def _prompt(
    id_: str, type_: str, row: int, length: str, set_name: str, record: Record | None, known: Prompt | None
) -> Prompt:
    meta = dict(known.meta) if known else {"type": type_, "length": length, "row": row, "set": set_name}
    if record is not None:
        meta |= {"questions": list(record.questions), "answers": list(record.answers)}
    return Prompt(id=id_, text=known.text if known else "", category=type_, meta=meta)


def _scores(id_: str, record: Record) -> list[Score]:
    key = SampleKey(benchmark="tiif", prompt_id=id_)
    pairs = zip(record.predictions, record.answers, strict=True)
    return [Score(key=key, metric=f"question/{i}", value=float(p == a)) for i, (p, a) in enumerate(pairs)]


def _unasked(prompts: dict[str, Prompt], missing: Sequence[str], set_name: str) -> dict[str, int]:
    """Number of questions of each prompt without a record.

    Without official data only a type's total is known: what its records leave of it is spread over the prompts.
    """
    total = questions_by_type(set_name)
    counts: dict[str, int] = {}
    by_cell: dict[tuple[str, str], list[str]] = {}
    for id_ in missing:
        meta = prompts[id_].meta
        if "questions" in meta:
            counts[id_] = len(meta["questions"])
        else:
            by_cell.setdefault((meta["type"], meta["length"]), []).append(id_)
    for (type_, length), ids in by_cell.items():
        there = (p.meta for p in prompts.values() if p.meta["type"] == type_ and p.meta["length"] == length)
        left = max(len(ids), total[type_] - sum(len(m.get("questions", ())) for m in there))
        counts |= {id_: left // len(ids) + (i < left % len(ids)) for i, id_ in enumerate(ids)}
    return counts


def _missing_scores(id_: str, n_questions: int) -> list[Score]:
    key = SampleKey(benchmark="tiif", prompt_id=id_)
    reason = "missing: no record"
    return [Score(key=key, metric=f"question/{i}", value=None, reason=reason) for i in range(n_questions)]


def _note(n: int, what: str, items: Sequence[str]) -> str:
    if not n:
        return ""
    return f"{n} {what}: {', '.join(items[:10])}{' ...' if n > 10 else ''}"
