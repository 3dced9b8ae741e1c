"""Training reward against held-out score: whether a policy gets better or only better at its reward."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from reports.plots.style import (
    DASHES,
    FAINT,
    MARKERS,
    MUTED,
    OKABE_ITO,
    legend_grid,
    measured,
    new_figure,
    save,
    styled,
)
from reports.plots.trainlog import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_PANEL, _GAP, _MARGIN = 3.0, 0.75, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardPoint:
    """One evaluation inside a training run. None and NaN mean that there is no such number."""

    step: int
    reward: float | None
    """Mean training reward around the step."""
    held_out: float | None
    """Score on data and by a judge that the policy was not trained on."""
    seed: int = 0
    """Training seed; lines connect the points of one."""
    low: float | None = None
    """Lower limit of the held-out score's interval."""
    high: float | None = None
    """Upper limit."""


def training_points(
    paths: Sequence[Path], held_out: str, *, reward: str = "reward/mean", window: int = 10
) -> list[RewardPoint]:
    """The points of one arm's training directories (one per seed), at every step with a held-out score.

    Args:
        paths: directories of `run.py train` with `held_out.every` set.
        held_out: its metric, e.g. `held_out/geneval/overall`.
        reward: metric of the training reward.
        window: the reward is the mean over this many steps around the evaluation, half of them where training starts or
            ends.

    Raises:
        DataError: a directory without a readable log.
    """
    points = []
    for seed, path in enumerate(paths):
        log = read_log(path)
        steps, rewards = log.series(reward)
        for step, score in zip(*log.series(held_out), strict=True):
            near = rewards[(steps > step - window / 2) & (steps <= step + window / 2)]
            low, high = _interval(path / "held_out" / f"step-{step:06d}" / "summary.json", held_out)
            mean = float(near.mean()) if len(near) else None
            points.append(
                RewardPoint(step=int(step), reward=mean, held_out=float(score), seed=seed, low=low, high=high)
            )
    return points


def _interval(file: Path, metric: str) -> tuple[float | None, float | None]:
    """The stored evaluation's interval; none where its run directory was removed."""
    try:
        values = json.loads(file.read_bytes())["benchmarks"]
    except FileNotFoundError:
        return None, None
    _, benchmark, key = metric.split("/", 2)
    cell = values.get(benchmark, {}).get("values", {}).get(key, {})
    return cell.get("ci_low"), cell.get("ci_high")


def reward_against_held_out(
    points: Mapping[str, Sequence[RewardPoint]],
    out: Path,
    *,
    title: str = "",
    reward: str = "training reward",
    held_out: str = "held-out score",
    scale: Literal["none", "arm"] = "none",
) -> list[Path]:
    """Draws both over steps and, at the right, one against the other; returns the written paths.

    Thick lines are means over an arm's seeds at the steps that all of them have, thin lines single seeds. A path that
    turns down while it goes right is a reward being exploited.

    Args:
        points: by arm.
        out: see `style.save`.
        title: above the panels.
        reward: name of the reward's axis.
        held_out: name of the held-out score's axis.
        scale: `arm` for arms with different rewards, whose units do not compare: every arm's reward runs from 0 at its
            start to 1 at its highest mean.

    Raises:
        ValueError: no points, an infinite number, or two points of one arm with the same seed and step.
    """
    if not any(points.values()):
        raise ValueError("reward against held-out score without points: give at least one evaluation")
    for arm, row in points.items():
        if len({(p.seed, p.step) for p in row}) < len(row):
            raise ValueError(f"{arm}: two points have the same seed and step")
    with styled():
        if scale == "arm":
            points = {arm: _scaled(row) for arm, row in points.items()}
            reward += ", 0: start, 1: highest"
        return save(_draw(points, title, reward, held_out), out)


def _scaled(row: Sequence[RewardPoint]) -> list[RewardPoint]:
    """The points with rewards from 0 at the first step to 1 at the highest mean over seeds (all 0 without a rise)."""
    by_step: dict[int, list[float]] = {}
    for p in sorted(row, key=lambda p: p.step):
        if (value := measured(p.reward, f"step {p.step}")) is not None:
            by_step.setdefault(p.step, []).append(value)
    means = [float(np.mean(v)) for v in by_step.values()]
    if not means:
        return list(row)
    start, span = means[0], max(means) - means[0] or 1.0
    return [replace(p, reward=None if p.reward is None else (p.reward - start) / span) for p in row]


def _draw(points: Mapping[str, Sequence[RewardPoint]], title: str, reward: str, held_out: str) -> Figure:
    left, right = 0.62, 0.25
    width = left + 3 * _PANEL + 2 * _GAP + right
    figure = new_figure(width, 4)
    labels = [_label(arm, row) for arm, row in points.items()]
    columns, legend = legend_grid(figure, labels, width - 0.2)
    bottom, top = 0.62 + legend + 0.25, _MARGIN + 0.3 + (0.3 if title else 0.0)
    height = bottom + 2.6 + top
    figure.set_size_inches(width, height)
    panels = [
        figure.add_axes(((left + i * (_PANEL + _GAP)) / width, bottom / height, _PANEL / width, 2.6 / height))
        for i in range(3)
    ]
    names = (
        (reward, "optimiser step", ""),
        (held_out, "optimiser step", ""),
        ("one against the other", reward, held_out),
    )
    for axes, (name, x, y) in zip(panels, names, strict=True):
        axes.set(title=name, xlabel=x, ylabel=y)
        axes.grid(color=FAINT, linewidth=0.6)
        axes.margins(0.06)
    handles = [_arm(panels, row, i) for i, row in enumerate(points.values())]
    many = any(len({p.seed for p in row}) > 1 for row in points.values())
    said = ["Thick: mean over seeds; thin: single seeds."] if many else []
    single = [row for row in points.values() if len({p.seed for p in row}) == 1]
    if any(p.low is not None for row in single for p in row):
        said.append("Vertical lines: 95 % intervals over prompts.")
    said.append("At the right: means; arrows point forward in training, the open marker is its start.")
    figure.text(0.1 / width, 0.08 / height, " ".join(said), size=8, color=MUTED, va="bottom", gid="note")
    figure.legend(handles=handles, labels=labels, loc="lower left", ncols=columns, columnspacing=1.4, handlelength=2.6,
                  bbox_to_anchor=(0.02 / width, 0.2 / height), labelspacing=0.3)  # fmt: skip
    if title:
        figure.text(0.1 / width, 1 - _MARGIN / height, title, va="top", size=10.5, weight="bold")
    return figure


def _label(arm: str, row: Sequence[RewardPoint]) -> str:
    n = len({p.seed for p in row})
    return f"{arm} ({n} seed{'s' if n != 1 else ''})"


def _arm(panels: Sequence[Axes], row: Sequence[RewardPoint], index: int) -> Line2D:
    colour, marker, dash = OKABE_ITO[index % 8], MARKERS[index % 8], DASHES[index % 8]
    seeds = sorted({p.seed for p in row})
    tables = {s: {p.step: _pair(p) for p in row if p.seed == s} for s in seeds}
    if len(seeds) > 1:
        for table in tables.values():
            _curves(panels[:2], table, color=colour, linewidth=0.7, alpha=0.5, gid="one seed")
    else:
        for p in row:
            if (low := measured(p.low, "limit")) is not None and (high := measured(p.high, "limit")) is not None:
                panels[1].plot([p.step] * 2, [low, high], color=colour, linewidth=0.8, alpha=0.8, gid="interval")
    every = set.intersection(*(set(t) for t in tables.values())) if tables else set()
    mean = {s: tuple(np.mean([t[s] for t in tables.values()], axis=0)) for s in sorted(every)}
    _curves(panels, mean, color=colour, linewidth=1.8, linestyle=dash, marker=marker, markersize=4, gid="mean")
    path = [v for v in mean.values() if not any(map(math.isnan, v))]
    for (x0, y0), (x1, y1) in pairwise(path):
        tip, arrow = ((x0 + 1.5 * x1) / 2.5, (y0 + 1.5 * y1) / 2.5), "-|>,head_length=0.5,head_width=0.25"
        panels[2].annotate("", tip, (x0, y0), arrowprops={"arrowstyle": arrow, "color": colour, "linewidth": 0})
    if path:
        panels[2].plot(
            *path[0], marker=marker, markersize=7, color=colour, markerfacecolor="white", gid="start", zorder=4
        )
    return panels[0].plot([], [], color=colour, linewidth=1.8, linestyle=dash, marker=marker, markersize=4)[0]


def _pair(point: RewardPoint) -> tuple[float, float]:
    """Reward and score; NaN, which lines leave out, for no value."""
    pair = (measured(v, f"step {point.step}") for v in (point.reward, point.held_out))
    reward, score = (math.nan if v is None else v for v in pair)
    return reward, score


def _curves(panels: Sequence[Axes], table: Mapping[int, tuple[float, float]], **style: object) -> None:
    steps = sorted(table)
    rewards, scores = [table[s][0] for s in steps], [table[s][1] for s in steps]
    panels[0].plot(steps, rewards, **style)  # type: ignore[arg-type]
    panels[1].plot(steps, scores, **style)  # type: ignore[arg-type]
    if len(panels) > 2:
        panels[2].plot(rewards, scores, **{**style, "linestyle": "-"})  # type: ignore[arg-type]
