"""`run.py audit` as a user meets it."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from harness.cli.audit_command import command
from harness.errors import ConfigError

SMALL = ["-n", "12", "--repeats", "2"]


def invoke(*arguments):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    out = tmp_path_factory.mktemp("audit")
    result = invoke("micro:flip=0.1", *SMALL, "-o", str(out), "--json")
    assert result.exception is None
    return json.loads(result.stdout), out


def test_json_is_one_object_with_rows_details_and_reasons(noisy):
    found, out = noisy
    assert found["judge"] == "micro:flip=0.1" and found["complete"]
    assert {"value", "low", "high", "n", "n_missing", "section", "measure", "note"} == set(found["rows"][0])
    assert {"people", "false reassurance"} == set(found["skipped"])
    assert json.loads((out / "audit.json").read_text()) == found


def test_a_noisy_judge_is_worse_than_the_exact_one(noisy):
    exact = json.loads(invoke("micro", *SMALL, "--only", "calibration", "--json").stdout)
    rows = [{r["measure"]: r["value"] for r in f["rows"]} for f in (exact, noisy[0])]
    assert rows[0]["right answers"] > rows[1]["right answers"] + 0.03


def test_the_figure_is_written_as_picture_and_drawing(noisy):
    out = noisy[1]
    for name in ("audit", "reliability"):
        with Image.open(out / f"{name}.png") as image:
            assert image.width > 500 and len(set(image.convert("L").resize((60, 30)).tobytes())) > 5
        assert "<svg" in (out / f"{name}.svg").read_text()[:500]


def test_the_same_audit_draws_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        assert invoke("micro", "-n", "8", "--only", "calibration", "-o", str(tmp_path / name)).exception is None
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["audit.json", "reliability.png", "reliability.svg"]
    for file in ("audit.json", "reliability.png", "reliability.svg"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_table_names_every_part(noisy):
    text = invoke("micro", "-n", "4", "--only", "noise,bias").stdout
    assert "noise floor" in text and "yes on a blank picture" in text
    assert "calibration error" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mcro"], "Did you mean 'micro'"),
        (["micro:flip=2"], "flip"),
        (["micro", "--only", "nosie"], "Did you mean 'noise'"),
        (["micro", "-r", "dvreward:scorng=binary"], "scorng"),
        (["recorded:viescore"], "--source DIR is missing"),
        (["micro", "--source", "."], "only with recorded"),
    ],
)
def test_mistakes_are_explained(arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_a_missing_prompt_count_is_a_usage_error():
    assert "is not in the range" in str(invoke("micro", "-n", "1").exception)
