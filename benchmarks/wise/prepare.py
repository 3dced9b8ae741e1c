"""Brings the official data into the data folder from a local copy of the upstream repository."""

from __future__ import annotations

from pathlib import Path

from benchmarks.wise.data import check_file, load_set
from benchmarks.wise.lock import Lock, shipped_lock
from benchmarks.wise.officialprompt import CACHE_NAME, extract_all, write_cache
from harness.errors import DataError
from harness.images import write_atomic


def prepare(source: Path, data_dir: Path, lock: Lock | None = None) -> list[str]:
    """Verifies the locked files of `source`, copies them to `DATA_DIR/wise`, and extracts the judge prompts if there.

    Args:
        source: an upstream checkout, or a folder with the folders `verified` and `legacy`.
        data_dir: the folder of all benchmarks' data.
        lock: the files to copy and their hashes; None takes the shipped lock.

    Returns:
        One line per thing done.

    Raises:
        DataError: a file is missing or of an unknown version, or a judge script is not the known one; nothing is
            written then.
    """
    lock = lock or shipped_lock()
    files: dict[str, bytes] = {}
    for entry in lock.files.values():
        path = next((p for p in (source / entry.path, source / entry.name) if p.is_file()), None)
        if path is None:
            raise DataError(f"{source}: neither {entry.path} nor {entry.name} is there.")
        files[entry.name] = path.read_bytes()
        check_file(files[entry.name], entry, lock, str(path))
    prompts = extract_all(source, lock.scripts)
    target = data_dir / "wise"
    for name, data in files.items():
        write_atomic(target / name, data)
    done = [f"{len(files)} files -> {target}"]
    for name in lock.sets:
        loaded = load_set(data_dir, name, lock)
        done.append(f"{name}: {len(loaded.prompts)} prompts, {loaded.data_id}")
    if prompts:
        write_cache(prompts, target / CACHE_NAME)
        done.append(f"judge prompts ({', '.join(prompts)}) -> {target / CACHE_NAME}")
    for variant in lock.scripts:
        if variant not in prompts:
            script = source / lock.scripts[variant].path
            done.append(f"judge prompt: {script} is not there; judge_prompt=official of {variant} is not available")
    return done
