"""Generated tables and answers: the package against the literal implementation, with equality up to rounding."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.dpg.graph import nodes_of
from benchmarks.dpg.lock import shipped_lock
from benchmarks.dpg.scoring import grids_of
from benchmarks.dpg.summaries import CATEGORIES, Setup, summarise
from benchmarks.dpg.table import read_table
from harness.types import Prompt, SampleKey, Score

from . import literal
from .synthetic import csv_bytes, row

LABELS = [f"{c} (thing, {i})" for i, c in enumerate((*CATEGORIES, "entity - odd"))]
COUNTER = itertools.count()
FOLDER = tempfile.TemporaryDirectory(prefix="dpg-properties-")
MANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}
FIXED = {**MANY, "derandomize": True}


@st.composite
def wild_tables(draw):
    """Rows with repeated numbers, split blocks, unknown and own parents, cycles, any order; question 1 comes first."""
    items = draw(st.lists(st.sampled_from(["a", "b", "c", "10"]), min_size=1, max_size=5))
    rows = []
    for item in items:
        for _ in range(draw(st.integers(1, 4))):
            parents = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
            text = draw(st.sampled_from([",", ", ", " ,"])).join(map(str, parents))
            rows.append(row(item, draw(st.integers(1, 4)), text, draw(st.sampled_from(LABELS))))
    rows[0]["proposition_id"] = "1"
    return rows, _answers(draw, {r["item_id"] for r in rows}, 4)


@st.composite
def proper_tables(draw):
    """Rows of acyclic graphs, in any order within a prompt."""
    rows = []
    for item in ["a", "b", "10"][: draw(st.integers(1, 3))]:
        numbers = draw(st.permutations(range(1, draw(st.integers(1, 5)) + 1)))
        block = []
        for i, number in enumerate(numbers):
            parents = draw(st.lists(st.sampled_from([0, *numbers[:i]]), min_size=1, max_size=3))
            block.append(row(item, number, ",".join(map(str, parents)), draw(st.sampled_from(LABELS))))
        rows += draw(st.permutations(block))
    return rows, _answers(draw, {r["item_id"] for r in rows}, 5)


def _answers(draw, items, most):
    pic_num = draw(st.integers(1, 4))
    bits = st.lists(st.integers(0, 1), min_size=most, max_size=most)
    return {i: [dict(enumerate(draw(bits), start=1)) for _ in range(pic_num)] for i in sorted(items)}


def run(rows, answers, protocol):
    """Outcomes by item, and the table, as the package computes them from the file and from scores."""
    path = Path(FOLDER.name) / f"{next(COUNTER)}.csv"
    path.write_bytes(csv_bytes(rows))
    table = read_table(path, protocol, shipped_lock())
    path.unlink()
    prompts = {f"dpg/{i}": Prompt(id=f"dpg/{i}", text="", meta={"questions": q}) for i, q in table.questions.items()}
    nodes = {p.id: nodes_of(p.meta["questions"], p.id) for p in prompts.values()}
    scores = [
        Score(
            key=SampleKey(benchmark="dpg", prompt_id=id_, index=i),
            metric=f"question/{n.number}",
            value=float(crop[n.number]),
        )
        for id_, own in nodes.items()
        for i, crop in enumerate(answers[id_.removeprefix("dpg/")])
        for n in own
    ]
    return grids_of(prompts, nodes, scores, protocol)


def pool(pairs):
    found = {}
    for category, value in pairs:
        found.setdefault(category, []).append(value)
    return found


def check_official(case):
    rows, answers = case
    total, per_prompt, categories, failed = literal.official(rows, answers)
    grids = {id_.removeprefix("dpg/"): own[0] for id_, own in run(rows, answers, "official").items()}
    assert {i: list(g.crops) for i, g in grids.items() if not g.failed} == per_prompt
    assert sorted(i for i, g in grids.items() if g.failed) == sorted(failed)
    found = pool(pair for g in grids.values() for pair in g.raw)
    assert {c: sorted(v) for c, v in found.items()} == {c: sorted(v) for c, v in categories.items()}
    means = [g.score for g in grids.values() if g.score is not None]
    if total is None:
        assert not means
    else:
        assert sum(means) / len(means) * 100 == pytest.approx(total, rel=1e-12)


def check_corrected(case):
    rows, answers = case
    total, raw, kept = literal.corrected(rows, answers)
    grids = [own[0] for own in run(rows, answers, "corrected").values()]
    assert 100 * sum(g.score for g in grids) / len(grids) == pytest.approx(total, rel=1e-12)
    for found, expected in (([p for g in grids for p in g.raw], raw), ([p for g in grids for p in g.filtered], kept)):
        assert {c: sorted(v) for c, v in pool(found).items()} == {c: sorted(v) for c, v in expected.items()}


@settings(max_examples=1000, **FIXED)
@given(wild_tables())
def test_official_outcomes_equal_the_literal_ones_on_any_table(case):
    check_official(case)


@settings(max_examples=1000, **FIXED)
@given(proper_tables())
def test_corrected_outcomes_equal_the_literal_ones_on_proper_tables(case):
    check_corrected(case)


@pytest.mark.slow
@settings(max_examples=20_000, **MANY)
@given(wild_tables())
def test_official_outcomes_equal_the_literal_ones_on_many_tables(case):
    check_official(case)


@pytest.mark.slow
@settings(max_examples=20_000, **MANY)
@given(proper_tables())
def test_corrected_outcomes_equal_the_literal_ones_on_many_tables(case):
    check_corrected(case)


@settings(max_examples=60, **FIXED)
@given(wild_tables())
def test_the_official_table_holds_total_and_categories(case):
    rows, answers = case
    total, _, categories, _ = literal.official(rows, answers)
    setup = Setup(n_expected=len(answers), pic_num=4, resolution=None)
    found = {s.metric: s.value for s in summarise(run(rows, answers, "official"), "official", setup)}
    assert found.pop("overall") == (None if total is None else pytest.approx(total, rel=1e-12))
    expected = {f"{level}/{c}": v for level in ("L1", "L2") for c, v in literal.pooled(categories, level).items()}
    assert found == pytest.approx(expected, rel=1e-12)


@settings(max_examples=60, **FIXED)
@given(proper_tables())
def test_the_corrected_table_holds_filtered_and_raw_categories(case):
    rows, answers = case
    total, raw, kept = literal.corrected(rows, answers)
    setup = Setup(n_expected=len(answers), pic_num=4, resolution=None)
    found = {s.metric: s.value for s in summarise(run(rows, answers, "corrected"), "corrected", setup)}
    expected = {"overall": total}
    for prefix, categories in (("", kept), ("raw/", raw)):
        for level in ("L1", "L2"):
            expected |= {f"{prefix}{level}/{c}": v for c, v in literal.pooled(categories, level).items()}
    assert found == pytest.approx(expected, rel=1e-12)
