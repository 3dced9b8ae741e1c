"""Policies: one module or folder per model; the interface is in `base`."""
