"""Facts about small tables, with TFDV's own statistics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.data_checks import sample
from components.data_checks.facts import Dataset, Facts, Reference
from pipeline.task import Task

Columns = Mapping[str, Sequence[Any] | np.ndarray]
KINDS = {"miles": "FLOAT", "fare": "FLOAT", "tips": "FLOAT", "company": "BYTES", "hour": "INT", "area": "INT"}


def listed(values: Sequence[Any] | np.ndarray, kind: str) -> pa.Array:
    """Values as lists of one, as tfx_bsl decodes tf.Examples."""
    made = {"FLOAT": pa.float32(), "INT": pa.int64(), "BYTES": pa.binary()}[kind]
    cells = [None if value is None else [value.encode() if isinstance(value, str) else value] for value in values]
    return pa.array(cells, pa.list_(made))


@pytest.fixture(scope="session")
def schema() -> schema_pb2.Schema:
    """Of the tiny task's columns."""
    made = schema_pb2.Schema()
    for name, kind in KINDS.items():
        feature = made.feature.add(name=name, type=schema_pb2.FeatureType.Value(kind))
        feature.presence.min_fraction = 0.5
        if name == "tips":
            feature.not_in_environment.append("SERVING")
    return made


@pytest.fixture(scope="session")
def dataset() -> Callable[..., Dataset]:
    """A function: columns, to statistics as StatisticsGen computes them."""
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics import stats_impl

    def made(columns: Columns) -> Dataset:
        batch = pa.RecordBatch.from_pydict(
            {name: listed(values, KINDS.get(name, "BYTES")) for name, values in columns.items()}
        )
        options = tfdv.StatsOptions(num_quantiles_histogram_buckets=50)
        return stats_impl.generate_statistics_in_memory(batch, options).datasets[0]

    return made


@pytest.fixture
def facts(tiny: Task, schema: schema_pb2.Schema, dataset: Callable[..., Dataset]) -> Callable[..., Facts]:
    """A function: split -> columns, and other facts, to Facts; `previous`, `served`, `requests` are columns, too."""

    def made(splits: Mapping[str, Columns], **others: Any) -> Facts:
        for name, span in (("previous", 3), ("served", 1)):
            if name in others:
                splits_then = {split: dataset(columns) for split, columns in others[name].items()}
                others[name] = Reference(f"the {name} data (span {span})", splits_then, span)
        if "requests" in others:
            others["requests"] = Reference("the logged requests", {"requests": dataset(others["requests"])})
        task = others.pop("task", tiny)
        statistics = {split: dataset(columns) for split, columns in splits.items()}
        tables = {
            split: pa.table({name: listed(values, KINDS.get(name, "BYTES")) for name, values in columns.items()})
            for split, columns in splits.items()
        }
        samples = {split: sample.from_table(table, task.label) for split, table in tables.items()}
        anomalies = {split: anomalies_pb2.Anomalies() for split in splits}
        return Facts(
            **{
                "task": task,
                "schema": schema,
                "statistics": statistics,
                "samples": samples,
                "anomalies": anomalies,
                **others,
            }
        )

    return made


@pytest.fixture
def trips() -> Callable[..., dict[str, Any]]:
    """A function: rows and a seed, to columns of the tiny task."""

    def made(rows: int, seed: int = 0) -> dict[str, Any]:
        random = np.random.default_rng(seed)
        fare = random.gamma(3.0, 5.0, rows)
        return {
            "miles": np.where(random.random(rows) < 0.3, 0.0, fare / 3),
            "fare": fare,
            "tips": random.choice([0.0, 0.1, 0.25, 0.3], rows) * fare,
            "company": [None if i % 5 == 0 else "abcdefgh"[int(i)] for i in random.integers(0, 8, rows)],
            "hour": random.integers(0, 24, rows),
            "area": random.integers(0, 1000, rows),
        }

    return made
