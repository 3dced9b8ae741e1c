"""What the gate writes: JUnit XML and Markdown, with hostile text in it."""

from xml.etree import ElementTree

import pytest

from reports.check.baseline import read_sides
from reports.check.decide import check
from reports.check.junit import junit_xml, refusal_xml
from reports.check.tables import markdown
from tests.reports.check.made import draw_pair, write_run

HOSTILE = '<script>alert("x")</script> ]]> & | `a` \x08\ufffe end'


def made(tmp_path, loss, n=400, **options):
    verdicts = draw_pair(n, 4, loss, 1)
    paths = [write_run(tmp_path / f, v, text=HOSTILE, model=HOSTILE) for f, v in zip("ab", verdicts, strict=True)]
    return check(read_sides(paths[1]), read_sides(paths[0]), **{"margin": 0.02, **options})


def test_a_regression_is_a_failure_and_forbidden_characters_are_replaced(tmp_path):
    root = ElementTree.fromstring(junit_xml(made(tmp_path, 0.2)))
    suite = root.find("testsuite")
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "1",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    failure = suite.find("testcase/failure")
    assert failure.get("type") == "regression" and "regression, 0." in failure.get("message")
    assert '<script>alert("x")</script> ]]> & | `a` \N{REPLACEMENT CHARACTER}' in failure.text
    assert suite.find("testcase").get("name") == "geneval overall"


@pytest.mark.parametrize(("choice", "tag"), [("report", "error"), ("pass", "skipped"), ("fail", "failure")])
def test_an_inconclusive_benchmark_is_what_the_exit_code_says(tmp_path, choice, tag):
    found = made(tmp_path, 0.0, n=60, margin=0.01, inconclusive=choice)
    case = ElementTree.fromstring(junit_xml(found)).find("testsuite/testcase")
    assert found.answer == "inconclusive" and "inconclusive" in case.find(tag).get("message")


def test_a_pass_has_no_failure(tmp_path):
    case = ElementTree.fromstring(junit_xml(made(tmp_path, 0.0, margin=0.2))).find("testsuite/testcase")
    assert [child.tag for child in case] == ["system-out"]


def test_a_refusal_is_an_error():
    root = ElementTree.fromstring(refusal_xml("no\nsuch run <&>"))
    assert root.find("testsuite/testcase/error").text == "no\nsuch run <&>" and root.get("errors") == "1"


def test_the_summary_has_a_table_the_advice_and_the_worst_prompts_as_text(tmp_path):
    text = markdown(made(tmp_path, 0.2))
    assert "**regression**" in text and "prompts that lost most" in text
    assert "<script>" not in text.replace("\\<script", "") and "\\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows if "geneval/" not in line} == {9, 5}


def test_an_inconclusive_summary_says_what_would_decide(tmp_path):
    text = markdown(made(tmp_path, 0.0, n=60, margin=0.01))
    assert "Prompts like these 60 that would decide" in text and "**inconclusive**" in text
