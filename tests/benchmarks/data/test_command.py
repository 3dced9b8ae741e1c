"""`run.py data` as a user meets it: exit codes, messages, JSON."""

import json

import pytest

from benchmarks.data import lock as locks
from benchmarks.data import remote
from harness.cli.main import main

from . import synthetic


@pytest.fixture
def call(capsys, tmp_path):
    def run(*arguments, data_dir=tmp_path / "data"):
        with pytest.raises(SystemExit) as leaving:
            main(["data", *arguments, "--data-dir", str(data_dir)])
        captured = capsys.readouterr()
        return leaving.value.code, captured.out, captured.err

    return run


def test_list_shows_sources_revisions_and_licences_of_everything(call):
    code, out, _ = call("list")
    assert code == 0
    assert "TencentQQGYLab/ELLA@3c228f1d" in out
    assert "redistribution not granted" in out
    assert "hub: stepfun-ai/GEdit-Bench@58159f3d" in out
    code, out, _ = call("list", "--json")
    names = {item["name"]: item for item in json.loads(out)["names"]}
    assert {"dpg", "gedit", "geneval", "tiif", "wise", "hpsv3", "unifiedreward", "viescore"} <= set(names)
    assert names["tiif"]["state"] == "not prepared"
    assert names["tiif"]["counts"]["missing"] == 156


def test_prepare_verify_and_a_flipped_byte(call, official, tmp_path):
    for name, folder in (("geneval", "geneval"), ("tiif", "tiif_bench"), ("wise", "wise")):
        code, out, err = call("prepare", name, "--source", str(official / folder))
        assert (code, err) == (0, "")
        assert str(tmp_path / "data" / name) in out
    code, out, _ = call("verify")
    assert code == 0
    assert "tiif: 156 files intact" in out
    listed = json.loads(call("list", "--json")[1])["names"]
    assert {i["name"] for i in listed if i["state"] == "prepared"} == {"geneval", "tiif", "wise"}

    victim = tmp_path / "data" / "wise" / "legacy" / "natural_science.json"
    victim.write_bytes(victim.read_bytes().replace(b"e", b"f", 1))
    code, out, _ = call("verify")
    assert code == 1
    assert f"differs: {victim}" in out
    assert call("verify", "geneval", "tiif")[0] == 0
    (entry,) = json.loads(call("verify", "wise", "--json")[1])["names"]
    assert [f["file"] for f in entry["findings"]] == ["legacy/natural_science.json"]


def test_an_incomplete_source_leaves_exit_code_3(call, official):
    code, out, _ = call("prepare", "dpg", "--source", str(official / "dpg_bench"), "--json")
    (report,) = json.loads(out)
    assert code == 3
    assert [m["name"] for m in report["missing"]] == ["dpg_bench.csv"]


def test_a_differing_file_leaves_exit_code_1_and_no_data(call, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "object_names.txt").write_text("cup\n")
    code, _, err = call("prepare", "geneval", "--source", str(tmp_path / "copy"))
    assert code == 1
    assert "object_names.txt: sha256" in err
    assert "expected sha256 608f6a0e" in err
    assert not (tmp_path / "data").exists()


def test_without_a_source_the_files_are_downloaded_and_an_interrupted_call_continues(call, tmp_path, monkeypatch):
    synthetic.write_lock(tmp_path)
    monkeypatch.setattr(locks, "LOCKS", tmp_path)
    web = synthetic.Web()
    web.content = {synthetic.raw_path(path): data for path, data in synthetic.FILES.values()}
    gone = synthetic.raw_path("prompts/short.jsonl")
    kept = web.content.pop(gone)
    with synthetic.serving(web) as upstream:
        monkeypatch.setattr(remote, "Upstream", lambda: upstream)
        code, _, err = call("prepare", "toy")
        assert (code, "HTTP 404" in err) == (1, True)
        web.content[gone] = kept
        code, _, err = call("prepare", "toy")
        assert code == 0
        assert "toy: files: 3/3" in err
    assert call("verify")[0] == 0


def test_wrong_usage_leaves_exit_code_2(call, tmp_path):
    code, _, err = call("prepare", "genevl")
    assert (code, "Did you mean 'geneval'" in err) == (2, True)
    assert call("prepare", "geneval", "--source", str(tmp_path / "nowhere"))[0] == 2
    assert call("prepare")[0] == 2


def test_verifying_an_empty_folder_is_no_success(call):
    code, out, _ = call("verify")
    assert code == 1
    assert "Nothing is prepared" in out
    code, out, _ = call("verify", "geneval")
    assert code == 1
    assert out.count("missing:") == 7
