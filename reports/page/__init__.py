"""A page of one or several runs: tables, then every sample with its images, questions, answers and scores.

`write_page` makes a folder that works from the file system, without a server and without the network: `index.html`,
the list's data, details in files that are loaded when a sample is opened, and thumbnails. Originals stay in the run
directories and are reached by relative paths. With `embed`, one file holds everything that fits into 50 MB.

Modules: `records` (reading run files in two passes), `catalogue` (rows, scores, verdicts), `details` (one sample),
`adapters` (what only a benchmark knows), `pictures` (thumbnails), `overview` (tables), `encode` (safe JSON), `build`
(folder), `single` (one file), `browser` and `screenshots` (driving Chromium). The page's own code is in `static/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.runs import Run
    from reports.tables import Table


def write_page(runs: Sequence[Run], out: Path, *, embed: bool = False, tables: Sequence[Table] = ()) -> Path:
    """Writes the page of `runs`; returns the path of its `index.html`.

    Args:
        runs: shown as A, B, ... in this order; samples of the same benchmark, prompt, gen_seed and index stand side by
            side.
        out: folder, made where it is not there. Files of an earlier page in it are replaced.
        embed: write `index.html` only, with downscaled images inside, below 50 MB; the page says what it left out.
        tables: further tables for the overview.

    Raises:
        DataError: a run lacks a record file or has a damaged record.
        ValueError: no run.
    """
    from reports.page.build import write_folder
    from reports.page.single import write_single

    if not runs:
        raise ValueError("a page needs a run")
    return (write_single if embed else write_folder)(runs, out, tables)
