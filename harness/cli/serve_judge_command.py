"""`run.py serve-judge`: a local vLLM server with the flags that judging needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(
    name="serve-judge",
    epilog="Examples:  run.py serve-judge Qwen/Qwen3-VL-30B-A3B-Instruct --python vllm-venv/bin/python   |   "
    "run.py serve-judge MODEL --flag tensor-parallel-size=4 --print",
)
@click.argument("model")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The server has no authentication.")
@click.option("--dtype", metavar="NAME", help="auto, float16, bfloat16, float32.  [default: the preset's, else auto]")
@click.option(
    "--max-model-len", type=click.IntRange(1), metavar="N", help="Tokens.  [default: the preset's, else 8192]"
)
@click.option("--preset", default="", metavar="NAME", help="Judge preset.  [default: the one for MODEL]")
@click.option("--python", metavar="PATH", help="Interpreter that has vLLM.  [default: this one]")
@click.option(
    "--flag", "flags", multiple=True, metavar="NAME[=VALUE]", help="A further option of vLLM's server; repeatable."
)
@click.option("--log", "log", type=click.Path(path_type=Path), help="The server's log.  [default: a temporary file]")
@click.option("--timeout", type=click.FloatRange(1), metavar="S", help="Longest wait for the start.  [default: 1800]")
@click.option("--print", "print_only", is_flag=True, help="Show the command and start nothing.")
def command(model: str, log: Path | None, timeout: float | None, print_only: bool, **options: Any) -> int:
    """Start a vLLM server for MODEL (a hub repository or a folder) and wait until it answers.

    Prints the --judge argument that uses it, then runs until Ctrl-C. vLLM needs an environment of its own:
    docs/judges-setup.md tells how to make one.
    """
    from harness.judges.vlm import server

    spec = _spec(model, **options)
    if print_only:
        click.echo(server.printable(spec, is_cpu=_is_cpu(spec.python)))
        return 0
    return _serve(spec, log, timeout or server.START_TIMEOUT_S)


def _is_cpu(python: str) -> bool:
    """Whether the command is for vLLM's CPU build; one may also print a command for another machine."""
    from harness.errors import JudgeError
    from harness.judges.vlm import server

    try:
        return server.find_vllm(python).is_cpu
    except JudgeError:
        click.echo(f"{python} has no vLLM; this is the command for a machine with a GPU:", err=True)
        return False


def _spec(model: str, *, port: int, python: str | None, preset: str, flags: tuple[str, ...], **options: Any) -> Any:
    import sys

    from harness.judges.vlm import server
    from harness.judges.vlm.presets import preset_for

    name, found = preset_for(model, preset)
    click.echo(f"Preset {name}.", err=True)
    return server.ServerSpec(
        model=model,
        port=port or server.free_port(options["host"]),
        python=python or sys.executable,
        preset_flags=found.server,
        flags=server.read_flags(flags),
        **options,
    )


def _serve(spec: Any, log: Path | None, timeout_s: float) -> int:
    import tempfile

    from harness.cli.options import stop_on_sigterm
    from harness.judges.vlm import server

    stop_on_sigterm()
    log = log or Path(tempfile.mkdtemp(prefix="serve-judge-")) / "server.log"
    if spec.host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"Warning: {spec.host} is reachable from outside, and the server has no authentication.", err=True)
    with server.VllmServer(spec, log) as running:
        click.echo(f"Starting; log: {log}", err=True)
        running.wait(timeout_s, lambda waited, line: click.echo(f"  {waited:.0f} s: {line[:140]}", err=True))
        try:
            click.echo(f"Ready. Use it with:  --judge {server.judge_argument(spec)}")
            click.echo("Ctrl-C ends the server.", err=True)
            code = running.join()
        except KeyboardInterrupt:
            click.echo("Ending the server.", err=True)
            return 0
    click.echo(f"The server ended with exit code {code}; its log: {log}", err=True)
    return 1 if code else 0
