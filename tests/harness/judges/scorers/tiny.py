"""Tiny random scoring models, saved under the key names of the published files, and requests to judges of them."""

import json

import numpy as np
from PIL import Image

from harness.images import ref_of_image
from harness.judges.base import JudgeRequest
from harness.types import Question


def picture(seed, size=(64, 48)):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def request(image, prompt):
    return JudgeRequest(
        kind="score", form="score", questions=(Question(id="score", text=prompt),), images=(ref_of_image(image),)
    )


def answers(judge, pairs):
    """One answer per (image, prompt)."""
    return [r.answers[0] for r in judge.ask([request(i, p) for i, p in pairs])]


def save_clip_tokenizer(folder):
    """A byte-level CLIP tokenizer of 514 tokens."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    symbols = list(bytes_to_unicode().values())
    tokens = [*symbols, *(s + "</w>" for s in symbols), "<|startoftext|>", "<|endoftext|>"]
    CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=[]).save_pretrained(folder)


def clip_config(hidden_act="gelu", n_tokens=16):
    from transformers import CLIPConfig

    shared = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40, "hidden_act": hidden_act}
    return CLIPConfig(
        text_config={
            **shared,
            "hidden_size": 24,
            "vocab_size": 514,
            "max_position_embeddings": n_tokens,
            "bos_token_id": 512,
            "eos_token_id": 513,
        },
        vision_config={**shared, "hidden_size": 32, "image_size": 28, "patch_size": 7},
        projection_dim=16,
    )


def random_clip(config=None):
    """A `CLIPModel` whose embeddings differ visibly between inputs."""
    import torch
    from transformers import CLIPModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config or clip_config()).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 1:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def save_clip(folder, model):
    """The folder as the hub would hold it, with an old release's position buffer among the weights."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(state, folder / "model.safetensors")
    save_clip_tokenizer(folder)
    return folder


def write_wording(data_dir, pieces=("Rate {this}. Prompt: ", None, ". Score: <|Reward|>.")):
    """A stand-in for the prepared wording of HPSv3; returns it as one text with `{text_prompt}`."""
    from harness.prompttemplates import Field, Template, write_cache

    template = Template(pieces=tuple(Field("prompt") if p is None else p for p in pieces), source_sha256="0" * 64)
    write_cache({"score": template}, data_dir / "hpsv3" / "judge_prompts.json")
    return "".join("{text_prompt}" if p is None else p for p in pieces)


def random_hpsv3(tokenizer_length):
    """(body, head): a 2-layer `Qwen2VLModel` with a row for the reward token, and the head."""
    import torch
    from transformers import Qwen2VLModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        body = Qwen2VLModel(qwen_config(tokenizer_length + 1)).eval()
        head = torch.nn.Sequential(
            torch.nn.Linear(32, 12),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.05),
            torch.nn.Linear(12, 6),
            torch.nn.ReLU(),
            torch.nn.Linear(6, 2),
        ).eval()
        with torch.no_grad():
            for parameter in body.parameters():
                if parameter.ndim >= 2:
                    parameter.mul_(5.0)
            for parameter in head.parameters():
                parameter.mul_(3.0)
    return body, head


def qwen_config(n_rows):
    from transformers import Qwen2VLConfig

    from tests.harness.judges.tiny_vlm.tokenizer import SPECIALS, make_tokenizer

    ids = {t: make_tokenizer().convert_tokens_to_ids(t) for t in SPECIALS}
    return Qwen2VLConfig(
        text_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": n_rows,
            "bos_token_id": None,
            "eos_token_id": None,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]},
        },
        vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 1, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )


def upstream_state(body, head):
    """HPSv3.safetensors: names of transformers 4.45, with the unused language-model head."""
    import torch

    state = {
        (f"model.{k.removeprefix('language_model.')}" if k.startswith("language_model.") else k): v.clone()
        for k, v in body.state_dict().items()
    }
    state["lm_head.weight"] = torch.zeros_like(state["model.embed_tokens.weight"])
    return state | {f"rm_head.{k}": v.clone() for k, v in head.state_dict().items()}


def save_hpsv3_base(folder):
    """Configuration and tokenizer of the base model, without weights."""
    from tests.harness.judges.tiny_vlm.tokenizer import make_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    # The published configuration is of the base model, whose table is larger than the reward model's.
    qwen_config(len(tokenizer) + 50).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["text_config"]["vocab_size"] == len(tokenizer) + 50
    return tokenizer
