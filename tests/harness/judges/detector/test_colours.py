import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import JudgeError
from harness.judges.detector.classes import COLOURS
from harness.judges.detector.colours import ColourClassifier, check_clip, clip_pixels, masked_crop
from harness.judges.detector.judge import load_clip
from harness.judges.detector.options import CommonOptions
from tests.harness.judges.detector.clip import save_tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def classifier(folder):
    return load_clip(folder, "cpu", any_size=True, any_activation=False, options=CommonOptions())


def image(h=30, w=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def test_colours_are_the_benchmarks_in_its_order():
    from benchmarks.geneval.metadata import COLOURS as EXPECTED

    assert COLOURS == EXPECTED


def test_crop_is_the_box_with_grey_outside_the_mask():
    picture, mask = image(), np.zeros((30, 40), dtype=bool)
    mask[5:9, 10:20] = True
    mask[6, 12] = False
    crop = np.asarray(masked_crop(picture, mask, [9.5, 4.5, 21, 10]))  # halves to even: 10 and 4
    assert crop.shape == (6, 11, 3)
    for y in range(6):
        for x in range(11):
            inside = mask[4 + y, 10 + x]
            assert crop[y, x].tolist() == (picture[4 + y, 10 + x].tolist() if inside else [153, 153, 153])


def test_crop_beyond_the_picture_is_black():
    crop = np.asarray(masked_crop(image(), np.ones((30, 40), dtype=bool), [-2, 28, 2, 32]))
    assert crop[:2, 2:].tolist() == image()[28:, :2].tolist()
    assert not crop[:, :2].any()
    assert not crop[2:].any()


def test_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="mask"):
        masked_crop(image(), np.ones((40, 30), dtype=bool), [0, 0, 1, 1])


def test_transform_resizes_the_shorter_side_and_keeps_the_middle():
    # Three equal bands along the long side: only the middle one is left.
    bands = np.repeat(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.uint8), 60, axis=0)
    wide = np.repeat(bands[None], 60, axis=0)
    mean, deviation = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    for picture in (wide, wide.transpose(1, 0, 2)):
        pixels = clip_pixels(Image.fromarray(picture), 20)
        assert (pixels.shape, pixels.dtype) == ((3, 20, 20), np.float32)
        colour = pixels[:, 10, 10] * deviation + mean
        assert np.abs(colour - [0, 1, 0]).max() < 1e-5


@pytest.mark.parametrize(
    ("size", "longer", "offset"), [((30, 55), 36, 8), ((30, 57), 38, 9), ((47, 60), 25, 2), ((3, 5), 33, 6)]
)
def test_transform_rounds_as_torchvision_does(size, longer, offset):
    # Longer side truncated, offset of the cut rounded half to even.
    picture = Image.fromarray(image(size[1], size[0]))
    resized = picture.resize((20, longer), Image.Resampling.BICUBIC)
    expected = np.asarray(resized)[offset : offset + 20].astype(np.float32) / np.float32(255)
    mean = np.float32([0.48145466, 0.4578275, 0.40821073])
    deviation = np.float32([0.26862954, 0.26130258, 0.27577711])
    assert np.array_equal(clip_pixels(picture, 20), ((expected - mean) / deviation).transpose(2, 0, 1))


def test_class_vectors_are_unit_means_of_three_unit_texts(classifier, folder):
    from transformers import CLIPModel, CLIPTokenizer

    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), CLIPTokenizer.from_pretrained(folder)
    vectors = classifier.vectors("tv remote")
    for colour, vector in zip(COLOURS, vectors, strict=True):
        units = []
        texts = (f"a photo of a {colour} tv remote", f"a photo of a {colour}-colored tv remote")
        for text in (*texts, f"a photo of a {colour} object"):
            # One text at a time, so without padding.
            with torch.no_grad():
                features = model.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output[0]
            units.append(features / features.norm())
        mean = sum(units) / 3
        assert torch.allclose(vector, mean / mean.norm(), atol=1e-6)
    assert classifier.vectors("tv remote") is vectors


def test_logits_are_a_hundred_cosines_and_the_best_colour_wins(classifier, folder):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    picture = image()
    boxes = [[0, 0, 20, 30], [5, 5, 39, 18], [10, 10, 14, 30]] * 7
    masks = [np.random.default_rng(i).random((30, 40)) < 0.7 for i in range(21)]
    answers = classifier.classify(picture, masks, boxes, "cat")
    assert len(answers) == 21
    assert len(set(answers)) > 1
    for mask, box, answer in zip(masks, boxes, answers, strict=True):
        crop = masked_crop(picture, mask, box)
        with torch.no_grad():
            pixels = torch.from_numpy(clip_pixels(crop, 16))[None]
            features = model.get_image_features(pixel_values=pixels).pooler_output[0]
        cosines = [float(features @ v / features.norm()) for v in classifier.vectors("cat")]
        assert answer == COLOURS[int(np.argmax(cosines))]
        assert np.allclose(classifier.logits([crop], "cat")[0], [100 * c for c in cosines], atol=1e-3)


def test_first_colour_wins_a_tie(classifier):
    same = ColourClassifier(classifier._model, classifier._tokenizer)
    same._vectors["cat"] = torch.eye(24)[:1].expand(10, 24)
    assert same.classify(image(), [np.ones((30, 40), dtype=bool)], [[0, 0, 40, 30]], "cat") == ["red"]


def test_another_activation_is_refused(tmp_path):
    path = save_tiny_clip(tmp_path, activation="gelu")
    with pytest.raises(JudgeError, match=r"hidden_act is 'gelu', expected 'quick_gelu'"):
        load_clip(path, "cpu", any_size=True, any_activation=False, options=CommonOptions())
    load_clip(path, "cpu", any_size=True, any_activation=True, options=CommonOptions())


def test_another_size_is_refused_and_the_official_one_accepted(folder):
    from transformers import CLIPConfig

    with pytest.raises(JudgeError, match=r"hidden_size is 32, expected 1024 of CLIP ViT-L/14"):
        check_clip(CLIPConfig.from_pretrained(folder), "clip", any_size=False, any_activation=False)
    official = CLIPConfig(
        text_config={
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "hidden_act": "quick_gelu",
        },
        vision_config={
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "patch_size": 14,
            "hidden_act": "quick_gelu",
        },
    )
    check_clip(official, "clip", any_size=False, any_activation=False)


def test_incomplete_weights_are_refused_instead_of_drawn(folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(folder, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        JudgeError, match=r"1 tensors are missing or of another shape, e\.g\. visual_projection\.weight"
    ):
        load_clip(str(broken), "cpu", any_size=True, any_activation=False, options=CommonOptions())
