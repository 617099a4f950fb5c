"""The executor on artifacts as TFX writes them: what it reads, and what it writes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.types import artifact_utils, standard_artifacts

import components
from components.data_checks import DataChecks
from components.data_checks import executor as checked
from components.data_checks.facts import Dataset
from pipeline.checks import DEFAULT_LEVELS
from pipeline.errors import UsageError
from pipeline.task import Task

Trips = Callable[..., dict[str, Any]]


@pytest.fixture
def inputs(
    tmp_path: Path, trips: Trips, dataset: Callable[..., Dataset], schema: schema_pb2.Schema, example: Any
) -> Callable[..., dict[str, list[Any]]]:
    """A function: split -> columns, to the component's inputs on disk, without earlier statistics."""
    import tensorflow as tf

    def statistics(folder: Path, splits: Mapping[str, Any]) -> Any:
        artifact = standard_artifacts.ExampleStatistics()
        artifact.uri = str(folder)
        artifact.split_names = artifact_utils.encode_split_names(list(splits))
        for split, columns in splits.items():
            (folder / f"Split-{split}").mkdir(parents=True)
            made = statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset(columns)])
            (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(made.SerializeToString())
        return artifact

    def made(splits: Mapping[str, Any], **earlier: Mapping[str, Any]) -> dict[str, list[Any]]:
        given = {"statistics": statistics(tmp_path / "statistics", splits)}
        for key, artifact in (
            ("examples", standard_artifacts.Examples()),
            ("anomalies", standard_artifacts.ExampleAnomalies()),
        ):
            artifact.uri = str(tmp_path / key)
            artifact.split_names = artifact_utils.encode_split_names(list(splits))
            given[key] = artifact
        for split, columns in splits.items():
            folder = tmp_path / "examples" / f"Split-{split}"
            folder.mkdir(parents=True)
            rows = [{name: column[i] for name, column in columns.items()} for i in range(len(columns["fare"]))]
            for shard in range(2):
                options = tf.io.TFRecordOptions(compression_type="GZIP")
                with tf.io.TFRecordWriter(str(folder / f"data_tfrecord-{shard}.gz"), options) as writer:
                    for row in rows[shard::2]:
                        writer.write(example(row))
            folder = tmp_path / "anomalies" / f"Split-{split}"
            folder.mkdir(parents=True)
            (folder / "SchemaDiff.pb").write_bytes(anomalies_pb2.Anomalies().SerializeToString())
        given["schema"] = standard_artifacts.Schema()
        given["schema"].uri = str(tmp_path / "schema")
        (tmp_path / "schema").mkdir()
        (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
        given["quarantine"] = components.Quarantine()
        given["quarantine"].uri = str(tmp_path / "quarantine")
        (tmp_path / "quarantine" / "hashes").mkdir(parents=True)
        counts = {split: len(columns["fare"]) for split, columns in splits.items()}
        account = {"rows": sum(counts.values()), "splits": counts, "quarantined": 0, "rules": [], "span": 2}
        (tmp_path / "quarantine" / "account.json").write_text(json.dumps(account))
        for index, split in enumerate(splits):
            hashes = np.arange(index * 500, index * 500 + counts[split], dtype=np.uint64)
            np.save(tmp_path / "quarantine" / "hashes" / f"{split}.npy", hashes)
        for key, columns in earlier.items():
            given[key] = statistics(tmp_path / key, columns)
            given[key].span = 1
        return {key: [artifact] for key, artifact in given.items()}

    return made


@pytest.fixture
def run(tmp_path: Path, tiny: Task, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function: inputs and parameters, to the findings file's content."""
    monkeypatch.setattr(checked.tasks, "load", lambda name, overrides: {"tiny": tiny}[name])

    def made(inputs: dict[str, list[Any]], serving_log: str = "") -> dict[str, Any]:
        output = components.Findings()
        output.uri = str(tmp_path / "findings")
        properties = {"task": "tiny", "overrides": "[]", "serving_log": serving_log, "code": ""}
        checked.Executor().Do(inputs, {"findings": [output]}, properties)
        content: dict[str, Any] = json.loads((tmp_path / "findings" / "findings.json").read_text())
        return content

    return made


def test_clean_rows_without_references(inputs: Any, run: Any, trips: Trips) -> None:
    content = run(inputs({"train": trips(400, 1), "eval": trips(200, 2)}))
    assert content["findings"] == []
    assert {entry["check"] for entry in content["measured"]} == {"split_drift", "label_shift", "leak"}
    assert content["references"] == {"previous": None, "served": None, "serving_log": None}


def test_a_source_without_an_account(inputs: Any, run: Any, trips: Trips) -> None:
    given = inputs({"train": trips(400, 1), "eval": trips(200, 2)})
    given["quarantine"] = []
    assert run(given)["findings"] == []


def test_everything_is_read(inputs: Any, run: Any, trips: Trips, tmp_path: Path) -> None:
    now = {"train": trips(400, 1), "eval": trips(200, 2)}
    now["train"]["fare"] = now["train"]["fare"] * 100
    before = {"train": trips(2000, 3), "eval": trips(200, 4)}
    given = inputs(now, previous_statistics=before, served_statistics=before)
    np.save(tmp_path / "quarantine" / "hashes" / "eval.npy", np.arange(399, 599, dtype=np.uint64))
    (tmp_path / "requests.jsonl").write_text('{"fare": 1.0, "hour": 3}\n')
    content = run(given, json.dumps({"path": str(tmp_path / "requests.jsonl"), "fingerprint": ""}))
    checks = {entry["check"] for entry in content["findings"]}
    assert {"drift", "served_drift", "split_drift", "split_overlap", "skew", "volume"} <= checks
    severities = {entry["check"]: entry["severity"] for entry in content["findings"]}
    assert severities == {check: DEFAULT_LEVELS[check] for check in severities}
    assert content["references"]["previous"] == {
        "name": "the previous data (span 1)",
        "span": 1,
        "uri": str(tmp_path / "previous_statistics"),
        "rows": 2200,
    }
    assert content["references"]["serving_log"]["rows"] == 1
    stored = statistics_pb2.DatasetFeatureStatisticsList()
    stored.ParseFromString((tmp_path / "findings" / "requests" / "FeatureStats.pb").read_bytes())
    assert [dataset.num_examples for dataset in stored.datasets] == [1]


def test_statistics_that_were_removed_are_no_reference(inputs: Any, run: Any, trips: Trips) -> None:
    given = inputs({"train": trips(400, 1), "eval": trips(200, 2)})
    gone = standard_artifacts.ExampleStatistics()
    gone.uri = "/not/there"
    given["previous_statistics"] = [gone]
    assert run(given)["references"]["previous"] is None


def test_a_setting_of_an_unknown_column_is_refused(
    inputs: Any, run: Any, trips: Trips, tiny: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from pipeline.checks import Checks, Severity

    wrong = dataclasses.replace(tiny, checks=Checks(severities=(Severity("drift", "fail", feature="fares"),)))
    monkeypatch.setattr(checked.tasks, "load", lambda name, overrides: wrong)
    with pytest.raises(UsageError, match=r"severity of drift: no column 'fares'\. Did you mean 'fare'\?"):
        run(inputs({"train": trips(40), "eval": trips(20)}))


def test_each_check_has_a_level(facts: Any, trips: Trips) -> None:
    report = checked.run(facts({"train": trips(300, 1), "eval": trips(100, 2)}))
    assert report.findings == ()
    assert {entry.check for entry in report.measured} <= set(DEFAULT_LEVELS)


def test_the_component_s_output_is_findings() -> None:
    spec = DataChecks.SPEC_CLASS
    assert spec.OUTPUTS["findings"].type is components.Findings
    assert {key for key, channel in spec.INPUTS.items() if channel.optional} == {
        "quarantine",
        "previous_statistics",
        "served_statistics",
    }
