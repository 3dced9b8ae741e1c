"""The judge of GenEval's published numbers: mmdet's Mask2Former checkpoint, run in transformers, and CLIP for colours.

`geneval-official:PATH.pth,allow_pickle=true` converts the original checkpoint once; afterwards `geneval-official`
alone finds it. Sizes, names, preprocessing and post-processing are those of the original program; the tests hold the
whole computation against a second implementation in mmdet's own layout. See docs/geneval-detector.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.registry import JUDGES

if TYPE_CHECKING:
    from harness.judges.detector.judge import DetectorJudge

NAME = "geneval-official"


@JUDGES.register(NAME)
def load(argument: str = "") -> DetectorJudge:
    """GenEval's detector and colour classifier: `geneval-official:PATH,allow_pickle=true,clip=FOLDER,device=cuda`."""
    from harness.judges.detector import judge
    from harness.judges.detector.convert import build_model
    from harness.judges.detector.files import find
    from harness.judges.detector.options import OfficialOptions, parse

    options = parse(argument, OfficialOptions, NAME)
    judge.require_transformers(NAME)
    loose = options.allow_unknown_hash
    found = find(
        Path(options.weights) if options.weights else None,
        cache=Path(options.cache),
        allow_pickle=options.allow_pickle,
        allow_unknown_hash=loose,
    )
    mark = "" if found.official else f"+unknown-hash({found.config.label})".replace(", ", ",").replace(" ", "-")
    identity = (
        f"{found.source_sha256[:16]}+{found.edition}{mark}+converter-{found.converter}+"
        f"{judge.clip_identity(options.clip, any_size=loose, any_activation=False)}"
    )
    parts = judge.Parts(
        name=NAME,
        recipe="mmdet",
        identity=identity,
        load_detector=lambda device: build_model(found.config, tensors=found.load(), device=device),
        load_colours=None
        if options.clip == "none"
        else lambda device: judge.load_clip(
            options.clip, device, any_size=loose, any_activation=False, options=options
        ),
    )
    return judge.DetectorJudge(parts, options)
