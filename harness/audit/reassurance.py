"""False reassurance: how often a wrong picture is called right, asked in two wordings.

*Verify* asks whether the picture shows the prompt. *Reflect* tells the judge that the picture is its own work and asks
whether anything must be corrected. Both are text requests about whole prompts; a self-reflecting model answers the
second when it refines its pictures. AlphaGRPO (arXiv 2605.12495) rewards by the first. A policy of the micro world is
asked to reflect in its own way: it looks at the picture and writes a diagnosis (`harness.world.plan.DIAGNOSES`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from harness import seeds
from harness.audit.cases import Pair, Picture, pairs
from harness.audit.table import Row, Section, share_row
from harness.judges.base import Answer, Judge, JudgeRequest, Unparsed
from harness.models.base import GenerationParams, Request, TrainablePolicy
from harness.types import Question
from harness.world.plan import diagnosis_from_words
from harness.world.vocabulary import words_of

SECTION = "false reassurance"

VERIFY = (
    "The picture was requested with this prompt: {prompt}\n\n"
    "Does the picture show everything that the prompt asks for, and nothing that contradicts it? "
    "Reply with one word: yes or no."
)
REFLECT = (
    "You were asked for a picture with this prompt: {prompt}\n\n"
    "This is the picture that you made. Look at your work again: does anything have to be corrected? "
    "Reply with one word: yes if something has to be corrected, no if the picture can stay as it is."
)
_WORD = re.compile(r"[a-z]+")
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def measure(judge: Judge, n: int, seed: int) -> Section:
    """For both wordings, the share of wrong pictures that are called fine, and of right pictures that are."""
    if "text" not in judge.kinds or "yesno" not in judge.kinds:
        return Section(skipped=f"judge {judge.name!r} writes no free text")
    found = pairs(n, seed)
    cases = [(pair, picture) for pair in found for picture in pair.pictures]
    rows: list[Row] = []
    reasons: Counter[str] = Counter()
    for name, wording, yes_is_fine in (("verify", VERIFY, True), ("reflect", REFLECT, False)):
        requests = [_request(name, wording, yes_is_fine, pair, picture) for pair, picture in cases]
        answers = [reply.answers[0] for reply in judge.ask(requests)]
        reasons.update(f"{a.status}: {a.error}" for a in answers if a.value is None)
        rows += _rows(name, found, answers)
    if all(row.value is None for row in rows):
        return Section(skipped=f"no answer to the two wordings ({reasons.most_common(1)[0][0]})")
    return Section(rows=tuple(rows), details={"missing": dict(reasons)} if reasons else {})


def measure_policy(policy: TrainablePolicy, n: int, seed: int) -> Section:
    """The same for a policy that reflects: how often its diagnosis is `all correct`. Missing: no diagnosis is written.

    Args:
        policy: a model with the capability `reflect` that writes diagnoses of the micro world.
        n: prompts.
        seed: of prompts and pictures.
    """
    if "reflect" not in policy.capabilities:
        return Section(skipped=f"model {policy.name!r} does not reflect on pictures")
    found = pairs(n, seed)
    # The text is wanted, not the picture: one drawing step is enough.
    params = GenerationParams(num_inference_steps=1)
    requests = [
        Request(
            items=(picture.image.load(), policy.reflection_text(pair.prompt.text)),
            mode="reflect",
            params=params,
            seed=seeds.for_sample(seed, pair.prompt.id, k),
        )
        for pair in found
        for k, picture in enumerate(pair.pictures)
    ]
    answers = [_diagnosis(output.text) for output in policy.generate(requests)]
    return Section(rows=tuple(_rows(f"policy {policy.name} reflects", found, answers)))


def _diagnosis(text: str) -> Answer:
    name = diagnosis_from_words(words_of(text)[:2])
    return Answer(status="unparsed") if name is None else Answer(value=float(name == "ok"))


def _request(name: str, wording: str, yes_is_fine: bool, pair: Pair, picture: Picture) -> JudgeRequest:
    return JudgeRequest(
        kind="text",
        form=f"audit-{name}",
        questions=(Question(id=name, text=pair.prompt.text),),
        images=(picture.image,),
        # A prompt may hold braces.
        prompt=wording.replace("{prompt}", pair.prompt.text),
        parse=lambda text: [Answer(value=float(first_yes_or_no(text) is yes_is_fine))],
    )


def first_yes_or_no(text: str) -> bool:
    """Whether the first of the words yes and no in a reply, thinking left out, is yes.

    Raises:
        Unparsed: it has neither.
    """
    for word in _WORD.findall(_THOUGHT.sub("", text).lower()):
        if word in ("yes", "no"):
            return bool(word == "yes")
    raise Unparsed("the reply has neither yes nor no")


def _rows(name: str, found: Sequence[Pair], answers: Sequence[Answer]) -> list[Row]:
    clusters = [pair.prompt.id for pair in found]
    fine = [a.value for a in answers]
    return [
        share_row(SECTION, f"{name}: wrong pictures called fine", fine[1::2], clusters, note="right: 0"),
        share_row(SECTION, f"{name}: right pictures called fine", fine[::2], clusters, note="right: 1"),
    ]
