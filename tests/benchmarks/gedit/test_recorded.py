"""Recorded answers of real judges to VIEScore's prompts: read back, averaged, and compared with people."""

import io
import json
import math
import re
import tarfile

import numpy as np
import pytest

from harness.judges.base import Unparsed
from harness.stats import spearman
from harness.viescore.parsing import lowest, overall, parse_official, parse_strict, would_guess

IE, IG = "ImagenHub_Text-Guided_IE", "ImagenHub_Text-Guided_IG"
JUDGES = ("gpt4o_0shot", "gemini_0shot", "cogvlm_0shot")


@pytest.fixture(scope="module")
def folder(official):
    if not (official / "viescore").is_dir():
        pytest.skip("recorded VIEScore answers are not here (../shared/official/viescore)")
    return official / "viescore"


@pytest.fixture(scope="module")
def answers(folder):
    """(judge, task, generator, SC or PQ) -> rows."""
    found = {}
    with tarfile.open(folder / "recorded_answers.tar.gz") as archive:
        for member in archive:
            parts = member.name.removesuffix(".jsonl").split("/")
            stream = archive.extractfile(member)
            if len(parts) == 4 and stream is not None:
                found[tuple(parts)] = [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8")]
    return found


@pytest.fixture(scope="module")
def ratings(folder):
    """task -> generator -> uid -> one [SC, PQ] per rater."""
    found = {IE: {}, IG: {}}
    with tarfile.open(folder / "human_ratings.tar.gz") as archive:
        for member in archive:
            if not member.name.endswith(".tsv"):
                continue
            lines = archive.extractfile(member).read().decode().splitlines()
            generators = lines[0].split("\t")[1:]
            table = found[member.name.split("/")[0]]
            for line in lines[1:]:
                uid, *cells = line.split("\t")
                for generator, cell in zip(generators, cells, strict=True):
                    pair = [float(x) for x in re.findall(r"[\d.]+", cell)]
                    table.setdefault(generator, {}).setdefault(uid, []).append(pair)
    return found


@pytest.fixture(scope="module")
def numbers(folder):
    return json.loads((folder / "official_numbers.json").read_text())


def written(row, **kwargs):
    """The judge's answer written out again, with its further keys."""
    parts = {k: row[k] for k in ("score", "reasoning") if k in row}
    return json.dumps(parts | row.get("extra", {}), **kwargs)


def reparsed(row):
    """The score list as the parser reads it from the answer written out again."""
    return parse_official(written(row)).scores


SHAPES = {
    "plain": "%s",
    "fenced": "```json\n%s\n```",
    "prose": "Here is my rating:\n%s\nLet me know if you need more.",
    "delimiters": "||V^=^V||\n%s\n||V^=^V||",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_recorded_scores_come_back_from_every_documented_shape(answers, shape):
    n = 0
    for rows in answers.values():
        for row in rows:
            if row["guessed"]:
                continue
            expected = row["score"] if isinstance(row["score"], list) else [row["score"]]
            for text in (written(row, indent=1), written(row, ensure_ascii=False)):
                assert parse_official(SHAPES[shape].replace("%s", text)).scores == expected
            n += 1
    assert n == 9_690


def test_texts_that_upstream_guessed_at_are_missing_here(answers):
    lost = {
        judge: [r for k, rows in answers.items() if k[0] == judge for r in rows if r["guessed"]] for judge in JUDGES
    }
    assert {judge: len(rows) for judge, rows in lost.items()} == dict(zip(JUDGES, (9, 5, 3254), strict=True))
    for row in (r for rows in lost.values() for r in rows):
        assert would_guess(row["raw_text"])
        assert parse_official(row["raw_text"], guess=lambda: 3).scores == [3]
        for read in (parse_official, lambda t: parse_strict(t, length=1), lambda t: parse_strict(t, length=2)):
            with pytest.raises(Unparsed, match=r"no JSON object|empty reply"):
                read(row["raw_text"])


def test_strict_rules_read_the_same_from_good_answers(answers):
    n_other = 0
    for (judge, task, _, part), rows in answers.items():
        length = 1 if task == IG and part == "SC" else 2
        for row in rows:
            if row["guessed"] or judge == "cogvlm_0shot":
                continue
            try:
                assert parse_strict(written(row), length=length).scores == reparsed(row)
            except Unparsed:
                n_other += 1
    assert n_other == 0


def unit(row):
    """A recorded answer as SOURCE.md describes: cast to int, minimum, over 10, within 0..1; guesses included."""
    scores = row["score"] if isinstance(row["score"], list) else [row["score"]]
    if not row["guessed"]:
        scores = reparsed(row)
    return min(max(lowest([int(s) for s in scores]) / 10, 0), 1)


def per_image(answers, judge, task, generator):
    sc, pq = ({r["uid"]: unit(r) for r in answers[judge, task, generator, part]} for part in ("SC", "PQ"))
    return {uid: (sc[uid], pq[uid], overall(sc[uid], pq[uid])) for uid in sc if uid in pq}


def human(ratings, task, generator, uid):
    pairs = ratings[task][generator][uid]
    return [sum(v) / len(pairs) for v in zip(*((a, b, math.sqrt(a * b)) for a, b in pairs), strict=True)]


def compared(answers, ratings, judge, task):
    """generator -> (means, stds, Spearman with people) of SC, PQ, O."""
    found = {}
    for generator in sorted({k[2] for k in answers if k[:2] == (judge, task)}):
        scores = per_image(answers, judge, task, generator)
        model = np.array(list(scores.values()))
        people = np.array([human(ratings, task, generator, uid) for uid in scores])
        rho = [spearman(model[:, i], people[:, i]).value for i in range(3)]
        found[generator] = (len(scores), model.mean(0), model.std(0), rho)
    return found


@pytest.mark.parametrize("task", [IE, IG])
def test_the_printed_numbers_of_the_official_notebook_are_reproduced(answers, ratings, numbers, task):
    official = numbers["official_notebook_gemini_0shot"]
    found = compared(answers, ratings, "gemini_0shot", task)
    assert set(found) == set(official["score_statistics"][task])
    for generator, (n, mean, std, rho) in found.items():
        printed = official["score_statistics"][task][generator]
        assert n == printed["n"]
        for i, column in enumerate(("SC", "PQ", "O")):
            assert mean[i] == pytest.approx(printed[column]["mean"], abs=1e-3)
            assert std[i] == pytest.approx(printed[column]["std"], abs=1e-3)
            assert rho[i] == pytest.approx(official["spearman_with_humans"][task][generator][column], abs=1e-3)
    for i, column in enumerate(("SC", "PQ", "O")):
        average = math.tanh(np.mean([rho[i] for *_, rho in found.values()]))
        assert average == pytest.approx(official["spearman_with_humans"][task]["_task_average"][column], abs=1e-3)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("task", [IE, IG])
def test_the_statistics_of_all_judges_are_reproduced(answers, ratings, numbers, judge, task):
    expected = numbers["recomputed"][judge][task]
    found = compared(answers, ratings, judge, task)
    assert set(found) == {g for g in expected if not g.startswith("_")}
    for generator, (n, mean, std, rho) in found.items():
        entry = expected[generator]
        assert n == entry["n"]
        for i, column in enumerate(("SC", "PQ", "O")):
            assert mean[i] == pytest.approx(entry["mean"][column], abs=1e-3)
            assert std[i] == pytest.approx(entry["std"][column], abs=1e-3)
            assert rho[i] == pytest.approx(entry["spearman"][column], abs=1e-3)
