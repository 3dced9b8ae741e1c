"""The micro unified model: a one-million-parameter transformer that plans in words and draws by flow matching.

`micro` is the shipped checkpoint, `micro:FOLDER` any other checkpoint folder. Importing this module loads no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.registry import MODELS

if TYPE_CHECKING:
    from harness.models.micro.policy import MicroPolicy

SHIPPED = Path(__file__).parent / "weights"
"""Checkpoint folder that comes with the package."""


@MODELS.register("micro")
def load(argument: str = "", *, device: str = "cpu") -> MicroPolicy:
    """The micro model: the shipped weights, or a checkpoint folder (`micro:FOLDER`).

    Args:
        argument: checkpoint folder; empty means the shipped weights.
        device: torch device that holds the weights.

    Raises:
        PolicyError: the folder is no micro checkpoint of this version.
    """
    from harness.models.micro.policy import MicroPolicy

    return MicroPolicy.from_folder(Path(argument) if argument else SHIPPED, device=device)
