"""A tiny LLaVA: an image-and-text model that is none of Qwen's families."""

from pathlib import Path

from tests.harness.judges.tiny_vlm.tokenizer import make_tokenizer

SIZE_PX = 56
PATCH_PX = 14


def build_tiny_llava(folder: Path) -> Path:
    """Saves config, weights, tokenizer and processor; returns the folder."""
    import torch
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = make_tokenizer()
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "projection_dim": 32}
    text = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlavaConfig(
        vision_config=vision
        | {"model_type": "clip_vision_model", "num_hidden_layers": 2, "image_size": SIZE_PX, "patch_size": PATCH_PX},
        text_config=text
        | {"model_type": "llama", "vocab_size": 448, "num_hidden_layers": 2, "max_position_embeddings": 1024},
        image_token_index=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": SIZE_PX}, crop_size={"height": SIZE_PX, "width": SIZE_PX}
        ),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<|image_pad|>",
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)
    return folder
