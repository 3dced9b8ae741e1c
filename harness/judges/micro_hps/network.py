"""The preference scorer: what a small eye sees in the nine cells, and the prompt's words, to one number.

The eye is a smaller copy of the learned judge's network with its own weights. What it reads in a cell becomes one
token, the sum of the embeddings of the words for it weighted by their probabilities (the same table that embeds the
prompt), so that a word and what it names start out alike. A transformer over image and prompt tokens writes the score.

Shape legend: `B` pairs of picture and prompt, `L` words, `D` width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.judges.micro_cnn.network import N_QUALITIES, CellNetwork
from harness.world.scene import BACKGROUNDS, COLOURS, N_CELLS, SHAPES, SIZES, TEXTURES
from harness.world.vocabulary import WORDS, words_of

MAX_WORDS = 128
"""Longer prompts are cut, as scorers with a text encoder do."""
PAD, UNKNOWN = 0, 1
_FIRST_WORD = 2
_INDEX = {word: i + _FIRST_WORD for i, word in enumerate(WORDS)}
_GROUPS = (SHAPES, COLOURS, SIZES, TEXTURES)


def token_ids(prompts: list[str]) -> Tensor:
    """(B, L) int64 word ids, padded with `PAD`; L is the longest prompt's, at most `MAX_WORDS`."""
    rows = [[_INDEX.get(word, UNKNOWN) for word in words_of(text)][:MAX_WORDS] for text in prompts]
    ids = torch.full((len(rows), max(1, *(len(r) for r in rows))), PAD)
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = torch.tensor(found, dtype=torch.int64)
    return ids


class Block(nn.Module):
    """Pre-norm attention and feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_a, self.norm_b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x` (B, T, D); `mask` (B, 1, 1, T) True where there is a token."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm_a(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm_b(x))))


class PreferenceNetwork(nn.Module):
    """Eye, words and transformer; see the module's text."""

    def __init__(self, width: int = 64, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.eye = CellNetwork(width=48, hidden=96)
        self.words = nn.Embedding(len(WORDS) + _FIRST_WORD, width, padding_idx=PAD)
        self.place = nn.Parameter(torch.randn(N_CELLS + 1, width) * 0.1)
        self.order = nn.Parameter(torch.randn(MAX_WORDS, width) * 0.1)
        self.mix = nn.Conv1d(width, width, 3, padding=1)
        self.presence = nn.Linear(1, width)
        self.quality = nn.Linear(N_QUALITIES, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1))
        self.value_rows = [_INDEX[name] for group in _GROUPS for name in group]
        self.background_rows = [_INDEX[name] for name in BACKGROUNDS]

    def see(self, pictures: Tensor) -> dict[str, Tensor]:
        """What the eye reads in (B, 48, 48, 3) uint8 pictures: probabilities that `score` takes. No gradient."""
        with torch.no_grad():
            logits = self.eye(pictures)
            striped = logits["striped"].sigmoid()
            parts = [logits[k].softmax(-1) for k in ("shape", "colour", "size")]
            return {
                "presence": logits["presence"].sigmoid(),
                "values": torch.cat([*parts, 1 - striped, striped], -1),
                "background": logits["background"].softmax(-1)[..., :-1],
                "quality": logits["quality"].sigmoid(),
            }

    def image_tokens(self, seen: dict[str, Tensor]) -> Tensor:
        """(B, 10, D): nine cells and the picture as a whole."""
        table = self.words.weight
        cells = seen["presence"] * (seen["values"] @ table[self.value_rows]) + self.presence(seen["presence"])
        whole = seen["background"] @ table[self.background_rows] + self.quality(seen["quality"])
        return torch.cat([cells, whole[:, None]], 1) + self.place

    def score(self, seen: dict[str, Tensor], ids: Tensor) -> Tensor:
        """(B,) scores of pictures as `see` reads them, for prompts as `token_ids` spells them."""
        image = self.image_tokens(seen)
        words = self.words(ids)
        is_word = ids != PAD
        # Neighbouring words belong together: `red circle` is one thing.
        words = words + F.gelu(self.mix((words * is_word[..., None]).transpose(1, 2))).transpose(1, 2)
        x = torch.cat([image, words + self.order[: ids.shape[1]]], 1)
        is_token = torch.cat([torch.ones_like(is_word[:, :1]).expand(-1, image.shape[1]), is_word], 1)
        mask = is_token[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x) * is_token[..., None]
        n_image = image.shape[1]
        text = x[:, n_image:].sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)
        found: Tensor = self.head(torch.cat([x[:, :n_image].mean(1), text], -1))[:, 0]
        return found

    def forward(self, pictures: Tensor, ids: Tensor) -> Tensor:
        """(B,) scores of (B, 48, 48, 3) uint8 pictures for prompts."""
        return self.score(self.see(pictures), ids)
