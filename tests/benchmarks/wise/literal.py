"""Slow, literal second implementations written from the description of upstream: parsers and calculation program."""

import json
import re

RANGES = {
    "verified": [(1, 400), (401, 520), (521, 640), (641, 760), (761, 880), (881, 1000)],
    "legacy": [(1, 400), (401, 567), (568, 700), (701, 800), (801, 900), (901, 1000)],
}
WEIGHTS = {"verified": [0.4, 0.12, 0.12, 0.12, 0.12, 0.12], "legacy": [0.4, 0.167, 0.133, 0.1, 0.1, 0.1]}
NAMES = ["CULTURE", "TIME", "SPACE", "BIOLOGY", "PHYSICS", "CHEMISTRY"]
SCOPES = {"all": [0, 1, 2, 3, 4, 5], "culture": [0], "space-time": [1, 2], "science": [3, 4, 5]}


def legacy(reply):
    found = re.findall(r"\*{0,2}(Consistency|Realism|Aesthetic Quality)\*{0,2}\s*:?\s*(\d)", reply, flags=re.IGNORECASE)
    scores = {}
    for name, digit in found:
        key = name.lower().replace(" ", "_")
        if key in ("consistency", "realism", "aesthetic_quality"):
            scores[key] = float(digit)
    if not found:
        lines = [line for line in reply.split("\n") if re.fullmatch(r"\s*[012]\s*", line)]
        if len(lines) >= 3:
            for key, line in zip(("consistency", "realism", "aesthetic_quality"), lines, strict=False):
                scores[key] = float(line)
    return scores


def verified(reply):
    text = re.sub(r"<think>.*?</think>\s*", "", reply, flags=re.DOTALL)
    text = re.sub(r"</think>\s*", "", text).strip()
    match = re.search(r"\*{0,2}Score\*{0,2}\s*:?\s*([01])\b", text, flags=re.IGNORECASE)
    if match:
        return float(match.group(1))
    lines = [line for line in text.split("\n") if re.fullmatch(r"\s*[01]\s*", line)]
    return float(lines[0]) if len(lines) == 1 else None


def calculate(files, variant, scope):
    """(outcome, category means, overall); files: list of bytes or None."""
    accepted = []
    for data in files:
        if data is None:
            continue
        rows, is_rejected = [], False
        for line in data.decode().split("\n"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if not isinstance(value, dict):
                is_rejected = True
                break
            rows.append(value)
        if not is_rejected:
            accepted.append(rows)
    wanted = set()
    for i in SCOPES[scope]:
        low, high = RANGES[variant][i]
        wanted |= set(range(low, high + 1))
    present = set()
    for rows in accepted:
        for row in rows:
            if "prompt_id" in row and isinstance(row["prompt_id"], int):
                present.add(int(row["prompt_id"]))
    if scope == "all" and wanted - present:
        return "missing_ids", {}, None
    if scope != "all" and len(files) == 1 and accepted and wanted - present:
        return "missing_ids", {}, None
    if not accepted:
        return "no_valid_data", {}, None
    pools = {i: [] for i in SCOPES[scope]}
    for rows in accepted:
        for row in rows:
            id_ = row.get("prompt_id")
            if not isinstance(id_, int):
                continue
            if variant == "verified":
                score = row.get("score")
                if not isinstance(score, (int, float)) or score not in (0, 1):
                    continue
            else:
                parts = [row.get("consistency"), row.get("realism"), row.get("aesthetic_quality")]
                if not all(isinstance(p, (int, float)) for p in parts):
                    continue
                score = (0.7 * parts[0] + 0.2 * parts[1] + 0.1 * parts[2]) / 2
            for i, pool in pools.items():
                low, high = RANGES[variant][i]
                if low <= id_ <= high:
                    pool.append(float(score))
    means = {NAMES[i]: sum(p) / len(p) for i, p in pools.items() if p}
    if not means:
        return "no_valid_data", {}, None
    if scope != "all" or len(means) < 6:
        return "no_overall", means, None
    total = sum(w * means[n] for w, n in zip(WEIGHTS[variant], NAMES, strict=True))
    return "overall", means, total
