"""A trajectory as an explicit list of steps, walked over the policy interface.

Steps that carry a loss: `Text` (drawn by the policy) and the image, which every trajectory ends with. `InputText`,
`InputImage` and `System` are context only. Walking keeps the three contexts of guidance:

| step | gen | cfg_text | cfg_img |
|---|---|---|---|
| system | append | append | append |
| input image | append | copy of gen after it | unchanged |
| input text | append | copy of gen before it | append |
| drawn text | append | unchanged | unchanged |

Source: the context rules of AlphaGRPO's code (AlphaGRPO, arXiv 2605.12495).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from PIL.Image import Image
from torch import Tensor

from harness.models.base import Contexts, TrainablePolicy

TextKind = Literal["think", "reflect"]


@dataclass(frozen=True, slots=True)
class System:
    """An instruction that every context keeps."""

    text: str


@dataclass(frozen=True, slots=True)
class InputText:
    """A text that is given."""

    text: str


@dataclass(frozen=True, slots=True)
class InputImage:
    """A picture that is given."""

    image: Image


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the policy draws."""

    kind: TextKind


Step = System | InputText | InputImage | Text


def t2i_steps(policy: TrainablePolicy, prompt: str, *, think: bool) -> tuple[Step, ...]:
    """[system,] prompt[, reasoning text]; the image follows."""
    steps: list[Step] = [*_system(policy, think=think), InputText(prompt)]
    return (*steps, Text("think")) if think else tuple(steps)


def refine_steps(policy: TrainablePolicy, prompt: str, image: Image) -> tuple[Step, ...]:
    """[system,] poor image, reflection instruction, reflection; the refined image follows."""
    given: list[Step] = [*_system(policy, think=True), InputImage(image), InputText(policy.reflection_text(prompt))]
    return (*given, Text("reflect"))


def _system(policy: TrainablePolicy, *, think: bool) -> list[Step]:
    text = policy.system_text(think=think)
    return [System(text)] if text else []


def text_kind(steps: Sequence[Step]) -> TextKind | None:
    """What the policy writes in this trajectory; None when it writes nothing."""
    return next((s.kind for s in steps if isinstance(s, Text)), None)


def given(policy: TrainablePolicy, trajectories: Sequence[Sequence[Step]], rows: Tensor) -> Contexts:
    """The contexts after the given steps, before the drawn text.

    Args:
        trajectories: one list of steps per distinct beginning (a group shares one), all of the same shape.
        rows: (B,) int64, which of them each sample starts with; the pass over a beginning is made once.
    """
    gen = policy.context(len(trajectories))
    cfg_text = cfg_img = gen
    for column in zip(*trajectories, strict=True):
        first = column[0]
        if isinstance(first, Text):
            break
        if isinstance(first, InputImage):
            gen = policy.extend(gen, [s.image for s in column if isinstance(s, InputImage)], kind="image")
            cfg_text = gen
            continue
        texts = [s.text for s in column if isinstance(s, InputText | System)]
        if isinstance(first, InputText):
            cfg_text, gen = gen, policy.extend(gen, texts, kind="text")
            cfg_img = policy.extend(cfg_img, texts, kind="text")
        else:
            gen = policy.extend(gen, texts, kind="text")
            cfg_text = cfg_img = gen
    return Contexts(*(policy.select(c, rows.to(_device_of(policy))) for c in (gen, cfg_text, cfg_img)))


def with_text(policy: TrainablePolicy, contexts: Contexts, ids: Tensor) -> Contexts:
    """The contexts after the drawn text: only `gen` reads it."""
    return contexts._replace(gen=policy.extend(contexts.gen, ids, kind="ids"))


def detached(policy: TrainablePolicy, contexts: Contexts) -> Contexts:
    """The contexts outside the autograd graph."""
    return Contexts(*(None if c is None else policy.detach(c) for c in contexts))


def _device_of(policy: TrainablePolicy) -> torch.device:
    return next(policy.trainable_module.parameters()).device
