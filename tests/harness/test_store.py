"""The run directory: torn tails, foreign damage, locks, paths."""

import os
import subprocess
import sys

import pytest

from harness.errors import StoreError
from harness.store import RecordLog, RunDirectory
from harness.types import Generation, Judgement, SampleKey

KEY = SampleKey(benchmark="toy", prompt_id="toy/1")


def generation(i, **fields):
    return Generation(id=f"g{i}", key=KEY, seed=i, policy="p", params={}, **fields)


def judgement(i, call, size):
    return Judgement(id=f"j{i}", key=KEY, question_id=str(i), judge="x", value=0.5, call_id=call, call_size=size)


def test_torn_last_line_is_dropped_by_the_writer_and_skipped_by_readers(tmp_path):
    with RunDirectory(tmp_path, writable=True) as run:
        run.generations.append([generation(0), generation(1)])
    path = tmp_path / "generations.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "g2", "ke')
    assert list(RunDirectory(tmp_path).load_generations()) == ["g0", "g1"]
    with RunDirectory(tmp_path, writable=True) as run:
        assert run.generations.dropped_bytes == 16
        run.generations.append([generation(2)])
        assert list(run.load_generations()) == ["g0", "g1", "g2"]


def test_damaged_line_in_the_middle_is_refused_with_file_and_line(tmp_path):
    with RunDirectory(tmp_path, writable=True) as run:
        run.generations.append([generation(0), generation(1)])
    path = tmp_path / "generations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"id": 7}\n' + lines[1])
    with pytest.raises(StoreError, match=r"generations\.jsonl, line 2: not a Generation record"):
        RunDirectory(tmp_path).load_generations()


def test_calls_cut_short_are_left_out_as_a_whole(tmp_path):
    with RunDirectory(tmp_path, writable=True) as run:
        run.judgements.append([judgement(0, "whole", 2), judgement(1, "whole", 2), judgement(2, "cut", 2)])
    assert {j.id for j in RunDirectory(tmp_path).load_judgements().values()} == {"j0", "j1"}


def test_newest_record_of_an_id_counts(tmp_path):
    with RunDirectory(tmp_path, writable=True) as run:
        run.generations.append([generation(0, status="error", error="first try")])
        run.generations.append([generation(0)])
    assert RunDirectory(tmp_path).load_generations()["g0"].status == "ok"


def test_second_process_is_told_who_holds_the_directory(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from harness.store import RunDirectory\n"
        f"run = RunDirectory(Path({str(tmp_path)!r}), writable=True); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=rf"in use by process {holder.pid} on .*-o DIR"):
            RunDirectory(tmp_path, writable=True)
    finally:
        holder.kill()
        holder.wait()
    RunDirectory(tmp_path, writable=True).close()


def test_unwritable_places_are_one_message():
    with pytest.raises(StoreError, match="/proc/ummbench"):
        RunDirectory(__import__("pathlib").Path("/proc/ummbench/run"), writable=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_directory_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match=r"not writable.*-o DIR"):
            RunDirectory(tmp_path / "run", writable=True)
    finally:
        tmp_path.chmod(0o700)


def test_records_cannot_name_images_outside_the_run(tmp_path):
    with RunDirectory(tmp_path / "run", writable=True) as run, pytest.raises(StoreError, match="outside the run"):
        run.image_path(generation(0, image="../../etc/passwd"))


def test_every_written_record_reads_back_equal(tmp_path):
    log = RecordLog(tmp_path / "x.jsonl", Judgement, writable=True)
    records = [
        Judgement(
            id="a", key=KEY, question_id="1", judge="j", value=1 / 3, payload={"boxes": [[0.1, 2]]}, raw="é\n\u2028"
        ),
        Judgement(id="b", key=KEY, question_id="2", judge="j", status="refused", error="no"),
    ]
    log.append(records)
    assert list(log.read()) == records
