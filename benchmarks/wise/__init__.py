"""WISE: does an image show what a prompt only hints at? World knowledge, judged by a vision-language model.

Paper: arXiv 2503.07265. Reference code: github.com/PKU-YuanGroup/WISE at eb51174483a5de2e34e8614cf9dfb3319ee7fcd0
(`vllm_eval.py`; `WISE_legacy/gpt_eval.py`; their calculation programs). Data lock: `benchmarks/locks/wise.yaml`; the
data has no licence, so it is read from the user's copy in `DATA_DIR/wise`, every file checked by hash.

Two protocols, `wise.variant`, which never meet in one table: `verified` (the default: one binary score) and `legacy`
(consistency, realism, aesthetic quality, 0 to 2 each). Prompts, ids, judge, scale and weights differ; the same number
means different prompts from 521 on. The category follows from the id. `wise.prompt_set=rewrite` takes legacy's direct
wordings; the difference of the two overalls is the paper's measure of how well knowledge is used.

Judge: Qwen3.5-35B-A3B without thinking (verified, 500 tokens), gpt-4o-2024-05-13 (legacy, 2000 tokens), temperature 0,
up to three attempts; attempts are the judge's settings here. Numbers of other judges do not compare, so the official
edition has no default judge. The built-in prompts are this project's own (`judge_prompt: builtin` in every record);
`wise.judge_prompt=official` takes upstream's from `DATA_DIR/wise/judge_prompts.json`.

Sampling: one image per prompt, `ID.png`, any size; 1,000 prompts.

Formula: WiScore of an image = its score (verified), (0.7 consistency + 0.2 realism + 0.1 aesthetic quality) / 2
(legacy). Category = mean over its images. Three overalls are in use and keep their names:

- `overall/official`: category weights 0.4 and five times 0.12 (verified); 0.4, 0.167, 0.133, 0.1, 0.1, 0.1 (legacy).
- `overall/unweighted`: plain mean of the six categories.
- `overall/bagel` (legacy): the same over BAGEL's parts, where the label and not the id tells TIME from SPACE; only for
  a result without any missing score. Tables of BAGEL and AlphaGRPO use it, with the judge gpt-4o-2024-11-20.

Quirks. Kept by both protocols, as they define the reply formats: only the first digit of a score is read; asterisks
behind the colon hide it; legacy takes the last mention of a scale, verified the first score; bare numbers count only
where no scale is named (legacy) or as a single line (verified); the text before a lone `</think>` is searched too.

Kept by `official`, repaired by `corrected`:

- `one-missing-id`: an id without a record blanks the overall (`missing_ids`), while a record without a usable score
  shrinks the denominator silently. Corrected: no overall in either case.
- `beyond-the-scale`: legacy digits 3 to 9 are used as they are. Corrected: missing.
- `repeated-ids`: every record of an id counts. Corrected: an id counts once, with the mean of its records.
- `booleans`: count as 0 and 1. Corrected: missing.

Imports refuse the last three unless `wise.strict=false`. In both protocols an incomplete result has category means with
counts, and `partial_overall/...` with the same formula, never an `overall/...`; weights are never renormalised. The
marks 9.9 (BAGEL's copy) and 999 (an early official script) for a score that was not found are missing data.

Micro edition: prompts of the micro world that name things indirectly, in the six categories, `benchmarks.micro.wise`.

Checked against: the published tables (weights: every row of the verified leaderboard but DeepGen 1.0, and the legacy
table within rounding, but BAGEL and OpenUni-B-512), and literal implementations of both parsers and of the
calculation program over generated input.
"""

from benchmarks.wise.adapter import WISE, WISEOptions
from benchmarks.wise.calculation import calculate
from benchmarks.wise.replies import bagel_scores, legacy_scores, verified_score
from benchmarks.wise.variants import overall, wiscore

__all__ = [
    "WISE",
    "WISEOptions",
    "bagel_scores",
    "calculate",
    "legacy_scores",
    "overall",
    "verified_score",
    "wiscore",
]
