"""The network of the learned judge: one reading per cell of the picture, and one of the picture as a whole.

Convolutions over the 48x48 picture, a linear layer per cell (the same for all nine) with the pooled picture as context,
and small heads. It is trained on rendered scenes and knows nothing of the scene parser.

Shape legend: `B` pictures, 9 cells in row-major order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.world.scene import BACKGROUNDS, CELL_PX, COLOURS, GRID, N_CELLS, SHAPES, SIZES

N_QUALITIES = 7
"""In the order of `harness.world.verifier.QUALITY_QUESTIONS`."""

CELL_PARTS: dict[str, int] = {
    "presence": 1,
    "shape": len(SHAPES),
    "colour": len(COLOURS),
    "size": len(SIZES),
    "striped": 1,
    "offset": 2,
}
"""Outputs per cell. `presence` and `striped` are logits, `shape`, `colour` and `size` log-odds of a soft-max, `offset`
is the object's centre relative to the cell's, in pixels / 8."""
PICTURE_PARTS: dict[str, int] = {"background": len(BACKGROUNDS) + 1, "quality": N_QUALITIES}
"""Outputs per picture. The last background is none of the known ones; `quality` are logits of independent yes/no."""

_STRIDE = 4


class CellNetwork(nn.Module):
    """Pictures to logits.

    Args:
        width: channels of the later convolutions.
        hidden: features per cell.
    """

    def __init__(self, width: int = 64, hidden: int = 160) -> None:
        super().__init__()
        self.width, self.hidden = width, hidden
        self.trunk = nn.Sequential(
            nn.Conv2d(3, width // 2, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        side = CELL_PX // _STRIDE
        self.cell = nn.Conv2d(width, hidden, side, stride=side)
        self.context = nn.Linear(2 * width, hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.cell_head = nn.Linear(hidden, sum(CELL_PARTS.values()))
        self.picture = nn.Linear(2 * width + 2 * hidden, hidden)
        self.picture_head = nn.Linear(hidden, sum(PICTURE_PARTS.values()))

    def features(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 9, hidden) per cell and (B, hidden) of the whole, from (B, 48, 48, 3) uint8 pictures."""
        x = (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)
        maps = self.trunk(x)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        cells = self.cell(maps).flatten(2).transpose(1, 2) + self.context(pooled)[:, None]
        cells = torch.relu(cells)
        cells = cells + torch.relu(self.mix(cells))
        whole = torch.relu(self.picture(torch.cat([pooled, cells.mean(1), cells.amax(1)], 1)))
        return cells, whole

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits by part: (B, 9, n) for `CELL_PARTS`, (B, n) for `PICTURE_PARTS`."""
        cells, whole = self.features(pictures)
        return {
            **dict(zip(CELL_PARTS, self.cell_head(cells).split(list(CELL_PARTS.values()), -1), strict=True)),
            **dict(zip(PICTURE_PARTS, self.picture_head(whole).split(list(PICTURE_PARTS.values()), -1), strict=True)),
        }


assert GRID * GRID == N_CELLS
