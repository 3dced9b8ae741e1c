"""Builders of tiny random vision-language models with the real architectures, tokenizers and file layouts.

Everything is made offline in seconds, and is the same every time. `cpu_torchvision/` is for the server's process only.
"""

from tests.harness.judges.tiny_vlm.build import FAMILIES, build_tiny_vlm
from tests.harness.judges.tiny_vlm.llava import build_tiny_llava

__all__ = ["FAMILIES", "build_tiny_llava", "build_tiny_vlm"]
