import dataclasses
import re

import pytest

from harness.errors import ConfigError
from reports.paper import paper_table, protocol_table
from reports.paper.micro import check_micro_names, micro_tables
from reports.paper.refinement import CONTROL
from reports.reference import reference
from reports.tables import FORMATS, Table, render
from tests.reports.paper.making import cell, make_micro, make_run, refinement_block, row_of

BAGEL = "bagel/geneval"


def lines(tables, row, quantity):
    """As mappings: lines of the first table for a model label and a quantity."""
    main = tables[0]
    found = [dict(zip(main.columns, r, strict=True)) for r in main.rows]
    return [r for r in found if r["model"] == row and r["quantity"] == quantity]


def line(tables, row, quantity):
    (one,) = lines(tables, row, quantity)
    return one


def named(tables, name):
    return next(t for t in tables if t.name == name)


def cells(table):
    return [dict(zip(table.columns, r, strict=True)) for r in table.rows]


@pytest.mark.parametrize("number", range(1, 6))
def test_without_runs_every_published_value_stands_and_ours_is_empty(number):
    tables = paper_table(number, [])
    main = cells(tables[0])
    ref = reference(f"table{number}")
    assert sorted(r["published"] for r in main if r["published"] is not None) == sorted(v.number for v in ref.values)
    for r in main:
        assert (r["ours"], r["95% interval"], r["n"], r["difference"]) == (None,) * 4
        assert r["published"] is None or r["source"] in {"S2", "B", "W"}
    assert all(c is None for r in tables[1].rows if r[1].startswith("ours") for c in r[2:])
    for table in tables:
        for suffix in FORMATS:
            assert render(table, suffix)


def test_a_run_with_the_rows_configuration_fills_it_by_itself():
    run = make_run(row_of(1, BAGEL), 0.84)
    found = line(paper_table(1, [run]), "BAGEL", "GenEval")
    assert found["ours"] == pytest.approx(84.0) and found["95% interval"] == "[82, 86]"
    assert found["difference"] == pytest.approx(-1.0)
    assert (found["mode"], found["n"], found["verdict"]) == ("plain", 553, "published inside our interval")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.82, "published outside our interval, ours lower"),
        (0.88, "published outside our interval, ours higher"),
        (0.8296, "published inside our interval"),  # 84.96: within the rounding of the printed 85.0
        (0.8294, "published outside our interval, ours lower"),
    ],
)
def test_the_verdict_says_where_the_printed_value_lies(value, verdict):
    found = line(paper_table(1, [make_run(row_of(1, BAGEL), value)]), "BAGEL", "GenEval")
    assert found["verdict"] == verdict


def test_no_verdict_ever_speaks_of_significance():
    runs = [make_run(row_of(1, k), v) for k, v in ((BAGEL, 0.5), ("bagel/tiif", 0.75), ("sd3-medium/geneval", 0.74))]
    for table in paper_table(1, runs):
        for text in (c for r in table.rows for c in r if isinstance(c, str)):
            assert "signific" not in text.lower()


def test_unstated_conditions_of_a_published_value_are_told():
    found = line(paper_table(1, [make_run(row_of(1, "sd3-medium/geneval"), 0.74)]), "SD3 Medium", "GenEval")
    assert found["verdict"] == (
        "published inside our interval (its judge, prompt set, protocol, resolution not stated)"
    )


def test_units_follow_the_published_column():
    tiif = make_run(row_of(1, "bagel/tiif"), 0.75)
    wise = make_run(row_of(1, "bagel/wise"), 0.5, path="runs/w")
    tables = paper_table(1, [tiif, wise])
    assert line(tables, "BAGEL", "TIIF short")["ours"] == pytest.approx(75.0)
    assert line(tables, "BAGEL", "WISE")["ours"] == pytest.approx(0.5)
    assert line(tables, "BAGEL", "WISE")["verdict"] == "no published value"
    gedit = make_run(row_of(2, "bagel/gedit"), 6.5, half=0.1)
    assert line(paper_table(2, [gedit]), "BAGEL", "G_O")["difference"] == pytest.approx(-0.02)


OTHER = [
    ({"judge": "openai:qwen@http://127.0.0.1:8000/v1"}, {}, {}, "other judge: qwen, the row says geneval-official"),
    ({}, {"protocol": "corrected"}, {}, "other protocol: corrected, the row says official"),
    ({"options.geneval.prompt_set": "short"}, {}, {}, "other prompt set: short, the row says long"),
    ({"options.geneval.threshold": 0.5}, {}, {}, "other option geneval.threshold: 0.5, the row says 0.3"),
    ({"generation.size_px": 1024}, {}, {}, "other resolution: 1024, the row says 512"),
    ({"generation.guidance_scale": 7.0}, {}, {}, "other generation setting guidance_scale: 7.0, the row says 4.0"),
    ({"generation.image_guidance_scale": 2.0}, {}, {}, "image_guidance_scale: 2.0, the row says the model's own"),
    ({"generation.extra": {}}, {}, {}, "other generation setting extra"),
    ({"limit": 12}, {}, {"n_prompts": 12}, "only 12 prompts: limit 12"),
    ({"samples_per_prompt": 1}, {}, {}, "other number of images per prompt: 1"),
]


@pytest.mark.parametrize(("config", "summary", "block", "verdict"), OTHER)
def test_a_run_named_after_a_row_is_shown_with_what_differs_and_no_difference(config, summary, block, verdict):
    run = make_run(row_of(1, BAGEL), 0.84, name="bagel", config=config, summary=summary, block=block)
    tables = paper_table(1, [run])
    found = line(tables, "BAGEL", "GenEval")
    assert found["ours"] == pytest.approx(84.0) and found["difference"] is None
    assert verdict in found["verdict"] and "published inside" not in found["verdict"]
    overview = [r for r in tables[1].rows if r[0] == "BAGEL" and r[1].startswith("ours")]
    assert all(c is None for r in overview for c in r[2:])


@pytest.mark.parametrize(("config", "summary", "block", "verdict"), OTHER)
def test_a_run_found_by_its_model_is_left_out_where_anything_differs_and_a_note_says_what(
    config, summary, block, verdict
):
    tables = paper_table(1, [make_run(row_of(1, BAGEL), 0.84, config=config, summary=summary, block=block)])
    assert line(tables, "BAGEL", "GenEval")["ours"] is None
    (note,) = [n for n in tables[0].notes if n.startswith("Run ") and f"row {BAGEL}:" in n]
    assert verdict in note


def test_another_wording_of_the_judge_is_another_judge():
    run = make_run(row_of(1, "bagel/tiif"), 0.75, name="bagel", block={"judge_prompt": "builtin"})
    found = line(paper_table(1, [run]), "BAGEL", "TIIF long")
    assert found["verdict"] == "other judge wording: builtin, the row says official"


def test_a_hosted_judge_is_known_by_its_model_whatever_its_address_and_settings():
    spec = "openai:gpt-4.1-2025-04-14@http://127.0.0.1:9/v1,concurrency=4"
    run = make_run(row_of(1, "bagel/tiif"), 0.75, config={"judge": spec})
    assert line(paper_table(1, [run]), "BAGEL", "TIIF short")["verdict"].startswith("published inside")


def test_a_run_without_manifest_is_never_called_comparable():
    run = make_run(row_of(1, BAGEL), 0.84, name="bagel")
    run = dataclasses.replace(run, manifest={})
    found = line(paper_table(1, [run]), "BAGEL", "GenEval")
    assert found["difference"] is None and "settings not recorded: no manifest" in found["verdict"]


def test_missing_answers_and_incomplete_runs_are_told():
    block = {"values": {"overall": cell(0.85, n=500, n_missing=53)}}
    run = make_run(row_of(1, BAGEL), 0.85, block=block, summary={"complete": False})
    found = line(paper_table(1, [run]), "BAGEL", "GenEval")
    assert (found["missing"], found["verdict"]) == (53, "published inside our interval (53 missing; incomplete run)")


def test_a_value_without_interval_gets_no_place():
    value = {"value": 0.85, "ci_low": None, "ci_high": None, "n": 553, "n_missing": 0}
    run = make_run(row_of(1, BAGEL), 0.85, block={"values": {"overall": value}})
    assert line(paper_table(1, [run]), "BAGEL", "GenEval")["verdict"] == "our value has no interval"


def test_assignment_by_key_and_by_row_fills_placeholders_and_wins_over_names():
    mine = make_run(row_of(1, "alphagrpo-rt2i/geneval"), 0.86, name="bagel", path="runs/mine")
    tables = paper_table(1, [], assign={"alphagrpo-rt2i": mine})
    assert line(tables, "AlphaGRPO (RT2I)", "GenEval")["ours"] == pytest.approx(86.0)
    assert line(tables, "AlphaGRPO (RT2I)", "TIIF long")["ours"] is None
    tables = paper_table(1, [], assign={"alphagrpo-rt2i/geneval": mine})
    assert line(tables, "AlphaGRPO (RT2I)", "GenEval")["ours"] == pytest.approx(86.0)


def test_thinking_and_plain_runs_stand_in_lines_of_their_own():
    plain = make_run(row_of(1, BAGEL), 0.84, path="runs/a")
    think = make_run(row_of(1, "bagel/geneval/think"), 0.86, path="runs/b")
    tables = paper_table(1, [plain, think])
    found = lines(tables, "BAGEL", "GenEval")
    assert [(r["mode"], r["ours"]) for r in found] == [("plain", pytest.approx(84)), ("thinking", pytest.approx(86))]
    overview = [r for r in tables[1].rows if r[0] == "BAGEL"]
    assert [r[1] for r in overview] == ["published", "ours, plain", "ours, thinking"]


def test_a_row_name_takes_the_mode_from_the_run():
    think = make_run(row_of(1, "bagel/geneval/think"), 0.86, name="bagel")
    assert line(paper_table(1, [think]), "BAGEL", "GenEval")["mode"] == "thinking"


def test_unknown_rows_absent_benchmarks_and_rival_runs_are_told():
    run = make_run(row_of(1, BAGEL), 0.84)
    with pytest.raises(ConfigError, match=r"Unknown row of table 1 'bagle'\. Did you mean 'bagel'"):
        paper_table(1, [], assign={"bagle": run})
    with pytest.raises(ConfigError, match="was given for row 'bagel/tiif' and holds no 'tiif'"):
        paper_table(1, [], assign={"bagel/tiif": run})
    other = make_run(row_of(1, BAGEL), 0.85, path="runs/y")
    with pytest.raises(ConfigError, match=r"Several runs fill row 'bagel/geneval': runs/x, runs/y\."):
        paper_table(1, [run, other])
    with pytest.raises(ConfigError, match="the paper's tables are"):
        paper_table(7, [])


# Micro numbers

MICRO = [
    make_micro("micro-viescore"),
    make_micro("a", profile="official", judge="micro-cnn-1", data="geneval@1"),
    make_micro("b", profile="official", judge="geneval-official", data="geneval-micro@1/2"),
]


@pytest.mark.parametrize("run", MICRO, ids=["profile", "judge", "data"])
@pytest.mark.parametrize(("number", "key"), [(1, "bagel"), (1, BAGEL), (3, "bagel-viescore"), (4, "binary")])
def test_a_micro_run_is_refused_when_it_is_assigned_to_a_row(run, number, key):
    with pytest.raises(ConfigError, match=rf"of the micro world and cannot stand in table {number}, row '{key}"):
        paper_table(number, [], assign={key: run})


@pytest.mark.parametrize("run", MICRO, ids=["profile", "judge", "data"])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_micro_run_never_enters_a_published_table_and_has_one_of_its_own(run, number):
    run = dataclasses.replace(run, summary={**run.summary, "model": row_of(1, BAGEL).model})
    tables = paper_table(number, [run])
    *published, micro = tables
    for table in published:
        assert 0.7917 not in [c for r in table.rows for c in r] and 79.17 not in [c for r in table.rows for c in r]
    assert (micro.name, micro.title) == ("micro-reward-ablation", "Micro reward ablation")
    assert cells(micro)[0]["value"] == 0.7917 and cells(micro)[0]["run"] == run.name


def test_a_micro_run_called_like_a_row_still_stays_outside():
    tables = paper_table(1, [make_micro("bagel")])
    assert line(tables, "BAGEL", "GenEval")["ours"] is None
    assert tables[-1].name == "micro-reward-ablation"


@pytest.mark.parametrize(
    "name", ["viescore", "VIEScore", "hpsv3", "HPSv3 run", "pickscore", "unifiedreward", "Table 3"]
)
def test_a_micro_run_cannot_carry_the_name_of_a_published_reward_or_table(name):
    with pytest.raises(ConfigError, match="names published numbers"):
        micro_tables([make_micro(name)])


@pytest.mark.parametrize("name", ["micro-viescore", "micro-hps", "dvreward", "binary", "micro-hpsv3", "tables"])
def test_micro_names_are_welcome(name):
    assert micro_tables([make_micro(name)])[0].rows[0][0] == name


def test_refinement_of_a_micro_run_has_its_gates_under_a_micro_title():
    run = make_micro("dvreward")
    run.block("geneval")["refinement"] = refinement_block()
    _, gates = micro_tables([run])
    assert (gates.name, gates.title) == (
        "micro-refinement-0-geneval-overall",
        "Micro refinement: dvreward, geneval, overall",
    )
    assert len(gates.rows) == 9 and {r[0] for r in gates.rows[1:]} == {"all", "self", "verifier", "oracle"}


@pytest.mark.parametrize("title", ["HPSv3", "Table 3", "VIEScore ablation", "table-3", "Reward ablation (Table 3)"])
def test_a_table_of_micro_numbers_cannot_have_a_published_title(title):
    with pytest.raises(ConfigError, match=re.escape(title)):
        check_micro_names(Table(name="x", title=title, columns=("a",), rows=((0.5,),)))


def test_official_runs_do_not_enter_the_micro_table():
    with pytest.raises(ConfigError, match="is not of the micro world"):
        micro_tables([make_run(row_of(1, BAGEL), 0.84)])
    assert micro_tables([]) == []


# Refinement

INFERENCE = "alphagrpo-srr-inference/geneval"
LABEL = "AlphaGRPO (SRR) + refinement at inference"


def refined(block):
    return make_run(row_of(1, INFERENCE), 0.80, name="alphagrpo-srr-inference", block={"refinement": block})


def test_refinement_stands_in_four_gates_each_with_its_control():
    tables = paper_table(1, [refined(refinement_block())])
    found = lines(tables, LABEL, "GenEval")
    expected = ["plain, first images"]
    for gate in ("all", "self", "verifier", "oracle"):
        expected += [f"plain, gate {gate}", f"plain, gate {gate}, {CONTROL}"]
    assert [r["mode"] for r in found] == expected
    assert all(r["ours"] is not None for r in found)
    published = {r["mode"]: r["published"] for r in found if r["published"] is not None}
    assert published == {"plain, gate oracle": 87.9}
    assert found[-2]["verdict"].startswith("upper bound, read it beside its control: published inside")
    assert found[-2]["difference"] == pytest.approx(86.0 - 87.9)
    gates = cells(named(tables, "table1-gates-alphagrpo-srr-inference-geneval-geneval"))
    assert [(r["gate"], r["arm"]) for r in gates[1:]] == [
        (g, a) for g in ("all", "self", "verifier", "oracle") for a in ("refined", CONTROL)
    ]
    assert all(r["minus control"] for r in gates[1:] if r["arm"] == "refined")


def test_the_overview_never_shows_a_refined_value_as_one_number():
    overview = paper_table(1, [refined(refinement_block())])[1]
    ours = [r for r in overview.rows if r[0] == LABEL and r[1].startswith("ours")]
    assert ours and all(c is None for r in ours for c in r[2:])


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (
            refinement_block(gates=("oracle",)),
            "all, control of all, self, control of self, verifier, control of verifier",
        ),
        (refinement_block(gates=("all", "verifier", "oracle")), "self, control of self"),
        (refinement_block(arms=("refine",)), "control of all, control of self, control of verifier, control of oracle"),
        (None, "all, control of all, self, control of self, verifier, control of verifier, oracle, control of oracle"),
    ],
)
def test_no_gate_is_shown_where_another_or_a_control_is_absent(block, why):
    tables = paper_table(1, [refined(block)])
    found = line(tables, LABEL, "GenEval")
    assert found["ours"] is None and f"not shown: {why} did not run" in found["verdict"]
    gates = named(tables, "table1-gates-alphagrpo-srr-inference-geneval-geneval")
    assert len(gates.rows) == 8 and all(c is None for r in gates.rows for c in r[2:])
    assert any(n.startswith("No number is shown") and "--gate all,self,verifier,oracle" in n for n in gates.notes)


# Protocols


def test_both_protocols_of_one_run_stand_side_by_side():
    row = row_of(1, BAGEL)
    a = make_run(row, 0.84, path="runs/a")
    b = make_run(row, 0.83, path="runs/b", config={"protocol": "corrected"})
    tables = paper_table(1, [a, b])
    (found,) = cells(named(tables, "table1-protocols-0"))
    assert (found["official"], found["corrected"]) == (0.84, 0.83)
    assert found["corrected minus official"] == pytest.approx(-0.01)
    assert line(tables, "BAGEL", "GenEval")["ours"] == pytest.approx(84.0)


def test_protocols_of_different_judgements_are_refused():
    row = row_of(1, BAGEL)
    a = make_run(row, 0.84)
    for changed in ({"block": {"judge": "another"}}, {"block": {"n_prompts": 12}}):
        b = make_run(row, 0.83, config={"protocol": "corrected"}, **changed)
        with pytest.raises(ConfigError, match="are not the same judgements"):
            protocol_table(a, b)
    with pytest.raises(ConfigError, match="Expected an official and a corrected run"):
        protocol_table(a, a)


# Notes


def test_inconsistencies_and_sources_stand_as_notes_under_their_table():
    notes = "\n".join(paper_table(1, [])[0].notes)
    assert all(f"({n}) " in notes for n in (1, 3, 4, 6, 7, 8)) and "S2 claims +5.8" in notes
    assert "W: Chinese summary post" in notes
    assert "S2 claims +0.52" in "\n".join(paper_table(2, [])[0].notes)
    assert "(5) " in "\n".join(paper_table(3, [])[0].notes)


def test_lines_name_the_inconsistencies_of_their_value():
    found = line(paper_table(1, []), "BAGEL", "TIIF pair A, second")
    assert found["see"] == "(1), (8)" and found["verdict"] == "no counterpart here: unidentified sub-score"
