"""The test prompts of AlphaGRPO's data, scored with DVReward.

Paper: AlphaGRPO, arXiv 2605.12495. Reference: the released code (repository and revision in
`benchmarks/locks/alphagrpo20k.yaml`), dataset `alphagrpo20k`, reward `dvreward`. Data: `test.jsonl` (1,024 prompts with
their semantic and quality questions), brought by `run.py data prepare alphagrpo20k`; a file of the same format is used
with `dvtest.records=FILE` and gets an id of its own. Micro edition: prompts of the micro world with exact questions,
easy, medium and hard 3:5:2 (`benchmarks.micro.dvtest`). Judge: a vision-language model that gives P(yes) from its first
token, named with --judge (`micro`: the exact verifier); instructions in the project's own wording (`judge_prompt:
builtin`). One image per prompt; the paper's size is 512x512 with 40 grid points.

Aggregation: per image the means s and q of P(yes) over semantic and over quality questions, reward sqrt(s q); `overall`
is the mean over prompts. Also the mean reward by difficulty, `semantic`, `quality`, `all_yes` (share of images with
every semantic question above one half) and the means by tag. `overall` counts questions asked, saturated answers and
answers with little probability on yes and no. The paper's test set has difficulties, its published records name none:
without the field `difficulty` in the records those rows are absent and `overall` says so.

Quirks of the released code that `official` keeps and `corrected` repairs: questions marked invalid are asked; an empty
list of questions counts 1.0; negatives are asked under the instruction whose rule "absent means no" works against them.
Both protocols come from the same judgements: negatives are asked under both instructions. Not kept by either: failed
calls that count as 0, and random stand-ins. An image with more than `max_missing` of its questions unanswered has no
reward. No table of this benchmark is published to compare with.
"""

from benchmarks.dvtest.adapter import DVTest, DVTestOptions

__all__ = ["DVTest", "DVTestOptions"]
