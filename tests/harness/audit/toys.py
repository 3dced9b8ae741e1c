"""Judges with known faults."""

from collections import Counter

import numpy as np

from harness.judges.base import Answer, Judge, JudgeReply, Unparsed, failed
from harness.world.verifier import answer as exact_answer


class Toy(Judge):
    """Answers yes/no questions by a function of (judge, request, question)."""

    name = "toy"
    kinds = frozenset({"yesno", "text"})

    def __init__(self, p_yes, write=None):
        self.p_yes, self.write = p_yes, write
        self.asked = Counter()
        self.batch = 0
        self.position = 0

    @property
    def fingerprint(self):
        return "toy-1"

    def ask(self, requests):
        self.batch = len(requests)
        return [self._reply(r) for r in requests]

    def _reply(self, request):
        if request.kind == "text":
            try:
                return JudgeReply(answers=tuple(request.parse(self.write(request))))
            except Unparsed as error:
                return failed(1, "unparsed", str(error))
        answers = []
        for self.position, question in enumerate(request.questions):
            p = self.p_yes(self, request, question.text)
            answers.append(Answer(status="error", error="toy fails") if p is None else Answer(value=p))
        return JudgeReply(answers=tuple(answers))


def exact(request, text):
    """The exact verifier's P(yes)."""
    from harness.world.parse import perceive
    from harness.world.view import to_view

    return exact_answer(perceive(to_view(request.images[0].load())[None])[0], text)


def pixels(request):
    return np.asarray(request.images[0].load())
