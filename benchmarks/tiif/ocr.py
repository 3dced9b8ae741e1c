"""OCR results for the text-rendering metrics, from a JSONL file.

One line per image: `{"prompt_id": "tiif/text/0003/short", "lines": ["drink tea", "relax"]}`, optionally with `gen_seed`
and `index` (0 where absent). `lines` are the recognised strings in the order of the OCR engine; an empty list means
that nothing was recognised. Official setting: PaddleOCR, English, detection and recognition, no angle classification.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.tiif.textmetrics import gned, word_recall, words_of
from harness.errors import DataError
from harness.types import Prompt, SampleKey, Score

Table = dict[tuple[str, int, int], list[str]]
"""(prompt id, gen_seed, index) -> recognised lines."""


def read_ocr(path: Path) -> Table:
    """Recognised lines by image.

    Raises:
        DataError: the file cannot be read, or a line is damaged, lacks a field or repeats an image.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Check tiif.ocr_file.") from None
    table: Table = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            raw = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not valid JSON ({error.msg}); the file may be cut off.") from None
        key, lines = _entry(raw, where)
        if key in table:
            raise DataError(f"{where}: a second entry for {key[0]!r} (gen_seed {key[1]}, index {key[2]}).")
        table[key] = lines
    return table


def _entry(raw: Any, where: str) -> tuple[tuple[str, int, int], list[str]]:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: expected an object with 'prompt_id' and 'lines'.")
    id_, lines = raw.get("prompt_id"), raw.get("lines")
    gen_seed, index = raw.get("gen_seed", 0), raw.get("index", 0)
    if not isinstance(id_, str):
        raise DataError(f"{where}, field 'prompt_id': expected text, got {id_!r}.")
    if not isinstance(lines, list) or not all(isinstance(v, str) for v in lines):
        raise DataError(f"{where}, field 'lines': expected a list of texts, got {lines!r:.80}.")
    if not isinstance(gen_seed, int) or not isinstance(index, int):
        raise DataError(f"{where}, fields 'gen_seed' and 'index': expected whole numbers.")
    return (id_, gen_seed, index), lines


def text_scores(prompt: Prompt, key: SampleKey, table: Table) -> list[Score]:
    """`text/gned` and `text/recall` of one image of a `text` prompt; missing where the table lacks the image."""
    where = (key.prompt_id, key.gen_seed, key.index)
    if where not in table:
        return [
            Score(key=key, metric=m, value=None, reason="missing: no OCR entry") for m in ("text/gned", "text/recall")
        ]
    words = words_of(prompt.meta["questions"], f"prompt {prompt.id}")
    recall = word_recall(words, table[where])
    return [
        Score(key=key, metric="text/gned", value=gned(words, table[where])),
        Score(key=key, metric="text/recall", value=recall, reason="" if recall is not None else "missing: no words"),
    ]
