"""Runs a task's pipeline on this machine: `python local_runner.py --task taxi_tips`; see `--help`."""

import sys

from pipeline.cli import run_main

if __name__ == "__main__":
    sys.exit(run_main())
