"""From what the user typed to a policy: names, folders, training directories, and what is wrong with them."""

import json

import pytest

from harness.errors import ConfigError, PolicyError
from harness.models.images import ImageFolder
from harness.models.load import load_policy, read_checkpoint_manifest, resolve_checkpoint, short_name


def checkpoint(folder, policy="micro"):
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"policy": policy}))
    return folder


def test_a_training_directory_means_its_newest_checkpoint(tmp_path):
    checkpoint(tmp_path / "checkpoints" / "step-9")
    newest = checkpoint(tmp_path / "checkpoints" / "step-100")
    (tmp_path / "checkpoints" / "step-200").mkdir()
    assert resolve_checkpoint(tmp_path) == newest
    assert resolve_checkpoint(newest) == newest
    final = checkpoint(tmp_path / "checkpoint")
    assert resolve_checkpoint(tmp_path) == final


def test_folders_that_are_no_checkpoints_say_what_is_missing(tmp_path):
    with pytest.raises(PolicyError, match=r"no manifest\.json that names a policy"):
        resolve_checkpoint(tmp_path)
    with pytest.raises(PolicyError, match="no such checkpoint folder"):
        resolve_checkpoint(tmp_path / "absent")
    (tmp_path / "manifest.json").write_text("{torn")
    with pytest.raises(PolicyError, match=r"manifest\.json: not a readable JSON file"):
        resolve_checkpoint(tmp_path)


def test_a_checkpoint_of_an_unknown_policy_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"policy 'nextgen' is not known here\. Known: .*micro"):
        read_checkpoint_manifest(checkpoint(tmp_path / "c", "nextgen"))


def test_an_image_folder_is_a_policy_with_a_fingerprint_of_its_listing(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    first = load_policy(f"images:{tmp_path}")
    assert isinstance(first, ImageFolder)
    (tmp_path / "b.png").write_bytes(b"x")
    assert load_policy(f"images:{tmp_path}").fingerprint != first.fingerprint


def test_pictures_cannot_be_links_out_of_the_folder(tmp_path):
    from PIL import Image

    outside, inside = tmp_path / "outside.png", tmp_path / "in"
    Image.new("RGB", (4, 4)).save(outside)
    (inside / "toy" / "1").mkdir(parents=True)
    (inside / "toy" / "1" / "0.png").symlink_to(outside)
    policy = load_policy(f"images:{inside}")
    output = policy._look_up("toy/1", 0)
    assert output.status == "error" and "lies outside" in output.error


@pytest.mark.parametrize(
    ("spec", "name"),
    [("micro", "micro"), ("micro:/a/b/step-3", "micro-step-3"), ("runs/x y/", "x-y"), ("images:../p", "images-p")],
)
def test_default_directories_have_safe_names(spec, name):
    assert short_name(spec) == name
