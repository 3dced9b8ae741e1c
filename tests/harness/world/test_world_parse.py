import itertools

import numpy as np
import pytest
from PIL import Image
from world_cases import N_SCENES, look, one, perceptions, scenes

from harness.errors import DataError
from harness.world.degrade import degrade
from harness.world.parse import perceive, scene_of
from harness.world.render import render
from harness.world.scene import COLOUR_RGB, RADIUS_PX, SHAPES, Scene
from harness.world.view import to_view


def test_every_object_of_2000_drawn_scenes_is_recovered_exactly():
    wrong = [s for s, p in zip(scenes(), perceptions(), strict=True) if scene_of(p) != s]
    extra = [s for s, p in zip(scenes(), perceptions(), strict=True) if len(p.objects) != len(s.objects)]
    assert N_SCENES == 2000
    assert wrong == []
    assert extra == []


def test_drawn_objects_are_seen_with_confidence_and_probabilities_are_well_formed():
    for perception in perceptions():
        for thing in perception.objects:
            assert thing.confidence > 0.95
            assert thing.presence * thing.shape.max() > 0.9
            assert thing.colour.max() > 0.9
            assert thing.shape.sum() <= 1 + 1e-9
            assert thing.colour.sum() <= 1 + 1e-9
            assert thing.size.sum() == pytest.approx(1)


def test_boxes_centres_and_radii_are_those_of_the_drawing():
    for cell in range(9):
        for shape in SHAPES:
            (thing,) = look(one(shape, "green", "medium", cell)).objects
            middle = np.array([cell % 3, cell // 3]) * 16 + 8
            assert np.abs(thing.centre - middle).max() < 0.3
            assert thing.radius == pytest.approx(RADIUS_PX[1], rel=0.03)
            assert thing.cell == cell
            x1, y1, x2, y2 = thing.box
            assert 16 * (cell % 3) <= x1 < thing.centre[0] < x2 <= 16 * (cell % 3) + 16
            assert 16 * (cell // 3) <= y1 < thing.centre[1] < y2 <= 16 * (cell // 3) + 16
            assert thing.mask.shape == (48, 48)
            assert thing.mask[int(thing.centre[1]), int(thing.centre[0])] > 0.9


def test_a_perception_does_not_depend_on_its_batch():
    images = render(scenes()[:70], range(70))
    together = perceive(images)
    for i in (0, 1, 33, 63, 64, 69):
        alone = perceive(images[i : i + 1])[0]
        assert len(alone.objects) == len(together[i].objects)
        for a, b in zip(alone.objects, together[i].objects, strict=True):
            assert np.allclose(a.shape, b.shape, atol=1e-4)
            assert np.allclose(a.colour, b.colour, atol=1e-4)
            assert a.box == b.box


@pytest.mark.parametrize("kind", ["colour noise", "grey noise", "soft noise", "black", "white", "gradient", "checks"])
def test_pictures_of_nothing_hold_no_confident_object(kind):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:48, 0:48]
    picture = {
        "colour noise": rng.integers(0, 256, (48, 48, 3)),
        "grey noise": np.repeat(rng.integers(0, 256, (48, 48, 1)), 3, 2),
        "soft noise": np.clip(128 + 30 * rng.normal(size=(48, 48, 3)), 0, 255),
        "black": np.zeros((48, 48, 3)),
        "white": np.full((48, 48, 3), 255),
        "gradient": np.repeat((x * 255 // 47)[..., None], 3, 2),
        "checks": np.repeat(((x // 8 + y // 8) % 2 * 255)[..., None], 3, 2),
    }[kind].astype(np.uint8)
    (perception,) = perceive(picture[None])
    assert max((o.confidence for o in perception.objects), default=0.0) < 0.5


def test_confidence_falls_as_an_object_fades_or_is_cut():
    whole = render([Scene(0, (one("circle", "blue"),))])
    faded = [perceive(degrade(whole, "fade", [0], strength=s))[0] for s in np.linspace(0, 1, 11)]
    colours = [max((o.confidence * o.colour[4] for o in p.objects), default=0.0) for p in faded]
    assert colours[0] > 0.95
    assert colours[-1] == 0.0
    assert all(b <= a + 1e-3 for a, b in itertools.pairwise(colours))
    cut = []
    for n in range(0, 9):
        image = whole.copy()
        image[:, :, 17 : 17 + n] = image[0, 0, 0]
        cut.append(max((o.presence * o.shape[0] for o in perceive(image)[0].objects), default=0.0))
    assert cut[0] > 0.95
    assert cut[-1] < 0.05
    assert all(b <= a + 1e-3 for a, b in itertools.pairwise(cut))


def test_touching_objects_are_not_two_good_ones():
    image = render([Scene(0, (one("square", cell=3), one("square", cell=4)))])
    image[:, 22:27, 12:20] = np.round(COLOUR_RGB[0] * 255)
    (perception,) = perceive(image)
    assert len(perception.objects) == 1
    assert perception.objects[0].confidence < 0.1


def test_an_empty_batch_is_answered_and_other_arrays_are_refused():
    assert perceive(np.zeros((0, 48, 48, 3), np.uint8)) == []
    with pytest.raises(DataError, match="to_view"):
        perceive(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(DataError, match="float64"):
        perceive(np.zeros((1, 48, 48, 3)))


def test_the_view_of_an_enlarged_copy_is_the_picture():
    images = render(scenes()[:20], range(20))
    for image in images:
        for side in (48, 96, 192, 480):
            large = Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST)
            assert (to_view(large) == image).all()
            assert (to_view(np.asarray(large)) == image).all()


def test_scenes_survive_smooth_enlargement_and_jpeg_sized_copies():
    chosen = scenes()[:60]
    images = render(chosen, range(60))
    views = [to_view(Image.fromarray(i).resize((512, 512), Image.Resampling.BICUBIC)) for i in images]
    found = [scene_of(p) for p in perceive(np.stack(views))]
    n_objects = sum(len(s.objects) for s in chosen)
    same = sum(len(set(a.objects) & set(b.objects)) for a, b in zip(chosen, found, strict=True))
    assert same >= 0.97 * n_objects


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (48, 48), (640, 480)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_images_of_any_mode_and_size_can_be_looked_at(mode, size):
    view = to_view(Image.new(mode, size))
    assert view.shape == (48, 48, 3)
    assert perceive(view[None])[0].objects == ()


def test_arrays_of_floats_grey_and_transparent_pixels_are_converted():
    assert to_view(np.full((10, 10), 0.5)).mean() == pytest.approx(128, abs=1)
    assert to_view(np.full((10, 10, 1), np.nan)).max() == 0
    assert to_view(np.full((60, 60), 65535, np.uint16)).min() == 255
    assert to_view(np.zeros((60, 60, 4), np.uint8)).min() == 255
    assert to_view(np.ones((60, 60), bool)).min() == 255
    with pytest.raises(DataError, match="shape"):
        to_view(np.zeros((5, 5, 7)))
    with pytest.raises(DataError, match="shape"):
        to_view(np.zeros((0, 5, 3)))
