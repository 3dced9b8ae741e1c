import pytest
from PIL import Image

from benchmarks.dpg.grid import GridFolder, boxes, checked, crop_of, grid_size
from harness.errors import DataError
from harness.images import ref_of_image

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]


def grid(resolution=8, n=4, mode="RGB"):
    image = Image.new("RGB", (2 * resolution, 2 * resolution))
    for box, colour in list(zip(boxes(resolution), COLOURS, strict=True))[:n]:
        image.paste(colour, box)
    return ref_of_image(image.convert(mode))


def cut(image, index, **changes):
    settings = {"pic_num": 4, "resolution": 8, "allow_size_mismatch": False, "where": "dpg/x", **changes}
    return crop_of(image, index, **settings)


@pytest.mark.parametrize("index", range(4))
def test_samples_lie_row_by_row(index):
    found = cut(grid(), index).load()
    assert found.size == (8, 8)
    assert found.getcolors() == [(64, COLOURS[index])]


def test_every_crop_has_an_identity_of_its_own():
    image = grid()
    refs = [cut(image, i) for i in range(4)] + [cut(image, 0, pic_num=1), cut(image, 0, allow_size_mismatch=True)]
    assert len({r.id for r in refs}) == 6
    assert all(r.id.startswith(image.id) for r in refs)


@pytest.mark.parametrize(("pic_num", "size"), [(1, (8, 8)), (2, (16, 8)), (3, (16, 16)), (4, (16, 16))])
def test_the_grid_has_one_or_two_columns_and_rows(pic_num, size):
    assert grid_size(pic_num, 8) == size


def test_another_size_is_refused_with_both_sizes_and_what_to_do():
    with pytest.raises(DataError, match=r"dpg/x: grid is 16x16, expected 32x32 \(2x2 images of resolution=16.*=8"):
        cut(grid(), 3, resolution=16).load()


def test_a_grid_scored_as_a_single_image_is_refused():
    with pytest.raises(DataError, match="grid is 16x16, expected 8x8"):
        cut(grid(), 0, pic_num=1).load()
    assert cut(grid(), 0, pic_num=1, allow_size_mismatch=True).load().size == (8, 8)


def test_as_upstream_areas_outside_are_black_and_the_rest_is_lost():
    outside = cut(grid(), 3, resolution=12, allow_size_mismatch=True).load()
    assert outside.getpixel((0, 0)) == COLOURS[3]
    assert outside.getpixel((11, 11)) == (0, 0, 0)
    assert cut(grid(), 0, resolution=4, allow_size_mismatch=True).load().getcolors() == [(16, COLOURS[0])]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_a_missing_quarter_is_refused_in_any_mode(mode):
    image = grid(n=3, mode=mode)
    assert cut(image, 2).load().size == (8, 8)
    with pytest.raises(DataError, match="sample 3 of the grid is empty"):
        cut(image, 3).load()
    assert cut(image, 3, allow_size_mismatch=True).load().size == (8, 8)


def test_separate_images_can_be_checked_for_their_size():
    image = ref_of_image(Image.new("RGB", (8, 8)))
    assert checked(image, resolution=8, where="dpg/x").load().size == (8, 8)
    with pytest.raises(DataError, match=r"dpg/x: image is 8x8, expected 9x9"):
        checked(image, resolution=9, where="dpg/x").load()


def test_the_key_of_a_picture_is_its_name_up_to_the_first_dot(tmp_path):
    for name in ("cat.v2.png", "7.JPG", "dpg-bench_1_results.txt", "nothing"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    folder = GridFolder(tmp_path)
    assert folder.find("cat").name == "cat.v2.png"
    assert folder.find("7").name == "7.JPG"
    assert folder.find("folder") is None
    assert folder.find("dpg-bench_1_results") is None


def test_two_pictures_of_one_prompt_are_refused(tmp_path):
    for name in ("7.png", "7.jpg"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"7\.jpg and 7\.png are both '7'"):
        GridFolder(tmp_path).find("7")
