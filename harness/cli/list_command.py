"""`run.py list`: what is registered."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click

from harness.cli.options import json_option, load_plugins, plugin_option

_KINDS = ("benchmarks", "models", "judges", "rewards", "configs", "sweeps")


@click.command(name="list", epilog="Examples:  run.py list   |   run.py list benchmarks   |   run.py list --json")
@click.argument("kind", required=False, type=click.Choice(_KINDS))
@plugin_option
@json_option
def command(kind: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """Show what is registered; with `benchmarks`, each one's documentation."""
    load_plugins(plugins)
    found = {k: _entries(k) for k in ([kind] if kind else _KINDS)}
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, entries in found.items():
        click.echo(f"{name}:")
        width = max([14, *(len(entry["name"]) for entry in entries)])
        for entry in entries:
            click.echo(f"  {entry['name']:<{width}} {entry['summary']}")
            if kind == "benchmarks":
                click.echo("\n" + "\n".join(f"      {line}" for line in entry["documentation"].splitlines()) + "\n")


def _entries(kind: str) -> list[dict[str, Any]]:
    from harness import registry

    if kind == "configs":
        return [{"name": n, "summary": "training configuration"} for n in shipped_configs()]
    if kind == "sweeps":
        from harness.sweep.config import load_sweep, shipped_sweeps

        return [{"name": n, "summary": load_sweep(n)[0].title} for n in shipped_sweeps()]
    book = {
        "benchmarks": registry.BENCHMARKS,
        "models": registry.MODELS,
        "judges": registry.JUDGES,
        "rewards": registry.REWARDS,
    }[kind]
    entries = []
    for name in book.names():
        entry = book.get(name)
        doc = inspect.getdoc(entry) or ""
        item: dict[str, Any] = {"name": name, "summary": doc.partition("\n")[0]}
        if kind == "benchmarks":
            documentation = inspect.getdoc(_package_of(entry)) or doc
            item |= {
                "summary": documentation.partition("\n")[0],
                "title": entry.title,
                "profiles_by_default": sorted(entry.default_judge),
                "options": _options(entry.options_type),
                "documentation": documentation,
            }
        entries.append(item)
    return entries


def _package_of(entry: Any) -> Any:
    import importlib

    return importlib.import_module(".".join(entry.__module__.split(".")[:2]))


def _options(options_type: type) -> dict[str, Any]:
    from harness.config import to_plain

    return dict(to_plain(options_type()))


def shipped_configs() -> list[str]:
    """Names that `train` takes."""
    from importlib.resources import files

    folder = files("trainers") / "configs"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
