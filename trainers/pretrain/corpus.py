"""The corpus: endless batches of four tasks, each a function of the seed and the step.

plan (at the start only): plan, image. describe: picture, its plan, the same picture.
think: prompt, plan, image. plain: prompt, image. edit: source image, instruction, [plan], image. reflect: picture,
prompt, diagnosis, corrected plan, image. Prompts and edits come from the training split of the grammar. Noise is what
a crawled corpus has: captions that do not fit their picture, pictures that do not fit their plan, bad pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from harness import seeds
from harness.models.micro import tokenizer
from harness.models.micro.context import pad_ids
from harness.models.micro.network import NetworkConfig, to_patches
from harness.world.edits import sample_edit
from harness.world.grammar import HELD_OUT, Spec, corrupt, hint_categories, sample_spec, wording
from harness.world.grammar.layout import P_STRIPED, try_layout
from harness.world.grammar.wording import Style
from harness.world.plan import diagnosis_words, plan_words
from harness.world.render import render
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, N_CELLS, SHAPES, SIZES, Scene, SceneObject
from trainers.pretrain.config import PretrainConfig
from trainers.pretrain.degrade import change_one_fact, degrade
from trainers.pretrain.objective import Batch

BLOCK = 8
"""Steps whose samples are drawn together, so that samples of similar length share a batch."""

STYLES: dict[Style, float] = {"short": 0.35, "photo": 0.2, "long": 0.25, "dense": 0.2}
"""Shares of the direct wordings; `PretrainConfig.indirect` of all prompts are indirect instead."""
SIMPLE_STYLES: dict[Style, float] = {"short": 0.6, "photo": 0.4}
"""Shares at the start of training."""

_ONE_CATEGORY = 0.7
"""Share of the indirect prompts whose hints are of one category of knowledge only."""
_MAX_PROMPT = NetworkConfig().max_prompt
_REFLECT_OK, _REFLECT_QUALITY = 0.25, 0.12


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example before it is made into tensors."""

    prompt: list[int]
    thought: list[int] | None
    source: Scene | None
    source_is_poor: bool
    target: Scene

    @property
    def length(self) -> int:
        """Tokens of text."""
        return len(self.prompt) + (0 if self.thought is None else len(self.thought))


class Corpus:
    """Batches by step."""

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config
        self._block = -1
        self._is_simple = True
        self._batches: list[Batch] = []

    def batch(self, step: int) -> Batch:
        """The batch of a step, equal whenever and in whatever order it is asked for."""
        block, index = divmod(step, BLOCK)
        if block != self._block:
            self._batches, self._block = self._make_block(block), block
        return self._batches[index]

    def _make_block(self, block: int) -> list[Batch]:
        rng = seeds.numpy_generator(self.config.seed, "pretrain-block", block)
        self._is_simple = (block + 1) * BLOCK <= self.config.simple_steps
        tasks = [self._task(rng) for _ in range(BLOCK)]
        if (block + 1) * BLOCK <= self.config.binding_steps:
            tasks = ["plan", "describe", "describe", "describe"] * (BLOCK // 4)
        batches: dict[str, list[Batch]] = {}
        for task in sorted(set(tasks)):
            n = tasks.count(task)
            samples = [self._sample(rng, task) for _ in range(n * self.config.batch_size)]
            samples.sort(key=lambda s: s.length)
            size = self.config.batch_size
            made = [self._tensors(rng, task, samples[i * size : (i + 1) * size]) for i in range(n)]
            batches[task] = [made[i] for i in rng.permutation(n)]
        return [batches[task].pop() for task in tasks]

    def _task(self, rng: np.random.Generator) -> str:
        c = self.config
        u = float(rng.random())
        for task, share in (("plain", c.share_plain), ("edit", c.share_edit), ("reflect", c.share_reflect)):
            if u < share:
                return "edit-think" if task == "edit" and rng.random() < c.edit_think else task
            u -= share
        return "describe" if u < c.share_describe and not self._is_simple else "think"

    def _sample(self, rng: np.random.Generator, task: str) -> Sample:
        if task in ("plan", "describe"):
            scene = _crowded_scene(rng)
            if task == "describe":
                scene = _in_reading_order(scene)
            thought = tokenizer.encode_thought(plan_words(scene), "think")
            return Sample([tokenizer.BOS], thought, scene if task == "describe" else None, False, scene)
        if task.startswith("edit"):
            return self._edit(rng, task == "edit-think")
        return self._reflect(rng) if task == "reflect" else self._create(rng, task == "think")

    def _prompt(self, rng: np.random.Generator, text: str) -> list[int]:
        ids = tokenizer.encode_prompt(text)
        if self.config.unknown_words:
            lost = rng.random(len(ids)) < self.config.unknown_words
            ids = [
                tokenizer.UNK if gone and i else index for i, (index, gone) in enumerate(zip(ids, lost, strict=True))
            ]
        return ids

    def _wording(self, rng: np.random.Generator, spec: Spec) -> str:
        if not self._is_simple and rng.random() < self.config.indirect:
            known = hint_categories(spec)
            alone = known and rng.random() < _ONE_CATEGORY
            category = known[int(rng.integers(len(known)))] if alone else None
            text = wording(spec, rng, "indirect", category=category)
            if len(tokenizer.encode_prompt(text)) <= _MAX_PROMPT:
                return text
        styles = SIMPLE_STYLES if self._is_simple else STYLES
        return wording(spec, rng, list(styles)[int(rng.choice(len(styles), p=list(styles.values())))])

    def _hits(self, rng: np.random.Generator, p: float) -> bool:
        """Whether noise of probability `p` strikes; never at the start of training."""
        return bool(rng.random() < p) and not self._is_simple

    def _create(self, rng: np.random.Generator, think: bool) -> Sample:
        spec, scene = _spec_and_scene(rng)
        if self._hits(rng, self.config.caption_noise):
            scene = corrupt(rng, scene, spec)[0]
        thought = tokenizer.encode_thought(plan_words(scene), "think") if think else None
        return Sample(self._prompt(rng, self._wording(rng, spec)), thought, None, False, self._contradicted(rng, scene))

    def _edit(self, rng: np.random.Generator, think: bool) -> Sample:
        edit = sample_edit(rng, split="train")
        target = edit.target
        if self._hits(rng, self.config.caption_noise):
            target = change_one_fact(rng, target)
        thought = tokenizer.encode_thought(plan_words(_in_reading_order(target)), "think") if think else None
        prompt = self._prompt(rng, edit.instruction)
        return Sample(prompt, thought, edit.source, False, self._contradicted(rng, target))

    def _reflect(self, rng: np.random.Generator) -> Sample:
        spec, good = _spec_and_scene(rng)
        u = rng.random()
        if u < _REFLECT_OK + _REFLECT_QUALITY:
            source, diagnosis = good, "ok" if u < _REFLECT_OK else "quality"
        else:
            source, diagnosis = corrupt(rng, good, spec)
        target = good
        if self._hits(rng, 0.6 * self.config.caption_noise):
            target = corrupt(rng, good, spec)[0]
        thought = tokenizer.encode_thought([*diagnosis_words(diagnosis), *plan_words(target)], "reflect")
        prompt = self._prompt(rng, self._wording(rng, spec))
        return Sample(prompt, thought, source, diagnosis == "quality", self._contradicted(rng, target))

    def _contradicted(self, rng: np.random.Generator, scene: Scene) -> Scene:
        return change_one_fact(rng, scene) if self._hits(rng, self.config.image_noise) else scene

    def _tensors(self, rng: np.random.Generator, task: str, samples: Sequence[Sample]) -> Batch:
        sources = [s.source for s in samples if s.source is not None]
        poor = [float(s.source_is_poor) for s in samples]
        thoughts = [s.thought for s in samples if s.thought is not None]
        degraded = 0.0 if self._is_simple else self.config.degraded_images
        return Batch(
            task,
            self._images(rng, sources, poor) if sources else None,
            pad_ids([s.prompt for s in samples]),
            pad_ids(thoughts) if thoughts else None,
            self._images(rng, [s.target for s in samples], [degraded] * len(samples)),
        )

    def _images(self, rng: np.random.Generator, scenes: Sequence[Scene], p_degraded: Sequence[float]) -> torch.Tensor:
        """Latents (B, 9, 768) of rendered scenes, some degraded."""
        jitter = [int(seed) for seed in rng.integers(0, 2**31, len(scenes))]
        images = render(scenes, jitter).astype(np.float32) / 255.0
        for i, p in enumerate(p_degraded):
            if rng.random() < p:
                images[i] = degrade(rng, images[i])
        return to_patches(torch.from_numpy(images) * 2.0 - 1.0)


def _spec_and_scene(rng: np.random.Generator) -> tuple[Spec, Scene]:
    while True:
        spec = sample_spec(rng, split="train")
        scene = try_layout(rng, spec)
        if scene is not None:
            return spec, scene


def _in_reading_order(scene: Scene) -> Scene:
    """The same scene, objects from top left to bottom right: a picture gives no other order away."""
    return replace(scene, objects=tuple(sorted(scene.objects, key=lambda o: o.cell)))


def _crowded_scene(rng: np.random.Generator) -> Scene:
    """A scene of two to six random objects, without held-out combinations."""
    cells = rng.permutation(N_CELLS)[: int(rng.integers(2, MAX_OBJECTS + 1))]
    return Scene(int(rng.integers(len(BACKGROUNDS))), tuple(_random_object(rng, int(cell)) for cell in cells))


def _random_object(rng: np.random.Generator, cell: int) -> SceneObject:
    while True:
        shape, colour = int(rng.integers(len(SHAPES))), int(rng.integers(len(COLOURS)))
        if (colour, shape) not in HELD_OUT:
            return SceneObject(shape, colour, int(rng.integers(len(SIZES))), cell, int(rng.random() < P_STRIPED))
