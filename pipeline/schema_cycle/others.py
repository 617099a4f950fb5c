"""What keeps rows or runs back that no change of the schema settles, each with its next step."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pipeline.schema_cycle.evidence import Evidence
from pipeline.schema_cycle.words import quoted
from pipeline.task import Task

_NEXT = {
    "parse": "mend the file, or the dialect of the source in pipeline/tasks/{task}.py",
    "type": "mend the data; or change type and feature by hand, if the column holds something else now",
    "finite": "mend the data: no model learns from infinity",
    "single": "write one value a row, or take value_count max away by hand",
    "unique": "mend the data, or review RowRules(key=…) in pipeline/tasks/{task}.py",
    "rule": "mend the data, or review RowRules(rules=…) in pipeline/tasks/{task}.py",
}
_TOLD_ELSEWHERE = {"accounting", "bad_rows", "quarantined_rows"}
"""Checks whose findings are about the quarantine, which is told row by row."""


def others(task: Task, evidence: Evidence, settled: Collection[tuple[str, str]]) -> Iterator[Mapping[str, Any]]:
    """Each has what, rows, example and next.

    Args:
      task: for the next steps.
      evidence: of the run.
      settled: (column, kind) of each change that is proposed.
    """
    for offence in evidence.offences.values():
        if offence.rule in ("type", "finite", "single") and (offence.column, offence.rule) not in settled:
            value, _ = offence.values.most_common(1)[0] if offence.values else ("", 0)
            place = next(iter(offence.places.get(value, ())), "")
            wrong = {
                "type": "no value of the schema's type",
                "finite": "not a finite number",
                "single": "more than one",
            }
            yield _entry(
                task,
                offence.rule,
                f"{offence.column}: {wrong[offence.rule]}",
                offence.rows,
                f"{quoted(value)} at {place}",
            )
    for entry in evidence.account.get("rules", ()):
        if entry["rule"] in ("parse", "unique", "rule"):
            first: Mapping[str, Any] = next(iter(entry.get("examples", ())), {})
            value = quoted(str(first.get("value")))
            place = f"{value} at {first.get('file')}:{first.get('line')}" if first else ""
            column = f"{entry['column']}: " if entry.get("column") else ""
            yield _entry(task, entry["rule"], f"{column}{entry['message']}", entry["rows"], place)
    columns = {column for column, _ in settled}
    for finding in evidence.findings:
        stops = finding.get("severity") == "fail" and not finding.get("waiver")
        if stops and finding.get("check") not in _TOLD_ELSEWHERE and finding.get("feature") not in columns:
            yield {
                "what": f"{finding['check']}: {finding['message']}",
                "rows": finding.get("rows", 0),
                "example": "",
                "next": finding.get("next", ""),
            }


def _entry(task: Task, rule: str, what: str, rows: int, example: str) -> dict[str, Any]:
    return {"what": what, "rows": rows, "example": example, "next": _NEXT[rule].format(task=task.name)}
