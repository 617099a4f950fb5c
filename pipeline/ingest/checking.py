"""The rows of one file, each checked: what passes as typed columns, what does not as rows for the quarantine."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataBlocked, hint, raise_all
from pipeline.ingest import hashing, images, quarantine, read, rules, typed
from pipeline.ingest.account import Account
from pipeline.ingest.batch import RawBatch
from pipeline.ingest.columns import Column
from pipeline.ingest.partition import Partition
from pipeline.rows import RowRules
from pipeline.sources import Source

_NOUNS = {"INT": "an integer", "FLOAT": "a number", "BYTES": "text"}


@dataclass(frozen=True)
class Unit:
    """A file to ingest.

    Attributes:
      path: of the file.
      index: its number among the files of the run, from 0, in the order in which rows count.
      span: its span, 0 where there are none.
      split: the split of all its rows, or None where each row has its own.
    """

    path: str
    index: int
    span: int = 0
    split: str | None = None


@dataclass(frozen=True)
class Job:
    """What is alike for all files of a run; plain values, so that it can be sent to a worker.

    Attributes:
      source: format and dialect.
      columns: what the schema demands, by column.
      needed: columns that the task reads, each with what it is there.
      rows: the task's rules.
      partition: how rows are divided.
      encoded: columns of encoded images, each of which must decode.
      others: whether the columns that the task does not read are checked and typed, too.
    """

    source: Source
    columns: Mapping[str, Column]
    needed: Mapping[str, str]
    rows: RowRules
    partition: Partition
    encoded: Sequence[images.Encoded] = ()
    others: bool = True

    @property
    def kinds(self) -> dict[str, str]:
        """Column -> INT, FLOAT or BYTES."""
        return {name: column.kind for name, column in self.columns.items()}


@dataclass(frozen=True)
class Judged:
    """The rows of a batch as they are in the file, and which of them passed.

    Attributes:
      columns: name -> typed column, sorted by name, shape [rows].
      keep: bool, shape [rows]: which rows passed.
      bad: rows for the quarantine, those of the batch that are no rows included.
      account: of what was kept out.
    """

    columns: dict[str, pa.Array]
    keep: np.ndarray
    bad: list[dict[str, Any]]
    account: Account


@dataclass(frozen=True)
class Checked:
    """The rows of a batch that passed, and those that did not.

    Attributes:
      columns: name -> typed column, sorted by name, shape [good rows].
      hashes: uint64, shape [good rows].
      lines: int64, shape [good rows]: where they are in the file.
      first: ordinal of the first of these rows among the good rows of the file.
      bad: rows for the quarantine.
      account: of what was kept out.
    """

    columns: dict[str, pa.Array]
    hashes: np.ndarray
    lines: np.ndarray
    first: int
    bad: list[dict[str, Any]]
    account: Account


def checked(job: Job, unit: Unit) -> Iterator[Checked]:
    """Reads a file and checks its rows, all but for the uniqueness of keys.

    Raises:
      DataBlocked: the file can't be read, lacks a column, or has one of a type that can't be.
    """
    first = 0
    rows = 0
    seen: set[str] = set()
    for batch in read.batches(unit.path, job.source, job.kinds):
        names = batch.columns.schema.names
        if not seen and not isinstance(job.source, read.KEYED):
            _require_columns(job, unit, names)
        seen.update(names)
        result = _check(job, unit, batch, first)
        first += len(result.hashes)
        rows += result.account.rows
        yield result
    if not rows:
        raise DataBlocked(f"{unit.path}: no rows. Expected at least one.")
    _require_columns(job, unit, seen)
    last = Account(missing_columns={name: unit.path for name in job.columns if name not in seen})
    yield Checked({}, np.empty(0, np.uint64), np.empty(0, np.int64), first, [], last)


def _require_columns(job: Job, unit: Unit, names: Iterable[str]) -> None:
    """Raises DataBlocked where a file lacks a column that the task reads."""
    spare = sorted(set(names) - set(job.needed))
    raise_all(
        DataBlocked,
        f"{unit.path}: the columns are not those of the task:",
        [
            f"column {name!r}, {role}, is missing.{hint(name, spare)}"
            for name, role in job.needed.items()
            if name not in names
        ],
    )


def _check(job: Job, unit: Unit, batch: RawBatch, first: int) -> Checked:
    found = judge(job, unit, batch)
    columns = found.columns
    if not found.keep.all():
        mask = pa.array(found.keep)
        columns = {name: column.filter(mask) for name, column in columns.items()}
    return Checked(columns, hashing.rows(columns), batch.lines[found.keep], first, found.bad, found.account)


def judge(job: Job, unit: Unit, batch: RawBatch) -> Judged:
    """Types and checks the rows of a batch.

    Raises:
      DataBlocked: a column of the schema is of a type that no value could have.
    """
    rows = batch.columns.num_rows
    account = Account(rows=rows + len(batch.malformed))
    columns, found = _typed(job, unit, batch, account)
    found += rules.faults(columns, job.columns, job.rows.rules)
    found += images.faults(columns, job.encoded)
    found += job.partition.faults(columns)
    keys = ((name, np.asarray(columns[name].is_null())) for name in job.rows.key)
    found += [rules.Fault("key", name, "expected a value, as a part of the key", m) for name, m in keys if m.any()]
    reason = np.full(rows, -1, np.int32)
    counts = np.zeros(rows, np.int32)
    for index, fault in enumerate(found):
        reason[fault.rows & (reason < 0)] = index
        counts += fault.rows
    bad = _quarantined(unit, batch, found, reason, counts, account)
    return Judged(columns, reason < 0, bad, account)


def _typed(job: Job, unit: Unit, batch: RawBatch, account: Account) -> tuple[dict[str, pa.Array], list[rules.Fault]]:
    """The columns, cast and sorted by name, and a fault for each that has values of another type; notes new ones.

    Raises:
      DataBlocked: a column of the schema is of a type that no value could have.
    """
    columns: dict[str, pa.Array] = {}
    found: list[rules.Fault] = []
    for name in sorted({*(batch.columns.schema.names if job.others else ()), *job.needed}):
        kind = job.columns[name].kind if name in job.columns else "BYTES"
        if name not in batch.columns.schema.names:
            columns[name] = pa.nulls(batch.columns.num_rows, typed.TARGETS[kind])
            continue
        raw = batch.columns.column(name)
        if name not in job.columns:
            shown = np.flatnonzero(np.asarray(raw.is_valid()))[:3]
            values = [quarantine.cut(quarantine.plain(raw[int(index)])) for index in shown]
            account.new_columns[name] = {"file": unit.path, "examples": values}
        try:
            columns[name], misfits = typed.cast(raw, kind, getattr(job.source, "decimal", "."))
        except typed.Unsupported as error:
            if name in job.columns:
                raise DataBlocked(
                    f"{unit.path}: column {name!r}: expected {kind}, as the schema says. Received: {error}. "
                    "Next: write the column as plain values"
                ) from error
            continue
        if misfits.any():
            found.append(rules.Fault("type", name, f"expected {_NOUNS[kind]}", misfits))
    return columns, found


def _quarantined(
    unit: Unit, batch: RawBatch, found: list[rules.Fault], reason: np.ndarray, counts: np.ndarray, account: Account
) -> list[dict[str, Any]]:
    """The bad rows of a batch, in order; notes them in the account."""
    bad = [
        {
            "file": unit.path,
            "line": record.line,
            "column": None,
            "value": None,
            "rule": "parse",
            "message": record.message,
            "others": 0,
            "row": record.text,
        }
        for record in batch.malformed
    ]
    for row in bad:
        account.note("parse", None, str(row["message"]), 1, [_example(row, row["row"])])
    names = batch.columns.schema.names
    rows = np.flatnonzero(reason >= 0)
    values = (quarantine.plain_list(column, rows) for column in batch.columns.columns)
    for index, *row_values in zip(rows, *values, strict=True):
        fault = found[reason[index]]
        raw = dict(zip(names, row_values, strict=True))
        row = {
            "file": unit.path,
            "line": int(batch.lines[index]),
            "column": fault.column,
            "value": quarantine.cut(raw.get(fault.column)),
            "rule": fault.rule,
            "message": fault.message,
            "others": int(counts[index]) - 1,
            "row": quarantine.as_json(raw),
        }
        bad.append(row)
        account.note(fault.rule, fault.column, fault.message, 1, [_example(row, row["value"])])
        if fault.rule == "domain":
            account.note_values(fault.column, {str(row["value"]): 1})
    account.quarantined = len(bad)
    return sorted(bad, key=lambda row: row["line"])


def _example(row: Mapping[str, Any], value: object) -> dict[str, Any]:
    return {"file": row["file"], "line": row["line"], "value": value}


def keys(job: Job, part: Checked) -> np.ndarray:
    """A hash for each row's key, uint64; see RowRules."""
    return hashing.rows({name: part.columns[name] for name in job.rows.key})


def without_duplicates(
    job: Job, unit: Unit, part: Checked, duplicates: np.ndarray, account: Account
) -> tuple[Checked, list[dict[str, Any]]]:
    """Takes the rows out whose key an earlier row has."""
    ordinals = np.arange(part.first, part.first + len(part.hashes))
    repeated = np.isin(ordinals, duplicates)
    if not repeated.any():
        return part, []
    column = job.rows.key[0]
    message = f"expected a key ({', '.join(job.rows.key)}) that no earlier row has"
    bad = []
    for index in np.flatnonzero(repeated):
        raw = {name: values[int(index)].as_py() for name, values in part.columns.items()}
        key = ", ".join(str(quarantine.cut(raw[name])) for name in job.rows.key)
        bad.append(
            {
                "file": unit.path,
                "line": int(part.lines[index]),
                "column": column,
                "value": key,
                "rule": "unique",
                "message": message,
                "others": 0,
                "row": quarantine.as_json(raw),
            }
        )
    account.note("unique", column, message, len(bad), [_example(row, row["value"]) for row in bad[:3]])
    account.quarantined += len(bad)
    mask = pa.array(~repeated)
    columns = {name: values.filter(mask) for name, values in part.columns.items()}
    return dataclasses.replace(part, columns=columns, hashes=part.hashes[~repeated], lines=part.lines[~repeated]), bad
