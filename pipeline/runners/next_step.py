"""What to do after a run, and where its things are: for the summary on the terminal and for the report."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline import mirrored
from pipeline.config import RunConfig
from pipeline.runners.records import resume_command


@dataclass(frozen=True)
class NextStep:
    """A sentence around a command.

    Attributes:
      before: what to do first; may be all there is.
      command: to be copied, or "".
      after: what the command does, or "".
    """

    before: str = ""
    command: str = ""
    after: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.before, self.command, self.after)))


def next_step(record: Mapping[str, Any]) -> NextStep:
    """The next step after a run."""
    task, config = record["task"], _config(record)
    if record.get("withheld"):
        return NextStep(
            command=f"millrace rollback --task {task} --root {shlex.quote(config.root)} --to VERSION",
            after="serves it again; another model is promoted as usual",
        )
    return {
        "pushed": NextStep(command=f"millrace serve {task} --root {shlex.quote(config.root)}"),
        "partial": NextStep("the same command without --to runs the rest:", run_command(config)),
        "data_blocked": NextStep(
            "mend the data and run again; each cause says what to do where the data is right:", run_command(config)
        ),
        "not_blessed": NextStep(
            f"improve the model (its settings and the task are in pipeline/tasks/{task}.py, the slices in which it is weak "
            "in the report) or review the gates, and run again with what has changed:",
            run_command(config),
        ),
        "serving_blocked": NextStep(
            f"mend the model or its export, or review `serving` in pipeline/tasks/{task}.py, and run again; the "
            "server's log is in the folder of the artifact of ServingCheck:",
            run_command(config),
        ),
        "failed": NextStep("see the logs; then", resume_command(config)),
    }[record["outcome"]]


def _config(record: Mapping[str, Any]) -> RunConfig:
    """What the run was told, as far as this version knows it."""
    known = {field.name for field in fields(RunConfig)}
    return RunConfig(**{key: value for key, value in record["config"].items() if key in known})


def run_command(config: RunConfig) -> str:
    """The command that runs the same again, less `--to` and what is to be done only once."""
    words = ["millrace", "run", "--task", config.task, "--root", config.root]
    for flag, value in (
        ("--data", config.data),
        ("--serving-log", config.serving_log),
        ("--predict", config.predict),
        ("--predict-out", config.predict_out),
    ):
        words += [flag, value] if value else []
    words += [] if config.span is None else ["--span", str(config.span)]
    words += ["--window", str(config.window)] if config.window > 1 else []
    words += [word for value in config.overrides for word in ("--set", value)]
    words += ["--tune"] if config.tune else []
    words += [] if config.tuned else ["--no-tuned"]
    return shlex.join(words)


def places(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the model, the bad rows, the logs and the report of a run are."""
    home = mirrored.local(f"{record['config']['root'].rstrip('/')}/{record['task']}")
    found = []
    if record["pushed"]:
        found.append(("model", f"{record['pushed']['path']} (version {record['pushed']['version']})"))
    if record["nodes"]:
        if (record.get("rows") or {}).get("quarantined"):
            found.append(("bad rows", str(Path(record["artifacts"]["quarantine"]) / "rows.csv")))
        found.append(("logs", str(home / "runs" / record["run_id"] / "logs")))
    if record.get("report"):
        found.append(("report", record["report"]))
    return found
