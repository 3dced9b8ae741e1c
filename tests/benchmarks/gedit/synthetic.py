"""Made-up rows, prompts, scores and files of the benchmark's shape."""

import csv
import functools
import hashlib
import io
import json

from PIL import Image

from benchmarks.gedit.groups import GROUPS, ROWS, prompt_id
from benchmarks.gedit.records import COLUMNS
from harness.images import png_bytes
from harness.types import Generation, Judgement, Prompt, SampleKey, Score


def key_of(group, lang, number):
    return hashlib.md5(f"{group}/{lang}/{number}".encode()).hexdigest()


def prompt(group="color_alter", number=0, lang="en", flag=True):
    key = key_of(group, lang, number)
    return Prompt(
        id=prompt_id(lang, group, key),
        text=f"make change {number}",
        category=group,
        source_images=("source",),
        meta={"key": key, "group": group, "instruction_language": lang, "Intersection_exist": flag},
    )


def full_prompts(lang="en"):
    found = [prompt(g, i, lang, flag=i % 3 != 0) for g in GROUPS for i in range(ROWS[g])]
    return {p.id: p for p in found}


def sample(prompt_id_, index=0, gen_seed=0):
    return SampleKey(benchmark="gedit", prompt_id=prompt_id_, index=index, gen_seed=gen_seed)


def scores_of(key, sc, pq, reason="gone"):
    o = None if sc is None or pq is None else (sc * pq) ** 0.5
    values = {"sc": sc, "pq": pq, "o": o}
    return [Score(key=key, metric=m, value=v, reason="" if v is not None else reason) for m, v in values.items()]


def generation(prompt_, status="ok", error=""):
    return Generation(id="g", key=sample(prompt_.id), seed=0, policy="p", params={}, status=status, error=error)


def judgement(question, raw="", value=None, *, status="ok", payload=None, repeat=0, error="", id_="gedit/x"):
    return Judgement(
        id=f"{question}{repeat}",
        key=sample(id_),
        question_id=question,
        judge="j",
        status=status,
        value=value,
        raw=raw,
        payload=payload or {},
        repeat=repeat,
        error=error,
    )


def reply(*scores, reasoning="fine"):
    return json.dumps({"score": list(scores), "reasoning": reasoning})


@functools.cache
def picture_bytes(number):
    return png_bytes(picture(number))


def picture(number, size=(8, 6)):
    return Image.new("RGB", size, (number % 256, number // 256 % 256, 77))


def dataset_rows():
    """1212 (columns, image bytes)."""
    for lang in ("en", "cn"):
        for group in GROUPS:
            for i in range(ROWS[group]):
                columns = {
                    "task_type": group,
                    "key": key_of(group, lang, i),
                    "instruction": f"make change {i}" if lang == "en" else f"做第{i}个修改",
                    "instruction_language": lang,
                    "Intersection_exist": i % 3 != 0,
                }
                yield columns, picture_bytes(i)


def write_copy(root):
    """A prepared copy of the made-up data set, as in a data folder."""
    (root / "images").mkdir(parents=True)
    lines = []
    for columns, data in dataset_rows():
        digest = hashlib.sha256(data).hexdigest()
        path = root / "images" / f"{digest}.png"
        if not path.exists():
            path.write_bytes(data)
        lines.append(json.dumps({**columns, "image": f"images/{digest}.png", "image_sha256": digest}))
    (root / "index.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def record(group, number, sc, pq, *, lang="en", flag="True", base="out/model/fullset", instruction=None):
    key = key_of(group, lang, number)
    folder = f"{base}/{group}/{lang}" if base is not None else ""
    cells = (
        f"{folder}/{key}_SRCIMG.png",
        f"{folder}/{key}.png",
        f"make change {number}" if instruction is None else instruction,
        sc,
        pq,
        flag,
        lang,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def csv_bytes(rows):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def write_results(folder, rows_by_group, model="model", *, combined=True):
    """`folder/<model>_<group>_gpt_score.csv` and the combined file."""
    folder.mkdir(parents=True, exist_ok=True)
    for group, rows in rows_by_group.items():
        (folder / f"{model}_{group}_gpt_score.csv").write_bytes(csv_bytes(rows))
    if combined:
        everything = [r for rows in rows_by_group.values() for r in rows]
        (folder / f"{model}_combined_gpt_score.csv").write_bytes(csv_bytes(everything))
