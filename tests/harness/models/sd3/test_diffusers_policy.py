"""Any diffusers pipeline as a policy, on a tiny FLUX and the tiny SD3."""

import numpy as np
import pytest
import torch
from sd3_tiny import clip_tokenizer, t5_tokenizer, tiny_vae

from harness import seeds
from harness.errors import ConfigError, PolicyError
from harness.models.base import GenerationParams, Request
from harness.models.load import load_policy

torch.set_num_threads(1)


def build_flux():
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    torch.manual_seed(0)
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
            guidance_embeds=True,
        ).eval(),
        vae=tiny_vae(channels=(4, 8), groups=2),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                bos_token_id=clip.bos_token_id,
                eos_token_id=clip.eos_token_id,
                pad_token_id=clip.pad_token_id,
                hidden_size=32,
                intermediate_size=37,
                num_attention_heads=4,
                num_hidden_layers=2,
                vocab_size=len(clip),
                max_position_embeddings=77,
            )
        ).eval(),
        tokenizer=clip,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
        ).eval(),
        tokenizer_2=t5,
    )


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux") / "tiny"
    build_flux().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def policy(flux_folder):
    return load_policy(f"diffusers:{flux_folder}")


def request(prompt, seed=0, **settings):
    settings = {"num_inference_steps": 2, "size_px": 32, **settings}
    return Request(items=(prompt,), seed=seed, params=GenerationParams(**settings))


def pixels(output):
    assert output.status == "ok", output.error
    return np.asarray(output.image, dtype=np.int16)


def test_pictures_are_those_of_the_pipeline_with_the_samples_own_noise(policy):
    theirs = policy.pipeline(
        "a red cube",
        generator=seeds.generator(3, "initial_noise"),
        num_inference_steps=2,
        guidance_scale=2.0,
        height=32,
        width=32,
    ).images[0]
    ours = pixels(policy.generate([request("a red cube", 3, guidance_scale=2.0)])[0])
    assert np.abs(ours - np.asarray(theirs, dtype=np.int16)).max() <= 1


def test_pictures_do_not_depend_on_the_batch_and_keep_their_order(policy):
    requests = [request("a red cube", 1), request("a dog", 2, num_inference_steps=3), request("a blue ball", 3)]
    together = policy.generate(requests)
    for r, output in zip(requests, together, strict=True):
        assert np.abs(pixels(output) - pixels(policy.generate([r])[0])).max() <= 1
    assert (pixels(together[0]) != pixels(together[2])).any()


def test_defaults_are_those_of_the_card_or_of_the_call(policy, pipeline_folder):
    flux = policy.resolve_params(GenerationParams())
    assert (flux.num_inference_steps, flux.guidance_scale) == (50, 3.5)
    assert flux.size_px == 128 * policy.pipeline.vae_scale_factor
    sd3 = load_policy(f"diffusers:{pipeline_folder}").resolve_params(GenerationParams(guidance_scale=2.0))
    assert (sd3.num_inference_steps, sd3.guidance_scale, sd3.size_px) == (40, 2.0, 32)


def test_it_agrees_with_the_sd3_policy_on_the_same_pipeline(pipeline_folder):
    images = [
        pixels(load_policy(f"{name}:{pipeline_folder}").generate([request("a red cube", 5, guidance_scale=4.5)])[0])
        for name in ("diffusers", "sd3")
    ]
    assert np.abs(images[0] - images[1]).max() <= 1


def test_extra_settings_go_to_the_pipeline_and_unknown_ones_are_refused(policy):
    short = request("a red cube", extra={"max_sequence_length": 4})
    assert policy.generate([short])[0].status == "ok"
    with pytest.raises(ConfigError, match="Did you mean 'max_sequence_length'"):
        policy.generate([request("a red cube", extra={"max_sequence_lenght": 4})])
    for name in ("output_type", "latents", "generator"):
        with pytest.raises(ConfigError, match="Unknown extra setting of FluxPipeline"):
            policy.generate([request("a red cube", extra={name: None})])


def test_what_the_model_cannot_do_is_refused(policy):
    from PIL import Image

    with pytest.raises(PolicyError, match="writes no text"):
        policy.generate([request("x", think=True)])
    with pytest.raises(PolicyError, match="cannot do mode 'edit'"):
        policy.generate([Request(items=("x",), mode="edit")])
    with pytest.raises(PolicyError, match="expected 1 or more"):
        policy.generate([request("x", num_inference_steps=0)])
    outputs = policy.generate([Request(items=(Image.new("RGB", (4, 4)), "x")), request("a dog")])
    assert [o.status for o in outputs] == ["error", "ok"]


def test_blanked_and_broken_pictures_are_missing(policy, monkeypatch):
    from types import SimpleNamespace

    class Blanking:
        def __call__(self, **settings):
            images = torch.full((2, 3, 4, 4), 0.5)
            images[1, 0, 0, 0] = float("nan")
            return SimpleNamespace(images=images, nsfw_content_detected=[True, False])

    monkeypatch.setattr(policy, "pipeline", Blanking())
    outputs = policy.generate([request("a", 1), request("b", 2)])
    assert [(o.status, o.image) for o in outputs] == [("refused", None), ("error", None)]


def test_fingerprints_follow_files_and_dtype(policy, flux_folder, pipeline_folder):
    assert load_policy(f"diffusers:{flux_folder}").fingerprint == policy.fingerprint
    others = [load_policy(f"diffusers:{p}").fingerprint for p in (f"{flux_folder}?dtype=bfloat16", pipeline_folder)]
    assert len({policy.fingerprint, *others}) == 3


def test_other_pipelines_and_options_are_refused(flux_folder, tmp_path):
    with pytest.raises(PolicyError, match=r"is of class FluxPipeline, expected a StableDiffusion3Pipeline.*diffusers:"):
        load_policy(f"sd3:{flux_folder}")
    with pytest.raises(ConfigError, match="Unknown option of diffusers 'lora'"):
        load_policy(f"diffusers:{flux_folder}?lora=x")
    (tmp_path / "model_index.json").write_text('{"_class_name": "AnimateDiffPipeline"}')
    with pytest.raises(PolicyError, match="is of class AnimateDiffPipeline, expected a text-to-image pipeline"):
        load_policy(f"diffusers:{tmp_path}")
