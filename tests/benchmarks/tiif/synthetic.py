"""Small stand-ins for the official data and for recorded results, made from nothing that is official but the counts."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from benchmarks.tiif import TIIF, TIIFOptions
from benchmarks.tiif.indices import testmini_to_full as to_full
from benchmarks.tiif.lock import FileLock, Lock, rows_by_type
from benchmarks.tiif.taxonomy import LENGTHS, TYPES, prompt_id
from harness.types import Prompt, SampleKey, Score

TESTMINI = rows_by_type("testmini")
FULL = rows_by_type("full")


def adapter(*, profile="official", protocol="official", data_dir=None, **options):
    return TIIF(profile=profile, protocol=protocol, options=TIIFOptions(**options), data_dir=data_dir)


def question_row(type_, full_row):
    """Questions and answers of a case; different for every row of a type but `style`, where rows repeat."""
    name = f"style {full_row % 10}" if type_ == "style" else f"{type_} {full_row}"
    return [f"Is there a {name}? ", f"Is {name} red?"], ["Yes", "no"]


def prompts_of(rows, *, lengths=LENGTHS, set_name=None, full_row=None):
    """Prompts by id; `rows` gives the number of rows of each type."""
    found = {}
    for length in lengths:
        for type_, n in rows.items():
            for row in range(n):
                questions, answers = question_row(type_, full_row(type_, row) if full_row else row)
                meta = {
                    "type": type_,
                    "length": length,
                    "row": row,
                    "questions": [q.strip() for q in questions],
                    "answers": [a.lower() for a in answers],
                }
                if set_name:
                    meta["set"] = set_name
                id_ = prompt_id(type_, row, length)
                found[id_] = Prompt(id=id_, text=f"draw {type_} {row}", category=type_, meta=meta)
    return found


def testmini_prompts():
    return prompts_of(TESTMINI, set_name="testmini", full_row=to_full)


testmini_prompts.__test__ = False


def scores_of(prompt, values, **key):
    """Question scores of one sample; None is a missing answer."""
    sample = SampleKey(benchmark="tiif", prompt_id=prompt.id, **key)
    return [
        Score(key=sample, metric=f"question/{i}", value=v, reason="" if v is not None else "unparsed: 0 lines")
        for i, v in enumerate(values)
    ]


def record(type_, length, index, full_row, predictions=("yes", "no")):
    questions, answers = question_row(type_, full_row)
    return {
        "attribute": type_,
        "desc": f"{length}_description",
        "jsonl_file": f"{type_}_eval_prompts.jsonl",
        "line_idx": index,
        "questions": questions,
        "gt_answers": answers,
        "model_pred": list(predictions),
        "model_output": "\n".join(f"{p}, because." for p in predictions),
    }


def records(number, *, model="m", types=TYPES, skip=lambda type_, row, length: False):
    """Path -> record for all of testmini; `number(type, row)` is what the file is called."""
    return {
        f"run_eval_results_J/{model}/{type_}/{length}/{number(type_, row)}.json": record(
            type_, length, number(type_, row), to_full(type_, row)
        )
        for type_ in types
        for row in range(TESTMINI[type_])
        for length in LENGTHS
        if not skip(type_, row, length)
    }


def global_offsets(order):
    offsets, start = {}, 0
    for type_ in order:
        offsets[type_] = start
        start += TESTMINI[type_]
    return offsets


def as_bytes(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def write_folder(root, files):
    for path, value in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(as_bytes(value))
    return root


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, value in files.items():
            data = as_bytes(value)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def jsonl(rows):
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


def data_files(n_testmini=2, n_full=3):
    """Content of the four folders: all 39 types with few rows, but 75 of `comparison` in the full set."""
    files = {}
    for stem, n_default in (("testmini", n_testmini), ("test", n_full)):
        for type_ in TYPES:
            n = 75 if (stem, type_) == ("test", "comparison") else n_default
            rows = [question_row(type_, row) for row in range(n)]
            files[f"{stem}_prompts/{type_}_prompts.jsonl"] = jsonl(
                {"type": type_, "short_description": f"{type_} {i}", "long_description": f"long {type_} {i}"}
                for i in range(n)
            )
            files[f"{stem}_eval_prompts/{type_}_eval_prompts.jsonl"] = jsonl(
                {"type": type_, "yn_question_list": q, "yn_answer_list": a} for q, a in rows
            )
    return files


def lock_of(files, corrected=None):
    """A lock for `files`; `corrected`: path -> content of a later version."""
    entries = {}
    for path, data in files.items():
        n_rows = data.count(b"\n")
        entries[path] = FileLock(
            path=path,
            rows=n_rows,
            sha256=hashlib.sha256(data).hexdigest(),
            questions=2 * n_rows if "eval" in path else None,
            corrected_sha256=hashlib.sha256(corrected[path]).hexdigest() if path in (corrected or {}) else None,
        )
    return Lock(revision="0" * 40, files=entries, judge_script=judge_script_lock())


SCRIPT = '''
import random
import not_installed

raw_a = """
First: ##Q##
"""
raw_b: str = "Second {braces} \\\\d: ##Q##"
unused = "Third ##Q##"


def format_questions_prompt(questions):
    prompt = random.choice([raw_a, raw_b])
    return prompt.replace("##Q##", "\\n".join(questions))


class Client:
    def generate_with_prompt(self, prompt, image):
        return [{"role": "system", "content": "You judge."}, {"role": "user", "content": [{"type": "text"}]}]


raise SystemExit("this module must never be run")
'''
TEMPLATES = {"raw_a": "\nFirst: ##Q##\n", "raw_b": "Second {braces} \\d: ##Q##"}


def judge_script_lock():
    texts = {**TEMPLATES, "system": "You judge."}
    return {
        "path": "eval/eval_with_vlm.py",
        "sha256": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "texts": {n: {"length": len(t), "sha256": hashlib.sha256(t.encode()).hexdigest()} for n, t in texts.items()},
    }


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path
