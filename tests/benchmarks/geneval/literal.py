"""The verdict on an image, written a second time: plain Python lists and explicit rounding to float32, no arrays."""

import math
import struct

COLOUR_ORDER = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def kept_indices(rows, limit, max_objects=16, max_overlap=1.0):
    """Best first; among equal scores the later row first."""
    rows = [[f32(v) for v in row] for row in rows]
    ranked = sorted(range(len(rows)), key=lambda i: (-rows[i][4], -i))
    rest = [i for i in ranked if rows[i][4] > f32(limit)][:max_objects]
    result = []
    while rest:
        best, rest = rest[0], rest[1:]
        result.append(best)
        if max_overlap != 1:
            rest = [i for i in rest if iou(rows[best], rows[i]) < max_overlap]
    return result


def iou(a, b):
    def area(x1, y1, x2, y2):
        return max(f32(x2 - x1) + 1, 0) * max(f32(y2 - y1) + 1, 0)

    inter = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a[:4]) + area(*b[:4]) - inter
    return inter / union if union else 0


def relations(a, b, share=0.1, *, own_length=False):
    a, b = [f32(v) for v in a[:4]], [f32(v) for v in b[:4]]
    offsets, reduced = [], []
    for axis in (0, 1):
        centre_a = f32(f32(a[axis] + a[axis + 2]) / 2)
        centre_b = f32(f32(b[axis] + b[axis + 2]) / 2)
        size_a, size_b = abs(f32(a[axis + 2] - a[axis])), abs(f32(b[axis + 2] - b[axis]))
        o = f32(centre_a - centre_b)
        r = f32(abs(o) - f32(f32(share) * f32(size_a + size_b)))
        offsets.append(o)
        reduced.append(math.copysign(max(r, 0.0), o) if o else 0.0)
    if all(abs(r) < f32(0.001) for r in reduced):
        return set()
    x, y = reduced if own_length else offsets
    length = f32(math.sqrt(f32(f32(x * x) + f32(y * y))))
    dx, dy = f32(reduced[0] / length), f32(reduced[1] / length)
    found = set()
    if dx < -0.5:
        found.add("left of")
    if dx > 0.5:
        found.add("right of")
    if dy < -0.5:
        found.add("above")
    if dy > 0.5:
        found.add("below")
    return found


def evaluate(metadata, detections, colours, *, any_instance=False, own_length=False, max_overlap=1.0):
    """(correct, reasons); a reason about relations is a tuple with the set of those that hold."""
    limit = 0.9 if metadata["tag"] == "counting" else 0.3
    kept = {}
    for name, rows in detections.items():
        indices = kept_indices(rows, limit, max_overlap=max_overlap)
        if indices:
            kept[name] = indices
    reasons, groups = [], []
    for clause in metadata["include"]:
        name, count = clause["class"], clause["count"]
        found = kept.get(name, [])[:count]
        ok = True
        if len(found) < count:
            ok = False
            reasons.append(f"expected {name}>={count}, found {len(found)}")
        else:
            if "color" in clause:
                looked = kept.get(name, []) if any_instance else found
                names = [colours[name][i] for i in looked]
                if names.count(clause["color"]) < count:
                    ok = False
                    listed = ", ".join(f"{names.count(c)} {c}" for c in COLOUR_ORDER if c in names)
                    wanted = clause["color"]
                    reasons.append(
                        f"expected {wanted} {name}>={count}, found {names.count(wanted)} {wanted}; and {listed}"
                    )
                else:
                    found = [i for i in looked if colours[name][i] == clause["color"]][:count]
            if ok and "position" in clause:
                relation, target = clause["position"]
                if groups[target] is None:
                    ok = False
                    reasons.append(f"no target for {name} to be {relation}")
                else:
                    other_name, others = groups[target]
                    for i in found:
                        for j in others:
                            held = relations(detections[name][i], detections[other_name][j], own_length=own_length)
                            if ok and relation not in held:
                                ok = False
                                reasons.append((name, relation, frozenset(held)))
        groups.append((name, found) if ok else None)
    for clause in metadata.get("exclude", []):
        k = len(kept.get(clause["class"], []))
        if k >= clause["count"]:
            reasons.append(f"expected {clause['class']}<{clause['count']}, found {k}")
    return not reasons, reasons
