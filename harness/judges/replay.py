"""Recorded answers as a judge: `replay:RUN` or `replay:FILE.jsonl`.

A call is found by its content (images, questions, wording, form), under the fingerprint of the judge that once answered
it. What was not recorded is `skipped` with the reason; nothing is made up and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config import apply_settings, build
from harness.errors import ConfigError, DataError, JudgeError
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, failed
from harness.judging import call_id, judgement_ids
from harness.registry import JUDGES
from harness.store import RecordLog
from harness.types import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What may follow the path."""

    judge: str = ""
    """Part of the fingerprint of the recorded judge to use; empty takes all that are recorded."""


class ReplayJudge(Judge):
    """Answers from judgement records.

    Args:
        path: a run directory, or a file of judgement records.
        only: fingerprint (or a part of it) of the recorded judge to use; empty takes all that are recorded.

    Raises:
        DataError: there are no records, or the file is damaged.
        ConfigError: `only` fits no recorded judge.
    """

    name = "replay"
    kinds = frozenset({"yesno", "text", "detect", "score"})
    batch_size = 256

    def __init__(self, path: Path, only: str = "") -> None:
        self._path = path
        self._records: dict[str, Judgement] = {}
        judges = dict.fromkeys(j.judge for j in self._read(path))
        self._judges = [j for j in judges if only in j]
        if not self._judges:
            raise ConfigError(
                f"judge replay: no recorded judge of {path} has {only!r} in its fingerprint. Recorded: "
                f"{', '.join(judges)}."
            )

    def _read(self, path: Path) -> list[Judgement]:
        file = path / "judgements.jsonl" if path.is_dir() else path
        if not file.is_file():
            raise DataError(
                f"judge replay: {file} does not exist. Expected a run directory, or a file of judgement records "
                "(judgements.jsonl)."
            )
        records = list(RecordLog(file, Judgement, writable=False).read())
        if not records:
            raise DataError(f"judge replay: {file} holds no records.")
        for record in records:
            known = self._records.get(record.id)
            # The same content may be recorded for several samples, and again after a failure.
            if known is None or known.status != "ok":
                self._records[record.id] = record
        return records

    @property
    def fingerprint(self) -> str:
        """Fingerprints of the recorded judges."""
        return f"replay({' | '.join(self._judges)})"

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """The recorded replies; `skipped` where there is none.

        Raises:
            JudgeError: two recorded judges answered the same call.
        """
        return [self._reply(r) for r in requests]

    def _reply(self, request: JudgeRequest) -> JudgeReply:
        found: dict[str, list[Judgement]] = {}
        for judge in self._judges:
            ids = judgement_ids(call_id(judge, request), request)
            records = [self._records[i] for i in ids if i in self._records]
            if ids and len(records) == len(ids):
                found[judge] = records
        if len(found) > 1:
            raise JudgeError(
                f"judge replay: {self._path} holds answers of several judges to the same questions: {', '.join(found)}"
                ". Choose one with replay:PATH,judge=PART-OF-THE-FINGERPRINT."
            )
        if not found:
            reason = (
                f"not recorded in {self._path}: form {request.form!r}, images "
                f"{', '.join(i.id[:12] for i in request.images) or 'none'}"
            )
            return failed(len(request.questions), "skipped", reason, attempts=0)
        (records,) = found.values()
        return JudgeReply(answers=tuple(_answer(r) for r in records), raw=records[0].raw, attempts=0)


def _answer(record: Judgement) -> Answer:
    error = f"recorded: {record.error}" if record.error else ""
    return Answer(value=record.value, status=record.status, payload=record.payload, error=error)


@JUDGES.register("replay")
def load(argument: str = "") -> ReplayJudge:
    """Recorded answers: `replay:RUN-OR-FILE`, `replay:RUN,judge=PART-OF-FINGERPRINT`."""
    path, *settings = [part.strip() for part in argument.split(",")]
    if not path:
        raise ConfigError("judge replay: expected a run directory or a file of records, e.g. replay:runs/micro-1a2b3c.")
    given = build(ReplaySettings, apply_settings({}, settings), where="judge replay")
    return ReplayJudge(Path(path).expanduser(), given.judge)
