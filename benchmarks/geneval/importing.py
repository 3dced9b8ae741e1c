"""Recorded results of other programs: finding the files, naming the models, choosing the reader."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.base import Imported
from benchmarks.geneval import human, records
from benchmarks.geneval.assembling import SHOWN, References, Settings, assemble, listed
from benchmarks.geneval.data import PROMPT_SETS, has_official, official_id, official_metadata, prompt_id
from benchmarks.geneval.metadata import demands_key
from benchmarks.sources import ARCHIVES, File, read_files, strip_suffix
from harness.errors import DataError
from harness.types import Prompt

_PLAIN_STEMS = re.compile(r"(geneval[-_])?(results?|detections?)([-_]geneval)?", re.IGNORECASE)


def import_results(source: Path, settings: Settings) -> dict[str, Imported]:
    """Everything recognised in `source`, by model name.

    A model is named after its file, or after the folder (or archive) of a file with a plain name such as
    `results.jsonl`; `annotations_` is taken off annotation files.

    Raises:
        DataError: nothing is recognised, or a record is damaged (file, line, field).
    """
    references = {s: official_metadata(settings.data_dir, s) for s in PROMPT_SETS if has_official(settings.data_dir, s)}
    found: dict[str, Imported] = {}
    ignored = []
    for file in read_files(source, (".jsonl", ".csv")):
        imported = _import_file(file, settings, references)
        if imported is None:
            ignored.append(str(file.path))
            continue
        name = _model_name(file, source)
        found[f"{name} ({file.path})" if name in found else name] = imported
    if not found:
        raise DataError(
            f"{source}: no known GenEval results. Expected the official evaluator's results.jsonl, detections as JSON "
            f"lines, or human annotations as CSV; looked at {', '.join(ignored[:SHOWN]) or 'no such file'}."
        )
    for imported in found.values():
        imported.notes.extend(listed("file(s) of another format ignored", ignored))
    return found


def _import_file(file: File, settings: Settings, references: References) -> Imported | None:
    if file.stem.startswith("evaluation_metadata") or file.stem == "metadata":
        return None
    if file.path.name.lower().endswith((".csv", ".csv.gz")):
        return _human(file, references) if human.is_annotation_table(file.data) else None
    if not file.data.strip():
        raise DataError(f"{file.where}: empty file.")
    kind = records.kind_of(file.data)
    if kind == "detections":
        entries = records.read_detections(
            file.data,
            where=file.where,
            protocol=settings.protocol,
            thresholds=settings.thresholds,
            prompt_of=settings.prompt_of,
        )
        names = sorted({r.judge for r in entries if r.judge})
        judge = " + ".join(names) or "unknown detector (not recorded)"
        imported = assemble(entries, settings, references, judge=judge)
        return replace(imported, data=imported.data + settings.thresholds.changes)
    if kind == "results" or _PLAIN_STEMS.fullmatch(file.stem):
        entries = records.read_results(file.data, where=file.where, protocol=settings.protocol)
        return assemble(entries, settings, references, judge="official evaluator (detector not recorded)")
    return None


def _model_name(file: File, source: Path) -> str:
    if file.path.name.lower().endswith((".csv", ".csv.gz")):
        return file.stem.removeprefix("annotations_")
    if not _PLAIN_STEMS.fullmatch(file.stem):
        return file.stem
    parent = file.path.parent.name
    if parent and parent != ".":
        return parent
    return strip_suffix(source.name, ARCHIVES) or file.stem


def _human(file: File, references: References) -> Imported:
    annotations = human.read_annotations(file.data, where=file.where)
    prompts: dict[int, Prompt] = {}
    for a in annotations:
        if a.prompt not in prompts:
            prompts[a.prompt] = _human_prompt(a, references.get("short"), file.where)
        elif prompts[a.prompt].text != a.caption:
            raise DataError(
                f"{file.where}: Input.prompt_id {a.prompt} has two captions: "
                f"{prompts[a.prompt].text!r} and {a.caption!r}."
            )
    scores = human.to_scores(annotations, prompts, where=file.where)
    per_image = Counter((a.prompt, a.image) for a in annotations)
    odd = [f"{prompt_id(p)} image {i} ({n})" for (p, i), n in per_image.items() if n != human.N_ANNOTATORS]
    return Imported(
        prompts={p.id: p for p in prompts.values()},
        scores=scores,
        judge=f"{human.N_ANNOTATORS} people per image",
        headline=("human/majority/total",),
        data=official_id("short") if "short" in references else "geneval-short (captions)",
        notes=listed(f"image(s) without {human.N_ANNOTATORS} annotations", odd),
        report={
            "images": len(per_image),
            "annotations": len(annotations),
            "quality": human.quality_counts(annotations),
        },
    )


def _human_prompt(a: human.Annotation, official: Sequence[dict[str, Any]] | None, where: str) -> Prompt:
    """The annotated prompt; its demands are read from the caption and, where the official file is at hand, compared."""
    place = f"{where}: Input.prompt_id {a.prompt}"
    raw = human.demands(a, where=place)
    if official is not None and (a.prompt >= len(official) or demands_key(official[a.prompt]) != demands_key(raw)):
        expected = official[a.prompt].get("prompt") if a.prompt < len(official) else "no such line"
        raise DataError(f"{place}: caption is {a.caption!r}, the official prompt of that line is {expected!r}.")
    return Prompt(id=prompt_id(a.prompt), text=a.caption, category=raw["tag"], meta=raw)
