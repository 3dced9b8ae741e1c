"""The rounds: what each gate offers, accepts and pays for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.evalconfig import EvalConfig, Gate
from harness.images import ImageRef
from harness.judges.base import Judge
from harness.judging import JudgementBook
from harness.models.base import Policy
from harness.plan import Job
from harness.progress import Progress
from harness.refinement.gates import is_accepted, is_offered, is_right
from harness.refinement.jobs import AGAIN, REFINE, Unjudged, control_of, refinement_of, reflection_params
from harness.refinement.verifier import Verifier
from harness.runner import BenchmarkPass, Evaluated
from harness.store import RunDirectory
from harness.types import Generation, SampleKey, Score


@dataclass(slots=True)
class Cost:
    """What a rule has offered, kept and paid for so far, summed over rounds."""

    n_offered: int = 0
    """Times that the gate asked for another image."""
    n_accepted: int = 0
    """Of these, times that it took the place of the old one."""
    n_failed: int = 0
    """Offered, but no image came."""
    n_undecided: int = 0
    """Offered, but a reward that decides is missing: the old image stays."""
    n_images: int = 0
    """Images made beyond the first ones."""
    n_reflections: int = 0
    """Reflections written, those that approved of the image included."""
    n_judge_calls: int = 0
    """Calls of the judge that decides (gates `verifier` and `oracle`)."""


@dataclass(slots=True)
class Chain:
    """One gate with refinements, or with fresh samples in their place."""

    gate: Gate
    arm: str
    current: dict[SampleKey, Job]
    """The accepted image of each sample."""
    cost: Cost = field(default_factory=Cost)
    seen: set[tuple[SampleKey, str]] = field(default_factory=set)
    """Images whose verdict the gate has paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """Where a chain stands after a round."""

    gate: Gate
    arm: str
    round: int
    cost: dict[str, int]
    scores: list[Score]
    """Of the accepted images under the keys of the first ones, so that the benchmark's aggregate takes them."""
    n_replaced: int
    """Samples whose accepted image is not the first one."""


class Refinement:
    """All rounds of all gates of one benchmark.

    Args:
        base: the finished first images with their scores.
        known: generations by id, as in `BenchmarkPass`.
        verifier, gate_judge: None without gate `verifier`.
    """

    def __init__(
        self,
        *,
        config: EvalConfig,
        benchmark: Any,
        jobs: Sequence[Job],
        base: Evaluated,
        run: RunDirectory,
        policy: Policy,
        judge: Judge,
        gates: Sequence[Gate],
        verifier: Verifier | None,
        gate_judge: Judge | None,
        known: dict[str, Generation],
        book: JudgementBook,
        progress: Progress,
    ) -> None:
        self._config, self._benchmark, self._policy = config, benchmark, policy
        self._run, self._judge, self._verifier, self._gate_judge = run, judge, verifier, gate_judge
        self._book, self._progress = book, progress
        self._first = {j.key: j for j in jobs}
        self._generations = {**known, **base.generations}
        self._scores = dict(base.scores_by_id)
        self._rewards: dict[str, float | None] = {}
        self._params = policy.resolve_params(reflection_params(config.generation, config.reflect_generation))
        self._per_prompt = config.samples_per_prompt or benchmark.samples_per_prompt
        self._chains = [Chain(g, arm, {j.key: j for j in jobs}) for g in gates for arm in (REFINE, AGAIN)]
        self._calls: dict[tuple[str, str], int] = {}
        self.n_generated = self.n_asked = 0

    def execute(self) -> list[RoundResult]:
        """Makes, judges and selects; one result per gate, arm and round.

        Raises:
            HarnessError: with everything finished so far stored.
        """
        results = []
        for round_ in range(1, (self._config.reflect or 0) + 1):
            for chain, offers in zip(self._chains, self._offers(round_), strict=True):
                self._decide(chain, offers)
                results.append(self._result(chain, round_))
        return results

    def _offers(self, round_: int) -> list[dict[SampleKey, Job]]:
        """Per chain: the image that may replace each sample's, made and judged."""
        wanted = [self._undecided(c) for c in self._chains]
        label = f"{self._benchmark.name}, round {round_}"
        refined: list[dict[SampleKey, Job]] = []
        for chain, keys in zip(self._chains, wanted, strict=True):
            reflects = chain.arm == REFINE or chain.gate == "self"
            refined.append({k: self._refinement(chain, k, round_) for k in keys} if reflects else {})
        # Gate `self` decides by the text, so what only it asks for is judged after the text is known.
        self._pass(self._benchmark, _of(refined, self._chains, lambda c: c.gate != "self"), f"{label}: refinements")
        unjudged = Unjudged(self._benchmark)
        self._pass(unjudged, _of(refined, self._chains, lambda c: c.gate == "self"), f"{label}: reflections")
        offers = []
        for chain, keys, mine in zip(self._chains, wanted, refined, strict=True):
            if chain.gate == "self":
                chain.cost.n_reflections += len(keys)
                keys = [k for k in keys if is_offered("self", verdict=self._verdict(mine[k]), is_right=None)]
            elif chain.arm == REFINE:
                chain.cost.n_reflections += len(keys)
            of_arm = {k: mine[k] if chain.arm == REFINE else self._control(k, round_) for k in keys}
            offers.append(of_arm)
        self._pass(self._benchmark, _of(offers, self._chains, lambda c: c.arm == AGAIN), f"{label}: controls")
        late = _of(offers, self._chains, lambda c: c.gate == "self" and c.arm == REFINE)
        self._pass(self._benchmark, [j for j in late if self._is_made(j)], f"{label}: refinements chosen by the model")
        self._reward(offers, label)
        return offers

    def _undecided(self, chain: Chain) -> list[SampleKey]:
        """Samples with an image that the gate may want replaced; gate `self` is asked again when its text is there."""
        found = []
        for key, job in chain.current.items():
            if not self._is_made(job):
                continue
            if chain.gate == "oracle":
                self._pay(chain, key, job, "benchmark")
                if not is_offered("oracle", verdict=None, is_right=self._is_right(job)):
                    continue
            found.append(key)
        return found

    def _refinement(self, chain: Chain, key: SampleKey, round_: int) -> Job:
        job = chain.current[key]
        source = self._generations[job.generation_id]
        return refinement_of(self._first[key], source, round_, self._run, self._policy, self._params)

    def _control(self, key: SampleKey, round_: int) -> Job:
        return control_of(self._first[key], round_, self._per_prompt, self._policy)

    def _verdict(self, job: Job) -> bool | None:
        return self._policy.reflection_verdict(self._generations[job.generation_id].text)

    def _is_right(self, job: Job) -> bool | None:
        return is_right(self._scores.get(job.generation_id, []), self._benchmark.value_range[1])

    def _is_made(self, job: Job) -> bool:
        generation = self._generations.get(job.generation_id)
        return generation is not None and generation.status == "ok"

    def _reward(self, offers: Sequence[dict[SampleKey, Job]], label: str) -> None:
        """Rewards of what gate `verifier` compares."""
        if self._verifier is None or self._gate_judge is None:
            return
        asked: dict[str, Job] = {}
        for chain, of_chain in zip(self._chains, offers, strict=True):
            if chain.gate == "verifier":
                for key, new in of_chain.items():
                    for job in (chain.current[key], new):
                        if self._is_made(job):
                            asked[job.generation_id] = job
                            self._pay(chain, key, job, "verifier")
        done = self._pass(self._verifier, list(asked.values()), f"{label}: gate verifier", self._gate_judge)
        self._rewards |= {i: scores[0].value for i, scores in done.items()}

    def _pay(self, chain: Chain, key: SampleKey, job: Job, who: str) -> None:
        if (key, job.generation_id) not in chain.seen:
            chain.seen.add((key, job.generation_id))
            chain.cost.n_judge_calls += self._n_calls(job, who)

    def _n_calls(self, job: Job, who: str) -> int:
        slot = (job.prompt.id, who)
        if slot not in self._calls:
            asker = self._benchmark if who == "benchmark" else self._verifier
            self._calls[slot] = n_requests(asker, job)
        return self._calls[slot]

    def _decide(self, chain: Chain, offers: dict[SampleKey, Job]) -> None:
        cost = chain.cost
        for key, new in offers.items():
            cost.n_offered += 1
            cost.n_images += 1
            if not self._is_made(new):
                cost.n_failed += 1
                continue
            old_reward = self._rewards.get(chain.current[key].generation_id)
            new_reward = self._rewards.get(new.generation_id)
            if chain.gate == "verifier" and (old_reward is None or new_reward is None):
                cost.n_undecided += 1
            elif is_accepted(chain.gate, old_reward, new_reward):
                cost.n_accepted += 1
                chain.current[key] = new

    def _result(self, chain: Chain, round_: int) -> RoundResult:
        scores = [_under(s, key) for key, job in chain.current.items() for s in self._scores.get(job.generation_id, [])]
        return RoundResult(
            gate=chain.gate,
            arm=chain.arm,
            round=round_,
            cost={name: getattr(chain.cost, name) for name in Cost.__dataclass_fields__},
            scores=scores,
            n_replaced=sum(job.key.round > 0 for job in chain.current.values()),
        )

    def _pass(
        self, benchmark: Any, jobs: Iterable[Job], label: str, judge: Judge | None = None
    ) -> dict[str, list[Score]]:
        todo = list({j.generation_id: j for j in jobs}.values())
        if not todo:
            return {}
        done = BenchmarkPass(
            run=self._run,
            benchmark=benchmark,
            policy=self._policy,
            judge=judge or self._judge,
            jobs=todo,
            known_generations=self._generations,
            book=self._book,
            progress=self._progress,
            batch_size=self._config.batch_size,
            label=label,
        ).execute()
        self.n_generated += done.n_generated
        self.n_asked += done.n_asked
        self._generations |= done.generations
        if benchmark is self._benchmark:
            self._scores |= done.scores_by_id
        return done.scores_by_id


def n_requests(asker: Any, job: Job) -> int:
    """Judge calls about one sample."""
    generation = Generation(id="", key=job.key, seed=0, policy="", params={})
    return len(asker.requests(job.prompt, generation, [ImageRef("", no_image)]))


def _of(
    per_chain: Sequence[dict[SampleKey, Job]], chains: Sequence[Chain], is_meant: Callable[[Chain], bool]
) -> list[Job]:
    return [j for c, jobs in zip(chains, per_chain, strict=True) if is_meant(c) for j in jobs.values()]


def _under(score: Score, key: SampleKey) -> Score:
    return Score(key=key, metric=score.metric, value=score.value, reason=score.reason)


def no_image() -> Any:
    """Stands for the picture where only the number of calls is asked for."""
    raise AssertionError("only a number of calls was asked for")
