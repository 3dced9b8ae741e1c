"""Runs written by hand: records without a model, a judge or a benchmark's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reports.runs import Run, load_run

HOSTILE = '</script><img src=x onerror="window.hurt = 1"><script>window.hurt = 1</script>\u2028 & "quoted"'


def key(benchmark: str, prompt_id: str, index: int = 0, round_: int = 0) -> dict[str, Any]:
    return {"benchmark": benchmark, "prompt_id": prompt_id, "gen_seed": 0, "index": index, "round": round_}


def block(title: str, headline: list[str], *, judge: str = "judge-1", n: int = 4) -> dict[str, Any]:
    value = {"value": 0.5, "ci_low": 0.2, "ci_high": 0.8, "n": n, "n_missing": 1, "method": "score interval"}
    return {
        "judge": judge,
        "judge_prompt": "",
        "data": "data@1",
        "title": title,
        "headline": headline,
        "details": ["question/"],
        "n_prompts": n,
        "n_samples": n,
        "n_answers": n,
        "n_missing": 1,
        "missing_reasons": {"missing: judge timed out": 1},
        "values": dict.fromkeys(headline, value),
    }


class MadeRun:
    """Collects records and writes them as a run directory."""

    def __init__(self, path: Path, blocks: dict[str, dict[str, Any]]) -> None:
        self.path = path
        self.blocks = blocks
        self.files: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("generations", "judgements", "scores", "prompts")
        }

    def prompt(self, benchmark: str, id_: str, text: str, category: str = "", sources: tuple[str, ...] = ()) -> None:
        self.files["prompts"].append(
            {"benchmark": benchmark, "id": id_, "text": text, "category": category, "source_images": sources}
        )

    def image(self, k: dict[str, Any], id_: str, *, size: int = 48, colour: int = 120, **fields: Any) -> None:
        file = f"images/{k['prompt_id']}/{k['gen_seed']}-{k['index']}-{id_}.png"
        if fields.get("status", "ok") == "ok":
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(colour).integers(0, 40, (size, size, 3), dtype=np.uint8)
            Image.fromarray(noise + np.uint8(colour)).save(self.path / file)
            fields = {"image": file, "image_sha256": f"{id_}-{colour}", **fields}
        self.files["generations"].append({"id": id_, "key": k, "seed": 1, "policy": "p", "params": {}, **fields})

    def answer(self, k: dict[str, Any], question_id: str, value: float | None, **fields: Any) -> None:
        n = len(self.files["judgements"])
        record = {"id": f"j{n}", "key": k, "question_id": question_id, "judge": "judge-1", "value": value}
        self.files["judgements"].append({**record, "call_id": f"c{n}", "call_size": 1, **fields})

    def score(self, k: dict[str, Any], metric: str, value: float | None, reason: str = "") -> None:
        self.files["scores"].append({"key": k, "metric": metric, "value": value, "reason": reason})

    def write(self, name: str) -> Run:
        self.path.mkdir(parents=True, exist_ok=True)
        for file, records in self.files.items():
            text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
            (self.path / f"{file}.jsonl").write_text(text)
        summary = {
            "run": str(self.path),
            "model": name,
            "profile": "micro",
            "protocol": "official",
            "complete": True,
            "benchmarks": self.blocks,
        }
        (self.path / "summary.json").write_text(json.dumps(summary))
        (self.path / "manifest.json").write_text(json.dumps({"created": 1.7e9, "data": {}}))
        return load_run(self.path, name)


def small_run(path: Path, name: str, *, is_better: bool) -> Run:
    """Three benchmarks: verdicts with several questions (quiz), a scale (scale), refinements (refined)."""
    made = MadeRun(
        path,
        {
            "quiz": block("Quiz", ["overall"]),
            "scale": block("Scale", ["overall/SC", "overall/O"]),
            "refined": block("Refined", ["overall"]),
        },
    )
    _quiz(made, is_better)
    _scale(made, is_better)
    _refined(made)
    return made.write(name)


def _quiz(made: MadeRun, is_better: bool) -> None:
    texts = ["a red cat", "a blue dog", HOSTILE, "a green bird"]
    for i, text in enumerate(texts):
        made.prompt("quiz", f"quiz/{i}", text, "animals" if i < 2 else "strange")
        k = key("quiz", f"quiz/{i}")
        if i == 3:
            made.image(k, f"q{i}", status="refused", error="the policy refused this prompt")
            made.score(k, "question/0", None, "no image (refused)")
            continue
        made.image(k, f"q{i}", colour=60 + 40 * i, text=HOSTILE if i == 2 else f"thoughts about number {i}")
        right = is_better or i == 0
        made.answer(
            k, "question/0", 0.9 if right else 0.2, question="Is it the animal?", raw=HOSTILE, payload={"p_yes": 0.9}
        )
        made.score(k, "question/0", float(right), "" if right else "wrong animal")
        if i == 1:
            made.answer(k, "question/1", None, question="Is it coloured?", status="unparsed", error="no answer found")
            made.score(k, "question/1", None, "missing: judge gave no answer")
        else:
            made.answer(k, "question/1", 0.75, question="Is it coloured?", tag=HOSTILE)
            made.score(k, "question/1", 1.0)


def _scale(made: MadeRun, is_better: bool) -> None:
    for i in range(8):
        k = key("scale", f"scale/{i}")
        made.prompt("scale", f"scale/{i}", f"edit number {i}", "edits", sources=("source",))
        made.image(k, f"s{i}", colour=30 + 20 * i, size=200)
        value = float(min(10, i + (2 if is_better else 0)))
        detections: dict[str, Any] = {"detections": {"cat": [[10, 20, 60, 80, 0.9]]}} if i < 2 else {}
        if i == 0:
            detections["detections"]["long"] = [[0.0] * 5] * 900
        made.answer(k, "sc", value, question="semantic consistency", payload=detections)
        made.score(k, "sc", value)
        made.score(k, "o", value)


def _refined(made: MadeRun) -> None:
    made.prompt("refined", "refined/0", "a cube", "things")
    k = key("refined", "refined/0")
    made.image(k, "first", colour=90, text="first thought")
    made.answer(k, "correct", 0.1, question="Is there a cube?")
    made.score(k, "correct", 0.0, "no cube")
    made.image(
        key("refined", "refined/0", round_=1), "second", colour=180, parent="first", gate="refine", text="I see no cube"
    )
    made.answer(key("refined", "refined/0", round_=1), "correct", 0.95, question="Is there a cube?")
