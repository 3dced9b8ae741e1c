"""The tiny pipeline on disk, and policies on it."""

import pytest

pytest.importorskip("diffusers", reason="the sd3 policy needs the extra 'train'")
pytest.importorskip("peft", reason="the sd3 policy needs the extra 'train'")


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory):
    from sd3_tiny import build_pipeline

    folder = tmp_path_factory.mktemp("sd3") / "tiny"
    build_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def load(pipeline_folder):
    from harness.models.load import load_policy

    def load(options="", folder=pipeline_folder):
        return load_policy(f"sd3:{folder}{options}")

    return load


@pytest.fixture
def randomise():
    """Fills the trained adapter with numbers, so that it changes something."""
    import torch

    def randomise(policy, seed=1, name="policy"):
        generator = torch.Generator().manual_seed(seed)
        for tensor in policy.adapter_state(name).values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)

    return randomise
