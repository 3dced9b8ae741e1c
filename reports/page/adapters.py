"""What only a benchmark's adapter knows of a finished run: source images, and which answers belong to which refinement.

Records of refinements share a sample key (several images may be made in one round), and their scores are not stored.
A judgement's id is a hash of judge, image bytes and question, so the adapter finds an image's own answers exactly, and
scores them with its own arithmetic. No judge and no model is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.errors import HarnessError
from reports.page.records import GenerationLine, JudgementLine
from reports.runs import Run


class Adapter:
    """A run's benchmark, built anew from the settings in its manifest.

    Attributes:
        reason: why it cannot be had (its data is not here, or changed); empty when it can.
    """

    def __init__(self, run: Run, benchmark: str) -> None:
        self.reason = ""
        self._benchmark: Any = None
        self._gate: Any = None
        self._prompts: dict[str, Any] = {}
        self._block = run.block(benchmark)
        try:
            self._build(run, benchmark)
        except HarnessError as error:
            self.reason = str(error)

    def _build(self, run: Run, benchmark: str) -> None:
        from harness import config as configs
        from harness.errors import DataError
        from harness.evalconfig import EvalConfig
        from harness.evaluate import make_benchmark, with_arguments

        where = str(run.path / "manifest.json")
        if "config" not in run.manifest:
            raise DataError(f"{where}: names no settings, so the benchmark's data cannot be found.")
        config = with_arguments(configs.build(EvalConfig, run.manifest["config"], where=where))
        self._benchmark = make_benchmark(benchmark, config)
        if self._benchmark.data_id != self._block["data"]:
            raise DataError(
                f"{benchmark}: this version has data {self._benchmark.data_id}, the run was made with "
                f"{self._block['data']}."
            )
        self._prompts = {p.id: p for p in self._benchmark.prompts()}
        self._gate = self._make_gate(config)

    def _make_gate(self, config: Any) -> Any:
        block = self._block.get("refinement")
        if not block or not block.get("gate_judge"):
            return None
        from harness.refinement.verifier import Verifier

        return Verifier(self._benchmark, config.gate_reward)

    def sources(self, prompt_id: str) -> list[Any]:
        """The prompt's source images as `ImageRef`.

        Raises:
            HarnessError: the adapter or an image cannot be had.
        """
        from harness.errors import DataError

        if self.reason:
            raise DataError(self.reason)
        prompt = self._prompts.get(prompt_id)
        if prompt is None:
            raise DataError(f"{prompt_id}: not in this version of the benchmark's data.")
        return [self._benchmark.source_image(prompt, name) for name in prompt.source_images]

    def answers(
        self, generation: GenerationLine, known: Mapping[str, JudgementLine]
    ) -> tuple[list[JudgementLine], list[tuple[str, float | None, str]]]:
        """The benchmark's and the gate's answers about one image, and their scores (metric, value, reason).

        Args:
            generation: of any round, status `ok`.
            known: the sample's judgements by id.

        Raises:
            HarnessError: the prompt's questions or source images cannot be made.
        """
        prompt = self._prompts.get(generation.key.prompt_id)
        if self.reason or prompt is None:
            return [], []
        mine, scores = self._asked(self._benchmark, str(self._block["judge"]), prompt, generation, known)
        if self._gate is not None:
            gate_judge = str(self._block["refinement"]["gate_judge"])
            more, gate_scores = self._asked(self._gate, gate_judge, prompt, generation, known)
            if more:
                mine, scores = mine + more, scores + gate_scores
        return mine, scores

    def _asked(
        self, asker: Any, judge: str, prompt: Any, generation: GenerationLine, known: Mapping[str, JudgementLine]
    ) -> tuple[list[JudgementLine], list[tuple[str, float | None, str]]]:
        from harness.images import ImageRef
        from harness.judging import call_id, judgement_ids

        record = _generation(generation)
        pictures = [ImageRef(generation.image_sha256, _undecoded)]
        pictures += [self._benchmark.source_image(prompt, s) for s in prompt.source_images]
        found = []
        for request in asker.requests(prompt, record, pictures):
            found += [known[i] for i in judgement_ids(call_id(judge, request), request) if i in known]
        if not found:
            return [], []
        scores = asker.score(prompt, record, _judgements(found))
        return found, [(s.metric, s.value, s.reason) for s in scores]


def _generation(line: GenerationLine) -> Any:
    from harness.types import Generation

    return Generation(
        id=line.id, key=_key(line), seed=line.seed, policy="", params={}, image=line.image, text=line.text
    )


def _judgements(lines: Sequence[JudgementLine]) -> list[Any]:
    from harness.types import Judgement

    return [
        Judgement(
            id=j.id,
            key=_key(j),
            question_id=j.question_id,
            judge=j.judge,
            question=j.question,
            tag=j.tag,
            status=j.status,  # type: ignore[arg-type]
            value=j.value,
            payload=msgspec.json.decode(j.payload),
            raw=j.raw,
            error=j.error,
            call_id=j.call_id,
            call_size=j.call_size,
        )
        for j in lines
    ]


def _key(line: GenerationLine | JudgementLine) -> Any:
    from harness.types import SampleKey

    k = line.key
    return SampleKey(benchmark=k.benchmark, prompt_id=k.prompt_id, gen_seed=k.gen_seed, index=k.index, round=k.round)


def _undecoded() -> Any:
    raise AssertionError("only identities of images are asked for")
