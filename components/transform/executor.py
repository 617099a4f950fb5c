"""TFX's Transform; on one machine the analysis and the transformed rows are made without Beam.

With the in-process runner there is nothing to distribute: TFT's own combiners and its own graph, on batches of thousands
of rows, give the same constants, vocabularies and rows in a fraction of the time (analysis.py, materialise.py). An
analyzer that only Beam can run is left to TFX, and so are statistics of the rows; these analyses read in batches of one
size (batches.py). On any other runner TFX's own way is taken.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx import types
from tfx.components.transform import executor as tfx_transform
from tfx.components.transform import executor_utils
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components.known_spans import KnownSpans
from components.shards import Shard, shards
from components.transform.analysis import analyse
from components.transform.batches import steady_batches
from components.transform.materialise import materialise
from components.transform.operations import Unknown
from components.transform.rows import Rows, batch_rows
from components.transform.threads import in_order
from pipeline import mirrored
from pipeline.transform_graph import TransformGraph

_IN_PROCESS = "--runner=FnApiRunner"
_FORMATS = ("tfrecords_gzip", "FORMAT_TFRECORDS_GZIP")
# What TFX's own executor is to serve.
_TFX_ONLY = (
    standard_component_specs.MODULE_FILE_KEY,
    standard_component_specs.MODULE_PATH_KEY,
    standard_component_specs.FORCE_TF_COMPAT_V1_KEY,
    standard_component_specs.STATS_OPTIONS_UPDATER_FN_KEY,
    standard_component_specs.SAVE_OPTIONS_KEY,
)

Artifacts = dict[str, list[types.Artifact]]


class Executor(tfx_transform.Executor):
    """Analyses and transforms by itself where the runner is in process."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """See TFX's executor."""
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        if _IN_PROCESS not in self._beam_pipeline_args or not all(map(_is_plain, examples)):
            self._by_tfx(input_dict, output_dict, exec_properties)
            return
        executor_utils.MatchNumberOfTransformedExamplesArtifacts(input_dict, output_dict)
        splits = executor_utils.ResolveSplitsConfig(
            exec_properties.get(standard_component_specs.SPLITS_CONFIG_KEY), examples
        )
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        rows = Rows(_schema(input_dict))
        fileio.makedirs(folder)
        with tempfile.TemporaryDirectory(prefix=".temp", dir=folder) as temporary:
            columns, function = self._analysed(
                input_dict, output_dict, exec_properties, rows, list(splits.analyze), temporary
            )
            transformed = output_dict[standard_component_specs.TRANSFORMED_EXAMPLES_KEY]
            executor_utils.SetSplitNames(splits.transform, transformed)
            _transform(rows.only(columns), function, _jobs(examples, transformed, list(splits.transform)))

    def _by_tfx(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        files = [
            file
            for artifact in input_dict[standard_component_specs.EXAMPLES_KEY]
            for split in artifact_utils.decode_split_names(artifact.split_names)
            for file in shards(artifact, split)
        ]
        with steady_batches(batch_rows(files)):
            super().Do(input_dict, output_dict, exec_properties)

    def _analysed(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
        rows: Rows,
        splits: list[str],
        temporary: str,
    ) -> tuple[list[str], Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """Writes the transform graph.

        Returns:
          The raw columns that are transformed, and the function that does it.
        """
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        plain = exec_properties.get(standard_component_specs.DISABLE_STATISTICS_KEY) and not any(
            exec_properties.get(name) for name in _TFX_ONLY
        )
        cached = standard_component_specs.UPDATED_ANALYZER_CACHE_KEY in output_dict
        if plain and not cached:
            files = [
                file
                for split in splits
                for artifact in input_dict[standard_component_specs.EXAMPLES_KEY]
                for file in shards(artifact, split)
            ]
            names = (standard_component_specs.PREPROCESSING_FN_KEY, standard_component_specs.CUSTOM_CONFIG_KEY)
            resolved = {name: exec_properties.get(name) for name in names}
            preprocess = self._GetPreprocessingFn(resolved, {})
            try:
                final = analyse(preprocess, rows, files, folder, temporary, _known_spans(input_dict, exec_properties))
            except Unknown as unknown:
                logging.info("Transform: %s is analysed by TFX, on Beam.", unknown)
            else:
                raw = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
                metadata_io.write_metadata(dataset_metadata.DatasetMetadata(_schema(input_dict)), raw)
                return final.part(final.function.structured_outputs)
        analysis = {k: v for k, v in output_dict.items() if k != standard_component_specs.TRANSFORMED_EXAMPLES_KEY}
        self._by_tfx(input_dict, analysis, exec_properties)
        graph = TransformGraph(tft.TFTransformOutput(folder))
        return sorted(graph.spec), graph


def _is_plain(examples: types.Artifact) -> bool:
    """Whether the rows are tf.Examples in gzipped TFRecord files."""
    return (
        examples_utils.get_payload_format(examples) == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
        and examples_utils.get_file_format(examples) in _FORMATS
    )


def _schema(input_dict: Artifacts) -> schema_pb2.Schema:
    uri = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
    schema: schema_pb2.Schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(uri))
    return schema


def _known_spans(input_dict: Artifacts, exec_properties: dict[str, Any]) -> KnownSpans | None:
    """Where analyses of spans are kept; None where the custom config names no folder for them."""
    config = json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null") or {}
    if "analyses" not in config:
        return None
    schema = hashlib.sha256(_schema(input_dict).SerializeToString(deterministic=True)).hexdigest()
    return KnownSpans(mirrored.local(config["analyses"]), f"{config['code']} {schema}")


def _jobs(
    examples: list[types.Artifact], transformed: list[types.Artifact], splits: list[str]
) -> list[tuple[Shard, str]]:
    """Each raw shard, and where its transformed rows go."""
    jobs = []
    for source, target in zip(examples, transformed, strict=True):
        for split in splits:
            files = shards(source, split)
            (folder,) = artifact_utils.get_split_uris([target], split)
            fileio.makedirs(folder)
            for number, file in enumerate(files):
                name = f"transformed_examples-{number:05d}-of-{len(files):05d}.gz"
                jobs.append((file, os.path.join(folder, name)))
    return jobs


def _transform(
    rows: Rows, function: Callable[[Mapping[str, Any]], dict[str, Any]], jobs: list[tuple[Shard, str]]
) -> None:
    for _ in in_order(lambda job: materialise(rows, function, *job), jobs):
        pass
