"""Checkpoints of the SD3 policy: nothing is lost on the way, other tools read them, damage is told."""

import json
import shutil

import numpy as np
import pytest
import torch

from harness.errors import ConfigError, PolicyError
from harness.models.base import Contexts, GenerationParams, Request
from harness.models.load import load_policy

torch.set_num_threads(1)
LORA = {"lora_rank": 4, "lora_alpha": 12}


def velocity(policy):
    x = policy.initial_noise([1, 2])
    context = policy.extend(policy.context(2), ["a red cube", "a blue ball"], kind="text")
    with torch.no_grad():
        return policy.velocity(x, torch.tensor([0.9, 0.2]), Contexts(context), GenerationParams(guidance_scale=4.5))


@pytest.fixture
def trained(load, randomise):
    policy = load()
    policy.prepare_training(LORA)
    randomise(policy)
    return policy


@pytest.fixture
def folder(trained, tmp_path):
    trained.save_checkpoint(tmp_path / "step-3", {"step": 3})
    return tmp_path / "step-3"


def test_a_checkpoint_folder_alone_names_the_policy_and_loses_nothing(trained, folder):
    loaded = load_policy(str(folder))
    assert torch.equal(velocity(loaded), velocity(trained))
    assert (
        loaded.fingerprint == trained.fingerprint == json.loads((folder / "manifest.json").read_text())["fingerprint"]
    )
    assert loaded.manifest["training"] == {"step": 3}
    assert not any(p.requires_grad for p in loaded.transformer.parameters())
    request = Request(items=("a red cube",), seed=3, params=GenerationParams(num_inference_steps=2))
    images = [np.asarray(p.generate([request])[0].image) for p in (trained, loaded)]
    assert (images[0] == images[1]).all()
    assert load_policy(f"sd3:{folder}").fingerprint == loaded.fingerprint
    assert load_policy(str(folder.parent)).fingerprint == loaded.fingerprint


def test_training_continues_from_a_checkpoint(trained, folder, tmp_path):
    loaded = load_policy(str(folder))
    loaded.prepare_training({"lora_rank": 4, "gradient_checkpointing": True})
    assert all(p.requires_grad for p in loaded.param_groups()["generation"])
    assert torch.equal(velocity(loaded), velocity(trained))
    loaded.save_checkpoint(folder, {"step": 4})
    again = load_policy(str(folder))
    assert again.manifest["training"] == {"step": 4} and again.fingerprint == trained.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-3"]


def test_diffusers_own_loader_reads_the_adapter_at_the_right_scale(trained, folder, pipeline_folder):
    from diffusers import StableDiffusion3Pipeline

    other = StableDiffusion3Pipeline.from_pretrained(pipeline_folder, local_files_only=True)
    other.load_lora_weights(folder)
    assert next(iter(other.transformer.peft_config.values())).lora_alpha == 12
    context = trained.extend(trained.context(1), ["a red cube"], kind="text")
    x, sigma = trained.initial_noise([1]), torch.tensor([0.5])
    with torch.no_grad():
        theirs = other.transformer(
            hidden_states=x,
            encoder_hidden_states=context.prompts.tokens,
            pooled_projections=context.prompts.pooled,
            timestep=sigma * 1000,
            return_dict=False,
        )[0]
        ours = trained.velocity(x, sigma, Contexts(context), GenerationParams(guidance_scale=1.0))
    assert torch.equal(theirs, ours)


def test_a_lora_file_of_the_ecosystem_applies_to_a_pipeline(trained, folder, load):
    for place in (folder, folder / "pytorch_lora_weights.safetensors"):
        applied = load(f"?lora={place}")
        assert torch.equal(velocity(applied), velocity(trained))
        assert applied.fingerprint == trained.fingerprint
    with pytest.raises(PolicyError, match=r"expected a \.safetensors file"):
        load(f"?lora={folder / 'absent.safetensors'}")
    with pytest.raises(ConfigError, match="a checkpoint has its own"):
        load(f"?lora={folder}", folder=folder)


def test_the_precision_of_training_is_kept_unless_another_is_asked_for(load, randomise, tmp_path):
    policy = load("?dtype=bfloat16&text_encoder_3=none&max_sequence_length=16")
    policy.prepare_training(LORA)
    randomise(policy)
    policy.save_checkpoint(tmp_path / "c", {})
    loaded = load_policy(str(tmp_path / "c"))
    assert loaded.dtype == torch.bfloat16 and loaded.pipeline.text_encoder_3 is None
    assert loaded.fingerprint == policy.fingerprint and torch.equal(velocity(loaded), velocity(policy))
    assert load_policy(f"sd3:{tmp_path / 'c'}?dtype=float32").dtype == torch.float32


def test_all_weights_are_saved_and_loaded_exactly(load, tmp_path):
    policy = load()
    policy.prepare_training({"lora_rank": 0})
    with torch.no_grad():
        for i, p in enumerate(policy.param_groups()["generation"]):
            p += 0.01 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
    policy.save_checkpoint(tmp_path / "full", {"step": 1})
    loaded = load_policy(str(tmp_path / "full"))
    assert torch.equal(velocity(loaded), velocity(policy)) and loaded.fingerprint == policy.fingerprint
    assert not torch.equal(velocity(loaded), velocity(load()))
    with pytest.raises(ConfigError, match="set lora_rank to 0 to continue"):
        loaded.prepare_training(LORA)
    loaded.prepare_training({"lora_rank": 0})
    assert torch.equal(velocity(loaded), velocity(policy))


def test_a_moved_base_can_be_named_and_must_be_the_same(folder, pipeline_folder, tmp_path):
    from sd3_tiny import build_pipeline

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["base"]["source"] = str(tmp_path / "gone")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PolicyError, match=r"base cannot be loaded: .*gone is no folder.*\?base=PLACE"):
        load_policy(str(folder))
    moved = tmp_path / "moved"
    shutil.copytree(pipeline_folder, moved)
    assert load_policy(f"sd3:{folder}?base={moved}").fingerprint == manifest["fingerprint"]
    build_pipeline(seed=5).save_pretrained(tmp_path / "other")
    with pytest.raises(PolicyError, match="but training started from"):
        load_policy(f"sd3:{folder}?base={tmp_path / 'other'}")


def test_damaged_checkpoints_say_what_is_wrong(folder):
    manifest, weights = folder / "manifest.json", folder / "pytorch_lora_weights.safetensors"
    good, tensors = json.loads(manifest.read_text()), weights.read_bytes()

    def refuses(message):
        with pytest.raises(PolicyError, match=message):
            load_policy(f"sd3:{folder}")

    manifest.write_text("{torn")
    refuses("not a readable JSON file")
    manifest.write_text(json.dumps({**good, "format": 9}))
    refuses(r"policy and format are \('sd3', 9\), expected \('sd3', 1\)")
    manifest.write_text(json.dumps({k: v for k, v in good.items() if k != "adapter"}))
    refuses("lacks adapter")
    manifest.write_text(json.dumps({**good, "adapter": {**good["adapter"], "rank": 2}}))
    refuses("has shape")
    manifest.write_text(json.dumps(good))
    weights.write_bytes(tensors[:-1] + bytes([tensors[-1] ^ 1]))
    refuses("its content is not what manifest.json was written with")
    weights.write_bytes(tensors[:100])
    refuses("not a readable safetensors file")
    weights.unlink()
    refuses("is missing")


def test_a_policy_that_trained_nothing_saves_nothing(load, tmp_path):
    with pytest.raises(PolicyError, match="nothing to save"):
        load().save_checkpoint(tmp_path / "c", {})
    assert not (tmp_path / "c").exists()
