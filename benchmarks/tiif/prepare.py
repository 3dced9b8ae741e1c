"""Brings the official data into the data folder from a local copy of the upstream repository or of its data folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.sources import read_files
from benchmarks.tiif.data import load_set
from benchmarks.tiif.lock import SETS, Lock, shipped_lock
from benchmarks.tiif.officialprompt import CACHE_NAME, extract, write_cache
from harness.errors import DataError


def prepare(source: Path, data_dir: Path, lock: Lock | None = None) -> list[str]:
    """Verifies the locked files of `source`, copies them to `DATA_DIR/tiif`, and extracts the judge prompt if there.

    Args:
        source: an upstream checkout, its `data` folder, or a folder with the four folders or their `.tar.gz` archives.
        data_dir: the folder of all benchmarks' data.
        lock: the files to copy and their hashes; None takes the shipped lock.

    Returns:
        One line per thing done.

    Raises:
        DataError: a file is missing or of an unknown version; nothing is written then.
    """
    lock = lock or shipped_lock()
    root = next((r for r in (source, source / "data") if any(r.glob("test*_prompts*"))), None)
    if root is None:
        raise DataError(f"{source}: no TIIF data. Expected testmini_prompts, ... or data/testmini_prompts, ... there.")
    files = _verified_files(root, lock)
    target = data_dir / "tiif"
    for path, data in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    done = [f"{len(files)} files -> {target}"]
    for name in SETS:
        loaded = load_set(target, name, lock)
        done.append(f"{name}: {sum(map(len, loaded.cases.values()))} cases, sha256 {loaded.sha256[:12]}")
    script = source / lock.judge_script["path"]
    if script.is_file():
        prompt = extract(script, lock)
        write_cache(prompt, target / CACHE_NAME)
        done.append(f"judge prompt ({len(prompt.templates)} templates) -> {target / CACHE_NAME}")
    else:
        done.append(f"judge prompt: {script} is not there; judge_prompt=official will not be available")
    return done


def _verified_files(root: Path, lock: Lock) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for folder in lock.folders():
        place = root / folder if (root / folder).is_dir() else root / f"{folder}.tar.gz"
        found |= {f"{folder}/{f.path.name}": f.data for f in read_files(place, (".jsonl",))}
    missing = [path for path in lock.files if path not in found]
    if missing:
        raise DataError(f"{root}: {len(missing)} of {len(lock.files)} files are missing, e.g. {missing[0]}.")
    for path, entry in lock.files.items():
        sha256 = hashlib.sha256(found[path]).hexdigest()
        if sha256 not in (entry.sha256, entry.corrected_sha256):
            raise DataError(f"{root}/{path}: sha256 {sha256}, expected {entry.sha256}. Use revision {lock.revision}.")
    return {path: found[path] for path in lock.files}
