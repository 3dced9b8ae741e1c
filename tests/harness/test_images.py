"""Decoding with limits, atomic writing, references by content."""

import pytest
from PIL import Image

from harness import images
from harness.errors import DataError


def test_damaged_missing_and_foreign_files_say_so(tmp_path):
    good = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(good)
    assert images.load(good).size == (64, 64)
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:80])
    for name, message in [
        ("text.png", "not an image"),
        ("cut.png", "cannot be decoded"),
        ("none.png", "no such image"),
    ]:
        with pytest.raises(DataError, match=message):
            images.load(tmp_path / name)


def test_oversized_pictures_are_refused_before_decoding(tmp_path, monkeypatch):
    Image.new("L", (200, 200)).save(tmp_path / "big.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 10_000)
    with pytest.raises(DataError, match="200x200 pixels, the limit is 10,000"):
        images.load(tmp_path / "big.png")


def test_only_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("P", (8, 8), i) for i in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    assert images.load(tmp_path / "a.webp").size == (8, 8)


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    images.write_atomic(path, b"old")

    def fail(self, target):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", fail)
        with pytest.raises(OSError, match="power cut"):
            images.write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_references_know_their_content_and_name_their_changes(tmp_path):
    Image.new("RGB", (8, 4), "red").save(tmp_path / "a.png")
    ref = images.ref_of_file(tmp_path / "a.png")
    crop = ref.derive("left", lambda i: i.crop((0, 0, 4, 4)))
    assert crop.id == f"{ref.id}:left" and crop.load().size == (4, 4) and ref.load().size == (8, 4)
    same = images.ref_of_image(Image.new("RGB", (8, 4), "red"))
    other = images.ref_of_image(Image.new("RGB", (4, 8), "red"))
    assert same.id != other.id and images.ref_of_image(same.load()).id == same.id
