"""The configuration of a GRPO run. Defaults live here; a `recipe` (see `recipes`) changes some of them by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from harness.config import to_plain
from harness.errors import ConfigError
from harness.flow import Renorm, Sampler
from trainers.grpo.advantages import Estimator, StdOver
from trainers.grpo.losses import Importance, KlForm
from trainers.grpo.rectify import Floor
from trainers.grpo.windows import Rule

Task = Literal["rt2i", "t2i", "srr", "mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How trajectories are drawn."""

    grid_points: int = 16
    """K: points of the time grid; the network is evaluated K - 1 times."""
    shift: float = 3.0
    """Timestep shift of the grid."""
    sampler: Sampler = "flow_sde"
    """Stochastic steps: `flow_sde`, `flow_cps` or `dance`."""
    noise_level: float = 0.7
    """a of the stochastic steps."""
    window: Rule = "contiguous"
    """How the trained steps are chosen: `contiguous`, `random`, `first` or `shifted`."""
    window_size: int = 10
    """T: stochastic, trained steps per trajectory."""
    window_range: tuple[int, int] = (0, 11)
    """Steps that may be trained: [low, high). The last step is never stochastic."""
    guidance_scale: float = 1.0
    """Text guidance, applied in training with gradients through all branches; at most 1 is off."""
    image_guidance_scale: float = 1.0
    """Image guidance of refinements."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """Guidance acts for sigma in (low, high]."""
    guidance_renorm: Renorm = "global"
    """See `harness.flow.guide`."""
    temperature: float = 1.0
    """Of the text."""
    top_p: float = 1.0
    """Of the text; log-probabilities are those of the full distribution."""
    max_text_tokens: int | None = None
    """None takes the policy's own."""
    size_px: int | None = None
    """Side of the pictures; None takes the policy's own."""
    same_initial_noise: bool = False
    """One initial noise for a whole group."""
    latents_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the stored trajectories. States are rounded to it before their log-probability is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineConfig:
    """Self-reflective refinement (tasks `srr` and `mixed`)."""

    candidates: int = 7
    """Initial images per prompt, drawn without gradient; the one with the lowest reward is refined."""
    grid_points: int = 40
    """Of the initial images."""
    think: bool = False
    """Whether initial images are made with reasoning text."""
    select: Literal["lowest", "softmax"] = "lowest"
    """`lowest` reward (ties: the first), or drawn with probability softmax(1 - reward)."""
    floor: Floor = "group_min"
    """Reward of refinements that did not improve: `off`, `group_min` (paper) or `init` (official code)."""
    margin: float = 0.0
    """Least improvement that counts; at least the judge's noise floor is sensible."""
    rescore_init: bool = False
    """Judges the chosen initial image a second time (another repeat) and uses that reward in the comparison: the
    lowest of several noisy rewards is biased low."""
    skip_all_bad: bool = False
    """Leaves an update out when no sample of the step improved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """What is rewarded and by whom."""

    weights: dict[str, float] = field(default_factory=lambda: {"dvreward": 1.0})
    """Reward names and weights."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of single rewards, by name."""
    judge: str | None = None
    """`NAME` or `NAME:ARGUMENT` for every reward; None takes each reward's own for the profile."""
    profile: Literal["micro", "official"] = "micro"
    """Which default judge."""
    mixing: Literal["sum", "per_reward"] = "sum"
    """`sum` of the rewards, normalised once; or `per_reward` advantages, summed."""
    format_weight: float = 0.0
    """Weight of the format reward (1 for a well-formed text, else 0); it enters text and image advantages."""
    max_failed: float = 0.01
    """Share of failed judge questions above which a step stops the run: the judge needs attention."""
    permute: bool = False
    """Placebo: rewards are shuffled within each group, so that nothing can be learned from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """The objective."""

    image: str = "grpo"
    """A registered image loss: `grpo`, `grpo-guard`, `reinforce`."""
    estimator: Estimator = "grpo"
    """Advantages: `grpo`, `rwr`, `sft`, `dpo`."""
    std_over: StdOver = "group"
    """Deviation of the `group`, or of the whole `batch` of a step."""
    adv_clip_max: float | None = 5.0
    """Image advantages are clipped to +- this."""
    image_weight: float = 1.0
    """0 trains the text alone."""
    text_weight: float = 0.2
    """lambda: weight of the text term against the mean over the trained image steps; 0 trains images alone."""
    image_clip_range: float = 1e-5
    """Of the D-th root of the likelihood ratio."""
    text_clip_low: float = 0.20
    """Ratios below 1 - this are clipped."""
    text_clip_high: float = 0.28
    """Ratios above 1 + this are clipped."""
    text_importance: Importance = "sequence"
    """One ratio per `sequence` or per `token`."""
    text_level: Literal["token", "sequence"] = "token"
    """With token ratios: mean over all tokens, or mean of the sequences' means."""
    top_entropy_quantile: float = 1.0
    """Share of tokens, by entropy, that the text loss keeps; 1 keeps all."""
    image_kl: float = 0.0
    """beta of the image divergence from the reference."""
    image_kl_form: KlForm = "gaussian"
    """See `losses.image_kl`."""
    text_kl: float = 0.0
    """beta of the text divergence from the reference."""
    recompute_log_prob: bool = False
    """Old log-probabilities from the training forward instead of the rollout's."""
    rollout_correction: float | None = None
    """Truncation of the weight exp(recomputed - rollout log-prob) on the losses; None is off."""
    detach_text: bool = True
    """The image loss does not flow into text tokens and prompt."""
    mask_truncated: bool = False
    """Texts that were cut at the length limit take no part in the text loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defects:
    """Defects of the official code, reproduced on request; all off in `paper` and `corrected`."""

    text_outer_product: bool = False
    """Every text ratio meets every advantage of the micro-batch."""
    group_by_text: bool = False
    """Groups are formed by the prompt's text: equal prompts in a batch merge."""
    scale_by_steps: bool = False
    """The gradient carries the factor T / (T + 1), which matters through clipping only."""
    detach_prompt: bool = False
    """The text loss does not flow into prompt tokens (contexts of the rollout are reused)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """The optimiser (AdamW)."""

    lr: float = 5e-5
    """Of the generation experts, and of all where `lr_understanding` is None."""
    lr_understanding: float | None = None
    """Of the understanding experts."""
    beta1: float = 0.9
    """AdamW."""
    beta2: float = 0.999
    """AdamW."""
    eps: float = 1e-8
    """AdamW."""
    weight_decay: float = 1e-4
    """AdamW."""
    max_grad_norm: float = 1.0
    """Of the whole gradient."""
    warmup_steps: int = 0
    """Linear; constant afterwards."""
    final_lr_fraction: float = 1.0
    """Below 1: the rate falls linearly to this share over the run."""
    ema_decay: float | None = None
    """Of the averaged weights; None keeps none. Averaged weights are the checkpoint's weights when there are any."""
    ema_every: int = 1
    """Optimiser steps between two averages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutConfig:
    """Evaluation inside the training, on benchmarks and judges that are not the reward."""

    every: int = 0
    """Optimiser steps between two evaluations; 0 is off. The base and the end are then evaluated too."""
    benchmarks: list[str] = field(default_factory=lambda: ["geneval", "tiif"])
    """Benchmark names."""
    judge: str | None = None
    """None takes the benchmarks' own."""
    limit: int = 48
    """Prompts per benchmark."""
    samples_per_prompt: int | None = 1
    """Images per prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoConfig:
    """One training run."""

    kind: Literal["grpo"]
    """The trainer."""
    recipe: Literal["corrected", "paper", "official_code"] = "corrected"
    """Preset of the settings in which the paper, its code and the corrected method differ."""
    model: str = "micro"
    """The base policy, as `eval` takes it."""
    task: Task = "rt2i"
    """`rt2i` reasoning then image, `t2i` image only, `srr` refinement of a poor image, `mixed` rt2i and srr in turn."""
    prompts: str = "micro"
    """`micro` (drawn from the training split), or a JSONL file of DVReward records."""
    prompt_options: dict[str, Any] = field(default_factory=dict)
    """Options of the prompt source."""
    seed: int = 0
    """Train seed: prompts, trajectories and windows derive from it."""
    steps: int = 100
    """Optimiser steps."""
    prompts_per_step: int = 8
    """Prompts, i.e. groups, per optimiser step."""
    group_size: int = 12
    """Samples of one prompt."""
    micro_batch: int = 96
    """Samples per forward and backward pass on one device. Never changes a result beyond rounding."""
    rollout_batch: int = 96
    """Samples drawn together on one device."""
    inner_epochs: int = 1
    """Updates per rollout."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""
    threads: int | None = 1
    """CPU threads per process; None leaves torch's."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16`: autocast of the network's body; log-probabilities, latents and master weights stay float32."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under torchrun: replicated weights, or weights sharded by FSDP2."""
    policy: dict[str, Any] = field(default_factory=dict)
    """Settings of the policy's training (`lora_rank`, `lora_alpha`, `gradient_checkpointing`)."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How trajectories are drawn."""
    refine: RefineConfig = field(default_factory=RefineConfig)
    """Self-reflective refinement."""
    reward: RewardConfig = field(default_factory=RewardConfig)
    """What is rewarded."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The objective."""
    defects: Defects = field(default_factory=Defects)
    """Defects of the official code."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """The optimiser."""
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    """Evaluation inside the training."""
    checkpoint_every: int = 20
    """Optimiser steps between checkpoints; the last step always has one."""
    keep_checkpoints: int = 3
    """Newest checkpoints whose optimiser state is kept."""
    samples_every: int = 20
    """Optimiser steps between pictures of the same prompts; 0 is off."""
    log_to: list[Literal["tensorboard", "wandb"]] = field(default_factory=list)
    """Loggers beside `metrics.jsonl`."""

    def __post_init__(self) -> None:
        for name in ("steps", "prompts_per_step", "micro_batch", "rollout_batch", "inner_epochs", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected a positive number, got {getattr(self, name)}.")
        if self.group_size < 2:
            raise ConfigError(f"group_size: a group needs at least 2 samples, got {self.group_size}.")
        low, high = self.sampling.window_range
        if not 0 <= low < high <= self.sampling.grid_points - 2:
            raise ConfigError(
                f"sampling.window_range: [{low}, {high}) must lie in [0, {self.sampling.grid_points - 2}): "
                f"{self.sampling.grid_points} grid points have {self.sampling.grid_points - 1} steps, and the last one "
                "is never stochastic."
            )
        if not 1 <= self.sampling.window_size <= high - low:
            raise ConfigError(f"sampling.window_size: {self.sampling.window_size} steps do not fit in [{low}, {high}).")
        if self.sampling.noise_level <= 0 and self.loss.image_weight > 0:
            raise ConfigError("sampling.noise_level: image training needs stochastic steps; expected more than 0.")
        if not self.reward.weights:
            raise ConfigError("reward.weights: name at least one reward.")
        if not 0 < self.loss.top_entropy_quantile <= 1:
            raise ConfigError(
                f"loss.top_entropy_quantile: expected a share in (0, 1], got {self.loss.top_entropy_quantile}."
            )
        if self.refine.floor != "off" and self.refine.margin < 0:
            raise ConfigError(f"refine.margin: expected 0 or more, got {self.refine.margin}.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for manifests."""
        return dict(to_plain(self))
