"""The regression gate: finished runs against a baseline, benchmark by benchmark.

- `sides`: what the gate reads of a run: prompts' parts of each headline, scores of single images, settings
- `images`: scores of single images, for what more images per prompt could do
- `baseline`: the small file that can be committed in place of a run
- `comparability`: what must agree, and the same prompts in the same order on both sides
- `margins`: accepted losses, in shares of a headline's range
- `decide`: the decision over all benchmarks
- `rows`: the one of each benchmark, and what it rests on
- `advice`: what would decide an undecided comparison
- `tables`, `junit`: the answer for people and for CI systems
"""
