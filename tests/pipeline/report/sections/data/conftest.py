"""Runs as the nodes leave them, of a few rows, with TFDV's own statistics."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.findings import Finding, Measured, Report, graded, to_json
from pipeline.ingest import quarantine
from pipeline.ingest.account import Account
from pipeline.report import page
from pipeline.report.sections import data
from pipeline.report.sources import Run
from pipeline.task import Task

Columns = Mapping[str, Sequence[Any]]
Bad = tuple[str, str | None, str, Any]
"""Rule, column, message and value of a row that was kept out."""


def dataset(columns: Columns) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics of some rows; a cell is a value, a list of values or None."""
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    cells = {
        name: pa.array([v if isinstance(v, list | None) else [v] for v in values]) for name, values in columns.items()
    }
    options = tfdv.StatsOptions(num_quantiles_histogram_buckets=50)
    batch = pa.RecordBatch.from_pydict({name: _plain(array) for name, array in cells.items()})
    return stats_impl.generate_statistics_in_memory(batch, options)


def _plain(array: pa.Array) -> pa.Array:
    texts = pa.types.is_string(array.type.value_type)
    return array.cast(pa.list_(pa.binary())) if texts else array


def write_statistics(folder: Path, splits: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]) -> Path:
    """A statistics artifact."""
    for split, made in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(made.SerializeToString())
    return folder


@pytest.fixture
def statistics_of() -> Callable[[Columns], statistics_pb2.DatasetFeatureStatisticsList]:
    """A function: columns to TFDV's statistics."""
    return dataset


@pytest.fixture
def made(tmp_path: Path, tiny: Task) -> Callable[..., Run]:
    """A function: what the nodes found, to a run. None leaves a node out.

    `splits` are split -> columns or statistics, `bad` the rows in quarantine, `previous` columns of earlier data.
    """

    def build(
        splits: Mapping[str, Any] | None = None,
        *,
        task: Task | None = tiny,
        bad: Sequence[Bad] | None = (),
        findings: Sequence[Finding] | None = (),
        measured: Sequence[Measured] = (),
        previous: Columns | None = None,
        schema: schema_pb2.Schema | None = None,
        judged: bool = False,
        **record: Any,
    ) -> Run:
        home = tmp_path / "root" / "tiny"
        folder = home / "runs" / "r1"
        folder.mkdir(parents=True)
        uris: dict[tuple[str, str], Path] = {}
        rows = {}
        if splits is not None:
            protos = {
                name: columns if isinstance(columns, statistics_pb2.DatasetFeatureStatisticsList) else dataset(columns)
                for name, columns in splits.items()
            }
            rows = {name: int(proto.datasets[0].num_examples) for name, proto in protos.items()}
            uris["StatisticsGen", "statistics"] = write_statistics(home / "statistics", protos)
        if bad is not None:
            uris["ExampleGen", "quarantine"] = _quarantine(home / "quarantine", rows, bad)
        if schema is not None:
            uris["SchemaGen", "schema"] = home / "schema"
            (home / "schema").mkdir()
            (home / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema, as_utf8=True), "utf-8")
        if findings is not None:
            references: dict[str, Any] = {"previous": None, "served": None, "serving_log": None}
            if previous is not None:
                earlier = write_statistics(home / "earlier", {"train": dataset(previous)})
                references["previous"] = {"name": "the previous data", "span": 3, "uri": str(earlier), "rows": 4}
            report = graded(Report(tuple(findings), tuple(measured)), (task or tiny).checks)
            uris["DataChecks", "findings"] = home / "findings"
            (home / "findings").mkdir()
            (home / "findings" / "findings.json").write_text(to_json(report, references), "utf-8")
        if judged:
            uris["DataGate", "verdict"] = home / "verdict"
            (home / "verdict").mkdir()
            found = json.loads((home / "findings" / "findings.json").read_text())["findings"]
            (home / "verdict" / "verdict.json").write_text(json.dumps({"findings": found}))
        names = {"quarantine": "ExampleGen", "statistics": "StatisticsGen", "findings": "DataChecks"}
        entries = {
            "run_id": "r1",
            "task": "tiny",
            "outcome": "pushed",
            "started": "2026-11-21T08:00:00+00:00",
            "nodes": {node: {"state": "done"} for node, _ in sorted(uris, key=lambda key: key[0] != "SchemaGen")},
            "artifacts": {key: str(uris[node, key]) for key, node in names.items() if (node, key) in uris},
        }
        artifacts = {key: metadata_store_pb2.Artifact(uri=str(path)) for key, path in uris.items()}
        return Run({**entries, **record}, folder, task, artifacts)

    return build


def _quarantine(folder: Path, rows: Mapping[str, int], bad: Sequence[Bad]) -> Path:
    folder.mkdir()
    account = Account()
    kept = []
    for line, (rule, column, message, value) in enumerate(bad, start=2):
        shown = quarantine.cut(value)
        account.note(rule, column, message, 1, [{"file": "/data/in.csv", "line": line, "value": shown}])
        row = {"file": "/data/in.csv", "line": line, "column": column, "value": shown, "rule": rule, "message": message}
        kept.append({**row, "others": 0, "row": json.dumps({str(column): shown})})
    account.quarantined = len(bad)
    account.splits.update(rows)
    account.rows = sum(rows.values()) + len(bad)
    account.files = [
        {
            "file": "/data/in.csv",
            "span": 0,
            "rows": account.rows,
            "quarantined": len(bad),
            "digest": "1",
            "span_name": "0",
        }
    ]
    with (folder / "rows.parquet").open("wb") as stream:
        writer = quarantine.Writer(stream)
        writer.write(kept)
        writer.close()
    limits = {"task": "tiny", "max_bad_fraction": 0.01, "hash_fraction": 1.0, "gaps": [], "span": 0, "window": 1}
    (folder / "account.json").write_text(json.dumps({**limits, **account.record()}), "utf-8")
    return folder


@pytest.fixture
def rendered() -> Callable[[Run], tuple[dict[str, Any], str]]:
    """A function: a run, to its part of report.json, as read back, and its HTML."""

    def render(run: Run) -> tuple[dict[str, Any], str]:
        part = data.collect(run)
        assert part is not None
        stored = json.loads(json.dumps(part, allow_nan=False))
        report = {"data": stored, "task": "tiny", "run_id": "r1"}
        return stored, str(page.section("data", report, data.charts(stored)))

    return render


@pytest.fixture
def secretive(tiny: Task) -> Task:
    """The task, with a number, a category and a column that it does not read as sensitive."""
    return replace(tiny, sensitive=("fare", "company", "email"))
