"""The micro model as a language model: its log-probabilities by other routes, truncation, windows, writing."""

import itertools
import math

import pytest
import torch

from harness.errors import PolicyError
from harness.models.load import load_policy
from harness.models.micro import tokenizer
from harness.models.micro.text import _Cache, log_distribution
from harness.models.textside import text_side
from harness.world.vocabulary import WORDS, words_of

PROMPTS = ["a red circle", "two striped blue squares left of a green star, on a white background", ""]
PLANS = [
    "white background : large red circle cell4 .",
    "white background : small striped blue square cell0 , small striped blue square cell3 , large green star cell5 .",
    "grey background : .",
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def policy():
    return load_policy("micro")


@pytest.fixture(scope="module")
def side(policy):
    return text_side(policy)


def scores(side, prompt, plan):
    (found,) = side.log_probs([side.encode(f"{prompt} <think>", f" {plan}")])
    return found


@pytest.mark.parametrize(("prompt", "plan"), list(itertools.product(PROMPTS, PLANS)))
def test_log_probs_equal_the_trainers_and_a_word_by_word_computation(policy, side, prompt, plan):
    found = scores(side, prompt, plan).log_probs
    ids = torch.tensor([[tokenizer.THINK, *tokenizer.encode_words(plan.split())]])
    with torch.no_grad():
        context = policy.extend(policy.context(1), [prompt], kind="text")
        trainer = policy.text_log_probs(context, ids, kind="think", temperature=1.0).log_probs[0, 1:]
        cache, slow = _Cache(policy.network, context, ids.shape[1]), []
        for now, after in itertools.pairwise(ids[0]):
            slow.append(log_distribution(cache.step(now[None]), 1.0)[0, after].item())
    assert found == pytest.approx(trainer.tolist(), abs=1e-5) and found == pytest.approx(slow, abs=1e-5)


def test_batches_and_order_do_not_change_scores(side):
    pairs = [side.encode(f"{p} <think>", f" {q}") for p, q in itertools.product(PROMPTS, PLANS)]
    together = side.log_probs(pairs)
    backwards = side.log_probs(pairs[::-1])[::-1]
    alone = [side.log_probs([p])[0] for p in pairs]
    for a, b, c in zip(together, backwards, alone, strict=True):
        assert a.log_probs == pytest.approx(b.log_probs, abs=1e-5)
        assert a.log_probs == pytest.approx(c.log_probs, abs=1e-5)
        assert a.is_greedy == b.is_greedy == c.is_greedy


def test_all_words_and_the_end_have_probability_one_together(side):
    pairs = [side.encode("a red circle <think> white background :", f" {w}") for w in [*WORDS, "<eos>"]]
    assert sum(math.exp(s.log_probs[0]) for s in side.log_probs(pairs)) == pytest.approx(1, abs=1e-5)


def test_greedy_is_what_the_model_writes_at_temperature_zero(policy, side):
    with torch.no_grad():
        context = policy.extend(policy.context(1), ["a red circle"], kind="text")
        drawn = policy.sample_text(context, [0], kind="think", temperature=0, max_tokens=63)
    text = policy.text_of(drawn.ids[0].tolist())
    assert scores(side, "a red circle", f"{text} <eos>").is_greedy
    assert not scores(side, "a red circle", text.replace("red", "blue")).is_greedy
    assert scores(side, "a red circle", text).log_probs == pytest.approx(drawn.log_probs[0, 1:-1].tolist(), abs=1e-5)


def test_what_the_model_cannot_write_is_impossible_and_nothing_is_certain(side):
    assert scores(side, "a red circle", "white xylophone").log_probs[1] == -math.inf
    nothing = scores(side, "a red circle", "")
    assert nothing.log_probs == () and nothing.is_greedy


def test_where_a_thought_begins(side):
    given = side.encode("a red circle <think>", " white background")
    assert side.encode("a red circle", " white background") == given
    assert side.encode("a red circle", " <think> white background") == given
    assert given.context[0] == tokenizer.BOS and given.context[-1] == tokenizer.THINK and len(given.continuation) == 2
    begun = side.encode("a red circle <think> white", " background")
    assert begun.context == (*given.context, given.continuation[0]) and begun.continuation == given.continuation[1:]
    assert side.encode("", "white").context == (tokenizer.BOS, tokenizer.THINK)
    assert side.encode("a picture <reflect>", "wrong colour").context[-1] == tokenizer.REFLECT


def test_long_contexts_lose_their_beginning_and_say_so(policy, side):
    limit = policy.network.config.max_prompt
    long = side.encode("red " * 300 + "circle <think>", " white")
    assert len(long.context) == limit + 1 and long.n_dropped == 301 - (limit - 1)
    assert long.context[0] == tokenizer.BOS and long.context[-2] == tokenizer.token_id("circle")
    begun = side.encode("a star <think> " + "red " * 70, "white background")
    assert len(begun.context) == 4 + 61 and begun.n_dropped == 9
    assert side.log_probs([long, begun])[0].log_probs[0] < 0
    with pytest.raises(PolicyError, match="a continuation has 64 words, at most 63 fit"):
        side.encode("a star", " red" * 64)


def test_windows_score_every_word_once_with_all_context_that_fits(side):
    words = (PLANS[1].split() * 8)[:150]
    ids = tuple(tokenizer.encode_words(words))
    found = side.windows("a star <think> " + " ".join(words))
    assert [len(w.continuation) for w in found] == [63, 63, 24]
    assert sum((w.continuation for w in found), ()) == ids
    head = side.encode("a star", "").context
    assert found[0].context == head and found[1].context == head
    assert found[2].context == (*head, *ids[150 - 63 : 126])
    (short,) = side.windows(PLANS[0])
    assert short == side.encode("", PLANS[0])
    assert side.windows("") == []


def test_writing_continues_what_has_begun_and_does_not_depend_on_the_batch(policy, side):
    contexts = [f"{p} <think>" for p in PROMPTS]
    options = {"max_tokens": 63, "temperature": 0.0, "top_p": 1.0}
    texts = [w.text for w in side.write(contexts, seeds=[1, 2, 3], **options)]
    assert [side.write([c], seeds=[9], **options)[0].text for c in contexts] == texts
    words = words_of(texts[1])
    begun = " ".join(words[:7])
    (rest,) = side.write([f"{contexts[1]} {begun}"], seeds=[0], max_tokens=50, temperature=0.0, top_p=1.0)
    assert words_of(rest.text) == words[7:]


def test_sampled_text_is_the_policys_own_with_the_same_seeds(policy, side):
    with torch.no_grad():
        context = policy.extend(policy.context(2), PROMPTS[:2], kind="text")
        drawn = policy.sample_text(context, [5, 6], kind="think", temperature=0.7, max_tokens=40, top_p=0.9)
    expected = [policy.text_of(row[1:].tolist()) for row in drawn.ids]
    found = side.write(PROMPTS[:2], max_tokens=40, temperature=0.7, top_p=0.9, seeds=[5, 6])
    assert [w.text for w in found] == expected
    with pytest.raises(PolicyError, match=r"64 tokens asked for, expected 1\.\.63"):
        side.write(PROMPTS[:1], max_tokens=64, temperature=0, top_p=1, seeds=[0])


def test_a_policy_without_text_is_refused_and_one_with_its_own_text_side_is_asked():
    class Mute:
        name = "mute"

    class Speaking(Mute):
        def text_side(self):
            return "own"

    with pytest.raises(PolicyError, match=r"'mute' offers no log-probabilities of text.*micro"):
        text_side(Mute())
    assert text_side(Speaking()) == "own"
