"""What the checks look at, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_checks.distance import Feature
from components.data_checks.sample import Sample
from pipeline.task import Task

Dataset: TypeAlias = statistics_pb2.DatasetFeatureStatistics


@dataclass(frozen=True)
class Reference:
    """Data that the present one is compared with.

    Attributes:
      name: in a message: "the previous data (span 3)".
      splits: split -> statistics.
      span: of the data; None where it has none, as logged requests.
      uri: where the statistics are.
    """

    name: str
    splits: Mapping[str, Dataset]
    span: int | None = None
    uri: str = ""

    @property
    def rows(self) -> int:
        """In all splits."""
        return sum(int(dataset.num_examples) for dataset in self.splits.values())

    @property
    def record(self) -> dict[str, Any]:
        """As in findings.json."""
        return {"name": self.name, "span": self.span, "uri": self.uri, "rows": self.rows}


@dataclass(frozen=True)
class Facts:
    """The data and what it is compared with.

    Attributes:
      task: with its overrides.
      schema: reviewed or inferred.
      statistics: split -> statistics of its rows.
      anomalies: split -> what TFDV found against the schema.
      account: of all rows, as in `account.json`.
      samples: split -> some of its rows.
      hashes: split -> hashes of rows (a sample in hash space, the same one in all splits).
      entities: the same of the entity's key; empty where there is no key.
      previous: the previous data that the gate let through.
      served: what the served model learned from.
      requests: logged serving requests, as one split "requests".
    """

    task: Task
    schema: schema_pb2.Schema
    statistics: Mapping[str, Dataset]
    anomalies: Mapping[str, anomalies_pb2.Anomalies] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Sample] = field(default_factory=dict)
    hashes: Mapping[str, np.ndarray] = field(default_factory=dict)
    entities: Mapping[str, np.ndarray] = field(default_factory=dict)
    previous: Reference | None = None
    served: Reference | None = None
    requests: Reference | None = None

    @property
    def span(self) -> int:
        """Of the present data; 0 where its path has no span."""
        return int(self.account.get("span") or 0)

    @property
    def rows(self) -> int:
        """In all splits, as the statistics count them."""
        return sum(int(dataset.num_examples) for dataset in self.statistics.values())

    @property
    def features(self) -> list[str]:
        """The columns of the task's features."""
        return [feature.name for feature in self.task.features]

    @property
    def media(self) -> frozenset[str]:
        """The columns of images and of texts: each value is one of its own, and none is to be shown in a finding.

        How often one occurs says nothing, so they are not compared with other data. Missing values and copies of rows
        are found as in any column.
        """
        return frozenset(feature.name for feature in self.task.features if feature.modality in ("image", "text"))


def columns_of(dataset: Dataset) -> dict[str, Feature]:
    """Column -> its statistics, of the columns that are not nested."""
    return {
        feature.path.step[0] if feature.path.step else feature.name: feature
        for feature in dataset.features
        if len(feature.path.step) <= 1
    }
