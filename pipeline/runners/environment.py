"""What a run was made with and nobody can know later: versions, the commit, the machine's class, the task's settings.

Nothing that names a person or a machine: no host, no user, no variables of the environment, and the home folder is `~`.
"""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from pipeline import image, tasks
from pipeline.task import Task

LIBRARIES = (
    *("tfx", "tensorflow", "keras", "tensorflow-data-validation", "tensorflow-transform", "tensorflow-model-analysis"),
    *("apache-beam", "ml-metadata", "pyarrow", "numpy"),
)
_TREE = Path(__file__).resolve().parents[2]
_GIT_SECONDS = 5


def describe(task: Task) -> dict[str, Any]:
    """The surroundings of a run that begins.

    Args:
      task: with the run's overrides.

    Returns:
      JSON values: `{"python", "libraries": [{"name", "version"}], "code": {"version", "commit", "dirty", "digest"},
      "machine": {"system", "cores", "memory_mb"}, "schema": {"path", "digest"} | None, "settings": {path: text},
      "changed": [{"path", "default", "value"}]}`; what can't be found is None. `settings` are all of the task's, `changed`
      those that overrides made others than in its file.
    """
    from pipeline import schema

    curated = schema.path_of(task.name)
    found, own = settings(task), settings(tasks.load(task.name))
    return {
        "python": platform.python_version(),
        "libraries": [{"name": name, "version": _version(name)} for name in LIBRARIES],
        "code": {"version": _version("millrace"), **_commit(), "digest": image.fingerprint()},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": len(os.sched_getaffinity(0)),
            "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        },
        "schema": {"path": private(str(curated)), "digest": schema.digest(curated)} if curated else None,
        "settings": found,
        "changed": differences(own, found),
    }


def settings(value: Any, path: str = "") -> dict[str, str]:
    """Each setting of a task, as a dotted path and text: `{"training.steps": "1000", "model": "WideDeep", …}`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {path: type(value).__name__} if path else {}
        for field in dataclasses.fields(value):
            found |= settings(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
        return found
    if isinstance(value, tuple) and value and all(hasattr(item, "name") for item in value):
        return {key: text for item in value for key, text in settings(item, f"{path}.{item.name}").items()}
    listed = ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
    return {path: private(listed) or "none"}


def differences(before: dict[str, str], after: dict[str, str]) -> list[dict[str, str | None]]:
    """The settings that differ: `{"path", "default", "value"}`; None where there is none of that path."""
    paths = dict.fromkeys((*after, *before))
    return [
        {"path": path, "default": before.get(path), "value": after.get(path)}
        for path in paths
        if before.get(path) != after.get(path)
    ]


def private(text: str) -> str:
    """A text without the places of this machine: the project's own files are relative, and the home folder is `~`."""
    return text.replace(f"{_TREE}/", "").replace(str(Path.home()), "~")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit of the project's repository, and whether files differ from it; None without a repository."""
    asked = (("rev-parse", "--show-toplevel", "HEAD"), ("status", "--porcelain"))
    try:
        top, changes = (
            subprocess.run(  # noqa: S603
                ("git", "-C", str(_TREE), "--no-optional-locks", *command),  # noqa: S607
                capture_output=True, text=True, timeout=_GIT_SECONDS, check=True,
            ).stdout
            for command in asked
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    folder, commit = top.split("\n")[:2]
    if Path(folder) != _TREE:
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changes.strip())}
