"""Why a run ended before its end: the causes in sentences, the node, the last lines of its log."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.report.privacy import Privacy
from pipeline.report.sources import Run

_LINES = 40
_WIDTH = 400
_READ = 64 * 1024
_CAUSES = 100
_SETTING = re.compile(r"^\s*(export |declare -x )?[A-Z][A-Z0-9_]{2,}=|environ\(")
_GATE = "DataGate"


def causes(run: Run) -> list[str]:
    """What stopped the run, a sentence each; no values of sensitive columns."""
    record = run.record
    if record["outcome"] in ("pushed", "partial", "not_blessed"):
        return []
    stopped = [entry for entry in record.get("findings", ()) if entry["severity"] == "fail"]
    if record["outcome"] == "data_blocked" and stopped:
        return [shown(run, entry) for entry in stopped[:_CAUSES]]
    if Privacy(run.task).any:
        return ["The reason is not shown, as it may hold values of sensitive columns; it is in run.json."]
    lines = [line.strip().removeprefix("- ") for line in (record["reason"] or "").splitlines()]
    return [line for line in lines if line and not line.startswith("Its log:")][:_CAUSES]


def shown(run: Run, finding: Mapping[str, Any]) -> str:
    """A finding's sentence; without the values where its column is sensitive, or the task is not known."""
    check, column = finding.get("check", ""), finding.get("feature")
    privacy = Privacy(run.task)
    if not privacy.hides_finding(check, column):
        return str(finding["message"])
    where = f" in {finding['rows']:,} of {finding['total']:,} rows" if finding.get("rows") else ""
    why = "it is sensitive" if run.task else "the task can't be loaded, so its sensitive columns are not known"
    return f"{column or 'the data'}: {check}{where}. Values are not shown: {why}."


def node_of(record: Mapping[str, Any]) -> str | None:
    """The node that ended the run: the first that was blocked, or else the first that failed."""
    for state in ("blocked", "failed"):
        for name, node in record["nodes"].items():
            if node["state"] == state:
                return name
    return None


def ended(record: Mapping[str, Any]) -> str | None:
    """Where the run ended before the push, in a sentence; None where it went to its end."""
    node = node_of(record)
    if record["outcome"] == "data_blocked":
        return f"The run stopped at {'the data gate' if node in (None, _GATE) else node}: there is no model."
    if record["outcome"] == "partial":
        return f"The run {record['reason'].rstrip('.')}."
    if record["outcome"] == "failed":
        return f"The run failed at {node}." if node else "The run was stopped before it ended."
    return None


def failure(run: Run) -> dict[str, Any] | None:
    """The failed node and the end of its log; None where no node failed."""
    node = node_of(run.record)
    if run.record["outcome"] != "failed" or node is None:
        return None
    log = run.folder / "logs" / f"{node}.log"
    secret = Privacy(run.task).any
    lines = [] if secret else tail(log)
    return {"node": node, "log": lines, "path": str(log), "hidden": secret}


def tail(log: Path) -> list[str]:
    """The last lines of a log, shortened; without lines that set or list environment variables."""
    if not log.is_file():
        return []
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _READ))
        text = stream.read().decode("utf-8", "replace")
    lines = [line[:_WIDTH] + ("…" if len(line) > _WIDTH else "") for line in text.splitlines() if line.strip()]
    return [line for line in lines if not _SETTING.search(line)][-_LINES:]
