"""Reads what is known of the data, runs every check on it and writes the findings."""

import datetime
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_checks import anomalies, columns, drift, labels, leak, rows, sample, serving, splits
from components.data_checks.facts import Facts, Reference
from components.data_checks.findings import FILE, Report, graded, to_json
from pipeline import tasks
from pipeline.errors import TaskError, raise_all
from pipeline.ingest import columnar

CHECKS: tuple[Callable[[Facts], Report], ...] = (
    rows.accounting,
    anomalies.empty_splits,
    rows.span_gap,
    rows.quarantine,
    anomalies.schema_anomalies,
    drift.missing_values,
    drift.drift,
    drift.served_drift,
    drift.skew,
    drift.split_drift,
    labels.label_values,
    labels.label_constant,
    labels.label_unseen,
    labels.label_absent,
    labels.label_between_splits,
    leak.leak,
    splits.entity_overlap,
    splits.split_overlap,
    splits.time_overlap,
    rows.repeated_span,
    rows.duplicate_rows,
    rows.volume,
    columns.constant_feature,
    columns.duplicate_features,
)
_ACCOUNT = "account.json"


class Executor(base_executor.BaseExecutor):
    """Only reads and writes; what is checked is in the modules beside it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `findings.json`, and the statistics of logged requests, `requests/FeatureStats.pb`.

        Raises:
          TaskError: a setting of the checks names a column that is not there.
        """
        facts = _read(input_dict, exec_properties)
        task = facts.task
        known = {*task.columns, *(feature.name for feature in facts.schema.feature)}
        raise_all(TaskError, f"task {task.name!r}: checks:", task.checks.unknown_columns(known))
        report = graded(run(facts), task.checks)
        references = {
            name: None if reference is None else reference.record
            for name, reference in (
                ("previous", facts.previous),
                ("served", facts.served),
                ("serving_log", facts.requests),
            )
        }
        output = artifact_utils.get_single_instance(output_dict["findings"])
        io_utils.write_string_file(f"{output.uri}/{FILE}", to_json(report, references))
        for split, dataset in (facts.requests.splits if facts.requests else {}).items():
            # Nothing else keeps them; a report draws them.
            stored = statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])
            io_utils.write_bytes_file(f"{output.uri}/{split}/FeatureStats.pb", stored.SerializeToString())


def run(facts: Facts, checks: Sequence[Callable[[Facts], Report]] = CHECKS) -> Report:
    """What all checks find."""
    report = Report()
    for check in checks:
        report += check(facts)
    return report


def _read(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> Facts:
    task = tasks.load(exec_properties["task"], json.loads(exec_properties["overrides"]))
    schema = io_utils.SchemaReader().read(
        io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
    )
    statistics = artifact_utils.get_single_instance(input_dict["statistics"])
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    quarantine = next((artifact.uri for artifact in input_dict.get("quarantine", ())), "")
    found = artifact_utils.get_single_instance(input_dict["anomalies"])
    names = artifact_utils.decode_split_names(statistics.split_names)
    log = json.loads(exec_properties["serving_log"] or "{}")
    images = [feature.name for feature in task.features if feature.modality == "image"]
    account = _account(quarantine)
    dated = "-" in str(account.get("span_name", ""))
    return Facts(
        task=task,
        schema=schema,
        statistics={split: _statistics(statistics, split) for split in names},
        anomalies={split: _anomalies(found, split) for split in names},
        account=account,
        samples={
            split: sample.read(_files(examples, split), task.checks.sample_rows, schema, task.label, images)
            for split in names
        },
        hashes=_arrays(f"{quarantine}/hashes"),
        entities=_arrays(f"{quarantine}/entities"),
        previous=_reference(input_dict.get("previous_statistics"), "the previous data", dated),
        served=_reference(input_dict.get("served_statistics"), "the served model's data", dated),
        requests=serving.reference(log["path"], schema) if log else None,
    )


def _statistics(artifact: types.Artifact, split: str) -> Any:
    return stats_artifact_utils.load_statistics(artifact, split).proto().datasets[0]


def _anomalies(artifact: types.Artifact, split: str) -> anomalies_pb2.Anomalies:
    uri = io_utils.get_only_uri_in_dir(artifact_utils.get_split_uri([artifact], split))
    return anomalies_pb2.Anomalies.FromString(fileio.open(uri, "rb").read())


def _files(examples: types.Artifact, split: str) -> list[str]:
    """The rows of a split, as columns where there are any."""
    pattern = io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))
    return columnar.shards(examples.uri, split) or fileio.glob(pattern)


def _reference(artifacts: Sequence[types.Artifact] | None, name: str, dated: bool) -> Reference | None:
    """The statistics of earlier data, or None where there are none; files that are gone are none, too.

    Args:
      artifacts: of the input, or None.
      name: in messages.
      dated: whether spans are days since 1970.
    """
    if not artifacts:
        return None
    (artifact,) = artifacts[:1]
    if not fileio.exists(artifact.uri):
        return None
    span = artifact.span or artifact.get_int_custom_property("span")
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=span) if dated else span
    named = f"{name} (span {day})" if span else name
    names = artifact_utils.decode_split_names(artifact.split_names)
    return Reference(named, {split: _statistics(artifact, split) for split in names}, span, artifact.uri)


def _arrays(folder: str) -> dict[str, np.ndarray]:
    """Split -> array, of the .npy files in a folder."""
    if not fileio.exists(folder):
        return {}
    return {
        path.rsplit("/", 1)[-1].removesuffix(".npy"): np.load(io.BytesIO(fileio.open(path, "rb").read()))
        for path in sorted(fileio.glob(f"{folder}/*.npy"))
    }


def _account(quarantine: str) -> dict[str, Any]:
    """The account of all rows; empty for a source that keeps none."""
    return json.loads(fileio.open(f"{quarantine}/{_ACCOUNT}", "rb").read()) if quarantine else {}
