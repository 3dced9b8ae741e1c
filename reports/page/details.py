"""What the page shows of one opened sample: images, texts, every question with its answer, scores, refinements.

Written in files of some hundred samples, which the page loads when one of them is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from reports.page.adapters import Adapter
from reports.page.catalogue import Catalogue
from reports.page.pictures import Picture, write_source
from reports.page.records import (
    GenerationLine,
    JudgementLine,
    RecordFile,
    RowKey,
    ScoreLine,
    newest,
)
from reports.runs import Run

ROWS_PER_FILE = 150
LINES_PER_FILE = 3000
"""Judgements and scores; a file ends with the sample that reaches this number."""
MOST_RAW = 20_000
MOST_PAYLOAD = 4_000
"""Characters of a judge's reply and of its structured answer that the page shows; the record files have the rest."""

MOST_SEARCHED = 4_000
"""Characters of a reasoning text that the search looks at."""


Asked = tuple[str, str, str, str]
"""(question id, text, tag, judge): what the answers about many samples share, once per file."""


class RunDetails:
    """One run's records by row.

    Args:
        run: whose files are read.
        catalogue: names the rows.

    Raises:
        DataError: a damaged record.
    """

    def __init__(self, run: Run, catalogue: Catalogue) -> None:
        self.run = run
        self._keys: list[RowKey] = list(catalogue.rows)
        self._prompts = catalogue.prompts
        self._generations = RecordFile(run.path / "generations.jsonl", GenerationLine)
        self._judgements = RecordFile(run.path / "judgements.jsonl", JudgementLine)
        self._scores = RecordFile(run.path / "scores.jsonl", ScoreLine, is_derived=True)
        self._scales: set[tuple[str, str]] = set()
        self._generations.index(catalogue.rows)
        self._judgements.index(catalogue.rows, self._scales)
        self._scores.index(catalogue.rows)
        self._adapters: dict[str, Adapter] = {}
        self._thumbs: dict[str, int] = {}

    @property
    def n_rows(self) -> int:
        """Rows of the catalogue."""
        return len(self._keys)

    def close(self) -> None:
        """Closes the files."""
        for file in (self._generations, self._judgements, self._scores):
            file.close()

    def pictures(self) -> tuple[list[Picture], list[int]]:
        """All images, first ones in the order of the rows before refinements, and each row's place (-1: none)."""
        pictures: list[Picture] = []
        later: list[tuple[str, Picture]] = []
        first: list[int] = []
        for row in range(len(self._keys)):
            place = -1
            for generation in self._made(row):
                picture = self._picture(generation)
                if picture is None:
                    continue
                if generation.key.round == 0:
                    place = len(pictures)
                    self._thumbs[generation.id] = place
                    pictures.append(picture)
                else:
                    later.append((generation.id, picture))
            first.append(place)
        for id_, picture in later:
            self._thumbs[id_] = len(pictures)
            pictures.append(picture)
        return pictures, first

    def files(self, sizes: Sequence[tuple[int, int]], folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """The data files: number of the first row, and the content.

        Args:
            sizes: of the images, in the order of `pictures`.
            folder: takes source images.
        """
        row = 0
        while row < len(self._keys):
            start, n_lines = row, 0
            asked: dict[Asked, int] = {}
            entries = []
            while row < len(self._keys) and row - start < ROWS_PER_FILE and n_lines < LINES_PER_FILE:
                n_lines += self._judgements.count(row) + self._scores.count(row)
                entries.append(self._entry(row, asked, sizes, folder))
                row += 1
            yield start, {"asked": list(asked), "entries": entries}

    def texts(self) -> list[str]:
        """Reasoning and reflection of each row, for the search."""
        return ["\n".join(g.text[:MOST_SEARCHED] for g in self._made(r) if g.text) for r in range(len(self._keys))]

    def _made(self, row: int) -> list[GenerationLine]:
        """The newest record of each generation; of first images the newest one only."""
        by_id = {g.id: g for g in self._generations.of(row)}
        first = [g for g in by_id.values() if g.key.round == 0][-1:]
        return first + [g for g in by_id.values() if g.key.round > 0]

    def _picture(self, generation: GenerationLine) -> Picture | None:
        if generation.status != "ok" or not generation.image or not _is_inside(generation.image):
            return None
        return Picture(self.run.path / generation.image, generation.image_sha256)

    def _adapter(self, benchmark: str) -> Adapter:
        if benchmark not in self._adapters:
            self._adapters[benchmark] = Adapter(self.run, benchmark)
        return self._adapters[benchmark]

    def _entry(
        self, row: int, asked: dict[Asked, int], sizes: Sequence[tuple[int, int]], folder: Path
    ) -> dict[str, Any] | None:
        scores = self._scores.of(row)
        generations = self._made(row)
        if not scores and not generations:
            return None
        judgements = newest(self._judgements.of(row))
        first = next((g for g in generations if g.key.round == 0), None)
        entry = {
            **self._sample(first, [j for j in judgements if j.key.round == 0], asked, sizes),
            "scores": [(s.metric, s.value, s.reason) for s in scores],
            "sources": self._sources(self._keys[row], folder),
        }
        refined = [g for g in generations if g.key.round > 0]
        if refined:
            entry["refined"] = [self._refined(g, generations, judgements, asked, sizes) for g in refined]
            if first is not None and first.status == "ok":
                known = {j.id: j for j in judgements if j.key.round == 0}
                entry["gate"] = [
                    s for s in self._adapter(first.key.benchmark).answers(first, known)[1] if s[0] == "gate"
                ]
            if reason := self._adapter(refined[0].key.benchmark).reason:
                entry["refined_note"] = reason
        return entry

    def _refined(
        self,
        generation: GenerationLine,
        generations: Sequence[GenerationLine],
        judgements: Sequence[JudgementLine],
        asked: dict[Asked, int],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Any]:
        round_ = generation.key.round
        known = {j.id: j for j in judgements if j.key.round == round_}
        adapter = self._adapter(generation.key.benchmark)
        mine, scores = adapter.answers(generation, known) if generation.status == "ok" else ([], [])
        if adapter.reason and sum(g.key.round == round_ for g in generations) == 1:
            mine = list(known.values())  # the only image of its round
        ids = [g.id for g in generations]
        return {
            **self._sample(generation, mine, asked, sizes),
            "round": round_,
            "arm": generation.gate,
            "parent": ids.index(generation.parent) if generation.parent in ids else -1,
            "scores": scores,
        }

    def _sample(
        self,
        generation: GenerationLine | None,
        judgements: Sequence[JudgementLine],
        asked: dict[Asked, int],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Any]:
        calls: dict[str, int] = {}
        replies: list[list[Any]] = []
        questions = []
        for j in judgements:
            call = calls.setdefault(j.call_id, len(calls))
            if call == len(replies):
                replies.append(["", 0, 0, 0, 1])
            if j.raw:
                replies[call] = [j.raw[:MOST_RAW], len(j.raw), j.tokens_in, j.tokens_out, j.attempts]
            questions.append(self._question(j, call, asked))
        return {"image": self._image(generation, sizes), "questions": questions, "replies": replies}

    def _question(self, j: JudgementLine, call: int, asked: dict[Asked, int]) -> list[Any]:
        """(place in `asked`, value, call, is on a scale), then, where there is more to say: (status, error, payload,
        its length).
        """
        place = asked.setdefault((j.question_id, j.question, j.tag, j.judge), len(asked))
        value = None if j.value is None else round(j.value, 6)
        payload, length = _payload(j.payload)
        is_scale = (j.key.benchmark, j.question_id.partition("/")[0]) in self._scales
        if payload and not is_scale:
            is_scale = '"detections"' in payload or '"scores"' in payload
        short = [place, value, call, int(is_scale)]
        return short if value is not None and not payload else [*short, j.status, j.error, payload, length]

    def _image(self, g: GenerationLine | None, sizes: Sequence[tuple[int, int]]) -> dict[str, Any] | None:
        if g is None:
            return None
        place = self._thumbs.get(g.id, -1)
        size = sizes[place] if place >= 0 else (0, 0)
        error = g.error
        if g.status == "ok" and size == (0, 0):
            error = f"the image file is missing or damaged: {g.image}"
        return {
            "status": g.status,
            "error": error,
            "file": g.image if place >= 0 and size != (0, 0) else "",
            "thumb": place if size != (0, 0) else -1,
            "size": size,
            "text": g.text,
            "seed": str(g.seed),
            "seconds": g.seconds,
            "params": bytes(g.params).decode(),
        }

    def _sources(self, key: RowKey, folder: Path) -> list[Any]:
        prompt = self._prompts.get((key[0], key[1]))
        if prompt is None or not prompt.source_images:
            return []
        try:
            return [list(write_source(ref, folder)) for ref in self._adapter(key[0]).sources(key[1])]
        except HarnessError as error:
            return [str(error)]


def _is_inside(image: str) -> bool:
    return not image.startswith("/") and "\\" not in image and ":" not in image and ".." not in image.split("/")


_SAID_ELSEWHERE = ('{"p_yes":', '{"judge_prompt":')
"""The value of the answer, and the wording that the overview names."""


def _payload(raw: Any) -> tuple[str, int]:
    """JSON text, cut; empty where it says no more than the value."""
    text = bytes(raw).decode("utf-8", "replace")
    if len(text) <= 2 or (text.startswith(_SAID_ELSEWHERE) and text.count(":") == 1):
        return "", 0
    return text[:MOST_PAYLOAD], len(text)
