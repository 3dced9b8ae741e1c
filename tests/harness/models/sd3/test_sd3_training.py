"""Training steps of the SD3 policy: gradients, ratios, guidance, adapters."""

import pytest
import torch

from harness import flow
from harness.errors import ConfigError, PolicyError
from harness.models.base import Contexts, GenerationParams

torch.set_num_threads(1)
LORA = {"lora_rank": 4, "lora_alpha": 8}
GRID = flow.time_grid(6, 3.0)


def read(policy, prompts=("a red cube", "a blue ball")):
    return policy.extend(policy.context(len(prompts)), list(prompts), kind="text")


def velocity(policy, guidance=4.5, seeds=(1, 2), sigma=0.8, cfg_text=None, **extra):
    x = policy.initial_noise(seeds)
    params = GenerationParams(guidance_scale=guidance, extra=extra)
    return policy.velocity(x, torch.full((len(x),), sigma), Contexts(read(policy), cfg_text), params)


@pytest.fixture
def policy(load):
    policy = load()
    policy.prepare_training(LORA)
    return policy


def test_velocities_are_those_of_the_transformer_and_usual_guidance(policy):
    x, sigma, context = policy.initial_noise([1, 2]), torch.tensor([0.9, 0.3]), read(policy)
    empty = policy.extend(policy.context(2), ["", ""], kind="text")

    def predict(prompts):
        return policy.transformer(
            hidden_states=x,
            encoder_hidden_states=prompts.tokens,
            pooled_projections=prompts.pooled,
            timestep=sigma * 1000,
            return_dict=False,
        )[0]

    with torch.no_grad():
        v_c, v_t = predict(context.prompts), predict(empty.prompts)
        plain = policy.velocity(x, sigma, Contexts(context), GenerationParams(guidance_scale=1.0))
        for cfg_text in (None, policy.context(2), empty):
            guided = policy.velocity(x, sigma, Contexts(context, cfg_text), GenerationParams(guidance_scale=3.0))
            assert torch.allclose(guided, v_t + 3.0 * (v_c - v_t), atol=1e-5)
        rescaled = policy.velocity(
            x, sigma, Contexts(context), GenerationParams(guidance_scale=3.0, extra={"cfg_renorm": "global"})
        )
    assert torch.allclose(plain, v_c, atol=1e-6) and plain.dtype == torch.float32
    assert torch.allclose(rescaled, flow.guide(v_c, v_t, None, text_scale=3.0), atol=1e-5)


def test_rescaling_by_token_keeps_each_patch_no_longer_than_without_guidance(policy):
    with torch.no_grad():
        v_c, rescaled = velocity(policy, 1.0), velocity(policy, 6.0, cfg_renorm="channel")
    norms = [v.unfold(2, 2, 2).unfold(3, 2, 2).square().sum((1, 4, 5)).sqrt() for v in (v_c, rescaled)]
    assert (norms[1] <= norms[0] * (1 + 1e-4)).all() and not torch.allclose(v_c, rescaled, atol=1e-3)


def test_gradients_reach_the_adapter_only_through_both_branches(policy, randomise):
    randomise(policy)
    velocity(policy, 3.0).square().mean().backward()
    groups = policy.param_groups()
    trained = {id(p) for p in groups["generation"]}
    assert groups["understanding"] == [] and len(trained) > 20
    moved = 0.0
    for part in policy.pipeline.components.values():
        for p in part.parameters() if isinstance(part, torch.nn.Module) else ():
            assert p.requires_grad == (id(p) in trained)
            if id(p) in trained:
                assert p.dtype == torch.float32
                moved += 0.0 if p.grad is None else p.grad.abs().sum().item()
            else:
                assert p.grad is None
    assert moved > 0
    together = [p.grad for p in groups["generation"]]
    for p in groups["generation"]:
        p.grad = None
    x, sigma = policy.initial_noise((1, 2)), torch.full((2,), 0.8)
    plain = GenerationParams(guidance_scale=1.0)
    v_c = policy.velocity(x, sigma, Contexts(read(policy)), plain)
    v_t = policy.velocity(x, sigma, Contexts(read(policy, ("", ""))), plain)
    (v_t + 3.0 * (v_c - v_t)).square().mean().backward()
    for p, grad in zip(groups["generation"], together, strict=True):
        assert (p.grad is None) == (grad is None)
        assert grad is None or torch.allclose(p.grad, grad, rtol=1e-3, atol=1e-6)


def test_half_precision_bases_train_float32_adapters(load):
    policy = load("?dtype=bfloat16")
    policy.prepare_training(LORA)
    out = velocity(policy)
    out.square().mean().backward()
    assert out.dtype == torch.float32 and policy.transformer.pos_embed.proj.weight.dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in policy.param_groups()["generation"])
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.param_groups()["generation"])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_ratio_is_exactly_one_while_parameters_have_not_moved(load, randomise, checkpointing):
    policy = load()
    policy.prepare_training({**LORA, "gradient_checkpointing": checkpointing})
    randomise(policy)
    context, x = read(policy), policy.initial_noise([1, 2])
    params, sigma = GenerationParams(guidance_scale=4.5), torch.full((2,), GRID[1])
    c = flow.step_coefficients("flow_sde", GRID, 1, 0.7)
    with torch.no_grad():
        drawn = flow.stochastic_step(x, policy.velocity(x, sigma, Contexts(context), params), c, torch.ones_like(x))
    replayed = flow.replay_step(x, drawn.x, policy.velocity(x, sigma, Contexts(context), params), c)
    assert (replayed.log_prob - drawn.log_prob).exp().tolist() == [1.0, 1.0]
    (replayed.log_prob.sum() * 1e3).backward()
    with torch.no_grad():
        for p in policy.param_groups()["generation"]:
            p += p.grad.sign() * 1e-3
        moved = flow.replay_step(x, drawn.x, policy.velocity(x, sigma, Contexts(context), params), c)
    assert (moved.log_prob > drawn.log_prob).all()


@pytest.mark.parametrize("options", ["", "?dtype=bfloat16"])
def test_velocities_do_not_depend_on_the_callers_autocast(load, randomise, options):
    plain, cast = load(options), load(options)
    results = []
    for policy in (plain, cast):
        policy.prepare_training(LORA)
        randomise(policy)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=policy is cast):
            results.append(velocity(policy))
    assert torch.equal(*results)


def test_gradient_checkpointing_gives_the_same_gradients(load, randomise):
    grads = []
    for on in (False, True):
        policy = load()
        policy.prepare_training({**LORA, "gradient_checkpointing": on})
        assert policy.trainable_module.is_gradient_checkpointing is on
        randomise(policy)
        velocity(policy).square().mean().backward()
        grads.append([p.grad for p in policy.param_groups()["generation"]])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True) if a is not None)


def test_a_new_adapter_changes_nothing_and_the_base_is_exact_without_it(load, policy, randomise):
    base = load()
    with torch.no_grad():
        expected = velocity(base)
        assert torch.equal(velocity(policy), expected)
        randomise(policy)
        assert (velocity(policy) - expected).abs().max() > 1e-3
        with policy.adapter(None):
            assert torch.equal(velocity(policy), expected)
            assert policy.fingerprint == base.fingerprint
        assert not torch.equal(velocity(policy), expected)
    assert policy.fingerprint != base.fingerprint


def test_adapters_have_names_and_switching_leaves_training_alone(policy, randomise):
    randomise(policy)
    policy.add_adapter("slow")
    with torch.no_grad():
        first = velocity(policy)
        randomise(policy, seed=2)
        second = velocity(policy)
        with policy.adapter("slow"):
            assert torch.equal(velocity(policy), first)
            with policy.adapter(None):
                base = velocity(policy)
                with policy.adapter("policy"):
                    assert torch.equal(velocity(policy), second)
            assert torch.equal(velocity(policy), first)
        assert torch.equal(velocity(policy), second) and not torch.equal(base, first)
    assert all(p.requires_grad for p in policy.param_groups()["generation"])
    velocity(policy).sum().backward()
    assert any(p.grad is not None for p in policy.param_groups()["generation"])
    slow = policy.adapter_state("slow")
    for key, tensor in policy.adapter_state("policy").items():
        slow[key].copy_(tensor)
    with torch.no_grad(), policy.adapter("slow"):
        assert torch.equal(velocity(policy), second)
    with pytest.raises(PolicyError, match=r"no adapter 'fast'\. Known: policy, slow"):
        policy.adapter("fast")
    with pytest.raises(PolicyError, match="'slow' is taken"):
        policy.add_adapter("slow")
    with pytest.raises(PolicyError, match=r"lacks \d+ tensors"):
        policy.add_adapter("third", {})
    with pytest.raises(PolicyError, match="no adapter 'third'"):
        policy.adapter("third")


def test_two_processes_start_from_the_same_adapter_and_leave_the_global_generator_alone(load):
    states = []
    for offset in (0, 1):
        torch.manual_seed(offset)
        before = torch.get_rng_state()
        policy = load()
        policy.prepare_training(LORA)
        states.append({k: v.clone() for k, v in policy.adapter_state("policy").items()})
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    first = torch.cat([v.flatten() for k, v in states[0].items() if "lora_A" in k])
    assert first.std() == pytest.approx(1 / 4, rel=0.05)


def test_contexts_select_samples_and_read_one_prompt(policy):
    context = read(policy)
    picked = policy.select(context, torch.tensor([1, 1, 0]))
    assert picked.batch_size == 3 and torch.equal(picked.prompts.tokens[0], context.prompts.tokens[1])
    assert policy.select(policy.context(2), torch.tensor([0, 1, 1])).batch_size == 3
    assert policy.detach(context) is context and not context.prompts.tokens.requires_grad
    with pytest.raises(PolicyError, match="one already"):
        policy.extend(context, ["a", "b"], kind="text")
    with pytest.raises(PolicyError, match="cannot read a segment of kind 'image'"):
        policy.extend(policy.context(1), ["a"], kind="image")
    with pytest.raises(PolicyError, match="1 prompts for a context of 2"):
        policy.extend(policy.context(2), ["a"], kind="text")
    with pytest.raises(PolicyError, match="context of 3 samples for 2 latents"):
        policy.velocity(policy.initial_noise([1, 2]), torch.ones(2), Contexts(picked), GenerationParams())


def test_a_model_without_text_says_so(policy):
    assert policy.capabilities == {"train_image"}
    with pytest.raises(PolicyError, match="writes no text"):
        policy.sample_text(policy.context(1), [1], kind="think", temperature=1.0, max_tokens=4)
    with pytest.raises(PolicyError, match="no log-probabilities of text"):
        policy.text_log_probs(policy.context(1), torch.zeros(1, 1), kind="think", temperature=1.0)


def test_settings_of_training_are_checked(load, policy):
    with pytest.raises(ConfigError, match=r"Unknown policy setting of sd3 'lora_rang'\. Did you mean 'lora_rank'"):
        load().prepare_training({"lora_rang": 4})
    with pytest.raises(ConfigError, match="no layer of the transformer is named"):
        load().prepare_training({**LORA, "lora_targets": ["attn.to_z"]})
    with pytest.raises(ConfigError, match="lora_rank is 8, but the checkpoint's adapter has 4"):
        policy.prepare_training({"lora_rank": 8})
    policy.prepare_training({"gradient_checkpointing": True})
    assert policy.trainable_module.training and policy.trainable_module is policy.transformer


def test_all_weights_can_train_in_float32_under_a_narrower_forward_pass(load):
    policy = load("?dtype=bfloat16")
    before = policy.fingerprint
    policy.prepare_training({"lora_rank": 0})
    parameters = policy.param_groups()["generation"]
    assert all(p.dtype == torch.float32 and p.requires_grad for p in parameters)
    assert len(parameters) == len(list(policy.transformer.parameters()))
    out = velocity(policy)
    out.square().mean().backward()
    assert out.dtype == torch.float32
    with torch.no_grad():
        for p in parameters:
            p -= 0.01 * (0 if p.grad is None else p.grad)
    assert policy.fingerprint != before
    with pytest.raises(PolicyError, match="Train with lora_rank > 0"):
        policy.adapter(None)


def test_velocities_go_through_an_assigned_wrapper(policy):
    class Counting(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module, self.calls = module, 0

        def forward(self, **inputs):
            self.calls += 1
            return self.module(**inputs)

    expected = velocity(policy).detach()
    wrapped = policy.trainable_module = Counting(policy.transformer)
    assert torch.equal(velocity(policy).detach(), expected) and wrapped.calls == 1
    with pytest.raises(PolicyError, match="does not wrap"):
        policy.trainable_module = torch.nn.Linear(1, 1)
