import itertools

import numpy as np
import pytest
from world_cases import one, scenes

from harness.errors import DataError
from harness.world.render import coverage, jitter, render, render_float
from harness.world.scene import (
    BACKGROUND_RGB,
    CELL_PX,
    COLOUR_RGB,
    JITTER_PX,
    RADIUS_PX,
    SHAPES,
    SIZES,
    STRIPE_SHADE,
    Scene,
    problems,
)


def test_pictures_are_48x48_rgb_bytes():
    images = render(scenes()[:5], range(5))
    assert images.shape == (5, 48, 48, 3)
    assert images.dtype == np.uint8


def test_a_picture_does_not_depend_on_its_batch():
    together = render(scenes()[:20], range(20))
    alone = np.concatenate([render([scene], [i]) for i, scene in enumerate(scenes()[:20])])
    assert (together == alone).all()


def test_order_of_objects_does_not_change_the_picture():
    scene = Scene(1, (one("star", cell=0), one("cross", "blue", cell=5)))
    turned = Scene(1, scene.objects[::-1])
    assert (render([scene], [3]) == render([turned], [3])).all()


def test_seed_moves_objects_and_no_seed_centres_them():
    scene = Scene(0, (one("circle"),))
    centred = render([scene])[0].astype(int)
    assert (centred == centred[:, ::-1]).all()
    assert (centred == centred[::-1]).all()
    assert (render([scene], [1]) != render([scene], [2])).any()
    assert np.abs(jitter(1)).max() <= JITTER_PX


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_object_stays_in_its_cell_wherever_jitter_puts_it(shape):
    grid = np.arange(-8, 24) + 0.5
    for shift in (-JITTER_PX, JITTER_PX):
        centre = CELL_PX / 2 + shift
        alpha = coverage(SHAPES.index(shape), grid[None, :] - centre, grid[:, None] - centre, np.array(RADIUS_PX[-1]))
        outside = np.ones(alpha.shape, dtype=bool)
        outside[8:24, 8:24] = False
        assert alpha[outside].max() == 0.0


def test_coverage_of_a_circle_has_its_area():
    grid = np.arange(48) + 0.5 - 24
    alpha = coverage(0, grid[None, :], grid[:, None], np.array(9.0))
    assert alpha.sum() == pytest.approx(np.pi * 81, rel=0.005)


def test_colours_are_the_named_ones_inside_and_outside():
    image = render_float([Scene(2, (one("square", "green"),))])[0]
    assert np.allclose(image[24, 24], COLOUR_RGB[3])
    assert np.allclose(image[0, 0], BACKGROUND_RGB[2])


def test_stripes_darken_bands_through_the_centre_and_keep_the_rest():
    image = render_float([Scene(0, (one("square", "orange", texture=1),))])[0]
    assert np.allclose(image[24, 24], COLOUR_RGB[1] * STRIPE_SHADE)
    assert np.allclose(image[26, 24], COLOUR_RGB[1])


def test_object_and_background_colours_are_far_apart():
    between = np.linalg.norm(COLOUR_RGB[:, None] - BACKGROUND_RGB, axis=-1)
    assert between.min() > 0.4
    among = np.linalg.norm(COLOUR_RGB[:, None] - COLOUR_RGB, axis=-1) + 9 * np.eye(len(COLOUR_RGB))
    assert among.min() > 0.35
    assert [a < b for a, b in itertools.pairwise(RADIUS_PX)] == [True] * (len(SIZES) - 1)


def test_impossible_scenes_are_refused_with_the_reason():
    crowded = Scene(0, (one("star", cell=1), one("cross", cell=1)))
    assert problems(crowded) == ["two objects share a cell: [1, 1]"]
    with pytest.raises(DataError, match="Scene 1 cannot be drawn: two objects share a cell"):
        render([Scene(0, ()), crowded])
    with pytest.raises(DataError, match="background 9"):
        render([Scene(9, ())])
    with pytest.raises(DataError, match="2 scenes and 1 seeds"):
        render([Scene(0, ()), Scene(1, ())], [0])


def test_an_empty_batch_and_an_empty_scene_can_be_drawn():
    assert render([]).shape == (0, 48, 48, 3)
    assert len(np.unique(render([Scene(3, ())])[0].reshape(-1, 3), axis=0)) == 1
