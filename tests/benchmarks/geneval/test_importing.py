import io
import json
import random
import tarfile
import zipfile

import pytest

from benchmarks import sources as source_files
from benchmarks.geneval import GenEval, GenEvalOptions, judge
from harness.errors import DataError
from tests.benchmarks.geneval.test_judging import make_case

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def benchmark(protocol="official", data_dir=None, **options):
    return GenEval(profile="official", protocol=protocol, options=GenEvalOptions(**options), data_dir=data_dir)


def metadata_of(official, name="evaluation_metadata.jsonl"):
    return [json.loads(line) for line in (official / "geneval" / name).read_text().splitlines()]


def result(metadata, folder, index, correct, reason="", details=None, root="IMAGES"):
    return {
        "filename": f"{root}/{folder:05d}/samples/{index:05d}.png",
        "tag": metadata["tag"],
        "prompt": metadata["prompt"],
        "correct": correct,
        "reason": reason,
        "metadata": json.dumps(metadata),
        "details": None if details is None else json.dumps(details),
    }


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def verdicts(metadata, seed, n=4):
    rng = random.Random(seed)
    return [[rng.random() < 0.6 for _ in range(n)] for _ in metadata]


def results(metadata, table):
    return [
        result(m, i, j, v) for i, (m, row) in enumerate(zip(metadata, table, strict=True)) for j, v in enumerate(row)
    ]


def summary(bench, source, model=None):
    found = bench.import_results(source)
    imported = found[model] if model else next(iter(found.values()))
    return imported, {s.metric: s for s in bench.aggregate(imported.prompts, imported.scores)}


TINY = [
    {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"},
    {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}], "prompt": "a photo of a red cat"},
    {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["above", 0]}],
        "prompt": "a photo of a cat above a dog",
    },
]


@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("name", ["evaluation_metadata.jsonl", "evaluation_metadata_long.jsonl"])
def test_full_results_file_gives_the_official_numbers_and_names_its_prompt_set(official, tmp_path, name, with_data):
    metadata = metadata_of(official, name)
    table = verdicts(metadata, 1)
    lines = results(metadata, table)
    random.Random(2).shuffle(lines)
    imported, got = summary(
        benchmark(data_dir=official if with_data else None), write(tmp_path / "sd3" / "results.jsonl", lines)
    )
    shares = []
    for tag in TAGS:
        flat = [v for m, row in zip(metadata, table, strict=True) if m["tag"] == tag for v in row]
        shares.append(sum(flat) / len(flat))
        assert got[f"task/{tag}"].value == shares[-1]
        assert got[f"task/{tag}"].n == len(flat)
    assert got["overall"].value == pytest.approx(sum(shares) / 6, abs=1e-15)
    assert got["prompts/correct"].extra == {"correct": sum(any(row) for row in table), "total": 553}
    assert imported.data.startswith("geneval-long@" if "long" in name else "geneval-short@")
    assert imported.notes == []
    assert imported.report["found_images"] == 2212
    assert imported.prompts["geneval/00017"].text == metadata[17]["prompt"]


def test_missing_extra_and_foreign_items_are_noted_with_ids(official, tmp_path):
    metadata = metadata_of(official)
    lines = [r for r in results(metadata, verdicts(metadata, 3)) if not r["filename"].startswith("IMAGES/00005/")]
    lines = [r for r in lines if r["filename"] != "IMAGES/00007/samples/00002.png"]
    lines.append(result(metadata[9], 9, 4, True))
    lines.append(result(TINY[1], 600, 0, True))
    imported, got = summary(benchmark(data_dir=official), write(tmp_path / "sd3.jsonl", lines))
    notes = "\n".join(imported.notes)
    assert "1 prompt(s) without any image: geneval/00005" in notes
    assert "geneval/00007 (3)" in notes
    assert "1 prompt(s) with more than 4 images: geneval/00009 (5)" in notes
    assert "not in the official short set" in notes
    assert "a photo of a red cat" in notes
    assert got["task/single_object"].n == 320 - 4 - 1 + 1
    assert got["task/single_object"].n_missing == 5
    assert imported.report["missing_images"] == 5 + 3
    assert imported.report["extra_images"] == 1
    missing = [s.key.index for s in imported.scores if s.value is None and s.key.prompt_id == "geneval/00007"]
    assert missing == [2]


def test_without_official_data_folder_numbers_name_prompts_and_the_note_says_what_is_incomplete(tmp_path):
    imported, got = summary(benchmark(), write(tmp_path / "m.jsonl", results(TINY, [[True] * 4] * 3)))
    assert list(imported.prompts) == ["geneval/00000", "geneval/00001", "geneval/00002"]
    assert imported.data.startswith("geneval-unverified@")
    assert "single_object 1 of 80" in imported.notes[0]
    assert got["overall"].value == 1.0
    assert summary(benchmark("corrected"), tmp_path / "m.jsonl")[1]["overall"].value is None


def test_another_number_of_images_per_prompt_is_noted_once(tmp_path):
    source = write(tmp_path / "m.jsonl", results(TINY, [[True]] * 3))
    imported, got = summary(benchmark(), source)
    assert any("every prompt has 1 image(s)" in n for n in imported.notes)
    assert got["task/colors"].n_missing == 3
    assert summary(benchmark(samples_per_prompt=1), source)[1]["task/colors"].n_missing == 0


def test_image_recorded_twice_counts_twice_officially_and_once_corrected(tmp_path):
    lines = results(TINY[:1], [[True, False]])
    source = write(tmp_path / "m.jsonl", [*lines, lines[0]])
    imported, got = summary(benchmark(samples_per_prompt=2), source)
    assert got["task/single_object"].extra == {"correct": 2, "total": 3}
    assert "recorded twice" in "\n".join(imported.notes)
    assert imported.report["repeated_records"] == 1
    corrected = summary(benchmark("corrected", samples_per_prompt=2), source)[1]
    assert corrected["task/single_object"].extra == {"correct": 1, "total": 2}


def test_image_with_two_verdicts_is_refused(tmp_path):
    lines = results(TINY[:1], [[True]])
    with pytest.raises(DataError, match=r"line 2.*line 1"):
        benchmark().import_results(write(tmp_path / "m.jsonl", [*lines, {**lines[0], "correct": False}]))


def test_verdict_that_recorded_detections_contradict_is_noted(tmp_path):
    two = {"cat": [[0, 0, 9, 9, 0.9]]}
    lines = [result(TINY[0], 0, 0, True, details=two), result(TINY[0], 0, 1, False, details=two)]
    imported, _ = summary(benchmark(samples_per_prompt=2), write(tmp_path / "m.jsonl", lines))
    assert any("1 recorded verdict(s) differ" in n for n in imported.notes)


def test_corrected_verdicts_from_results_stay_open_where_colours_would_decide(tmp_path):
    dog, cat = [0, 30, 100, 130, 0.9], [0, 0, 100, 100, 0.9]
    red = TINY[1]
    lines = [
        result(TINY[2], 2, 0, False, "expected cat above target, found  target", {"dog": [dog], "cat": [cat]}),
        result(red, 1, 0, False, "expected red cat>=1, found 0 red; and 1 blue", {"cat": [cat]}),
        result(red, 1, 1, False, "expected red cat>=1, found 0 red; and 1 blue", {"cat": [cat, cat]}),
        result(red, 1, 2, False, "expected cat>=1, found 0", {}),
        result(red, 1, 3, True, "", {"cat": [cat, cat]}),
    ]
    source = write(tmp_path / "m.jsonl", lines)
    official = [s.value for s in summary(benchmark(samples_per_prompt=1), source)[0].scores]
    corrected = [s.value for s in summary(benchmark("corrected", samples_per_prompt=1), source)[0].scores]
    # prompts in order of appearance: position first
    assert official == [0, 0, 0, 0, 1]
    assert corrected == [1, 0, None, 0, 1]


@pytest.mark.parametrize("protocol", ["official", "corrected"])
def test_recorded_detections_are_judged_like_single_images(tmp_path, protocol):
    rng = random.Random("import")
    cases = [make_case(rng) for _ in range(60)]
    for i, (metadata, _, _) in enumerate(cases):
        metadata["prompt"] = f"prompt {i}"
    lines = [
        {
            "filename": f"out/{i:05d}/samples/0000.png",
            "metadata": json.dumps(m) if i % 2 else m,
            "detections": d,
            "colours": c,
            "judge": "m2f",
        }
        for i, (m, d, c) in enumerate(cases)
    ]
    imported, _ = summary(benchmark(protocol, samples_per_prompt=1), write(tmp_path / "det.jsonl", lines))
    got = {s.key.prompt_id: (s.value, s.reason) for s in imported.scores}
    for i, (m, d, c) in enumerate(cases):
        expected = judge(m, d, c, protocol=protocol)
        assert got[f"geneval/{i:05d}"] == (float(expected.correct), expected.reason)
    assert imported.judge == "m2f"
    changed, _ = summary(benchmark(protocol, samples_per_prompt=1, threshold=0.5), tmp_path / "det.jsonl")
    assert changed.data == imported.data + "+threshold=0.5"


def test_detections_may_name_official_prompts_by_id(official, tmp_path):
    lines = [{"prompt_id": "geneval/00000", "index": i, "detections": {"bench": [[0, 0, 9, 9, 0.8]]}} for i in range(4)]
    imported, got = summary(benchmark(data_dir=official), write(tmp_path / "det.jsonl", lines))
    assert got["task/single_object"].extra["correct"] == 4
    assert imported.data.startswith("geneval-short@")
    lines[1]["prompt_id"] = "geneval/99999"
    with pytest.raises(DataError, match="line 2: prompt_id: 'geneval/99999'"):
        benchmark(data_dir=official).import_results(write(tmp_path / "det.jsonl", lines))


def damaged(line, **change):
    return json.dumps({**line, **change})


GOOD = result(TINY[0], 0, 0, True)
DETECTION = {
    "filename": "0.png",
    "metadata": TINY[1],
    "detections": {"cat": [[0, 0, 9, 9, 0.8]]},
    "colours": {"cat": ["red"]},
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (json.dumps(GOOD)[:-30], r"line 2: .*cut off"),
        (damaged(GOOD, correct="true"), r"line 2: .*correct"),
        (damaged(GOOD, correct=1), r"line 2: .*correct"),
        (damaged(GOOD, tag="colours"), "line 2: tag is 'colours'"),
        (damaged(GOOD, metadata=json.dumps({**TINY[0], "tag": "colours"})), r"line 2: .*tag"),
        (damaged(GOOD, metadata="{"), "line 2: metadata: not JSON"),
        (damaged(GOOD, metadata="[]"), "line 2: metadata: expected an object"),
        (damaged(GOOD, prompt="something else"), "line 2: prompt"),
        (damaged(GOOD, details='{"cat": [[1, 2]]}'), "line 2: details: class 'cat'"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "metadata"}), r"line 2: .*metadata"),
    ],
)
def test_damaged_results_line_is_named_by_file_line_and_field(tmp_path, line, message):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line)
    with pytest.raises(DataError, match=message) as error:
        benchmark().import_results(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detections": {"cat": [[0, 0, 9, 9]]}}, "line 2: .*'cat'"),
        ({"detections": []}, r"line 2: .*detections"),
        ({"colours": {}}, "line 2: .*colour"),
        ({"colours": {"cat": ["red", "red"]}}, "line 2: .*expected 1 names"),
        ({"metadata": None}, "line 2: neither"),
        ({"width": 5, "height": 20}, r"line 2: .*width 5"),
        ({"index": "0"}, r"line 2: .*index"),
    ],
)
def test_damaged_detections_line_is_named_by_line_and_field(tmp_path, change, message):
    path = write(tmp_path / "det.jsonl", [DETECTION, {**DETECTION, **change}])
    with pytest.raises(DataError, match=message):
        benchmark().import_results(path)


def tar(path, members, **attributes):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def as_bytes(lines):
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_archives_and_folders_give_one_entry_per_model(tmp_path):
    members = {
        "all/sd3/results.jsonl": as_bytes(results(TINY, [[True] * 4] * 3)),
        "all/flux/results.jsonl": as_bytes(results(TINY, [[False] * 4] * 3)),
        "all/flux/._results.jsonl": b"\0\1",
        "all/notes.csv": b"a,b\n1,2\n",
        "all/sd3/00000/metadata.jsonl": as_bytes(TINY[:1]),
    }
    tar(tmp_path / "all.tar.gz", members)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    for name, data in members.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    for source in (tmp_path / "all.tar.gz", tmp_path / "all.zip", tmp_path / "tree"):
        found = benchmark().import_results(source)
        assert sorted(found) == ["flux", "sd3"]
        values = {n: summary(benchmark(), source, n)[1]["overall"].value for n in found}
        assert values == {"flux": 0.0, "sd3": 1.0}
        assert any("notes.csv" in note for note in found["sd3"].notes)


def test_top_level_results_of_an_archive_are_named_after_it(tmp_path):
    source = tar(tmp_path / "bagel.tar.gz", {"results.jsonl": as_bytes(results(TINY, [[True] * 4] * 3))})
    assert list(benchmark().import_results(source)) == ["bagel"]


@pytest.mark.parametrize("name", ["../results.jsonl", "/etc/results.jsonl", "a/../../results.jsonl"])
def test_archive_member_that_leaves_its_folder_is_refused(tmp_path, name):
    source = tar(tmp_path / "bad.tar.gz", {name: as_bytes(results(TINY, [[True] * 4] * 3))})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="leaves the archive"):
        benchmark().import_results(source)
    assert sorted(tmp_path.rglob("*")) == before


def test_links_in_archives_are_not_followed(tmp_path):
    (tmp_path / "secret.jsonl").write_bytes(as_bytes(results(TINY, [[True] * 4] * 3)))
    source = tar(
        tmp_path / "bad.tar.gz", {"results.jsonl": b""}, type=tarfile.SYMTYPE, linkname=str(tmp_path / "secret.jsonl")
    )
    with pytest.raises(DataError, match="no known GenEval results"):
        benchmark().import_results(source)


def test_unpacked_size_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "MAX_FILE_BYTES", 1000)
    source = tar(tmp_path / "big.tar.gz", {"results.jsonl": b" " * 5000})
    with pytest.raises(DataError, match="limit"):
        benchmark().import_results(source)


def test_unknown_damaged_and_absent_sources_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.jsonl").write_text('{"score": 1}\n')
    (tmp_path / "c.tar.gz").write_bytes(b"\x1f\x8b nothing")
    (tmp_path / "d.zip").write_bytes(b"PK")
    (tmp_path / "results.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "a.txt": "not a kind of result file",
        "b.jsonl": "no known GenEval results",
        "c.tar.gz": "damaged",
        "d.zip": "damaged",
        "results.jsonl": "empty file",
        "empty": "no known GenEval results",
        "nowhere": "no such file",
    }.items():
        with pytest.raises(DataError, match=message):
            benchmark().import_results(tmp_path / name)
