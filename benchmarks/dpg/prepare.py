"""Brings the official data into the data folder from a local copy of the upstream repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.dpg.data import prompts_jsonl, read_prompts, texts_of_folder
from benchmarks.dpg.lock import Lock, shipped_lock
from benchmarks.dpg.table import git_blob_id
from harness.errors import DataError
from harness.images import write_atomic


def prepare(source: Path, data_dir: Path, lock: Lock | None = None) -> list[str]:
    """Verifies the prompts and the question table of `source` and copies them to `DATA_DIR/dpg`.

    Args:
        source: an upstream checkout, its `dpg_bench` folder, or a folder with `prompts.jsonl` (and `dpg_bench.csv`).
        data_dir: the folder of all benchmarks' data.
        lock: the known hashes; None takes the shipped lock.

    Returns:
        One line per thing done, and per thing that is not there.

    Raises:
        DataError: nothing is there, or a file is of an unknown version; nothing is written then.
    """
    lock = lock or shipped_lock()
    roots = [r for r in (source, source / "dpg_bench") if r.is_dir()]
    prompts = next((p for r in roots for p in (r / lock.prompts, r / "prompts") if p.exists()), None)
    table = next((r / lock.table for r in roots if (r / lock.table).is_file()), None)
    if prompts is None and table is None:
        raise DataError(
            f"{source}: neither {lock.prompts}, prompts nor {lock.table} is there (nor in dpg_bench below)."
        )
    files: dict[str, bytes] = {}
    done = []
    if prompts is not None:
        texts = texts_of_folder(prompts) if prompts.is_dir() else read_prompts(prompts.parent, lock)
        files[lock.prompts] = prompts_jsonl(texts)
        found = hashlib.sha256(files[lock.prompts]).hexdigest()
        if found != lock.prompts_sha256:
            raise DataError(
                f"{prompts}: {len(texts)} prompts with sha256 {found}, expected {lock.n_prompts} with "
                f"{lock.prompts_sha256}. Use revision {lock.revision[:8]} with LF line ends."
            )
        done.append(f"{len(texts)} prompts -> {data_dir / 'dpg' / lock.prompts}")
    else:
        done.append(f"prompts: not in {source}")
    if table is not None:
        files[lock.table] = table.read_bytes()
        blob = git_blob_id(files[lock.table])
        if blob != lock.table_blob:
            raise DataError(
                f"{table}: git blob {blob}, expected {lock.table_blob}. Another table gives DPG-like numbers; it is "
                "used in place with dpg.table=PATH, not prepared."
            )
        done.append(f"question table (git blob {blob[:12]}) -> {data_dir / 'dpg' / lock.table}")
    else:
        done.append(f"question table: not in {source}; {lock.repository} at {lock.revision[:8]} has {lock.table_path}")
    for name, data in files.items():
        write_atomic(data_dir / "dpg" / name, data)
    return done
