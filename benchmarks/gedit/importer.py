"""Recorded results of the official pipeline, matched to the rows of the data set where that is at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.base import Imported
from benchmarks.gedit.groups import GROUPS, ROWS, Lang, Subset, in_order, prompt_id
from benchmarks.gedit.records import COMBINED, Record, RecordedModel, read_results
from benchmarks.gedit.rows import Row, selected
from harness.types import Prompt, Protocol, SampleKey, Score
from harness.viescore.parsing import SCALE, overall

JUDGES: dict[str, str] = {
    "gpt4o": "gpt4o (folder name; upstream's script calls gpt-4.1 under it)",
    "qwen25vl": "qwen25vl (Qwen2.5-VL-72B-Instruct-AWQ in upstream's script)",
}
"""What upstream's folder names stand for."""

_SHOWN = 10


def import_results(
    source: Path,
    *,
    lang: Lang,
    subset: Subset,
    protocol: Protocol,
    rows: Sequence[Row] | None,
    data_id: str | None,
) -> dict[str, Imported]:
    """Recorded scores by model; `MODEL (JUDGE)` where a model was judged by several.

    Under `official` a row that occurs twice (after a restart) counts twice and an empty intersection flag counts as
    true, as in upstream's statistics; under `corrected` the first row counts, the flag comes from the data set (else
    the row is outside the subset), and scores outside 0..10 are missing.

    Args:
        source: folder, file or archive.
        lang: rows of other languages are left out.
        subset: `intersection` leaves the other rows out.
        protocol: see above.
        rows: the data set's rows, where at hand.
        data_id: names them.

    Raises:
        DataError: nothing is recognised, or a record is damaged (file, line, field).
    """
    models = read_results(source)
    n_judges = Counter(m.model for m in models)
    return {
        m.model if n_judges[m.model] == 1 else f"{m.model} ({m.judge or 'unknown judge'})": _import_model(
            m, lang=lang, subset=subset, protocol=protocol, rows=rows, data_id=data_id
        )
        for m in models
    }


def _import_model(
    recorded: RecordedModel,
    *,
    lang: Lang,
    subset: Subset,
    protocol: Protocol,
    rows: Sequence[Row] | None,
    data_id: str | None,
) -> Imported:
    records, notes = _records(recorded)
    mine = [r for r in records if r.lang == lang]
    known = {r.id: r for r in rows if r.lang == lang} if rows is not None else None
    extra = [r for r in mine if known is not None and _id(r) not in known]
    mine = [r for r in mine if known is None or _id(r) in known]
    no_flag = [_id(r) for r in mine if r.intersection is None]
    flags = _flags(mine, known, protocol)
    mine = [r for r in mine if subset == "full" or flags[_id(r)]]
    kept, repeats = _repeats(mine, protocol)
    prompts = _prompts(mine, flags, known, lang, subset)
    recorded_ids = {_id(r) for r in mine}
    missing = [id_ for id_ in prompts if id_ not in recorded_ids]
    scores = [s for key, r in kept for s in _scores(key, r, protocol)]
    scores += [s for id_ in missing for s in _lost(SampleKey(benchmark="gedit", prompt_id=id_), "missing: no record")]
    other_text = [_id(r) for r in mine if known is not None and r.instruction != known[_id(r)].instruction]
    how = "each counts, as officially" if protocol == "official" else "the first of each counts"
    flag_as = "counted as inside, as officially" if protocol == "official" else "taken from the data, else outside"
    notes += _noted(
        (missing, "rows have no record"),
        (repeats, f"records repeat a row, as after a restart; {how}"),
        ([r.where for r in extra], "records are not in the data set and were left out"),
        (no_flag, f"records have no intersection flag; {flag_as}"),
        (other_text, "records carry another instruction than the data set"),
    )
    n_other = sum(r.lang != lang for r in records)
    if n_other:
        notes.append(f"{n_other} records of the other language were left out (gedit.lang={lang}).")
    if subset == "intersection" and known is None:
        notes.append("without the data set, rows of the intersection that have no record cannot be counted.")
    return Imported(
        prompts=prompts,
        scores=scores,
        judge=JUDGES.get(recorded.judge, recorded.judge or "unknown (the source does not say)"),
        data=data_id if data_id and not other_text else f"gedit/{lang}-{subset} as carried by the records",
        notes=notes,
        report={
            "records": len(mine),
            "missing": missing,
            "duplicates": repeats,
            "extra": [r.where for r in extra],
            "without_flag": no_flag,
            "other_instruction": other_text,
            "groups": in_order(r.group for r in mine),
        },
    )


def _records(recorded: RecordedModel) -> tuple[list[Record], list[str]]:
    """The group files' records in official order; those of the combined file where there is no group file at all."""
    files = recorded.files
    of_groups = [r for g in GROUPS for r in files.get(g, ())]
    combined = files.get(COMBINED)
    if combined is None:
        return of_groups, []
    if not set(files) - {COMBINED}:
        return sorted(combined, key=lambda r: GROUPS.index(r.group)), ["read from the combined file only."]
    if Counter(map(_place, combined)) != Counter(map(_place, of_groups)):
        return of_groups, [
            f"the combined file ({len(combined)} records) differs from the group files ({len(of_groups)}), which are "
            "used, as officially."
        ]
    return of_groups, []


def _place(record: Record) -> tuple[object, ...]:
    return record.group, record.lang, record.key, record.sc, record.pq


def _id(record: Record) -> str:
    return prompt_id(record.lang, record.group, record.key)


def _flags(records: Sequence[Record], known: Mapping[str, Row] | None, protocol: Protocol) -> dict[str, bool]:
    flags: dict[str, bool] = {}
    for r in records:
        flag = r.intersection
        if flag is None:
            in_data = known[_id(r)].intersection if known is not None else False
            flag = True if protocol == "official" else in_data
        flags.setdefault(_id(r), flag)
    return flags


def _repeats(records: Sequence[Record], protocol: Protocol) -> tuple[list[tuple[SampleKey, Record]], list[str]]:
    """(samples that count, places of the repeated records)."""
    seen: Counter[str] = Counter()
    kept, repeats = [], []
    for record in records:
        id_ = _id(record)
        if seen[id_]:
            repeats.append(record.where)
        if not seen[id_] or protocol == "official":
            kept.append((SampleKey(benchmark="gedit", prompt_id=id_, index=seen[id_]), record))
        seen[id_] += 1
    return kept, repeats


def _prompts(
    records: Sequence[Record],
    flags: Mapping[str, bool],
    known: Mapping[str, Row] | None,
    lang: Lang,
    subset: Subset,
) -> dict[str, Prompt]:
    """Every row that should be there: those of the data set, else the recorded ones and stand-ins for the others."""
    if known is not None:
        rows = selected(list(known.values()), lang, "full")
        chosen = [r for r in rows if subset == "full" or flags.get(r.id, r.intersection)]
        return {
            r.id: _prompt(r.id, r.group, lang, r.key, r.instruction, flags.get(r.id, r.intersection)) for r in chosen
        }
    found: dict[str, dict[str, Prompt]] = {g: {} for g in GROUPS}
    for r in records:
        found[r.group].setdefault(_id(r), _prompt(_id(r), r.group, lang, r.key, r.instruction, flags[_id(r)]))
    if subset == "full":
        for group, n_rows in ROWS.items():
            for i in range(n_rows - len(found[group])):
                id_ = prompt_id(lang, group, f"not-recorded-{i + 1:02d}")
                found[group][id_] = _prompt(id_, group, lang, "", "", None)
    return {id_: p for prompts in found.values() for id_, p in prompts.items()}


def _prompt(id_: str, group: str, lang: str, key: str, instruction: str, flag: bool | None) -> Prompt:
    meta = {"key": key, "group": group, "instruction_language": lang, "Intersection_exist": flag}
    return Prompt(id=id_, text=instruction, category=group, source_images=("source",), meta=meta)


def _scores(key: SampleKey, record: Record, protocol: Protocol) -> list[Score]:
    sc, pq = record.sc, record.pq
    if sc is None or pq is None:
        return _lost(key, "missing: empty score cell")
    if protocol == "corrected" and not all(SCALE[0] <= v <= SCALE[1] for v in (sc, pq)):
        return _lost(key, f"score outside 0..10: {sc:g}, {pq:g}")
    o = overall(sc, pq)
    if o is None:
        return _lost(key, "sc * pq is negative")
    return [Score(key=key, metric=m, value=v) for m, v in (("sc", sc), ("pq", pq), ("o", o))]


def _lost(key: SampleKey, reason: str) -> list[Score]:
    return [Score(key=key, metric=m, value=None, reason=reason) for m in ("sc", "pq", "o")]


def _noted(*found: tuple[Sequence[str], str]) -> list[str]:
    return [
        f"{len(items)} {what}: {', '.join(items[:_SHOWN])}{' ...' if len(items) > _SHOWN else ''}"
        for items, what in found
        if items
    ]
