"""One file, batch by batch: read and checked in one thread, answered in another, written in a third.

Memory is that of a few batches, whatever the file's size. Rows are written in the order of the file.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.ingest import checking, files, quarantine, read
from pipeline.ingest.account import Account
from pipeline.ingest.ahead import ahead
from pipeline.ingest.batch import RawBatch
from pipeline.predict import inputs, layout, models
from pipeline.predict.layout import Answer
from pipeline.predict.writer import Shards

ANSWERED = "answered"


@dataclass(frozen=True)
class Answered:
    """A batch of rows.

    Attributes:
      table: rows of the output, in the order of the input.
      bad: rows without an answer.
      account: of the batch.
    """

    table: pa.RecordBatch
    bad: list[dict[str, Any]]
    account: Account


@dataclass(frozen=True)
class Part:
    """What became of a file.

    Attributes:
      shards: files of answers, in order, each with its rows; at least one, maybe of none.
      errors: Parquet file of the rows without an answer.
      account: of all its rows.
      absent: columns that no row has and the schema lets be missing.
    """

    shards: list[tuple[str, int]]
    errors: str
    account: Account
    absent: list[str] = field(default_factory=list)


def predict(job: inputs.Job, unit: checking.Unit, prefix: str) -> Part:
    """Answers the rows of a file.

    Args:
      job: what is alike for all files.
      unit: the file.
      prefix: path of all that is written for it; another one at each attempt.

    Raises:
      MillraceError: the file can't be used, or the model fails on every row.
      OSError: the disk is full.
    """
    model = models.load(job.model)
    answers = layout.answers_of(model, job.classes)
    part = Part([], f"{prefix}-errors.parquet", Account())
    seen: set[str] = set()
    with ExitStack() as opened:
        errors = opened.enter_context(closing(quarantine.Writer(opened.enter_context(files.create(part.errors)))))
        shards = opened.enter_context(closing(Shards(prefix, schema_of(job, answers), job.format, job.shard_rows)))
        for batch in ahead(_answered(job, unit, model, answers, seen)):
            shards.write(batch.table)
            errors.write(batch.bad)
            part.account.add(batch.account)
    part.shards.extend(shards.written)
    inputs.require(job, unit.path, seen)
    part.absent.extend(sorted(set(job.checks.columns) - seen) if seen else [])
    account = part.account
    account.check()
    account.files.append(
        {"file": unit.path, "rows": account.rows, ANSWERED: account.splits[ANSWERED], "errors": account.quarantined}
    )
    return part


def schema_of(job: inputs.Job, answers: list[Answer]) -> pa.Schema:
    """The columns of the output."""
    where = [(layout.FILE, pa.string()), (layout.LINE, pa.int64())] if job.locate else []
    kept = [(column.name, column.type) for column in job.kept]
    return pa.schema([*where, *kept, *((a.name, a.type) for a in answers), (layout.VERSION, pa.string())])


def _answered(
    job: inputs.Job, unit: checking.Unit, model: models.Model, answers: list[Answer], seen: set[str]
) -> Iterator[Answered]:
    """The batches of a file; notes the columns that they have."""
    schema = schema_of(job, answers)
    for batch, judged in ahead(_judged(job, unit, seen)):
        yield _answer(job, unit, model, answers, schema, batch, judged)


def _judged(job: inputs.Job, unit: checking.Unit, seen: set[str]) -> Iterator[tuple[RawBatch, checking.Judged]]:
    """The batches of a file with what is wrong in them.

    Raises:
      DataBlocked: the first batch lacks columns.
    """
    for batch in read.batches(unit.path, job.checks.source, job.checks.kinds):
        names = batch.columns.schema.names
        if not seen:
            inputs.require(job, unit.path, names)
        seen.update(names)
        yield batch, checking.judge(job.checks, unit, batch)


def _answer(
    job: inputs.Job,
    unit: checking.Unit,
    model: models.Model,
    answers: list[Answer],
    schema: pa.Schema,
    batch: RawBatch,
    judged: checking.Judged,
) -> Answered:
    """Asks the model about the good rows of a batch and puts its answers beside them."""
    account, bad = judged.account, list(judged.bad)
    rows = np.flatnonzero(judged.keep)
    typed = {name: _taken(column, judged.keep) for name, column in judged.columns.items()}
    wanted = sorted({answer.output for answer in answers})
    said, failed = model.answers(model.inputs(typed), wanted, len(rows), job.batch_rows) if len(rows) else ({}, {})
    if failed:
        bad += _failures(unit, batch, {int(rows[index]): message for index, message in failed.items()}, account)
        bad.sort(key=lambda row: row["line"])
        account.quarantined = len(bad)
    good = judged.keep.copy()
    good[rows[list(failed)]] = False
    account.splits[ANSWERED] = count = int(good.sum())
    decimal = getattr(job.checks.source, "decimal", ".")
    places: list[pa.Array] = []
    if job.locate:
        places = [pa.array([unit.path]).take(pa.array(np.zeros(count, np.int64))), pa.array(batch.lines[good])]
    kept = []
    for column in job.kept:
        index = batch.columns.schema.get_field_index(column.name)
        raw = pa.nulls(count) if index < 0 else _taken(batch.columns.column(index), good)
        kept.append(layout.kept_column(raw, column.type, decimal, unit.path, column.name))
    found = layout.answer_columns(answers, said) if count else [pa.nulls(0, answer.type) for answer in answers]
    version = pa.array([job.version]).take(pa.array(np.zeros(count, np.int64)))
    return Answered(pa.RecordBatch.from_arrays([*places, *kept, *found, version], schema=schema), bad, account)


def _taken(column: pa.Array, keep: np.ndarray) -> pa.Array:
    return column if keep.all() else column.filter(pa.array(keep))


def _failures(
    unit: checking.Unit, batch: RawBatch, failed: Mapping[int, str], account: Account
) -> list[dict[str, Any]]:
    """Rows that the model fails on, as those that break a rule; notes them in the account."""
    found = []
    for index, message in sorted(failed.items()):
        raw = {
            n: quarantine.plain(column[index])
            for n, column in zip(batch.columns.schema.names, batch.columns.columns, strict=True)
        }
        where = {"file": unit.path, "line": int(batch.lines[index])}
        what = {"column": None, "value": None, "rule": "model", "message": message, "others": 0}
        found.append({**where, **what, "row": quarantine.as_json(raw)})
        account.note("model", None, message, 1, [{**where, "value": None}])
    return found
