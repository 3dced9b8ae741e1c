"""Asks a judge in a process of its own: `python -m tests.harness.judges.ask_judge SPEC CASES.json ANSWERS.json`.

For judges that need another environment than the tests. CASES: `{"yesno": [{"image": FILE, "questions": [...]}],
"text": [{"image": FILE, "prompt": ..., "temperature": ..., "seed": ...}]}`.
"""

import dataclasses
import json
import sys
from pathlib import Path

from harness.evaluate import make_judge
from harness.images import ref_of_file
from harness.judges.base import Answer, JudgeRequest
from harness.types import Question


def requests_of(cases: dict) -> list[JudgeRequest]:
    """The cases as requests; written replies are parsed by keeping their text."""
    asked = []
    for case in cases.get("yesno", ()):
        questions = tuple(
            Question(id=str(i), text=q if isinstance(q, str) else q[0], tag="" if isinstance(q, str) else q[1])
            for i, q in enumerate(case["questions"])
        )
        images = (ref_of_file(Path(case["image"])),)
        asked.append(JudgeRequest(kind="yesno", form="yesno", questions=questions, images=images))
    for case in cases.get("text", ()):
        asked.append(
            JudgeRequest(
                kind="text",
                form="free",
                questions=(Question(id="0", text="free"),),
                images=(ref_of_file(Path(case["image"])),),
                prompt=case["prompt"],
                parse=lambda text: [Answer(payload={"text": text})],
                temperature=case.get("temperature", 0.0),
                seed=case.get("seed", 0),
            )
        )
    return asked


def main(spec: str, cases: str, answers: str) -> None:
    judge = make_judge(spec)
    replies = judge.ask(requests_of(json.loads(Path(cases).read_text())))
    result = {"fingerprint": judge.fingerprint, "replies": [dataclasses.asdict(r) for r in replies]}
    Path(answers).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
