"""Seeds and prompts for the next experiment: against the planning functions, and by simulating that experiment."""

import json

import numpy as np
import pytest

from harness.cli.main import main
from harness.stats import Spread, plan_design, seeds_needed
from reports.groups import Condition, Design
from reports.runs import load_run
from reports.significance import analyse, what_would_show
from reports.significance.compare import compare_value
from tests.reports.significance_data import make_terms, write_run

N, W = 300, np.ones(1)
SPREAD = Spread(prompt=0.1, seed=0.02, cell=0.1, generation=0.0)


def arm(rng, prompt, n_seeds, shift=0.0, n=N):
    """Terms of one condition's seeds on shared prompts, scores without bounds."""
    scores = 0.5 + shift + prompt + rng.normal(0, SPREAD.seed, (n_seeds, 1)) + rng.normal(0, SPREAD.cell, (n_seeds, n))
    return [make_terms(row, np.zeros(n, int), W, hi=10.0) for row in scores]


def analysed(tmp_path, n_x, n_y, paired=False, n=N):
    rng = np.random.default_rng(3)
    effect = rng.normal(0, SPREAD.prompt / 2, n)
    conditions = []
    for name, count, sign in (("x", n_x, 1), ("y", n_y, -1)):
        runs = [
            load_run(write_run(tmp_path / f"{name}{i}", {"geneval": {"overall": t}}, model=f"{name}{i}"))
            for i, t in enumerate(arm(rng, sign * effect, count, n=n))
        ]
        conditions.append(Condition(name=name, runs=tuple(runs), seeds=tuple(range(count))))
    design = Design(title="", conditions=tuple(conditions), reference="y", seeds_paired=paired)
    return analyse(design)


def test_a_large_pilot_gives_the_number_of_its_true_spreads(tmp_path):
    found = what_would_show(analysed(tmp_path, 12, 12, n=2000), 0.0015)[0]
    assert found.effect == pytest.approx(0.015) and found.mde > found.effect
    expected = seeds_needed(0.015, SPREAD, n=2000, k=1)
    assert found.seeds == pytest.approx(expected, rel=0.4) and found.seeds > 12
    assert found.prompts is None and "more prompts never show it" in found.remark


def test_the_planned_experiment_finds_the_effect_in_four_of_five_cases(tmp_path):
    analysis = analysed(tmp_path, 10, 10)
    found = what_would_show(analysis, 0.002)[0]
    assert found.seeds is not None
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        prompt = rng.normal(0, SPREAD.prompt / 2, N)
        x, y = arm(rng, prompt, found.seeds, found.effect), arm(rng, -prompt, found.seeds)
        hits += compare_value(x, y).found.p < 0.05
    # The spreads are estimates of ten seeds: the true power of the plan is known from the true ones.
    plan = plan_design(SPREAD, n=N, n_seeds=found.seeds, k=1)
    assert 0.6 < hits / 200 < 0.95 and plan.mde() == pytest.approx(found.effect, rel=0.35)


def test_an_effect_that_was_large_enough_needs_nothing_more(tmp_path):
    found = what_would_show(analysed(tmp_path, 6, 6), 0.05)[0]
    assert (found.prompts, found.seeds, found.remark) == (N, 6, "enough as it is")


def test_two_checkpoints_are_planned_by_prompts_alone(tmp_path):
    analysis = analysed(tmp_path, 1, 1)
    found = what_would_show(analysis, 0.001)[0]
    mde = analysis.differences[0].mde_family
    assert found.seeds is None and found.prompts == int(np.ceil(N * (mde / 0.01) ** 2))
    assert "training seeds play no part" in found.remark


@pytest.mark.parametrize(("n_x", "n_y", "paired"), [(8, 1, False), (8, 8, True), (4, 12, False)])
def test_every_design_has_a_plan_that_agrees_with_its_own_smallest_effect(tmp_path, n_x, n_y, paired):
    analysis = analysed(tmp_path, n_x, n_y, paired)
    mde = analysis.differences[0].mde_family
    just_below = what_would_show(analysis, 0.999 * mde / 10)[0]
    now = 8 if n_x == 8 else 6  # harmonic mean of 4 and 12
    assert just_below.seeds == pytest.approx(now, abs=2)
    assert N / 2 < just_below.prompts < 2 * N  # degrees of freedom are planned ones, not those that came out


def test_pairs_whose_variance_is_all_in_the_cells_need_twice_the_seeds_or_prompts_to_halve_it(tmp_path, monkeypatch):
    """Where both conditions do alike on a prompt nothing is left of it in the difference, and the plan adds nothing."""
    monkeypatch.setattr("tests.reports.test_planning.SPREAD", Spread(prompt=0.0, seed=0.0, cell=0.1, generation=0.0))
    analysis = analysed(tmp_path, 10, 10, paired=True)
    d = analysis.differences[0]
    assert d.variances["prompts"] == pytest.approx(d.variances["cells"], rel=0.2)
    found = what_would_show(analysis, d.mde_family / np.sqrt(2) / 10)[0]
    assert found.seeds == pytest.approx(20, abs=3)
    assert 1.7 * N < found.prompts < 2.6 * N


def test_three_seeds_are_planned_with_the_effect_that_they_show(tmp_path):
    """The smallest effect of three seeds is raised by a tenth; so are the prompts that show a smaller one."""
    analysis = analysed(tmp_path, 3, 3)
    d = analysis.differences[0]
    found = what_would_show(analysis, 0.97 * d.mde_family / 10)[0]
    assert found.prompts is None or found.prompts > N


def test_from_the_command_line(tmp_path, capsys):
    analysed(tmp_path, 3, 3)
    groups = [f"{c}={','.join(str(tmp_path / f'{c}{i}') for i in range(3))}" for c in "xy"]
    arguments = ["report", "--group", groups[0], "--group", groups[1], "--detect", "0.001", "--no-page", "--no-plots"]
    for extra in (["--json"], []):
        with pytest.raises(SystemExit) as leaving:
            main([*arguments, "-o", str(tmp_path / "out"), *extra])
        assert leaving.value.code == 0
        out = capsys.readouterr().out
        if extra:
            assert json.loads(out)["needed"][0]["effect"] == pytest.approx(0.01)
    assert "Seeds or prompts that would show the effect" in out
    assert "Seeds or prompts" in (tmp_path / "out" / "report.md").read_text()
    with pytest.raises(SystemExit) as leaving:
        main([*arguments[:-3], "1.5"])
    assert leaving.value.code == 2 and "--detect" in capsys.readouterr().err
