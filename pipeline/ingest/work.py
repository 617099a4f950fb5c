"""Some files, from their bytes to shards of tf.Examples, a part of the quarantine and an account: the unit of work.

Threads share it: one reads and checks, one divides the rows, as many as there are processors serialise and compress
blocks of them, and two for each split write these, and the columns, in their order. All of them spend most of their
time in native code.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.errors import DataBlocked, MillraceError
from pipeline.ingest import column_shards, files, quarantine
from pipeline.ingest.account import Account
from pipeline.ingest.ahead import ahead
from pipeline.ingest.checking import Checked, Job, Unit, checked, without_duplicates
from pipeline.ingest.rows_writer import RowsWriter
from pipeline.ingest.sample import HashSample

_MOST_THREADS = 4


@dataclass(frozen=True)
class Written:
    """What some files became, under temporary names.

    Attributes:
      units: which ones.
      shards: split -> paths, in order.
      columns: split -> the columns of each of these shards, in order.
      quarantine: path of their quarantined rows.
      account: of their rows.
      hashes: split -> sample of the rows' hashes.
      entities: the same of the entities', empty where the task knows none.
      failed: why files can't be used, an error for each of these; what was written is then of no use.
    """

    units: Sequence[Unit]
    shards: dict[str, list[str]]
    quarantine: str
    account: Account
    hashes: dict[str, HashSample] = field(default_factory=dict)
    entities: dict[str, HashSample] = field(default_factory=dict)
    failed: list[MillraceError] = field(default_factory=list)
    columns: dict[str, list[column_shards.Written]] = field(default_factory=dict)


def ingest(
    job: Job,
    units: Sequence[Unit],
    prefix: str,
    create: Callable[[str], BinaryIO] = files.create,
    repeated: Mapping[int, np.ndarray] | None = None,
) -> Written:
    """Reads files and writes their rows together.

    Args:
      job: what is alike for all files.
      units: the files. Where one can't be used, the others are still read, to tell all that is wrong.
      prefix: path of all that is written for them; another one at each attempt.
      create: opens a path for writing.
      repeated: index of a unit -> int64, sorted: ordinals of its good rows whose key an earlier row has.

    Returns:
      What was written, or why files can't be used.
    """
    before = [_state(unit) for unit in units]
    written = Written(units, {}, f"{prefix}-quarantine", Account())
    with contextlib.ExitStack() as opened:
        pool = opened.enter_context(ThreadPoolExecutor(min(_MOST_THREADS, len(os.sched_getaffinity(0)))))
        splits = {name: RowsWriter(f"{prefix}-{name}", create, pool) for name in job.partition.names}
        stream = opened.enter_context(create(written.quarantine))
        writer = opened.enter_context(contextlib.closing(quarantine.Writer(stream)))
        for rows in splits.values():
            opened.callback(rows.close)
        for unit, state in zip(units, before, strict=True):
            try:
                if written.failed:
                    for _ in checked(job, unit):
                        pass
                else:
                    _ingest(job, unit, (repeated or {}).get(unit.index), splits, writer, written)
                if _state(unit) != state:
                    raise DataBlocked(
                        f"{unit.path}: changed while it was being read. Next: run again when it is written"
                    )
            except MillraceError as error:
                written.failed.append(error)
    for name, rows in splits.items():
        written.shards[name] = rows.records.paths
        written.columns[name] = rows.columns.written
        written.account.splits[name] = rows.records.rows
    if not written.failed:
        written.account.check()
    return written


def _state(unit: Unit) -> files.Stat | None:
    """What tells a file from what it may become; None where there is none: reading it will say why."""
    try:
        return files.stat(unit.path)
    except MillraceError:
        return None


def _ingest(
    job: Job,
    unit: Unit,
    duplicates: np.ndarray | None,
    splits: Mapping[str, RowsWriter],
    writer: quarantine.Writer,
    written: Written,
) -> None:
    """Reads one file and writes its rows.

    Raises:
      MillraceError: it can't be used.
    """
    account = Account()
    digest = 0
    for part in ahead(checked(job, unit)):
        account.add(part.account)
        bad = part.bad
        if duplicates is not None and len(duplicates):
            part, again = without_duplicates(job, unit, part, duplicates, account)
            bad = sorted([*bad, *again], key=lambda row: row["line"])
        writer.write(bad)
        digest = (digest + int(part.hashes.sum())) % 2**64
        _write(job, unit, part, splits, written)
    account.files.append(
        {
            "file": unit.path,
            "span": unit.span,
            "rows": account.rows,
            "quarantined": account.quarantined,
            "digest": f"{digest:016x}",
        }
    )
    written.account.add(account)


def _write(job: Job, unit: Unit, part: Checked, splits: Mapping[str, RowsWriter], written: Written) -> None:
    """Writes each row of a batch to its split."""
    ids = job.partition.of(part.columns, part.hashes, unit.split)
    entities = job.partition.entities(part.columns)
    for number, name in enumerate(job.partition.names):
        chosen = ids == number
        if not chosen.any():
            continue
        written.hashes.setdefault(name, HashSample()).add(part.hashes[chosen])
        if entities is not None:
            written.entities.setdefault(name, HashSample()).add(entities[chosen])
        times = job.partition.times(part.columns)
        if times is not None:
            written.account.note_times(name, float(times[chosen].min()), float(times[chosen].max()))
        mask = None if chosen.all() else pa.array(chosen)
        rows = {n: values if mask is None else values.filter(mask) for n, values in part.columns.items()}
        splits[name].write(rows, part.hashes[chosen])
