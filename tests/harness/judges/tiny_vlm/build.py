"""Builds a tiny random model of one of Qwen's vision-language families and saves it as the hub would hold it."""

import json
from pathlib import Path

from tests.harness.judges.tiny_vlm.tokenizer import make_tokenizer

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")

WIDEN = 3.0
"""Random matrices are scaled up, so that answers differ between questions and between pictures."""

SHARPEN = 8.0
"""The last norm is scaled up, so that P(yes) of different questions spreads over most of [0, 1]."""

PREFERENCE = 8.0
"""How much the logits of all spellings of yes and no are raised where the answer begins."""

PATCH_PX = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16, "qwen3_vl_moe": 16}

_CLASSES = {
    "qwen2_vl": ("Qwen2VLConfig", "Qwen2VLForConditionalGeneration", "Qwen2VLProcessor"),
    "qwen2_5_vl": ("Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor"),
    "qwen3_vl": ("Qwen3VLConfig", "Qwen3VLForConditionalGeneration", "Qwen3VLProcessor"),
    "qwen3_vl_moe": ("Qwen3VLMoeConfig", "Qwen3VLMoeForConditionalGeneration", "Qwen3VLProcessor"),
}


def build_tiny_vlm(folder: Path, family: str = "qwen3_vl", *, hidden: int = 64, layers: int = 2, seed: int = 0) -> Path:
    """Saves config, weights (float32 safetensors), tokenizer, chat template and processors; returns the folder.

    Needs no torchvision: the video processor, whose class cannot be built without it, is written as plain JSON.
    """
    import torch
    import transformers

    tokenizer = make_tokenizer()
    config_class, model_class, processor_class = _CLASSES[family]
    config = getattr(transformers, config_class)(**_config(family, tokenizer, hidden, layers))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(WIDEN)
        model.model.language_model.norm.weight.mul_(SHARPEN)
        _prefer_yes_and_no(model, tokenizer)
    end = [tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")]
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = end[1]
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(_processors(family, processor_class), indent=2))
    return folder


def _prefer_yes_and_no(model, tokenizer) -> None:
    """Turns the spellings' embeddings, which are also the output matrix, towards the state in which an answer begins.

    All alike, so that yes and no get a good part of the probability while their ratio stays as random as it was.
    """
    import torch

    place = "<|vision_start|>" + "<|image_pad|>" * 16 + "<|vision_end|>"
    turn = [{"role": "user", "content": place + "Is there a red circle?"}]
    prompt = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(prompt, return_tensors="pt")
    vision = model.config.vision_config
    values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    state = model.model(
        **inputs,
        pixel_values=torch.rand(64, values, generator=torch.Generator().manual_seed(0)) * 2 - 1,
        image_grid_thw=torch.tensor([[1, 8, 8]]),
        mm_token_type_ids=(inputs["input_ids"] == model.config.image_token_id).int(),
    ).last_hidden_state[0, -1]
    words = [i for t, i in tokenizer.get_vocab().items() if t.strip("\u0120 ").lower() in ("yes", "no")]
    model.get_input_embeddings().weight[torch.tensor(sorted(words))] += PREFERENCE * state / state.square().sum()


def _config(family: str, tokenizer, hidden: int, layers: int) -> dict:
    """Keyword arguments of the family's configuration class."""
    new = family.startswith("qwen3")
    head_dim = 32
    text = {
        "vocab_size": (len(tokenizer) + 63) // 64 * 64,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, hidden // head_dim) if not new else 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5_000_000.0, "mrope_section": [8, 4, 4]},
        "tie_word_embeddings": True,
    }
    vision = {"depth": 2, "num_heads": 2, "in_channels": 3, "patch_size": PATCH_PX[family], "spatial_merge_size": 2}
    if new:
        text |= {"head_dim": head_dim}
        text["rope_parameters"]["mrope_interleaved"] = True
        vision |= {
            "hidden_size": 64,
            "intermediate_size": 128,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0, 1],
        }
    if family == "qwen3_vl_moe":
        text |= {"moe_intermediate_size": 64, "num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 1}
    if family == "qwen2_vl":
        vision |= {"embed_dim": 64, "hidden_size": hidden, "mlp_ratio": 2}
    if family == "qwen2_5_vl":
        vision |= {
            "hidden_size": 64,
            "intermediate_size": 128,
            "out_hidden_size": hidden,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        }
    ids = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {
        "text_config": text,
        "vision_config": vision,
        "tie_word_embeddings": True,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in ids.items()},
    }


def _processors(family: str, processor_class: str) -> dict:
    """Content of `processor_config.json`."""
    common = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "merge_size": 2,
        "patch_size": PATCH_PX[family],
        "resample": 3,
        "rescale_factor": 1 / 255,
        "temporal_patch_size": 2,
    }
    size = {"shortest_edge": 64 * 64, "longest_edge": 512 * 512}
    video_class = "Qwen3VLVideoProcessor" if family.startswith("qwen3") else "Qwen2VLVideoProcessor"
    return {
        "processor_class": processor_class,
        "image_processor": {**common, "image_processor_type": "Qwen2VLImageProcessor", "size": size},
        "video_processor": {
            **common,
            "video_processor_type": video_class,
            "size": {"shortest_edge": 4096, "longest_edge": 262144},
            "do_sample_frames": True,
            "fps": 2,
            "max_frames": 768,
            "min_frames": 4,
        },
    }
