"""GenEval's released annotations: how far people agree with each other, and a judge's verdicts with them.

Five people answered about each of 1,200 images (`annotations_*.csv.gz`); `benchmarks.geneval.human` turns an answer
into a verdict. The pictures are not part of the release, so a judge enters by its verdicts: an official
`results.jsonl` about the annotated images, file names ending in `PROMPT/samples/IMAGE.png` with the release's numbers.
"""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.audit.table import Row, Section, share_row
from harness.errors import DataError
from harness.registry import resolve
from harness.stats import cohens_kappa, krippendorff_alpha, rating_table

N_PEOPLE = 5
_HUMAN = "benchmarks.geneval.human"
_FULL_FIT = 4
_NUMBERS = re.compile(r"(\d+)(?:/samples)?/(\d+)\.\w+$")


@dataclass(frozen=True, slots=True)
class Rated:
    """Images of one file with five verdicts each."""

    name: str
    tags: tuple[str, ...]
    """(N,) task of each image."""
    keys: tuple[tuple[int, int], ...]
    """(N,) prompt and image number."""
    verdicts: npt.NDArray[np.float64]
    """(5, N) 0 or 1."""
    fits: npt.NDArray[np.bool_]
    """(N,) whether a majority says that the picture fully captures the caption."""

    @property
    def majority(self) -> npt.NDArray[np.bool_]:
        """(N,) whether at least three of five find the image correct."""
        return np.asarray(self.verdicts.sum(0) > N_PEOPLE / 2)


def read(folder: Path) -> list[Rated]:
    """Every `annotations_*.csv.gz` (or `.csv`) of a folder.

    Raises:
        DataError: there is none, or one is damaged.
    """
    files = sorted(folder.glob("annotations_*.csv*"))
    if not files:
        raise DataError(f"{folder}: no annotations_*.csv.gz. --source must be the folder with GenEval's annotations.")
    return [_read(path) for path in files]


def _read(path: Path) -> Rated:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None
    annotations = resolve(f"{_HUMAN}:read_annotations")(data, where=str(path))
    demands: Callable[..., dict[str, Any]] = resolve(f"{_HUMAN}:demands")
    verdict: Callable[..., bool] = resolve(f"{_HUMAN}:verdict")
    metadata_of: Callable[..., Any] = resolve("benchmarks.geneval.metadata:parse_metadata")
    verdicts: dict[tuple[int, int], list[float]] = defaultdict(list)
    quality: dict[tuple[int, int], list[int]] = defaultdict(list)
    tags: dict[tuple[int, int], str] = {}
    for a in annotations:
        asked = demands(a, where=str(path))
        key = (a.prompt, a.image)
        tags[key] = asked["tag"]
        verdicts[key].append(float(verdict(metadata_of(asked, where=str(path)), a)))
        quality[key].append(a.quality)
    keys = tuple(sorted(k for k, v in verdicts.items() if len(v) == N_PEOPLE))
    if not keys:
        raise DataError(f"{path}: no image has the answers of {N_PEOPLE} people.")
    return Rated(
        name=path.name.removeprefix("annotations_").split(".")[0],
        tags=tuple(tags[k] for k in keys),
        keys=keys,
        verdicts=np.array([verdicts[k] for k in keys]).T,
        fits=np.array([sum(q == _FULL_FIT for q in quality[k]) > N_PEOPLE / 2 for k in keys]),
    )


def measure_people(rated: list[Rated]) -> Section:
    """Agreement of people with each other, per file: the ceiling for a judge."""
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for found in rated:
        where = f"people · GenEval {found.name}"
        prompts = [k[0] for k in found.keys]
        total = found.verdicts.sum(0)
        pairs = (total * (total - 1) + (N_PEOPLE - total) * (N_PEOPLE - total - 1)) / (N_PEOPLE * (N_PEOPLE - 1))
        others = np.stack([(total - v) >= N_PEOPLE // 2 + 0.5 for v in found.verdicts])
        # With four others a majority needs three; an even split decides nothing and is left out.
        split = np.stack([(total - v) == (N_PEOPLE - 1) / 2 for v in found.verdicts])
        one = [
            None if split[k, i] else float(found.verdicts[k, i] == others[k, i])
            for k in range(N_PEOPLE)
            for i in range(len(found.keys))
        ]
        rows += [
            share_row(where, "images correct by majority", found.majority.astype(float).tolist(), prompts, "images"),
            share_row(where, "pairs of people who agree", pairs.tolist(), prompts, "images"),
            _without_missing(
                share_row(
                    where, "one person agrees with the other four", one, prompts * N_PEOPLE, "even splits left out"
                )
            ),
            share_row(
                where,
                "majority agrees with 'fully captures the caption'",
                (found.majority == found.fits).astype(float).tolist(),
                prompts,
                "images",
            ),
        ]
        alpha = krippendorff_alpha(found.verdicts, clusters=prompts)
        rows.append(
            Row(
                section=where,
                measure="Krippendorff's alpha of 5 people",
                value=alpha.value,
                low=alpha.low,
                high=alpha.high,
                n=alpha.n,
                note=alpha.reason or "nominal metric",
            )
        )
        details[found.name] = {
            tag: {"correct": int(found.majority[of].sum()), "images": int(of.sum()), "pairs": float(pairs[of].mean())}
            for tag, of in _by_tag(found).items()
        }
    return Section(rows=tuple(rows), details=details)


def measure_judge(rated: list[Rated], verdicts: Path) -> Section:
    """A judge's verdicts against the majority of people: all images, unanimous ones, and by task.

    Raises:
        DataError: the file holds no verdict on an annotated image, or does not tell which file's images it is about.
    """
    given = read_verdicts(verdicts)
    found = _meant(rated, given, verdicts)
    where = f"verdicts · GenEval {found.name}"
    rows_of = [i for i, key in enumerate(found.keys) if key in given]
    judge = np.array([given[found.keys[i]] for i in rows_of])
    people, total = found.majority[rows_of], found.verdicts.sum(0)[rows_of]
    prompts = [found.keys[i][0] for i in rows_of]
    n_missing = len(found.keys) - len(rows_of)
    equal = (judge == people).astype(float)
    unanimous = (total == 0) | (total == N_PEOPLE)
    rows = [
        share_row(where, "agrees with the majority", equal.tolist(), prompts, f"{n_missing} images without a verdict"),
        share_row(
            where,
            "agrees where all five people agree",
            equal[unanimous].tolist(),
            [p for p, u in zip(prompts, unanimous, strict=True) if u],
            "images",
        ),
    ]
    kappa = cohens_kappa(rating_table(judge, people)[0])
    alpha = krippendorff_alpha(np.stack([judge.astype(float), people.astype(float)]), clusters=prompts)
    for name, value in (("Cohen's kappa with the majority", kappa), ("Krippendorff's alpha with the majority", alpha)):
        rows.append(
            Row(
                section=where,
                measure=name,
                value=value.value,
                low=value.low,
                high=value.high,
                n=value.n,
                note=value.reason,
            )
        )
    tags = np.array(found.tags)[rows_of]
    by_tag = {
        t: {"agrees": float(equal[tags == t].mean()), "images": int((tags == t).sum())} for t in dict.fromkeys(tags)
    }
    return Section(rows=tuple(rows), details={"by_task": by_tag, "images_without_verdict": n_missing})


def read_verdicts(path: Path) -> dict[tuple[int, int], bool]:
    """(prompt, image) -> whether the official `results.jsonl` calls it correct.

    Raises:
        DataError: unreadable, or a file name without the two numbers.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    records = resolve("benchmarks.geneval.records:read_results")(data, where=str(path), protocol="official")
    found: dict[tuple[int, int], bool] = {}
    for record in records:
        match = _NUMBERS.search(record.filename)
        if match is None:
            raise DataError(
                f"{record.where}: filename is {record.filename!r}, expected it to end in PROMPT/samples/IMAGE.png with "
                "the numbers of the annotated images."
            )
        if record.value is not None:
            found[int(match[1]), int(match[2])] = bool(record.value)
    return found


def _meant(rated: list[Rated], given: Mapping[tuple[int, int], bool], path: Path) -> Rated:
    """The annotation file that the verdicts are about: all three have the same image numbers, so the name decides."""
    named = [r for r in rated if re.search(rf"(^|[^a-z]){re.escape(r.name)}([^a-z]|$)", path.name)]
    if len(named) == 1 or len(rated) == 1:
        chosen = (named or rated)[0]
        if any(key in given for key in chosen.keys):
            return chosen
        raise DataError(f"{path}: no verdict is about an annotated image of {chosen.name!r}.")
    raise DataError(
        f"{path}: cannot tell whose images it is about; have the name of the file contain exactly one of "
        f"{', '.join(r.name for r in rated)}."
    )


def _by_tag(found: Rated) -> dict[str, npt.NDArray[np.bool_]]:
    tags = np.array(found.tags)
    return {str(t): tags == t for t in _ordered(found.tags)}


def _ordered(tags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _without_missing(row: Row) -> Row:
    from dataclasses import replace

    return replace(row, n_missing=0)
