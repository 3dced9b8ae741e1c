"""Stable Diffusion 3 and 3.5 through diffusers: evaluation, and training of the transformer (LoRA or all weights).

`sd3:FOLDER` is a pipeline folder in diffusers' layout or a checkpoint of the trainer, `sd3:OWNER/NAME` a model on the
hub. Options follow a question mark: `sd3:FOLDER?dtype=bfloat16&text_encoder_3=none`; see `source.Options`. Importing
this module loads neither torch nor diffusers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.registry import MODELS

if TYPE_CHECKING:
    from harness.models.sd3.policy import SD3Policy


@MODELS.register("sd3")
def load(argument: str = "", *, device: str = "cpu") -> SD3Policy:
    """Stable Diffusion 3 / 3.5: `sd3:FOLDER` or `sd3:stabilityai/stable-diffusion-3.5-medium`, safetensors only.

    Args:
        argument: folder or hub id, and options (`?dtype=bfloat16&text_encoder_3=none`).
        device: torch device of all parts.

    Raises:
        ConfigError: an unknown option or value.
        PolicyError: no SD3 pipeline or checkpoint there, weights missing, damaged or not in safetensors.
    """
    from harness.models.sd3.checkpoint import load_policy

    return load_policy(argument, device=device)
