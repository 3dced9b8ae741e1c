"""Bridge to lm-eval: a policy's text side as a language model, to see whether training cost language ability.

- `model`: the lm-eval model `ummbench`
- `evaluate`: lm-eval tasks into a run directory that reports read; `results`: what one task gives
- `tasks/`: small tasks from the micro world's grammar, which need no download; `build` makes their data

`python -m harness.lmeval ARGUMENTS` is lm-eval's own command line with the model and the tasks known to it.
Nothing here imports lm-eval before it is used (extra `lm-eval`).
"""
