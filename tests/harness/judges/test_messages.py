"""What is sent: wording, order of parts, image bytes."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from harness.errors import ConfigError, DataError
from harness.images import ref_of_file, ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.vlm.codec import Codec
from harness.judges.vlm.messages import (
    YES_NO_SYSTEM,
    YES_NO_SYSTEM_NEGATIVE,
    openai_messages,
    question_chat,
    text_chat,
    yes_no_hash,
)
from harness.types import Question


def picture(size=(40, 30), mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def request(**fields):
    first, second = ref_of_image(picture()), ref_of_image(picture((10, 10)))
    base = {"kind": "yesno", "form": "f", "questions": (), "images": (first, second)}
    return JudgeRequest(**{**base, **fields})


def kinds(messages):
    return [p["type"] for p in messages[-1]["content"]]


def test_images_come_first_unless_the_protocol_says_otherwise():
    q = Question(id="q", text="Is it red?")
    for order, expected in (
        ("image_first", ["image_url", "image_url", "text"]),
        ("text_first", ["text"] + ["image_url"] * 2),
    ):
        assert kinds(openai_messages(question_chat(request(), q, order), ["a", "b"])) == expected
    messages = openai_messages(question_chat(request(), q), ["a", "b"])
    assert [p["image_url"]["url"] for p in messages[-1]["content"][:2]] == ["a", "b"]
    assert messages[-1]["content"][2]["text"] == "Is it red?"


def test_questions_about_absence_get_no_clause_on_absent_things():
    clause = "not in the picture, answer No"
    assert clause in YES_NO_SYSTEM and clause not in YES_NO_SYSTEM_NEGATIVE
    assert question_chat(request(), Question(id="q", text="?", tag="Negative")).system == YES_NO_SYSTEM_NEGATIVE
    assert question_chat(request(), Question(id="q", text="?", tag="Count")).system == YES_NO_SYSTEM
    assert len(yes_no_hash()) == 12


def test_the_requests_own_system_text_wins_and_an_empty_one_sends_no_turn():
    q = Question(id="q", text="?")
    assert question_chat(request(system="S"), q).system == "S"
    written = openai_messages(text_chat(request(kind="text", prompt="P")), ["a", "b"])
    assert [m["role"] for m in written] == ["user"]
    assert written[0]["content"][-1] == {"type": "text", "text": "P"}


def test_png_is_lossless_and_an_unchanged_file_is_sent_as_it_is(tmp_path):
    image = picture()
    file = tmp_path / "a.png"
    image.save(file, compress_level=1)
    assert Codec().encode(ref_of_file(file)) == file.read_bytes()
    sent = Codec().encode(ref_of_image(image))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent))), np.asarray(image))


def test_a_changed_or_other_file_is_encoded_again(tmp_path):
    image = picture()
    file = tmp_path / "a.png"
    image.save(file, format="JPEG")
    assert Codec().encode(ref_of_file(file)).startswith(b"\x89PNG")
    half = ref_of_file(file).derive("half", lambda i: i.resize((20, 15)))
    assert Image.open(io.BytesIO(Codec().encode(half))).size == (20, 15)


def test_jpeg_has_the_asked_quality():
    image = ref_of_image(picture((200, 200)))
    sizes = [len(Codec(name="jpeg", quality=q).encode(image)) for q in (30, 75, 95)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    buffer = io.BytesIO()
    image.load().save(buffer, format="JPEG", quality=75)
    assert Codec(name="jpeg").encode(image) == buffer.getvalue()
    assert Codec(name="jpeg").label == "jpeg75" and Codec().label == "png"
    assert Codec(name="jpeg").data_url(image).startswith("data:image/jpeg;base64,")


def test_transparent_parts_lie_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    sent = base64.b64decode(Codec().data_url(ref_of_image(clear)).partition(",")[2])
    assert Image.open(io.BytesIO(sent)).getpixel((0, 0)) == (255, 255, 255)


def test_a_damaged_file_is_an_error(tmp_path):
    file = tmp_path / "a.png"
    picture().save(file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError):
        Codec().encode(ref_of_file(file))


@pytest.mark.parametrize("fields", [{"quality": 80}, {"name": "jpeg", "quality": 0}, {"name": "jpeg", "quality": 99}])
def test_impossible_codecs_are_refused(fields):
    with pytest.raises(ConfigError):
        Codec(**fields)
