"""`millrace rollback` and `millrace history`: go back to an earlier version, and see what was served when and why.

millrace history --task taxi_tips
millrace rollback --task taxi_tips --reason "tips of airport trips are far too low"
millrace rollback --task taxi_tips --to 1795242245
"""

import shlex
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest
from pipeline.push import history as histories
from pipeline.push import load_check, targets, versions
from pipeline.push import rollback as rollbacks
from pipeline.push.settings import target_of
from pipeline.push.versions import Places
from pipeline.runners import processes, records, remote_root
from pipeline.terminal import console, print_json, print_rows

_TaskName = Annotated[str, typer.Option(help="Of this task.")]
_Root = Annotated[str, typer.Option(help="Folder of all runs, models and metadata.")]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def rollback(
    task: _TaskName = "taxi_tips",
    root: _Root = "runs",
    to: Annotated[
        int | None, typer.Option(min=1, metavar="VERSION", help="The version to serve; default the one before.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the history.")] = None,
    json: _Json = False,
) -> None:
    """Serves an earlier version again, if it loads; what it replaces is withdrawn, and not pushed again by itself."""
    remote_root.brought(root, task, "serving")
    config = remote_root.config_of(task, root)
    places = _places(config)
    with records.locked(config), remote_root.pushing(config):
        records.wait_for_workers(config.home)
        try:
            histories.recover(places)
            versions.clean(places)
            done = _move(places, to, reason)
        except OSError as error:
            raise records.unwritable(config, error) from error
        served = int(done["version"]) if done else int(to or 0)
        again = f"millrace rollback --task {task} --root {shlex.quote(root)} --to {served}"
        targets.deliver(places, _targets(places), served, None, again)
    if json:
        print_json(done or {"action": "delivered", "version": str(served)})
        return
    say = console().print
    if done:
        gone = ", ".join(done["withdrawn"])
        rest = f"{gone} is withdrawn" if gone else f"{done['previous']} was served before"
        say(Text(f"Rolled back: {task} serves version {served} again; {rest}"), soft_wrap=True)
        say(Text("Servers take it at their next look at the folder"), soft_wrap=True)
    else:
        say(Text(f"version {served} is served already; every other target serves it too"), soft_wrap=True)


def history(task: _TaskName = "taxi_tips", root: _Root = "runs", json: _Json = False) -> None:
    """Shows what was served when and why, oldest first, and what is served now."""
    remote_root.brought(root, task, "serving")
    places = _places(remote_root.config_of(task, root))
    events = [{**entry, "now": histories.state(places, entry["version"])} for entry in histories.read(places)]
    served = places.served()
    if json:
        path = str(places.watched / str(served)) if served else None
        print_json({"task": task, "served": str(served) if served else None, "path": path, "history": events})
        return
    print_rows([_row(entry) for entry in events], as_json=False)
    last = f"{served} ({places.watched / str(served)})" if served else "nothing"
    console().print(Text(f"\nserved now: {last}"), soft_wrap=True)


def _move(places: Places, to: int | None, reason: str | None) -> histories.Event | None:
    """The rollback; None where the version is served already and there are targets to bring to it."""
    if to is not None and to == places.served() and histories.delivered_to(places):
        return None
    return rollbacks.roll_back(places, rollbacks.plan(places, to), reason, _check)


def _check(folder: Path) -> None:
    """Loads a version in a process of its own: one that makes TensorFlow crash is refused like any other.

    Raises:
      MillraceError: it does not load, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-") as logs:
        processes.call(load_check.check, folder, log=Path(logs) / "load.log")


def _targets(places: Places) -> list[Any]:
    """Where versions have been delivered to, as the history knows."""
    return [target_of(values) for values in histories.delivered_to(places)]


def _row(entry: histories.Event) -> dict[str, Any]:
    """An event, for people."""
    withdrawn = ", ".join(entry.get("withdrawn", ()))
    what = f"withdrew {withdrawn}" if withdrawn else str(entry["target"]["kind"]) if "target" in entry else ""
    told = [what, entry["reason"] or "", f"{entry['verdicts']} verdicts" if entry.get("verdicts") else ""]
    return {
        "time": entry["time"],
        "action": entry["action"] + (" (forced)" if entry["forced"] else ""),
        "version": entry["version"],
        "before": entry["previous"] or "",
        "why": "; ".join(filter(None, told)),
        "by": entry["by"] or "",
        "run": entry["run_id"] or "",
        "now": entry["now"],
    }


def _places(config: RunConfig) -> Places:
    """The folders of a task that was pushed at least once.

    Raises:
      UsageError: nothing was.
    """
    places = Places(config.serving)
    if not places.watched.is_dir() and not places.history.is_file():
        pushed = sorted(folder.parent.name for folder in config.home.parent.glob("*/serving") if folder.is_dir())
        raise UsageError(
            f"--task: nothing of {config.task!r} was pushed in {config.root}.{nearest(config.task, pushed)} "
            f"Next: millrace run --task {config.task}"
        )
    return places
