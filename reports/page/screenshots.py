"""The pictures of `docs/page.md`, drawn from a micro evaluation that this command makes itself.

`python -m reports.page.screenshots [-o docs/images]` evaluates the shipped micro checkpoint twice (with one round of
refinement; with plans decoded greedily), writes their page and photographs it in headless Chromium. Takes
about a minute.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.images import write_atomic
from reports.page import write_page
from reports.page.browser import Browser, find_browser

BENCHMARKS = ["geneval", "tiif", "dpg", "wise"]
LIMIT = 24
WIDTH, HEIGHT, TALL = 1360, 860, 1060

_FIND_REFINED = """(async () => {
  const share = (scores) => scores.filter((s) => s[1] === 1).length / scores.length;
  const own = (scores) => scores.filter((s) => s[0] !== "gate");
  let best = null, most = 0;
  for (let row = 0; row < UMM.store.n; row++) {
    if (UMM.store.subject(row).name !== "tiif" || UMM.store.state(0, row) !== UMM.store.STATES.WRONG) continue;
    const entry = await UMM.store.details(0, row);
    const refined = (entry.refined || []).find((r) => r.arm === "refine");
    if (!refined || !own(refined.scores).length || entry.scores.length > 8) continue;
    const gain = share(own(refined.scores)) - share(entry.scores);
    if (gain > most) { most = gain; best = UMM.store.key(row); }
  }
  return best;
})()"""
"""The sample of few questions whose refinement is better than its first image by the largest share."""
_FIND_DISAGREEING = """(() => {
  const rows = UMM.applyFilters(UMM.store, {...UMM.DEFAULTS, b: "dpg", d: "B>A", o: "spread"});
  const row = rows.find((r) => UMM.store.cells[0].n[r] <= 12);
  return row === undefined ? null : UMM.store.key(row);
})()"""


def evaluate_twice(folder: Path) -> Any:
    """The two runs, as a design for the report's tables."""
    from harness.evalconfig import EvalConfig
    from harness.evaluate import evaluate
    from harness.models.base import GenerationParams
    from harness.progress import Silent
    from reports.groups import design_of

    settings: dict[str, dict[str, Any]] = {
        "sampled": {"reflect": 1},
        "greedy": {"generation": GenerationParams(temperature=0.0)},
    }
    for name, changes in settings.items():
        config = EvalConfig(benchmarks=BENCHMARKS, limit=LIMIT, out=str(folder / name), **changes)
        evaluate(config, "micro", Silent())
    return design_of([folder / name for name in settings])


def draw(single: Path, pair: Path, out: Path, program: str) -> list[Path]:
    """Photographs an overview and a comparison of the page `pair`, and a sample with refinements of the page `single`.

    Raises:
        HarnessError: the browser failed, or the evaluation holds no sample that shows something.
    """
    with Browser(program, width=WIDTH, height=HEIGHT) as browser:
        files = [_photograph(browser, pair, "#overview", out / "page-overview.png")]
        browser.resize(WIDTH, TALL)
        for page, code, state, scheme, name in (
            (single, _FIND_REFINED, {"b": "tiif", "v": "wrong"}, "light", "page-sample.png"),
            (pair, _FIND_DISAGREEING, {"b": "dpg", "d": "B>A", "o": "spread"}, "dark", "page-compare.png"),
        ):
            browser.colour_scheme(scheme)
            browser.open(page, "#samples")
            sample = browser.eval(code)
            if sample is None:
                raise HarnessError(f"This evaluation holds no sample for {name}.")
            files.append(_photograph(browser, page, _link(browser, state, sample), out / name))
    return files


def _photograph(browser: Browser, page: Path, fragment: str, file: Path) -> Path:
    browser.open(page, fragment)
    if "s=" in fragment:
        browser.wait("document.querySelectorAll('#detail img').length > 0")
        browser.wait("[...document.images].every((i) => i.complete)")
    browser.eval("new Promise((f) => setTimeout(f, 300))")
    write_atomic(file, browser.screenshot())
    return file


def _link(browser: Browser, state: dict[str, str], sample: str) -> str:

    return str(
        browser.eval(f"UMM.routeText('samples', {{...UMM.DEFAULTS, ...{json.dumps(state)}}}, {json.dumps(sample)})")
    )


def main() -> None:
    """The command."""
    from reports.overview import tables_of
    from reports.significance import analyse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--keep", type=Path, help="keep runs and page in this folder")
    args = parser.parse_args()
    program = find_browser()
    if program is None:
        raise SystemExit("No Chromium found: install it, or name it in UMMBENCH_CHROMIUM.")
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        design = evaluate_twice(folder)
        single = write_page(design.runs[:1], folder / "single")
        pair = write_page(design.runs, folder / "pair", tables=tables_of(analyse(design)))
        for file in draw(single, pair, args.out, program):
            print(file)


if __name__ == "__main__":
    main()
