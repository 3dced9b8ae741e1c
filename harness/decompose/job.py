"""`run.py decompose`: files of prompts in, a folder with questions out.

```
OUT/
  records.jsonl    one record per decomposed prompt, in the order of the input (published record format)
  rejected.jsonl   every other prompt with the reason, in the order of the input
  manifest.json    decomposer, settings, hashes of wording and inputs, counts
  journal.jsonl    outcomes as they came, by content: what a repeated command does not do again
```

`records.jsonl` and `rejected.jsonl` are written anew from the journal whenever a command ends, also after Ctrl-C.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.decompose.outcome import Decomposer, Outcome
from harness.decompose.records import LISTS, read_prompt_file
from harness.errors import DataError, StoreError
from harness.images import write_atomic
from harness.progress import Progress
from harness.store import RecordLog

STAGE = "decompose: prompts"


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt of the input."""

    file: Path
    where: str
    """File and line."""
    text: str
    fields: dict[str, Any]
    """Further fields of its record, carried over."""


def read_items(files: Sequence[Path], limit: int | None = None) -> list[Item]:
    """The prompts of all files, in order; at most the first `limit`.

    Raises:
        DataError: a file is damaged (file, line, field), or there is no prompt.
    """
    items = []
    for file in files:
        for where, raw in read_prompt_file(file):
            fields = {k: v for k, v in raw.items() if k not in ("prompt", *LISTS)}
            items.append(Item(file, where, raw["prompt"], fields))
    if not items:
        raise DataError(f"{', '.join(map(str, files))}: no prompt.")
    return items[:limit]


class Job:
    """One output folder.

    Args:
        out: the folder.
        decomposer: makes the questions.
        items: the prompts.

    Raises:
        StoreError: the folder holds the work of another decomposer, or a damaged file.
    """

    def __init__(self, out: Path, decomposer: Decomposer, items: Sequence[Item]) -> None:
        self.out, self.decomposer, self.items = out, decomposer, items
        self._refuse_other_work()
        self._known = {o.id: o for o in RecordLog(out / "journal.jsonl", Outcome, writable=False).read()}

    def _refuse_other_work(self) -> None:
        path = self.out / "manifest.json"
        if not path.is_file():
            if (self.out / "journal.jsonl").is_file() or not self.out.is_dir() or not any(self.out.iterdir()):
                return
            raise StoreError(f"{self.out} holds other files. Choose another folder with -o OUT.")
        try:
            before = json.loads(path.read_bytes())["decomposer"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: not the manifest of a decomposition ({error}). Choose another -o OUT.") from None
        if before != self.decomposer.fingerprint:
            raise StoreError(
                f"{self.out} holds questions by {before}, now {self.decomposer.fingerprint} would make them. "
                "Choose another folder with -o OUT."
            )

    @property
    def todo(self) -> list[str]:
        """Texts without a final outcome, each once. Failed calls are tried again, rejected prompts are not."""
        texts = dict.fromkeys(i.text for i in self.items)
        return [t for t in texts if (o := self._known.get(self.decomposer.key(t))) is None or o.status == "error"]

    def run(self, progress: Progress) -> dict[str, Any]:
        """Decomposes what is missing and writes the files; returns the manifest.

        Raises:
            HarnessError: nothing more can be done; what is finished is stored.
            KeyboardInterrupt: likewise.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with _lock(self.out):
            log = RecordLog(self.out / "journal.jsonl", Outcome, writable=True)
            todo = self.todo
            n_texts = len({i.text for i in self.items})
            progress.start(STAGE, n_texts, n_texts - len(todo))

            def done(outcome: Outcome) -> None:
                log.append([outcome])
                self._known[outcome.id] = outcome
                progress.advance(STAGE)

            try:
                self.decomposer.run(todo, done)
            finally:
                log.close()
                manifest = self._write()
        return manifest

    def _write(self) -> dict[str, Any]:
        records, rejected = [], []
        for index, item in enumerate(self.items):
            outcome = self._known.get(self.decomposer.key(item.text))
            if outcome is not None and outcome.status == "ok":
                records.append(self._record(index, item, outcome))
            else:
                rejected.append(self._rejection(index, item, outcome))
        write_atomic(self.out / "records.jsonl", _json_lines(records))
        write_atomic(self.out / "rejected.jsonl", _json_lines(rejected))
        manifest = self._manifest(records, rejected)
        write_atomic(self.out / "manifest.json", (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
        return manifest

    def _record(self, index: int, item: Item, outcome: Outcome) -> dict[str, Any]:
        return {
            "prompt": item.text,
            "original_index": item.fields.get("original_index", index),
            "semantic_questions": outcome.semantic,
            "quality_questions": outcome.quality,
            "decomposer": self.decomposer.fingerprint,
            **{k: v for k, v in item.fields.items() if k not in ("original_index", "decomposer")},
        }

    def _rejection(self, index: int, item: Item, outcome: Outcome | None) -> dict[str, Any]:
        found = {"where": item.where, "original_index": item.fields.get("original_index", index), "prompt": item.text}
        if outcome is None:
            return {**found, "status": "not done", "reason": "the command was stopped before"}
        return {
            **found,
            "status": outcome.status,
            "reason": outcome.reason,
            "attempts": outcome.attempts,
            "questions": outcome.rejected,
        }

    def _manifest(self, records: Sequence[dict[str, Any]], rejected: Sequence[dict[str, Any]]) -> dict[str, Any]:
        outcomes = [self._known[k] for k in dict.fromkeys(map(self._key, self.items)) if k in self._known]
        files = dict.fromkeys(item.file for item in self.items)
        return {
            "decomposer": self.decomposer.fingerprint,
            **self.decomposer.details(),
            "inputs": [{"name": f.name, "sha256": hashlib.sha256(f.read_bytes()).hexdigest()} for f in files],
            "n_prompts": len(self.items),
            "n_records": len(records),
            "n_rejected": sum(r["status"] == "rejected" for r in rejected),
            "n_errors": sum(r["status"] == "error" for r in rejected),
            "n_not_done": sum(r["status"] == "not done" for r in rejected),
            "n_questions": sum(len(r[name]) for r in records for name in LISTS),
            "n_calls": sum(o.n_calls for o in outcomes),
            "tokens_in": sum(o.tokens_in for o in outcomes),
            "tokens_out": sum(o.tokens_out for o in outcomes),
            "cost_usd": round(sum(o.cost_usd for o in outcomes), 6),
            "complete": not rejected,
        }

    def _key(self, item: Item) -> str:
        return self.decomposer.key(item.text)


def _json_lines(objects: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One writer at a time."""
    descriptor = os.open(folder / "journal.jsonl", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"{folder}: another command is writing there. Wait for it, or choose another -o OUT."
            ) from None
        yield
    finally:
        os.close(descriptor)
