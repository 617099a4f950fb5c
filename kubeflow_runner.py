"""Compiles, tries, submits and schedules a task's pipeline on Kubeflow Pipelines and Vertex AI; see `--help`."""

import sys

from pipeline.cli_kubeflow import main

if __name__ == "__main__":
    sys.exit(main())
