"""Benchmarks: one module or folder each; what is shared is in `base`."""
