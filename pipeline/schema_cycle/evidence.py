"""What a run left about its data: quarantined rows, the account of all rows, statistics of each split, findings.

The quarantined rows are checked once more, by the ingest's own rules and against the present schema: so all of a row's
faults count, not only the one that it was quarantined for, and what was accepted since is not told again.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.errors import UsageError
from pipeline.ingest import rules, typed
from pipeline.ingest.columns import Column

_EXAMPLES = 3
_ROWS = 10_000


@dataclass
class Offence:
    """Quarantined rows in which one column breaks one rule of the schema.

    Attributes:
      column: its name.
      rule: type, required, domain, range, …
      rows: how many.
      values: value as text -> rows; a missing one is not in it.
      places: value -> its first places, each `file:line`; "" is the missing value's.
    """

    column: str
    rule: str
    rows: int = 0
    values: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, value: str | None, place: str) -> None:
        """Counts a row."""
        self.rows += 1
        if value is not None:
            self.values[value] += 1
        shown = self.places.setdefault(value or "", [])
        if len(shown) < _EXAMPLES:
            shown.append(place)


@dataclass
class ColumnStatistics:
    """What the statistics say of a column, all splits together.

    Attributes:
      present: split -> rows that have a value.
      values: value -> rows, of the most frequent values of a column of text.
      distinct: how many different values a split has at most.
    """

    present: dict[str, int] = field(default_factory=dict)
    values: Counter[str] = field(default_factory=Counter)
    distinct: int = 0


@dataclass(frozen=True)
class Evidence:
    """A run's data.

    Attributes:
      account: as in account.json; empty where the run has none.
      offences: (column, rule) -> what breaks the schema.
      splits: split -> rows; empty where the run has no statistics.
      columns: column -> its statistics.
      findings: as in findings.json.
    """

    account: Mapping[str, Any]
    offences: Mapping[tuple[str, str], Offence]
    splits: Mapping[str, int]
    columns: Mapping[str, ColumnStatistics]
    findings: list[Mapping[str, Any]]

    @property
    def rows(self) -> int:
        """All rows that came in."""
        return int(self.account.get("rows") or sum(self.splits.values()))


def has_data(record: Mapping[str, Any]) -> bool:
    """Whether a run, by its run.json, left anything to look at."""
    artifacts = record.get("artifacts") or {}
    return any(artifacts.get(name) for name in ("quarantine", "statistics"))


def gather(record: Mapping[str, Any], columns: Mapping[str, Column]) -> Evidence:
    """Reads what a run left.

    Args:
      record: its run.json; `artifacts` holds the folders.
      columns: what the present schema demands.

    Raises:
      UsageError: the run has no data, or its files are gone or broken.
    """
    uris: Mapping[str, str] = {k: v for k, v in (record.get("artifacts") or {}).items() if v}
    run = record["run_id"]
    if not has_data(record):
        raise UsageError(
            f"run {run} left no data to look at: it ended ({record['outcome']}) before its rows were read. "
            "Next: run again, or name another run with --run"
        )
    try:
        account = _json(_folder(uris["quarantine"]) / "account.json") if "quarantine" in uris else {}
        rows = _folder(uris["quarantine"]) / "rows.parquet" if "quarantine" in uris else None
        offences = _offences(rows, columns) if rows is not None else {}
        splits, found = _statistics(_folder(uris["statistics"])) if "statistics" in uris else ({}, {})
        findings = _json(_folder(uris["findings"]) / "findings.json") if "findings" in uris else {}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, DecodeError) as error:
        raise UsageError(
            f"run {run}: what it left can't be read: {error}. Next: run again with --no-cache, or name another --run"
        ) from error
    return Evidence(account, offences, splits, found, list(findings.get("findings", ())))


def _folder(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return content


def _offences(path: Path, columns: Mapping[str, Column]) -> dict[tuple[str, str], Offence]:
    """Checks the quarantined rows again, 10,000 at a time."""
    found: dict[tuple[str, str], Offence] = {}
    again = {name: column for name, column in columns.items() if column.single}
    stored = pq.ParquetFile(path)
    wanted = ["file", "line", "column", "value", "rule", "row"]
    for batch in stored.iter_batches(_ROWS, columns=wanted) if stored.num_row_groups else ():
        rows = [row | {"values": _row(row["row"])} for row in batch.to_pylist() if row["rule"] != "parse"]
        whole = [row for row in rows if row["values"] is not None]
        for column, rule, value, row in _faults(again, whole):
            _note(found, column, rule, value, row)
        for row in rows:  # the text of a list does not tell its values
            if row["column"] in columns and (row["values"] is None or row["column"] not in again):
                _note(found, row["column"], row["rule"], row["value"], row)
    return found


def _note(
    found: dict[tuple[str, str], Offence], column: str, rule: str, value: str | None, row: Mapping[str, Any]
) -> None:
    if (column, rule) not in found:
        found[column, rule] = Offence(column, rule)
    found[column, rule].add(value, f"{row['file']}:{row['line']}")


def _faults(
    columns: Mapping[str, Column], rows: list[dict[str, Any]]
) -> Iterator[tuple[str, str, str | None, dict[str, Any]]]:
    """Column, rule, value and row of each fault."""
    for name, column in columns.items():
        texts = [_text(row["values"].get(name)) for row in rows]
        values, misfits = typed.cast(pa.array(texts, pa.string()), column.kind)
        faults = [("type", misfits)]
        faults += [(f.rule, f.rows & ~misfits) for f in rules.faults({name: values}, {name: column}, ())]
        for rule, hit in faults:
            for index in np.flatnonzero(hit):
                yield name, rule, texts[index], rows[index]


def _row(text: str | None) -> dict[str, Any] | None:
    """Column -> value of a row that is a JSON object, else None."""
    try:
        row = json.loads(text or "")
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _text(value: object) -> str | None:
    """A value as a text file has it."""
    if value is None or value == "":
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)


def _statistics(folder: Path) -> tuple[dict[str, int], dict[str, ColumnStatistics]]:
    """Rows of each split, and the statistics of each column."""
    splits: dict[str, int] = {}
    columns: dict[str, ColumnStatistics] = {}
    for file in sorted(folder.glob("Split-*/FeatureStats.pb")):
        split = file.parent.name.removeprefix("Split-")
        (dataset, *_) = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets
        splits[split] = int(dataset.num_examples)
        for feature in dataset.features:
            name = feature.name or ".".join(feature.path.step)
            column = columns.setdefault(name, ColumnStatistics())
            kind = feature.WhichOneof("stats")
            column.present[split] = int(getattr(feature, kind).common_stats.num_non_missing) if kind else 0
            for bucket in feature.string_stats.rank_histogram.buckets:
                if bucket.low_rank == bucket.high_rank:
                    column.values[bucket.label] += int(bucket.sample_count)
            column.distinct = max(column.distinct, int(feature.string_stats.unique))
    if not splits:
        raise ValueError(f"no FeatureStats.pb in {folder}")
    return splits, columns
