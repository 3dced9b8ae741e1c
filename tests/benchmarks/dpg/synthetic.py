"""Small tables, prompts and result files made for the tests."""

import csv
import dataclasses
import hashlib
import io

from benchmarks.dpg import DPG, DPGOptions, adapter
from benchmarks.dpg.data import prompts_jsonl
from benchmarks.dpg.lock import shipped_lock
from benchmarks.dpg.table import git_blob_id
from harness.types import Generation, Judgement, SampleKey

COLUMNS = (
    "item_id",
    "text",
    "keywords",
    "proposition_id",
    "dependency",
    "category_broad",
    "category_detailed",
    "tuple",
    "question_natural_language",
)


def row(item, number, dependency="0", label="entity - whole (thing)", question=None):
    return {
        "item_id": item,
        "text": f"prompt {item}",
        "keywords": "",
        "proposition_id": str(number),
        "dependency": dependency,
        "category_broad": "x",
        "category_detailed": "y",
        "tuple": label,
        "question_natural_language": question or f"Is it so, {item} {number}?",
    }


def csv_bytes(rows, columns=COLUMNS):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


TABLE = [
    row("first9", 1, "0", "entity - whole (cat)"),
    row("first9", 2, "1", "attribute - color (cat, red)"),
    row("7", 1, "0", "entity - whole (dog)"),
    row("7", 2, "1", "attribute - size (dog, large)"),
    row("7", 3, "1,4", "relation - spatial (dog, ball, left of)"),
    row("7", 4, "0", "entity - whole (ball)"),
    row("b.x", 1, "0", "global - (night)"),
    row("b.x", 2, "0", "other - count (star, ==3)"),
]
"""The first item loses its first row and then fails; question 3 of `7` stands before its parent 4."""

TEXTS = {"first9": "A red cat\n", "7": " A large dog left of a ball", "b.x": "Nacht mit drei Sternen, süß"}


def lock_of(rows=TABLE, texts=TEXTS):
    return dataclasses.replace(
        shipped_lock(),
        table_blob=git_blob_id(csv_bytes(rows)),
        table_rows=len(rows),
        prompts_sha256=hashlib.sha256(prompts_jsonl(texts)).hexdigest(),
        n_prompts=len(texts),
        ids=tuple(texts),
        first_row_prompt="first9",
    )


def write_data(folder, rows=TABLE, texts=TEXTS):
    (folder / "dpg").mkdir(parents=True, exist_ok=True)
    (folder / "dpg" / "dpg_bench.csv").write_bytes(csv_bytes(rows))
    (folder / "dpg" / "prompts.jsonl").write_bytes(prompts_jsonl(texts))
    return folder


def benchmark(monkeypatch, data_dir, *, protocol="official", profile="official", lock=None, **options):
    monkeypatch.setattr(adapter, "shipped_lock", lambda: lock or lock_of())
    return DPG(profile=profile, protocol=protocol, options=DPGOptions(**options), data_dir=data_dir)


def generation(prompt, index=0, seed=0, status="ok", error=""):
    key = SampleKey(benchmark="dpg", prompt_id=prompt.id, gen_seed=seed, index=index)
    return Generation(id=f"g{index}", key=key, seed=1, policy="p", params={}, status=status, error=error)


def verdicts(gen, values, status="ok"):
    """Judgements from question number -> P(yes) (None: the given failure)."""
    return [
        Judgement(
            id=f"{gen.id}-{n}",
            key=gen.key,
            question_id=f"question/{n}",
            judge="j",
            value=value,
            status="ok" if value is not None else status if status != "ok" else "error",
            error="" if value is not None else "no reply",
        )
        for n, value in values.items()
    ]


def values_of(summaries):
    return {s.metric: s.value for s in summaries}
