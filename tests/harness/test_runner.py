"""The pipeline on a toy benchmark: resume, reuse, failures, order independence."""

import errno
import json
import os
import random
import shutil
from dataclasses import replace

import pytest

from harness.errors import DataError, StoreError
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.progress import Silent
from harness.store import RunDirectory
from tests.harness import toy


def run(out, spec="painter", **settings):
    return evaluate(EvalConfig(benchmarks=["toy"], out=str(out), **settings), spec, Silent())


def records(path):
    """Both record sets without times, as comparable values."""
    directory = RunDirectory(path)
    generations = {replace(g, seconds=0.0) for g in _hashable(directory.load_generations().values())}
    judgements = {
        (j.id, j.key, j.status, j.value, j.raw, j.call_id, j.call_size) for j in directory.load_judgements().values()
    }
    return generations, judgements


def _hashable(generations):
    return [replace(g, params=json.dumps(g.params)) for g in generations]


def values(result):
    return {k: v for k, v in result.summary.items() if k != "run"}


def test_finished_run_is_complete_and_a_repeat_costs_nothing(tmp_path):
    first = run(tmp_path / "a")
    assert first.complete and (first.n_generated, first.n_asked) == (24, 24)
    assert first.summary["benchmarks"]["toy"]["n_answers"] == 24 * toy.N_QUESTIONS
    calls = toy.Painter.n_calls, toy.Eye.n_asked
    again = run(tmp_path / "a")
    assert (again.n_generated, again.n_asked) == (0, 0)
    assert (toy.Painter.n_calls, toy.Eye.n_asked) == calls
    assert values(again) == values(first)


def test_any_cut_of_the_record_files_resumes_to_the_same_run(tmp_path):
    reference = run(tmp_path / "whole")
    whole = records(tmp_path / "whole")
    rng = random.Random(4)
    for trial in range(25):
        cut = tmp_path / f"cut{trial}"
        shutil.copytree(tmp_path / "whole", cut)
        for name in ("generations.jsonl", "judgements.jsonl"):
            data = (cut / name).read_bytes()
            (cut / name).write_bytes(data[: rng.randrange(len(data) + 1)])
        for image in cut.glob("images/**/*.png"):
            if rng.random() < 0.2:
                image.unlink()
        resumed = run(cut)
        assert values(resumed) == values(reference)
        assert records(cut) == whole


def test_records_do_not_depend_on_batch_size_or_prompt_order(tmp_path, monkeypatch):
    reference = run(tmp_path / "a")
    for size in (1, 3, 8):
        assert values(run(tmp_path / f"b{size}", batch_size=size)) == values(reference)
        assert records(tmp_path / f"b{size}") == records(tmp_path / "a")
    prompts = toy.Toy.prompts

    def shuffled(self):
        found = prompts(self)
        random.Random(1).shuffle(found)
        return found

    monkeypatch.setattr(toy.Toy, "prompts", shuffled)
    run(tmp_path / "c")
    assert records(tmp_path / "c") == records(tmp_path / "a")


def test_each_seed_adds_samples_and_a_longer_limit_reuses_the_shorter(tmp_path):
    short = run(tmp_path / "a", limit=4)
    longer = run(tmp_path / "a")
    assert (short.n_generated, longer.n_generated) == (8, 16)
    two = run(tmp_path / "b", seeds=[0, 1])
    shades = {g.text for g in two.generations["toy"].values()}
    assert two.n_generated == 48 and len(shades) > 24


def test_failed_generation_is_missing_and_retried(tmp_path):
    result = run(tmp_path / "a", "painter:failing")
    block = result.summary["benchmarks"]["toy"]
    assert not result.complete
    assert block["n_missing"] == 2 * toy.N_QUESTIONS
    assert block["missing_reasons"] == {"out of paint": 2 * toy.N_QUESTIONS}
    lines = (tmp_path / "a" / "generations.jsonl").read_text().count("\n")
    again = run(tmp_path / "a", "painter:failing")
    assert again.n_generated == 0
    assert (tmp_path / "a" / "generations.jsonl").read_text().count("\n") == lines + 2


def test_refused_answers_are_missing_never_scores(tmp_path):
    result = run(tmp_path / "a", judge="toy:shy")
    assert result.summary["benchmarks"]["toy"]["values"]["overall"]["value"] is None
    assert not result.complete
    assert {j.status for j in RunDirectory(tmp_path / "a").load_judgements().values()} == {"refused"}
    assert run(tmp_path / "a", judge="toy:shy").n_asked == 24


def test_broken_judge_stops_the_run_and_keeps_the_images(tmp_path):
    with pytest.raises(RuntimeError, match="the judge broke"):
        run(tmp_path / "a", judge="toy:dies")
    assert RunDirectory(tmp_path / "a").load_generations()


def test_equal_images_are_judged_once(tmp_path, monkeypatch):
    from PIL import Image

    from harness.models.base import Output

    monkeypatch.setattr(toy.Painter, "_paint", lambda self, r: Output(image=Image.new("RGB", (8, 8), "grey")))
    result = run(tmp_path / "a")
    assert result.n_asked < 24
    assert result.summary["benchmarks"]["toy"]["n_missing"] == 0


def test_source_images_reach_policy_and_judge_and_change_the_key(tmp_path):
    plain = run(tmp_path / "a")
    edited = run(tmp_path / "b", options={"toy": {"edit": True}})
    assert edited.complete and edited.n_generated == 24
    assert not set(plain.generations["toy"]) & set(edited.generations["toy"])


def test_duplicate_prompt_ids_are_refused(tmp_path):
    with pytest.raises(DataError, match="two prompts have the id 'toy/000'"):
        run(tmp_path / "a", options={"toy": {"duplicate_id": True}})


def test_other_settings_do_not_mix_into_a_directory(tmp_path):
    run(tmp_path / "a")
    with pytest.raises(StoreError, match=r"(?s)other settings.*seeds: there \[0\], now \[1\].*-o DIR"):
        run(tmp_path / "a", seeds=[1])


def test_full_disk_is_one_message_and_resumable(tmp_path, monkeypatch):
    out = tmp_path / "a"
    real, left = os.write, [4000]

    def write(fd, data):
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = real(fd, bytes(data)[: left[0]])
        left[0] -= n
        return n

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StoreError, match=r"disk is full.*repeat the command"):
            run(out)
    for name in ("generations.jsonl", "judgements.jsonl"):
        data = (out / name).read_bytes() if (out / name).exists() else b""
        assert data == b"" or data.endswith(b"\n"), "a half-written record was left behind"
    assert run(out).complete


def test_stored_images_can_be_judged_again_without_the_model(tmp_path):
    run(tmp_path / "a")
    calls = toy.Painter.n_calls
    again = run(tmp_path / "b", f"stored:{tmp_path / 'a'}", judge="toy:other")
    assert again.complete and toy.Painter.n_calls == calls
    texts = {g.text for g in again.generations["toy"].values()}
    assert all(t.startswith("shade") for t in texts)
