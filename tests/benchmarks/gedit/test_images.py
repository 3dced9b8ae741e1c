"""What the judge sees, and where the official layout keeps images."""

import io

import pytest
from PIL import Image

from benchmarks.gedit.images import (
    GPT_ENCODING,
    QWEN_ENCODING,
    ImageLayout,
    decode,
    encoded,
    verified,
)
from harness.errors import DataError
from harness.images import png_bytes, ref_of_file, ref_of_image, sha256
from harness.viescore.images import as_judged, resized_like

from .synthetic import picture, prompt

SOURCE = picture(5, (64, 32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I", "F", "I;16", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb_at_the_size_of_the_source(mode):
    edited = Image.new(mode, (100, 300))
    view = resized_like(edited, SOURCE)
    assert (view.mode, view.size) == ("RGB", (64, 32))


def test_resizing_is_bicubic_and_ignores_the_aspect_ratio():
    edited = Image.effect_noise((50, 200), 90).convert("RGB")
    assert resized_like(edited, SOURCE).tobytes() == edited.resize((64, 32), Image.Resampling.BICUBIC).tobytes()
    assert resized_like(edited, SOURCE).tobytes() == edited.resize((64, 32)).tobytes()


def test_an_image_of_the_right_size_keeps_its_pixels():
    edited = Image.effect_noise((64, 32), 90).convert("RGB")
    assert resized_like(edited, SOURCE).tobytes() == edited.tobytes()


def test_the_view_is_named_by_both_images_and_decoded_late():
    source, other = ref_of_image(SOURCE), ref_of_image(picture(6, (64, 32)))
    edited = ref_of_image(picture(7, (10, 10)))
    view = as_judged(edited, source)
    assert view.load().size == (64, 32)
    assert view.file is None
    assert len({view.id, as_judged(edited, other).id, as_judged(other, source).id, edited.id}) == 4


def test_of_an_animation_the_first_frame_is_judged(tmp_path):
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    view = as_judged(ref_of_file(tmp_path / "a.gif"), ref_of_image(SOURCE)).load()
    assert view.getpixel((5, 5)) == (255, 0, 0)


def test_damaged_and_huge_images_are_refused_with_their_name(tmp_path):
    (tmp_path / "cut.png").write_bytes(png_bytes(SOURCE)[:60])
    with pytest.raises(DataError, match=r"cut\.png"):
        as_judged(ref_of_file(tmp_path / "cut.png"), ref_of_image(SOURCE)).load()
    bomb = png_bytes(Image.new("1", (9_000, 9_000)))
    for data, message in ((bomb, "9000x9000 pixels"), (b"no image", "not an image"), (bomb[:50], "bomb")):
        with pytest.raises(DataError, match=message):
            decode(data, "bomb")


def test_encodings_are_those_of_the_two_upstream_judges():
    image = Image.effect_noise((40, 20), 90).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG")
    assert encoded(image, GPT_ENCODING) == buffer.getvalue()
    assert Image.open(io.BytesIO(encoded(image, QWEN_ENCODING))).tobytes() == image.tobytes()


def test_the_gpt_encoding_turns_images_upright_after_resizing():
    edited = Image.new("RGB", (30, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    edited.save(buffer, format="JPEG", exif=exif)
    view = resized_like(decode(buffer.getvalue(), "x"), SOURCE)
    assert view.size == (64, 32)
    assert Image.open(io.BytesIO(encoded(view, GPT_ENCODING))).size == (32, 64)
    assert Image.open(io.BytesIO(encoded(view, QWEN_ENCODING))).size == (64, 32)


def test_a_source_image_must_be_the_indexed_one(tmp_path):
    data = png_bytes(SOURCE)
    (tmp_path / "a.png").write_bytes(data)
    assert verified(tmp_path / "a.png", sha256(data)).tobytes() == SOURCE.tobytes()
    with pytest.raises(DataError, match="expected 0000"):
        verified(tmp_path / "a.png", "0000")
    with pytest.raises(DataError, match="cannot be read"):
        verified(tmp_path / "b.png", "0000")


@pytest.mark.parametrize("base", ["model/fullset", "gen_image/fullset", "fullset", ""])
def test_edited_images_are_found_in_each_official_layout(tmp_path, base):
    p = prompt("subject-add", lang="cn")
    folder = tmp_path / base / "subject-add" / "cn"
    folder.mkdir(parents=True)
    (folder / f"{p.meta['key']}_SRCIMG.png").touch()
    assert ImageLayout(tmp_path).find(p) is None
    (folder / f"{p.meta['key']}.png").touch()
    assert ImageLayout(tmp_path).find(p) == folder / f"{p.meta['key']}.png"
    assert ImageLayout(tmp_path).find(prompt("subject-add", lang="en")) is None


def test_of_several_models_one_must_be_named(tmp_path):
    p = prompt()
    for model in ("a", "b"):
        folder = tmp_path / model / "fullset" / "color_alter" / "en"
        folder.mkdir(parents=True)
        (folder / f"{p.meta['key']}.jpg").touch()
    with pytest.raises(DataError, match=r"several models \(a, b\).*image_model"):
        ImageLayout(tmp_path)
    assert ImageLayout(tmp_path, "b").find(p) == tmp_path / "b/fullset/color_alter/en" / f"{p.meta['key']}.jpg"
    assert ImageLayout(tmp_path, "c").find(p) is None
