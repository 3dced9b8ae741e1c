"""PickScore: how well people would like an image for a prompt (Pick-a-Pic, arXiv 2305.01569; MIT).

`pickscore:PATH-OR-HUB-ID` is a CLIP ViT-H/14 in transformers' format; raw = exp(logit_scale) * cosine, about 15..27.
Images are cropped to their middle square, prompts cut at 77 tokens (`n_tokens` in the payload tells).
"""

from __future__ import annotations

from harness.judges.scorers.clip import LAION_H14, ClipKind, make_judge
from harness.judges.scorers.judge import ScoreJudge
from harness.registry import JUDGES

KIND = ClipKind(name="pickscore", default="yuvalkirstain/PickScore_v1", processor=LAION_H14)


@JUDGES.register("pickscore")
def load(argument: str = "") -> ScoreJudge:
    """PickScore v1; `pickscore:PATH,processor=PATH,dtype=float32,device=auto,batch_size=64`."""
    return make_judge(KIND, argument)
