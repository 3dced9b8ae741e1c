"""GEdit-Bench: does an image editor do what the instruction says, and is the result a good picture? VIEScore judging.

Papers: Step1X-Edit, arXiv 2504.17761 (the benchmark); VIEScore, arXiv 2312.14867 (the judging). Reference code:
stepfun-ai/Step1X-Edit at 570eba6e (`GEdit-Bench/`), ByteDance-Seed/Bagel at 056b5fd5 (`eval/gen/gedit/`), parser from
TIGER-AI-Lab/VIEScore at 2cbea4e8. Data lock: `benchmarks/locks/gedit.yaml`; 1212 rows, 606 each in English and Chinese,
eleven groups, from the hub's Arrow files or a copy made of them.

Judge: a vision-language model, asked twice for each pair of images. SC (semantic consistency) sees source and edited
image and the instruction and gives two marks, edit success and not over-editing; PQ (perceptual quality) sees the
edited image only and gives naturalness and freedom from artifacts. Published G_* columns come from GPT-4.1 (upstream's
folder is called `gpt4o`), Q_* columns from Qwen2.5-VL-72B-Instruct-AWQ; they never mix, so the official edition has no
default judge. The built-in prompts are this project's own; `judge_prompt=official` takes upstream's from
`DATA_DIR/gedit/judge_prompts.json`. Temperature, tries and image encoding are the judge's settings; this module fixes
the pixels: the edited image in RGB, resized to the source's size (bicubic), the source untouched.

Sampling: one edited image per row from `input_image` (about 512x512 pixels of area); edited size free.

Formula: SC and PQ are each the minimum of the reply's score list, O = sqrt(SC * PQ) per image, all 0..10. Group value =
mean over the group's images; overall = unweighted mean of the eleven group values, for SC, PQ and O. Four separate
reports: `lang=en|cn` times `subset=full|intersection` (the full set shows its intersection too, as
`intersection/...`). There is no number over both languages.

Quirks of the official scripts that `official` keeps:
    - replies are read leniently: text around the outermost braces is ignored, a bare pair of integers or a single
      integer counts, flat objects with unquoted keys are repaired; type, range and number of the scores are not
      checked, so that 11, 7.5 or `true` count, and one score does for two;
    - `repeated-rows`: in imported files a row judged again after a restart counts twice;
    - `empty-flag`: in imported files an empty intersection flag counts as true.
`corrected` repairs them: thinking blocks are taken out, and there must be exactly two numbers within 0..10; the first
of repeated rows counts; an empty flag is looked up in the data.

Never kept: after a second unreadable reply upstream draws a random score 0..10. Here such an item is missing, with the
judge's text kept. `guess=true` (official protocol) draws it, seeded, and says how many items rest on it. (Upstream also
replaces a readable bare list when the other call failed, and asks for ever where the reply has braces; neither can be
had here.)

Missing items leave the means, as upstream's missing images do, and are counted and bounded beside every value;
`missing=zero` counts them as zero, as lmms-eval does. An item with one of its two scores enters no mean. A group
without any scored item leaves the overall without a value (NaN officially), and fewer than 606 rows are marked as
incomplete.

Known from comparing implementations: Step1X's scorer cannot run unchanged; its statistics take `zh` where the data say
`cn`; lmms-eval averages over rows and mixes languages; evalscope changes the prompts. Rerunning GPT-4.1 on the same
images moves O by about 0.1.

Micro edition: six of the eleven groups (`background_change`, `color_alter`, `motion_change`, `subject-add`,
`subject-remove`, `subject-replace`) over generated scenes, from `benchmarks.micro.gedit`; its overall is the mean over
the groups present, and says so.

Checked against: the recorded answers of three judges to VIEScore's own prompts: 9,690 score lists are read back from
every documented shape, the 3,268 texts that upstream guessed at are missing, and the means, deviations and correlations
with people of upstream's notebook come out to 0.001. No published GEdit-Bench number has been recomputed from recorded
judgements.
"""

from benchmarks.gedit.adapter import GEdit, GEditOptions
from harness.viescore.parsing import parse_official, parse_strict

__all__ = ["GEdit", "GEditOptions", "parse_official", "parse_strict"]
