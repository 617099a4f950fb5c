"""What TFDV finds against the schema, as findings."""

from collections.abc import Iterator
from typing import TypeAlias

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data_checks import distance
from components.data_checks.facts import Facts, columns_of
from components.data_checks.findings import Finding, Report, finding, schema_snippet

_Reason: TypeAlias = anomalies_pb2.AnomalyInfo.Reason
_Type = anomalies_pb2.AnomalyInfo
_FEW_VALUES = (_Type.FEATURE_TYPE_LOW_FRACTION_PRESENT, _Type.FEATURE_TYPE_LOW_NUMBER_PRESENT)
_GONE = (_Type.SCHEMA_MISSING_COLUMN, _Type.FEATURE_TYPE_NOT_PRESENT, _Type.FEATURE_TYPE_NO_VALUES)


def empty_splits(facts: Facts) -> Report:
    """Splits without rows."""
    return Report(
        tuple(
            finding(
                "empty_split",
                "rows",
                "none",
                split=split,
                next="give more data, or other parts in the task's `split`; the quarantine tells of rows kept out",
            )
            for split, dataset in facts.statistics.items()
            if not dataset.num_examples
        )
    )


def schema_anomalies(facts: Facts) -> Report:
    """A finding for each reason; one that holds in several splits is told once."""
    told: dict[tuple[str, str, int], Finding] = {}
    for split, anomalies in facts.anomalies.items():
        if not facts.statistics[split].num_examples:
            continue
        for found, kind in _of_split(facts, split, anomalies):
            told.setdefault((found.check, found.feature or "", kind), found)
    return Report((*told.values(), *_columns_of_account(facts, {(f.check, f.feature) for f in told.values()})))


def _of_split(facts: Facts, split: str, anomalies: anomalies_pb2.Anomalies) -> Iterator[tuple[Finding, int]]:
    total = int(facts.statistics[split].num_examples)
    for name, info in sorted(anomalies.anomaly_info.items()):
        column = info.path.step[0] if info.path.step else name
        for reason in info.reason or [_Reason(short_description=info.short_description, description=info.description)]:
            yield _finding(facts, split, column, reason, total), reason.type
    if anomalies.HasField("dataset_anomaly_info"):
        described = anomalies.dataset_anomaly_info.description
        next_step = schema_snippet(facts.task.name)
        yield finding("schema", "what the schema says", described, split=split, total=total, next=next_step), 0


def _finding(facts: Facts, split: str, column: str, reason: _Reason, total: int) -> Finding:
    statistics = columns_of(facts.statistics[split]).get(column)
    accept = schema_snippet(facts.task.name)
    if reason.type == _Type.SCHEMA_NEW_COLUMN:
        return _new_column(column, split, facts)
    if reason.type in _GONE:
        return _missing_column(column, split, facts)
    expected, received, rows = "what the schema says", f"{reason.short_description}: {reason.description}", 0
    if reason.type in _FEW_VALUES and statistics is not None:
        values, rows = distance.rows_of(statistics)
        presence = next(f.presence for f in facts.schema.feature if f.name == column)
        expected = f"a value in at least {presence.min_fraction:.1%} of the rows"
        received = f"in {values / max(values + rows, 1):.1%}"
    return finding("schema", expected, received, feature=column, split=split, rows=rows, total=total, next=accept)


def _columns_of_account(facts: Facts, told: set[tuple[str, str | None]]) -> Iterator[Finding]:
    """Columns that some files have too much or lack, which the statistics of all files together may hide."""
    for entry in facts.account.get("missing_columns", ()):
        found = _missing_column(entry["column"], None, facts, f"the file {entry['file']} lacks it")
        if (found.check, found.feature) not in told:
            yield found
    for entry in facts.account.get("new_columns", ()):
        if ("new_column", entry["column"]) not in told:
            yield _new_column(entry["column"], None, facts)


def _missing_column(column: str, split: str | None, facts: Facts, received: str = "no value in any row") -> Finding:
    role = facts.task.columns.get(column)
    total = int(facts.statistics[split].num_examples) if split else facts.rows
    return finding(
        "missing_column" if role else "unread_column",
        f"the column, {role}" if role else "the column, which the schema has and the task does not read",
        received,
        feature=column,
        split=split,
        rows=total if split else 0,
        total=total,
        next=("take it out of the task, or mend the data" if role else schema_snippet(facts.task.name)),
    )


def _new_column(column: str, split: str | None, facts: Facts) -> Finding:
    entries = [entry for entry in facts.account.get("new_columns", ()) if entry["column"] == column]
    values = next((entry.get("examples") or entry.get("values") or () for entry in entries), ())
    return finding(
        "new_column",
        "only columns that the schema has",
        "a new one",
        feature=column,
        split=split,
        total=int(facts.statistics[split].num_examples) if split else facts.rows,
        examples=[repr(value) for value in values],
        next=schema_snippet(facts.task.name),
    )
