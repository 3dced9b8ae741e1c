import json
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.errors import ConfigError, JudgeError
from harness.judges.detector import convert_state_dict, files, identity
from harness.judges.detector.files import find, read_header, read_pickle, tensors_sha256
from harness.judges.detector.identity import check_hash, describe, file_sha256
from tests.harness.judges.detector import checkpoint

ALLOWED = {"allow_pickle": True, "allow_unknown_hash": True}


def save_checkpoint(path, state, **meta):
    """As mmdet's publishing script leaves it: old container, `state_dict` with module versions, `meta`."""
    state = OrderedDict(state)
    state._metadata = OrderedDict({"": {"version": 1}})
    content = {"meta": {"CLASSES": tuple(f"class {i}" for i in range(80)), "epoch": 50, **meta}, "state_dict": state}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def source():
    return checkpoint.random_checkpoint()


@pytest.fixture
def pth(tmp_path, source):
    return save_checkpoint(tmp_path / "detector.pth", source, lr=np.float64(0.5), steps=np.int64(3))


def test_checkpoint_is_converted_once_and_found_again_without_permission_to_unpickle(tmp_path, pth, source):
    cache = tmp_path / "cache"
    first = find(pth, cache=cache, **ALLOWED)
    assert first.source_sha256 == file_sha256(pth)
    assert (first.source_name, first.edition, first.converter, first.official) == (
        "detector.pth",
        "mmdet-2.x",
        1,
        False,
    )
    expected = convert_state_dict(source)
    loaded = first.load()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[n], expected[n]) for n in expected)
    written = first.path.stat().st_mtime_ns
    again = find(pth, cache=cache, allow_unknown_hash=True)
    assert again == first
    assert first.path.stat().st_mtime_ns == written
    manifest = json.loads(first.path.with_suffix(".json").read_text())
    assert manifest["source_sha256"] == first.source_sha256
    assert (manifest["converter"], manifest["source_name"]) == (1, "detector.pth")
    assert sorted(p.suffix for p in cache.iterdir()) == [".json", ".safetensors"]


def test_converted_file_can_be_named_itself(tmp_path, pth):
    first = find(pth, cache=tmp_path / "cache", **ALLOWED)
    moved = first.path.rename(tmp_path / "moved.safetensors")
    found = find(moved, cache=tmp_path / "other", allow_unknown_hash=True)
    assert (found.path, found.source_sha256, found.config) == (moved, first.source_sha256, first.config)
    with pytest.raises(JudgeError, match="SHA-256 starts with"):
        find(moved, cache=tmp_path / "other")


def test_tensors_under_mmdets_names_in_safetensors_need_no_pickle(tmp_path, source):
    save_file(source, tmp_path / "source.safetensors")
    found = find(tmp_path / "source.safetensors", cache=tmp_path / "cache", allow_unknown_hash=True)
    assert found.tensors_sha256 == tensors_sha256(convert_state_dict(source))


def test_third_edition_is_recorded_under_its_own_name(tmp_path, source):
    path = save_checkpoint(tmp_path / "third.pth", checkpoint.third_edition(source))
    found = find(path, cache=tmp_path / "cache", **ALLOWED)
    assert found.edition == "mmdet-3.x"
    assert found.tensors_sha256 == tensors_sha256(convert_state_dict(source))


def test_unknown_hash_is_refused_before_the_file_is_opened(tmp_path):
    path = tmp_path / "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco-panoptic_20220329_225200-c7b94355.pth"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(JudgeError) as caught:
        find(path, cache=tmp_path, allow_pickle=True)
    text = str(caught.value)
    assert path.name in text
    assert "expected 743b7d99 or c9d0c4f2" in text
    assert "probably panoptic Mask2Former, Swin-S" in text
    assert "allow_unknown_hash=true" in text


def test_official_name_with_another_content_is_called_damaged(tmp_path):
    path = tmp_path / identity.FILE_NAME
    path.write_bytes(b"half a download")
    with pytest.raises(JudgeError, match="official file by its name, but changed, damaged or cut"):
        check_hash(path, file_sha256(path), allow_unknown=False)


def test_siblings_are_recognised_by_hash_alone(tmp_path):
    with pytest.raises(JudgeError, match=r"probably panoptic Mask2Former, Swin-T \(mmdet 2\.x\)"):
        check_hash(tmp_path / "renamed.pth", "fc567107" + "0" * 56, allow_unknown=False)


def test_official_hash_of_either_edition_is_accepted(tmp_path):
    for digits in identity.OFFICIAL_HASHES:
        check_hash(tmp_path / "x.pth", digits + "0" * 56, allow_unknown=False)


def test_pickle_needs_permission_and_the_message_says_why(tmp_path, pth):
    with pytest.raises(ConfigError, match=r"pickle.*can run code.*allow_pickle=true"):
        find(pth, cache=tmp_path / "cache", allow_unknown_hash=True)
    assert not (tmp_path / "cache").exists()


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


def test_pickle_that_would_run_code_is_not_run(tmp_path, source):
    path = save_checkpoint(tmp_path / "harmful.pth", source, hook=Harmful())
    with pytest.raises(JudgeError, match="cannot be read as tensors and plain containers"):
        find(path, cache=tmp_path / "cache", **ALLOWED)


@pytest.mark.parametrize(
    "content", [b"", b"plain text", pickle.dumps({"a": 1}, protocol=2)], ids=["empty", "text", "another pickle"]
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(JudgeError, match=r"x\.pth"):
        read_pickle(tmp_path / "x.pth")


def test_cut_checkpoint_is_refused(tmp_path, pth):
    pth.write_bytes(pth.read_bytes()[:-5000])
    with pytest.raises(JudgeError, match="damaged"):
        find(pth, cache=tmp_path / "cache", **ALLOWED)


def test_panoptic_sibling_is_refused_even_with_permission(tmp_path):
    path = save_checkpoint(tmp_path / "x.pth", checkpoint.random_checkpoint(classes=133))
    with pytest.raises(JudgeError, match=r"133 classes, expected the 80.*panoptic Mask2Former"):
        find(path, cache=tmp_path / "cache", **ALLOWED)


def test_changed_tensors_are_noticed(tmp_path, pth):
    found = find(pth, cache=tmp_path / "cache", **ALLOWED)
    data = bytearray(found.path.read_bytes())
    data[-100] ^= 1
    found.path.write_bytes(data)
    with pytest.raises(JudgeError, match="not those that were written"):
        read_header(found.path).load()


def test_cut_converted_file_is_refused(tmp_path, pth):
    found = find(pth, cache=tmp_path / "cache", **ALLOWED)
    found.path.write_bytes(found.path.read_bytes()[:-10])
    with pytest.raises(JudgeError, match="not a whole safetensors file"):
        find(found.path, cache=tmp_path, allow_unknown_hash=True)


def test_file_of_another_converter_version_is_refused(tmp_path, pth, monkeypatch):
    found = find(pth, cache=tmp_path / "cache", **ALLOWED)
    monkeypatch.setattr(files, "CONVERTER_VERSION", 2)
    with pytest.raises(JudgeError, match="written by converter 1, this is 2"):
        find(found.path, cache=tmp_path, allow_unknown_hash=True)


def test_folder_that_cannot_be_written_is_said_with_a_way_out(tmp_path, pth):
    (tmp_path / "file").write_text("")
    with pytest.raises(JudgeError, match="cache=DIR"):
        find(pth, cache=tmp_path / "file", **ALLOWED)


def test_without_a_path_only_a_converted_official_file_is_taken(tmp_path, pth, source, monkeypatch):
    with pytest.raises(ConfigError, match=r"geneval-official:PATH,allow_pickle=true.*743b7d99"):
        find(None, cache=tmp_path / "cache")
    find(pth, cache=tmp_path / "cache", **ALLOWED)
    with pytest.raises(ConfigError, match="needs the detector's checkpoint"):
        find(None, cache=tmp_path / "cache")
    monkeypatch.setitem(identity.OFFICIAL_HASHES, file_sha256(pth)[:8], "mmdet-2.x")
    assert find(None, cache=tmp_path / "cache").source_name == "detector.pth"


def test_missing_file_and_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        find(tmp_path / "absent.pth", cache=tmp_path)
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"expected a checkpoint \(\.pth"):
        find(tmp_path / "x.onnx", cache=tmp_path)


def shapes_of(sizes):
    return checkpoint.shapes({**checkpoint.OFFICIAL_SIZES, **sizes})


def test_files_are_described_by_what_is_in_them():
    assert describe(shapes_of({})) == "an instance Mask2Former with Swin-S"
    assert describe(shapes_of({"classes": 133})) == "the panoptic Mask2Former with Swin-S"
    assert describe(shapes_of({"depths": (2, 2, 6, 2)})) == "an instance Mask2Former with Swin-T"
    head = {n: s for n, s in shapes_of({}).items() if n.startswith("panoptic_head.")}
    assert "R-50" in describe({**head, "backbone.layer1.0.conv1.weight": (64, 64, 1, 1)})
    assert "R-101" in describe({**head, "backbone.layer1.0.x": (1,), "backbone.layer3.22.conv1.weight": (1,)})
    assert "geneval-hf-m2f" in describe({"model.pixel_level_module.encoder.x": (1,)})
    assert "detectron2" in describe({"sem_seg_head.predictor.query_feat.weight": (100, 256)})
    assert "no Mask2Former of mmdet" in describe({"fc.weight": (10, 10)})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["model.pixel_level_module.encoder.x", "class_predictor.weight"], "from the hub"),
        (["backbone.layer1.0.conv1.weight", "panoptic_head.cls_embed.weight"], "R-50"),
        (["sem_seg_head.predictor.query_feat.weight"], "Meta's own"),
    ],
)
def test_checkpoints_of_other_programs_are_refused_by_name(tmp_path, names, words):
    path = save_checkpoint(tmp_path / "other.pth", {n: torch.zeros(81, 2) for n in names})
    with pytest.raises(JudgeError, match=words):
        find(path, cache=tmp_path / "cache", **ALLOWED)
