"""The record of a run, `run.json`: as it begins, and what its results come to."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError
from pipeline.runners import environment, records
from pipeline.task import Task


def begun(config: RunConfig, task: Task, run_id: str, resumed_from: str | None = None) -> dict[str, Any]:
    """The record of a run that has not ended; it stays so where the run is killed."""
    return {
        "run_id": run_id,
        "task": task.name,
        "outcome": "failed",
        "exit_code": int(ExitCode.FAILED),
        "reason": f"the run was killed before it ended. Next: {records.resume_command(config)}",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "nodes": {},
        "metrics": {},
        "baseline": {},
        "slices": {},
        "gates": [],
        "intervals": {},
        "undefined": {},
        "compared": None,
        "fairness": {},
        "blessed": None,
        "forced": None,
        "pushed": None,
        "rows": None,
        "spans": [],
        "findings": [],
        "warm_start": None,
        "tuned": None,
        "tuning": None,
        "serving": None,
        "predictions": None,
        "withheld": None,
        "refused": None,
        "artifacts": {},
        "report": None,
        "config": asdict(config) | {"mirror": None},
        "environment": environment.describe(task),
        "resumed_from": resumed_from,
    }


def judged(config: RunConfig, record: dict[str, Any]) -> tuple[ExitCode, str, str | None]:
    """Exit code, outcome and reason of a run in which every node that ran ended well.

    Raises:
      MillraceError: no reason can be told why nothing was pushed.
    """
    if record["blessed"] is False:
        failed = [gate["reason"] for gate in record["gates"] if not gate["passed"]]
        return ExitCode.NOT_BLESSED, "not_blessed", "\n".join(failed) or "TFMA did not bless the model"
    refused = [record["refused"]] if record["refused"] else []
    refused += [
        f"{check['name']}: {check['reason']}"
        for check in (record["serving"] or {}).get("checks", ())
        if not check["passed"]
    ]
    if refused:
        return ExitCode.SERVING_BLOCKED, "serving_blocked", "\n".join(refused)
    if record["withheld"]:
        return ExitCode.NOT_BLESSED, "not_blessed", record["withheld"]
    if record["pushed"]:
        return ExitCode.PUSHED, "pushed", None
    if config.to_nodes:
        return ExitCode.PUSHED, "partial", f"ended before the push, as --to {' '.join(config.to_nodes)} asks"
    raise MillraceError("every node ended well, but no model was pushed; this is a defect of Millrace")
