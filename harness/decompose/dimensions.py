"""What DVReward's questions are about: ten semantic dimensions (prompt following) and eight of quality.

Source: AlphaGRPO, arXiv 2605.12495; the names are those of the published question records.
"""

from __future__ import annotations

SEMANTIC: dict[str, str] = {
    "Style": "medium, genre or format of the picture",
    "Environment": "setting, weather, time of day, mood of the light, background",
    "Viewpoint": "camera angle, shot size, lens, framing",
    "Existence": "a subject is there, however many",
    "Count": "how many of something there are",
    "Attribute": "static look: colour, material, shape, texture, size, clothing",
    "Action": "motion or pose",
    "Spatial": "relative position, depth, relations such as holding or wearing",
    "Text": "words, signs or logos are there and spelled right",
    "Negative": "something is rightly absent; yes means absent",
}
"""Tag -> meaning; tags of `semantic_questions`."""

QUALITY: dict[str, str] = {
    "Geometry": "structure and perspective of man-made things; clean outlines",
    "Anatomy": "bodies of people and animals",
    "Texture": "surface detail, noise, realism of materials",
    "Coherence": "nothing melts, merges, breaks or floats apart",
    "Lighting": "consistent illumination, shadows, reflections",
    "Physics": "gravity, contact, fluids, motion",
    "Legibility": "glyphs can be read",
    "Aesthetics": "overall appeal, fit to the style, no artefacts",
}
"""Tag -> meaning; tags of `quality_questions`."""

NEGATIVE = "Negative"
"""The tag whose questions ask for an absence."""
