"""`python -m harness.cli` is `run.py`: for commands that start commands."""

from harness.cli.main import main

if __name__ == "__main__":
    main()
