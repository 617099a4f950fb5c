"""The data gate: a sentence for each cause, and a run that stops."""

from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.data_gate.executor import Executor, sentences
from pipeline.errors import DataBlocked, ExitCode

FINE = statistics_pb2.DatasetFeatureStatistics(num_examples=10_000)


def anomalies(**features: list[tuple[str, str]]) -> anomalies_pb2.Anomalies:
    """Anomalies: feature -> (short, long) descriptions of its reasons."""
    made = anomalies_pb2.Anomalies()
    for name, reasons in features.items():
        info = made.anomaly_info[name]
        for short, long in reasons:
            info.reason.add(short_description=short, description=long)
        info.short_description, info.description = ("Multiple errors", "all") if len(reasons) > 1 else reasons[0]
    return made


def test_data_without_anomalies_has_no_sentence() -> None:
    assert sentences("train", anomalies(), FINE) == []


def test_a_sentence_for_each_reason_sorted_by_feature() -> None:
    found = anomalies(
        fare=[("Out-of-range values", "Unexpectedly low values: -1.")],
        company=[("New column", "not in schema"), ("Unexpected string values", "Examples contain: x.")],
    )
    assert sentences("eval", found, FINE) == [
        "company (split 'eval', 10,000 rows): New column: not in schema",
        "company (split 'eval', 10,000 rows): Unexpected string values: Examples contain: x.",
        "fare (split 'eval', 10,000 rows): Out-of-range values: Unexpectedly low values: -1.",
    ]


def test_an_anomaly_without_reasons_is_said_by_its_summary() -> None:
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["fare"].short_description = "Odd"
    found.anomaly_info["fare"].description = "very odd"
    assert sentences("train", found, FINE) == ["fare (split 'train', 10,000 rows): Odd: very odd"]


def test_an_anomaly_of_the_whole_split() -> None:
    found = anomalies_pb2.Anomalies()
    found.dataset_anomaly_info.description = "too few examples"
    assert sentences("train", found, FINE) == ["the whole split (split 'train', 10,000 rows): too few examples"]


def test_an_empty_split_is_said_once_instead_of_every_column() -> None:
    found = anomalies(fare=[("Column dropped", "no values")], tips=[("Column dropped", "no values")])
    (sentence,) = sentences("eval", found, statistics_pb2.DatasetFeatureStatistics(num_examples=0))
    assert sentence.startswith("split 'eval', 0 rows: the split is empty.")


@pytest.fixture
def gate(tmp_path: Path) -> Any:
    """A function: split -> (anomalies, rows), to a run of the executor on artifacts as TFX writes them."""

    def run(splits: dict[str, tuple[anomalies_pb2.Anomalies, int]]) -> None:
        inputs = {
            "anomalies": standard_artifacts.ExampleAnomalies(),
            "statistics": standard_artifacts.ExampleStatistics(),
        }
        for key, artifact in inputs.items():
            artifact.uri = str(tmp_path / key)
            artifact.split_names = artifact_utils.encode_split_names(list(splits))
        for split, (found, rows) in splits.items():
            folder = tmp_path / "anomalies" / f"Split-{split}"
            folder.mkdir(parents=True)
            (folder / "SchemaDiff.pb").write_bytes(found.SerializeToString())
            folder = tmp_path / "statistics" / f"Split-{split}"
            folder.mkdir(parents=True)
            statistics = statistics_pb2.DatasetFeatureStatisticsList()
            statistics.datasets.add(num_examples=rows)
            (folder / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
        artifacts: dict[str, list[Any]] = {key: [artifact] for key, artifact in inputs.items()}
        Executor().Do(artifacts, {}, {"task": "tips", "code": ""})

    return run


def test_an_open_gate_is_silent(gate: Any) -> None:
    gate({"train": (anomalies(), 20), "eval": (anomalies(), 10)})


def test_a_closed_gate_names_task_split_and_cause_of_every_split(gate: Any) -> None:
    low = [("Out-of-range values", "Unexpectedly low values: -1.")]
    with pytest.raises(DataBlocked) as caught:
        gate({"train": (anomalies(fare=low), 20), "eval": (anomalies(fare=low), 10)})
    assert caught.value.exit_code == ExitCode.DATA_BLOCKED
    assert str(caught.value).splitlines() == [
        "The data gate of task 'tips' stopped the run:",
        "  - fare (split 'train', 20 rows): Out-of-range values: Unexpectedly low values: -1.",
        "  - fare (split 'eval', 10 rows): Out-of-range values: Unexpectedly low values: -1.",
    ]


def test_an_empty_split_closes_the_gate(gate: Any) -> None:
    with pytest.raises(DataBlocked, match="split 'eval', 0 rows: the split is empty"):
        gate({"train": (anomalies(), 20), "eval": (anomalies(), 0)})


def test_at_most_five_sentences_are_shown(gate: Any) -> None:
    low = [("Out-of-range values", "low")]
    with pytest.raises(DataBlocked, match=r"  - and 2 more$"):
        gate({"train": (anomalies(**dict.fromkeys("abcdefg", low)), 20)})


def test_a_description_of_thousands_of_values_is_cut() -> None:
    found = anomalies(company=[("Unexpected string values", ", ".join(f"company {i}" for i in range(5000)))])
    (sentence,) = sentences("train", found, FINE)
    assert len(sentence) < 500
    assert "company 0, company 1," in sentence
    assert sentence.endswith(" …")
