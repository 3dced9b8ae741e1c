import math

import numpy as np
import pytest
import torch

from harness.judges.detector import build_model, config_from_state_dict, convert_state_dict, detect, predict
from harness.judges.detector.detection import Logits, best_pairs, mask_box, postprocess, precision
from harness.judges.detector.preprocess import prepare
from tests.harness.judges.detector import checkpoint, reference

PADDED, RESIZED, ORIGINAL = (32, 64), (30, 45), (21, 33)


def some_logits(n_queries=7, n_classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    masks = 2 * torch.randn(n_queries, 8, 16, generator=generator, dtype=torch.float64)
    masks[2] = -masks[2].abs()  # an empty mask
    masks[3] = masks[3].abs()  # a full one
    classes = 2 * torch.randn(n_queries, n_classes + 1, generator=generator, dtype=torch.float64)
    return Logits(classes=classes, masks=masks, padded=PADDED, resized=RESIZED, original=ORIGINAL)


def literal_interpolate(grid, height, width):
    """Bilinear, corners not aligned, one value at a time."""

    def place(d, n_in, n_out):
        p = max((d + 0.5) * n_in / n_out - 0.5, 0.0)
        i = min(int(p), n_in - 1)
        return i, min(i + 1, n_in - 1), p - i

    out = np.zeros((height, width))
    for y in range(height):
        a, b, t = place(y, grid.shape[0], height)
        for x in range(width):
            c, d, s = place(x, grid.shape[1], width)
            top = (1 - s) * grid[a, c] + s * grid[a, d]
            bottom = (1 - s) * grid[b, c] + s * grid[b, d]
            out[y, x] = (1 - t) * top + t * bottom
    return out


def literal_detections(logits, n):
    """Upstream's result as rows (class, box, score, mask), most probable pair first."""
    pairs = []
    for q, row in enumerate(logits.classes.tolist()):
        total = sum(math.exp(v) for v in row)
        pairs += [(-math.exp(v) / total, q, c) for c, v in enumerate(row[:-1])]
    rows = []
    for negative, q, c in sorted(pairs)[:n]:
        grid = literal_interpolate(logits.masks[q].numpy(), *PADDED)[: RESIZED[0], : RESIZED[1]]
        grid = literal_interpolate(grid, *ORIGINAL)
        inside = [(y, x) for y in range(ORIGINAL[0]) for x in range(ORIGINAL[1]) if grid[y, x] > 0]
        box = [0, 0, 0, 0]
        if inside:
            ys, xs = zip(*inside, strict=True)
            box = [min(xs), min(ys), max(xs) + 1, max(ys) + 1]
        certainty = sum(1 / (1 + math.exp(-grid[p])) for p in inside) / (len(inside) + 1e-6)
        rows.append((c, box, -negative * certainty, grid > 0))
    return rows


def test_postprocessing_equals_upstreams_rules_done_one_pixel_at_a_time():
    logits = some_logits()
    found = postprocess(logits, max_per_image=20)
    expected = literal_detections(logits, 20)
    assert len(found) == 20
    assert found.labels.tolist() == [row[0] for row in expected]
    assert found.boxes.tolist() == [row[1] for row in expected]
    assert np.abs(found.scores - [row[2] for row in expected]).max() < 1e-12
    assert all(np.array_equal(found.mask(i), row[3]) for i, row in enumerate(expected))
    assert found.mask(0).shape == ORIGINAL
    assert (found.boxes.dtype, found.mask(0).dtype) == (np.float32, np.bool_)


def test_empty_masks_stay_with_a_box_of_zeros_and_score_0():
    found = postprocess(some_logits(), max_per_image=35)
    empty = [i for i in range(len(found)) if found.queries[i] == 2]
    assert len(empty) == 5
    assert all(found.boxes[i].tolist() == [0, 0, 0, 0] and found.scores[i] == 0 for i in empty)
    assert [0, 0, ORIGINAL[1], ORIGINAL[0]] in found.boxes.tolist()


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_do_not_change_results(chunk):
    whole, parts = postprocess(some_logits()), postprocess(some_logits(), chunk=chunk)
    assert np.array_equal(whole.scores, parts.scores)
    assert np.array_equal(whole.boxes, parts.boxes)
    assert all(np.array_equal(whole.masks[q], parts.masks[q]) for q in whole.masks)


def test_at_most_a_hundred_pairs_one_query_may_have_several_classes():
    generator = torch.Generator().manual_seed(1)
    classes = torch.randn(30, 81, generator=generator)
    probabilities, queries, labels = best_pairs(classes, 100)
    assert len(labels) == 100
    assert len(set(queries.tolist())) < 100
    assert (probabilities.diff() <= 0).all()
    kept = torch.zeros(30, 80, dtype=torch.bool)
    kept[queries, labels] = True
    everything = classes.softmax(-1)[:, :80]
    assert everything[kept].min() >= everything[~kept].max()
    assert labels.max() < 80


def test_equal_probabilities_keep_the_order_of_query_then_class():
    _, queries, labels = best_pairs(torch.zeros(3, 5), 6)
    assert list(zip(queries.tolist(), labels.tolist(), strict=True)) == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]


def test_box_ends_one_pixel_after_the_mask():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2, 3] = mask[4, 5] = True
    assert mask_box(mask) == (3, 2, 6, 5)


def picture(h=10, w=240, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def test_a_picture_end_to_end_equals_the_second_route():
    # Long and thin: a small canvas after resizing to 1333 pixels.
    source = checkpoint.random_checkpoint(seed=2, dtype=torch.float64)
    config = config_from_state_dict(source)
    model = build_model(config, torch.float64, convert_state_dict(source))
    image = picture()
    logits = predict(model, image)
    assert (logits.padded, logits.resized, logits.original) == ((64, 1344), (56, 1333), (10, 240))
    values = torch.from_numpy(prepare(image).pixels)[None].double()
    classes, masks = reference.logits(source, values, config.heads)
    assert (logits.classes - classes).abs().max() < 1e-9
    assert (logits.masks - masks).abs().max() < 1e-9
    found = detect(model, image)
    again = postprocess(Logits(classes=classes, masks=masks, padded=(64, 1344), resized=(56, 1333), original=(10, 240)))
    assert np.array_equal(found.labels, again.labels)
    assert np.array_equal(found.boxes, again.boxes)
    assert np.abs(found.scores - again.scores).max() < 1e-12
    assert len(found) == 100
    assert found.scores.max() > 0


def test_detecting_leaves_the_global_generator_and_rounding_settings_alone():
    source = checkpoint.random_checkpoint(seed=2)
    model = build_model(config_from_state_dict(source), tensors=convert_state_dict(source))
    state = torch.get_rng_state()
    settings = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
    detect(model, picture(w=300))
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision) == settings


@pytest.mark.parametrize(("tf32", "convolutions"), [("off", "ieee"), ("convolutions", "tf32")])
def test_products_are_never_rounded_and_convolutions_only_on_request(tf32, convolutions):
    with precision(tf32):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == convolutions
