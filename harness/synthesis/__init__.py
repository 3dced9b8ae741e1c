"""Prompt synthesis from primitives: a scene is drawn, put into words by templates, and asked about from what was drawn.

The order of the modules: `primitives` and `pool` (what there is), `draw` (random choices), `scene` and `tasks` (what a
prompt is about), `wording` (its text), `asking` and `quality` (its questions), `checks` (is it sound), `cells` and
`generate` (exact counts), `similarity` and `sources` (near-duplicates), `output` (the folder).
"""

VERSION = "p2p-1"
"""Version of primitives, templates and rules together. Raised with every change that changes a record."""
