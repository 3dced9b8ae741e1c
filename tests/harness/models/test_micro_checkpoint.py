"""Checkpoint folders: round trip, and one clear message for every way in which a folder can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import PolicyError
from harness.models.micro import checkpoint
from harness.models.micro import load as load_micro
from harness.models.micro.network import MicroNetwork, NetworkConfig
from harness.models.micro.policy import MicroPolicy


@pytest.fixture
def network() -> MicroNetwork:
    torch.manual_seed(0)
    return MicroNetwork(NetworkConfig.current(width=24, layers=1, heads=2, head_hidden=16))


@pytest.fixture
def folder(tmp_path: Path, network: MicroNetwork) -> Path:
    checkpoint.save_checkpoint(tmp_path / "ck", network, {"steps": 3}, extra_files={"CARD.md": "# card\n"})
    return tmp_path / "ck"


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / checkpoint.MANIFEST).read_text())
    (folder / checkpoint.MANIFEST).write_text(json.dumps({**manifest, **changes}))


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    state = {**load_file(folder / checkpoint.WEIGHTS), **{k.replace("__", "."): v for k, v in changes.items()}}
    save_file({k: v for k, v in state.items() if v is not None}, folder / checkpoint.WEIGHTS)


def test_round_trip_keeps_weights_fingerprint_and_training_info(folder: Path, network: MicroNetwork) -> None:
    policy = load_micro(str(folder))
    assert policy.fingerprint == MicroPolicy(network).fingerprint == policy.manifest["fingerprint"]
    assert policy.manifest["training"] == {"steps": 3}
    assert policy.manifest["policy"] == "micro"
    assert policy.manifest["base"] is None
    assert policy.manifest["parameters"] == sum(p.numel() for p in network.parameters())
    assert (folder / "CARD.md").read_text() == "# card\n"


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path, network: MicroNetwork) -> None:
    checkpoint.save_checkpoint(tmp_path / "full", network, {})
    checkpoint.save_checkpoint(tmp_path / "half", network, {}, dtype=torch.float16)
    sizes = [(tmp_path / name / checkpoint.WEIGHTS).stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded, manifest = checkpoint.load_checkpoint(tmp_path / "half")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert checkpoint.fingerprint(loaded.state_dict(), loaded.config) == manifest["fingerprint"]
    torch.testing.assert_close(loaded.head.weight, network.head.weight.half().float())


def test_saving_replaces_a_folder_as_a_whole(folder: Path, network: MicroNetwork) -> None:
    checkpoint.save_checkpoint(folder, network, {"steps": 4})
    assert checkpoint.read_manifest(folder)["training"] == {"steps": 4}
    assert sorted(p.name for p in folder.iterdir()) == [checkpoint.MANIFEST, checkpoint.WEIGHTS]
    assert [p.name for p in folder.parent.iterdir()] == ["ck"]


def test_failed_save_leaves_the_old_folder(
    folder: Path, network: MicroNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save_checkpoint(folder, network, {"steps": 5})
    assert checkpoint.read_manifest(folder)["training"] == {"steps": 3}
    assert [p.name for p in folder.parent.iterdir()] == ["ck"]


def test_weights_of_one_seed_have_one_fingerprint_and_configuration_matters(network: MicroNetwork) -> None:
    state = network.state_dict()
    other = NetworkConfig.current(width=24, layers=1, heads=3, head_hidden=16)
    assert checkpoint.fingerprint(state, network.config) != checkpoint.fingerprint(state, other)
    state["head.weight"] = state["head.weight"] + 1e-6
    assert checkpoint.fingerprint(state, network.config) != MicroPolicy(network).fingerprint


def test_missing_folder_says_what_a_checkpoint_is(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"not a checkpoint folder: manifest\.json is missing"):
        load_micro(str(tmp_path / "nowhere"))


def test_manifest_that_is_no_json(folder: Path) -> None:
    (folder / checkpoint.MANIFEST).write_text("{")
    with pytest.raises(PolicyError, match=r"manifest\.json is not JSON"):
        load_micro(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "bagel"}, r"key 'policy' is 'bagel', expected 'micro'"),
        ({"format": 99}, r"key 'format' is 99, expected 1"),
        ({"config": {"width": 24}}, r"key 'config' has \['width'\], expected the keys"),
    ],
)
def test_wrong_manifest_key_is_named(folder: Path, changes: dict[str, object], message: str) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(PolicyError, match=message):
        load_micro(str(folder))


def test_other_vocabulary_is_refused(folder: Path, network: MicroNetwork) -> None:
    change_manifest(folder, config={**network.config.as_dict(), "vocabulary": "0123456789abcdef"})
    with pytest.raises(PolicyError, match=r"config\.vocabulary.*0123456789abcdef.*expected"):
        load_micro(str(folder))


def test_other_architecture_is_refused_with_names(folder: Path, network: MicroNetwork) -> None:
    change_manifest(folder, config={**network.config.as_dict(), "layers": 2})
    with pytest.raises(PolicyError, match=r"missing tensors \['blocks\.1\.gen"):
        load_micro(str(folder))


def test_missing_weights_file(folder: Path) -> None:
    (folder / checkpoint.WEIGHTS).unlink()
    with pytest.raises(PolicyError, match=r"model\.safetensors is missing"):
        load_micro(str(folder))


def test_damaged_weights_file(folder: Path) -> None:
    (folder / checkpoint.WEIGHTS).write_bytes(b"\x00" * 100)
    with pytest.raises(PolicyError, match="not a readable safetensors file"):
        load_micro(str(folder))


def test_wrong_tensors_are_named(folder: Path) -> None:
    change_weights(folder, head__weight=None, extra=torch.zeros(2))
    with pytest.raises(PolicyError, match=r"missing tensors \['head\.weight'\], unexpected tensors \['extra'\]"):
        load_micro(str(folder))


def test_wrong_shape_is_named(folder: Path) -> None:
    change_weights(folder, conv=torch.zeros(3, 7))
    with pytest.raises(PolicyError, match=r"tensor 'conv' has shape \(3, 7\), expected \(3, 24\)"):
        load_micro(str(folder))


def test_values_that_are_not_finite_are_refused(folder: Path) -> None:
    change_weights(folder, conv=torch.full((3, 24), float("nan")))
    with pytest.raises(PolicyError, match=r"'conv' has values that are not finite"):
        load_micro(str(folder))


def test_import_of_the_package_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, harness.models.micro; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
