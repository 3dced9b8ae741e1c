"""The files that `eval` writes for people: `summary.md` and one contact sheet per benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from harness import images
from harness.errors import DataError
from harness.evaluate import Result
from harness.store import RunDirectory
from harness.types import Generation, Prompt, Score
from reports.contact_sheet import Tile, draw
from reports.markdown import summary_markdown

N_TILES = 24
"""Samples on a sheet, spread evenly over the benchmark."""


def write(result: Result) -> list[str]:
    """Writes the files into the finished run; returns their names relative to it."""
    run = RunDirectory(result.path)
    names = ["summary.md"]
    run.write_file("summary.md", summary_markdown(result.summary).encode())
    for name, benchmark in result.benchmarks.items():
        sheet = f"report/contact-{name}.png"
        run.write_file(sheet, _sheet(run, benchmark, result))
        names.append(sheet)
    return names


def _sheet(run: RunDirectory, benchmark: Any, result: Result) -> bytes:
    prompts = {p.id: p for p in result.prompts[benchmark.name]}
    generations = list(result.generations[benchmark.name].values())
    chosen = spread(generations, N_TILES)
    scores: dict[Any, list[Score]] = {g.key: [] for g in chosen}
    for score in result.scores[benchmark.name]:
        if score.key in scores:
            scores[score.key].append(score)
    is_graded = any(s.value not in (None, 0.0, 1.0) for s in result.scores[benchmark.name])
    tiles = [_tile(run, benchmark, prompts[g.key.prompt_id], g, scores[g.key], is_graded) for g in chosen]
    head = f"{benchmark.title}, {result.summary['model']}: {len(tiles)} of {len(generations):,} samples"
    return draw(head, tiles)


def spread(items: Sequence[Any], n: int) -> list[Any]:
    """`n` items at even distances, or all."""
    return list(items) if len(items) <= n else [items[i * len(items) // n] for i in range(n)]


def _tile(
    run: RunDirectory,
    benchmark: Any,
    prompt: Prompt,
    generation: Generation,
    scores: Sequence[Score],
    is_graded: bool,
) -> Tile:
    pictures: list[Image.Image] = []
    if generation.status == "ok":
        try:
            pictures = [benchmark.source_image(prompt, s).load() for s in prompt.source_images]
            pictures.append(images.load(run.image_path(generation)))
        except DataError:
            pictures = []
    verdict, is_right = verdict_text(generation, scores, is_graded=is_graded)
    title = f"{prompt.category or prompt.id} · seed {generation.key.gen_seed}, sample {generation.key.index}"
    return Tile(
        images=pictures, title=title, prompt=prompt.text, text=generation.text, verdict=verdict, is_right=is_right
    )


def verdict_text(
    generation: Generation, scores: Sequence[Score], *, is_graded: bool = False
) -> tuple[str, bool | None]:
    """A sample's scores in words, and whether all of them are right (None: nothing was scored, or on a scale)."""
    if generation.status != "ok":
        return f"no image ({generation.status}): {generation.error}", None
    known = [s for s in scores if s.value is not None]
    if not known:
        reasons = sorted({s.reason for s in scores})
        return f"missing: {'; '.join(reasons) or 'not judged'}", None
    missing = f", {len(scores) - len(known)} missing" if len(known) < len(scores) else ""
    if not is_graded:
        n_right = sum(s.value == 1.0 for s in known)
        wrong = "; ".join(" ".join((s.reason or s.metric).split()) for s in known if s.value == 0.0)
        words = ("correct" if n_right else "wrong") if len(known) == 1 else f"{n_right} of {len(known)} right"
        return f"{words}{missing}{': ' + wrong if wrong else ''}", n_right == len(known)
    return ", ".join(f"{s.metric} {s.value:.2f}" for s in known) + missing, None
