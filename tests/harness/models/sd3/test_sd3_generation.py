"""Evaluation with an SD3 pipeline: what diffusers makes, whatever the batch, and settings that are recorded."""

import numpy as np
import pytest
import torch
from sd3_tiny import build_pipeline

from harness import flow
from harness.errors import ConfigError, PolicyError
from harness.models.base import Contexts, GenerationParams, Request
from harness.models.sd3 import sampling

torch.set_num_threads(1)
PROMPTS = ("a red cube", "a blue ball", "a photo of a dog")


def request(prompt, seed=0, **settings):
    return Request(items=(prompt,), seed=seed, params=GenerationParams(num_inference_steps=3, **settings))


def pixels(output):
    assert output.status == "ok", output.error
    return np.asarray(output.image, dtype=np.int16)


@pytest.fixture(scope="module")
def policy(pipeline_folder):
    from harness.models.load import load_policy

    return load_policy(f"sd3:{pipeline_folder}")


def latents(policy, prompts, seeds, **settings):
    params = policy.resolve_params(GenerationParams(num_inference_steps=3, **settings))
    context = policy.extend(policy.context(len(prompts)), prompts, kind="text")
    return policy.draw(Contexts(context), policy.initial_noise(seeds), params)


def test_equal_requests_make_equal_images_and_other_seeds_others(policy):
    first, second, other = (
        policy.generate([r])[0] for r in (request("a red cube"), request("a red cube"), request("a red cube", 1))
    )
    assert (pixels(first) == pixels(second)).all()
    assert (pixels(first) != pixels(other)).any()


def test_latents_do_not_depend_on_the_batch(policy):
    together = latents(policy, list(PROMPTS), [1, 2, 3])
    for i, prompt in enumerate(PROMPTS):
        alone = latents(policy, [prompt], [i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-4)
        assert not torch.allclose(together[(i + 1) % 3], alone[0], atol=1e-2)


def test_requests_come_back_in_order_whatever_their_settings(policy):
    requests = [request(PROMPTS[0], 1), request(PROMPTS[1], 2, guidance_scale=1.0), request(PROMPTS[2], 3)]
    for r, output in zip(requests, policy.generate(requests), strict=True):
        assert np.abs(pixels(output) - pixels(policy.generate([r])[0])).max() <= 1


@pytest.mark.parametrize(("scale", "negative"), [(4.5, ""), (1.0, ""), (3.0, "a dog")])
def test_latents_are_those_of_the_diffusers_pipeline(policy, scale, negative):
    noise = policy.initial_noise([7, 8])
    theirs = policy.pipeline(
        ["a red cube", "a blue ball"],
        negative_prompt=[negative] * 2,
        latents=noise,
        num_inference_steps=3,
        guidance_scale=scale,
        height=32,
        width=32,
        output_type="latent",
    ).images
    ours = latents(
        policy, ["a red cube", "a blue ball"], [7, 8], guidance_scale=scale, extra={"negative_prompt": negative}
    )
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_images_are_those_of_the_diffusers_pipeline(policy):
    theirs = policy.pipeline(
        "a red cube", latents=policy.initial_noise([7]), num_inference_steps=3, guidance_scale=4.5, height=32, width=32
    ).images[0]
    ours = pixels(policy.generate([request("a red cube", 7, guidance_scale=4.5)])[0])
    assert np.abs(ours - np.asarray(theirs, dtype=np.int16)).max() <= 1


def test_sizes_follow_the_request_and_the_position_embeddings(policy):
    assert policy.latent_shape() == (4, 16, 16)
    assert policy.latent_shape(64) == (4, 32, 32)
    output = policy.generate([request("a red cube", size_px=64)])[0]
    assert output.image.size == (64, 64)
    for size in (30, 0, 100):
        with pytest.raises(PolicyError, match=f"size_px is {size}, expected a multiple of 4 from 4 to 96"):
            policy.resolve_params(GenerationParams(size_px=size))


def test_the_default_grid_is_the_schedulers_and_has_another_spacing_than_the_shifted_uniform_one(policy):
    for steps in (4, 28, 40):
        grid = policy.time_grid(steps)
        policy.pipeline.scheduler.set_timesteps(steps)
        assert grid == pytest.approx(policy.pipeline.scheduler.sigmas.tolist(), abs=1e-7)
        least = 3 * 0.001 / (1 + 2 * 0.001)
        u = np.linspace(1, least, steps)
        assert grid == pytest.approx([*(3 * u / (1 + 2 * u)), 0.0], abs=1e-6)
        uniform = policy.time_grid(steps, "flow")
        assert uniform == flow.time_grid(steps + 1, 3.0)
        assert len(uniform) == len(grid) and grid[-2] == pytest.approx(0.00893, abs=1e-4)
        assert max(abs(a - b) for a, b in zip(grid, uniform, strict=True)) > 0.02


def test_schedulers_whose_shift_follows_the_resolution_work_as_in_the_pipeline():
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    few, many = (sampling.time_grid(scheduler, 4, "diffusers", image_tokens=n) for n in (256, 4096))
    # mu is 0.5 at 256 tokens and 1.15 at 4096; sigma = e^mu / (e^mu + 1/u - 1)
    for grid, mu in ((few, 0.5), (many, 1.15)):
        u = np.linspace(1, 0.001, 4)
        assert grid[:-1] == pytest.approx(np.exp(mu) / (np.exp(mu) + 1 / u - 1), abs=1e-6)
    with pytest.raises(PolicyError, match="fixed shift"):
        sampling.time_grid(scheduler, 4, "flow", image_tokens=256)


def test_the_other_grid_is_a_setting_and_changes_the_image(policy):
    first, second = policy.generate([request("a red cube", extra={"time_grid": g}) for g in ("diffusers", "flow")])
    assert (pixels(first) != pixels(second)).any()


def test_defaults_are_recorded_and_follow_the_architecture(policy):
    resolved = policy.resolve_params(GenerationParams(temperature=0.7))
    assert (resolved.num_inference_steps, resolved.guidance_scale, resolved.size_px) == (40, 4.5, 32)
    assert resolved.extra == {"cfg_renorm": "none", "negative_prompt": "", "time_grid": "diffusers"}
    assert resolved.think is False and resolved.temperature is None
    medium_3 = sampling.default_params({"qk_norm": None, "dual_attention_layers": ()}, 1024)
    large = sampling.default_params({"qk_norm": "rms_norm", "dual_attention_layers": ()}, 1024)
    assert (medium_3.num_inference_steps, medium_3.guidance_scale) == (28, 7.0)
    assert (large.num_inference_steps, large.guidance_scale) == (28, 3.5)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (GenerationParams(think=True), PolicyError, "writes no text"),
        (GenerationParams(image_guidance_scale=2.0), PolicyError, "reads no images"),
        (GenerationParams(num_inference_steps=0), PolicyError, "expected 1 or more"),
        (GenerationParams(extra={"negativ_prompt": "x"}), ConfigError, "Did you mean 'negative_prompt'"),
        (GenerationParams(extra={"time_grid": "karras"}), ConfigError, "Unknown time_grid 'karras'"),
        (GenerationParams(extra={"cfg_renorm": "local"}), ConfigError, "Unknown cfg_renorm 'local'"),
    ],
)
def test_settings_that_the_model_cannot_follow_are_refused(policy, params, error, message):
    with pytest.raises(error, match=message):
        policy.generate([Request(items=("a red cube",), params=params)])


def test_one_bad_request_does_not_stop_the_others(policy):
    from PIL import Image

    bad = Request(items=(Image.new("RGB", (8, 8)), "a red cube"), params=GenerationParams(num_inference_steps=2))
    empty = Request(items=(" ",), params=GenerationParams(num_inference_steps=2))
    outputs = policy.generate([bad, request("a red cube"), empty])
    assert [o.status for o in outputs] == ["error", "ok", "error"]
    assert "image" in outputs[0].error and "no text" in outputs[2].error
    with pytest.raises(PolicyError, match="cannot do mode 'edit'"):
        policy.generate([Request(items=("x",), mode="edit")])


def test_pictures_survive_encoding_and_wrong_sizes_are_refused(policy):
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    encoded = policy.encode([picture, picture])
    vae = policy.pipeline.vae
    x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = (vae.encode(x).latent_dist.mode() - 0.0609) * 1.5035
    assert encoded.shape == (2, 4, 16, 16) and torch.allclose(encoded[1], expected[0], atol=1e-4)
    decoded = policy.decode(encoded)
    with torch.no_grad():
        back = vae.decode(expected / 1.5035 + 0.0609).sample[0].permute(1, 2, 0)
    expected_pixels = ((back / 2 + 0.5).clamp(0, 1) * 255).round().numpy()
    assert np.abs(np.asarray(decoded[0], dtype=np.float32) - expected_pixels).max() <= 1
    with pytest.raises(PolicyError, match="expected one size, sides multiples of 4"):
        policy.encode([picture, picture.resize((30, 30))])


def test_the_model_without_its_t5_encoder_is_another_model(policy, load):
    without = load("?text_encoder_3=none")
    assert without.pipeline.text_encoder_3 is None and without.fingerprint != policy.fingerprint
    first, second = (p.generate([request("a red cube")])[0] for p in (policy, without))
    assert (pixels(first) != pixels(second)).any()


def test_dtype_and_reading_length_are_part_of_the_fingerprint(policy, load):
    assert load().fingerprint == policy.fingerprint
    narrow = load("?dtype=bfloat16")
    assert narrow.dtype == torch.bfloat16 and narrow.pipeline.vae.dtype == torch.float32
    assert pixels(narrow.generate([request("a red cube")])[0]).shape == (32, 32, 3)
    assert len({policy.fingerprint, narrow.fingerprint, load("?max_sequence_length=16").fingerprint}) == 3


def test_other_weights_of_the_same_shapes_have_another_fingerprint(policy, load, tmp_path):
    build_pipeline(seed=1).save_pretrained(tmp_path / "other")
    assert load(folder=tmp_path / "other").fingerprint != policy.fingerprint
    build_pipeline(seed=0).save_pretrained(tmp_path / "same")
    assert load(folder=tmp_path / "same").fingerprint == policy.fingerprint


def test_a_long_prompt_is_read_in_part_and_said_once(load, caplog):
    policy = load("?max_sequence_length=8")
    for _ in range(2):
        policy.extend(policy.context(1), ["a photo of a red cube beside a blue ball"], kind="text")
    policy.extend(policy.context(1), ["a photo of a blue cube beside a red ball"], kind="text")
    assert caplog.text.count("Raise max_sequence_length") == 1


def test_a_closed_policy_holds_no_weights(load):
    import gc
    import weakref

    policy = load()
    transformer = weakref.ref(policy.transformer)
    policy.generate([request("a red cube")])
    policy.close()
    policy.close()
    gc.collect()
    assert transformer() is None
