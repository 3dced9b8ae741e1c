"""`run.py data`: official benchmark data and judge prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, stop_on_sigterm
from harness.registry import resolve

data_dir_option = click.option(
    "--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="[default: ~/.cache/ummbench/data]"
)


@click.group(
    name="data",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Examples:  run.py data list   |   run.py data prepare geneval   |   "
    "run.py data prepare tiif --source CHECKOUT   |   run.py data verify",
)
def command() -> None:
    """Bring, pin and verify official benchmark data and judge prompts."""


@command.command(name="list", epilog="Example:  run.py data list --json")
@data_dir_option
@json_option
def list_(data_dir: Path | None, as_json: bool) -> None:
    """Show what is pinned: sources, revisions, licences; and what of it is prepared, missing or differing."""
    verify = resolve("benchmarks.data.verify:verify")
    found = [_listed(lock, verify(lock, _folder(data_dir))) for lock in _locks(())]
    if as_json:
        click.echo(json.dumps({"data_dir": str(_folder(data_dir)), "names": found}))
        return
    click.echo(f"data folder: {_folder(data_dir)}")
    for item in found:
        click.echo(f"\n{item['name']} ({item['kind']}, {item['paper']}): {item['state']}")
        for source in item["sources"]:
            click.echo(f"  {source['label']:<46} {source['date']:<11} licence: {source['licence']}")
        counts = ", ".join(f"{n} {state}" for state, n in item["counts"].items() if n)
        click.echo(f"  files: {counts or 'none'}" + ("; see `run.py data verify`" if item["counts"]["differs"] else ""))
        if item["judge_prompts"]:
            click.echo(f"  judge prompts: {item['judge_prompts']}")


@command.command(
    name="prepare",
    epilog="Examples:  run.py data prepare geneval   |   run.py data prepare wise --source ~/src/WISE   |   "
    "run.py data prepare gedit --source Step1X-Edit --source GEdit-Bench",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Take the files from a local copy instead of upstream: a checkout, a folder with the files (also gzipped), "
    "or an archive; repeatable.",
)
@data_dir_option
@json_option
def prepare(names: tuple[str, ...], sources: tuple[Path, ...], data_dir: Path | None, as_json: bool) -> int:
    """Bring the data and official judge prompts of NAME into the data folder.

    Without --source they are downloaded from upstream at the pinned revision; an interrupted download continues when
    the command is repeated. Every file is compared with its pinned digest before it is put in place, and nothing
    outside the data folder is written.

    Exit codes: 0 everything is there, 1 something differs or cannot be reached, 3 the source lacks a part of it.
    """
    from harness.cli.console import ConsoleProgress

    stop_on_sigterm()
    prepare_from = resolve("benchmarks.data.local:prepare_from")
    prepare_upstream = resolve("benchmarks.data.remote:prepare_upstream")
    reports = []
    for lock in _locks(names):
        if sources:
            report = prepare_from(lock, _folder(data_dir), sources)
        else:
            with ConsoleProgress() as progress:
                report = prepare_upstream(lock, _folder(data_dir), progress=progress)
        reports.append(report)
        if not as_json:
            _print_prepared(report)
    if as_json:
        click.echo(json.dumps([_prepared(r) for r in reports]))
    return 0 if all(r.complete for r in reports) else 3


@command.command(name="verify", epilog="Examples:  run.py data verify   |   run.py data verify tiif wise --json")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@data_dir_option
@json_option
def verify(names: tuple[str, ...], data_dir: Path | None, as_json: bool) -> int:
    """Check every prepared file; name each differing, missing or extra one.

    Without NAME: everything that was prepared. Exit codes: 0 all as pinned, 1 not.
    """
    folder = _folder(data_dir)
    locks = [lock for lock in _locks(names) if names or (folder / lock.name).is_dir()]
    found = [resolve("benchmarks.data.verify:verify")(lock, folder) for lock in locks]
    if as_json:
        click.echo(json.dumps({"data_dir": str(folder), "names": [_verified(v) for v in found]}))
    else:
        for verification in found:
            _print_verified(verification)
        if not found:
            click.echo(
                f"Nothing is prepared in {folder}. Run `run.py data prepare NAME`; `run.py data list` shows names."
            )
    return 0 if found and all(v.clean for v in found) else 1


def _folder(data_dir: Path | None) -> Path:
    from harness.evaluate import DEFAULT_DATA_DIR

    return (data_dir or DEFAULT_DATA_DIR).expanduser()


def _locks(names: tuple[str, ...]) -> list[Any]:
    """The locks of some names, each once, or of all."""
    read_lock = resolve("benchmarks.data.lock:read_lock")
    return [read_lock(n) for n in dict.fromkeys(names or resolve("benchmarks.data.lock:names")())]


def _listed(lock: Any, verification: Any) -> dict[str, Any]:
    sources = [
        {"label": s.label, "revision": s.revision, "date": s.date, "licence": s.licence, "files": len(s.files)}
        for s in lock.sources
    ]
    if lock.dataset is not None:
        label = f"hub: {lock.dataset.hub}@{lock.dataset.revision[:8]}"
        revision, licence = lock.dataset.revision, lock.dataset.licence
        sources.insert(0, {"label": label, "revision": revision, "date": "", "licence": licence, "files": None})
    states = ("differs", "missing", "extra", "unfinished")
    return {
        "name": lock.name,
        "kind": "benchmark" if lock.is_benchmark else "reward prompts",
        "paper": lock.paper,
        "state": _state(verification),
        "sources": sources,
        "counts": {"intact": verification.n_intact, **{s: verification.count(s) for s in states}},
        "judge_prompts": verification.judge_prompts if verification.folder.is_dir() else "",
    }


def _state(verification: Any) -> str:
    if not verification.folder.is_dir():
        return "not prepared"
    if verification.clean:
        return "prepared"
    if verification.count("differs"):
        return "differs from the lock"
    return "incomplete" if verification.count("missing") else "complete, with other files beside it"


def _files(n: int) -> str:
    return f"{n:,} {'file' if n == 1 else 'files'}"


def _prepared(report: Any) -> dict[str, Any]:
    return {
        "name": report.name,
        "folder": str(report.folder),
        "complete": report.complete,
        "written": report.written,
        "kept": report.kept,
        "missing": [{"name": m.name, "origin": m.origin} for m in report.missing],
        "remarks": report.remarks,
        "judge_prompts": report.judge_prompts,
    }


def _print_prepared(report: Any) -> None:
    click.echo(
        f"{report.name}: {_files(len(report.written))} written, {len(report.kept)} already there -> {report.folder}"
    )
    for text in report.remarks:
        click.echo(f"  {text}")
    if report.judge_prompts:
        click.echo(f"  judge prompts: {report.judge_prompts}")
    for missing in report.missing:
        click.echo(f"  missing: {missing.name} ({missing.origin})")
    if report.missing:
        click.echo("  incomplete; add the rest with another --source, or without --source from upstream")


def _verified(verification: Any) -> dict[str, Any]:
    return {
        "name": verification.name,
        "clean": verification.clean,
        "n_intact": verification.n_intact,
        "findings": [{"file": f.file, "state": f.state, "detail": f.detail} for f in verification.findings],
        "remarks": verification.remarks,
        "judge_prompts": verification.judge_prompts,
    }


def _print_verified(verification: Any) -> None:
    n = len(verification.findings)
    click.echo(f"{verification.name}: {_files(verification.n_intact)} intact" + (f", {n} not as pinned" if n else ""))
    for finding in verification.findings:
        click.echo(f"  {finding.state}: {verification.folder / finding.file}: {finding.detail}")
    for text in verification.remarks:
        click.echo(f"  note: {text}")
    if verification.judge_prompts:
        click.echo(f"  judge prompts: {verification.judge_prompts}")
