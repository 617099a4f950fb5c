"""Reads the anomalies of each split and raises DataBlocked with a sentence for each."""

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.errors import DataBlocked, raise_all

_LONGEST = 400


class Executor(base_executor.BaseExecutor):
    """Opens silently or raises."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Checks every split.

        Raises:
          DataBlocked: a split is empty or has anomalies.
        """
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        problems: list[str] = []
        for split in artifact_utils.decode_split_names(anomalies.split_names):
            stats = stats_artifact_utils.load_statistics(statistics, split).proto().datasets[0]
            uri = io_utils.get_only_uri_in_dir(artifact_utils.get_split_uri([anomalies], split))
            found = anomalies_pb2.Anomalies.FromString(fileio.open(uri, "rb").read())
            problems += sentences(split, found, stats)
        raise_all(
            DataBlocked,
            f"The data gate of task {exec_properties['task']!r} stopped the run:",
            problems,
        )


def sentences(
    split: str, anomalies: anomalies_pb2.Anomalies, statistics: statistics_pb2.DatasetFeatureStatistics
) -> list[str]:
    """One sentence for each anomaly: the feature, what is wrong, in which split of how many rows."""
    where = f"split {split!r}, {statistics.num_examples:,} rows"
    if not statistics.num_examples:
        return [f"{where}: the split is empty. Expected rows; the data may be too few to split."]
    found = [
        f"{feature} ({where}): {reason.short_description}: {_cut(reason.description)}"
        for feature, info in sorted(anomalies.anomaly_info.items())
        for reason in info.reason or [info]
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        found.append(f"the whole split ({where}): {anomalies.dataset_anomaly_info.description}")
    return found


def _cut(text: str) -> str:
    """TFDV names every unexpected value, thousands of them; the first ones tell enough."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
