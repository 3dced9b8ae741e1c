"""A tiny vision-language model for the session, and one real vLLM server that serves it."""

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.judges.tiny_vlm import build_tiny_vlm

VLLM_PYTHON = "UMMBENCH_VLLM_PYTHON"

HOW_TO_ENABLE = (
    f"needs a vLLM environment: {VLLM_PYTHON} is not set. Enable it with: .ci/vllm-env DIR && "
    f"{VLLM_PYTHON}=DIR/bin/python python -m pytest tests/harness/judges"
)


@dataclass(frozen=True)
class RunningServer:
    """Where the session's server answers, and what it serves."""

    base_url: str
    model: str
    model_dir: Path


def cpu_torchvision() -> Path:
    """Folder for PYTHONPATH of processes that run vLLM without a GPU."""
    return Path(__file__).parent / "tiny_vlm" / "cpu_torchvision"


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """Interpreter of the environment that has vLLM."""
    python = os.environ.get(VLLM_PYTHON)
    if not python:
        pytest.skip(HOW_TO_ENABLE)
    return python


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory) -> Path:
    """One folder for all workers of this test session."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def locked(path: Path):
    """Only one process of the session is inside at a time."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def tiny_vlm_dir(session_dir) -> Path:
    """A tiny random Qwen3-VL: config, float32 weights, tokenizer, processors."""
    folder = session_dir / "tiny-qwen3-vl"
    with locked(session_dir / "tiny.lock"):
        if not folder.exists():
            # Renamed when complete, so that a failed build is not taken for a model.
            build_tiny_vlm(session_dir / "tiny-qwen3-vl.part").rename(folder)
    return folder


@pytest.fixture(scope="session")
def vllm_server(vllm_python, tiny_vlm_dir, session_dir):
    """One server per session, also with several workers: the first to need it starts it, the last to end stops it."""
    folder = session_dir / "vllm-server"
    folder.mkdir(exist_ok=True)
    me = folder / f"user-{os.getpid()}"
    with locked(folder / "lock"):
        state = folder / "state.json"
        if not state.exists():
            state.write_text(json.dumps(_start(vllm_python, tiny_vlm_dir, folder)))
        me.touch()
        known = json.loads(state.read_text())
    yield RunningServer(known["base_url"], known["model"], tiny_vlm_dir)
    with locked(folder / "lock"):
        me.unlink()
        if not any(_lives(int(user.name.removeprefix("user-"))) for user in folder.glob("user-*")):
            _stop(known["pid"])
            state.unlink()


def _start(python: str, model: Path, folder: Path) -> dict:
    from harness.judges.vlm.server import ServerSpec, VllmServer, free_port

    spec = ServerSpec(model=str(model), port=free_port(), dtype="float32", max_model_len=2048, python=python)
    offline = {"PYTHONPATH": str(cpu_torchvision()), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    server = VllmServer(spec, folder / "server.log", offline)
    server.start()
    try:
        server.wait(timeout_s=600)
    except BaseException:
        server.stop()
        raise
    return {"base_url": spec.base_url, "model": spec.model, "pid": server.pid}


def _stop(pid: int) -> None:
    """Ends the server's process group, which another worker may have started."""
    from harness.judges.vlm.server import end_group

    end_group(pid, lambda: not _lives(pid))


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended stays in the table until the worker that started it looks."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
