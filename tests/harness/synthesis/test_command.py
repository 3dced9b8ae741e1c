"""`run.py synthesize` as a user meets it."""

import json

import pytest

from harness.cli.main import main
from harness.synthesis import output, sources

SMALL = ["--train", "78", "--test", "39", "--seed", "3"]
FILES = {"train.jsonl", "test.jsonl", "near_duplicates.jsonl", "rejected.jsonl", "manifest.json"}


@pytest.fixture(autouse=True)
def no_official_data(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def quick(monkeypatch):
    """Without the benchmarks, whose prompts take seconds to build."""
    found = [sources.Source(name="toy (official)", missing="not prepared")]
    monkeypatch.setattr(sources, "benchmark_sources", lambda data_dir: list(found))


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["synthesize", *map(str, arguments)])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return call


def test_the_folder_holds_exact_counts_and_a_manifest(run, quick, tmp_path):
    code, out, _ = run(*SMALL, "-o", tmp_path / "made", "--json")
    assert code == 0
    printed = json.loads(out)
    assert printed["new"] is True
    assert {p.name for p in (tmp_path / "made").iterdir()} == FILES
    manifest = json.loads((tmp_path / "made" / "manifest.json").read_bytes())
    assert manifest["splits"]["train"]["difficulty"] == {"easy": 23, "medium": 39, "hard": 16}
    assert set(manifest["splits"]["test"]["task"].values()) == {1}
    assert manifest["made_with"]["seed"] == 3
    assert manifest["not_compared_with"] == [{"name": "toy (official)", "missing": "not prepared"}]
    assert len((tmp_path / "made" / "train.jsonl").read_text().splitlines()) == 78
    rejected = (tmp_path / "made" / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) == manifest["rejected"]


def test_repeating_does_nothing_and_other_settings_are_refused(run, quick, tmp_path):
    assert run(*SMALL, "-o", tmp_path / "made")[0] == 0
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "made").iterdir()}
    code, out, _ = run(*SMALL, "-o", tmp_path / "made")
    assert code == 0
    assert "nothing to do" in out
    code, _, err = run("--train", 78, "--test", 39, "--seed", 4, "-o", tmp_path / "made")
    assert code == 1
    assert "made with other settings (seed 3, now 4)" in err
    assert before == {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "made").iterdir()}


def test_a_changed_file_and_a_foreign_folder_are_refused(run, quick, tmp_path):
    run(*SMALL, "-o", tmp_path / "made")
    with (tmp_path / "made" / "train.jsonl").open("a") as file:
        file.write("more\n")
    code, _, err = run(*SMALL, "-o", tmp_path / "made")
    assert (code, "train.jsonl: missing or changed" in err) == (1, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    code, _, err = run(*SMALL, "-o", tmp_path / "other")
    assert (code, "did not write" in err) == (1, True)
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_interrupting_leaves_nothing_behind(run, quick, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "manifest_of", interrupt)
    code, _, _ = run(*SMALL, "-o", tmp_path / "deep" / "made")
    assert code == 130
    assert list((tmp_path / "deep").iterdir()) == []


def test_every_micro_edition_is_compared_and_what_is_not_prepared_is_named(tmp_path):
    found = sources.benchmark_sources(str(tmp_path))
    compared = {s.name: len(s.prompts) for s in found if not s.missing}
    assert {"tiif (micro)", "geneval (micro)", "dpg (micro)", "wise (micro)", "gedit (micro)"} <= set(compared)
    assert all(n > 0 for n in compared.values())
    missing = {s.name: s.missing for s in found if s.missing}
    assert {"tiif (official, set=full)", "geneval (official, prompt_set=short)", "dpg (official)"} <= set(missing)
    assert all("data prepare" in reason for reason in missing.values())
    texts = sources.distinct(found)
    assert len(set(texts.values())) == len(texts) <= sum(compared.values())


def test_a_dry_run_prints_counts_and_writes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("--dry-run", "--json", "--train", 390, "--test", 39, "--tasks", "text,style")
    assert code == 0
    counts = json.loads(out)
    assert list(counts["train"]) == ["text", "style"]
    assert [sum(cell.values()) for cell in counts["train"].values()] == [195, 195]
    assert [sum(cell[d] for cell in counts["train"].values()) for d in ("easy", "medium", "hard")] == [117, 195, 78]
    assert list(tmp_path.iterdir()) == []
    assert "real_world" in run("--dry-run")[1]


def test_a_mistyped_task_gets_a_hint(run):
    code, _, err = run("--tasks", "colour+2d", "--dry-run")
    assert code == 2
    assert "Did you mean 'color+2d'" in err


def test_prompts_of_a_file_are_compared(run, quick, tmp_path):
    run(*SMALL, "-o", tmp_path / "made")
    rows = [json.loads(line) for line in (tmp_path / "made" / "test.jsonl").read_text().splitlines()]
    (tmp_path / "mine.txt").write_text("\n".join(r["prompt"] for r in rows[:7]))
    (tmp_path / "mine.jsonl").write_text(json.dumps({"caption": rows[8]["prompt"]}))
    arguments = ["--against", tmp_path / "mine.txt", "--against", tmp_path / "mine.jsonl"]
    code, out, _ = run(*SMALL, *arguments, "-o", tmp_path / "report", "--json")
    assert code == 0
    assert json.loads(out)["near_duplicates"]["benchmark"] == 8
    found = [json.loads(line) for line in (tmp_path / "report" / "near_duplicates.jsonl").read_text().splitlines()]
    ids = {f["other_id"] for f in found if f["against"] == "benchmark"}
    assert ids == {*(f"mine.txt:{i}" for i in range(1, 8)), "mine.jsonl:1/caption"}
    code, out, _ = run(*SMALL, *arguments, "--near-duplicates", "drop-and-refill", "-o", tmp_path / "dropped", "--json")
    printed = json.loads(out)
    assert printed["near_duplicates"]["replaced"] >= 8
    assert printed["splits"]["test"]["prompts"] == 39


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.jsonl", '{"prompt": 1}', "line 1: no text field"),
        ("bad.jsonl", "{", "line 1: not valid JSON"),
        ("bad.csv", "a,b", "expected a .txt, .jsonl or .json file"),
        ("bad.json", "{}", "expected a list"),
    ],
)
def test_unreadable_files_are_named(run, quick, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    code, _, err = run(*SMALL, "--against", tmp_path / name, "-o", tmp_path / "made")
    assert code in (1, 2)
    assert message in err
    assert not (tmp_path / "made").exists()


def test_official_prompts_hold_no_near_duplicate(official, tmp_path, record_property):
    """On the official data at hand: how close the prompts come to a benchmark's."""
    from benchmarks.data.local import prepare_from
    from benchmarks.data.lock import read_lock
    from harness.synthesis.generate import Settings, Synthesis
    from harness.synthesis.pool import load_pool

    for name, folder in (("tiif", "tiif_bench"), ("geneval", "geneval"), ("wise", "wise")):
        prepare_from(read_lock(name), tmp_path, [official / folder])
    found = [*sources.benchmark_sources(str(tmp_path)), sources.file_source(official / "dpg_bench" / "prompts.jsonl")]
    counts = {s.name: len(s.prompts) for s in found if not s.missing}
    assert counts["tiif (official, set=full)"] == 5_076
    assert counts["geneval (official, prompt_set=long)"] == 553
    assert counts["prompts.jsonl"] == 1_065
    result = Synthesis(load_pool(), Settings(train=390, test=78, threshold=0.6), sources.distinct(found)).run()
    near = [row for row in result.near if row["against"] == "benchmark"]
    record_property("near_duplicates_of_468", len(near))
    print(
        f"{len(near)} of 468 prompts have similarity 0.6 or more with one of {sum(counts.values())} benchmark prompts"
    )
    assert len(near) <= 5  # about one percent; the full run lists them
