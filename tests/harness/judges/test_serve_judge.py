"""`serve-judge`: the command line, and a server's life, with small programs in the place of vLLM."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from harness.errors import ConfigError, JudgeError
from harness.judges.vlm.presets import preset_for
from harness.judges.vlm.server import (
    ServerSpec,
    VllmServer,
    answers,
    command_line,
    find_vllm,
    free_port,
    judge_argument,
    likely_causes,
    printable,
    read_flags,
)
from harness.judges.vlm.target import parse_target
from tests.conftest import ROOT
from tests.harness.judges.test_openai_faults import command

HEALTHY = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *a): pass
args = sys.argv
host, port = args[args.index("--host") + 1], int(args[args.index("--port") + 1])
http.server.HTTPServer((host, port), Handler).serve_forever()
"""

WITH_CHILD = (
    "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n" + HEALTHY
)


def interpreter(tmp_path, server, *, found='{"vllm": "0.32.0"}'):
    """A program that says that it has vLLM and runs `server` in its place."""
    (tmp_path / "server.py").write_text(server)
    file = tmp_path / "python"
    file.write_text(
        f"#!/bin/sh\nif [ \"$1\" = -c ]; then echo '{found}'; exit; fi\nshift 2\n"
        f'exec {sys.executable} {tmp_path}/server.py "$@"\n'
    )
    file.chmod(0o755)
    return str(file)


def spec_of(python, **fields):
    return ServerSpec(model="Org/Model", port=free_port(), python=python, **fields)


def option(line, name):
    return line[line.index(f"--{name}") + 1]


def vanishes(look, seconds=10.0):
    """Whether a process is gone soon: an ended child stays in the table until init takes it out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            look()
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


# Command line


def test_the_command_listens_on_loopback_and_reports_what_judging_needs():
    line = command_line(ServerSpec(model="Org/Model", python="py"), is_cpu=False)
    assert line[:3] == ["py", "-m", "vllm.entrypoints.openai.api_server"]
    assert option(line, "model") == "Org/Model" and option(line, "host") == "127.0.0.1"
    assert option(line, "logprobs-mode") == "raw_logprobs" and "--enable-prompt-tokens-details" in line
    assert json.loads(option(line, "limit-mm-per-prompt")) == {"image": 2, "video": 0}
    assert "--enforce-eager" not in line and "--block-size" not in line and "--dtype" not in line


def test_only_the_cpu_build_gets_its_own_flags(monkeypatch):
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    spec = ServerSpec(model="m", python="py")
    assert int(option(command_line(spec, is_cpu=True), "block-size")) % 32 == 0
    assert "TORCHDYNAMO_DISABLE=1" in printable(spec, is_cpu=True)
    assert "VLLM_CPU_KVCACHE_SPACE" not in printable(spec, is_cpu=True)  # the user's own value stays
    assert "TORCHDYNAMO_DISABLE" not in printable(spec, is_cpu=False)


def test_options_win_over_the_preset_and_flags_over_both():
    _, preset = preset_for("Qwen/Qwen2.5-VL-72B-Instruct-AWQ")
    assert option(command_line(ServerSpec(model="m", preset_flags=preset.server), is_cpu=False), "dtype") == "float16"
    spec = ServerSpec(
        model="m",
        preset_flags=preset.server,
        dtype="bfloat16",
        max_model_len=1234,
        flags=read_flags(["quantization=awq", "--enforce-eager", "max-logprobs=50"]),
    )
    line = command_line(spec, is_cpu=False)
    assert [option(line, n) for n in ("dtype", "max-model-len", "quantization", "max-logprobs")] == [
        "bfloat16",
        "1234",
        "awq",
        "50",
    ]
    assert "--enforce-eager" in line and all(line.count(o) == 1 for o in line if o.startswith("--"))


def test_a_flag_can_be_left_out():
    spec = ServerSpec(model="m", flags=read_flags(["enable-prompt-tokens-details=false", "enforce-eager=true"]))
    line = command_line(spec, is_cpu=False)
    assert "--enable-prompt-tokens-details" not in line and "--enforce-eager" in line and "true" not in line


@pytest.mark.parametrize("flag", ["", "=3", "port=3", "--model=x", "two words=1"])
def test_flags_without_a_name_or_with_an_option_of_their_own_are_refused(flag):
    with pytest.raises(ConfigError, match="--flag"):
        read_flags([flag])


def test_print_shows_a_command_that_a_shell_reads_back(tmp_path, capsys):
    python = interpreter(tmp_path, HEALTHY)
    code, out, _ = command(capsys, "serve-judge", "Org/A B", "--python", python, "--port", "8123", "--print")
    assert code == 0
    words = [w for w in shlex.split(out) if "=" not in w.split("--")[0] or w.startswith("--")]
    assert option(words, "model") == "Org/A B" and option(words, "port") == "8123" and words[0] == python


def test_print_works_without_vllm_and_starting_says_how_to_install_it(capsys):
    code, out, err = command(capsys, "serve-judge", "m", "--python", sys.executable, "--print")
    assert code == 0 and "vllm.entrypoints" in out and "no vLLM" in err
    code, _, err = command(capsys, "serve-judge", "m", "--python", sys.executable)
    assert code == 1 and '".[vllm]"' in err and '".[vllm-cpu]"' in err


def test_an_interpreter_that_is_none_is_named():
    with pytest.raises(JudgeError, match="/nowhere/python: cannot be run"):
        find_vllm("/nowhere/python")


def test_builds_are_told_apart(tmp_path):
    assert not find_vllm(interpreter(tmp_path, "")).is_cpu
    assert find_vllm(interpreter(tmp_path, "", found='{"vllm-cpu": "0.32.0"}')).is_cpu
    assert find_vllm(interpreter(tmp_path, "", found='{"vllm": "0.32.0+cpu"}')).is_cpu


def test_the_printed_judge_argument_is_read_by_the_judge():
    spec = ServerSpec(model="Org/Model", host="0.0.0.0", port=8001)
    target = parse_target(judge_argument(spec).removeprefix("openai:"))
    assert (target.model, target.base_url) == ("Org/Model", "http://127.0.0.1:8001/v1")


# A server's life


def test_a_server_is_waited_for_and_ended_with_its_children(tmp_path):
    spec = spec_of(interpreter(tmp_path, WITH_CHILD))
    with VllmServer(spec, tmp_path / "log") as server:
        server.wait(30)
        group = server.pid
        assert answers(spec.base_url) and server.is_running()
    assert not answers(spec.base_url) and not server.is_running()
    assert vanishes(lambda: os.killpg(group, 0))


def test_a_server_that_ends_early_is_reported_with_log_and_cause(tmp_path):
    program = "print('api_server.py: error: unrecognized arguments: --flyingsaucer'); raise SystemExit(2)"
    with (
        pytest.raises(
            JudgeError, match=r"ended before it answered[\s\S]*Likely cause: vLLM does not know one of the fl"
        ),
        VllmServer(spec_of(interpreter(tmp_path, program)), tmp_path / "log") as server,
    ):
        server.wait(30)


def test_a_server_that_never_answers_is_ended(tmp_path):
    program = "import time\nprint('loading', flush=True)\ntime.sleep(600)"
    server = VllmServer(spec_of(interpreter(tmp_path, program)), tmp_path / "log")
    server.start()
    with pytest.raises(JudgeError, match=r"did not answer within 1 s[\s\S]*loading"):
        server.wait(1.0)
    assert not server.is_running()


def test_a_taken_port_is_told_before_anything_starts(tmp_path):
    spec = spec_of(interpreter(tmp_path, HEALTHY))
    with VllmServer(spec, tmp_path / "log") as first:
        first.wait(30)
        with pytest.raises(JudgeError, match="choose another --port"):
            VllmServer(spec, tmp_path / "log2").start()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "too little GPU memory"),
        ("RuntimeError: operator torchvision::nms does not exist", "torchvision"),
        ("huggingface_hub.errors.RepositoryNotFoundError: 404", "neither a folder nor a repository"),
        ("User-specified max_model_len (9999) is greater than the derived max_model_len", "lower it"),
        ("OSError: [Errno 98] Address already in use", "--port"),
    ],
)
def test_known_messages_are_explained(line, cause):
    (found,) = likely_causes(f"INFO starting\n{line}\n")
    assert cause in found


def test_an_unknown_message_is_not_explained_away():
    assert likely_causes("ValueError: something new") == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_tells_how_to_use_the_server_and_ends_it_on_a_signal(tmp_path, sign):
    python, port = interpreter(tmp_path, HEALTHY), free_port()
    arguments = ["serve-judge", "Org/Model", "--python", python, "--port", str(port), "--log", str(tmp_path / "log")]
    process = subprocess.Popen([sys.executable, "run.py", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert f"--judge openai:Org/Model@http://127.0.0.1:{port}/v1" in line
        process.send_signal(sign)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()
    assert not answers(f"http://127.0.0.1:{port}/v1")
