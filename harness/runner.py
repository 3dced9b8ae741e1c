"""generate -> judge -> score -> summarise, streaming, bounded and resumable.

The calling thread makes images batch by batch; a worker thread judges finished ones at the same time, behind a bounded
queue. Everything is written as soon as it exists, so stopping loses at most the batch in flight.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import images
from harness.config import to_plain
from harness.errors import PolicyError
from harness.images import ImageRef
from harness.judges.base import Judge, JudgeRequest
from harness.judging import JudgementBook, call_id, copied, records_of
from harness.models.base import Output, Policy
from harness.plan import Job
from harness.progress import Progress
from harness.store import RunDirectory
from harness.types import Generation, Judgement, Score

_QUEUE_BATCHES = 8
"""Judge batches that may wait; generation pauses when judging is further behind."""


@dataclass(frozen=True, slots=True)
class _Asked:
    job: Job
    call: str
    request: JudgeRequest


class JudgeWorker:
    """Asks the judge in a thread of its own and writes the records.

    Raises (from `submit` and `finish`): whatever stopped the thread.
    """

    def __init__(self, run: RunDirectory, book: JudgementBook, judge: Judge, progress: Progress, stage: str) -> None:
        self._run, self._book, self._judge, self._progress, self._stage = run, book, judge, progress, stage
        self._queue: queue.Queue[_Asked | None] = queue.Queue(maxsize=judge.batch_size * _QUEUE_BATCHES)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="judge", daemon=True)
        self._thread.start()
        self.n_calls = 0

    def submit(self, item: _Asked) -> None:
        """Hands one call over; waits while the queue is full."""
        while True:
            self._raise_error()
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """Waits until everything handed over is answered and written."""
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()
        self._raise_error()

    def abort(self) -> None:
        """Lets the call in flight end and drops what waits."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            for batch in self._batches():
                self._answer(batch)
        except BaseException as error:
            self._error = error

    def _batches(self) -> Iterator[list[_Asked]]:
        ended = False
        while not ended and not self._stop.is_set():
            batch: list[_Asked] = []
            try:
                item = self._queue.get(timeout=0.1)
                while True:
                    if item is None:
                        ended = True
                        break
                    batch.append(item)
                    if len(batch) == self._judge.batch_size:
                        break
                    item = self._queue.get_nowait()
            except queue.Empty:
                pass
            if batch:
                yield batch

    def _answer(self, batch: Sequence[_Asked]) -> None:
        ask = []
        for item in batch:
            known = self._book.same_content(item.call, item.request)
            if known is None:
                ask.append(item)
            else:
                self._write(copied(known, item.job.key))
        if ask:
            replies = self._judge.ask([i.request for i in ask])
            self.n_calls += len(ask)
            for item, reply in zip(ask, replies, strict=True):
                self._write(records_of(self._judge, item.call, item.request, item.job.key, reply))
        self._progress.advance(self._stage, len(batch))

    def _write(self, records: Sequence[Judgement]) -> None:
        self._run.judgements.append(records)
        self._book.add(records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What one benchmark's pass produced."""

    scores: list[Score]
    scores_by_id: dict[str, list[Score]]
    """The same by generation id."""
    generations: dict[str, Generation]
    n_generated: int
    """Images made now; the rest was there."""
    n_asked: int
    """Judge calls made now."""


class BenchmarkPass:
    """One benchmark on one policy with one judge, into one run directory.

    Args:
        run: opened for writing.
        known_generations: `run.load_generations()`.
        book: judgements already there.
        batch_size: None takes the policy's own.
        label: of the progress bars; None takes the benchmark's name.
    """

    def __init__(
        self,
        *,
        run: RunDirectory,
        benchmark: Any,
        policy: Policy,
        judge: Judge,
        jobs: Sequence[Job],
        known_generations: dict[str, Generation],
        book: JudgementBook,
        progress: Progress,
        batch_size: int | None = None,
        label: str | None = None,
    ) -> None:
        self.run, self.benchmark, self.policy, self.judge, self.jobs = run, benchmark, policy, judge, jobs
        self._book, self._progress = book, progress
        self._batch_size = batch_size or policy.batch_size
        self._generations = {
            j.generation_id: known_generations[j.generation_id] for j in jobs if j.generation_id in known_generations
        }
        label = label or benchmark.name
        self._stages = (f"{label}: images", f"{label}: judge calls")

    def execute(self) -> Evaluated:
        """Makes and judges what is missing, then scores every sample.

        Raises:
            HarnessError: the policy, the judge or the disk failed; what was finished is stored.
            KeyboardInterrupt: after the call in flight was written.
        """
        made = [j for j in self.jobs if self._is_made(j)]
        stored = {j.generation_id for j in made}
        todo = [j for j in self.jobs if j.generation_id not in stored]
        self._progress.start(self._stages[0], len(self.jobs), len(self.jobs) - len(todo))
        pending = [item for j in made for item in self._unanswered(j)]
        calls_per_sample = self._calls_per_sample()
        total = len(self.jobs) * calls_per_sample
        self._progress.start(self._stages[1], total, total - len(todo) * calls_per_sample - len(pending))
        worker = JudgeWorker(self.run, self._book, self.judge, self._progress, self._stages[1])
        try:
            for item in pending:
                worker.submit(item)
            for start in range(0, len(todo), self._batch_size):
                for job in self._generate(todo[start : start + self._batch_size]):
                    if self._generations[job.generation_id].status == "ok":
                        for item in self._unanswered(job):
                            worker.submit(item)
            worker.finish()
        except BaseException:
            worker.abort()
            raise
        scores = {j.generation_id: self._score(j) for j in self.jobs}
        return Evaluated(
            scores=[s for j in self.jobs for s in scores[j.generation_id]],
            scores_by_id=scores,
            generations=self._generations,
            n_generated=sum(self._generations[j.generation_id].status == "ok" for j in todo),
            n_asked=worker.n_calls,
        )

    def _is_made(self, job: Job) -> bool:
        generation = self._generations.get(job.generation_id)
        return generation is not None and generation.status == "ok" and self.run.image_path(generation).is_file()

    def _calls_per_sample(self) -> int:
        """Judge calls of the first sample: the estimate that the progress bar starts from."""
        job = self.jobs[0]
        stand_in = ImageRef("", lambda: images.load(Path()))
        generation = Generation(id="", key=job.key, seed=0, policy="", params={})
        return len(self.benchmark.requests(job.prompt, generation, [stand_in, *self._sources(job)]))

    def _sources(self, job: Job) -> list[ImageRef]:
        return [self.benchmark.source_image(job.prompt, name) for name in job.prompt.source_images]

    def _given(self, job: Job) -> list[ImageRef]:
        """The images that the policy starts from; the judge of a refinement does not see them."""
        return self._sources(job) if job.refines is None else [job.refines]

    def _requests(self, job: Job) -> list[tuple[str, JudgeRequest]]:
        generation = self._generations[job.generation_id]
        image = images.ref_of_file(self.run.image_path(generation), generation.image_sha256)
        requests = self.benchmark.requests(job.prompt, generation, [image, *self._sources(job)])
        return [(call_id(self.judge.fingerprint, r), r) for r in requests]

    def _unanswered(self, job: Job) -> list[_Asked]:
        return [_Asked(job, c, r) for c, r in self._requests(job) if self._book.of_sample(c, r, job.key) is None]

    def _generate(self, jobs: Sequence[Job]) -> list[Job]:
        started = time.perf_counter()
        outputs = self.policy.generate([j.request([s.load() for s in self._given(j)]) for j in jobs])
        if len(outputs) != len(jobs):
            raise PolicyError(f"Policy {self.policy.name!r} gave {len(outputs)} outputs for {len(jobs)} requests.")
        seconds = (time.perf_counter() - started) / len(jobs)
        records = [self._store(job, output, seconds) for job, output in zip(jobs, outputs, strict=True)]
        self.run.generations.append(records)
        self._generations.update({r.id: r for r in records})
        self._progress.advance(self._stages[0], len(jobs))
        return list(jobs)

    def _store(self, job: Job, output: Output, seconds: float) -> Generation:
        relative, digest = "", ""
        if output.status == "ok":
            if output.file is not None:
                relative = job.image + output.file.suffix.lower()
                digest = self.run.adopt_image(relative, output.file)
            elif output.image is not None:
                relative = f"{job.image}.png"
                digest = self.run.write_image(relative, images.png_bytes(output.image))
            else:
                raise PolicyError(f"Policy {self.policy.name!r} answered {job.prompt.id} with status ok and no image.")
        return Generation(
            id=job.generation_id,
            key=job.key,
            seed=job.seed,
            policy=self.policy.fingerprint,
            params={k: v for k, v in to_plain(job.params).items() if v is not None and v != {}},
            status=output.status,
            error=output.error,
            image=relative,
            image_sha256=digest,
            text=output.text,
            token_ids=output.token_ids,
            parent=job.parent,
            gate=job.gate,
            seconds=round(seconds, 6),
        )

    def _score(self, job: Job) -> list[Score]:
        generation = self._generations[job.generation_id]
        verdicts: list[Judgement] = []
        if generation.status == "ok":
            for call, request in self._requests(job):
                verdicts += self._book.last_known(call, request, job.key)
        scores: list[Score] = self.benchmark.score(job.prompt, generation, verdicts)
        return scores
