"""How long `report` takes and how much memory it needs on runs of a million judgements.

    python bench/report.py [--judgements 1000000] [--seeds 10] [--only analysis,report,page,pair] [-o FILE]

- `analysis`: the two-level analysis of 5 benchmarks x 10 training seeds x 1,000 prompts, two conditions, from arrays
- `report`: the command on one synthetic run directory (5 benchmarks, records of realistic size), tables and figures
- `page`: the same with the page of every sample
- `pair`: two such runs compared, without the page

Every part runs in a process of its own; wall seconds, processor seconds and peak memory are of that process.
"""

import argparse
import dataclasses
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SHAPES = {  # prompts, images per prompt, questions per image, categories of the headline
    "geneval": (553, 4, 1, 6),
    "tiif": (554, 1, 5, 36),
    "dpg": (1065, 4, 10, 1),
    "wise": (1000, 1, 1, 6),
    "gedit": (606, 1, 2, 11),
}
RAW = "The image shows the requested objects, and their relation is drawn as the prompt says: the answer is yes."


def _terms(name: str, rng: np.random.Generator, prompts: int, skill: float) -> Any:
    from harness.terms import Terms

    _, images, questions, n_categories = SHAPES[name]
    size = images * questions
    ease = np.random.default_rng(prompts).normal(0, 0.15, prompts)
    p = np.clip(skill + ease + rng.normal(0, 0.05, prompts), 0.02, 0.98)
    return Terms(
        prompts=tuple(f"{name}/{i:05d}" for i in range(prompts)),
        num=rng.binomial(size, p).astype(float),
        den=np.full(prompts, float(size)),
        planned=np.full(prompts, float(size)),
        cat=np.arange(prompts) % n_categories,
        categories=tuple(f"category-{g}" for g in range(n_categories)),
        weights=np.full(n_categories, 1 / n_categories),
        step=1 / size,
    )


def _part(terms: Any, category: int) -> Any:
    """The value of one category."""
    rows = np.flatnonzero(terms.cat == category)
    return dataclasses.replace(
        terms,
        prompts=tuple(terms.prompts[i] for i in rows),
        num=terms.num[rows],
        den=terms.den[rows],
        planned=terms.planned[rows],
        cat=np.zeros(len(rows), np.intp),
        categories=(terms.categories[category],),
        weights=np.ones(1),
    )


def analysis(seeds: int, **_: Any) -> dict[str, Any]:
    """Seconds of the analysis by design; `first` holds what is loaded and listed on first use."""
    from reports.significance import compare_conditions

    def arm(first: int, skill: float) -> list[dict[str, Any]]:
        return [
            {n: _terms(n, np.random.default_rng([first, s]), 1000, skill + 0.01 * s) for n in SHAPES}
            for s in range(seeds)
        ]

    x, y = arm(0, 0.6), arm(1, 0.58)
    found: dict[str, Any] = {}
    for name, other, paired in (
        ("first", y, False),
        ("independent", y, False),
        ("paired", y, True),
        ("base", y[:1], False),
    ):
        started, used = time.perf_counter(), time.process_time()
        compare_conditions(x, other, seeds_paired=paired)
        found[name] = {
            "wall_s": round(time.perf_counter() - started, 3),
            "processor_s": round(time.process_time() - used, 3),
        }
    return found


def make_run(folder: Path, judgements: int, skill: float, seed: int) -> dict[str, Any]:
    """A run directory as `eval` leaves it, without the pictures: how many records of each kind it holds."""
    from harness.stats import influence_values
    from harness.terms import to_json

    rng = np.random.default_rng(seed)
    per_prompts = sum(p * k * q for p, k, q, _ in SHAPES.values())
    scale = judgements / per_prompts
    folder.mkdir(parents=True)
    counts = {"generations": 0, "judgements": 0, "scores": 0, "prompts": 0}
    blocks, stored = {}, {}
    files = {n: (folder / f"{n}.jsonl").open("w") for n in counts}
    for name, (prompts, images, questions, _) in SHAPES.items():
        n = max(2, round(prompts * scale))
        terms = _terms(name, rng, n, skill)
        metrics = {"overall": terms, **{f"task/{g}": _part(terms, g) for g in range(len(terms.categories))}}
        stored[name] = to_json(metrics)
        cells = {}
        for metric, t in metrics.items():
            value = float(influence_values(t.num, t.cat, t.weights, t.den).theta)
            cells[metric] = {"value": value, "ci_low": None, "ci_high": None, "n": n, "n_missing": 0, **t.interval()}
        blocks[name] = {
            "judge": "bench-judge", "judge_prompt": "", "data": f"{name}-bench", "title": name, "details": [],
            "headline": ["overall"], "n_prompts": n, "n_samples": n * images, "n_answers": n * images,
            "n_missing": 0, "values": cells,
        }  # fmt: skip
        _records(files, counts, name, n, images, questions, rng)
    for file in files.values():
        file.close()
    summary = {
        "run": str(folder), "model": folder.name, "profile": "official", "protocol": "official", "complete": True,
        "benchmarks": blocks,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "terms.json").write_text(json.dumps(stored))
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "run_id": folder.name}))
    return {**counts, "bytes": sum(f.stat().st_size for f in folder.iterdir())}


def _records(
    files: dict[str, Any], counts: dict[str, int], name: str, n: int, images: int, questions: int, rng: Any
) -> None:
    for i in range(n):
        prompt = f"{name}/{i:05d}"
        line = {"benchmark": name, "id": prompt, "text": f"a photo of {i} things, drawn with care",
                "category": f"c{i % 6}", "source_images": []}  # fmt: skip
        _write(files, counts, "prompts", line)
        for k in range(images):
            key = {"benchmark": name, "prompt_id": prompt, "gen_seed": 0, "index": k, "round": 0}
            generation = {
                "id": f"{i:08x}{k:08x}", "key": key, "seed": i * 7 + k, "policy": "bench", "status": "ok", "error": "",
                "params": {"num_inference_steps": 10}, "image": f"images/{prompt}/0-{k}.png", "image_sha256": "0" * 64,
                "text": "", "token_ids": [], "parent": "", "gate": "", "seconds": 0.1,
            }  # fmt: skip
            _write(files, counts, "generations", generation)
            answers = rng.random(questions).round(4).tolist()
            for q, p in enumerate(answers):
                judgement = {
                    "id": f"{name[:2]}{i:06x}{k:04x}{q:04x}", "key": key, "question_id": f"q{q}",
                    "judge": "bench-judge", "question": f"Is object {q} of the prompt there?",
                    "tag": f"c{i % 6}", "status": "ok", "value": p,
                    "payload": {"p_yes": p, "logprobs": {"yes": -0.1, "no": -2.3}}, "raw": RAW, "error": "",
                    "call_id": f"{i:08x}{k:04x}{q:04x}", "call_size": 1, "repeat": 0, "attempts": 1, "tokens_in": 800,
                    "tokens_out": 30, "seconds": 0.05, "cost_usd": 0.0,
                }  # fmt: skip
                _write(files, counts, "judgements", judgement)
            score = {"key": key, "metric": "correct", "value": float(np.mean(answers) > 0.5), "reason": ""}
            _write(files, counts, "scores", score)


def _write(files: dict[str, Any], counts: dict[str, int], name: str, line: dict[str, Any]) -> None:
    files[name].write(json.dumps(line, separators=(",", ":")) + "\n")
    counts[name] += 1


def command(folders: list[Path], out: Path, page: bool, **_: Any) -> dict[str, Any]:
    """Runs `report` in this process."""
    from harness.cli.main import main

    started = time.perf_counter()
    try:
        main(["report", *map(str, folders), "-o", str(out), "--page" if page else "--no-page", "--json"])
    except SystemExit as leaving:
        if leaving.code:
            raise RuntimeError(f"report ended with {leaving.code}") from None
    return {"command_s": round(time.perf_counter() - started, 2)}


def measured(part: Any, **options: Any) -> dict[str, Any]:
    """The part's own figures, with wall and processor seconds and peak memory of its process."""
    parent, child = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(child, part, options))
    started = time.perf_counter()
    process.start()
    child.close()
    try:
        figures: dict[str, Any] = parent.recv()
    except EOFError:
        figures = {"failed": "the process ended without an answer"}
    process.join()
    return {**figures, "wall_s": round(time.perf_counter() - started, 2)}


def _child(pipe: Any, part: Any, options: dict[str, Any]) -> None:
    import contextlib
    import os

    with contextlib.redirect_stdout(Path(os.devnull).open("w")):
        try:
            figures = part(**options)
        except Exception as error:
            figures = {"failed": f"{type(error).__name__}: {error}"}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures["processor_s"] = round(usage.ru_utime + usage.ru_stime, 2)
    figures["peak_gib"] = round(usage.ru_maxrss / 2**20, 3)
    pipe.send(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgements", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="analysis,report,page,pair")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    parts = options.only.split(",")
    found: dict[str, Any] = {}
    if "analysis" in parts:
        found["analysis"] = measured(analysis, seeds=options.seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if {"report", "page", "pair"} & set(parts):
            found["run"] = make_run(folder / "a", options.judgements, 0.6, 0)
        if "report" in parts:
            found["report"] = measured(command, folders=[folder / "a"], out=folder / "report", page=False)
        if "page" in parts:
            found["page"] = measured(command, folders=[folder / "a"], out=folder / "page", page=True)
        if "pair" in parts:
            make_run(folder / "b", options.judgements, 0.62, 1)
            found["pair"] = measured(command, folders=[folder / "a", folder / "b"], out=folder / "pair", page=False)
    text = json.dumps(found, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
