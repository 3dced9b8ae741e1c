import io
import json
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.wise import WISE, WISEOptions, calculate
from benchmarks.wise.variants import CATEGORIES
from harness.errors import DataError
from harness.rescore import imported_block

from .synthetic import benchmark, data_files, lock_of, score_lines, write_data


def bench_of(variant="verified", protocol="official", strict=True, data_dir=None):
    options = WISEOptions(variant=variant, strict=strict)
    return WISE(profile="official", protocol=protocol, options=options, data_dir=data_dir)


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.jsonl").write_bytes(data)
    return folder


def values_of(bench, imported):
    block = imported_block(bench, imported)
    return {k: v["value"] for k, v in block["values"].items()}, block


def mixed(number):
    return [number % 2]


def test_three_files_of_a_folder_are_one_model(tmp_path):
    folder = write(
        tmp_path / "my-model",
        cultural_common_sense_verified_scores_results=score_lines("verified", range(1, 401), mixed),
        natural_science_verified_scores_results=score_lines("verified", range(641, 1001), mixed),
        **{"spatio-temporal_reasoning_results": score_lines("verified", range(401, 641), mixed)},
    )
    bench = bench_of()
    (name,) = found = bench.import_results(tmp_path)
    values, block = values_of(bench, found[name])
    assert name == "my-model"
    assert values["overall/official"] == pytest.approx(0.5)
    assert block["n_missing"] == 0
    assert found[name].notes == []
    assert found[name].report["calculation"] == "overall"
    assert bench.import_results(folder)["my-model"].prompts == found[name].prompts


def test_names_in_file_names_tell_models_apart(tmp_path):
    for model in ("flux", "sd3"):
        write(tmp_path, **{f"{model}_scores": score_lines("verified"), f"{model}_full": full_records(range(1, 1001))})
    assert list(bench_of().import_results(tmp_path)) == ["flux", "sd3"]


def full_records(numbers, reply="Score: 1", as_list=False):
    rows = [{"prompt_id": i, "prompt": "p", "key": "e", "image_path": "x.png", "evaluation": reply} for i in numbers]
    return json.dumps(rows).encode() if as_list else "\n".join(map(json.dumps, rows)).encode()


def test_full_records_alone_are_read_with_the_official_parser(tmp_path):
    path = tmp_path / "run_full_results.json"
    path.write_bytes(full_records(range(1, 1001), "<think>Score: 0</think> Score: 1", as_list=True))
    bench = bench_of()
    imported = bench.import_results(path)["run"]
    assert values_of(bench, imported)[0]["overall/official"] == pytest.approx(1.0)
    assert imported.report["source"] == "replies"
    assert imported.notes == ["Scores are read from the raw replies; there is no score file."]


def test_replies_without_a_score_are_missing(tmp_path):
    rows = full_records(range(1, 1000)) + b"\n" + full_records([1000], "I cannot see it.")
    write(tmp_path, a_full=rows)
    bench = bench_of()
    imported = bench.import_results(tmp_path)["a"]
    values, block = values_of(bench, imported)
    assert values["overall/official"] is None
    assert values["partial_overall/official"] == pytest.approx(1.0)
    assert block["missing_reasons"] == {"missing: the source found no score in the reply": 1}


def test_replies_that_contradict_the_scores_are_reported(tmp_path):
    write(
        tmp_path,
        a_scores=score_lines("verified"),
        a_full=full_records(range(1, 1000)) + b"\n" + full_records([1000], "Score: 0"),
    )
    imported = bench_of().import_results(tmp_path)["a"]
    assert imported.report["reparse_mismatches"] == [1000]
    assert "1 replies, read again, do not give the recorded scores (which were kept): 1000." in imported.notes


def test_a_full_width_colon_agrees_with_bagels_records(tmp_path):
    reply = "Consistency：1\nRealism：1\nAesthetic Quality：1"
    write(tmp_path, a_scores=score_lines("legacy"), a_full=full_records(range(1, 1001), reply))
    assert bench_of("legacy").import_results(tmp_path)["a"].report["reparse_mismatches"] == []


def test_the_marks_for_missing_scores_are_missing_data(tmp_path):
    nine = {"prompt_id": 5, "Subcategory": "x", "consistency": 9.9, "realism": 1.0, "aesthetic_quality": 1.0}
    early = {"prompt_id": 6, "Subcategory": "x", "consistency": 999, "realism": 999, "aesthetic_quality": 999}
    write(tmp_path, m_scores=score_lines("legacy", i5=nine, i6=early))
    bench = bench_of("legacy")
    imported = bench.import_results(tmp_path)["m"]
    values, _ = values_of(bench, imported)
    assert (values["overall/official"], values["overall/bagel"]) == (None, None)
    assert values["partial_overall/official"] == pytest.approx(0.5)
    assert imported.report["marked_missing"] == [5, 6]


def test_legacy_overalls_come_under_their_own_names(tmp_path):
    write(tmp_path, m_scores=score_lines("legacy", value=lambda i: [2, 2, 2] if i <= 400 else [0, 0, 0]))
    bench = bench_of("legacy")
    values, _ = values_of(bench, bench.import_results(tmp_path)["m"])
    assert values["overall/official"] == pytest.approx(0.4)
    assert values["overall/unweighted"] == values["overall/bagel"] == pytest.approx(1 / 6)


def test_missing_ids_are_named_and_leave_no_overall(tmp_path):
    write(tmp_path, m_scores=score_lines("verified", [i for i in range(1, 1001) if i not in (7, 512)]))
    bench = bench_of()
    imported = bench.import_results(tmp_path)["m"]
    values, block = values_of(bench, imported)
    assert imported.notes == ["2 ids have no record: 7, 512."]
    assert imported.report["calculation"] == "missing_ids"
    assert values["overall/official"] is None
    assert block["values"]["overall/official"]["ids_present"] == 998
    assert values["category/CULTURE"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt_id": 3, "score": 1}, r"line 8: prompt_id 3 again"),
        ({"prompt_id": 8, "score": True}, r"line 8: a boolean"),
        ({"prompt_id": 8, "score": 2}, r"line 8: score 2"),
        ({"prompt_id": 8, "score": 0.5}, r"line 8: score 0.5.*wise.strict=false"),
    ],
)
def test_imports_refuse_by_default_what_upstream_takes_silently(tmp_path, change, message):
    write(tmp_path, m_scores=score_lines("verified", i8=change))
    with pytest.raises(DataError, match=message):
        bench_of().import_results(tmp_path)
    assert bench_of(strict=False).import_results(tmp_path)


def test_beyond_the_scale_is_refused_used_or_missing(tmp_path):
    seven = {"prompt_id": 8, "consistency": 7, "realism": 1, "aesthetic_quality": 1}
    write(tmp_path, m_scores=score_lines("legacy", i8=seven))
    with pytest.raises(DataError, match="line 8: consistency 7"):
        bench_of("legacy").import_results(tmp_path)
    official = bench_of("legacy", strict=False)
    imported = official.import_results(tmp_path)["m"]
    values, _ = values_of(official, imported)
    assert values["category/CULTURE"] == pytest.approx((399 * 0.5 + (4.9 + 0.3) / 2) / 400)
    assert imported.notes == ["1 values are out of range: 8 (consistency 7)."]
    corrected = bench_of("legacy", "corrected", strict=False)
    assert values_of(corrected, corrected.import_results(tmp_path)["m"])[0]["overall/official"] is None


def test_torn_lines_and_odd_ids_are_skipped_and_reported(tmp_path):
    data = score_lines("verified", i4="{", i5={"prompt_id": "5", "score": 1}) + b'{"prompt_id": 1001, "score": 1}\n'
    write(tmp_path, m_scores=data)
    imported = bench_of().import_results(tmp_path)["m"]
    assert imported.report["missing"] == [4, 5]
    assert [s.split("line ")[1] for s in imported.report["skipped_lines"]] == [
        "4 (not valid JSON)",
        "5 (field 'prompt_id' is '5', not a whole number)",
        "1001 (field 'prompt_id' is 1001, outside 1 to 1000)",
    ]


def test_records_without_a_usable_score_are_present(tmp_path):
    write(tmp_path, m_scores=score_lines("verified", i9={"prompt_id": 9, "score": "1"}))
    bench = bench_of()
    imported = bench.import_results(tmp_path)["m"]
    values, block = values_of(bench, imported)
    assert values["overall/official"] == pytest.approx(1.0)
    assert block["values"]["overall/official"]["images_unusable"] == 1
    assert imported.report["unusable"] == [9]


def test_a_file_with_a_line_that_is_no_object_is_rejected(tmp_path):
    write(tmp_path, m_scores=score_lines("verified", i3="[1]"))
    with pytest.raises(DataError, match="line 3 is list, not an object"):
        bench_of().import_results(tmp_path)


def test_the_other_variants_scores_are_refused(tmp_path):
    write(tmp_path, m_scores=score_lines("legacy"))
    with pytest.raises(DataError, match=r"scores of the legacy protocol.*set wise.variant=legacy"):
        bench_of().import_results(tmp_path)


def test_other_json_is_passed_over_and_nothing_known_is_an_error(tmp_path):
    (tmp_path / "prompts.json").write_text('[{"Prompt": "x", "prompt_id": 1}]')
    (tmp_path / "junk.jsonl").write_text("\n\n{")
    with pytest.raises(DataError, match=r"no WISE results.*junk\.jsonl"):
        bench_of().import_results(tmp_path)
    write(tmp_path, m_scores=score_lines("verified"))
    assert bench_of().import_results(tmp_path)["m"].notes == ["2 other JSON files ignored: junk.jsonl, prompts.json."]


def test_archives_are_read(tmp_path):
    archive = tmp_path / "all.tar.gz"
    data = score_lines("verified")
    with tarfile.open(archive, "w:gz") as tar:
        for model in ("a", "b"):
            info = tarfile.TarInfo(f"{model}/scores.jsonl")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert list(bench_of().import_results(archive)) == ["a", "b"]


def test_labels_are_compared_with_the_data_where_it_is_at_hand(monkeypatch, tmp_path):
    files = data_files()
    bench = benchmark(monkeypatch, write_data(tmp_path / "data", files), lock_of(files))
    write(tmp_path / "r", m_scores=score_lines("verified"))
    imported = bench.import_results(tmp_path / "r")["m"]
    assert imported.data == bench.data_id
    assert imported.prompts["wise/verified/0001"].text == "p 1 ü"
    other = {"prompt_id": 1, "Subcategory": "else", "score": 1}
    write(tmp_path / "r", m_scores=score_lines("verified", i1=other))
    imported = bench.import_results(tmp_path / "r")["m"]
    assert imported.report["other_labels"] == [1]
    assert imported.data == "wise-verified"


ODD = st.sampled_from(
    [
        {"score": None},
        {"score": "1"},
        {"score": True},
        {"score": 2},
        {"score": 0.5},
        {"score": 0},
        {},
    ]
)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 1000), ODD), max_size=6), st.booleans())
def test_without_strictness_the_table_equals_the_official_calculation(tmp_path, odd, replace_lines):
    changes, extra = {}, b""
    for number, scores in odd:
        record = json.dumps({"prompt_id": number, **scores})
        if replace_lines:
            changes[f"i{number}"] = record
        else:
            extra += record.encode() + b"\n"
    data = score_lines("verified", value=mixed, **changes) + extra
    write(tmp_path, m_scores=data)
    bench = bench_of(strict=False)
    values, block = values_of(bench, bench.import_results(tmp_path)["m"])
    expected = calculate({"m": data}, "verified")
    assert values["overall/official"] == pytest.approx(expected.overall, abs=1e-12)
    assert {c: values[f"category/{c}"] for c in CATEGORIES} == pytest.approx(expected.means, abs=1e-12)
    assert {c: block["values"][f"category/{c}"]["n"] for c in CATEGORIES} == expected.counts
