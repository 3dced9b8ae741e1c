"""Downloads official data from upstream at the pinned revisions.

Every file is put in place as soon as it is checked, so that a later call goes on where an earlier one stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

from benchmarks.data import hub, judgeprompts
from benchmarks.data.collection import collect
from benchmarks.data.fetch import Upstream, download
from benchmarks.data.local import find_script
from benchmarks.data.lock import Collection, HubSet, Lock, LockedFile, Package, Script, Source, sha256
from benchmarks.data.places import Candidate, Place, read_limited
from benchmarks.data.report import Report, difference, finish, keep, keep_prompts, keep_rows, label, open_folder
from benchmarks.gedit.data import INDEX
from harness.errors import DataError
from harness.images import write_atomic
from harness.progress import Progress, Silent

DOWNLOADS = ".download"
HUB = ".hub"
_THREADS = 4

Snapshot = Callable[[HubSet, Path], Path]


def prepare_upstream(
    lock: Lock,
    data_dir: Path,
    *,
    upstream: Upstream | None = None,
    snapshot: Snapshot = hub.snapshot,
    progress: Progress | None = None,
) -> Report:
    """Downloads what is not there yet; continues an interrupted call.

    Args:
        lock: what to bring.
        data_dir: the folder of all benchmarks' data.
        upstream: where repositories and packages are.
        snapshot: downloads a data set of the hub into a folder and returns the folder with its files.
        progress: sees files, and large ones in KiB.

    Raises:
        DataError: a file that arrived differs from the lock, or upstream cannot be reached.
    """
    upstream, progress = upstream or Upstream(), progress or Silent()
    report = Report(name=lock.name, folder=open_folder(lock, data_dir))
    _fetch_files(report, lock, upstream, progress)
    if lock.collection is not None:
        _fetch_collection(report, lock, lock.collection, upstream, progress)
    if lock.dataset is not None:
        _fetch_rows(report, lock.dataset, data_dir, snapshot, progress)
    _fetch_prompts(report, lock, upstream, progress)
    shutil.rmtree(report.folder / DOWNLOADS, ignore_errors=True)
    return finish(report, lock)


def _fetch_files(report: Report, lock: Lock, upstream: Upstream, progress: Progress) -> None:
    wanted = []
    for source, entry in lock.files():
        path = report.folder / entry.name
        if path.is_file() and lock.accepts(entry, read_limited(path)):
            report.kept.append(entry.name)
        else:
            wanted.append((source, entry))
    if not wanted:
        return
    stage = f"{lock.name}: files"
    progress.start(stage, len(wanted) + len(report.kept), len(report.kept))

    def fetch(item: tuple[Source, LockedFile]) -> None:
        source, entry = item
        url = upstream.file(source, entry.path, lfs=entry.lfs)
        accepts = partial(lock.accepts, entry)
        data = download(url, report.folder / f"{entry.name}.part", accepts=accepts, progress=progress)
        if not accepts(data):
            raise DataError(difference(lock, entry, data, url))
        keep(report, entry.name, data)
        progress.advance(stage)

    with ThreadPoolExecutor(_THREADS) as pool:
        futures = [pool.submit(fetch, item) for item in wanted]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _fetch_collection(
    report: Report, lock: Lock, collection: Collection, upstream: Upstream, progress: Progress
) -> None:
    """From the whole repository in one archive, instead of a request for each of the texts."""
    path = report.folder / collection.name
    if path.is_file() and sha256(read_limited(path)) == collection.sha256:
        report.kept.append(collection.name)
        return
    source = lock.sources[0]
    url = upstream.tarball(source)
    archive = report.folder / DOWNLOADS / f"{PurePosixPath(source.repository).name}-{source.revision[:8]}.tar.gz"

    def texts(data: bytes) -> tuple[bytes | None, str]:
        write_atomic(archive, data)
        try:
            found, problem = collect(collection, [Place(archive)])
        except DataError as error:
            return None, str(error)
        return found, problem or f"{url}: {collection.folder} is not in it."

    progress.note(f"{lock.name}: {source.label} as one archive, for {collection.folder}")
    part = archive.with_name(f"{archive.name}.part")
    found, problem = texts(download(url, part, accepts=lambda d: texts(d)[0] is not None, progress=progress))
    if found is None:
        raise DataError(problem)
    keep(report, collection.name, found)


def _fetch_rows(report: Report, dataset: HubSet, data_dir: Path, snapshot: Snapshot, progress: Progress) -> None:
    if (report.folder / INDEX).is_file():
        report.kept.append(INDEX)
        return
    origin = f"{dataset.hub}@{dataset.revision[:8]}"
    progress.note(f"{report.name}: {origin} from the hub")
    place = report.folder / HUB
    place.mkdir(parents=True, exist_ok=True)
    keep_rows(report, data_dir, snapshot(dataset, place), origin)
    shutil.rmtree(place)


def _fetch_prompts(report: Report, lock: Lock, upstream: Upstream, progress: Progress) -> None:
    if not lock.scripts:
        return
    try:
        present = judgeprompts.prepared(lock, report.folder / judgeprompts.CACHE_NAME)
    except DataError:
        present = []  # damaged: made anew
        (report.folder / judgeprompts.CACHE_NAME).unlink()
    scripts: dict[str, tuple[Script, Candidate]] = {}
    for script in lock.scripts:
        if label(script) not in present and script.name not in scripts:
            data = _fetch_script(script, report.folder / DOWNLOADS, upstream, progress)
            where = f"{script.source.label}: {script.path}"
            scripts[script.name] = (script, Candidate(PurePosixPath(script.path), where, partial(bytes, data)))
    if scripts:
        prompts, remarks = judgeprompts.extract(lock, scripts, report.folder)
        report.remarks += remarks
        keep_prompts(report, lock, prompts, ", ".join(sorted({s.source.label for s, _ in scripts.values()})))


def _fetch_script(script: Script, folder: Path, upstream: Upstream, progress: Progress) -> bytes:
    if script.source.package is not None:
        return _fetch_from_wheel(script, script.source.package, folder, upstream, progress)
    url = upstream.file(script.source, script.path)
    part = folder / f"{script.name}-{PurePosixPath(script.path).name}.part"
    data = download(url, part, accepts=script.is_known, progress=progress)
    if not script.is_known(data):
        raise DataError(f"{url}: sha256 {sha256(data)}, expected {' or '.join(script.sha256)}.")
    return data


def _fetch_from_wheel(script: Script, package: Package, folder: Path, upstream: Upstream, progress: Progress) -> bytes:
    url = upstream.wheel(package)
    wheel = folder / PurePosixPath(package.path).name
    part = wheel.with_name(f"{wheel.name}.part")
    data = download(url, part, accepts=lambda d: sha256(d) == package.sha256, progress=progress)
    if sha256(data) != package.sha256:
        raise DataError(f"{url}: sha256 {sha256(data)}, expected {package.sha256}.")
    write_atomic(wheel, data)
    found = find_script(script, Place(wheel).candidates([script.path]))
    if found is None:
        raise DataError(f"{url}: {script.path} is not in it.")
    return found.read()
