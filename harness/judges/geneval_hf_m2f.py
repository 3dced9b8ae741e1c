"""GenEval's judge with the hub's own Mask2Former weights (Meta's training run): close to the published numbers, never
equal to them, and never to be put beside them.

Same architecture, classes, post-processing and colour classifier as `geneval-official`. Pictures are resized as these
weights were trained: Pillow's anti-aliased bilinear resize, padding with zeros after normalising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.registry import JUDGES

if TYPE_CHECKING:
    from harness.judges.detector.judge import DetectorJudge

NAME = "geneval-hf-m2f"
WEIGHTS = "facebook/mask2former-swin-small-coco-instance"


@JUDGES.register(NAME)
def load(argument: str = "") -> DetectorJudge:
    """Mask2Former from the hub in GenEval's role: `geneval-hf-m2f:FOLDER-OR-HUB-NAME,clip=FOLDER,device=cuda`."""
    from harness.judges.detector import judge
    from harness.judges.detector.hub import weights_sha256
    from harness.judges.detector.options import CommonOptions, parse

    options = parse(argument, CommonOptions, NAME)
    judge.require_transformers(NAME)
    weights = options.weights or WEIGHTS
    clip = judge.clip_identity(options.clip, any_size=True, any_activation=True)
    parts = judge.Parts(
        name=NAME,
        recipe="hub",
        identity=f"{weights_sha256(weights)[:16]}+{clip}",
        load_detector=lambda device: load_detector(weights, device),
        load_colours=None
        if options.clip == "none"
        else lambda device: judge.load_clip(options.clip, device, any_size=True, any_activation=True, options=options),
    )
    return judge.DetectorJudge(parts, options)


def load_detector(weights: str, device: str) -> Any:
    """The model from a folder or the hub.

    Raises:
        JudgeError: it cannot be loaded, misses tensors, or has other classes than COCO's 80 in their usual order.
    """
    from transformers import Mask2FormerForUniversalSegmentation

    from harness.judges.detector.hub import load_pretrained

    model = load_pretrained(Mask2FormerForUniversalSegmentation, weights, unfilled=("swin.layernorm.", "criterion."))
    check_classes(model.config, weights)
    return model.to(device)


def check_classes(config: Any, where: str) -> None:
    """Refuses a model whose classes are not COCO's 80 in order.

    Raises:
        JudgeError: another number, name or order of classes.
    """
    from harness.judges.detector.classes import CLASS_NAMES, RENAMED

    if config.num_labels != len(CLASS_NAMES):
        raise JudgeError(
            f"{where}: {config.num_labels} classes, expected the 80 of COCO instances (not a panoptic model)."
        )
    labels = [str(config.id2label[i]).lower() for i in range(len(CLASS_NAMES))]
    wrong = [
        (i, found)
        for i, (found, name) in enumerate(zip(labels, CLASS_NAMES, strict=True))
        if RENAMED.get(found, found) != name and found != f"label_{i}"
    ]
    if wrong:
        i, found = wrong[0]
        raise JudgeError(f"{where}: class {i} is called {found!r}, expected {CLASS_NAMES[i]!r}.")
