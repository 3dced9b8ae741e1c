"""Any registered reward as a benchmark: `-b reward:NAME` or `-b reward:NAME,option=value`.

Reference: `harness.rewards`; each reward's own module names its paper and formula. Prompts: the micro edition of
`dvtest` (profile `micro`), or a file of the user, `--set reward.prompts=FILE` (`.txt`: one prompt a line; `.jsonl`: one
object a line with `prompt`, and what the reward needs: `semantic_questions` and `quality_questions` for DVReward,
`source_images` with paths relative to the file for rewards of edits). A reward that judges edits is refused for prompts
without source images. Judge: the reward's own for the profile, unless --judge is given. One image per prompt.

Aggregation: the mean over prompts of the mean reward of a prompt's images, in the unit in which the reward enters
training; the parts of the reward likewise, and the mean by category of the prompts. The interval takes prompts as
random. An image without a reward is missing data and listed with its reason. Both protocols give the same numbers: what
a reward repairs is one of its own options (`behaviour` of dvreward).

A run holds one reward. `run.py eval --from RUN -b reward:OTHER` rewards the same images again.
"""

from benchmarks.reward.adapter import RewardBenchmark, RewardOptions

__all__ = ["RewardBenchmark", "RewardOptions"]
