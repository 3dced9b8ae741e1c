"""CLIPScore: the similarity of image and prompt by OpenAI's CLIP (arXiv 2104.08718).

`clipscore:PATH-OR-HUB-ID` is any CLIP model in transformers' format, ViT-L/14 unless said otherwise;
raw = the cosine. The reward `clipscore` makes the variants of the literature of it.
"""

from __future__ import annotations

from harness.judges.scorers.clip import ClipKind, make_judge
from harness.judges.scorers.judge import ScoreJudge
from harness.registry import JUDGES

KIND = ClipKind(
    name="clipscore", default="openai/clip-vit-large-patch14", processor="openai/clip-vit-large-patch14", scaled=False
)


@JUDGES.register("clipscore")
def load(argument: str = "") -> ScoreJudge:
    """A CLIP model's similarity; `clipscore:PATH,processor=PATH,dtype=float32,device=auto,batch_size=64`."""
    return make_judge(KIND, argument)
