import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.geneval import GenEval, GenEvalOptions
from harness.errors import ConfigError, DataError, JudgeError
from harness.images import ImageRef, ref_of_file, ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.detector import build_model, config_from_state_dict, convert_state_dict, detect, to_rgb
from harness.judges.detector.classes import CLASS_NAMES, COLOURS
from harness.judges.geneval_hf_m2f import check_classes
from harness.judging import call_id, records_of
from harness.registry import JUDGES
from harness.types import Generation, Prompt, Question, SampleKey
from tests.harness.judges.detector import checkpoint
from tests.harness.judges.detector.clip import save_tiny_clip
from tests.harness.judges.detector.test_files import save_checkpoint

OFFICIAL, HUB = "geneval-official", "geneval-hf-m2f"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    save_checkpoint(folder / "detector.pth", checkpoint.random_checkpoint(seed=2))
    save_tiny_clip(folder / "clip")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 240, 3), dtype=np.uint8)).save(
        folder / "picture.png"
    )
    return folder


def argument(place, *more):
    options = (
        "allow_pickle=true",
        "allow_unknown_hash=true",
        f"clip={place}/clip",
        f"cache={place}/cache",
        "device=cpu",
    )
    return ",".join((f"{place}/detector.pth", *options, *more))


@pytest.fixture(scope="module")
def judge(place):
    return JUDGES.get(OFFICIAL)(argument(place))


@pytest.fixture(scope="module")
def expected(place):
    """The detections of the picture, straight from the functions."""
    source = checkpoint.random_checkpoint(seed=2)
    model = build_model(config_from_state_dict(source), tensors=convert_state_dict(source))
    return detect(model, to_rgb(Image.open(place / "picture.png")))


def request(image, **fields):
    return JudgeRequest(
        kind="detect",
        form="geneval",
        questions=(Question(id="detections", text="objects"),),
        images=(image,),
        fields=fields,
    )


def ask(judge, *requests):
    return [reply.answers[0] for reply in judge.ask(requests)]


def test_class_names_are_the_benchmarks_by_index(official):
    assert list(CLASS_NAMES) == (official / "geneval" / "object_names.txt").read_text().splitlines()


def test_every_class_of_the_official_prompts_is_known(official):
    classes = {
        clause["class"]
        for p in GenEval(profile="official", protocol="official", data_dir=official).prompts()
        for clause in p.meta["include"]
    }
    assert classes <= set(CLASS_NAMES)


def test_payload_holds_all_detections_by_class_in_the_detectors_order(judge, place, expected):
    (answer,) = ask(judge, request(ref_of_file(place / "picture.png")))
    assert (answer.status, answer.value) == ("ok", 100.0)
    detections = answer.payload["detections"]
    assert answer.payload["colours"] == {}
    assert list(detections) == [CLASS_NAMES[i] for i in sorted(set(expected.labels.tolist()))]
    for name, rows in detections.items():
        places = [i for i, label in enumerate(expected.labels) if CLASS_NAMES[label] == name]
        assert rows == [[*expected.boxes[i].tolist(), float(np.float32(expected.scores[i]))] for i in places]
    assert sum(map(len, detections.values())) == 100
    assert json.loads(json.dumps(answer.payload)) == answer.payload


def test_colours_of_the_asked_class_above_the_score_only(judge, place, expected):
    name = CLASS_NAMES[int(np.bincount(expected.labels).argmax())]
    (plain,) = ask(judge, request(ref_of_file(place / "picture.png")))
    scores = [row[4] for row in plain.payload["detections"][name]]
    limit = sorted(scores)[len(scores) // 2]
    (answer,) = ask(judge, request(ref_of_file(place / "picture.png"), colour_classes=[name], min_score=limit))
    assert answer.payload["detections"] == plain.payload["detections"]
    assert list(answer.payload["colours"]) == [name]
    colours = answer.payload["colours"][name]
    assert len(colours) == len(scores)
    assert [c is not None for c in colours] == [s > limit for s in scores]
    assert any(colours)
    assert {c for c in colours if c} <= set(COLOURS)


def test_answers_do_not_depend_on_what_is_asked_together(judge, place):
    other = ref_of_image(Image.fromarray(np.random.default_rng(5).integers(0, 256, (240, 9, 3), dtype=np.uint8)))
    requests = [request(ref_of_file(place / "picture.png")), request(other)]
    assert ask(judge, *requests) == [ask(judge, r)[0] for r in requests]


def test_verdicts_come_out_of_the_benchmarks_adapter(judge, place, expected):
    # Random weights are never sure: every detection counts.
    bench = GenEval(profile="official", protocol="official", options=GenEvalOptions(threshold=0.0))
    best = int(np.argmax(expected.scores))
    name = CLASS_NAMES[int(expected.labels[best])]
    image = ref_of_file(place / "picture.png")
    verdicts = {}
    absent = next(n for i, n in enumerate(CLASS_NAMES) if i not in expected.labels)
    cases = {
        "there": ({"class": name, "count": 1}, "single_object"),
        "absent": ({"class": absent, "count": 1}, "single_object"),
    }
    cases |= {c: ({"class": name, "count": 1, "color": c}, "colors") for c in COLOURS}
    for label, (clause, tag) in cases.items():
        prompt = Prompt(id=f"geneval/{label}", text="", category=tag, meta={"tag": tag, "include": [clause]})
        key = SampleKey(benchmark="geneval", prompt_id=prompt.id)
        generation = Generation(id="g", key=key, seed=0, policy="p", params={})
        (asked,) = bench.requests(prompt, generation, [image])
        (reply,) = judge.ask([asked])
        records = records_of(judge, call_id(judge.fingerprint, asked), asked, key, reply)
        (score,) = bench.score(prompt, generation, records)
        verdicts[label] = (score.value, score.reason)
    assert verdicts["there"] == (1.0, "")
    assert verdicts["absent"] == (0.0, f"expected {absent}>=1, found 0")
    right = [c for c in COLOURS if verdicts[c][0] == 1.0]
    assert len(right) == 1
    wrong = next(c for c in COLOURS if c not in right)
    assert verdicts[wrong][1] == f"expected {wrong} {name}>=1, found 0 {wrong}; and 1 {right[0]}"


def test_pictures_that_cannot_be_judged_are_missing_data(judge, place):
    def broken():
        raise DataError("picture.png: cannot be decoded (cut).")

    float_picture = ImageRef("f", lambda: Image.new("F", (300, 10)))
    good = request(ref_of_file(place / "picture.png"))
    answers = ask(judge, request(ImageRef("b", broken)), request(float_picture), good)
    assert [a.status for a in answers] == ["error", "error", "ok"]
    assert answers[0].error == "picture.png: cannot be decoded (cut)."
    assert answers[0].value is None
    assert "mode 'F'" in answers[1].error


def test_classes_and_questions_of_another_kind_are_not_answered(judge, place):
    image = ref_of_file(place / "picture.png")
    (answer,) = ask(judge, request(image, colour_classes=["circle"], min_score=0.3))
    assert answer.status == "error"
    assert "'circle' is not among the detector's 80 classes" in answer.error
    wrong = JudgeRequest(kind="yesno", form="tiif", questions=(Question(id="q", text="?"),), images=(image,))
    assert ask(judge, wrong)[0].status == "error"


def test_without_a_classifier_prompts_with_colours_stay_open(place):
    judge = JUDGES.get(OFFICIAL)(argument(place).replace(f"clip={place}/clip", "clip=none"))
    image = ref_of_file(place / "picture.png")
    answers = ask(judge, request(image), request(image, colour_classes=["cat"], min_score=0.3))
    assert [a.status for a in answers] == ["ok", "error"]
    assert "clip=none" in answers[1].error
    assert "+clip-none+" in judge.fingerprint


def test_fingerprint_tells_what_answers_depend_on(judge, place):
    import importlib.metadata

    from harness.judges.detector.identity import file_sha256

    text = judge.fingerprint
    assert text.startswith(f"geneval-official@{file_sha256(place / 'detector.pth')[:16]}+mmdet-2.x+unknown-hash(swin")
    for part in ("converter-1", "+clip-", "tf32-conv-off", "tf32-matmul-off", "resize-integer-bilinear", "+cpu+"):
        assert part in text
    for package in ("torch", "transformers"):
        assert f"{package}-{importlib.metadata.version(package)}" in text
    assert " " not in text
    same = JUDGES.get(OFFICIAL)(argument(place))
    rounded = JUDGES.get(OFFICIAL)(argument(place, "tf32=convolutions"))
    assert same.fingerprint == text
    assert "tf32-conv-on" in rounded.fingerprint


def test_models_are_loaded_at_the_first_question_only(place):
    judge = JUDGES.get(OFFICIAL)(argument(place))
    assert judge._detector is None
    ask(judge, request(ref_of_file(place / "picture.png")))
    assert judge._detector is not None
    assert judge._colours is None
    judge.close()
    assert judge._detector is None


def test_selftest_refuses_weights_that_find_nothing(place):
    judge = JUDGES.get(OFFICIAL)(argument(place, f"selftest={place}/picture.png"))
    with pytest.raises(
        JudgeError, match=r"self-test on .*picture\.png: the best detection is .* expected one above 0\.9"
    ):
        ask(judge, request(ref_of_file(place / "picture.png")))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("devise=cpu", r"unknown key 'devise'.*Did you mean 'device'"),
        ("tf32=yes", "tf32"),
        ("second/path", r"'second/path' is neither the first part"),
        ("device=cuda:99", "device=cuda:99: not usable here"),
        ("clip_precision=autocast", "needs a CUDA device"),
    ],
)
def test_wrong_options_are_refused(place, more, words):
    with pytest.raises(ConfigError, match=words):
        JUDGES.get(OFFICIAL)(argument(place, more))


def test_official_needs_a_checkpoint_and_says_which(tmp_path):
    with pytest.raises(ConfigError, match=r"743b7d99.*docs/geneval-detector\.md"):
        JUDGES.get(OFFICIAL)(f"cache={tmp_path}")


def test_official_refuses_a_tiny_classifier_without_permission(place, monkeypatch):
    from harness.judges.detector import identity
    from harness.judges.detector.identity import file_sha256

    monkeypatch.setitem(identity.OFFICIAL_HASHES, file_sha256(place / "detector.pth")[:8], "mmdet-2.x")
    with pytest.raises(JudgeError, match="CLIP ViT-L/14"):
        JUDGES.get(OFFICIAL)(argument(place).replace("allow_unknown_hash=true,", ""))


def test_missing_classifier_is_named(place):
    with pytest.raises(JudgeError, match=r"\./absent: no such folder"):
        JUDGES.get(OFFICIAL)(argument(place).replace(f"clip={place}/clip", "clip=./absent"))
    (place / "empty").mkdir()
    with pytest.raises(JudgeError, match=r"has no config\.json"):
        JUDGES.get(OFFICIAL)(argument(place).replace(f"clip={place}/clip", f"clip={place}/empty"))


# -- the hub's own weights ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub_folder(place):
    source = checkpoint.random_checkpoint(seed=2)
    model = build_model(config_from_state_dict(source), tensors=convert_state_dict(source))
    model.config.id2label = {i: {"tv remote": "remote"}.get(n, n) for i, n in enumerate(CLASS_NAMES)}
    model.save_pretrained(place / "hub")
    return place / "hub"


def test_hub_weights_are_another_judge_with_another_name(judge, place, hub_folder):
    hub = JUDGES.get(HUB)(f"{hub_folder},clip={place}/clip,device=cpu")
    assert hub.fingerprint.startswith("geneval-hf-m2f@")
    assert "resize-Pillow-bilinear" in hub.fingerprint
    image = ref_of_file(place / "picture.png")
    (answer,) = ask(hub, request(image, colour_classes=["cat"], min_score=0.0))
    assert answer.status == "ok"
    assert sum(map(len, answer.payload["detections"].values())) == 100
    # Same tensors, read through the library's own files; other pixels.
    (other,) = ask(judge, request(image))
    assert answer.payload["detections"] != other.payload["detections"]
    loaded, own = hub._detector.state_dict(), judge._detector.state_dict()
    assert all(torch.equal(loaded[n], own[n]) for n in own if "swin.layernorm" not in n)


def test_hub_weights_need_coco_classes_in_order(hub_folder):
    from transformers import Mask2FormerConfig

    config = Mask2FormerConfig.from_pretrained(hub_folder)
    check_classes(config, "x")
    config.id2label = {**config.id2label, 3: "cat"}
    with pytest.raises(JudgeError, match="class 3 is called 'cat', expected 'motorcycle'"):
        check_classes(config, "x")
    with pytest.raises(JudgeError, match="133 classes"):
        check_classes(Mask2FormerConfig(num_labels=133), "x")


def test_hub_judge_refuses_options_of_the_other(place, hub_folder):
    with pytest.raises(ConfigError, match="unknown key 'allow_pickle'"):
        JUDGES.get(HUB)(f"{hub_folder},allow_pickle=true")


def test_judges_are_listed_without_heavy_imports():
    code = (
        "import sys; from harness.registry import JUDGES; names = JUDGES.names(); "
        "JUDGES.get('geneval-official'); JUDGES.get('geneval-hf-m2f'); import harness.judges.detector.judge; "
        "print({'geneval-official', 'geneval-hf-m2f'} <= set(names), 'detector' in names, "
        "sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "True False []"
