"""Verdicts of one model put together: which prompts they belong to, what is missing, repeated or extra."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.base import Imported
from benchmarks.geneval.aggregate import METRIC
from benchmarks.geneval.data import PromptSet, content_id, lock, official_id, prompt_id, recognise
from benchmarks.geneval.filtering import Thresholds
from benchmarks.geneval.metadata import TAGS
from benchmarks.geneval.records import Record
from harness.errors import DataError
from harness.types import Prompt, Protocol, SampleKey, Score

_FOLDER = re.compile(r"(?:^|[/\\])(\d+)[/\\](?:samples[/\\])?[^/\\]*$")
_SAMPLE = re.compile(r"(\d+)\.png$", re.IGNORECASE)
_ABSENT = "image missing in the source"
SHOWN = 8
"""How many ids a note lists."""

References = Mapping[PromptSet, Sequence[dict[str, Any]]]
"""The official prompt sets that are at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an import depends on."""

    protocol: Protocol
    samples_per_prompt: int
    thresholds: Thresholds
    data_dir: Path | None
    prompt_of: Callable[[str], Prompt]
    """Prompt of an id, for detections that give ids only."""


def assemble(entries: Sequence[Record], settings: Settings, references: References, *, judge: str) -> Imported:
    """The records of one model with their prompts, and notes on completeness.

    Images that are expected but not there become scores without value. An image recorded twice with one verdict counts
    twice under `official`, as upstream, and once under `corrected`.

    Raises:
        DataError: one image has two different verdicts.
    """
    repeats = _repeats(entries)
    if settings.protocol == "corrected":
        entries = [r for r in entries if id(r) not in repeats]
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in entries:
        groups[json.dumps(record.raw, sort_keys=True)].append(record)
    prompts, ids, data, notes = _identify(groups, references)
    scores: list[Score] = []
    of_prompt = {ids[key]: group for key, group in groups.items()}
    if len(of_prompt) < len(groups):
        raise DataError(
            f"{entries[0].where}: different metadata claim one prompt id; give prompt_id in every line or in none."
        )
    for name in prompts:
        scores += _scores(name, of_prompt.get(name, ()), settings.samples_per_prompt)
    report = _report(prompts, scores, len(repeats), settings.samples_per_prompt)
    notes += _notes(prompts, scores, repeats.values(), settings)
    n_differ = sum(r.disagrees for r in entries)
    if n_differ:
        notes.append(
            f"{n_differ} recorded verdict(s) differ from what the recorded detections give with default thresholds."
        )
    return Imported(prompts=prompts, scores=scores, judge=judge, data=data, notes=notes, report=report)


def _repeats(entries: Sequence[Record]) -> dict[int, Record]:
    """Records of an image that an earlier record has already, by identity."""
    first: dict[str, Record] = {}
    repeats = {}
    for record in entries:
        earlier = first.setdefault(record.filename, record) if record.filename else record
        if earlier is record:
            continue
        if (earlier.value, earlier.raw) != (record.value, record.raw):
            raise DataError(
                f"{record.where}: filename {record.filename!r} was judged before ({earlier.where}) with another "
                "verdict or metadata. Keep one of the two lines."
            )
        repeats[id(record)] = record
    return repeats


def _identify(
    groups: Mapping[str, Sequence[Record]], references: References
) -> tuple[dict[str, Prompt], dict[str, str], str, list[str]]:
    """Prompts by id (all of the set where it is known), the id of each group, the name of the data, and notes."""
    numbers = {k: _folder_number(g) for k, g in groups.items()}
    by_folder = sorted(groups, key=lambda k: -1 if (n := numbers[k]) is None else n)
    known = recognise([groups[k][0].raw for k in by_folder])
    if known:
        prompts = {prompt_id(i): _prompt(prompt_id(i), groups[k][0].raw) for i, k in enumerate(by_folder)}
        return prompts, {k: prompt_id(i) for i, k in enumerate(by_folder)}, official_id(known), []
    for name in sorted(references, key=lambda s: -_n_matching(groups, references[s])):
        if _n_matching(groups, references[name]):
            return _matched(groups, references[name], name)
    ids = _own_ids(groups)
    notes = [_unverified(groups)] if not all(g[0].prompt_id for g in groups.values()) else []
    data = f"geneval-unverified@{content_id([g[0].raw for g in groups.values()])}"
    return {ids[k]: _prompt(ids[k], groups[k][0].raw) for k in groups}, ids, data, notes


def _n_matching(groups: Mapping[str, Sequence[Record]], reference: Sequence[dict[str, Any]]) -> int:
    official = {json.dumps(m, sort_keys=True) for m in reference}
    return sum(k in official for k in groups)


def _matched(
    groups: Mapping[str, Sequence[Record]], reference: Sequence[dict[str, Any]], name: PromptSet
) -> tuple[dict[str, Prompt], dict[str, str], str, list[str]]:
    line_of = {json.dumps(m, sort_keys=True): i for i, m in enumerate(reference)}
    prompts = {prompt_id(i): _prompt(prompt_id(i), m) for i, m in enumerate(reference)}
    ids = {}
    strangers = []
    for key, group in groups.items():
        if key in line_of:
            ids[key] = prompt_id(line_of[key])
        else:
            ids[key] = _content_prompt_id(group[0])
            prompts[ids[key]] = _prompt(ids[key], group[0].raw)
            strangers.append(f"{ids[key]} {group[0].metadata.prompt[:40]!r}")
    notes = listed(f"prompt(s) not in the official {name} set (counted, as upstream does)", strangers)
    return prompts, ids, official_id(name) + ("+other" if strangers else ""), notes


def _own_ids(groups: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Ids without a reference: recorded ones, else folder numbers where each belongs to one prompt, else hashes."""
    numbers = Counter(_folder_number(g) for g in groups.values())
    ids = {}
    for key, group in groups.items():
        number = _folder_number(group)
        unique = number is not None and numbers[number] == 1
        ids[key] = group[0].prompt_id or (
            prompt_id(number) if unique and number is not None else _content_prompt_id(group[0])
        )
    return ids


def _content_prompt_id(record: Record) -> str:
    return f"geneval/other-{content_id([record.raw])}"


def _folder_number(group: Sequence[Record]) -> int | None:
    """The number of the image folder, if all records of a prompt name the same."""
    found = {int(m[1]) if (m := _FOLDER.search(r.filename)) else None for r in group}
    return found.pop() if len(found) == 1 else None


def _prompt(id: str, raw: dict[str, Any]) -> Prompt:
    return Prompt(id=id, text=raw.get("prompt", ""), category=raw["tag"], meta=raw)


def _unverified(groups: Mapping[str, Sequence[Record]]) -> str:
    found: Counter[str] = Counter(g[0].metadata.tag for g in groups.values())
    expected: dict[str, int] = lock()["prompts_per_tag"]
    counts = ", ".join(f"{t} {found[t]} of {expected[t]}" for t in TAGS if found[t] != expected[t])
    return (
        "the prompts are not one of the complete official sets "
        f"({counts or 'numbers per task agree, texts do not'}), and without the official file they cannot be named for "
        "certain: `run.py data prepare geneval` brings it."
    )


def _scores(id: str, group: Sequence[Record], samples_per_prompt: int) -> list[Score]:
    taken: set[int] = set()
    scores = []
    for record in group:
        match = _SAMPLE.search(record.filename)
        wanted = record.index if record.index is not None else int(match[1]) if match else 0
        index = wanted
        while index in taken:
            index += 1
        taken.add(index)
        key = SampleKey(benchmark="geneval", prompt_id=id, index=index)
        scores.append(Score(key=key, metric=METRIC, value=record.value, reason=record.reason))
    absent = [i for i in range(samples_per_prompt) if i not in taken][: max(0, samples_per_prompt - len(taken))]
    keys = [SampleKey(benchmark="geneval", prompt_id=id, index=i) for i in absent]
    return scores + [Score(key=k, metric=METRIC, value=None, reason=_ABSENT) for k in keys]


def _images_per_prompt(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> dict[str, int]:
    found = Counter(s.key.prompt_id for s in scores if s.reason != _ABSENT)
    return {p: found[p] for p in prompts}


def _report(
    prompts: Mapping[str, Prompt], scores: Sequence[Score], n_repeats: int, samples_per_prompt: int
) -> dict[str, Any]:
    per_prompt = _images_per_prompt(prompts, scores)
    return {
        "expected_prompts": len(prompts),
        "found_prompts": sum(n > 0 for n in per_prompt.values()),
        "expected_images": len(prompts) * samples_per_prompt,
        "found_images": sum(per_prompt.values()),
        "missing_images": sum(max(0, samples_per_prompt - n) for n in per_prompt.values()),
        "extra_images": sum(max(0, n - samples_per_prompt) for n in per_prompt.values()),
        "repeated_records": n_repeats,
    }


def _notes(
    prompts: Mapping[str, Prompt], scores: Sequence[Score], repeats: Iterable[Record], settings: Settings
) -> list[str]:
    per_prompt = _images_per_prompt(prompts, scores)
    want = settings.samples_per_prompt
    sizes = sorted(set(per_prompt.values()))
    notes = []
    if len(sizes) == 1 and sizes[0] != want:
        notes.append(
            f"every prompt has {sizes[0]} image(s), the benchmark asks for {want} (option samples_per_prompt)."
        )
    else:
        notes += listed("prompt(s) without any image", [p for p, n in per_prompt.items() if n == 0])
        notes += listed(
            f"prompt(s) with fewer than {want} images", [f"{p} ({n})" for p, n in per_prompt.items() if 0 < n < want]
        )
        notes += listed(
            f"prompt(s) with more than {want} images", [f"{p} ({n})" for p, n in per_prompt.items() if n > want]
        )
    counted = "counted again, as upstream does" if settings.protocol == "official" else "counted once"
    notes += listed(f"image(s) recorded twice, {counted}", [f"{r.filename} ({r.where})" for r in repeats])
    return notes


def listed(what: str, items: Sequence[str]) -> list[str]:
    """A note that counts `items` and shows the first; none for no items."""
    if not items:
        return []
    more = f", and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return [f"{len(items)} {what}: {', '.join(items[:SHOWN])}{more}."]
