"""Which checkpoint a file is: by its hash, and, for messages, by its name and the shapes in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from harness.errors import JudgeError

OFFICIAL_HASHES = {"743b7d99": "mmdet-2.x", "c9d0c4f2": "mmdet-3.x"}
"""First eight digits of the SHA-256 of the two published files -> edition.

mmdet's publishing script puts these digits of the file's own hash into its name. The second file is the first one
under the names of mmdet 3.x, according to its publisher.
"""

FILE_NAME = "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth"

_OTHERS = {
    "c7b94355": "panoptic Mask2Former, Swin-S (mmdet 2.x)",
    "4a16ded7": "panoptic Mask2Former, Swin-S (mmdet 3.x)",
    "fc567107": "panoptic Mask2Former, Swin-T (mmdet 2.x)",
    "3ec9e0ae": "panoptic Mask2Former, Swin-T (mmdet 3.x)",
    "01b0f990": "Mask2Former, Swin-T (mmdet 3.x)",
    "11a44721": "panoptic Mask2Former, R-50 (mmdet 2.x)",
    "54df384a": "panoptic Mask2Former, R-50 (mmdet 3.x)",
    "41b088b6": "Mask2Former, R-50 (mmdet 3.x)",
    "c54e64c9": "panoptic Mask2Former, R-101 (mmdet 2.x)",
    "c74d4d71": "panoptic Mask2Former, R-101 (mmdet 3.x)",
    "ecf181e2": "Mask2Former, R-101 (mmdet 2.x or 3.x)",
}
"""Siblings in the same model zoo, by the digits in their names."""


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes.

    Raises:
        JudgeError: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise JudgeError(f"{path}: cannot be read ({error.strerror}).") from None


def is_official(sha256: str) -> bool:
    """Whether a hash is that of one of the two published files."""
    return sha256[:8] in OFFICIAL_HASHES


def guess(path: Path, sha256: str) -> str:
    """What a file probably is, by its hash and name; empty if neither tells."""
    if sha256[:8] in _OTHERS:
        return _OTHERS[sha256[:8]]
    name = path.name.lower()
    for digits, what in _OTHERS.items():
        if digits in name:
            return f"{what}, changed or damaged"
    if any(digits in name for digits in OFFICIAL_HASHES):
        return "the official file by its name, but changed, damaged or cut (compare the size: about 275 MB)"
    for part, what in (("panoptic", "a panoptic Mask2Former"), ("swin-t", "a Swin-T"), ("r50", "an R-50")):
        if part in name:
            return f"{what} by its name"
    return ""


def check_hash(path: Path, sha256: str, *, allow_unknown: bool) -> None:
    """Refuses a file that is not one of the two published ones.

    Raises:
        JudgeError: another hash and no permission; says what the file probably is.
    """
    if is_official(sha256) or allow_unknown:
        return
    what = guess(path, sha256)
    raise JudgeError(
        f"{path}: SHA-256 starts with {sha256[:8]}, expected {' or '.join(OFFICIAL_HASHES)} "
        f"({FILE_NAME} or its mmdet 3.x edition)." + (f" It is probably {what}." if what else "") + " Only these give "
        "GenEval's published numbers; allow_unknown_hash=true runs another 80-class checkpoint of the same kind, and "
        "records say so."
    )


def describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What tensors with these names and shapes probably are, in words."""
    names = list(shapes)

    def has(part: str) -> bool:
        return any(part in n for n in names)

    if has("pixel_level_module.") or has("class_queries_logits"):
        return "weights of the transformers library (from the hub); the judge geneval-hf-m2f runs those"
    if has("sem_seg_head."):
        return "weights of Meta's own Mask2Former repository (detectron2), not mmdet's"
    if not has("panoptic_head."):
        return f"no Mask2Former of mmdet ({len(names)} tensors, e.g. {names[0]!r})" if names else "an empty file"
    if has("backbone.layer1."):
        deep = has("backbone.layer3.22.")
        return f"a Mask2Former with an {'R-101' if deep else 'R-50'} backbone; GenEval's has Swin-S"
    rows = shapes.get("panoptic_head.cls_embed.weight", (0,))[0]
    depth = len({n.split(".")[4] for n in names if n.startswith("backbone.stages.2.blocks.")})
    dim = shapes.get("backbone.patch_embed.projection.weight", (0,))[0]
    backbone = {(96, 6): "Swin-T", (96, 18): "Swin-S", (128, 18): "Swin-B", (192, 18): "Swin-L"}.get(
        (dim, depth), f"Swin with {dim} channels and {depth} blocks in its third stage"
    )
    kind = "the panoptic" if rows == 134 else "an instance" if rows == 81 else f"a {rows - 1}-class"
    return f"{kind} Mask2Former with {backbone}"
