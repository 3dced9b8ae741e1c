"""A judged run with images on record, and what people would have said about each of them."""

import csv
import hashlib
import json

import numpy as np

from tests.reports.check.made import write_run


def truth_and_judge(n, k, seed, *, wrong=0.1, chance=0.7):
    """(P, k) verdicts of people and of a judge that says yes to some of what they refuse."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, k)) < chance).astype(float)
    return truth, np.where((rng.random((n, k)) < wrong) & (truth == 0), 1.0, truth)


def judged_run(path, verdicts, *, text="a star", lost=()):
    """A GenEval-like run with a generation record per image; `lost` names (prompt, image) without one."""
    write_run(path, verdicts, text=text)
    lines = []
    for i, row in enumerate(verdicts):
        for j in range(len(row)):
            prompt = f"geneval/{i:05d}"
            key = {"benchmark": "geneval", "prompt_id": prompt, "gen_seed": 0, "index": j, "round": 0}
            lines.append({
                "id": f"{i}-{j}", "key": key, "seed": 1, "policy": "p", "params": {},
                "status": "error" if (i, j) in lost else "ok", "image": f"images/{prompt}/0-{j}.png",
                "image_sha256": hashlib.sha256(f"{path.name} {i} {j}".encode()).hexdigest(),
            })  # fmt: skip
    (path / "generations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def fill(file, truth, *, leave=(), out=None):
    """Fills a sheet in from the (P, k) truth; prompts whose number is in `leave` stay empty."""
    rows = read(file)
    for r in rows:
        i = int(r["prompt_id"].rpartition("/")[2])
        r["value"] = "" if i in leave else f"{truth[i, int(r['index'])]:g}"
    return write(out or file, rows)


def read(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(file, rows, delimiter=","):
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return file
