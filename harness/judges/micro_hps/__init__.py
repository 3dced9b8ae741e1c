"""The preference scorer of the micro world: picture and prompt to one number, learned from noisy preferences.

`micro-hps` answers requests of the kind `score` with an unbounded value, higher is better; only differences between
pictures of one prompt mean something. Card and manifest lie in `weights/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError
from harness.judges.scorers.judge import ScoreJudge, Scorer
from harness.registry import JUDGES

if TYPE_CHECKING:
    from harness.judges.micro_hps.network import PreferenceNetwork

FOLDER = Path(__file__).parent / "weights"


@lru_cache(maxsize=1)
def _network(folder: Path) -> PreferenceNetwork:
    from harness.judges.micro_hps.evaluate import load_network

    return load_network(folder)


def _identity(folder: Path) -> str:
    from harness.judges.micro_cnn.storage import load

    return str(load(folder, "micro-hps")[1]["sha256"][:12])


class MicroHps(Scorer):
    """The network with pictures brought to the world's size; one pair at a time, so that no score depends on a batch.

    Args:
        folder: of the weights.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._network = _network(folder)

    def refusal(self, prompt: str) -> str:
        """An empty prompt cannot be scored."""
        return "" if prompt.strip() else "the prompt is empty"

    def prepare(self, image: Any) -> Any:
        """(48, 48, 3) uint8."""
        from harness.world.view import to_view

        return to_view(image)

    def score(self, images: Sequence[Any], prompts: Sequence[str]) -> list[dict[str, float]]:
        """`raw` for each pair; about -5 to 5."""
        import torch

        from harness.judges.micro_hps.network import token_ids

        return [
            {"raw": float(self._network(torch.from_numpy(image.copy())[None], token_ids([prompt]))[0])}
            for image, prompt in zip(images, prompts, strict=True)
        ]


@JUDGES.register("micro-hps")
def load(argument: str = "") -> ScoreJudge:
    """The learned preference scorer of the micro world."""
    if argument:
        raise ConfigError(f"judge micro-hps:{argument}: micro-hps takes no argument.")
    return ScoreJudge("micro-hps", identify=lambda: _identity(FOLDER), load=MicroHps, batch_size=64)
