"""GenEval: an object detector checks the objects, counts, colours and positions that a prompt names.

Paper: GenEval, arXiv 2310.11513. Reference code: djghosh13/geneval at af4902f2, `evaluation/evaluate_images.py`
(filtering, verdict) and `evaluation/summary_scores.py` (aggregation). Data lock: `benchmarks/locks/geneval.yaml` (553
prompts; the `long` set is BAGEL's rewriting of the same prompts, ByteDance-Seed/Bagel at 056b5fd5).

Judge: Mask2Former (Swin-S, instance segmentation on the 80 COCO classes) for boxes and scores, CLIP ViT-L/14 for the
colour of an object; `geneval-official` runs the original checkpoint, `geneval-hf-m2f` other weights, whose numbers do
not belong beside published ones. In the micro edition the scene parser plays both. The judge records detections
*unfiltered*, with colours; filtering and verdict are computed here, so that both protocols come from the same
judgements.

Sampling: four images per prompt (2212), judged one by one; no grid, any size.

Formula: an image is correct if every `include` clause holds (at least `count` detections of the class; that many of
them in the colour; each in the relation to each object of an earlier clause) and no `exclude` clause fires (`count` or
more detections). Task score = correct images / images of the task; GenEval score = unweighted mean of the six task
scores.

Quirks. Kept by both protocols, as they define the benchmark:

- A score must exceed the threshold after both are rounded to float32; 0.9 instead of 0.3 for `counting`, for all
  classes.
- At most 16 detections of a class count, so an `exclude` limit above 16 never fires.
- Surplus instances are ignored everywhere but in `counting`; positions are read from the `count` most confident ones.
- Every object has one of the ten colours; a judge's fault, not repaired by arithmetic.

Kept by `official`, repaired by `corrected`:

- `colour-of-the-first`: a colour clause looks at the `count` most confident detections only, so that a red and a blue
  apple may fail "a red apple". Corrected: any `count` of the detections that count may have the colour.
- `unreduced-norm`: a direction is the offset *reduced* by a tenth of the sizes, divided by the length of the
  *unreduced* offset, so that large objects near each other have no relation. Corrected: divided by its own length.
- `found-images-only`: every mean is over the images found, so a prompt with fewer images weighs less. Corrected: every
  prompt with an image weighs the same within its task. (Missing images are counted and bounded under both.)
- `tasks-present`: the score is the mean over the tasks that have images. Corrected: no score without all six.
- `repeated-records`: an image recorded twice in an imported file counts twice. Corrected: once.

A verdict that is missing is missing data in both. Exact file names are asked for in image folders (upstream also takes
names that only start like one, such as `00000.png.bak`).

Checked against: the control totals of the released human annotations (three files of 2,000 answers), the official
prompt files, and an independent reimplementation of the verdict over generated detections.

Entry points: `judge` for one image, `GenEval` for the harness.
"""

from benchmarks.geneval.adapter import GenEval, GenEvalOptions
from benchmarks.geneval.filtering import Thresholds
from benchmarks.geneval.judging import ColourSource, Verdict, judge, relative_position

__all__ = ["ColourSource", "GenEval", "GenEvalOptions", "Thresholds", "Verdict", "judge", "relative_position"]
