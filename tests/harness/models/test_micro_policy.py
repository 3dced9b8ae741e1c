"""The micro policy's interface on a small random network: invariance, replay of text and image steps, errors."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest
import torch
from PIL import Image

from harness import seeds
from harness.errors import PolicyError
from harness.models.base import Contexts, GenerationParams, Output, Request
from harness.models.micro import tokenizer
from harness.models.micro.network import MicroNetwork, NetworkConfig, from_patches, to_patches
from harness.models.micro.policy import MicroPolicy
from harness.registry import MODELS

PROMPTS = [
    "a red circle",
    "two blue squares and a yellow star on a black background",
    "a photo of a small green cross to the left of a large pink triangle",
    "There are three objects in the picture. There is a purple square. Below the square lies a brown star.",
]


@pytest.fixture(scope="module")
def policy() -> MicroPolicy:
    torch.manual_seed(0)
    network = MicroNetwork(NetworkConfig.current(width=24, layers=2, heads=2, head_hidden=32))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.head.weight.mul_(3.0)
    return MicroPolicy(network)


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8))


def requests(n: int = 16) -> list[Request]:
    """All modes, with and without thinking, different settings."""
    made = []
    for i in range(n):
        mode = ("t2i", "t2i", "edit", "reflect")[i % 4]
        params = GenerationParams(
            think=None if mode == "reflect" else i % 8 < 5,
            num_inference_steps=3,
            guidance_scale=2.0 if i % 4 == 2 else None,
            temperature=0.7 if i % 5 == 0 else None,
        )
        items = (PROMPTS[i % 3],) if mode == "t2i" else (picture(i), PROMPTS[i % 3])
        made.append(Request(items=items, mode=mode, params=params, seed=seeds.for_sample(0, f"p/{i}", 0)))
    return made


def assert_same(a: Output, b: Output) -> None:
    assert (a.status, a.text, a.token_ids) == (b.status, b.text, b.token_ids)
    assert a.image is not None
    assert b.image is not None
    difference = np.abs(np.asarray(a.image, dtype=int) - np.asarray(b.image, dtype=int))
    assert difference.max() <= 1


@pytest.mark.parametrize("size", [1, 3, 8])
def test_batch_size_and_order_do_not_change_results(policy: MicroPolicy, size: int) -> None:
    work = requests()
    whole = policy.generate(work)
    order = list(range(len(work)))
    random.Random(size).shuffle(order)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        for index, output in zip(part, policy.generate([work[i] for i in part]), strict=True):
            assert_same(output, whole[index])


def test_seed_determines_text_and_image(policy: MicroPolicy) -> None:
    ask = [Request(items=(PROMPTS[1],), seed=s, params=GenerationParams(num_inference_steps=2)) for s in (1, 2, 1)]
    a, b, c = policy.generate(ask)
    assert_same(a, c)
    assert a.text != b.text
    assert np.any(np.asarray(a.image) != np.asarray(b.image))


def test_text_is_readable_words_and_ids_match_it(policy: MicroPolicy) -> None:
    out = policy.generate([Request(items=(PROMPTS[0],), seed=5, params=GenerationParams(num_inference_steps=1))])[0]
    assert out.text
    assert "<" not in out.text
    assert tokenizer.decode_text(out.token_ids) == out.text
    assert not policy.generate(
        [Request(items=(PROMPTS[0],), params=GenerationParams(think=False, num_inference_steps=1))]
    )[0].text


def test_greedy_text_does_not_depend_on_the_seed(policy: MicroPolicy) -> None:
    params = GenerationParams(temperature=0.0, num_inference_steps=1)
    a, b = policy.generate([Request(items=(PROMPTS[2],), seed=s, params=params) for s in (1, 2)])
    assert a.text == b.text


@pytest.mark.parametrize("kind", ["think", "reflect"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_teacher_forced_log_probabilities_equal_the_sampled_ones(
    policy: MicroPolicy, kind: str, temperature: float
) -> None:
    context = policy.extend(policy.context(4), [picture(i) for i in range(4)], kind="image")
    context = policy.extend(context, PROMPTS, kind="text")
    drawn = policy.sample_text(context, [1, 2, 3, 4], kind=kind, temperature=temperature, max_tokens=20)
    forced = policy.text_log_probs(context, drawn.ids, kind=kind, temperature=temperature)
    assert torch.equal(forced.mask, drawn.mask)
    torch.testing.assert_close(forced.log_probs, drawn.log_probs, atol=1e-5, rtol=0)
    assert forced.log_probs.requires_grad
    assert bool((forced.entropy[forced.mask] > 0).all())
    assert bool((forced.log_probs[~forced.mask] == 0).all())
    ended = (drawn.ids == tokenizer.EOS).any(1)
    assert torch.equal(drawn.stopped_by_eos, ended)


def test_nucleus_keeps_probable_tokens_only(policy: MicroPolicy) -> None:
    context = policy.extend(policy.context(4), PROMPTS, kind="text")
    greedy = policy.sample_text(context, [1, 2, 3, 4], kind="think", temperature=0.0, max_tokens=8)
    narrow = policy.sample_text(context, [5, 6, 7, 8], kind="think", temperature=1.0, max_tokens=8, top_p=1e-6)
    assert torch.equal(greedy.ids, narrow.ids)


def test_inverse_distribution_draws_with_the_right_frequencies() -> None:
    from harness.models.micro.text import draw

    p = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    chosen = draw(p.log().expand(1000, -1), u, greedy=False, top_p=1.0)
    assert torch.bincount(chosen, minlength=6).tolist() == [0, 500, 0, 300, 200, 0]
    last = draw(p.log()[None], torch.tensor([1.0], dtype=torch.float64), greedy=False, top_p=1.0)
    assert last.item() == 4
    kept = draw(p.log().expand(1000, -1), u, greedy=False, top_p=0.6)
    assert torch.bincount(kept, minlength=6).tolist() == [0, 625, 0, 375, 0, 0]


def test_velocity_does_not_depend_on_how_the_context_was_built(policy: MicroPolicy) -> None:
    images = [picture(i) for i in range(4)]
    x, sigma = torch.randn(4, 9, 768), torch.tensor([1.0, 0.7, 0.3, 0.1])
    context = policy.extend(policy.extend(policy.context(4), images, kind="image"), PROMPTS, kind="text")
    together = policy.velocity(x, sigma, Contexts(context), GenerationParams())
    for i in range(4):
        single = policy.extend(policy.context(1), images[i : i + 1], kind="image")
        single = policy.extend(single, PROMPTS[i : i + 1], kind="text")
        alone = policy.velocity(x[i : i + 1], sigma[i : i + 1], Contexts(single), GenerationParams())
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-4, rtol=1e-5)
    picked = policy.select(context, torch.tensor([2, 2, 0]))
    again = policy.velocity(x[[2, 2, 0]], sigma[[2, 2, 0]], Contexts(picked), GenerationParams())
    torch.testing.assert_close(again, together[[2, 2, 0]], atol=1e-4, rtol=1e-5)


def test_extend_leaves_the_old_context_usable_and_detach_cuts_the_graph(policy: MicroPolicy) -> None:
    context = policy.extend(policy.context(4), PROMPTS, kind="text")
    x, sigma = torch.randn(4, 9, 768), torch.full((4,), 0.5)
    before = policy.velocity(x, sigma, Contexts(context), GenerationParams())
    ids = policy.sample_text(context, [1, 2, 3, 4], kind="think", temperature=1.0, max_tokens=10).ids
    longer = policy.extend(context, ids, kind="ids")
    after = policy.velocity(x, sigma, Contexts(longer), GenerationParams())
    assert not torch.allclose(before, after)
    torch.testing.assert_close(policy.velocity(x, sigma, Contexts(context), GenerationParams()), before)
    groups = policy.param_groups()
    for cut in (False, True):
        policy.network.zero_grad()
        policy.velocity(
            x, sigma, Contexts(policy.detach(longer) if cut else longer), GenerationParams()
        ).sum().backward()
        conv = policy.network.conv.grad
        assert (conv is None) == cut
    assert any(p.grad is not None for p in groups["generation"])
    policy.network.zero_grad()


def test_guided_velocity_combines_both_contexts(policy: MicroPolicy) -> None:
    from harness import flow

    empty = policy.context(4)
    context = policy.extend(empty, PROMPTS, kind="text")
    x, sigma = torch.randn(4, 9, 768), torch.full((4,), 0.5)
    conditional = policy.velocity(x, sigma, Contexts(context), GenerationParams())
    unconditional = policy.velocity(x, sigma, Contexts(empty), GenerationParams())
    guided = policy.velocity(x, sigma, Contexts(context, empty), GenerationParams(guidance_scale=2.5))
    expected = flow.guide(conditional, unconditional, None, text_scale=2.5)
    torch.testing.assert_close(guided, expected)


def test_every_parameter_is_in_exactly_one_group(policy: MicroPolicy) -> None:
    groups = policy.param_groups()
    assert sorted(groups) == ["generation", "understanding"]
    ids = [id(p) for group in groups.values() for p in group]
    assert len(set(ids)) == len(ids) == len(list(policy.network.parameters()))
    text = policy.text_log_probs(
        policy.extend(policy.context(1), PROMPTS[:1], kind="text"),
        torch.tensor([[tokenizer.THINK, 9, 10, tokenizer.EOS]]),
        kind="think",
        temperature=1.0,
    )
    text.log_probs.sum().backward()
    assert all(p.grad is None for p in groups["generation"])
    policy.network.zero_grad()


def test_images_survive_encoding_and_patches_are_cells(policy: MicroPolicy) -> None:
    image = picture(3)
    latents = policy.encode([image])
    assert latents.shape == (1, *policy.latent_shape())
    assert np.array_equal(np.asarray(policy.decode(latents)[0]), np.asarray(image))
    middle = np.asarray(image)[16:32, 16:32].reshape(-1) / 127.5 - 1
    np.testing.assert_allclose(latents[0, 4].numpy(), middle, atol=1e-6)
    x = torch.randn(2, 48, 48, 3)
    assert torch.equal(from_patches(to_patches(x)), x)


def test_fingerprint_follows_the_weights_and_adapters_restore_them(policy: MicroPolicy) -> None:
    base = policy.fingerprint
    policy.add_adapter("slow")
    parameter = policy.network.head.weight
    original = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(1.0)
    changed = policy.fingerprint
    assert changed != base
    with policy.adapter(None):
        assert policy.fingerprint == base
    with policy.adapter("slow"):
        assert policy.fingerprint == base
    policy.add_adapter("delta", {"head.weight": torch.ones_like(parameter)}, delta=True)
    with policy.adapter("delta"):
        torch.testing.assert_close(policy.network.head.weight.detach(), original + 1.0)
    assert policy.fingerprint == changed
    with torch.no_grad():
        parameter.copy_(original)
    assert policy.fingerprint == base
    with pytest.raises(PolicyError, match="no adapter 'nope'"):
        policy.adapter("nope")
    with pytest.raises(PolicyError, match="lacks"):
        policy.add_adapter("part", {"head.weight": original})


def test_one_bad_request_does_not_spoil_the_batch(policy: MicroPolicy) -> None:
    params = GenerationParams(num_inference_steps=1)
    good = Request(items=(PROMPTS[0],), params=params, seed=1)
    bad = [
        Request(items=("red " * 500,), params=params),
        Request(items=("",), params=params),
        Request(items=("make it red",), mode="edit", params=params),
        Request(items=(picture(1), PROMPTS[0]), params=params),
    ]
    outputs = policy.generate([bad[0], good, *bad[1:]])
    assert [o.status for o in outputs] == ["error", "ok", "error", "error", "error"]
    assert "500 words" in outputs[0].error
    assert "takes 1 image" in outputs[3].error
    assert_same(outputs[1], policy.generate([good])[0])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(items=("a",), params=GenerationParams(size_px=512)), "size_px is 512"),
        (Request(items=("a",), mode="understand"), "cannot do mode"),
        (Request(items=("a",), mode="reflect", params=GenerationParams(think=False)), "reflects in words"),
        (Request(items=("a",), params=GenerationParams(max_text_tokens=1000)), "max_text_tokens is 1000"),
        (Request(items=("a",), params=GenerationParams(num_inference_steps=0)), "num_inference_steps"),
    ],
)
def test_impossible_batches_are_refused(policy: MicroPolicy, request_: Request, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        policy.generate([request_])


def test_wrong_segments_are_refused(policy: MicroPolicy) -> None:
    context = policy.context(2)
    with pytest.raises(PolicyError, match="3 segments for a context of 2"):
        policy.extend(context, PROMPTS[:3], kind="text")
    with pytest.raises(PolicyError, match="unknown segment kind"):
        policy.extend(context, PROMPTS[:2], kind="sound")
    with pytest.raises(PolicyError, match="starts with <think> or <reflect>"):
        policy.extend(context, torch.tensor([[9, 10], [9, 10]]), kind="ids")
    with pytest.raises(PolicyError, match="starts with <reflect>"):
        policy.text_log_probs(context, torch.full((2, 3), tokenizer.THINK), kind="reflect", temperature=1.0)
    with pytest.raises(PolicyError, match="unknown kind of text"):
        policy.sample_text(context, [1, 2], kind="dream", temperature=1.0, max_tokens=3)


def test_unknown_words_are_named_and_logged_once(policy: MicroPolicy, caplog: pytest.LogCaptureFixture) -> None:
    assert policy.unknown_words("a red zeppelin, a zeppelin and an aardvark") == ["zeppelin", "aardvark"]
    ask = Request(items=("a red zeppelin",), params=GenerationParams(num_inference_steps=1))
    fresh = MicroPolicy(policy.network)
    with caplog.at_level(logging.WARNING):
        outputs = fresh.generate([ask, ask])
        fresh.generate([ask])
    assert [o.error for o in outputs] == ["", ""]
    assert len([r for r in caplog.records if "zeppelin" in r.message]) == 1


def test_resolved_parameters_have_no_gaps(policy: MicroPolicy) -> None:
    resolved = policy.resolve_params(GenerationParams(temperature=0.3))
    assert resolved.temperature == 0.3
    assert resolved.num_inference_steps == 10
    assert all(getattr(resolved, name) is not None for name in GenerationParams.__dataclass_fields__)


def test_registry_knows_the_policy() -> None:
    assert "micro" in MODELS.names()
    assert callable(MODELS.get("micro"))
