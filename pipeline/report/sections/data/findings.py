"""What the checks found, each with the rows that it is about and the next step."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from components.data_checks.findings import DAY
from components.data_gate.executor import with_root
from pipeline.checks import DEFAULT_LEVELS
from pipeline.report.sections.data.facts import Facts, day_of
from pipeline.report.values import share, step, text

Kind: TypeAlias = tuple[str, str | None, str]
_EXAMPLES = 5
_LOOKED_AT = 200_000
_ROW_CHECKS = ("bad_rows", "quarantined_rows")
_COLUMNS = ["file", "line", "column", "value", "rule", "message", "row"]


def collect(facts: Facts) -> list[dict[str, Any]] | None:
    """The findings, the gravest first; None where no check ran."""
    if facts.findings is None:
        return None
    order = {check: at for at, check in enumerate(DEFAULT_LEVELS)}
    found = sorted(
        facts.findings,
        key=lambda f: (("fail", "warn", "ignore").index(f["severity"]), order.get(f["check"], len(order)), -f["rows"]),
    )
    rules = _rules(facts) if any(f["check"] in _ROW_CHECKS for f in found) else []
    return [_told(facts, entry, rules) for entry in found]


def levels(found: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """How many findings stop the run, are waived, warn and are ignored."""
    kinds = Counter("waived" if entry["waiver"] else entry["severity"] for entry in found or ())
    told = {"fail": "stop the run", "waived": "waived", "warn": "warn", "ignore": "are ignored"}
    return [
        {"severity": "warn" if kind == "waived" else kind, "said": said, "count": kinds[kind]}
        for kind, said in told.items()
    ]


def quarantine(facts: Facts) -> dict[str, Any] | None:
    """Where the rows are that were kept out, and how many for each rule; None where there are none."""
    if not facts.account.get("quarantined"):
        return None
    folder = facts.run.uri("ExampleGen", "quarantine")
    return {"rows": facts.account["quarantined"], "folder": str(folder) if folder else None, "rules": _rules(facts)}


def waivers(facts: Facts) -> list[dict[str, Any]]:
    """The task's waivers, whether each held on the day of the run, and how many findings it let through."""
    if facts.run.task is None:
        return []
    day = day_of(facts.run).astimezone(UTC).date()
    used = Counter(
        (entry["check"], entry["feature"], entry["waiver"]["until"])
        for entry in facts.findings or ()
        if entry.get("waiver")
    )
    return [
        {
            "check": waiver.check,
            "feature": text(waiver.feature),
            "reason": text(waiver.reason),
            "until": waiver.until,
            "held": waiver.holds(day),
            "findings": sum(
                rows for (check, feature, until), rows in used.items()
                if waiver.covers(check, feature) and until == waiver.until
            ),
        }
        for waiver in facts.run.task.checks.waivers
    ]  # fmt: skip


def _told(facts: Facts, entry: Mapping[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any]:
    hidden = facts.privacy.hides_finding(entry["check"], entry["feature"])
    rows = next((rule for rule in rules if _same(entry, rule)), None) if entry["check"] in _ROW_CHECKS else None
    hidden = hidden or bool(rows and rows["withheld"])
    root = str(facts.run.home.parent)
    return {
        "check": entry["check"],
        "severity": entry["severity"],
        "feature": text(entry["feature"]),
        "split": entry["split"],
        "rows": entry["rows"],
        "total": entry["total"],
        "share": share(entry["rows"], entry["total"]) if entry["rows"] else None,
        "withheld": hidden,
        "expected": None if hidden else text(entry["expected"]),
        "received": None if hidden or rows else text(entry["received"]),
        "examples": [] if hidden or rows else [text(example) for example in entry["examples"]],
        "bad_rows": rows["examples"] if rows else [],
        "next": step(with_root(entry["next"], root), str(facts.run.record.get("started") or ""), DAY),
        "waiver": {key: text(value) for key, value in entry["waiver"].items()} if entry["waiver"] else None,
    }


def _same(entry: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Whether a finding is about a rule of the account, see components/data_checks/rows.py."""
    return (entry["feature"], entry["rows"]) == (rule["column"], rule["rows"]) and (
        rule["message"] is None or text(entry["expected"]) == _expected(rule["message"])
    )


def _expected(message: str) -> str:
    return message.removeprefix("expected ").partition(". Received")[0]


def _rules(facts: Facts) -> list[dict[str, Any]]:
    """The broken rules of the account, each with the first five rows that break it."""
    entries = facts.account.get("rules", ())
    folder = facts.run.uri("ExampleGen", "quarantine")
    wanted = {_kind(e["rule"], e["column"], e["message"]): min(int(e["rows"]), _EXAMPLES) for e in entries}
    rows = _rows(folder / "rows.parquet", wanted) if folder else {}
    told = []
    for entry in entries:
        hidden = facts.privacy.hides_rule(entry["rule"], entry["column"])
        places = rows.get(_kind(entry["rule"], entry["column"], entry["message"])) or entry["examples"]
        told.append(
            {
                "rule": entry["rule"],
                "column": text(entry["column"]),
                "message": None if hidden else text(entry["message"]),
                "rows": entry["rows"],
                "withheld": hidden,
                "examples": [
                    {
                        "file": text(place["file"]),
                        "line": place["line"],
                        "value": None if hidden else text(place["value"], 300),
                    }
                    for place in places[:_EXAMPLES]
                ],
            }
        )
    return told


def _rows(path: Path, wanted: Mapping[Kind, int]) -> dict[Kind, list[dict[str, Any]]]:
    """The first rows of each kind among the first 200,000 of the quarantine; none where the file can't be read."""
    found: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in wanted}
    try:
        for row in _read(path):
            examples = found.get(_kind(row["rule"], row["column"], row["message"]))
            if examples is not None and len(examples) < _EXAMPLES:
                value = row["row"] if row["rule"] == "parse" else row["value"]
                examples.append({"file": row["file"], "line": row["line"], "value": value})
                if all(len(found[kind]) >= rows for kind, rows in wanted.items()):
                    break
    except (OSError, pa.ArrowException):
        return {}
    return found


def _read(path: Path) -> Iterator[dict[str, Any]]:
    seen = 0
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            return
        for batch in file.iter_batches(8192, columns=_COLUMNS):
            yield from batch.to_pylist()
            seen += batch.num_rows
            if seen >= _LOOKED_AT:
                return


def _kind(rule: str, column: str | None, message: str) -> Kind:
    """What the account counts together: numbers in a message do not matter."""
    return rule, column, re.sub(r"\d[\d,]*", "#", message.partition(". Received")[0].partition(", received")[0])
