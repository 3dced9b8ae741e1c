import hashlib
import math
import struct

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.judges.detector import preprocess as pre


def pattern(h, w):
    y, x, c = np.indices((h, w, 3))
    return ((y * y * 7 + x * 13 + x * y * 3 + c * 91 + (y * x // 5) * (c + 1)) % 256).astype(np.uint8)


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def literal_resize(image, height, width):
    """One output value at a time, in Python's numbers."""

    def points(d, n_in, n_out):
        p = single((d + 0.5) * (1.0 / (n_out / n_in)) - 0.5)
        i = math.floor(p)
        return i, single(p - i)

    def weights(t):
        return round(single(1 - t) * 2048), round(single(t * 2048))

    def column(row, d, c):
        i, t = points(d, image.shape[1], width)
        if i < 0 or i >= image.shape[1] - 1:
            i, t = min(max(i, 0), image.shape[1] - 1), 0.0
        w0, w1 = weights(t)
        return w0 * int(image[row, i, c]) + w1 * int(image[row, min(i + 1, image.shape[1] - 1), c])

    out = np.zeros((height, width, 3), dtype=np.uint8)
    for y in range(height):
        i, t = points(y, image.shape[0], height)
        w0, w1 = weights(t)
        top, bottom = (min(max(r, 0), image.shape[0] - 1) for r in (i, i + 1))
        for x in range(width):
            for c in range(3):
                v = (w0 * (column(top, x, c) >> 4) >> 16) + (w1 * (column(bottom, x, c) >> 4) >> 16)
                out[y, x, c] = min(max((v + 2) >> 2, 0), 255)
    return out


@pytest.mark.parametrize(
    "sizes", [(7, 5, 11, 3), (1, 9, 4, 20), (13, 8, 6, 17), (6, 6, 3, 3), (4, 1, 9, 2), (5, 5, 5, 5)]
)
def test_resize_equals_the_recipe_done_one_value_at_a_time(sizes):
    image = pattern(*sizes[:2])
    assert np.array_equal(pre.resize_bilinear(image, *sizes[2:]), literal_resize(image, *sizes[2:]))


# First digits of the SHA-256 of OpenCV 5.0.0's result (x86-64, cv2.INTER_LINEAR) on `pattern`.
OPENCV = {
    (512, 512, 800, 800): "e2a388a36e6b2dc4",
    (1024, 1024, 800, 800): "d51957d6e05e72c0",
    (480, 640, 800, 1067): "ad9e3aac1def85b4",
    (7, 5, 11, 3): "0720e61c0042f8d2",
    (1, 9, 4, 20): "7883cdadd6fffe6d",
    (300, 17, 100, 40): "4bff6df1dd8db757",
    (64, 64, 32, 32): "58113b34127dcd19",
}


@pytest.mark.parametrize("sizes", OPENCV)
def test_resize_equals_recorded_results_of_opencv(sizes):
    result = pre.resize_bilinear(pattern(*sizes[:2]), *sizes[2:])
    assert hashlib.sha256(result.tobytes()).hexdigest()[:16] == OPENCV[sizes]


def test_resize_equals_opencv_where_it_is_installed():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed; recorded results are compared instead")
    for h, w, new_h, new_w in ((512, 512, 800, 800), (1024, 768, 1067, 800), (33, 90, 51, 41), (90, 33, 20, 77)):
        expected = cv2.resize(pattern(h, w), (new_w, new_h), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(pre.resize_bilinear(pattern(h, w), new_h, new_w), expected)


def test_target_size_fits_into_1333_by_800_and_enlarges():
    assert pre.target_size(1024, 1024) == (800, 800)
    assert pre.target_size(512, 512) == (800, 800)
    assert pre.target_size(480, 640) == (800, 1067)
    assert pre.target_size(640, 480) == (1067, 800)
    assert pre.target_size(300, 1333) == (300, 1333)
    assert pre.target_size(10, 4000) == (3, 1333)


def test_padding_is_128_before_normalising_right_and_below():
    prepared = pre.prepare(np.zeros((48, 64, 3), dtype=np.uint8))
    assert prepared.pixels.shape == (3, 800, 1088)
    assert (prepared.resized, prepared.original) == ((800, 1067), (48, 64))
    border = prepared.pixels[:, :, 1067:]
    assert np.allclose(border.min((1, 2)), [0.0741, 0.2052, 0.4265], atol=5e-5)
    assert np.array_equal(border.min((1, 2)), border.max((1, 2)))
    assert (prepared.pixels[:, :, :1067] < -1.8).all()


def test_square_pictures_are_not_padded():
    assert pre.prepare(np.zeros((64, 64, 3), dtype=np.uint8)).pixels.shape == (3, 800, 800)


def test_hub_recipe_pads_with_zeros_after_normalising():
    prepared = pre.prepare(np.full((48, 64, 3), 255, dtype=np.uint8), "hub")
    assert (prepared.pixels[:, :, 1067:] == 0).all()
    assert (prepared.pixels[:, :, :1067] > 2).all()


def test_normalising_equals_opencvs_arithmetic_for_every_value():
    # mmcv subtracts in float32 and multiplies by the reciprocal in double precision.
    values = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)[None]
    difference = values.astype(np.float32) - np.float32([123.675, 116.28, 103.53])
    reciprocal = 1 / np.float64(np.float32([58.395, 57.12, 57.375]))
    expected = (difference.astype(np.float64) * reciprocal).astype(np.float32)
    assert np.array_equal(pre.normalise(values), expected)
    assert pre.normalise(values).dtype == np.float32


def test_rgb_drops_alpha_repeats_grey_and_applies_orientation(tmp_path):
    transparent = Image.new("RGBA", (2, 1), (200, 100, 50, 0))
    assert pre.to_rgb(transparent).tolist() == [[[200, 100, 50]] * 2]
    assert pre.to_rgb(Image.new("LA", (1, 1), (77, 0))).tolist() == [[[77, 77, 77]]]
    assert pre.to_rgb(Image.new("L", (1, 1), 9)).tolist() == [[[9, 9, 9]]]
    deep = Image.fromarray(np.array([[0x1234, 0xFFFF]], dtype=np.uint16))
    assert pre.to_rgb(deep)[:, :, 0].tolist() == [[0x12, 0xFF]]
    turned = Image.fromarray(pattern(2, 3))
    exif = turned.getexif()
    exif[0x0112] = 6  # turn by a quarter clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        assert np.array_equal(pre.to_rgb(image), np.rot90(pattern(2, 3), -1))


def test_pictures_without_an_8_bit_form_are_refused():
    with pytest.raises(DataError, match="mode 'F'"):
        pre.to_rgb(Image.new("F", (1, 1)))
