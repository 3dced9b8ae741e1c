"""The policy over parameters that FSDP2 shards across processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sd3_sharded import update

from harness.models.load import load_policy
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sharded_transformer_trains_and_saves_as_a_whole_one(load, randomise, pipeline_folder, tmp_path, dtype):
    policy = load(f"?dtype={dtype}")
    policy.prepare_training({"lora_rank": 4, "lora_alpha": 8})
    randomise(policy)
    policy.save_checkpoint(tmp_path / "start", {})
    update(policy)
    script = Path(__file__).with_name("sd3_sharded.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    base = f"{pipeline_folder}?dtype={dtype}"
    done = subprocess.run(
        [*command, base, str(tmp_path / "start"), str(tmp_path / "end")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    sharded, whole = load_policy(str(tmp_path / "end")).adapter_state("policy"), policy.adapter_state("policy")
    tolerance = 1e-5 if dtype == "float32" else 2e-3
    assert all(torch.allclose(sharded[k], whole[k], atol=tolerance) for k in whole)
    start = load_policy(str(tmp_path / "start")).adapter_state("policy")
    assert any(not torch.allclose(start[k], whole[k], atol=tolerance) for k in whole)
