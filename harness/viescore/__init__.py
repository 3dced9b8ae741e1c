"""VIEScore: reading a judge's reply, the built-in wording, and what the judge sees (arXiv 2312.14867).

Shared by the benchmark that asks it about edits (GEdit-Bench) and by the rewards that ask it during training.
"""
