"""The command line of ummbench: `python run.py --help`."""

from harness.cli.main import main

if __name__ == "__main__":
    main()
