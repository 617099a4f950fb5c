"""The exit handler: whatever became of the steps, run.json says it, there is a report, and whoever asked is told.

It ends with the run's own exit code, so that a run which pushed nothing is red, for the cluster and for who waits for it.
"""

import contextlib
import json
import logging
import os
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import mirrored
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, MillraceError
from pipeline.kubeflow import start
from pipeline.kubeflow.node import state_of
from pipeline.remote.mirror import Mirror
from pipeline.runners import account, processes, records, remote_root, reporting

NODE = "finish"
_ENDED_WELL = ("done", "cached")
_NOTIFY_SECONDS = 20
_AFTER_PUSH = "BulkInferrer"


def run(config: RunConfig, job: str, nodes: Sequence[str], notify: str | None) -> dict[str, Any]:
    """Ends the run of a job.

    Args:
      config: of the run; with a mirror.
      job: its id.
      nodes: of the pipeline, in order.
      notify: name of the environment variable with the address that the outcome is posted to, or None.

    Returns:
      The record, as in run.json, with the report's place in the bucket.
    """
    mirror = Mirror.of(config)
    run_id = start.run_of(mirror, job)
    if run_id is None:
        with contextlib.suppress(MillraceError):
            start.run(config, job, {})
        run_id = start.run_of(mirror, job)
        if run_id is None:
            raise MillraceError(f"finish: no run of job {job} can be made in {mirror.url}. Next: see the log above")
        mirror.drop(state_of(run_id, start.NODE))
    folder = config.home / "runs" / run_id
    mirror.fetch(f"runs/{run_id}")
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    states = _states(folder)
    record = account.begun(config, start.task_of(config), run_id)
    begun = mirror.read(f"runs/{run_id}/run.json") or {}
    record |= {key: begun[key] for key in ("started", "job") if key in begun}
    log = folder / "logs" / "millrace.log"
    processes.warm_up(log)
    record |= processes.call(_collect, config, run_id, log=log)
    code, outcome, reason = _judged(config, record, nodes, states, folder)
    began = datetime.fromisoformat(record["started"])
    record |= {
        "outcome": outcome,
        "exit_code": int(code),
        "reason": reason,
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 3),
        "nodes": {node: _node(states.get(node)) for node in nodes},
    }
    records.write(folder, record)
    remote_root.bring_records(mirror)
    reporting.add(folder, record)
    remote_root.end(config, folder)
    named: dict[str, Any] = json.loads(mirror.named(json.dumps(record)))
    if notify:
        _tell(notify, named)
    return named


def _collect(config: RunConfig, run_id: str) -> dict[str, Any]:
    """In the child: what the artifacts hold, once they are here."""
    from pipeline.runners import results

    mirrored.stand_in(config.root, config.mirror)
    mirror = Mirror.of(config)
    mirror.metadata()
    mirror.serving()
    remote_root.bring_results(config, run_id)
    return results.collect(config, run_id)


def _states(folder: Path) -> dict[str, dict[str, Any]]:
    """Node -> how it stands, of those that began."""
    found = [json.loads(path.read_text("utf-8")) for path in (folder / "nodes").glob("*.json")]
    return {state["node"]: state for state in found}


def _node(state: dict[str, Any] | None) -> dict[str, Any]:
    """As in run.json."""
    if state is None:
        return {"state": "not_run", "seconds": 0.0, "cached": False, "peak_mb": 0, "cpu_seconds": 0.0}
    ended = "failed" if state["state"] == "running" else state["state"]
    return {
        "state": ended,
        "seconds": state.get("seconds", 0.0),
        "cached": ended == "cached",
        "peak_mb": state.get("peak_mb", 0),
        "cpu_seconds": state.get("cpu_seconds", 0.0),
    }


def _judged(
    config: RunConfig,
    record: dict[str, Any],
    nodes: Sequence[str],
    states: dict[str, dict[str, Any]],
    folder: Path,
) -> tuple[ExitCode, str, str | None]:
    """Exit code, outcome and reason."""
    begun = [states[node] for node in (start.NODE, *nodes) if node in states]
    blocked = next((state for state in begun if state["exit_code"] == ExitCode.DATA_BLOCKED), None)
    failed = blocked or next((state for state in begun if state["state"] not in _ENDED_WELL), None)
    if failed:
        code = ExitCode(failed["exit_code"] or ExitCode.FAILED)
        why = failed["error"] or (
            "its container was ended before it could say why; it may have run out of memory. "
            "Next: look at the step's pod or at its log in the console, and give it more memory"
        )
        log = folder / "logs" / f"{failed['node']}.log"
        reason = why if blocked else f"{failed['node']} failed: {why}\nIts log: {log}"
        return code, records.OUTCOMES.get(code, "failed"), reason
    missing = [node for node in nodes if node not in states]
    if missing == [_AFTER_PUSH] and not record["pushed"]:
        missing = []  # it has no step where there is nothing to answer with
    if missing:
        return (
            ExitCode.FAILED,
            "failed",
            f"{', '.join(missing)}: never began. The cluster could not start a step, or the job was cancelled. "
            "Next: look at the job's events: an image that can't be pulled and resources that no machine has are usual",
        )
    return account.judged(config, record)


def _tell(variable: str, record: dict[str, Any]) -> None:
    """Posts the outcome; that it could not be posted changes nothing but the log."""
    address = os.environ.get(variable, "")
    text = f"{record['task']}: {record['outcome']} (exit code {record['exit_code']}), run {record['run_id']}"
    keys = ("task", "run_id", "outcome", "exit_code", "reason", "metrics", "pushed", "report", "job")
    body = {"text": f"{text}\n{record['reason'] or ''}".strip(), **{key: record.get(key) for key in keys}}
    if not address.startswith(("https://", "http://")):
        logging.warning("notify: the variable %s holds no http address; nobody was told", variable)
        return
    for attempt in range(3):
        try:
            request = urllib.request.Request(  # noqa: S310
                address, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=_NOTIFY_SECONDS):  # noqa: S310
                return
        except (OSError, ValueError) as error:
            # The address is a secret: errors of urllib do not hold it, and it is not named here.
            logging.warning("notify: attempt %d of 3 failed: %s", attempt + 1, type(error).__name__)
            time.sleep(attempt)
