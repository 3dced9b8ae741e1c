import gzip
import hashlib
import json
import subprocess
import sys

import pytest

from benchmarks.geneval import GenEval, GenEvalOptions
from benchmarks.geneval.data import lock
from harness.errors import ConfigError, DataError
from harness.images import ImageRef
from harness.registry import BENCHMARKS
from harness.types import Generation, Judgement, Prompt, SampleKey

RED_CAT = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}], "prompt": "a photo of a red cat"}
CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"}
PROMPT = Prompt(id="geneval/00001", text=RED_CAT["prompt"], category="colors", meta=RED_CAT)
KEY = SampleKey(benchmark="geneval", prompt_id=PROMPT.id, index=2)


def generation(**fields):
    return Generation(**{"id": "g", "key": KEY, "seed": 0, "policy": "p", "params": {}, **fields})


def judgement(payload, **fields):
    base = {"id": "j", "key": KEY, "question_id": "detections", "judge": "d", "payload": payload}
    return Judgement(**{**base, **fields})


def bench(protocol="official", profile="official", data_dir=None, **options):
    return GenEval(profile=profile, protocol=protocol, options=GenEvalOptions(**options), data_dir=data_dir)


def test_package_imports_without_torch_and_scipy():
    code = "import benchmarks.geneval, sys; print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_registered_under_its_name():
    assert BENCHMARKS.get("geneval") is GenEval


@pytest.mark.parametrize("prompt_set", ["short", "long"])
def test_official_prompts_in_official_order(official, prompt_set):
    prompts = bench(data_dir=official, prompt_set=prompt_set).prompts()
    counts = {}
    for p in prompts:
        counts[p.category] = counts.get(p.category, 0) + 1
    expected = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}
    assert counts == expected
    assert list(counts) == list(expected)
    assert (prompts[0].id, prompts[552].id) == ("geneval/00000", "geneval/00552")
    assert (prompts[0].text == "a photo of a bench") is (prompt_set == "short")
    assert all(p.text == p.meta["prompt"] for p in prompts)


def test_absent_official_data_names_the_command(tmp_path):
    for data_dir in (None, tmp_path):
        with pytest.raises(DataError, match=r"run\.py data prepare geneval"):
            bench(data_dir=data_dir).prompts()


def test_changed_official_data_are_refused_with_both_hashes(official, tmp_path):
    (tmp_path / "geneval").mkdir()
    data = (official / "geneval" / "evaluation_metadata.jsonl").read_bytes()
    (tmp_path / "geneval" / "evaluation_metadata.jsonl").write_bytes(data.replace(b"bench", b"couch", 1))
    with pytest.raises(DataError, match=r"expected 5c48e081"):
        bench(data_dir=tmp_path).prompts()


def test_lock_describes_the_official_files(official):
    folder = official / "geneval"
    for entry in (e for source in lock()["sources"] for e in source["files"]):
        packed = folder / (entry["name"] + ".gz")
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / entry["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert entry.get("bytes", len(data)) == len(data)
        assert data.count(b"\n") - entry["name"].endswith(".csv") == entry["rows"]


def test_data_id_tells_prompt_sets_and_thresholds_apart():
    ids = [bench(), bench(prompt_set="long"), bench(threshold=0.4), bench(max_objects=8)]
    assert [b.data_id for b in ids] == [
        "geneval-short@5c48e0813e81",
        "geneval-long@09472cc9c24e",
        "geneval-short@5c48e0813e81+threshold=0.4",
        "geneval-short@5c48e0813e81+max_objects=8",
    ]


def test_wrong_options_are_refused():
    with pytest.raises(ConfigError, match="prompt_set"):
        GenEvalOptions(prompt_set="medium")
    with pytest.raises(ConfigError, match="samples_per_prompt"):
        GenEvalOptions(samples_per_prompt=0)


def test_one_detect_request_with_one_question():
    image = ImageRef("sha", lambda: None)
    (request,) = bench().requests(PROMPT, generation(), [image])
    assert (request.kind, request.form, request.images, len(request.questions)) == ("detect", "geneval", (image,), 1)
    assert request.fields == {"colour_classes": ["cat"], "min_score": 0.3}
    assert request.questions[0].tag == "colors"
    plain = Prompt(id="geneval/00000", text="", category="single_object", meta=CAT)
    assert bench().requests(plain, generation(), [image])[0].fields == {}


def test_score_is_one_verdict_with_reason():
    rows = [[0, 0, 9, 9, 0.8], [0, 0, 9, 9, 0.7]]
    payload = {"detections": {"cat": rows}, "colours": {"cat": ["blue", "red"]}}
    (score,) = bench().score(PROMPT, generation(), [judgement(payload)])
    assert (score.key, score.metric, score.value) == (KEY, "correct", 0.0)
    assert score.reason == "expected red cat>=1, found 0 red; and 1 blue"
    (score,) = bench("corrected").score(PROMPT, generation(), [judgement(payload)])
    assert (score.value, score.reason) == (1.0, "")


def test_score_survives_json():
    payload = {"detections": {"cat": [[0, 0, 9, 9, 0.30000001192092896]]}, "colours": {"cat": ["red"]}}
    (score,) = bench().score(PROMPT, generation(), [judgement(json.loads(json.dumps(payload)))])
    assert score.value == 0.0


def test_missing_judgement_is_missing_data_with_the_reason():
    (score,) = bench().score(PROMPT, generation(), [])
    assert (score.value, score.reason) == (None, "not judged")
    (score,) = bench().score(PROMPT, generation(), [judgement({}, status="error", error="out of memory")])
    assert (score.value, score.reason) == (None, "judge: error out of memory")
    (score,) = bench().score(PROMPT, generation(status="refused", error="policy"), [])
    assert (score.value, score.reason) == (None, "no image: refused policy")


def test_malformed_payload_is_refused_with_prompt_and_judge():
    for payload in ({}, {"detections": []}, {"detections": {"cat": [[0, 0, 9, 9, 0.8]]}, "colours": {}}):
        with pytest.raises(DataError, match=r"geneval/00001 image 2: judgement j of d"):
            bench().score(PROMPT, generation(), [judgement(payload)])


def make_folder(root, name, metadata, files):
    folder = root / name
    (folder / "samples").mkdir(parents=True)
    (folder / "metadata.jsonl").write_text(json.dumps(metadata))
    for file in files:
        (folder / "samples" / file).write_bytes(b"")
    return folder


def test_folder_metadata_not_its_number_decides_the_prompt(tmp_path):
    make_folder(tmp_path, "00007", RED_CAT, ["00000.png", "00002.png", "00003.png.bak", "00004.jpg"])
    make_folder(tmp_path, "1", CAT, ["0000.png"])
    (tmp_path / "00007x").mkdir()
    b = bench()
    assert b.find_image(tmp_path, PROMPT, 2) == tmp_path.resolve() / "00007" / "samples" / "00002.png"
    assert [b.find_image(tmp_path, PROMPT, i) for i in (1, 3, 4)] == [None] * 3
    cat = Prompt(id="geneval/00007", text="", category="single_object", meta=CAT)
    assert b.find_image(tmp_path, cat, 0).name == "0000.png"
    dog = Prompt(id="x", text="", meta={"tag": "single_object", "include": [{"class": "dog", "count": 1}]})
    assert b.find_image(tmp_path, dog, 0) is None


def test_folder_of_another_wording_is_refused(tmp_path):
    make_folder(tmp_path, "00000", {**RED_CAT, "prompt": "A crimson feline."}, ["00000.png"])
    with pytest.raises(DataError, match="prompt_set"):
        bench().find_image(tmp_path, PROMPT, 0)


def test_ambiguous_and_incomplete_folders_are_refused(tmp_path):
    make_folder(tmp_path / "a", "00000", RED_CAT, ["0000.png", "00000.png"])
    with pytest.raises(DataError, match="both sample 0"):
        bench().find_image(tmp_path / "a", PROMPT, 0)
    make_folder(tmp_path / "b", "00000", RED_CAT, [])
    make_folder(tmp_path / "b", "00001", RED_CAT, [])
    with pytest.raises(DataError, match="same demands"):
        bench().find_image(tmp_path / "b", PROMPT, 0)
    (tmp_path / "c" / "00000").mkdir(parents=True)
    with pytest.raises(DataError, match=r"metadata\.jsonl: missing"):
        bench().find_image(tmp_path / "c", PROMPT, 0)
    with pytest.raises(DataError, match="no such folder"):
        bench().find_image(tmp_path / "d", PROMPT, 0)


def test_micro_edition_takes_prompts_from_the_micro_world(monkeypatch):
    import types

    module = types.ModuleType("benchmarks.micro.geneval")
    module.prompts = lambda n_per_tag, seed: [
        Prompt(id=f"geneval/{seed}-{i}", text="t", category="single_object", meta=CAT) for i in range(n_per_tag)
    ]
    monkeypatch.setitem(sys.modules, "benchmarks.micro.geneval", module)
    b = bench(profile="micro", prompts_per_tag=3, prompt_seed=5)
    assert [p.id for p in b.prompts()] == ["geneval/5-0", "geneval/5-1", "geneval/5-2"]
    assert b.data_id.startswith("geneval-micro@")
    assert b.data_id != bench(profile="micro", prompts_per_tag=3, prompt_seed=6).data_id
    assert b.data_id != bench(profile="micro", prompts_per_tag=2, prompt_seed=5).data_id
