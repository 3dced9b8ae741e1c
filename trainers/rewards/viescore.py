"""VIEScore as a reward (arXiv 2312.14867): a chat model writes 0..10 scores for consistency and for quality.

Two calls per image. Text-to-image: SC sees image and prompt and gives one number, PQ sees the image and gives two.
Edit: SC sees source and edited image (at the source's size, see `harness.viescore.images`) and gives two numbers.
SC and PQ are the smallest number of their list, O = sqrt(SC * PQ), and the reward is O / 10 (`scale: raw`: O).

Failure policy: the judge asks again, up to three times a call; a reply that is still not read is a missing value.

`rules` says how replies are read (`harness.viescore.parsing`); text before the last `</think>` is left out under both,
as in AlphaGRPO. Quirks of the released code that `official` keeps: scores may be a list of any length, or not of whole
numbers; a bare pair or integer without JSON counts; flat objects are repaired. Not reproduced under either: a random
score 0..10 for what cannot be read; asking both calls again when one fails, without limit; and, of scores that are not
checked, rewards outside 0..1 (they are missing). AlphaGRPO's server sampled with its default temperature, got JPEGs of
quality 75, and the text before the image: `temperature` here, the other two are options of the judge.

The scale is coarse, with many ties, and 0 whenever a single score is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

from harness import seeds
from harness.errors import ConfigError, DataError
from harness.images import ImageRef
from harness.judges.base import Answer, JudgeRequest
from harness.plan import content_hash
from harness.registry import REWARDS
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Question
from harness.viescore import wording
from harness.viescore.images import as_judged
from harness.viescore.parsing import Rules, answers_of, overall, without_thinking
from trainers.rewards.base import SCALES, Scale, check_choice, values_of
from trainers.rewards.prompts import BUILTIN, OFFICIAL, Wording, builtin, upstream

Task = Literal["t2i", "edit"]
JudgePrompt = Literal["builtin", "official"]

TOP = 10.0
QUESTIONS = ("sc", "pq")
_QUESTION_TEXTS = {"sc": "semantic consistency", "pq": "perceptual quality"}
_LENGTHS: dict[Task, dict[str, int]] = {"t2i": {"sc": 1, "pq": 2}, "edit": {"sc": 2, "pq": 2}}
"""How many numbers are asked for."""


def parse(text: str, *, rules: Rules, length: int) -> list[Answer]:
    """The reply's smallest score as the one answer, thinking left out.

    Raises:
        Unparsed: see `harness.viescore.parsing.read_reply`.
    """
    return answers_of(without_thinking(text), rules=rules, length=length)


@REWARDS.register("viescore")
class VIEScore(Reward):
    """Written 0..10 scores of a chat model: sqrt(consistency * quality), over 10.

    Args:
        task: `t2i` (image and prompt) or `edit` (source, image and instruction).
        judge_prompt: `builtin` wording or the `official` one from the data folder.
        rules: how replies are read, `strict` or `official`, see the module's docstring.
        scale: `normalised` 0..1, or `raw` 0..10.
        temperature: what the judge is asked to sample with.
        data_dir: folder with official data; None takes the default one.
    """

    name: ClassVar[str] = "viescore"

    def __init__(
        self,
        *,
        task: Task = "t2i",
        judge_prompt: JudgePrompt = "builtin",
        rules: Rules = "strict",
        scale: Scale = "normalised",
        temperature: float = 0.0,
        data_dir: str | None = None,
    ) -> None:
        check_choice(self.name, "task", task, _LENGTHS)
        check_choice(self.name, "judge_prompt", judge_prompt, (BUILTIN, OFFICIAL))
        check_choice(self.name, "rules", rules, ("strict", "official"))
        check_choice(self.name, "scale", scale, SCALES)
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
            raise ConfigError(f"viescore: temperature: expected a number between 0 and 2, got {temperature!r}.")
        self.task, self.rules, self.scale, self.temperature = task, rules, scale, float(temperature)
        self.needs_source = task == "edit"  # type: ignore[misc]
        self.value_range = (0.0, 1.0) if scale == "normalised" else (0.0, TOP)  # type: ignore[misc]
        self._wordings = _wordings(task, judge_prompt, data_dir)

    @property
    def fingerprint(self) -> str:
        """Options, and a hash of them with the wording."""
        labels = [self._wordings[q].label for q in QUESTIONS]
        settings = (self.task, self.rules, self.scale)
        origin = self._wordings["sc"].origin
        return "-".join(("viescore", *settings, origin, content_hash(settings, self.temperature, labels)[:8]))

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """Two `text` requests with one question each, `sc` and `pq`; the answer is the smallest number of the reply.

        Raises:
            DataError: an edit without its source image.
        """
        views = self._views(item)
        field = "instruction" if self.task == "edit" else "prompt"
        form = "viescore-edit" if self.task == "edit" else "viescore"
        return [
            JudgeRequest(
                kind="text",
                form=f"{form}-{id_}",
                questions=(Question(id=id_, text=_QUESTION_TEXTS[id_], tag=self._wordings[id_].label),),
                images=views[id_],
                prompt=self._wordings[id_].render(**({field: item.prompt.text} if id_ == "sc" else {})),
                parse=partial(parse, rules=self.rules, length=_LENGTHS[self.task][id_]),
                temperature=self.temperature,
                seed=seeds.derive("viescore", id_, item.prompt.id, item.image.id),
            )
            for id_ in QUESTIONS
        ]

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """O / 10 (or O); `parts`: `semantic` and `quality` in 0..1, and `raw`, which is O.

        Missing where a call has no answer, or where SC, PQ or O is outside 0..10 (the official rules check no number).
        """
        found = values_of(answers, QUESTIONS)
        if isinstance(found, RewardValue):
            return found
        sc, pq = found
        o = overall(sc, pq)
        if o is None or not all(0.0 <= x <= TOP for x in (sc, pq)):
            return RewardValue(value=None, reason=f"sc {sc:g} or pq {pq:g} is outside 0..10", n_asked=2, n_failed=0)
        parts = {"semantic": sc / TOP, "quality": pq / TOP, "raw": o}
        return RewardValue(value=o / TOP if self.scale == "normalised" else o, parts=parts, n_asked=2)

    def _views(self, item: RewardItem) -> dict[str, tuple[ImageRef, ...]]:
        if self.task == "t2i":
            return {"sc": (item.image,), "pq": (item.image,)}
        if not item.sources:
            raise DataError(
                f"prompt {item.prompt.id}: viescore's task 'edit' needs the source image, and there is none. Use "
                "task=t2i for prompts without source images."
            )
        edited = as_judged(item.image, item.sources[0])
        return {"sc": (item.sources[0], edited), "pq": (edited,)}


def _wordings(task: Task, judge_prompt: JudgePrompt, data_dir: str | None) -> dict[str, Wording]:
    if judge_prompt == OFFICIAL:
        name, field = ("edit_sc", "instruction") if task == "edit" else ("t2i_sc", "prompt")
        return {"sc": upstream(data_dir, "viescore", name, field), "pq": upstream(data_dir, "viescore", "pq")}
    if task == "edit":
        sc = builtin(wording.SC_TEMPLATE, instruction=wording.INSTRUCTION)
    else:
        sc = builtin(wording.T2I_SC_TEMPLATE, prompt=wording.PROMPT)
    return {"sc": sc, "pq": builtin(wording.PQ_TEMPLATE)}
