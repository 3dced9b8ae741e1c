"""Decomposition by a language model: facts, questions, a check and a tag for each question, questions on quality.

Steps as in AlphaGRPO (arXiv 2605.12495), in the project's own wording and without in-context examples of others. If a
question fails the check, all questions of the prompt are made anew, up to a bound; then the prompt is rejected. Unlike
the published pipeline the facts have no dependency step (its result is unused there), the first attempt is greedy and
further ones are sampled with seeds that follow from the prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness import seeds
from harness.decompose import replies, wording
from harness.decompose.chat import TextChat
from harness.decompose.dimensions import QUALITY, SEMANTIC
from harness.decompose.outcome import Decomposer, Outcome, entry
from harness.decompose.replies import UnusableReply
from harness.errors import HarnessError, JudgeError
from harness.judges.vlm.loop import LoopThread
from harness.judges.vlm.outcome import gather
from harness.judges.vlm.target import Target
from harness.judges.vlm.transport import CallFailed
from harness.plan import content_hash

T = TypeVar("T")

LIST_TOKENS, VERDICT_TOKENS = 4096, 256
"""Most tokens of a list and of a verdict."""
AGAIN_TEMPERATURE, AGAIN_TOP_P = 0.6, 0.9
"""Sampling of everything but the first try."""
ASSUMED_QUESTIONS = 12
"""Questions per prompt that a dry run counts with."""


@dataclass(slots=True)
class _Work:
    """One prompt on its way."""

    text: str
    n_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    rejected: list[dict[str, str]] = field(default_factory=list)


class ModelDecomposer(Decomposer):
    """Questions written and checked by a language model on a server.

    Args:
        target: model and server; `asks` bounds how often a reply is asked for while it cannot be read.
        attempts: how often the questions of a prompt are made before it is rejected.
        seed: of the sampling after the first attempt.

    Raises:
        ConfigError: the variable of the key is not set.
    """

    def __init__(self, target: Target, *, attempts: int = 5, seed: int = 0) -> None:
        self._target, self._attempts, self._seed = target, attempts, seed
        self._chat = TextChat(target)
        self._loop = LoopThread("decompose")

    @property
    def fingerprint(self) -> str:
        """Model, wording and settings; not the server's address."""
        s = self._target.settings
        digest = content_hash(wording.hashes(), self._attempts, self._seed, s.asks, s.max_tokens, s.revision)
        return f"openai:{self._target.model}+{digest[:12]}"

    def details(self) -> dict[str, Any]:
        """Model, server, settings and the hashes of the wording."""
        return {
            "model": self._target.model,
            "server": self._target.base_url,
            "attempts": self._attempts,
            "asks": self._target.settings.asks,
            "seed": self._seed,
            "temperature": {"first": 0.0, "again": AGAIN_TEMPERATURE},
            "top_p": {"first": 1.0, "again": AGAIN_TOP_P},
            "templates_sha256": wording.hashes(),
        }

    def plan(self, n_prompts: int) -> dict[str, Any]:
        """Calls for `ASSUMED_QUESTIONS` questions a prompt when every first attempt passes."""
        per_prompt = 3 + 2 * ASSUMED_QUESTIONS
        return {"n_calls": n_prompts * per_prompt, "assumed_questions_per_prompt": ASSUMED_QUESTIONS}

    def run(self, texts: Sequence[str], done: Callable[[Outcome], None]) -> None:
        """As many prompts at a time as the server takes requests.

        Raises:
            HarnessError: the server cannot be used at all.
        """
        try:
            self._loop.run(self._run(texts, done))
        except JudgeError as error:
            raise HarnessError(str(error).replace("Judge at", "Server at")) from None

    async def _run(self, texts: Sequence[str], done: Callable[[Outcome], None]) -> None:
        waiting = iter(texts)

        async def worker() -> None:
            for text in waiting:
                done(await self._decompose(text))

        await gather([worker() for _ in range(min(self._target.concurrency, len(texts)))])

    async def _decompose(self, text: str) -> Outcome:
        work = _Work(text)
        reason = ""
        for attempt in range(self._attempts):
            work.rejected = []
            try:
                semantic = await self._semantic(work, attempt)
                if not work.rejected:
                    quality = await self._quality(work, attempt, [q["question"] for q in semantic])
                    return self._outcome(work, attempt + 1, "ok", semantic=semantic, quality=quality)
                reason = f"{len(work.rejected)} of {len(semantic)} questions are not required by the prompt"
            except UnusableReply as error:
                reason = str(error)
            except CallFailed as error:
                return self._outcome(work, attempt + 1, "error", reason=f"{error.cause}: {error.message}")
        return self._outcome(work, self._attempts, "rejected", reason=f"{reason} (attempt {self._attempts})")

    async def _semantic(self, work: _Work, attempt: int) -> list[dict[str, Any]]:
        """Checked and tagged questions; those that fail the check are in `work.rejected`."""
        facts = await self._ask(work, attempt, "facts", replies.facts, LIST_TOKENS, prompt=work.text)
        listed = "\n".join(f"{i}. {fact}" for i, fact in enumerate(facts, start=1))
        questions = await self._ask(
            work, attempt, "questions", replies.questions, LIST_TOKENS, prompt=work.text, facts=listed
        )
        found = await gather([self._check(work, attempt, question) for question in questions])
        for question, (verdict, _) in zip(questions, found, strict=True):
            if not verdict.is_valid:
                work.rejected.append({"question": question, "reason": verdict.reason})
        return [entry("semantic", question, tag) for question, (_, tag) in zip(questions, found, strict=True)]

    async def _check(self, work: _Work, attempt: int, question: str) -> tuple[replies.Verdict, str]:
        """Whether the prompt requires the question, and the question's dimension."""
        asked = {"prompt": work.text, "question": question}
        verdict, tag = await asyncio.gather(
            self._ask(work, attempt, "necessity", replies.verdict, VERDICT_TOKENS, **asked),
            self._ask(work, attempt, "tagging", replies.tag, VERDICT_TOKENS, **asked, dimensions=_meanings(SEMANTIC)),
        )
        return verdict, tag

    async def _quality(self, work: _Work, attempt: int, questions: Sequence[str]) -> list[dict[str, Any]]:
        listed = "\n".join(f"- {q}" for q in questions)
        found = await self._ask(
            work,
            attempt,
            "quality",
            replies.quality,
            LIST_TOKENS,
            prompt=work.text,
            questions=listed,
            dimensions=_meanings(QUALITY),
        )
        return [entry("quality", question, tag) for question, tag in found]

    async def _ask(
        self, work: _Work, attempt: int, step: str, read: Callable[[str], T], max_tokens: int, **values: str
    ) -> T:
        """One readable reply, asked for a bounded number of times.

        Raises:
            UnusableReply: none of them can be read.
        """
        system, user = wording.template(step).render(**values)
        n_asks = self._target.settings.asks
        problem = ""
        for n in range(n_asks):
            again = attempt + n > 0
            reply = await self._chat.ask(
                system,
                user,
                max_tokens=max_tokens,
                temperature=AGAIN_TEMPERATURE if again else 0.0,
                top_p=AGAIN_TOP_P if again else 1.0,
                seed=seeds.derive("decompose", self._seed, work.text, step, user, attempt, n),
            )
            work.n_calls += 1
            work.tokens_in += reply.tokens_in
            work.tokens_out += reply.tokens_out
            work.cost_usd += reply.cost_usd
            try:
                if reply.problem:
                    raise UnusableReply(reply.problem)
                return read(reply.text)
            except UnusableReply as error:
                problem = str(error)
        raise UnusableReply(f"{step}: {problem} (asked {n_asks} times)")

    def _outcome(self, work: _Work, attempts: int, status: Any, **fields: Any) -> Outcome:
        return Outcome(
            id=self.key(work.text),
            status=status,
            rejected=work.rejected,
            attempts=attempts,
            n_calls=work.n_calls,
            tokens_in=work.tokens_in,
            tokens_out=work.tokens_out,
            cost_usd=work.cost_usd,
            **fields,
        )

    def close(self) -> None:
        """Ends the connections."""
        self._loop.stop(self._chat.aclose())


def _meanings(dimensions: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {meaning}" for name, meaning in dimensions.items())
