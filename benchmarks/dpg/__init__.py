"""DPG-Bench: does an image show what a dense prompt describes? A dependency graph of yes/no questions to a VQA model.

Paper: ELLA, arXiv 2403.05135. Reference code: TencentQQGYLab/ELLA at 3c228f1dc6c4d3cad0a47493816151a419f14db3,
`dpg_bench/compute_dpg_bench.py`. Data lock: `benchmarks/locks/dpg.yaml` (1065 prompts; the question table with 14,392
rows is identified by its git blob id and read from `DATA_DIR/dpg/dpg_bench.csv` or `dpg.table`). Any other table makes
the data id `dpg-like@...`; under `official`, re-exports that lack the first question or the `tuple` column are refused.

Judge: any yes/no judge, always named; a question scores 1 where P(yes) > 0.5. Published numbers use mPLUG
(`damo/mplug_visual-question-answering_coco_large_en`: a question scores 1 where the text is exactly `yes`). They come
in through the importer; numbers of another judge are not DPG-Bench numbers. The official edition has no default judge.

Sampling: `pic_num` images per prompt, 4 in the official wrapper, 1 by the script's default. Upstream stores them as one
file `ID.EXT`, a 2x2 grid of crops (top left, top right, bottom left, bottom right). That is a file layout only: here
every image is generated, stored and judged on its own, and sample `index` is crop `index`. Grids made elsewhere are
judged with `images:FOLDER`, `dpg.layout=grid` and `dpg.resolution=R`: every sample finds the same file, and the judge
gets its quarter of it. A grid of another size, or with an empty quarter, is refused unless `dpg.allow_size_mismatch`.

Formula: per crop, an answer counts only if the answers of its parent questions are yes; crop score = mean over all
questions, prompt score = mean of its crops, total = 100 x mean of the prompt scores. L2 categories (text of the tuple
before `(`) and L1 categories (before `-`) pool questions over prompts, also x 100.

Quirks. Kept by `official`, repaired by `corrected`:

- `first-row`: the first data row of the table is dropped. Its prompt (`partiprompts97`) then fails over the missing
  parent, so that 1064 prompts enter the mean. Generated tables lose their first row as well. Corrected: all rows.
- `in-place`: the filter runs in table order and in place: zeros cascade, a question before its parent sees the raw
  answer. Corrected: parents before children.
- `unknown-parent`: a parent that the prompt lacks fails the whole prompt, but only if it is reached (an earlier parent
  that is 0 ends the search). A question that is its own parent, and cycles, pass. Corrected: such tables are refused.
- `irregular-rows`: a second block of a prompt replaces the first; a repeated number overwrites its question and keeps
  its place. Corrected: refused.
- `last-crop`: categories use the last crop only. Corrected: all crops.
- `raw-categories`: categories use the answers before the filter. Corrected: after it; raw ones as `raw/L1/...`.
- `silent-skips`: prompts that fail or are not there leave the mean. Corrected: no `overall`, but `partial_overall`.

In both, a picture with a missing image or answer has no score, and what is missing is counted and bounded. Not
reproduced: with several processes upstream mixes the categories at random (the total is not affected); a second file of
one prompt, which upstream counts as another prompt, is refused or reported.

Micro edition: dense prompts of the micro world with the dependency graph of their questions, `benchmarks.micro.dpg`.

Checked against: an independent, literal implementation of the official script over generated tables and answers. The
official table is not part of the project, and no official total was recomputed from answers.
"""

from benchmarks.dpg.adapter import DPG, DPGOptions
from benchmarks.dpg.graph import Node, filter_in_graph_order, filter_in_place
from benchmarks.dpg.table import git_blob_id, read_table

__all__ = ["DPG", "DPGOptions", "Node", "filter_in_graph_order", "filter_in_place", "git_blob_id", "read_table"]
