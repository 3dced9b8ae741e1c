"""The audit's figures as PNG and SVG: the reliability diagram; rewards on pairs, or correlations with people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.audit.pilot import SECTION as REWARDS
from harness.audit.table import Audit, Row
from harness.registry import resolve
from harness.stats import CalibrationBin

BLUE, ORANGE, GREY = "#2563a8", "#d97706", "#6b7280"


def draw(audit: Audit, out: Path) -> list[Path]:
    """Writes `reliability` and `audit`, each as .png and .svg, where there is something to draw.

    Panels of `audit` by what was measured: rewards on pairs, recorded judges against people, people among themselves.
    """
    files = _reliability(audit, out)
    panels = _panels(audit)
    if not panels:
        return files
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = 8.4 if "recorded answers" in audit.sections else 5.6 * len(panels)
    figure = Figure(figsize=(width, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for i, panel in enumerate(panels):
        panel(figure.add_subplot(1, len(panels), i + 1))
    figure.suptitle(f"Judge {audit.judge}", x=0.01, ha="left", fontsize=11)
    paths = [out / "audit.png", out / "audit.svg"]
    # No date and no random ids in the files: the same audit gives the same bytes.
    with rc_context({"svg.hashsalt": "audit"}):
        for path in paths:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return files + paths


def _reliability(audit: Audit, out: Path) -> list[Path]:
    """Share of questions where yes is right against mean P(yes), in bins of equal mass, with score intervals."""
    calibration = audit.sections.get("calibration")
    if calibration is None or not calibration.details.get("reliability"):
        return []
    bins = [CalibrationBin(**b) for b in calibration.details["reliability"]]
    found = {row.measure: row for row in calibration.rows}
    error, right = found["calibration error (RMS)"], found["right answers"]
    note = "Drawn scenes."
    if error.value is not None and error.low is not None and error.high is not None and right.value is not None:
        note += f" RMS error {error.value:.3f} [{error.low:.3f}, {error.high:.3f}]; right answers {right.value:.3f}."
    title = f"Judge {audit.judge}: calibration"
    draw = resolve("reports.plots:reliability_diagram")
    return list(draw(bins, out / "reliability", title=title, note=note, outcome="share where yes is right"))


def _panels(audit: Audit) -> list[Callable[[Any], None]]:
    panels: list[Callable[[Any], None]] = []
    pilot = audit.sections.get(REWARDS)
    if pilot is not None and any(r.value is not None for r in pilot.rows):
        panels.append(lambda axes: _rewards(axes, pilot.rows))
    recorded = audit.sections.get("recorded answers")
    if recorded is not None and recorded.details:
        panels.append(lambda axes: _recorded(axes, recorded.rows))
    people = audit.sections.get("people")
    if people is not None and people.rows:
        panels.append(lambda axes: _people(axes, people.rows))
    return panels


def _rewards(axes: Any, rows: Sequence[Row]) -> None:
    """Right rankings of pairs that differ in one fact, and ties, per reward."""
    values = {r.measure: r for r in rows if r.value is not None}
    names = [m.removesuffix(": right ranking") for m in values if m.endswith(": right ranking")]
    for i, name in enumerate(names):
        for shift, suffix, colour in ((-0.2, "right ranking", BLUE), (0.2, "ties", ORANGE)):
            row = values[f"{name}: {suffix}"]
            label = {"right ranking": "ranked rightly (ties 1/2)", "ties": "tied"}[suffix] if i == 0 else None
            _bar(axes, i + shift, row, colour, label)
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle="--")
    labels = [n.replace(":scoring=", "\n").replace("micro-", "micro-\n") for n in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8)
    axes.set(ylim=(0, 1.18), ylabel="share of pairs")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_title("Rewards on pairs that differ in one fact", loc="left", fontsize=10)
    axes.legend(loc="upper right", ncols=2, fontsize=8, frameon=False)


def _bar(axes: Any, x: float, row: Row, colour: str, label: str | None) -> None:
    value = row.value or 0.0
    axes.bar(x, value, 0.36, color=colour, label=label)
    if row.low is not None and row.high is not None:
        axes.errorbar(x, value, [[max(0.0, value - row.low)], [max(0.0, row.high - value)]], color="black", capsize=2)
    axes.text(x, (row.high if row.high is not None else value) + 0.015, f"{value:.2f}", ha="center", fontsize=7)


def _recorded(axes: Any, rows: Sequence[Row]) -> None:
    """Spearman's correlation with people per judge and task, SC, PQ and O."""
    prefix = "Spearman with people, "
    chosen = [r for r in rows if r.measure.startswith(prefix) and r.value is not None]
    places = list(dict.fromkeys(r.section for r in chosen))
    for k, column in enumerate(("SC", "PQ", "O")):
        for i, place in enumerate(places):
            row = next((r for r in chosen if r.section == place and r.measure == prefix + column), None)
            if row is not None:
                _bar(axes, i + 0.27 * (k - 1), row, (BLUE, ORANGE, GREY)[k], column if i == 0 else None)
    for patch in axes.patches:
        patch.set_width(0.25)
        patch.set_x(patch.get_x() + 0.055)
    axes.set_xticks(range(len(places)), [p.replace(" · ", "\n").replace("_0shot", "") for p in places], fontsize=8)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("Spearman's correlation with people")
    axes.set_title("Recorded answers against ratings", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _people(axes: Any, rows: Sequence[Row]) -> None:
    """Agreement of people about GenEval's images, per file."""
    wanted = {
        "pairs of people who agree": BLUE,
        "one person agrees with the other four": ORANGE,
        "Krippendorff's alpha of 5 people": GREY,
    }
    places = list(dict.fromkeys(r.section for r in rows))
    for k, (measure, colour) in enumerate(wanted.items()):
        for i, place in enumerate(places):
            row = next((r for r in rows if r.section == place and r.measure == measure), None)
            if row is not None and row.value is not None:
                _bar(axes, i + 0.27 * (k - 1), row, colour, measure if i == 0 else None)
    for patch in axes.patches:
        patch.set_width(0.25)
        patch.set_x(patch.get_x() + 0.055)
    axes.set_xticks(range(len(places)), [p.removeprefix("people · ") for p in places], fontsize=8)
    axes.set(ylim=(0, 1.3))
    axes.set_title("Agreement of people", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
