"""lm-eval's own command line, with the model `ummbench` and the shipped tasks: `python -m harness.lmeval ...`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs lm-eval with this process's arguments; without `--include_path` the shipped tasks are added."""
    import harness.lmeval.model  # noqa: F401 - registers the model
    from harness.lmeval.evaluate import TASKS

    if ("run" in sys.argv[1:2] or "--tasks" in sys.argv) and "--include_path" not in sys.argv:
        sys.argv += ["--include_path", str(TASKS)]
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
