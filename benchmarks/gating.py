"""Rows to the gate's verdict in one process: ingest, statistics, checks and gate, without TFX around them."""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import tensorflow_data_validation as tfdv

from components.data_checks import sample, serving
from components.data_checks.executor import run
from components.data_checks.facts import Facts, Reference
from components.data_checks.findings import graded
from components.data_gate.executor import sentence, waived
from components.shards import Shard
from components.statistics_gen.in_memory import statistics_of
from pipeline import schema as schemas
from pipeline.checks import in_force
from pipeline.ingest import checking, columns, work
from pipeline.ingest.partition import Partition
from pipeline.sources import Parquet
from pipeline.splits import FolderSplit
from pipeline.task import Task


@dataclass(frozen=True)
class Accepted:
    """Data that may be compared with.

    Attributes:
      reference: its statistics.
    """

    reference: Reference


@dataclass(frozen=True)
class Verdict:
    """What the gate makes of some rows.

    Attributes:
      outcome: "stop", "warning" or "pass".
      causes: check -> the gate's sentence, of what made it so; the gravest first.
      accepted: the rows, to be compared with.
    """

    outcome: str
    causes: Mapping[str, str]
    accepted: Accepted


def judge(
    task: Task,
    table: pa.Table,
    folder: Path,
    *,
    span: int,
    previous: Accepted | None = None,
    served: Accepted | None = None,
    requests: Callable[[pa.Table, np.random.Generator], pa.Table] | None = None,
    random: np.random.Generator | None = None,
) -> Verdict:
    """Ingests rows and judges them.

    Args:
      task: with a reviewed schema.
      table: the rows. With FolderSplit, the first two thirds are train.
      folder: for the files; made here.
      span: of the rows.
      previous: what the previous span had.
      served: what the served model learned from.
      requests: makes logged requests of the rows.
      random: for `requests`.
    """
    folder.mkdir(parents=True)
    path = schemas.path_of(task.name)
    if path is None:
        raise ValueError(f"task {task.name!r} has no reviewed schema")
    schema = schemas.read(path)
    job = checking.Job(
        Parquet(str(folder)), columns.of_schema(schema), dict(task.columns), task.rows, Partition(task.split)
    )
    written = [
        work.ingest(job, [checking.Unit(str(file), index, span, split)], str(folder / f"part-{index}"))
        for index, (file, split) in enumerate(_files(task, table, folder))
    ]
    shards = {split: [file for part in written for file in part.shards.get(split, ())] for split in job.partition.names}
    account = written[0].account
    for part in written[1:]:
        account.add(part.account)
    options = tfdv.StatsOptions(schema=schema, num_quantiles_histogram_buckets=serving.QUANTILES)
    rows = {split: [Shard(path) for path in paths] for split, paths in shards.items()}
    statistics = statistics_of(rows, options)
    facts = Facts(
        task=task,
        schema=schema,
        statistics={split: found.datasets[0] for split, found in statistics.items()},
        anomalies={split: tfdv.validate_statistics(found, schema) for split, found in statistics.items()},
        account={"span": span, "window": 1, "max_bad_fraction": task.rows.max_bad_fraction, **account.record()},
        samples={
            split: sample.read(files, task.checks.sample_rows, schema, task.label) for split, files in shards.items()
        },
        hashes={
            split: np.concatenate([part.hashes[split].values for part in written if split in part.hashes])
            for split in shards
            if shards[split]
        },
        previous=previous.reference if previous else None,
        served=replace(served.reference, name=f"the served model's data (span {served.reference.span})")
        if served
        else None,
        requests=_logged(task, requests(table, random or np.random.default_rng()), folder, schema)
        if requests
        else None,
    )
    return _verdict(facts, span, folder)


def _verdict(facts: Facts, span: int, folder: Path) -> Verdict:
    today = datetime.datetime.now(datetime.UTC).date()
    report = graded(run(facts), facts.task.checks)
    findings = waived(report.findings, in_force(facts.task.checks, today))
    accepted = Accepted(Reference(f"the previous data (span {span})", facts.statistics, span))
    for outcome, severity in (("stop", "fail"), ("warning", "warn")):
        causes: dict[str, str] = {}
        for found in findings:
            if found.severity == severity:
                causes.setdefault(found.check, sentence(found, str(folder), (), today))
        if causes:
            return Verdict(outcome, causes, accepted)
    return Verdict("pass", {}, accepted)


def _files(task: Task, table: pa.Table, folder: Path) -> list[tuple[Path, str | None]]:
    """The rows on disk, each file with its split where the task's splits are folders."""
    border = table.num_rows - table.num_rows // 3
    parts: list[tuple[pa.Table, str | None]] = [(table, None)]
    if isinstance(task.split, FolderSplit):
        parts = [(table.slice(0, border), "train"), (table.slice(border), "eval")]
    files = []
    for index, (part, split) in enumerate(parts):
        pyarrow.parquet.write_table(part, folder / f"rows-{index}.parquet")
        files.append((folder / f"rows-{index}.parquet", split))
    return files


def _logged(task: Task, table: pa.Table, folder: Path, schema: object) -> Reference:
    """The features of the rows as JSON Lines, as a server logs requests."""
    names = [feature.name for feature in task.features]
    file = folder / "requests.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in table.select(names).to_pylist()))
    return serving.reference(str(file), schema)
