"""A toy benchmark, policy and judge, registered as a plugin would: quick, exact, and without torch.

The policy paints noise from the sample's seed, with a grey first pixel; the judge reads that pixel.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from benchmarks.base import Benchmark
from harness import seeds
from harness.images import ref_of_image
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest
from harness.models.base import Output, Policy
from harness.registry import BENCHMARKS, JUDGES, MODELS
from harness.terms import make_terms
from harness.types import Prompt, Question, Score, Summary

N_QUESTIONS = 3


@dataclass(frozen=True, kw_only=True)
class ToyOptions:
    n: int = 12
    """Number of prompts."""
    duplicate_id: bool = False
    """Two prompts share an id."""
    edit: bool = False
    """Prompts carry a source image."""


@BENCHMARKS.register("toy")
class Toy(Benchmark):
    """Shades of grey."""

    name = "toy"
    title = "Toy"
    options_type = ToyOptions
    default_judge = MappingProxyType({"micro": "toy"})

    @property
    def data_id(self) -> str:
        return f"toy-{self.options.n}"

    @property
    def samples_per_prompt(self) -> int:
        return 2

    def prompts(self):
        ids = [f"toy/{i:03d}" for i in range(self.options.n)]
        if self.options.duplicate_id:
            ids[-1] = ids[0]
        sources = ("shade",) if self.options.edit else ()
        return [
            Prompt(id=p, text=f"shade {i}", category="abc"[i % 3], source_images=sources) for i, p in enumerate(ids)
        ]

    def source_image(self, prompt, name):
        return ref_of_image(Image.new("RGB", (8, 8), (len(prompt.text), 0, 0)))

    def requests(self, prompt, generation, images):
        questions = tuple(Question(id=str(i), text=f"Brighter than {80 * i}?") for i in range(N_QUESTIONS))
        return [JudgeRequest(kind="yesno", form="toy", questions=questions, images=tuple(images))]

    def score(self, prompt, generation, verdicts):
        by_id = {v.question_id: v for v in verdicts}
        scores = []
        for i in range(N_QUESTIONS):
            v = by_id.get(str(i))
            reason = generation.error or (v.error if v else "not judged")
            scores.append(Score(key=generation.key, metric=f"q/{i}", value=v.value if v else None, reason=reason))
        return scores

    def aggregate(self, prompts, scores):
        known = [s.value for s in scores if s.value is not None]
        mean = sum(known) / len(known) if known else None
        own = {p: [s.value for s in scores if s.key.prompt_id == p] for p in prompts}
        rows = [(p, "all", sum(v or 0 for v in vs), len(vs) - vs.count(None), len(vs)) for p, vs in own.items()]
        terms = make_terms(rows, {"all": 1.0}, step=1 / 6)
        return [Summary(metric="overall", value=mean, n=len(prompts), n_missing=len(scores) - len(known), terms=terms)]

    def find_image(self, root: Path, prompt, index):
        path = root / f"{prompt.id.split('/')[1]}_{index}.png"
        return path if path.is_file() else None


class Painter(Policy):
    name = "painter"
    capabilities = frozenset({"edit"})
    batch_size = 4
    n_calls = 0

    def __init__(self, argument: str) -> None:
        self.argument = argument

    @property
    def fingerprint(self):
        return f"painter-{self.argument}"

    def resolve_params(self, params):
        return params

    def generate(self, requests):
        Painter.n_calls += 1
        time.sleep(float(os.environ.get("TOY_SLEEP", "0")))
        return [self._paint(r) for r in requests]

    def _paint(self, request):
        if self.argument == "failing" and request.sample[0].endswith("5"):
            return Output(status="error", error="out of paint")
        pixels = seeds.numpy_generator(request.seed, "pixels").integers(256, size=(8, 8, 3), dtype=np.uint8)
        pixels[0, 0] = shade = int(pixels[0, 0, 0])
        return Output(image=Image.fromarray(pixels), text=f"shade {shade}", token_ids=(shade,))


@MODELS.register("painter")
def painter(argument: str, *, device: str = "cpu") -> Painter:
    """Paints one shade."""
    return Painter(argument)


class Eye(Judge):
    name = "toy"
    kinds = frozenset({"yesno"})
    batch_size = 3
    n_asked = 0

    def __init__(self, argument: str) -> None:
        self.argument = argument

    @property
    def fingerprint(self):
        return f"eye-{self.argument}"

    def ask(self, requests):
        Eye.n_asked += len(requests)
        time.sleep(float(os.environ.get("TOY_SLEEP", "0")) / 2)
        return [self._look(r) for r in requests]

    def _look(self, request):
        shade = request.images[0].load().getpixel((0, 0))[0]
        if self.argument == "dies":
            raise RuntimeError("the judge broke")
        if self.argument == "shy":
            return JudgeReply(
                answers=tuple(Answer(status="refused", error="would rather not") for _ in request.questions)
            )
        return JudgeReply(
            answers=tuple(Answer(value=float(shade > 80 * i)) for i in range(N_QUESTIONS)), raw=str(shade)
        )


@JUDGES.register("toy")
def eye(argument: str = "") -> Eye:
    """Reads the shade."""
    return Eye(argument)
