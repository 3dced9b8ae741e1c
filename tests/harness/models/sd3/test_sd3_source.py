"""Finding a pipeline's files: what is refused, and with which words."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.errors import ConfigError, PolicyError
from harness.models.sd3.source import find_source, parse_argument, sha256_of, weight_files, weights_id


def pipeline(folder, parts=("transformer", "vae"), name="StableDiffusion3Pipeline"):
    folder.mkdir()
    index = {"_class_name": name, "_diffusers_version": "0", "image_encoder": [None, None]}
    for part in parts:
        (folder / part).mkdir()
        (folder / part / "config.json").write_text("{}")
        save_file({"w": np.ones(4, dtype=np.float32)}, folder / part / "model.safetensors")
        index[part] = ["diffusers", "Part"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def source_of(folder, **options):
    return find_source(str(folder), model="sd3", **options)


def test_options_follow_a_question_mark():
    where, options = parse_argument("a/b?dtype=bfloat16&text_encoder_3=none&max_sequence_length=77", model="sd3")
    assert (where, options.dtype, options.text_encoder_3, options.max_sequence_length) == (
        "a/b",
        "bfloat16",
        "none",
        77,
    )
    assert parse_argument("/x", model="sd3")[1].max_sequence_length == 256


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("", PolicyError, "name the pipeline"),
        ("a?dtyp=float32", ConfigError, "Unknown option of sd3 'dtyp'. Did you mean 'dtype'"),
        ("a?dtype=float8", ConfigError, "Unknown dtype of sd3 'float8'"),
        ("a?max_sequence_length=many", ConfigError, "expected 1 to 512"),
        ("a?text_encoder_3=yes", ConfigError, "expected 'none'"),
    ],
)
def test_mistyped_options_are_told(argument, error, message):
    with pytest.raises(error, match=message):
        parse_argument(argument, model="sd3")


def test_places_that_hold_no_pipeline_are_told(tmp_path):
    with pytest.raises(PolicyError, match="is no folder"):
        source_of(tmp_path / "absent")
    with pytest.raises(PolicyError, match=r"holds no model_index\.json"):
        source_of(tmp_path)
    (tmp_path / "sd3.safetensors").write_bytes(b"")
    with pytest.raises(PolicyError, match="Single-file weights are not read"):
        source_of(tmp_path / "sd3.safetensors")
    (tmp_path / "model_index.json").write_text("{torn")
    with pytest.raises(PolicyError, match="not JSON"):
        source_of(tmp_path)
    (tmp_path / "model_index.json").write_text("[]")
    with pytest.raises(PolicyError, match="key '_class_name' is missing"):
        source_of(tmp_path)


def test_a_revision_belongs_to_a_hub_id(tmp_path):
    with pytest.raises(ConfigError, match="belongs to a hub id"):
        source_of(pipeline(tmp_path / "p"), revision="main")


def test_pickled_weights_are_refused(tmp_path):
    folder = pipeline(tmp_path / "p")
    (folder / "vae" / "model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(PolicyError, match=r"weights are in diffusion_pytorch_model\.bin; expected safetensors"):
        weights_id(source_of(folder))
    assert len(weights_id(source_of(folder), leave_out=["vae"])) == 16


def test_shards_must_be_complete_and_inside_the_folder(tmp_path):
    folder = pipeline(tmp_path / "p")
    index = folder / "vae" / "model.safetensors.index.json"
    for name in ("model-00002-of-00002.safetensors", "../transformer/model.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": name}}))
        with pytest.raises(PolicyError, match="is not beside it"):
            weights_id(source_of(folder))
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    assert [f.name for f in weight_files(source_of(folder), "vae")] == ["model.safetensors"]


def test_torn_weights_are_told(tmp_path):
    folder = pipeline(tmp_path / "p")
    file = folder / "vae" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(PolicyError, match=r"model\.safetensors: not a whole safetensors file"):
        weights_id(source_of(folder))


def test_the_identity_follows_every_byte_that_makes_images(tmp_path):
    folder = pipeline(tmp_path / "p")
    first = weights_id(source_of(folder))
    assert weights_id(source_of(pipeline(tmp_path / "q"))) == first
    file = folder / "transformer" / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second = weights_id(source_of(folder))
    file.write_bytes(content)
    (folder / "vae" / "config.json").write_text('{"shift_factor": 1}')
    third = weights_id(source_of(folder))
    assert len({first, second, third}) == 3
    (folder / "vae" / "config.json").write_text("{}")
    save_file({"w": np.zeros(4, dtype=np.float32)}, folder / "vae" / "model.fp16.safetensors")
    (folder / "README.md").write_text("words")
    assert weights_id(source_of(folder)) == first


def test_files_of_the_hub_cache_are_known_by_their_name(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / ("ab" * 32)).write_bytes(b"content")
    (tmp_path / "model.safetensors").symlink_to(blobs / ("ab" * 32))
    assert sha256_of(tmp_path / "model.safetensors") == "ab" * 32
    assert sha256_of(blobs.parent / "model.safetensors") != sha256_of(_copy(tmp_path))


def _copy(folder):
    (folder / "copy").write_bytes(b"content")
    return folder / "copy"


def test_a_hub_id_is_taken_from_the_clients_cache_with_the_commit_as_revision(tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = tmp_path / "snapshots" / ("c0" * 20)
    snapshot.parent.mkdir()
    pipeline(snapshot, parts=("transformer", "text_encoder_3"))
    asked = []

    def download(repo, name, *, revision):
        return str(snapshot / name)

    def whole(repo, *, revision, allow_patterns, ignore_patterns):
        asked.append((repo, revision, allow_patterns))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", whole)
    source = find_source("owner/name", model="sd3", revision="main", leave_out=["text_encoder_3"])
    assert (source.name, source.revision, source.folder) == ("owner/name", "c0" * 20, snapshot)
    assert asked[0][:2] == ("owner/name", "c0" * 20)
    assert "transformer/*.safetensors" in asked[0][2] and not any("text_encoder_3" in p for p in asked[0][2])


def test_a_hub_id_that_cannot_be_had_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PolicyError, match="owner/absent is no folder here, and the hub did not give it"):
        find_source("owner/absent", model="sd3")


def _without_a_tensor(folder, part, other_shape=False):
    from safetensors.torch import load_file

    file = next((folder / part).glob("*.safetensors"))
    tensors = load_file(file)
    name = sorted(tensors)[-1]
    tensor = tensors.pop(name)
    if other_shape:
        tensors[name] = tensor.new_zeros(3, 3, 3)
    from safetensors.torch import save_file as save

    save(tensors, file, metadata={"format": "pt"})


@pytest.mark.parametrize("part", ["transformer", "text_encoder_2", "text_encoder_3", "vae"])
@pytest.mark.parametrize("other_shape", [False, True])
def test_weights_that_would_be_random_are_refused(pipeline_folder, tmp_path, part, other_shape):
    import shutil

    from harness.models.load import load_policy

    folder = tmp_path / "p"
    shutil.copytree(pipeline_folder, folder)
    _without_a_tensor(folder, part, other_shape)
    with pytest.raises(PolicyError, match=rf"{part}: (the weights lack \d tensors|.* does not load)"):
        load_policy(f"sd3:{folder}")
    if part == "transformer":
        with pytest.raises(PolicyError, match=rf"{part}: (the weights lack \d tensors|.* does not load)"):
            load_policy(f"diffusers:{folder}")
