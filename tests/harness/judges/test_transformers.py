"""Judge `transformers` on tiny random models with the real architectures."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import ConfigError, DataError, JudgeError
from harness.images import ImageRef, ref_of_file, ref_of_image
from harness.judges.base import Answer, JudgeRequest, Unparsed
from harness.judges.transformers import TransformersJudge, TransformersSettings, load
from harness.judges.vlm.messages import question_chat, text_chat
from harness.judges.vlm.transformers_prefix import first_log_probs
from harness.judges.vlm.transformers_prompt import encode_chat, encode_pictures
from harness.types import Question
from tests.harness.judges.tiny_vlm import FAMILIES, build_tiny_llava, build_tiny_vlm

TEXTS = [
    f"Is there a {colour} {thing}{more}?"
    for colour in ("red", "blue", "green", "yellow")
    for thing, more in (("ball", ""), ("square", " on the left of a circle"), ("cube", " or no cube in the image"))
]

QUIET = TransformersSettings(unverified=True)


def picture(seed, width=64, height=64):
    pixels = np.random.default_rng(seed).integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    return ref_of_image(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST))


def yes_no(*images, texts=TEXTS, tags=None, system=""):
    tags = tags or [""] * len(texts)
    questions = tuple(Question(id=str(i), text=t, tag=g) for i, (t, g) in enumerate(zip(texts, tags, strict=True)))
    return JudgeRequest(kind="yesno", form="yesno", questions=questions, images=images, system=system)


def values(reply):
    return [a.value for a in reply.answers]


@pytest.fixture(scope="module")
def judge(tiny_vlm_dir):
    return TransformersJudge(str(tiny_vlm_dir), QUIET)


@pytest.fixture(scope="module")
def family_dirs(tmp_path_factory):
    return {f: build_tiny_vlm(tmp_path_factory.mktemp(f) / "model", f) for f in FAMILIES}


def by_hand(folder, ref, text, family="qwen3_vl"):
    """P(yes) by another route: the prompt spelled out, the model's own positions, a softmax in double precision."""
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    from harness.judges.vlm.messages import YES_NO_SYSTEM

    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = AutoImageProcessor.from_pretrained(folder)(images=[ref.load()], return_tensors="pt")
    places = "<|image_pad|>" * int(made["image_grid_thw"].prod() // 4)
    prompt = (
        f"<|im_start|>system\n{YES_NO_SYSTEM}<|im_end|>\n<|im_start|>user\n<|vision_start|>{places}<|vision_end|>{text}"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        output = model(input_ids=ids, mm_token_type_ids=(ids == model.config.image_token_id).int(), **made)
    p = torch.softmax(output.logits[0, -1].double(), -1)
    words = [tokenizer.decode([i]).strip().lower() for i in range(len(tokenizer))]
    yes, no = (sum(float(p[i]) for i, word in enumerate(words) if word == w) for w in ("yes", "no"))
    return yes / (yes + no), yes + no


@pytest.mark.parametrize("family", FAMILIES)
def test_p_yes_is_the_softmax_over_all_spellings_computed_by_hand(family_dirs, family):
    ref = picture(1, 112, 56) if family.startswith("qwen2") else picture(1, 128, 64)
    reply = TransformersJudge(str(family_dirs[family]), QUIET).ask([yes_no(ref)])[0]
    for i in (0, 4, 11):
        value, mass = by_hand(family_dirs[family], ref, TEXTS[i])
        assert reply.answers[i].value == pytest.approx(value, abs=1e-5)
        assert reply.answers[i].payload["mass"] == pytest.approx(mass, rel=1e-3)
        assert reply.answers[i].payload["how"] == "logits" and "bound" not in reply.answers[i].payload


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shared_prefix_gives_the_probabilities_of_one_pass_per_question(family_dirs, family):
    judge = TransformersJudge(str(family_dirs[family]), QUIET)
    loaded, tokens = judge._ensure()
    for size in ((64, 64), (160, 96)):
        ref = picture(2, *size)
        asked = yes_no(ref)
        pictures = encode_pictures(loaded, [ref.load()])
        prompts = [encode_chat(loaded, question_chat(asked, q), pictures, {}) for q in asked.questions]
        assert len({len(p) for p in prompts}) > 1
        wanted = [*tokens.yes, *tokens.no]
        shared = first_log_probs(loaded, prompts, pictures, wanted)
        alone = first_log_probs(loaded, prompts, pictures, wanted, share=False)
        assert shared.shape == (len(TEXTS), len(wanted))
        assert float((shared - alone).abs().max()) < 1e-4


def test_the_picture_is_read_once_for_all_its_questions(judge):
    loaded, _ = judge._ensure()
    judge.ask([yes_no(texts=TEXTS[:1])])  # so that the self-test is over
    seen = []
    hook = loaded.model.model.visual.register_forward_hook(lambda *_: seen.append(1))
    first, second = picture(3), picture(4)
    requests = [yes_no(first, texts=TEXTS[:6]), yes_no(second), yes_no(first, texts=TEXTS[6:])]
    replies = judge.ask(requests)
    hook.remove()
    assert len(seen) == 2
    assert values(replies[0]) + values(replies[2]) == pytest.approx(values(judge.ask([yes_no(first)])[0]), abs=1e-5)


def test_answers_depend_on_the_picture_and_on_the_question(judge):
    replies = judge.ask([yes_no(picture(s)) for s in range(5)])
    table = np.array([values(r) for r in replies])
    assert table.size >= 50 and table.max() - table.min() >= 0.3
    assert table.std(axis=0).min() > 1e-3 and table.std(axis=1).min() > 1e-3


@pytest.mark.parametrize("batch", [1, 5])
def test_batch_size_and_order_of_requests_change_nothing(tiny_vlm_dir, judge, batch):
    requests = [yes_no(picture(s, 64, 96), texts=TEXTS[: 3 + s]) for s in range(3)]
    expected = [values(r) for r in judge.ask(requests)]
    other = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, batch=batch))
    found = [values(r) for r in other.ask(requests[::-1])][::-1]
    for a, b in zip(found, expected, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_questions_with_another_instruction_about_the_same_picture_equal_those_asked_alone(judge):
    tags = ["Negative" if i % 3 == 0 else "" for i in range(len(TEXTS))]
    ref = picture(5)
    together = values(judge.ask([yes_no(ref, tags=tags)])[0])
    alone = [values(judge.ask([yes_no(ref, texts=[t], tags=[g])])[0])[0] for t, g in zip(TEXTS, tags, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] != pytest.approx(values(judge.ask([yes_no(ref)])[0])[0], abs=1e-4)


def test_two_pictures_share_a_prefix_and_their_order_counts(judge):
    a, b = picture(6), picture(7, 96, 64)
    together = values(judge.ask([yes_no(a, b)])[0])
    alone = [values(judge.ask([yes_no(a, b, texts=[t])])[0])[0] for t in TEXTS]
    assert together == pytest.approx(alone, abs=1e-5)
    assert values(judge.ask([yes_no(b, a)])[0]) != pytest.approx(together, abs=1e-4)


def test_text_before_the_picture_is_another_protocol_with_its_own_fingerprint(tiny_vlm_dir, judge):
    other = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, order="text_first"))
    ref = picture(8)
    assert values(other.ask([yes_no(ref)])[0]) != pytest.approx(values(judge.ask([yes_no(ref)])[0]), abs=1e-4)
    assert other.fingerprint != judge.fingerprint and "text_first" in other.fingerprint


def test_half_precision_is_near_and_shares_prefixes_too(tiny_vlm_dir, judge):
    half = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, dtype="bfloat16"))
    ref = picture(1)
    assert half._ensure()[0].model.dtype is torch.bfloat16
    found, exact = values(half.ask([yes_no(ref)])[0]), values(judge.ask([yes_no(ref)])[0])
    assert found == pytest.approx(exact, abs=0.1) and found != pytest.approx(exact, abs=1e-4)


def test_the_self_tests_own_answers_are_not_counted_as_answers(tiny_vlm_dir, caplog):
    judge = load(str(tiny_vlm_dir))
    with pytest.raises(JudgeError):
        judge.ask([yes_no(picture(1))])
    judge.close()
    assert not caplog.records
    other = TransformersJudge(str(tiny_vlm_dir), QUIET)
    other.ask([yes_no(picture(1))])
    other.close()
    assert f"in {len(TEXTS)} of {len(TEXTS)} answers" in caplog.text


def test_a_request_without_pictures_is_answered(judge):
    assert all(0 < v < 1 for v in values(judge.ask([yes_no()])[0]))


def test_transparent_and_grey_pictures_are_shown_on_white(judge):
    rgba = Image.new("RGBA", (64, 64), (10, 200, 30, 0))
    white = ref_of_image(Image.new("RGB", (64, 64), "white"))
    assert values(judge.ask([yes_no(ref_of_image(rgba))])[0]) == values(judge.ask([yes_no(white)])[0])


def test_jpeg_changes_what_the_judge_sees(tiny_vlm_dir, judge):
    lossy = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, codec="jpeg", quality=5))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    ref = ref_of_image(Image.fromarray(noise))
    assert values(lossy.ask([yes_no(ref)])[0]) != pytest.approx(values(judge.ask([yes_no(ref)])[0]), abs=1e-5)
    assert "jpeg5" in lossy.fingerprint


# Failures


def test_a_text_with_the_models_own_marks_fails_alone(judge):
    ref = picture(9)
    good, bad, after = judge.ask([yes_no(ref, texts=[TEXTS[0], "<|image_pad|> Is it red?", TEXTS[1]])])[0].answers
    assert bad.status == "error" and bad.value is None and "<|image_pad|>" in bad.error
    assert [good.value, after.value] == pytest.approx(values(judge.ask([yes_no(ref)])[0])[:2], abs=1e-5)


def test_a_prompt_that_is_too_long_is_an_error_and_no_answer(judge):
    (answer,) = judge.ask([yes_no(picture(9), texts=["long " * 3000])])[0].answers
    assert answer.status == "error" and answer.value is None and "at most 8192" in answer.error


def test_a_damaged_picture_fails_its_own_questions_only(judge, tmp_path):
    file = tmp_path / "broken.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    broken, whole = judge.ask([yes_no(ref_of_file(file)), yes_no(picture(1))])
    assert {a.status for a in broken.answers} == {"error"} and str(file) in broken.answers[0].error
    assert {a.status for a in whole.answers} == {"ok"}


def test_an_unknown_kind_is_refused_per_question(judge):
    (reply,) = judge.ask([replace(yes_no(picture(1)), kind="detect")])
    assert {a.status for a in reply.answers} == {"error"} and "detect" in reply.answers[0].error


def test_a_model_that_fails_the_known_answers_is_refused(tiny_vlm_dir):
    judge = load(str(tiny_vlm_dir))
    with pytest.raises(JudgeError, match=r"plain coloured squares[\s\S]*unverified=true"):
        judge.ask([yes_no(picture(1))])
    assert len(judge.self_test()) == 8


def test_what_cannot_be_loaded_is_named(tmp_path, tiny_vlm_dir):
    with pytest.raises(JudgeError, match="neither a folder"):
        load(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(JudgeError, match=r"gpt2\): cannot be loaded as an image-and-text model"):
        load(f"{tmp_path},unverified=true").ask([yes_no(picture(1))])


def test_weights_other_than_safetensors_are_refused(tmp_path, tiny_vlm_dir):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        (tmp_path / name).write_bytes((tiny_vlm_dir / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(JudgeError, match="safetensors"):
        load(f"{tmp_path},unverified=true").ask([yes_no(picture(1))])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "expected a folder or hub repository"),
        ("{model},batc=2", "unknown key 'batc'. Did you mean 'batch'"),
        ("{model},batch=0", "batch: expected a positive number"),
        ("{model},dtype=int4", "dtype: expected auto"),
        ("{model},cuda", "has no '='"),
        ("{model},quality=300", "quality"),
        ("{model},preset=qwen9", "preset"),
    ],
)
def test_wrong_settings_are_usage_errors(tiny_vlm_dir, settings, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        load(settings.format(model=tiny_vlm_dir))


def test_the_fingerprint_follows_weights_and_precision_but_not_batches(tiny_vlm_dir, judge, tmp_path):
    def of(folder, **settings):
        return TransformersJudge(str(folder), replace(QUIET, **settings)).fingerprint

    assert of(tiny_vlm_dir, batch=3) == judge.fingerprint
    assert of(tiny_vlm_dir, dtype="bfloat16") != judge.fingerprint
    other = build_tiny_vlm(tmp_path / tiny_vlm_dir.name, seed=1)
    assert of(other) != judge.fingerprint
    assert of(tiny_vlm_dir, unverified=False) == judge.fingerprint.removesuffix("+unverified")


# Written replies


def written(parse=lambda text: [Answer(payload={"text": text})], temperature=0.0, seed=0, prompt="What is it?"):
    return JudgeRequest(
        kind="text",
        form="free",
        questions=(Question(id="0", text="free"),),
        images=(picture(1),),
        prompt=prompt,
        parse=parse,
        temperature=temperature,
        seed=seed,
    )


def greedy(judge, ref, chat, n):
    """Ids of the n most probable tokens in a row, each from a pass over everything before it."""
    loaded, _ = judge._ensure()
    pictures = encode_pictures(loaded, [ref.load()])
    ids = list(encode_chat(loaded, chat, pictures, {}))
    n_prompt = len(ids)
    for _ in range(n):
        ids.append(int(first_log_probs(loaded, [ids], pictures, range(448), share=False)[0].argmax()))
    return ids[n_prompt:]


@pytest.fixture
def writer(tiny_vlm_dir):
    """A judge whose model ends a reply at one of the tokens that it writes most."""
    judge = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, max_tokens=40))
    asked = written()
    judge._ensure()[0].model.generation_config.eos_token_id = sorted(
        {*greedy(judge, asked.images[0], text_chat(asked), 30)[2:], *range(200)}
    )
    return judge


def test_a_reply_that_is_cut_is_never_read(tiny_vlm_dir):
    judge = TransformersJudge(str(tiny_vlm_dir), replace(QUIET, max_tokens=5))
    (answer,) = judge.ask([written()])[0].answers
    assert answer.status == "unparsed" and answer.value is None and "cut after 5 tokens" in answer.error


def test_a_greedy_reply_is_the_chain_of_most_probable_tokens(tiny_vlm_dir):
    judge = TransformersJudge(str(tiny_vlm_dir), QUIET)
    loaded, _ = judge._ensure()
    ref = picture(1)
    chat = question_chat(yes_no(ref), Question(id="0", text="What is it?"))
    expected = greedy(judge, ref, chat, 8)

    from harness.judges.vlm.local import Sampling, WriteJob

    (found,) = judge._write([WriteJob((ref.load(),), chat, Sampling(0.0, 1.0, 8, 0))])
    assert found.is_cut and found.pieces == tuple(loaded.tokenizer.decode([i]) for i in expected)


def test_sampled_replies_repeat_with_their_seed_and_leave_the_random_state_alone(writer):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    texts = [writer.ask([written(temperature=1.0, seed=s)])[0].raw for s in (1, 1, 2, 3, 4)]
    assert texts[0] == texts[1] and len(set(texts)) > 1
    assert torch.equal(state, torch.random.get_rng_state())


def test_sampling_habits_in_the_models_files_are_not_used(writer):
    loaded, _ = writer._ensure()
    before = writer.ask([written(temperature=1.0, seed=1)])[0].raw
    loaded.model.generation_config.repetition_penalty = 5.0
    loaded.model.generation_config.top_k = 1
    assert writer.ask([written(temperature=1.0, seed=1)])[0].raw == before


def test_an_unparsable_reply_is_asked_again_only_where_it_is_sampled(writer):
    def never(text):
        raise Unparsed("no score in it")

    greedy = writer.ask([written(never)])[0]
    sampled = writer.ask([written(never, temperature=1.0)])[0]
    assert (greedy.attempts, sampled.attempts) == (1, 3)
    for reply in (greedy, sampled):
        assert reply.answers[0].status == "unparsed" and reply.answers[0].value is None
        assert "no score in it" in reply.answers[0].error


def test_a_parsed_reply_carries_text_and_cost(writer):
    reply = writer.ask([written()])[0]
    assert reply.answers[0].status == "ok" and reply.answers[0].payload["text"] == reply.raw
    assert reply.tokens_in > 10 and reply.tokens_out >= 1 and reply.seconds > 0 and reply.attempts == 1


# Other models


def test_models_of_other_families_are_asked_question_by_question(tmp_path):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = build_tiny_llava(tmp_path / "llava")
    ref = picture(1, 56, 56)
    reply = TransformersJudge(str(folder), QUIET).ask([yes_no(ref, texts=TEXTS[:3])])[0]
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    for text, answer in zip(TEXTS, reply.answers, strict=False):
        chat = question_chat(yes_no(ref), Question(id="0", text=text))
        turns = [
            {"role": "system", "content": chat.system},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]},
        ]
        prompt = processor.apply_chat_template(turns, add_generation_prompt=True)
        with torch.no_grad():
            output = model(**processor(text=[prompt], images=[ref.load()], return_tensors="pt"))
        log_p = output.logits[0, -1].double().log_softmax(-1)
        words = [processor.tokenizer.decode([i]).strip().lower() for i in range(len(processor.tokenizer))]
        p_yes, p_no = (
            math.fsum(math.exp(log_p[i]) for i, word in enumerate(words) if word == w) for w in ("yes", "no")
        )
        assert answer.value == pytest.approx(p_yes / (p_yes + p_no), abs=1e-5)


def test_loading_an_unreadable_picture_is_this_pictures_error(judge):
    def fail():
        raise DataError("gone.png: no such image.")

    (reply,) = judge.ask([yes_no(ImageRef("x", fail))])
    assert {a.payload["cause"] for a in reply.answers} == {"image"}
