"""The command group: commands are imported when they are called, so that `--help` answers at once."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any

import click

from harness import __version__
from harness.errors import HarnessError, near_misses

COMMANDS = {
    "eval": "Generate, judge, score and summarise.",
    "eval-text": "Measure a model's text side with tasks of lm-eval.",
    "rescore": "Recompute scores from recorded judgements; no model, no judge.",
    "train": "Train a policy from a shipped or own configuration.",
    "sweep": "Run an ablation grid over training seeds: train, evaluate, report.",
    "report": "Compare runs: tables, significance, the paper's tables, plots, a page.",
    "check": "Guard a model: fail when a run got worse than its baseline.",
    "labels": "Draw images for people to label; `report --human` corrects the judge by them.",
    "view": "Open a run's page.",
    "data": "Bring, pin and verify official data and judge prompts.",
    "audit": "Measure a judge: against humans, calibration, noise floor, bias probes.",
    "serve-judge": "Start a local vLLM server with the flags that judging needs.",
    "decompose": "Write the yes/no questions of DVReward for new prompts.",
    "synthesize": "Make training prompts from primitives, with exact counts per task.",
    "list": "Show what is registered: benchmarks, models, judges, rewards.",
    "doctor": "Show what this machine can run.",
}
"""Name -> one line of help; the module is `harness.cli.NAME_command`, `-` read as `_`."""


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR)
"""What the user's disk says no with, wherever a command writes; other errors of the system are shown as they are."""


class CommandGroup(click.Group):
    """Loads `harness.cli.NAME_command:command` on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a user's first day, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.cli.{cmd_name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's, with near misses for an unknown name."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            close = near_misses(name, COMMANDS)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {name!r}.{hint} Commands: {', '.join(COMMANDS)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: python run.py eval (evaluates the shipped micro model; needs no download).",
)
@click.version_option(__version__, prog_name="ummbench")
def cli() -> None:
    """Benchmark and train image-generating unified multimodal models.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished with missing data, 130 interrupted.
    """


def main(argv: list[str] | None = None) -> None:
    """Runs a command and turns errors into one screen of text and an exit code."""
    try:
        code: Any = cli.main(args=argv, prog_name="run.py", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        code = leaving.exit_code
    except click.ClickException as error:
        error.show()
        code = 2 if isinstance(error, click.UsageError) else 1
    except HarnessError as error:
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Everything finished is stored; repeat the command to continue.", err=True)
        code = 130
    except BrokenPipeError:
        code = _reader_left()
    except OSError as error:
        if error.filename is None or error.errno not in _UNWRITABLE:
            raise
        file = os.fsdecode(error.filename)
        click.echo(f"Error: {file}: {error.strerror}. Check the path, its permissions and the free space.", err=True)
        code = 1
    except SystemExit as leaving:
        # rich's console turns a broken pipe into an exit with code 1.
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        code = _reader_left()
    sys.exit(code if isinstance(code, int) else 0)


def _reader_left() -> int:
    """The reader (head, less) left: nothing to report, and Python must not try to flush again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
