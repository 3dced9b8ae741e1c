"""Judges with prepared replies, for rewards that are judged by written or direct scores."""

from PIL import Image

from harness.images import ref_of_image
from harness.judges.base import Answer, Judge, JudgeReply, Unparsed, failed
from harness.rewards import RewardItem
from harness.types import Prompt

PICTURE = ref_of_image(Image.new("RGB", (40, 20), "red"))
SOURCE = ref_of_image(Image.new("RGB", (30, 30), "blue"))


def item(text="a dog {in} a <prompt>", meta=None, sources=(), image=PICTURE):
    return RewardItem(prompt=Prompt(id="p/1", text=text, meta=meta or {}), image=image, sources=sources)


class Writer(Judge):
    """Replies to each form with its text, up to three tries a call as judges do."""

    name = "writer"
    kinds = frozenset({"text"})
    fingerprint = "writer"

    def __init__(self, **texts):
        self.texts = {k.replace("_", "-"): v for k, v in texts.items()}
        self.asked = []

    def ask(self, requests):
        return [self._reply(r) for r in requests]

    def _reply(self, request):
        self.asked.append(request)
        texts = self.texts[request.form]
        texts = [texts] * 3 if isinstance(texts, str) else texts
        for n, text in enumerate(texts, 1):
            try:
                return JudgeReply(answers=tuple(request.parse(text)), raw=text, attempts=n)
            except Unparsed as error:
                reason = str(error)
        return failed(len(request.questions), "unparsed", reason, raw=text, attempts=len(texts))


class Scorer(Judge):
    """Gives each image the same raw score."""

    name = "scorer"
    kinds = frozenset({"score"})
    fingerprint = "scorer"

    def __init__(self, raw):
        self.raw = raw
        self.asked = []

    def ask(self, requests):
        self.asked += requests
        return [JudgeReply(answers=(Answer(value=self.raw, payload={"raw": self.raw}),)) for _ in requests]
