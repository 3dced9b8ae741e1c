"""Judges: one module or folder per backend; the interface is in `base`."""
