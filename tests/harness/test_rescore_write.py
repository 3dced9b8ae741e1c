"""`rescore -o`: results of others, and a run's own under the other protocol, as run directories for `report`."""

import json

import pytest

from harness.cli.main import main
from harness.errors import StoreError
from harness.rescore import Rescored, rescore_run, write_rescored
from harness.summary import summary_object
from harness.terms import Terms
from reports.runs import load_run


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as leaving:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "micro"
    with pytest.raises(SystemExit):
        main(["eval", "micro", "-b", "geneval", "--limit", "12", "--samples-per-prompt", "2", "-o", str(out)])
    return out


def test_a_run_under_the_other_protocol_is_a_run_for_reports(run, tmp_path, capsys):
    code, out, _ = call(capsys, "rescore", run, "--protocol", "corrected", "-o", tmp_path / "corrected")
    assert code == 0 and f"Written: {tmp_path / 'corrected'}" in out
    made, own = load_run(tmp_path / "corrected"), load_run(run)
    assert made.identity("geneval") == own.identity("geneval") | {"protocol": "corrected"}
    assert list(made.terms("geneval")) == list(rescore_run(run, [], "corrected", 0.01).terms["geneval"])
    for file in ("prompts.jsonl", "scores.jsonl"):
        assert (tmp_path / "corrected" / file).read_bytes() == (run / file).read_bytes()
    assert not (tmp_path / "corrected" / "generations.jsonl").exists()
    # Two protocols never stand in one column.
    _, out, _ = call(capsys, "report", run, tmp_path / "corrected", "--json", "--no-plots", "-o", tmp_path / "r")
    found = json.loads(out)
    assert found["differences"][0]["p"] is None and "protocol" in found["refused"][0]
    assert (tmp_path / "r" / "index.html").is_file()


def test_the_same_protocol_gives_the_same_values(run, tmp_path, capsys):
    call(capsys, "rescore", run, "-o", tmp_path / "again")
    _, out, _ = call(
        capsys, "report", run, tmp_path / "again", "--json", "--no-plots", "--no-page", "-o", tmp_path / "r"
    )
    found = json.loads(out)["differences"][0]
    assert found["est"] == 0 and found["p"] == 1 and found["n_prompts"] == 12


def test_a_directory_of_something_else_is_left_alone(run, tmp_path, capsys):
    before = (run / "summary.json").read_bytes()
    code, _, error = call(capsys, "rescore", run, "--protocol", "corrected", "-o", run)
    assert code == 1 and "holds a run with other settings" in error and (run / "summary.json").read_bytes() == before
    assert call(capsys, "rescore", run, "-o", tmp_path / "x")[0] == 0
    assert call(capsys, "rescore", run, "-o", tmp_path / "x")[0] == 0
    assert call(capsys, "rescore", run, "--protocol", "corrected", "-o", tmp_path / "x")[0] == 1


def test_names_of_models_stay_inside_the_folder(tmp_path):
    def result(model):
        return Rescored(summary=summary_object("s", "official", "official", model, {}, 0.01), terms=dict[str, Terms]())

    source = tmp_path / "results"
    source.mkdir()
    names = ["../../up", "a/b", "ünï 7b", "..."]
    folders = write_rescored(source, {n: result(n) for n in names}, tmp_path / "out")
    assert [f.parent for f in folders] == [tmp_path / "out"] * 4
    assert [f.name for f in folders] == ["up", "a-b", "ünï-7b", "model"]
    with pytest.raises(StoreError, match="several models would be written to"):
        write_rescored(source, {n: result(n) for n in ("a/b", "a b")}, tmp_path / "out2")


def test_two_published_models_are_compared_prompt_by_prompt(official, tmp_path, capsys):
    source = official / "tiif_bench/recorded/gpt4o_judge_two_models.tar.gz"
    call(capsys, "rescore", source, "-b", "tiif", "-o", tmp_path)
    expected = json.loads((official / "tiif_bench/recorded/expected.json").read_text())["judges"]["GPT-4o"]
    runs = tmp_path / "sd1_5", tmp_path / "GPT-4o"
    _, out, _ = call(capsys, "report", *runs, "--json", "--no-plots", "--no-page", "-o", tmp_path / "r")
    found = json.loads(out)["differences"][0]
    strong, weak = (expected[m]["overall"]["long"] for m in ("GPT-4o", "sd1_5"))
    assert found["est"] == pytest.approx(strong - weak, abs=1e-4)
    assert 0.5 < found["low"] < found["high"] < 0.62 and found["n_missing_x"] + found["n_missing_y"] == 85
    assert "missing" in found["distrust"] and found["bound_low"] > 0.4


def test_what_people_said_of_two_models_is_compared(official, tmp_path, capsys):
    for name in ("clip", "if-xl"):
        source = official / f"geneval/annotations_{name}.csv.gz"
        call(capsys, "rescore", source, "-b", "geneval", "-o", tmp_path / name)
    runs = tmp_path / "clip", tmp_path / "if-xl"
    _, out, _ = call(capsys, "report", *runs, "--json", "--no-plots", "--no-page", "-o", tmp_path / "r")
    found = json.loads(out)["differences"][0]
    assert found["metric"] == "human/majority/total" and found["n_prompts"] == 100 and found["low"] > 0.2
