import pytest

from benchmarks.data.fetch import Upstream, download
from benchmarks.data.lock import HubSet, Package, Source
from benchmarks.data.remote import prepare_upstream
from benchmarks.data.verify import verify
from harness.errors import DataError
from tests.benchmarks.gedit.synthetic import write_copy

from . import synthetic
from .synthetic import FILES, raw_path


@pytest.fixture
def web():
    found = synthetic.Web()
    found.content = {raw_path(path): data for path, data in FILES.values()}
    return found


@pytest.fixture
def upstream(web):
    with synthetic.serving(web) as addresses:
        yield addresses


@pytest.fixture
def lock(tmp_path):
    return synthetic.write_lock(tmp_path)


def prepare(lock, tmp_path, upstream, **more):
    return prepare_upstream(lock, tmp_path / "data", upstream=upstream, **more)


def fetch(url, part, wanted, **more):
    return download(url, part, accepts=lambda d: d == wanted, wait=lambda s: None, **more)


class TestFiles:
    def test_everything_is_fetched_at_the_pinned_revision_and_verifies(self, lock, tmp_path, web, upstream):
        report = prepare(lock, tmp_path, upstream)
        assert report.complete
        assert sorted(report.written) == sorted(FILES)
        assert sorted(web.urls()) == sorted(raw_path(path) for path, _ in FILES.values())
        assert synthetic.tree(tmp_path / "data") == {f"toy/{n}": d for n, (_, d) in FILES.items()}
        assert verify(lock, tmp_path / "data").clean

    def test_a_second_call_asks_for_nothing_and_a_damaged_file_alone_is_fetched_again(
        self, lock, tmp_path, web, upstream
    ):
        prepare(lock, tmp_path, upstream)
        web.requests.clear()
        assert len(prepare(lock, tmp_path, upstream).kept) == len(FILES)
        assert web.requests == []
        (tmp_path / "data" / "toy" / "short.jsonl").write_bytes(b"x")
        assert prepare(lock, tmp_path, upstream).written == ["short.jsonl"]
        assert web.urls() == [raw_path("prompts/short.jsonl")]

    def test_another_content_is_refused_with_expected_and_found_and_not_put_in_place(
        self, lock, tmp_path, web, upstream
    ):
        web.content[raw_path("prompts/short.jsonl")] = b"changed"
        with pytest.raises(DataError) as refusal:
            prepare(lock, tmp_path, upstream)
        assert synthetic.sha256(b"changed") in str(refusal.value)
        assert synthetic.sha256(FILES["short.jsonl"][1]) in str(refusal.value)
        assert not list((tmp_path / "data").rglob("short.jsonl*")) or (
            [p.parent.name for p in (tmp_path / "data").rglob("short.jsonl*")] == ["sets"]
        )

    def test_a_file_that_upstream_removed_is_named_and_not_tried_again(self, lock, tmp_path, web, upstream):
        del web.content[raw_path("prompts/short.jsonl")]
        with pytest.raises(DataError, match=r"prompts/short\.jsonl: HTTP 404.*--source"):
            prepare(lock, tmp_path, upstream)
        assert web.urls().count(raw_path("prompts/short.jsonl")) == 1


class TestInterruptions:
    DATA = bytes(range(256)) * 2000

    @pytest.fixture
    def url(self, web, upstream):
        web.content["/raw/big"] = self.DATA
        return f"{upstream.raw}/big"

    def test_a_broken_connection_is_continued_where_it_broke(self, tmp_path, web, url):
        web.cut["/raw/big"] = 100_000
        assert fetch(url, tmp_path / "big.part", self.DATA) == self.DATA
        assert [r for _, r in web.requests] == [None, "bytes=100000-"]
        assert list(tmp_path.iterdir()) == []

    def test_giving_up_leaves_a_part_file_that_the_next_call_continues(self, tmp_path, web, url):
        web.cut["/raw/big"] = 100_000
        with pytest.raises(DataError, match=r"100,000 of 512,000 bytes.*big\.part.*Repeat the command"):
            fetch(url, tmp_path / "big.part", self.DATA, attempts=1)
        assert (tmp_path / "big.part").read_bytes() == self.DATA[:100_000]
        web.requests.clear()
        assert fetch(url, tmp_path / "big.part", self.DATA) == self.DATA
        assert [r for _, r in web.requests] == ["bytes=100000-"]

    def test_a_server_that_cannot_continue_is_read_from_the_start(self, tmp_path, web, url):
        web.ranges = False
        (tmp_path / "big.part").write_bytes(self.DATA[:1000])
        assert fetch(url, tmp_path / "big.part", self.DATA) == self.DATA

    @pytest.mark.parametrize("stale", [b"of another file", b"x" * 600_000], ids=["shorter", "longer"])
    def test_a_stale_part_file_is_replaced_by_a_clean_download(self, tmp_path, web, url, stale):
        (tmp_path / "big.part").write_bytes(stale)
        assert fetch(url, tmp_path / "big.part", self.DATA) == self.DATA
        assert web.requests[-1][1] is None

    def test_a_complete_part_file_needs_no_request(self, tmp_path, web, url):
        (tmp_path / "big.part").write_bytes(self.DATA)
        assert fetch(url, tmp_path / "big.part", self.DATA) == self.DATA
        assert web.requests == []

    def test_busy_servers_are_asked_again_with_growing_waits(self, tmp_path, web, url):
        web.faults["/raw/big"] = 2
        waits = []
        data = download(url, tmp_path / "big.part", accepts=lambda d: d == self.DATA, wait=waits.append)
        assert data == self.DATA
        assert waits == [2.0, 4.0]

    def test_a_file_beyond_the_limit_is_stopped(self, tmp_path, url):
        with pytest.raises(DataError, match="more than 1,000 bytes"):
            fetch(url, tmp_path / "big.part", self.DATA, limit=1000)
        assert not (tmp_path / "big.part").exists()

    def test_an_unreachable_server_is_told(self, tmp_path):
        with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x: .*3 attempts"):
            fetch("http://127.0.0.1:9/x", tmp_path / "x.part", b"", attempts=3)

    def test_a_part_left_in_the_data_folder_is_reported_and_then_finished(self, lock, tmp_path, web, upstream):
        folder = tmp_path / "data" / "toy"
        folder.mkdir(parents=True)
        (folder / "short.jsonl.part").write_bytes(FILES["short.jsonl"][1][:50])
        assert [f.state for f in verify(lock, tmp_path / "data").findings].count("unfinished") == 1
        prepare(lock, tmp_path, upstream)
        assert (raw_path("prompts/short.jsonl"), "bytes=50-") in web.requests
        assert verify(lock, tmp_path / "data").clean


class TestCollections:
    PATH = f"/archive/{synthetic.REPOSITORY}/tar.gz/{synthetic.REVISION}"

    @pytest.fixture
    def lock(self, tmp_path):
        return synthetic.write_lock(tmp_path, prompts=synthetic.collection())

    def members(self, **changes):
        texts = {**synthetic.TEXTS, **changes}
        return {f"bench-{synthetic.REVISION}/bench/prompts/{n}.txt": t.encode() for n, t in texts.items()}

    def test_texts_come_from_one_archive_which_is_not_kept(self, lock, tmp_path, web, upstream):
        web.content[self.PATH] = synthetic.tarball(self.members())
        assert prepare(lock, tmp_path, upstream).complete
        assert (tmp_path / "data" / "toy" / "prompts.jsonl").read_text(encoding="utf-8") == synthetic.JSONL
        assert verify(lock, tmp_path / "data").clean
        web.requests.clear()
        prepare(lock, tmp_path, upstream)
        assert web.requests == []

    def test_an_interrupted_archive_is_finished(self, lock, tmp_path, web, upstream):
        data = web.content[self.PATH] = synthetic.tarball(self.members())
        part = tmp_path / "data" / "toy" / ".download" / "bench-01234567.tar.gz.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(data[:100])
        assert prepare(lock, tmp_path, upstream).complete
        assert (self.PATH, "bytes=100-") in web.requests

    def test_other_texts_are_refused(self, lock, tmp_path, web, upstream):
        web.content[self.PATH] = synthetic.tarball(self.members(**{"2": "second"}))
        with pytest.raises(DataError, match="3 texts with sha256"):
            prepare(lock, tmp_path, upstream)
        assert not (tmp_path / "data" / "toy" / "prompts.jsonl").exists()


class TestHub:
    DATASET = HubSet(hub="stepfun-ai/GEdit-Bench", revision="58159f3de6689982b1df7f1a6c557ded16548a24", licence="MIT")

    def test_rows_are_taken_from_a_snapshot_at_the_pinned_revision_below_the_data_folder(self, tmp_path):
        asked = []

        def snapshot(dataset, folder):
            asked.append((dataset, folder))
            return write_copy(folder / "files")

        report = prepare_upstream(synthetic.rows_lock(), tmp_path, snapshot=snapshot)
        assert report.complete
        assert asked == [(self.DATASET, tmp_path / "gedit" / ".hub")]
        checked = verify(synthetic.rows_lock(), tmp_path)
        assert checked.clean
        assert not (tmp_path / "gedit" / ".hub").exists()
        prepare_upstream(synthetic.rows_lock(), tmp_path, snapshot=snapshot)
        assert len(asked) == 1

    def test_changed_rows_and_images_are_found(self, tmp_path):
        prepare_upstream(synthetic.rows_lock(), tmp_path, snapshot=lambda d, folder: write_copy(folder / "files"))
        index = tmp_path / "gedit" / "index.jsonl"
        index.write_bytes(index.read_bytes().replace(b"make change 7", b"make change 8", 1))
        image = sorted((tmp_path / "gedit" / "images").iterdir())[3]
        data = bytearray(image.read_bytes())
        data[-20] ^= 1
        image.write_bytes(data)
        (tmp_path / "gedit" / "images" / "stray.png").write_bytes(b"")
        found = {f.file: f.state for f in verify(synthetic.rows_lock(), tmp_path).findings}
        assert found == {"index.jsonl": "differs", f"images/{image.name}": "differs", "images/stray.png": "extra"}

    def test_an_index_that_cannot_be_read_is_one_finding(self, tmp_path):
        prepare_upstream(synthetic.rows_lock(), tmp_path, snapshot=lambda d, folder: write_copy(folder / "files"))
        (tmp_path / "gedit" / "index.jsonl").write_bytes(b"{")
        assert [(f.file, f.state) for f in verify(synthetic.rows_lock(), tmp_path).findings] == [
            ("index.jsonl", "differs")
        ]

    def test_a_snapshot_asks_for_the_pinned_revision_and_keeps_everything_in_the_folder(self, tmp_path, monkeypatch):
        huggingface_hub = pytest.importorskip("huggingface_hub")
        from benchmarks.data import hub

        asked = {}

        def stand_in(repository, **options):
            asked.update(options, repository=repository, without_chunks=huggingface_hub.constants.HF_HUB_DISABLE_XET)
            (options["local_dir"] / "data.arrow").write_bytes(b"rows")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", stand_in)
        before = huggingface_hub.constants.HF_HUB_DISABLE_XET
        assert hub.snapshot(self.DATASET, tmp_path) == tmp_path
        assert (asked["repository"], asked["repo_type"]) == (self.DATASET.hub, "dataset")
        assert asked["revision"] == self.DATASET.revision
        assert asked["local_dir"] == tmp_path
        assert asked["cache_dir"].is_relative_to(tmp_path)
        assert asked["without_chunks"]
        assert before == huggingface_hub.constants.HF_HUB_DISABLE_XET

    def test_a_hub_that_cannot_be_reached_is_told_in_one_message(self, tmp_path, monkeypatch):
        huggingface_hub = pytest.importorskip("huggingface_hub")
        from benchmarks.data import hub

        def stand_in(repository, **options):
            raise ConnectionError("no route\nlong trace")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", stand_in)
        with pytest.raises(DataError, match=r"GEdit-Bench at 58159f3d: no route\. What arrived is kept"):
            hub.snapshot(self.DATASET, tmp_path)


def test_addresses_are_built_from_repository_revision_and_path():
    source = Source(licence="", repository="A113N-W3I/TIIF-Bench", revision="3aae7504")
    upstream = Upstream()
    assert upstream.file(source, "data/a+b x.jsonl") == (
        "https://raw.githubusercontent.com/A113N-W3I/TIIF-Bench/3aae7504/data/a%2Bb%20x.jsonl"
    )
    assert upstream.tarball(source) == "https://codeload.github.com/A113N-W3I/TIIF-Bench/tar.gz/3aae7504"
    package = Package(name="hpsv3", version="1.0.0", path="20/ed/hpsv3-1.0.0-py3-none-any.whl", sha256="0" * 64)
    assert upstream.wheel(package) == "https://files.pythonhosted.org/packages/20/ed/hpsv3-1.0.0-py3-none-any.whl"
