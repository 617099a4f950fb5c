"""Starting local_runner.py as a user does, and looking at what it left."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
TIMEOUT = 600


@dataclass(frozen=True)
class Run:
    """A finished command.

    Attributes:
      code: its exit code.
      record: the run.json that it printed, or None.
      text: what it printed for people.
    """

    code: int
    record: Any
    text: str


def command(*flags: str, project: Path = PROJECT) -> list[str]:
    """A command line of local_runner.py."""
    return [sys.executable, str(project / "local_runner.py"), *flags]


def run(*flags: str, project: Path = PROJECT, folder: Path | None = None) -> Run:
    """Runs local_runner.py with `--json`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TF_"))}
    done = subprocess.run(
        command(*flags, "--json", project=project),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=folder or project,
        env=environment,
        check=False,
    )
    return Run(done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr)


def copy_project(folder: Path) -> Path:
    """The product alone in another folder, where its tasks and schemas may be changed."""
    for name in ("pipeline", "components", "serving", "schemas"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "local_runner.py", folder)
    return folder


def millrace(*words: str, project: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the `millrace` command of a copied project."""
    return subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", *words],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"},
        check=False,
    )


def served(root: Path, task: str) -> list[str]:
    """The versions that a model server would see, and anything else in its folder."""
    folder = root / task / "serving" / task
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def wait_for(process: "subprocess.Popen[str]", line: str) -> None:
    """Reads a process's output until a line holds this text."""
    assert process.stdout
    for printed in process.stdout:
        if line in printed:
            return
    raise AssertionError(f"ended without {line!r}")
