"""Which run is meant: an id, `last`, `previous` or `served`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.push import history
from pipeline.push.versions import Places
from pipeline.runners import records

WORDS = ("last", "previous", "served")
_RECENT = 10


def task_of(root: str, task: str | None, names: Sequence[str]) -> str:
    """The task whose runs are meant.

    Args:
      root: `--root`.
      task: `--task`, or None: the one that has a run of these ids, or the only one that has runs.
      names: of the runs.

    Raises:
      UsageError: no task of the root has runs, or several may be meant.
    """
    known = sorted({folder.parent.name for folder in Path(root).glob("*/runs") if folder.is_dir()})
    if task is not None:
        if task not in known:
            raise UsageError(f"--task: {task!r} has no runs in {root}.{nearest(task, known)}")
        return task
    ids = [name for name in names if name not in WORDS]
    meant = [one for one in known if all((Path(root) / one / "runs" / name / "run.json").is_file() for name in ids)]
    meant = meant if ids else known
    if len(meant) == 1 or (len(known) == 1 and not meant):
        return (meant or known)[0]
    if not known:
        raise UsageError(f"--root: no runs in {root}. Next: millrace run --root {root}")
    if meant:
        raise UsageError(f"--task: several tasks have such runs: {', '.join(meant)}. Next: add --task {meant[0]}")
    raise UsageError(f"no task of {root} has the runs {' and '.join(ids)}.{nearest(ids[0], _ids(root, None))}")


def folder_of(root: str, task: str, name: str) -> Path:
    """The folder of a run.

    Args:
      root: `--root`.
      task: its task.
      name: its id; `last`, the newest, `previous`, the one before, or `served`, that pushed what is served now.

    Raises:
      UsageError: there is none; the nearest ids are offered.
    """
    runs = Path(root) / task / "runs"
    found = records.read_all(root, task)
    if name in ("last", "previous"):
        wanted = 1 if name == "last" else 2
        if len(found) < wanted:
            raise UsageError(f"{name}: expected {wanted} or more runs of {task!r} in {root}. Received: {len(found)}")
        return runs / str(found[-wanted]["run_id"])
    if name == "served":
        return runs / _served(root, task, found)
    ids = [str(record["run_id"]) for record in found]
    if name not in ids:
        raise UsageError(f"no run {name!r} of {task!r} in {root}.{nearest(name, [*ids[-_RECENT:], *WORDS])}")
    return runs / name


def _served(root: str, task: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The run that pushed the version that is served."""
    places = Places(Path(root) / task / "serving" / task)
    version = places.served()
    if version is None:
        raise UsageError(f"served: nothing of {task!r} is served in {root}. Next: give a run's id, or last")
    pushed = [str(run["run_id"]) for run in found if str((run.get("pushed") or {}).get("version")) == str(version)]
    pushed += [str(e["run_id"]) for e in history.read(places) if e["version"] == str(version) and e["run_id"]]
    known = {str(record["run_id"]) for record in found}
    run = next((run for run in pushed if run in known), None)
    if run is None:
        raise UsageError(f"served: no run in {root} says that it pushed version {version}. Next: give a run's id")
    return run


def _ids(root: str, task: str | None) -> list[str]:
    return [str(record["run_id"]) for record in records.read_all(root, task)][-_RECENT:]
