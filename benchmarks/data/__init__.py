"""Official data and judge prompts: pinned by `benchmarks/locks/*.yaml`, brought by `run.py data prepare`, checked by
`run.py data verify`.

Everything lies in `DATA_DIR/NAME`. A file is moved into place only after its digest was compared with the lock;
archives are read in memory and never extracted; nothing is written outside the data folder. See `docs/data.md`.
"""
