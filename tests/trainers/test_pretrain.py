"""Pretraining: determinism, exact resume, corpus noise, and the optimiser's pieces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import ConfigError, StoreError
from harness.models.micro import load as load_micro
from harness.models.micro import tokenizer
from harness.world.grammar import HELD_OUT, sample_layout, sample_spec
from harness.world.plan import scene_from_plan
from harness.world.scene import Scene
from trainers.pretrain import CHECKPOINT, PretrainConfig, run
from trainers.pretrain import loop as loop_module
from trainers.pretrain.corpus import BLOCK, Corpus
from trainers.pretrain.degrade import change_one_fact, degrade
from trainers.pretrain.loop import METRICS, STATE, Training, schedule
from trainers.pretrain.optimiser import orthogonalise

TINY = PretrainConfig(
    steps=12,
    width=24,
    layers=1,
    heads=2,
    batch_size=4,
    noise_draws=2,
    binding_steps=8,
    simple_steps=8,
    checkpoint_every=5,
    log_every=3,
    diagnose_every=1000,
    eval_prompts=0,
    half_precision=False,
)


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.pretrain.finish._diagnose", lambda network: {"found": 0.0})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_micro(str(folder)).network.state_dict()


def metrics(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "cpu_seconds"} for row in rows]


class KilledError(Exception):
    """Stands for the end of the process."""


def test_run_killed_at_any_step_and_resumed_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, float]] = []
    whole = run(TINY, tmp_path / "whole", rows.append)
    advance = Training.advance
    for killed_at in (3, 5, 11):

        def die(self: Training, corpus: Corpus, at: int = killed_at) -> dict[str, float]:
            if self.step == at:
                raise KilledError
            return advance(self, corpus)

        out = tmp_path / f"killed-{killed_at}"
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(loop_module.Training, "advance", die)
            run(TINY, out)
        again = run(TINY, out)
        assert again["fingerprint"] == whole["fingerprint"]
        for name, value in weights(tmp_path / "whole" / CHECKPOINT).items():
            assert torch.equal(value, weights(out / CHECKPOINT)[name]), name
        assert metrics(out) == metrics(tmp_path / "whole")
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert rows[-1]["diagnose/found"] == 0.0


def test_seed_changes_the_weights_and_the_checkpoint_tells_its_origin(tmp_path: Path) -> None:
    short = replace(TINY, steps=2, half_precision=True)
    a, b = run(short, tmp_path / "a"), run(replace(short, seed=1), tmp_path / "b")
    assert a["fingerprint"] != b["fingerprint"]
    manifest = json.loads((tmp_path / "b" / CHECKPOINT / "manifest.json").read_text())
    assert manifest["training"]["config"]["seed"] == 1
    assert manifest["training"]["steps"] == 2
    card = (tmp_path / "b" / CHECKPOINT / "CARD.md").read_text()
    assert "caption_noise" in card
    assert manifest["fingerprint"] in card


def test_finished_run_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(TINY, steps=2)
    first = run(short, tmp_path)
    monkeypatch.setattr(loop_module.Training, "advance", lambda *_: pytest.fail("trained again"))
    assert run(short, tmp_path)["fingerprint"] == first["fingerprint"]


def test_other_configuration_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    run(replace(TINY, steps=2), tmp_path)
    with pytest.raises(StoreError, match=r"lr: 0\.004 -> 0\.001"):
        run(replace(TINY, steps=2, lr=1e-3), tmp_path)


def test_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(b"torn")
    with pytest.raises(StoreError, match=r"state\.pt is not a readable training state"):
        run(TINY, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"image_noise": 1.5}, r"image_noise is 1\.5"),
        ({"share_plain": 0.6, "share_edit": 0.6}, "add up to more than 1"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **changes)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    config = replace(TINY, steps=64, binding_steps=64, width=48, heads=2, batch_size=8, log_every=16, warmup_steps=10)
    run(config, tmp_path)
    rows = metrics(tmp_path)
    assert rows[-1]["flow/plan"] < 0.5 * rows[0]["flow/plan"]
    assert rows[-1]["text/plan"] < 0.6 * rows[0]["text/plan"]


def test_schedule_warms_up_and_decays() -> None:
    config = replace(TINY, steps=1000, warmup_steps=100, decay_fraction=0.3, final_lr_fraction=0.02)
    assert [schedule(config, s) for s in (0, 49, 99, 500, 700)] == pytest.approx([0.01, 0.5, 1.0, 1.0, 1.0])
    assert schedule(config, 850) == pytest.approx(0.5)
    assert schedule(config, 999) == pytest.approx(0.02)


def test_batches_depend_on_the_step_alone_and_have_all_tasks() -> None:
    config = replace(TINY, binding_steps=BLOCK)
    forward, backward = Corpus(config), Corpus(config)
    steps = range(6 * BLOCK)
    ahead = [forward.batch(s) for s in steps]
    for step in reversed(steps):
        batch = backward.batch(step)
        assert batch.task == ahead[step].task
        assert torch.equal(batch.target, ahead[step].target)
        assert torch.equal(batch.prompt, ahead[step].prompt)
    assert {b.task for b in ahead[:BLOCK]} == {"plan", "describe"}
    assert {b.task for b in ahead[BLOCK:]} == {"think", "plain", "edit", "edit-think", "reflect", "describe"}
    for batch in ahead:
        assert (batch.source is not None) == batch.task.startswith(("edit", "reflect", "describe"))
        assert (batch.thought is None) == (batch.task in ("plain", "edit"))
        assert batch.target.min() >= -1 and batch.target.max() <= 1
        assert batch.target.shape == (4, 9, 768)


def test_thoughts_of_the_corpus_are_plans_without_held_out_combinations() -> None:
    corpus = Corpus(replace(TINY, binding_steps=0))
    seen = 0
    for step in range(4 * BLOCK):
        batch = corpus.batch(step)
        if batch.thought is None:
            continue
        for ids in batch.thought.tolist():
            words = tokenizer.decode_words(ids)
            scene = scene_from_plan(words[3:] if batch.task == "reflect" else words)
            assert scene is not None
            assert not {(o.colour, o.shape) for o in scene.objects} & HELD_OUT
            seen += 1
    assert seen > 20


def test_change_of_one_fact_changes_one_thing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = sample_layout(rng, sample_spec(rng))
        changed = change_one_fact(rng, scene)
        before, after = set(scene.objects), set(changed.objects)
        moved = max(len(before - after), len(after - before))
        assert (moved, scene.background == changed.background) in {(1, True), (0, False)}
    single = Scene(0, scene.objects[:1])
    assert all(len(change_one_fact(rng, single).objects) >= 1 for _ in range(50))


def test_degraded_images_stay_in_range_and_differ() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((48, 48, 3)).astype(np.float32)
    for _ in range(40):
        out = degrade(rng, image)
        assert out.dtype == np.float32
        assert out.min() >= 0 and out.max() <= 1
        assert not np.array_equal(out, image)


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 96, 24), (2, 24, 96)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(x))
    assert 0.3 < values.median() < 1.3
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    similarity = torch.einsum("bij,bij->b", orthogonalise(x), u @ v) / min(shape[1:])
    assert bool((similarity > 0.6).all())


def test_shipped_configuration_is_the_default_one() -> None:
    import msgspec
    import yaml

    path = Path(__file__).parents[2] / "trainers" / "configs" / "micro-pretrain.yaml"
    assert msgspec.convert(yaml.safe_load(path.read_text()), PretrainConfig) == PretrainConfig()
