"""The official prompts (1065 text files, or all of them in one JSONL file), and the prompts of an edition."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks.dpg.lock import Lock
from benchmarks.dpg.table import Table
from harness.errors import DataError
from harness.types import Prompt

PREFIX = "dpg/"


def prompts_jsonl(texts: dict[str, str]) -> bytes:
    """The canonical form that is hashed: one object `{"id", "text"}` a line, sorted by file name, text as it is."""
    ordered = sorted(texts, key=lambda id_: f"{id_}.txt")
    return "".join(json.dumps({"id": i, "text": texts[i]}, ensure_ascii=False) + "\n" for i in ordered).encode()


def read_prompts(root: Path, lock: Lock) -> dict[str, str]:
    """Prompt texts by id, sorted by file name, from `ROOT/prompts.jsonl` or the folder `ROOT/prompts`.

    Raises:
        DataError: neither is there, a file is damaged, or the texts are not those of the pinned revision.
    """
    file, folder = root / lock.prompts, root / "prompts"
    if file.is_file():
        source, texts = file, _from_jsonl(file)
    elif folder.is_dir():
        source, texts = folder, texts_of_folder(folder)
    else:
        raise DataError(
            f"dpg: neither {file} nor {folder} is there. Bring the prompts with `run.py data prepare dpg` "
            f"({lock.repository} at {lock.revision[:8]}, {lock.prompts_folder})."
        )
    found = hashlib.sha256(prompts_jsonl(texts)).hexdigest()
    if found != lock.prompts_sha256:
        raise DataError(
            f"{source}: {len(texts)} prompts with sha256 {found}, expected {lock.n_prompts} with {lock.prompts_sha256} "
            f"({lock.repository} at {lock.revision[:8]}; line ends and blanks count)."
        )
    return {id_: texts[id_] for id_ in sorted(texts, key=lambda id_: f"{id_}.txt")}


def texts_of_folder(folder: Path) -> dict[str, str]:
    """Prompt texts by id from files `ID.txt`, unchanged."""
    try:
        return {f.name.removesuffix(".txt"): f.read_bytes().decode("utf-8") for f in sorted(folder.glob("*.txt"))}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder}: a prompt cannot be read as UTF-8 text ({error}).") from None


def _from_jsonl(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not valid JSON ({error}).") from None
        if not isinstance(row, dict) or not all(isinstance(row.get(f), str) for f in ("id", "text")):
            raise DataError(f"{where}: expected an object with the texts 'id' and 'text'.")
        if row["id"] in texts:
            raise DataError(f"{where}, field 'id': {row['id']!r} again.")
        texts[row["id"]] = row["text"]
    return texts


def official_prompts(root: Path, table: Table, lock: Lock) -> list[Prompt]:
    """The prompts with their questions: pinned texts in file order for the official table, else the table's own.

    Raises:
        DataError: as `read_prompts`; the official table and the prompts name different items.
    """
    if not table.is_official:
        return [_prompt(item, text, table.questions[item]) for item, text in table.texts.items()]
    texts = read_prompts(root, lock)
    odd = sorted(set(texts) ^ set(table.questions))
    if odd:
        raise DataError(f"dpg: prompts and table differ in {len(odd)} items, e.g. {odd[0]!r}.")
    return [_prompt(item, text, table.questions[item]) for item, text in texts.items()]


def _prompt(item: str, text: str, questions: list[dict[str, Any]]) -> Prompt:
    return Prompt(id=PREFIX + item, text=text, meta={"questions": questions})


def item_of(prompt_id: str) -> str:
    """The upstream id of a prompt."""
    return prompt_id.removeprefix(PREFIX)


def mark_first_row(prompts: list[Prompt]) -> list[Prompt]:
    """Prompts of a generated edition as one table, whose first row the official protocol loses as well."""
    first = prompts[0]
    head, *rest = first.meta["questions"]
    meta = {**first.meta, "questions": [{**head, "first_row": True}, *rest]}
    marked = Prompt(id=first.id, text=first.text, category=first.category, source_images=first.source_images, meta=meta)
    return [marked, *prompts[1:]]
