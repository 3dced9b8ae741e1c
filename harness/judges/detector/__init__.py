"""GenEval's detector and colour classifier without mmdet: Mask2Former in transformers, CLIP for colours.

The official checkpoint (mmdet, Swin-S, instance segmentation on COCO) is renamed, reordered and cut into the module
names of `transformers.Mask2FormerForUniversalSegmentation`; both programs then compute the same function. The steps,
each usable alone:

    config = config_from_state_dict(source)            # sizes, read off the tensors' shapes
    tensors = convert_state_dict(source, config)       # pure: mmdet names -> transformers names
    model = build_model(config, dtype, tensors)        # float32, or float64 for comparisons
    logits = predict(model, image)                     # exact preprocessing and one forward pass
    found = detect(model, image)                       # the 100 best (query, class) pairs: boxes, scores, masks

`image` is an (H, W, 3) uint8 RGB array (`to_rgb` makes one from a decoded picture). Importing this package imports
neither torch nor transformers.
"""

from harness.judges.detector.config import OFFICIAL, DetectorConfig, config_from_state_dict
from harness.judges.detector.convert import build_model, convert_state_dict
from harness.judges.detector.detection import Detections, Logits, detect, predict
from harness.judges.detector.preprocess import to_rgb

__all__ = [
    "OFFICIAL",
    "Detections",
    "DetectorConfig",
    "Logits",
    "build_model",
    "config_from_state_dict",
    "convert_state_dict",
    "detect",
    "predict",
    "to_rgb",
]
