"""What `eval` leaves for people: Markdown that stays text, and sheets that show every sample's state."""

import io

from PIL import Image

from harness.types import Generation, SampleKey, Score
from reports.contact_sheet import Tile, draw
from reports.markdown import summary_markdown
from reports.run_files import spread, verdict_text

KEY = SampleKey(benchmark="toy", prompt_id="toy/1")


def generation(**fields):
    return Generation(id="g", key=KEY, seed=1, policy="p", params={}, **fields)


def score(value, metric="q/0", reason=""):
    return Score(key=KEY, metric=metric, value=value, reason=reason)


def summary(**block):
    cell = {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 4, "n_missing": 1}
    base = {
        "title": "Toy",
        "judge": "j",
        "data": "d",
        "headline": ["overall"],
        "values": {"overall": cell, "task/a": cell},
    }
    block = {**base, **block}
    return {"model": "m", "profile": "micro", "protocol": "official", "complete": True, "benchmarks": {"toy": block}}


def test_markdown_holds_value_interval_n_and_missing():
    text = summary_markdown(summary())
    assert "| **overall** | 0.5000 | 0.250 – 0.750 | 4 | 1 |" in text
    assert "| task/a | 0.5000 |" in text and "judge `j`, data `d`" in text


def test_markdown_keeps_text_from_judges_literal():
    reason = "<script>alert(1)</script> | **bold** [link](http://x)\n# title"
    text = summary_markdown(summary(missing_reasons={reason: 3}, notes=[reason]))
    assert "<script>" not in text and "**bold**" not in text and "\n# title" not in text
    assert r"3 missing: \<script\>alert(1)" in text


def test_markdown_says_whose_wording_the_judge_got_and_that_a_run_is_incomplete():
    text = summary_markdown({**summary(judge_prompt="builtin"), "complete": False})
    assert "judge_prompt: builtin" in text and "**Incomplete**" in text


def test_verdicts_in_words():
    assert verdict_text(generation(), [score(1.0)]) == ("correct", True)
    assert verdict_text(generation(), [score(0.0, reason="expected\n2 circles")]) == (
        "wrong: expected 2 circles",
        False,
    )
    many = [score(1.0), score(0.0, "q/1"), score(None, "q/2", "refused")]
    assert verdict_text(generation(), many) == ("1 of 2 right, 1 missing: q/1", False)
    assert verdict_text(generation(), [score(7.5, "sc"), score(0.0, "o")], is_graded=True) == ("sc 7.50, o 0.00", None)
    assert verdict_text(generation(), [score(None, reason="not judged")]) == ("missing: not judged", None)
    assert verdict_text(generation(status="error", error="no paint"), []) == ("no image (error): no paint", None)


def test_spread_keeps_both_kinds_of_samples():
    assert spread(range(10), 20) == list(range(10))
    assert spread(range(100), 4) == [0, 25, 50, 75]


def test_sheets_hold_one_tile_per_sample_and_survive_odd_ones():
    red, wide = Image.new("RGB", (48, 48), "red"), Image.new("L", (300, 20), 128)
    tiles = [
        Tile(images=[red], title="a", prompt="a red square", text="plan", verdict="correct", is_right=True),
        Tile(images=[wide, red], title="b", prompt="x" * 500, text="", verdict="wrong", is_right=False),
        Tile(images=[], title="c", prompt="日本語 <b>", text="", verdict="missing", is_right=None),
    ]
    sheet = Image.open(io.BytesIO(draw("title", tiles)))
    assert sheet.format == "PNG" and sheet.width > 800
    colours = {c for _, c in sheet.convert("RGB").getcolors(maxcolors=1 << 20)}
    assert (255, 0, 0) in colours, "the enlarged picture keeps its hard pixels"


def test_an_empty_sheet_is_still_a_picture():
    assert Image.open(io.BytesIO(draw("nothing", []))).height > 0
