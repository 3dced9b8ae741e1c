"""`run.py rescore`: scores from recorded judgements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, load_plugins, plugin_option, protocol_option, set_option, split_names


@click.command(
    name="rescore",
    epilog="Examples:  run.py rescore runs/micro-1a2b3c4d --protocol corrected   |   "
    "run.py rescore results.jsonl -b geneval   |   run.py rescore results.tar.gz -b tiif -o runs/published",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-b", "--benchmarks", multiple=True, metavar="NAMES", help="Whose format SOURCE has (a run: all it holds)."
)
@protocol_option
@click.option("--data-dir", metavar="DIR", help="Folder with official data.  [default: ~/.cache/ummbench/data]")
@click.option(
    "--max-missing", type=float, default=0.01, show_default=True, metavar="SHARE", help="Above it: exit code 3."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write run directories (without images) for `report` and `check`: DIR, of several models DIR/MODEL.",
)
@click.option("--full", is_flag=True, help="Print every row of the tables.")
@set_option
@plugin_option
@json_option
def command(
    source: Path,
    benchmarks: tuple[str, ...],
    protocol: Any,
    data_dir: str | None,
    max_missing: float,
    out: Path | None,
    full: bool,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Recompute scores from recorded judgements, with no model and no judge.

    SOURCE is a run directory, or a result folder, file or archive in a benchmark's own published format.
    """
    from harness import config as configs
    from harness.errors import ConfigError
    from harness.rescore import is_run_directory, rescore_run, rescore_source, write_rescored

    load_plugins(plugins)
    names = split_names(benchmarks)
    if is_run_directory(source):
        if settings:
            raise ConfigError("--set: a run directory is rescored with the settings it was made with.")
        run = rescore_run(source, names, protocol, max_missing)
        found = {run.summary["model"]: run}
    else:
        if len(names) != 1:
            raise ConfigError(f"{source} is not a run directory: name the benchmark whose format it has, e.g. -b tiif.")
        options = configs.apply_settings({}, settings).get(names[0], {})
        found = rescore_source(source, names[0], protocol or "official", max_missing, options, data_dir)
    written = [] if out is None else write_rescored(source, found, out)
    summaries = {model: result.summary for model, result in found.items()}
    if as_json:
        click.echo(json.dumps(next(iter(summaries.values())) if len(summaries) == 1 else {"models": summaries}))
    else:
        _print(list(summaries.values()), full)
        for folder in written:
            click.echo(f"Written: {folder}")
    return 0 if all(s["complete"] for s in summaries.values()) else 3


def _print(summaries: list[dict[str, Any]], full: bool) -> None:
    from rich.console import Console

    from harness.cli.console import print_results

    console = Console(highlight=False)
    for summary in summaries:
        console.print(f"\n{summary['model']} ({summary['run']})", style="bold", markup=False)
        print_results(console, summary, full=full)
