"""The learned judge: exact reading of known scenes, truthful labels, and what its shipped weights are worth."""

import itertools
import json
import shutil

import numpy as np
import pytest

from harness import seeds
from harness.errors import ConfigError, JudgeError
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.images import ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.micro_cnn import FOLDER, MicroCnnJudge, load
from harness.judges.micro_cnn.corpus import (
    OTHER_BACKGROUND,
    draw,
    of_scenes,
    prompted_scene,
    random_scene,
)
from harness.judges.micro_cnn.evaluate import bench_cases
from harness.judges.micro_cnn.evaluate import evaluate as evaluate_weights
from harness.judges.micro_cnn.quality import measured_quality
from harness.judges.micro_cnn.reader import Reading, answer, believe, detections, n_distribution
from harness.progress import Silent
from harness.types import Question
from harness.world import parse
from harness.world.degrade import degrade
from harness.world.grammar import HELD_OUT, facts_of, holds, question_graph, question_text
from harness.world.render import render, render_float
from harness.world.scene import COLOURS, SHAPES, Scene, SceneObject
from harness.world.verifier import QUALITY_QUESTIONS


def certain(scene):
    """The reading of a perfect eye."""
    seen = Reading(
        presence=np.zeros(9),
        shape=np.full((9, 6), 1 / 6),
        colour=np.full((9, 8), 1 / 8),
        size=np.full((9, 3), 1 / 3),
        striped=np.full(9, 0.5),
        offset=np.zeros((9, 2)),
        background=np.eye(5)[scene.background],
        quality=np.ones(7),
    )
    for o in scene.objects:
        seen.presence[o.cell] = 1.0
        seen.shape[o.cell], seen.colour[o.cell] = np.eye(6)[o.shape], np.eye(8)[o.colour]
        seen.size[o.cell], seen.striped[o.cell] = np.eye(3)[o.size], o.texture
    return seen


def facts_and_scenes(n):
    rng = seeds.numpy_generator(3, "test-reader")
    cases = [prompted_scene(rng, "bench") for _ in range(n)]
    for (spec, scene, _), (_, other, _) in itertools.pairwise(cases):
        for fact in (node.fact for node in question_graph(spec)):
            yield fact, scene
            yield fact, other


def test_certain_readings_give_the_truth_of_every_kind_of_fact():
    kinds = set()
    for fact, scene in facts_and_scenes(400):
        assert believe(certain(scene), fact) == pytest.approx(float(holds(scene, fact))), (fact, scene)
        kinds.add(fact.kind)
    assert kinds == {
        *("exists", "none", "count", "attribute", "relation", "place", "size", "number", "same", "different"),
        "background",
    }


def test_uncertain_presence_is_summed_over_all_scenes_it_allows():
    rng = seeds.numpy_generator(0, "test-presence")
    exact = {"exists", "none", "count", "attribute", "place", "background"}
    n_checked = 0
    for fact, scene in facts_and_scenes(60):
        if fact.kind not in exact or not 1 <= len(scene.objects) <= 5:
            continue
        chance = rng.random(len(scene.objects))
        seen = certain(scene)
        seen.presence[[o.cell for o in scene.objects]] = chance
        expected = 0.0
        for there in itertools.product((0, 1), repeat=len(chance)):
            p = np.prod([c if t else 1 - c for c, t in zip(chance, there, strict=True)])
            some = tuple(o for o, t in zip(scene.objects, there, strict=True) if t)
            expected += p * holds(Scene(scene.background, some), fact)
        assert believe(seen, fact) == pytest.approx(expected), fact
        n_checked += 1
    assert n_checked > 100


def test_number_of_members_has_the_distribution_of_independent_cells():
    p = np.array([0.5, 0.2, 1.0, 0, 0, 0, 0, 0, 0.9])
    found = n_distribution(p)
    assert found.sum() == pytest.approx(1.0)
    assert found @ np.arange(10) == pytest.approx(p.sum())
    assert found[0] == 0 and found[1] == pytest.approx(0.5 * 0.8 * 0.1)


def test_questions_outside_the_grammar_are_refused():
    with pytest.raises(JudgeError, match="question grammar"):
        answer(certain(Scene(0, ())), "Is it a nice picture?")


# Training pictures


def test_training_scenes_have_no_held_out_combination():
    rng = seeds.numpy_generator(0, "test-held-out")
    for scene in [random_scene(rng) for _ in range(200)] + [prompted_scene(rng)[1] for _ in range(200)]:
        assert not any((o.colour, o.shape) in HELD_OUT for o in scene.objects)


def test_labels_name_what_was_drawn():
    rng = seeds.numpy_generator(0, "test-labels")
    scenes = [prompted_scene(rng)[1] for _ in range(20)]
    labelled = of_scenes(rng, scenes)
    for i, scene in enumerate(scenes):
        assert set(np.flatnonzero(labelled.presence[i])) == {o.cell for o in scene.objects}
        for o in scene.objects:
            assert labelled.attributes[i, o.cell].tolist() == [o.shape, o.colour, o.size, o.texture]
        assert labelled.background[i] == scene.background
    assert np.abs(labelled.offset).max() <= 0.5
    shown = labelled.quality[[bool(s.objects) for s in scenes]]
    assert (shown == 1).all()


@pytest.mark.parametrize(
    ("how", "lost"),
    [("grain", "uniform"), ("specks", "speckle"), ("desaturate", "saturation"), ("blur", "geometry")],
)
def test_measured_quality_notices_full_damage(how, lost):
    scenes = [Scene(0, (SceneObject(0, 0, 2, 4), SceneObject(5, 4, 1, 0))), Scene(2, (SceneObject(2, 3, 2, 8),))]
    presence = np.zeros((2, 9))
    presence[0, [0, 4]] = presence[1, 8] = 1
    clean = render_float(scenes, [1, 2])
    damaged = degrade(render(scenes, [1, 2]), how, [5, 6], strength=1.0) / 255.0
    names = list(QUALITY_QUESTIONS)
    assert measured_quality(clean, clean, presence).all()
    assert not measured_quality(damaged, clean, presence)[:, names.index(lost)].any()


def test_drawn_batches_have_all_sorts_and_depend_on_the_generator_alone():
    a, b = (draw(seeds.numpy_generator(1, "test-draw"), 200) for _ in range(2))
    for name in a.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert len(a.pictures) == 200
    assert (a.background == OTHER_BACKGROUND).any() and (a.weight == 0).any()
    assert not a.shape_known.all() and not a.colour_known.all()
    assert 0.3 < np.nanmean(a.quality) < 0.95


def test_training_is_reproducible_and_leaves_the_global_generator_alone():
    import torch

    from harness.judges.micro_cnn.train import Settings, fit, new_network

    settings = Settings(steps=2, batch_size=4)
    before = torch.get_rng_state()
    states = []
    for _ in range(2):
        network = new_network(settings)
        fit(network, settings, verbose=False)
        states.append(network.state_dict())
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


# The shipped weights


@pytest.fixture(scope="module")
def judge():
    return load("")


def yes(judge, image, *texts):
    questions = tuple(Question(id=str(i), text=t) for i, t in enumerate(texts))
    (reply,) = judge.ask([JudgeRequest(kind="yesno", form="test", questions=questions, images=(image,))])
    return [a.value for a in reply.answers]


def test_weights_are_small_and_their_card_tells_how_they_were_made():
    assert (FOLDER / "model.safetensors").stat().st_size <= 1_000_000
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["training"]["cpu_seconds"] <= 8.5 * 60
    card = (FOLDER / "CARD.md").read_text()
    assert manifest["training"]["command"] in card and manifest["sha256"] in card
    for kind, value in manifest["scores"]["clean"]["accuracy"].items():
        assert f"| {kind} |" in card and f"{value:.3f}" in card


def test_clean_held_out_scenes_are_answered_rightly_and_calibrated():
    scores = evaluate_weights(FOLDER, 150)
    assert scores["clean"]["accuracy"]["all facts"] >= 0.97
    assert min(v for k, v in scores["clean"]["accuracy"].items() if scores["clean"]["n"][k] >= 30) >= 0.9
    assert scores["clean"]["calibration_rms"] < 0.06
    assert scores["damaged"]["accuracy"]["all facts"] >= 0.85


def test_recorded_scores_are_those_of_the_shipped_weights():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["scores"]["clean"]["accuracy"]["all facts"] >= 0.95
    assert evaluate_weights(FOLDER, 1)["clean"]["n"]["quality"] == 7


def test_readings_do_not_depend_on_the_batch(judge):
    pictures = render([s for s, _ in bench_cases(40)], range(40))
    together = judge.look(pictures)
    alone = [judge.look(pictures[i : i + 1])[0] for i in range(40)]
    behind = judge.look(pictures[::-1])[::-1]
    for a, b, c in zip(together, alone, behind, strict=True):
        for name in a.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            np.testing.assert_array_equal(getattr(a, name), getattr(c, name))


def test_detections_lie_on_the_drawn_objects(judge):
    scenes = [s for s, _ in bench_cases(60) if not any((o.colour, o.shape) in HELD_OUT for o in s.objects)]
    pictures = render(scenes, range(len(scenes)))
    n_found = n_objects = 0
    for scene, picture, seen in zip(scenes, pictures, judge.look(pictures), strict=True):
        boxes, colours = detections(seen)
        ink = np.abs(picture.astype(int) - picture[0, 0]).sum(-1) > 60
        for o in scene.objects:
            row, column = 16 * (o.cell // 3), 16 * (o.cell % 3)
            y, x = np.nonzero(ink[row : row + 16, column : column + 16])
            true = (column + x.min(), row + y.min(), column + x.max() + 1, row + y.max() + 1)
            rows = zip(boxes.get(SHAPES[o.shape], []), colours.get(SHAPES[o.shape], []), strict=True)
            n_objects += 1
            n_found += any(iou(b, true) > 0.6 and b[4] > 0.9 and c == COLOURS[o.colour] for b, c in rows)
    assert n_objects > 80 and n_found / n_objects > 0.97


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_the_scene_parser_is_never_asked(judge, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the learned judge looked through the parser")

    for name in ("perceive", "_perceive", "_objects", "_fit"):
        monkeypatch.setattr(parse, name, refuse)
    spec, scene, is_right = prompted_scene(seeds.numpy_generator(0, "test-parser"))
    image = as_ref(render([scene], [0])[0])
    texts = [question_text(fact) for fact in facts_of(spec)] + list(QUALITY_QUESTIONS.values())
    assert (min(yes(judge, image, *texts)) > 0.5) == is_right


def as_ref(array):
    from PIL import Image

    return ref_of_image(Image.fromarray(array))


def test_noise_acts_on_the_answers():
    image = as_ref(render([Scene(0, (SceneObject(0, 0, 2, 4),))])[0])
    question = "Is there a red circle in the picture?"
    (clean,), (flipped,) = yes(load(""), image, question), yes(load("flip=1"), image, question)
    assert clean > 0.95
    assert flipped == pytest.approx(1 - clean, abs=1e-3)
    assert load("").fingerprint != load("flip=1").fingerprint
    with pytest.raises(ConfigError, match="micro-cnn:flop=1"):
        load("flop=1")


def test_damaged_or_foreign_weights_are_refused(tmp_path):
    folder = tmp_path / "weights"
    shutil.copytree(FOLDER, folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(JudgeError, match="sha256"):
        MicroCnnJudge(folder=folder)
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    other = tmp_path / "other"
    shutil.copytree(FOLDER, other)
    (other / "manifest.json").write_text(json.dumps({**manifest, "drawing": "0" * 12}))
    with pytest.raises(JudgeError, match="drawing"):
        MicroCnnJudge(folder=other)
    with pytest.raises(JudgeError, match=r"no readable manifest\.json"):
        MicroCnnJudge(folder=tmp_path / "nowhere")


def test_all_five_micro_benchmarks_are_judged_completely(tmp_path):
    config = EvalConfig(
        benchmarks=["geneval", "tiif", "dpg", "wise", "gedit"],
        limit=4,
        out=str(tmp_path),
        threads=1,
        judge="micro-cnn",
    )
    result = evaluate(config, "micro", Silent())
    assert result.complete
    for name, block in result.summary["benchmarks"].items():
        assert block["n_missing"] == 0, name
        assert "micro-cnn" in str(block["judge"]), name
