import dataclasses
import io
import json
import zipfile

import pytest
import yaml

from benchmarks.data import judgeprompts
from benchmarks.data.local import prepare_from
from benchmarks.data.lock import parse_lock, read_lock
from benchmarks.data.remote import prepare_upstream
from benchmarks.data.verify import verify
from harness import prompttemplates
from harness.errors import DataError
from tests.benchmarks.tiif import synthetic as tiif
from tests.benchmarks.wise import synthetic as wise

from . import synthetic

CONSTANTS = '''
import not_installed
raise SystemExit("never run")
HEAD = """Rate <prompt> {now}.
"""
TAIL = "Answer" " briefly."
'''
JOINED = "Rate <prompt> {now}.\n\nAnswer briefly."
FORMATTED = 'x = f"short {prompt}"\ncall([{"text": f"Rate it: \\n[{prompt}] {{ok}}"}])\n'
LONGEST = 'note = "short"\nproblem = "Judge this long text. Instruction:" + f"{instruction}\\n"\n'


def reward_lock(folder, **changes):
    scripts = {
        "constants": {
            "path": "pkg/constants.py",
            "sha256": synthetic.sha256(CONSTANTS.encode()),
            "prompts": {
                "joined": {
                    "rule": "constants",
                    "parts": ["HEAD", "TAIL"],
                    "join": "\n",
                    "fields": {"<prompt>": "prompt"},
                    "sha256": synthetic.sha256(JOINED.encode()),
                }
            },
        },
        "formatted": {
            "path": "pkg/formatted.py",
            "sha256": synthetic.sha256(FORMATTED.encode())[:8],
            "prompts": {"formatted": {"rule": "fstring", "min_length": 10, "fields": {"prompt": "prompt"}}},
        },
        "longest": {
            "path": "pkg/longest.py",
            "sha256": synthetic.sha256(LONGEST.encode()),
            "prompts": {"longest": {"rule": "longest_text", "append": [{"field": "instruction"}, "\n"]}},
        },
    }
    raw = {
        "reward": "toy",
        "paper": "arXiv:0000.00000",
        "sources": [{"repository": synthetic.REPOSITORY, "revision": synthetic.REVISION, "licence": "MIT"}],
        "judge_scripts": scripts,
        **changes,
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return parse_lock(path)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout" / "pkg"
    folder.mkdir(parents=True)
    for name, text in (("constants", CONSTANTS), ("formatted", FORMATTED), ("longest", LONGEST)):
        (folder / f"{name}.py").write_text(text)
    return folder.parent


@pytest.fixture
def lock(tmp_path):
    return reward_lock(tmp_path)


class TestRewards:
    def test_the_three_kinds_of_prompt_are_read_without_running_anything(self, lock, tmp_path, checkout):
        report = prepare_from(lock, tmp_path / "data", [checkout])
        assert report.complete
        assert report.judge_prompts == "official (constants, formatted, longest)"
        templates = prompttemplates.read_cache(tmp_path / "data" / "toy" / "judge_prompts.json")
        odd = 'a "{cup}" <prompt> \\n'
        assert templates["joined"].render(prompt=odd) == JOINED.replace("<prompt>", odd)
        assert templates["formatted"].render(prompt=odd) == f"Rate it: \n[{odd}] {{ok}}"
        assert templates["longest"].render(instruction=odd) == f"Judge this long text. Instruction:{odd}\n"
        assert templates["longest"].fields == {"instruction"}
        assert verify(lock, tmp_path / "data").clean

    def test_line_ends_do_not_matter(self, lock, tmp_path, checkout):
        prepare_from(lock, tmp_path / "lf", [checkout])
        for script in (checkout / "pkg").iterdir():
            script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
        prepare_from(lock, tmp_path / "crlf", [checkout])
        name = "toy/judge_prompts.json"
        assert (tmp_path / "lf" / name).read_bytes() == (tmp_path / "crlf" / name).read_bytes()

    def test_another_script_with_the_pinned_text_is_taken(self, lock, tmp_path, checkout):
        script = checkout / "pkg" / "constants.py"
        script.write_text(CONSTANTS + "more = 1\n")
        assert prepare_from(lock, tmp_path / "data", [checkout]).complete

    @pytest.mark.parametrize(
        ("name", "old", "new", "message"),
        [
            ("constants", "briefly", "at length", "Another wording"),
            ("constants", "TAIL =", "END =", "no module-level text TAIL"),
            ("formatted", "Rate it", "Rate this", "expected [0-9a-f]{8}"),
            ("longest", "Judge this", "Score this", "Another version may ask otherwise"),
            ("constants", '"Answer"', '"Answer', "not valid Python"),
        ],
    )
    def test_another_wording_is_refused_and_nothing_written(self, lock, tmp_path, checkout, name, old, new, message):
        script = checkout / "pkg" / f"{name}.py"
        script.write_text(script.read_text().replace(old, new))
        with pytest.raises(DataError, match=message):
            prepare_from(lock, tmp_path / "data", [checkout])
        assert not (tmp_path / "data" / "toy" / "judge_prompts.json").exists()

    def test_a_part_of_the_prompts_is_incomplete_and_another_source_adds_to_it(self, lock, tmp_path, checkout):
        script = checkout / "pkg" / "longest.py"
        script.rename(tmp_path / "longest.py")
        report = prepare_from(lock, tmp_path / "data", [checkout])
        assert [m.name for m in report.missing] == ["judge prompt longest"]
        assert not verify(lock, tmp_path / "data").clean
        assert prepare_from(lock, tmp_path / "data", [tmp_path / "longest.py"]).complete
        assert verify(lock, tmp_path / "data").clean

    @pytest.mark.parametrize(("old", "new"), [("briefly", "at length"), ('"pieces"', '"bits"'), ("{", "[")])
    def test_a_changed_text_in_the_data_folder_is_found(self, lock, tmp_path, checkout, old, new):
        prepare_from(lock, tmp_path / "data", [checkout])
        path = tmp_path / "data" / "toy" / "judge_prompts.json"
        path.write_text(path.read_text().replace(old, new))
        assert [(f.file, f.state) for f in verify(lock, tmp_path / "data").findings] == [
            ("judge_prompts.json", "differs")
        ]

    def test_scripts_are_downloaded_checked_and_not_kept(self, lock, tmp_path, checkout):
        web = synthetic.Web()
        web.content = {synthetic.raw_path(f"pkg/{p.name}"): p.read_bytes() for p in (checkout / "pkg").iterdir()}
        with synthetic.serving(web) as upstream:
            assert prepare_upstream(lock, tmp_path / "data", upstream=upstream).complete
            n = len(web.requests)
            assert prepare_upstream(lock, tmp_path / "data", upstream=upstream).complete
            assert (n, len(web.requests)) == (3, 3)
        assert set(synthetic.tree(tmp_path / "data")) == {"toy/judge_prompts.json", "toy/prepared.json"}

    def test_scripts_of_a_package_come_from_its_wheel(self, tmp_path, checkout):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for script in (checkout / "pkg").iterdir():
                archive.write(script, f"pkg/{script.name}")
        package = {
            "name": "toy",
            "version": "1.0",
            "path": "ab/toy-1.0-py3-none-any.whl",
            "sha256": synthetic.sha256(stream.getvalue()),
        }
        lock = reward_lock(tmp_path, sources=[{"package": package, "licence": "MIT"}])
        web = synthetic.Web()
        web.content = {"/packages/ab/toy-1.0-py3-none-any.whl": stream.getvalue()}
        with synthetic.serving(web) as upstream:
            assert prepare_upstream(lock, tmp_path / "data", upstream=upstream).complete
            assert verify(lock, tmp_path / "data").clean
            web.content = {k: v[:-1] + b"x" for k, v in web.content.items()}
            with pytest.raises(DataError, match=rf"expected {package['sha256']}"):
                prepare_upstream(lock, tmp_path / "other", upstream=upstream)
        (tmp_path / "toy.whl").write_bytes(stream.getvalue())
        assert prepare_from(lock, tmp_path / "local", [tmp_path / "toy.whl"]).complete


class TestBenchmarks:
    def test_data_without_scripts_say_that_runs_use_the_built_in_wording(self, official, tmp_path):
        report = prepare_from(read_lock("wise"), tmp_path, [official / "wise"])
        assert report.complete
        expected = "not in this source; runs use the built-in wording (judge_prompt: builtin)"
        assert report.judge_prompts == expected

    def test_tiifs_script_goes_through_its_adapter_and_a_version_of_it_gives_a_remark(self, tmp_path):
        script = tmp_path / "TIIF-Bench" / "eval" / "eval_with_vlm.py"
        script.parent.mkdir(parents=True)
        script.write_text(tiif.SCRIPT)
        report = prepare_from(read_lock("tiif"), tmp_path / "data", [tmp_path / "TIIF-Bench"])
        assert report.judge_prompts == "official"
        assert any("differ from revision 3aae7504" in r for r in report.remarks)
        stored = json.loads((tmp_path / "data" / "tiif" / "judge_prompts.json").read_text())
        assert stored["templates"] == tiif.TEMPLATES
        assert len(report.missing) == 156

    def test_wises_scripts_go_through_its_adapter_one_by_one(self, tmp_path, monkeypatch):
        from benchmarks.wise import lock as wise_lock

        known = {"legacy": wise.script_lock(path="WISE_legacy/gpt_eval.py"), "verified": wise.script_lock()}
        pinned = dataclasses.replace(wise_lock.shipped_lock(), scripts=known)
        monkeypatch.setattr(wise_lock, "shipped_lock", lambda: pinned)
        lock = read_lock("wise")
        folder = tmp_path / "WISE"
        folder.mkdir()
        (folder / "vllm_eval.py").write_text(wise.SCRIPT)
        path = tmp_path / "data" / "wise" / "judge_prompts.json"
        assert "verified" in prepare_from(lock, tmp_path / "data", [folder]).judge_prompts
        assert judgeprompts.prepared(lock, path) == ["verified"]
        (folder / "vllm_eval.py").unlink()
        (folder / "WISE_legacy").mkdir()
        (folder / "WISE_legacy" / "gpt_eval.py").write_text(wise.SCRIPT)
        prepare_from(lock, tmp_path / "data", [folder])
        assert sorted(judgeprompts.prepared(lock, path)) == ["legacy", "verified"]

    def test_another_wording_of_a_pinned_prompt_is_refused_by_its_adapter(self, tmp_path):
        folder = tmp_path / "WISE"
        folder.mkdir()
        (folder / "vllm_eval.py").write_text(wise.SCRIPT)
        with pytest.raises(DataError, match=r"vllm_eval\.py.*expected c9b9e5e1"):
            prepare_from(read_lock("wise"), tmp_path / "data", [folder])
        vie = tmp_path / "Step1X-Edit" / "GEdit-Bench" / "viescore" / "vie_prompts.py"
        vie.parent.mkdir(parents=True)
        vie.write_text('_context_no_delimit = "x"\n')
        with pytest.raises(DataError, match=r"vie_prompts\.py: no text constant"):
            prepare_from(read_lock("gedit"), tmp_path / "data", [tmp_path / "Step1X-Edit"])

    def test_a_message_about_a_script_in_an_archive_names_the_archive(self, tmp_path):
        member = {"Step1X-Edit-570eba6/GEdit-Bench/viescore/vie_prompts.py": b"x = 1\n"}
        (tmp_path / "step1x.tar.gz").write_bytes(synthetic.tarball(member))
        with pytest.raises(DataError, match=r"step1x\.tar\.gz: Step1X-Edit.*vie_prompts\.py: no text constant"):
            prepare_from(read_lock("gedit"), tmp_path / "data", [tmp_path / "step1x.tar.gz"])
        assert synthetic.tree(tmp_path / "data") == {}
