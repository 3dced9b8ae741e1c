import csv
import gzip
import io
import json

import pytest

from benchmarks.data.local import prepare_from
from benchmarks.data.lock import read_lock
from benchmarks.data.variants import describe_dpg_table
from benchmarks.data.verify import verify
from benchmarks.tiif.indices import comparison_order
from harness.errors import DataError

from . import synthetic


@pytest.fixture
def lock(tmp_path):
    return synthetic.write_lock(tmp_path)


def contents(data_dir):
    return {n: (data_dir / "toy" / n).read_bytes() for n in synthetic.FILES}


EXPECTED = {name: data for name, (_, data) in synthetic.FILES.items()}


class TestOfficialCopies:
    @pytest.mark.parametrize(
        ("name", "folder", "n"), [("geneval", "geneval", 7), ("tiif", "tiif_bench", 156), ("wise", "wise", 10)]
    )
    def test_prepared_data_verify_clean_and_a_flipped_byte_is_found_and_named(
        self, official, tmp_path, name, folder, n
    ):
        lock = read_lock(name)
        report = prepare_from(lock, tmp_path, [official / folder])
        assert report.complete
        assert len(report.written) == n
        checked = verify(lock, tmp_path)
        assert (checked.clean, checked.n_intact) == (True, n)

        victim = tmp_path / name / report.written[n // 2]
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
        (finding,) = verify(lock, tmp_path).findings
        assert (finding.file, finding.state) == (report.written[n // 2], "differs")
        assert synthetic.sha256(bytes(data)) in finding.detail

        again = prepare_from(lock, tmp_path, [official / folder])
        assert again.written == [report.written[n // 2]]
        assert verify(lock, tmp_path).clean

    def test_dpg_without_its_table_is_incomplete_and_says_where_the_table_is(self, official, tmp_path):
        report = prepare_from(read_lock("dpg"), tmp_path, [official / "dpg_bench"])
        assert [m.name for m in report.missing] == ["dpg_bench.csv"]
        assert "TencentQQGYLab/ELLA@3c228f1d: dpg_bench/dpg_bench.csv" in report.missing[0].origin
        assert [f.state for f in verify(read_lock("dpg"), tmp_path).findings] == ["missing"]

    def test_the_texts_of_the_dpg_prompts_give_the_same_file(self, official, tmp_path):
        texts = tmp_path / "ELLA" / "dpg_bench" / "prompts"
        texts.mkdir(parents=True)
        for line in (official / "dpg_bench" / "prompts.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            (texts / f"{row['id']}.txt").write_bytes(row["text"].encode())
        prepare_from(read_lock("dpg"), tmp_path / "data", [tmp_path / "ELLA"])
        prepared = (tmp_path / "data" / "dpg" / "prompts.jsonl").read_bytes()
        assert prepared == (official / "dpg_bench" / "prompts.jsonl").read_bytes()

    def test_both_known_versions_of_tiifs_comparison_questions_are_recognised(self, official, tmp_path):
        lock = read_lock("tiif")
        report = prepare_from(lock, tmp_path, [official / "tiif_bench"])
        assert any("out of step" in r for r in report.remarks)
        name = "test_eval_prompts/comparison_eval_prompts.jsonl"
        lines = (tmp_path / "tiif" / name).read_bytes().splitlines(keepends=True)
        checkout = tmp_path / "later" / "data" / "test_eval_prompts"
        checkout.mkdir(parents=True)
        (checkout / "comparison_eval_prompts.jsonl").write_bytes(b"".join(lines[i] for i in comparison_order()))
        report = prepare_from(lock, tmp_path, [tmp_path / "later"])
        assert report.written == [name]
        assert report.complete
        checked = verify(lock, tmp_path)
        assert checked.clean
        assert any("corrected version of 2025-08-28" in r for r in checked.remarks)

    def test_adapters_read_what_was_prepared(self, official, tmp_path):
        from benchmarks.geneval.data import official_metadata
        from benchmarks.tiif.data import data_root, load_set
        from benchmarks.tiif.lock import shipped_lock
        from benchmarks.wise.data import load_set as load_wise
        from benchmarks.wise.lock import shipped_lock as wise_lock

        for name, folder in (("geneval", "geneval"), ("tiif", "tiif_bench"), ("wise", "wise")):
            prepare_from(read_lock(name), tmp_path, [official / folder])
        assert len(official_metadata(tmp_path, "long")) == 553
        assert sum(map(len, load_set(data_root(tmp_path), "testmini", shipped_lock()).cases.values())) == 277
        assert len(load_wise(tmp_path, "legacy-rewrite", wise_lock()).prompts) == 1000


class TestLayouts:
    def test_a_checkout_is_taken_over(self, lock, tmp_path):
        report = prepare_from(lock, tmp_path / "data", [synthetic.write_checkout(tmp_path / "bench")])
        assert report.complete
        assert contents(tmp_path / "data") == EXPECTED

    def test_a_folder_with_gzipped_files_of_the_same_name_is_told_apart_by_content(self, lock, tmp_path):
        for name, (_, data) in synthetic.FILES.items():
            place = tmp_path / "copy" / "odd" / (name + ".gz")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(gzip.compress(data))
        prepare_from(lock, tmp_path / "data", [tmp_path / "copy"])
        assert contents(tmp_path / "data") == EXPECTED

    @pytest.mark.parametrize("inside", [True, False])
    def test_archives_are_read_whether_given_or_lying_in_the_folder(self, lock, tmp_path, inside):
        members = {f"bench-{synthetic.REVISION}/{path}": data for path, data in synthetic.FILES.values()}
        archive = tmp_path / "copy" / "bench.tar.gz"
        archive.parent.mkdir()
        archive.write_bytes(synthetic.tarball(members))
        prepare_from(lock, tmp_path / "data", [archive.parent if inside else archive])
        assert contents(tmp_path / "data") == EXPECTED
        assert list(archive.parent.iterdir()) == [archive]

    def test_several_sources_add_up_in_one_call_or_in_several(self, lock, tmp_path):
        items = list(synthetic.FILES.items())
        one = synthetic.write_checkout(tmp_path / "one", dict(items[:1]))
        two = synthetic.write_checkout(tmp_path / "two", dict(items[1:]))
        first = prepare_from(lock, tmp_path / "steps", [one])
        assert [m.name for m in first.missing] == [n for n, _ in items[1:]]
        assert prepare_from(lock, tmp_path / "steps", [two]).complete
        assert prepare_from(lock, tmp_path / "data", [one, two]).complete
        assert contents(tmp_path / "steps") == contents(tmp_path / "data") == EXPECTED

    def test_repeating_writes_nothing(self, lock, tmp_path):
        copy = synthetic.write_checkout(tmp_path / "bench")
        prepare_from(lock, tmp_path / "data", [copy])
        again = prepare_from(lock, tmp_path / "data", [copy])
        assert (again.written, sorted(again.kept)) == ([], sorted(synthetic.FILES))


class TestRefusals:
    def test_one_differing_file_keeps_everything_out(self, lock, tmp_path):
        copy = synthetic.write_checkout(tmp_path / "bench")
        (copy / "prompts" / "names+1.txt").write_bytes(b"cup\nfork\n")
        with pytest.raises(DataError) as refusal:
            prepare_from(lock, tmp_path / "data", [copy])
        message = str(refusal.value)
        assert str(copy / "prompts" / "names+1.txt") in message
        assert synthetic.sha256(b"cup\nfork\n") in message
        assert synthetic.sha256(EXPECTED["names+1.txt"]) in message
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.replace(b"\n", b"\r\n"), "CRLF"),
            (lambda d: d[:-5], "cut file"),
            (lambda d: b"", "empty file"),
            (lambda d: b"<!DOCTYPE html><html></html>", "web page"),
            (lambda d: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ],
    )
    def test_known_kinds_of_damage_are_named(self, lock, tmp_path, change, message):
        copy = synthetic.write_checkout(tmp_path / "bench")
        victim = copy / "prompts" / "short.jsonl"
        victim.write_bytes(change(victim.read_bytes()))
        with pytest.raises(DataError, match=message):
            prepare_from(lock, tmp_path / "data", [copy])

    def test_a_file_of_that_name_in_an_unrelated_place_is_no_damaged_copy(self, lock, tmp_path):
        copy = synthetic.write_checkout(tmp_path / "bench", dict([next(iter(synthetic.FILES.items()))]))
        (copy / "deep" / "unrelated").mkdir(parents=True)
        (copy / "deep" / "unrelated" / "names+1.txt").write_bytes(b"something else")
        report = prepare_from(lock, tmp_path / "data", [copy])
        assert report.written == ["short.jsonl"]
        assert any("not taken" in r and "unrelated" in r for r in report.remarks)

    def test_a_source_with_nothing_says_what_was_expected(self, lock, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match=r"nothing of it .* prompts/short\.jsonl"):
            prepare_from(lock, tmp_path / "data", [tmp_path / "empty"])

    def test_an_archive_whose_member_leaves_it_is_refused(self, lock, tmp_path):
        members = {"../../short.jsonl": EXPECTED["short.jsonl"]}
        (tmp_path / "evil.tar.gz").write_bytes(synthetic.tarball(members))
        with pytest.raises(DataError, match="leaves the archive"):
            prepare_from(lock, tmp_path / "data", [tmp_path / "evil.tar.gz"])
        assert not (tmp_path / "data").exists()

    def test_a_damaged_archive_and_a_cut_gzip_file_are_named(self, lock, tmp_path):
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "short.jsonl.gz").write_bytes(gzip.compress(EXPECTED["short.jsonl"])[:-9])
        with pytest.raises(DataError, match=r"short\.jsonl\.gz: damaged or cut"):
            prepare_from(lock, tmp_path / "data", [copy])
        (tmp_path / "bench.tar.gz").write_bytes(b"no archive")
        with pytest.raises(DataError, match="damaged or unreadable archive"):
            prepare_from(lock, tmp_path / "data", [tmp_path / "bench.tar.gz"])

    def test_links_out_of_the_data_folder_are_not_followed(self, lock, tmp_path):
        copy = synthetic.write_checkout(tmp_path / "bench")
        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "toy").symlink_to(outside)
        with pytest.raises(DataError, match="outside the data folder"):
            prepare_from(lock, tmp_path / "data", [copy])
        (tmp_path / "data" / "toy").unlink()
        (tmp_path / "data" / "toy").mkdir()
        (tmp_path / "data" / "toy" / "sets").symlink_to(outside)
        with pytest.raises(DataError, match="through a link"):
            prepare_from(lock, tmp_path / "data", [copy])
        assert list(outside.iterdir()) == []

    def test_a_link_in_place_of_a_file_is_replaced_not_written_through(self, lock, tmp_path):
        copy = synthetic.write_checkout(tmp_path / "bench")
        (tmp_path / "elsewhere").write_bytes(EXPECTED["short.jsonl"])
        (tmp_path / "data" / "toy").mkdir(parents=True)
        (tmp_path / "data" / "toy" / "short.jsonl").symlink_to(tmp_path / "elsewhere")
        prepare_from(lock, tmp_path / "data", [copy])
        assert not (tmp_path / "data" / "toy" / "short.jsonl").is_symlink()
        assert (tmp_path / "elsewhere").read_bytes() == EXPECTED["short.jsonl"]


COLUMNS = ["item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed"]
COLUMNS += ["tuple", "question_natural_language"]


def table(drop_column=None, first=1, n=4):
    rows = [["p1", "t", "", str(i), "0", "", "", "entity - whole (cup)", "Is it?"] for i in range(first, n + 1)]
    keep = [i for i, c in enumerate(COLUMNS) if c != drop_column]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([[r[i] for i in keep] for r in [COLUMNS, *rows]])
    return stream.getvalue().encode()


class TestDPGTables:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (table(drop_column="tuple"), "re-export that lacks the column 'tuple'"),
            (table(first=2), "re-export that lacks the first question"),
            (table(drop_column="tuple", first=2), "lacks the column 'tuple' and the first question"),
            (table(n=3), "another table: 3 rows instead of 4"),
            (table(), "another spelling"),
            (b"a,b\n1,2\n", "not the question table"),
            (b"\xff\xfe", "not a CSV table"),
        ],
    )
    def test_re_exports_are_recognised_by_their_shape(self, data, message):
        assert message in describe_dpg_table(data, 4)

    def test_a_re_export_is_refused_with_both_ids(self, tmp_path):
        folder = tmp_path / "ELLA" / "dpg_bench"
        folder.mkdir(parents=True)
        (folder / "dpg_bench.csv").write_bytes(table(first=2))
        with pytest.raises(DataError, match=r"git blob [0-9a-f]{40}, expected git blob 98457fc9.*lacks the first"):
            prepare_from(read_lock("dpg"), tmp_path / "data", [tmp_path / "ELLA"])


class TestCollections:
    def test_texts_become_one_file(self, tmp_path):
        lock = synthetic.write_lock(tmp_path, prompts=synthetic.collection())
        texts = synthetic.write_checkout(tmp_path / "bench") / "bench" / "prompts"
        texts.mkdir(parents=True)
        for name, text in synthetic.TEXTS.items():
            (texts / f"{name}.txt").write_text(text, encoding="utf-8")
        assert prepare_from(lock, tmp_path / "data", [tmp_path / "bench"]).complete
        assert (tmp_path / "data" / "toy" / "prompts.jsonl").read_text(encoding="utf-8") == synthetic.JSONL
        (texts / "2.txt").write_text("second")
        with pytest.raises(DataError, match="3 texts with sha256"):
            prepare_from(lock, tmp_path / "data", [tmp_path / "bench"])
        for name, text in synthetic.TEXTS.items():
            (texts / f"{name}.txt").write_bytes(text.replace("\n", "\r\n").encode())
        with pytest.raises(DataError, match="CRLF"):
            prepare_from(lock, tmp_path / "data", [tmp_path / "bench"])
