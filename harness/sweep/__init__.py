"""Ablation grids: conditions x training seeds, each cell an ordinary training run with ordinary evaluations.

- `config`: what a sweep file says
- `cells`: the grid as cells, each a folder with its commands
- `cell`: runs one cell, resuming what is unfinished
- `executors`: many cells at a time, on this machine or on Ray
- `index`: what is finished, in the form that reports read
"""
