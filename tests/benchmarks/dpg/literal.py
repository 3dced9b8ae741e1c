"""A slow, literal second implementation of DPG-Bench scoring, written from the description of upstream's steps.

It works on rows of text (dicts of the CSV's columns), one picture after the other, with explicit loops and no helper of
the package under test.
"""


def read_like_upstream(rows):
    """item -> {"tuples", "parents", "texts"}: dicts by question number."""
    found = {}
    previous = ""
    for position, row in enumerate(rows):
        if position == 0:
            continue
        number = int(row["proposition_id"])
        parents = []
        for part in row["dependency"].split(","):
            parents.append(int(part.strip()))
        if row["item_id"] != previous:
            found[row["item_id"]] = {"tuples": {}, "parents": {}, "texts": {}}
        block = found[row["item_id"]]
        block["tuples"][number] = row["tuple"]
        block["parents"][number] = parents
        block["texts"][number] = row["question_natural_language"]
        previous = row["item_id"]
    return found


def official(rows, answers):
    """(total, crop scores by item, answers by category, failed items); `answers`: item -> crop -> number -> 0 or 1."""
    table = read_like_upstream(rows)
    per_prompt, categories, failed = {}, {}, []
    for item, crops in answers.items():
        if item not in table:
            failed.append(item)
            continue
        block = table[item]
        scores = []
        last_raw = None
        broken = False
        for crop in crops:
            current = {}
            for number in block["texts"]:
                current[number] = float(crop[number])
            last_raw = dict(current)
            for number in block["parents"]:
                zero = False
                for parent in block["parents"][number]:
                    if parent == 0:
                        continue
                    if parent not in current:
                        broken = True
                        break
                    if current[parent] == 0:
                        zero = True
                        break
                if broken:
                    break
                if zero:
                    current[number] = 0.0
            if broken:
                break
            total = 0.0
            for value in current.values():
                total += value
            scores.append(total / len(current))
        if broken:
            failed.append(item)
            continue
        per_prompt[item] = scores
        for number, label in block["tuples"].items():
            categories.setdefault(label.split("(")[0].strip(), []).append(last_raw[number])
    means = [sum(s) / len(s) for s in per_prompt.values()]
    return (sum(means) / len(means) * 100 if means else None), per_prompt, categories, failed


def corrected(rows, answers):
    """(total, {category: raw answers}, {category: filtered answers}) of a proper table."""
    by_item = {}
    for row in rows:
        by_item.setdefault(row["item_id"], []).append(row)
    means, raw, kept = [], {}, {}
    for item, block in by_item.items():
        parents = {int(r["proposition_id"]): [int(p) for p in r["dependency"].split(",")] for r in block}
        crop_scores = []
        for crop in answers[item]:

            def holds(number, crop=crop, parents=parents):
                if not crop[number]:
                    return 0.0
                for parent in parents[number]:
                    if parent != 0 and holds(parent) == 0.0:
                        return 0.0
                return 1.0

            values = []
            for row in block:
                number = int(row["proposition_id"])
                category = row["tuple"].split("(")[0].strip()
                raw.setdefault(category, []).append(float(crop[number]))
                kept.setdefault(category, []).append(holds(number))
                values.append(holds(number))
            crop_scores.append(sum(values) / len(values))
        means.append(sum(crop_scores) / len(crop_scores))
    return sum(means) / len(means) * 100, raw, kept


def pooled(categories, level):
    """Category -> 100 x mean; level "L1" or "L2"."""
    found = {}
    for category, values in categories.items():
        name = category.split("-")[0].strip() if level == "L1" else category
        found.setdefault(name, []).extend(values)
    return {name: 100 * sum(values) / len(values) for name, values in found.items()}
