"""The pictures of `docs/page.md`, drawn from a micro evaluation that this command makes itself.

`python -m reports.page.screenshots [-o docs/images]` evaluates the shipped micro checkpoint twice (with one round of
refinement; with four denoising steps instead of ten), writes their page and photographs it in headless Chromium. Takes
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
WIDTH, HEIGHT = 1360, 860

_FIND_REFINED = """(async () => {
  for (let row = 0; row < UMM.store.n; row++) {
    if (UMM.store.subject(row).name !== "tiif" || UMM.store.state(0, row) !== UMM.store.STATES.WRONG) continue;
    const refined = ((await UMM.store.details(0, row)).refined || []).find((r) => r.arm === "refine");
    if (refined && refined.scores.length && refined.scores.every((s) => s[1] === 1)) return UMM.store.key(row);
  }
  return null;
})()"""
"""A sample whose first image is wrong and whose refinement is right."""
_FIND_DISAGREEING = """(() => {
  const rows = UMM.applyFilters(UMM.store, {...UMM.DEFAULTS, b: "dpg", d: "A>B", o: "spread"});
  return rows.length ? UMM.store.key(rows[0]) : null;
})()"""


def evaluate_twice(folder: Path) -> Any:
    """The two runs, as a design for the report's tables."""
    from harness.evalconfig import EvalConfig
    from harness.evaluate import evaluate
    from harness.models.base import GenerationParams
    from harness.progress import Silent
    from reports.groups import design_of

    settings: dict[str, dict[str, Any]] = {
        "ten-steps": {"reflect": 1},
        "four-steps": {"generation": GenerationParams(num_inference_steps=4)},
    }
    for name, changes in settings.items():
        config = EvalConfig(benchmarks=BENCHMARKS, limit=LIMIT, out=str(folder / name), **changes)
        evaluate(config, "micro", Silent())
    return design_of([folder / name for name in settings])


def draw(page: Path, out: Path, program: str) -> list[Path]:
    """Photographs overview, one sample with refinements, and a comparison; returns the files.

    Raises:
        HarnessError: the browser failed, or the evaluation holds no sample that shows something.
    """
    files = []
    with Browser(program, width=WIDTH, height=HEIGHT) as browser:
        browser.open(page, "#samples")
        refined, differs = (browser.eval(code) for code in (_FIND_REFINED, _FIND_DISAGREEING))
        if refined is None or differs is None:
            raise HarnessError("No sample of this evaluation shows a refinement and none a disagreement.")
        views = {
            "overview": "#overview",
            "sample": _link(browser, {"b": "tiif", "r": "A", "v": "wrong"}, refined),
            "compare": _link(browser, {"b": "dpg", "d": "A>B", "o": "spread"}, differs),
        }
        for name, fragment in views.items():
            browser.colour_scheme("dark" if name == "compare" else "light")
            browser.open(page, fragment)
            if name != "overview":
                browser.wait("document.querySelectorAll('#detail img').length > 0")
                browser.wait("[...document.images].every((i) => i.complete)")
            browser.eval("new Promise((f) => setTimeout(f, 300))")
            files.append(out / f"page-{name}.png")
            write_atomic(files[-1], browser.screenshot())
    return files


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
        page = write_page(design.runs, folder / "page", tables=tables_of(analyse(design)))
        for file in draw(page, args.out, program):
            print(file)


if __name__ == "__main__":
    main()
