"""The page of 10,000 synthetic samples: time to write it, and in headless Chromium to load it, filter and open samples.

    python -m bench.page [--samples 10000] [--questions 10] [--runs 2] [--no-browser] [--keep DIR] [--json]

Writes run directories with records of realistic size (`--questions 100` makes 1,000,000 judgements per run) and images
of 256 px, then the page. Load is the time from the navigation to the first list that can be used and is painted; filter
latency is the time from the change of a filter to the painted list. The browser renders in software. Beside each time
stands the processor time of the page's main thread, which does not depend on what else the machine does.
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

N_IMAGES = 200
"""Different pictures; each is used under many names."""
WORDS = "a red green blue cat dog tower river beside under three large wooden lamp in the evening light of an old town"
CATEGORIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

FILTERS = (
    ("category", "f-category", "counting"),
    ("verdict wrong", "f-verdict", "wrong"),
    ("lowest quarter", "f-verdict", "q1"),
    ("of run B", "f-run", "B"),
    ("disagree", "f-differ", "any"),
    ("lowest first", "f-order", "low"),
    ("largest difference", "f-order", "spread"),
    ("search", "f-search", "wooden lamp"),
    ("search, many", "f-search", "a"),
    ("search, none", "f-search", "zzz"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=10, help="per sample")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--no-browser", action="store_true", help="only write the page")
    parser.add_argument("--keep", type=Path, help="keep runs and page in this folder")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        found = measure(folder, args)
    print(json.dumps(found, indent=1) if args.json else shown(found))


def measure(folder: Path, args) -> dict:
    runs = [folder / f"run-{i}" for i in range(args.runs)]
    for i, path in enumerate(runs):
        if not (path / "summary.json").is_file():
            write_run(path, args.samples, args.questions, skill=0.5 + 0.15 * i, seed=i)
    # A process of its own, so that peak memory is that of writing the page.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        first = pool.apply(write, (runs, folder / "page"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        again = pool.apply(write, (runs, folder / "page"))
    found = {
        "samples": args.samples,
        "judgements": args.samples * args.questions * args.runs,
        "write_s": first["seconds"],
        "write_cpu_s": first["cpu_seconds"],
        "write_peak_mb": first["peak_mb"],
        "write_again_s": again["seconds"],
        "write_again_cpu_s": again["cpu_seconds"],
        "page_mb": sum(f.stat().st_size for f in (folder / "page").rglob("*") if f.is_file()) / 1e6,
        "load_average": os.getloadavg()[0],
    }
    return found if args.no_browser else {**found, **in_browser(folder / "page" / "index.html")}


def write(runs: list[Path], out: Path) -> dict:
    from reports.page import write_page
    from reports.runs import load_run

    start, cpu = time.perf_counter(), time.process_time()
    write_page([load_run(r) for r in runs], out)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def in_browser(page: Path) -> dict:
    from reports.page.browser import Browser, find_browser

    program = find_browser()
    if program is None:
        raise SystemExit("No Chromium found; --no-browser measures the writing alone.")
    with Browser(program) as browser:
        loads = [load(browser, page) for _ in range(5)]
        filters = {label: latency(browser, id_, value) for label, id_, value in FILTERS if reset(browser)}
        reset(browser)
        scroll = scrolling(browser)
        opened = [opening(browser, i) for i in (0, 1500, 4000, 7777, 9999)]
        memory = browser.memory_mb()
        if browser.messages:
            raise SystemExit(f"The page reported: {browser.messages[:3]}")
    times = [wall for wall, _ in filters.values()]
    busy = [busy for _, busy in filters.values()]
    return {
        "load_ms": statistics.median(t for t, _ in loads),
        "load_worst_ms": max(t for t, _ in loads),
        "load_busy_ms": statistics.median(t for _, t in loads),
        "filter_busy_median_ms": statistics.median(busy),
        "filter_busy_worst_ms": max(busy),
        "filter_median_ms": statistics.median(times),
        "filter_worst_ms": max(times),
        "filters_ms": filters,
        "scroll_frame_median_ms": scroll[0],
        "scroll_frame_worst_ms": scroll[1],
        "open_median_ms": statistics.median(opened),
        "memory_mb": memory,
    }


PAINTED = "new Promise((f) => requestAnimationFrame(() => setTimeout(f)))"


def load(browser, page: Path) -> tuple[float, float]:
    """Milliseconds from the navigation to a painted list, and of the main thread's processor time."""
    browser.open(page, "#samples")
    browser.wait("document.documentElement.dataset.readyMs !== undefined")
    busy = browser.busy_ms()
    assert browser.eval("document.querySelectorAll('.row:not([hidden])').length") > 5
    return browser.eval("Number(document.documentElement.dataset.readyMs)"), busy


def reset(browser) -> bool:
    browser.eval(f"(document.getElementById('f-reset').click(), {PAINTED})")
    return True


REPEATS = 5


def latency(browser, id_: str, value: str) -> tuple[float, float]:
    """Milliseconds from the change to the painted list, median of 5, changed back in between; and the main thread's
    processor time of one change, back or forth."""
    code = f"""(async () => {{
      const node = document.getElementById({json.dumps(id_)}), times = [];
      for (let i = 0; i < {REPEATS}; i++) {{
        const start = performance.now();
        node.value = {json.dumps(value)};
        node.dispatchEvent(new Event("input", {{bubbles: true}}));
        await {PAINTED};
        times.push(performance.now() - start);
        node.value = "";
        node.dispatchEvent(new Event("input", {{bubbles: true}}));
        await {PAINTED};
      }}
      return times.sort((a, b) => a - b)[{REPEATS // 2}];
    }})()"""
    before = browser.busy_ms()
    wall = browser.eval(code)
    return wall, (browser.busy_ms() - before) / (2 * REPEATS)


def scrolling(browser) -> tuple[float, float]:
    """Median and worst milliseconds of a frame while the list scrolls by a few rows per frame, all over the list."""
    code = """(async () => {
      const list = document.getElementById("list"), times = [];
      let last = performance.now();
      for (let i = 0; i < 120; i++) {
        list.scrollTop = i % 10 ? list.scrollTop + 300 : (i / 120) * list.scrollHeight;
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        times.push(now - last);
        last = now;
      }
      times.sort((a, b) => a - b);
      return [times[60], times[119]];
    })()"""
    median, worst = browser.eval(code)
    return median, worst


def opening(browser, row: int) -> float:
    """Milliseconds from opening a sample to its painted details, its data file not loaded before."""
    code = f"""(async () => {{
      const start = performance.now();
      await UMM.openDetail(Math.min({row}, UMM.store.n - 1));
      await {PAINTED};
      return performance.now() - start;
    }})()"""
    return browser.eval(code)


def write_run(path: Path, n_samples: int, n_questions: int, *, skill: float, seed: int) -> None:
    """One run directory of `n_samples` samples, four per prompt."""
    rng = np.random.default_rng(seed)
    (path / "images").mkdir(parents=True)
    for i in range(min(N_IMAGES, n_samples)):
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC).save(path / "images" / f"{i}.png")
    words = WORDS.split()
    with (
        (path / "generations.jsonl").open("w") as generations,
        (path / "judgements.jsonl").open("w") as judgements,
        (path / "scores.jsonl").open("w") as scores,
        (path / "prompts.jsonl").open("w") as prompts,
    ):
        for i in range(n_samples):
            prompt = i // 4
            key = {"benchmark": "dpg", "prompt_id": f"dpg/{prompt:05d}", "gen_seed": 0, "index": i % 4, "round": 0}
            if i % 4 == 0:
                text = " ".join(np.random.default_rng(prompt).choice(words, 40))
                record = {"benchmark": "dpg", "id": key["prompt_id"], "text": text}
                _line(prompts, {**record, "category": CATEGORIES[prompt % len(CATEGORIES)], "source_images": []})
            thought = " ".join(rng.choice(words, 60))
            image = {"image": f"images/{i % N_IMAGES}.png", "image_sha256": f"{seed}-{i}", "text": thought}
            _line(generations, {"id": f"g{i}", "key": key, "seed": i, "params": {"think": True}, **image})
            values = np.clip(rng.normal(skill, 0.35, n_questions), 0.001, 0.999)
            for q, value in enumerate(values.tolist()):
                is_missing = q == 0 and i % 97 == 0
                _line(judgements, _judgement(key, i, q, n_questions, None if is_missing else value))
                score = None if is_missing else float(value > 0.3)
                _line(scores, {"key": key, "metric": f"question/{q}", "value": score, "reason": _reason(score)})
    _write_summary(path, n_samples)


def _reason(score: float | None) -> str:
    return "missing: the judge gave no answer" if score is None else ""


def _judgement(key: dict, i: int, q: int, n: int, value: float | None) -> dict:
    return {
        "id": f"{i:08x}{q:08x}",
        "key": key,
        "question_id": f"question/{q}",
        "judge": "bench-judge",
        "question": f"Is part {q} of the scene as the prompt says?",
        "tag": "attribute - color",
        "status": "ok" if value is not None else "unparsed",
        "value": value,
        "payload": {"p_yes": value} if value is not None else {},
        "raw": "Yes, it is, as far as can be told from the picture." if q == 0 else "",
        "error": "" if value is not None else "the reply holds no answer",
        "call_id": f"{i:016x}",
        "call_size": n,
        "repeat": 0,
        "attempts": 1,
        "tokens_in": 0,
        "tokens_out": 0,
        "seconds": 0.0,
        "cost_usd": 0.0,
    }


def _line(file, record: dict) -> None:
    file.write(json.dumps(record, separators=(",", ":")) + "\n")


def _write_summary(path: Path, n: int) -> None:
    value = {"value": 0.5, "ci_low": 0.45, "ci_high": 0.55, "n": n, "n_missing": n // 97, "method": "score interval"}
    block = {"judge": "bench-judge", "judge_prompt": "", "data": "bench", "title": "DPG-Bench", "headline": ["overall"]}
    counts = {"n_prompts": n // 4, "n_samples": n, "n_answers": n, "n_missing": n // 97}
    block = {**block, **counts, "details": [], "values": {"overall": value}}
    summary = {"run": str(path), "model": path.name, "profile": "micro", "protocol": "official", "complete": True}
    (path / "manifest.json").write_text("{}")
    (path / "summary.json").write_text(json.dumps({**summary, "benchmarks": {"dpg": block}}))


def shown(found: dict) -> str:
    lines = [
        f"{found['samples']:,} samples, {found['judgements']:,} judgements; load average {found['load_average']:.1f}",
        f"  write           {found['write_s']:8.1f} s (processor {found['write_cpu_s']:.1f} s), "
        f"again {found['write_again_s']:.1f} s ({found['write_again_cpu_s']:.1f} s), "
        f"peak {found['write_peak_mb']:,.0f} MB, page {found['page_mb']:.0f} MB",
    ]
    if "load_ms" in found:
        lines += [
            f"  load            {found['load_ms']:8.0f} ms (worst of 5: {found['load_worst_ms']:.0f}), "
            f"processor {found['load_busy_ms']:.0f} ms",
            f"  filter          {found['filter_median_ms']:8.0f} ms (worst: {found['filter_worst_ms']:.0f}), "
            f"processor {found['filter_busy_median_ms']:.0f} ms (worst: {found['filter_busy_worst_ms']:.0f})",
            *(f"    {label:<18}{a:6.0f} ms, {b:.0f} ms" for label, (a, b) in found["filters_ms"].items()),
            f"  a scrolled frame{found['scroll_frame_median_ms']:8.0f} ms (worst {found['scroll_frame_worst_ms']:.0f})",
            f"  open a sample   {found['open_median_ms']:8.0f} ms",
            f"  memory          {found['memory_mb']:8.0f} MB of JavaScript objects",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
