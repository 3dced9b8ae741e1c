"""The gate's answer as JUnit XML: one test case per benchmark, as GitHub, GitLab and Jenkins read it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from reports.check.decide import Check
from reports.check.rows import Row
from reports.check.tables import cells, explanation, verdict_line

SUITE = "ummbench.check"
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, even escaped."""


def junit_xml(check: Check) -> bytes:
    """The whole document.

    A regression is a failure. An incomplete benchmark is an error. An inconclusive one is an error, skipped or a
    failure, as `--inconclusive` is `report`, `pass` or `fail`, so that the report agrees with the exit code.
    """
    suite = ElementTree.Element("testsuite", name=_clean(f"{SUITE}: {', '.join(check.candidates)}"))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("baseline", "; ".join(check.baselines)), ("answer", verdict_line(check))):
        ElementTree.SubElement(properties, "property", name=name, value=_clean(value))
    for row in check.rows:
        case = _case(suite, f"{row.benchmark} {row.metric}")
        outcome = _outcome(row, check)
        if outcome:
            _child(case, outcome, row.verdict, f"{row.benchmark}: {' '.join(_message(row))}", _details(row))
        ElementTree.SubElement(case, "system-out").text = _clean(_details(row))
    return _document(suite)


def refusal_xml(message: str) -> bytes:
    """One test case with an error, for a comparison that was refused."""
    suite = ElementTree.Element("testsuite", name=SUITE)
    case = _case(suite, "comparison")
    _child(case, "error", "refused", message.splitlines()[0] if message else "refused", message)
    return _document(suite)


def _outcome(row: Row, check: Check) -> str:
    if row.verdict == "regression":
        return "failure"
    if row.verdict == "incomplete":
        return "error"
    if row.verdict == "inconclusive":
        return {"report": "error", "pass": "skipped", "fail": "failure"}[check.inconclusive]
    return ""


def _message(row: Row) -> list[str]:
    _, baseline, candidate, difference, interval, margin, verdict = cells(row)
    return [f"{verdict}, {baseline} -> {candidate} ({difference}, 90 % interval {interval}, margin {margin})"]


def _details(row: Row) -> str:
    lines = [*_message(row), *explanation(row)]
    lines += [f"lost: {x.id}: {x.baseline:g} -> {x.candidate:g} {x.text}".rstrip() for x in row.losses]
    return "\n".join(lines)


def _case(suite: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=SUITE, name=_clean(name), time="0")


def _child(case: ElementTree.Element, tag: str, kind: str, message: str, text: str) -> None:
    if tag == "skipped":  # has no type in the schemas
        ElementTree.SubElement(case, tag, message=_clean(message))
        return
    ElementTree.SubElement(case, tag, message=_clean(message), type=kind).text = _clean(text)


def _document(suite: ElementTree.Element) -> bytes:
    counts = {
        "tests": "testcase",
        "failures": "testcase/failure",
        "errors": "testcase/error",
        "skipped": "testcase/skipped",
    }
    numbers = {name: str(len(suite.findall(path))) for name, path in counts.items()}
    suite.attrib.update(numbers, time="0")
    root = ElementTree.Element("testsuites", {"name": SUITE, "time": "0", **numbers})
    del root.attrib["skipped"]  # unknown to the schemas at this level
    root.append(suite)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
