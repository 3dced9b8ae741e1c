"""`run.py view`: a run's page in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command(
    name="view", epilog="Examples:  run.py view runs/micro-1a2b3c4d   |   run.py view runs/micro-1a2b3c4d --no-open"
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--open/--no-open", "is_opened", default=True, help="Open the browser.  [default: yes]")
@click.option("--again", is_flag=True, help="Write the page anew, also where there is one.")
def command(folder: Path, is_opened: bool, again: bool) -> int:
    """Open a run's page; it is written first where there is none, or where the run is newer.

    Without a display, or with --no-open, the path of the page is printed alone.
    """
    page = _page(folder, again)
    click.echo(str(page))
    if is_opened and has_display():
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            click.echo("No browser could be started; open the file above.", err=True)
    return 0


def _page(folder: Path, again: bool) -> Path:
    page, summary = folder / "report" / "index.html", folder / "summary.json"
    is_fresh = page.is_file() and (not summary.is_file() or page.stat().st_mtime >= summary.stat().st_mtime)
    if is_fresh and not again:
        return page
    from reports.groups import design_of
    from reports.overview import tables_of
    from reports.page import write_page
    from reports.significance import analyse

    design = design_of([folder])
    return write_page(design.runs, folder / "report", tables=tables_of(analyse(design)))


def has_display() -> bool:
    """Whether a browser window could appear."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))
