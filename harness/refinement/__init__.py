"""Self-reflective refinement at evaluation time, under four gates, each beside "sample once more".

Source: inference-time SRR of AlphaGRPO, arXiv 2605.12495. Its scripts refine only the images that the benchmark's own
grader marked wrong (`--only_wrong`) and keep every refinement: gate `oracle` here. Labels of the test then decide which
samples get a second attempt, and a right image cannot be damaged, so even redrawing at random raises the score: an
upper bound. The other gates use nothing that would be missing at deployment. The control puts a fresh sample of the
same prompt in the refinement's place under the same rule.

| gate | which images are replaced |
|---|---|
| `all` | every one |
| `self` | those whose reflection does not say that the image is right |
| `verifier` | those whose replacement has the higher reward by a judge that is not the benchmark's: max(r0, r1) |
| `oracle` | those that the benchmark's own judge marked wrong, without a look at the replacement |

Refinements are made once for all gates: a gate is a selection over stored samples. From round 2 on, gates differ in the
image that they start from, so there more is made. Samples are keyed by their content (starting image, text, settings,
seed), with `SampleKey.round` the round and `Generation.parent` the image that they may replace.

Modules: `gates` (the rules), `jobs` (samples to make), `verifier` (the reward behind gate `verifier`), `chains` (the
rounds), `differences` (paired intervals), `table` (numbers), `rows` (text for tables), `planning` (dry run).
"""
