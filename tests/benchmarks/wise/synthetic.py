"""Small stand-ins for the official data, scripts and results."""

import dataclasses
import hashlib
import json

from benchmarks.wise import WISE, WISEOptions, adapter
from benchmarks.wise.lock import ScriptLock, shipped_lock
from benchmarks.wise.variants import CATEGORIES, RANGES, SCALES
from harness.types import Generation, Judgement, Prompt, SampleKey, Score

SCRIPT = '''
import os
raise SystemExit("never run")

def build_evaluation_messages(row, image):
    """Builds."""
    return [
        {"role": "system", "content": [{"type": "text", "text": "Judge \\u00e9."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": f"""First {{line}}
P: "{row['Prompt']}"
E: "{row["Explanation"]}"
End."""},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
            ],
        },
    ]
'''
SYSTEM = "Judge é."
USER = 'First {line}\nP: "@@PROMPT@@"\nE: "@@EXPLANATION@@"\nEnd.'


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def script_lock(script=SCRIPT, system=SYSTEM, user=USER, path="vllm_eval.py"):
    return ScriptLock(path=path, sha256=digest(script), system_sha256=digest(system), user_sha256=digest(user))


def records(variant, first, last, prefix="p"):
    return [
        {
            "Prompt": f"{prefix} {i} ü",
            "Explanation": f"because {i}",
            "Category": "x",
            "Subcategory": label(variant, i),
            "prompt_id": i,
        }
        for i in range(first, last + 1)
    ]


def label(variant, number):
    category = next(c for c, ids in RANGES[variant].items() if number in ids)
    if category == "TIME":
        return ("Longitudinal time", "Horizontal time")[number % 2]
    return f"{category.lower()} {number % 2}"


def data_files():
    """Contents by locked name: three files per set."""
    cuts = {"verified": (400, 640), "legacy": (400, 700), "legacy-rewrite": (400, 700)}
    found = {}
    for set_name, files in shipped_lock().sets.items():
        variant = set_name.partition("-")[0]
        a, b = cuts[set_name]
        for name, (first, last) in zip(files, ((1, a), (a + 1, b), (b + 1, 1000)), strict=True):
            prefix = "direct" if set_name.endswith("rewrite") else "p"
            found[name] = json.dumps(records(variant, first, last, prefix), ensure_ascii=False).encode()
    return found


def lock_of(files):
    shipped = shipped_lock()
    entries = {
        name: dataclasses.replace(shipped.files[name], sha256=hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    }
    scripts = {"verified": script_lock(), "legacy": script_lock(path="WISE_legacy/gpt_eval.py")}
    return dataclasses.replace(shipped, files=entries, scripts=scripts)


def write_data(folder, files):
    for name, data in files.items():
        path = folder / "wise" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def benchmark(monkeypatch, data_dir, lock, *, protocol="official", profile="official", **options):
    monkeypatch.setattr(adapter, "shipped_lock", lambda: lock)
    return WISE(profile=profile, protocol=protocol, options=WISEOptions(**options), data_dir=data_dir)


def few_prompts(variant, n=2):
    """`n` prompts of each category under real ids."""
    found = {}
    for category in CATEGORIES:
        for number in list(RANGES[variant][category])[:n]:
            id_ = f"wise/{variant}/{number:04d}"
            meta = {"prompt_id": number, "Explanation": "e", "Subcategory": label(variant, number)}
            found[id_] = Prompt(id=id_, text="t", category=category, meta=meta)
    return found


def scores_of(prompt, variant, values, index=0, seed=0, reason=""):
    """Scores of one image; `values` per scale, None is missing."""
    key = SampleKey(benchmark="wise", prompt_id=prompt.id, index=index, gen_seed=seed)
    return [
        Score(key=key, metric=scale, value=value, reason=reason)
        for scale, value in zip(SCALES[variant], values, strict=True)
    ]


def generation(prompt, status="ok", error=""):
    key = SampleKey(benchmark="wise", prompt_id=prompt.id)
    return Generation(id="g", key=key, seed=1, policy="p", params={}, status=status, error=error)


def verdict(gen, scale, value, status="ok", error=""):
    return Judgement(
        id=f"j-{scale}", key=gen.key, question_id=scale, judge="j", value=value, status=status, error=error
    )


def score_lines(variant, numbers=range(1, 1001), value=None, **changes):
    """A score file; `value(number)` gives the scales, `changes` map `i5` to another record or text of id 5."""
    lines = []
    for number in numbers:
        scores = value(number) if value else [1] * len(SCALES[variant])
        record = {"prompt_id": number, "Subcategory": label(variant, number)}
        record |= dict(zip(SCALES[variant], scores, strict=True))
        record = changes.get(f"i{number}", record)
        lines.append(record if isinstance(record, str) else json.dumps(record))
    return ("\n".join(lines) + "\n").encode()
