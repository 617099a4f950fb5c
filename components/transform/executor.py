"""TFX's Transform; analysis and transformed rows are made of columns, shard by shard.

TFT's own combiners and its own graph, on batches of thousands of rows, give the same constants, vocabularies and rows in
a fraction of the time of its Beam pipeline (analysis.py, materialise.py). Threads of this process work on the shards
where the Beam runner is the in-process one, and the workers of any other (components/by_shard.py): what they write is
the same. An analyzer that only TFT's Beam pipeline can run is left to TFX, and so are statistics of the rows; these
analyses read in batches of one size (batches.py).

Where the rows are in a bucket, for workers on other machines, these get there what else they need, too. The transform graph
is local even then: TensorFlow does not reach every bucket. What is left to TFX is done here, on copies of the rows.
"""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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

from components import by_shard, remote_files
from components.known_spans import KnownSpans
from components.shards import Shard, shards
from components.transform.analysis import analyse
from components.transform.batches import steady_batches
from components.transform.materialise import materialise_all
from components.transform.operations import Unknown
from components.transform.phases import Files, Transforming, Written
from components.transform.rows import batch_rows
from pipeline import mirrored
from pipeline.ingest import files as stored
from pipeline.remote import brought

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
    """Analyses and transforms by itself where the rows are tf.Examples."""

    _beam_pipeline_args: list[str]

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """See TFX's executor."""
        remote_files.register()
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        if not all(map(_is_plain, examples)):
            self._by_tfx(input_dict, output_dict, exec_properties)
            return
        executor_utils.MatchNumberOfTransformedExamplesArtifacts(input_dict, output_dict)
        splits = executor_utils.ResolveSplitsConfig(
            exec_properties.get(standard_component_specs.SPLITS_CONFIG_KEY), examples
        )
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        fileio.makedirs(folder)
        transformed = output_dict[standard_component_specs.TRANSFORMED_EXAMPLES_KEY]
        with ExitStack() as stack:
            temporary = stack.enter_context(_temporary(folder))
            there = stack.enter_context(_temporary(transformed[0].uri)) if _is_remote(transformed[0]) else None
            spread = by_shard.spread(self._beam_pipeline_args, self._make_beam_pipeline, f"{there or temporary}/spread")
            files = Files(temporary, f"{there}/files" if there else None)
            transform = self._analysed(input_dict, output_dict, exec_properties, spread, list(splits.analyze), files)
            executor_utils.SetSplitNames(splits.transform, transformed)
            materialise_all(spread, transform, _shards_of(examples, transformed, list(splits.transform)))

    def _by_tfx(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        files = [
            file
            for artifact in input_dict[standard_component_specs.EXAMPLES_KEY]
            for split in artifact_utils.decode_split_names(artifact.split_names)
            for file in shards(artifact, split)
        ]
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        transformed = output_dict.get(standard_component_specs.TRANSFORMED_EXAMPLES_KEY, [])
        with steady_batches(batch_rows(files)), self._on_copies(examples, transformed):
            super().Do(input_dict, output_dict, exec_properties)

    @contextmanager
    def _on_copies(self, given: list[types.Artifact], made: list[types.Artifact]) -> Iterator[None]:
        """Has rows in a bucket be here meanwhile, and this process be the runner; local ones stay as they are."""
        if not any(map(_is_remote, given)):
            yield
            return
        uris = [(artifact, artifact.uri) for artifact in (*given, *made)]
        arguments = self._beam_pipeline_args
        logging.warning("Transform: TFX's own way reaches no bucket: the rows are brought here, and worked on here.")
        try:
            with ExitStack() as stack:
                for artifact in given:
                    artifact.uri = stack.enter_context(brought.here(artifact.uri))
                for artifact in made:
                    artifact.uri = stack.enter_context(brought.sent(artifact.uri))
                self._beam_pipeline_args = [by_shard.IN_PROCESS]
                yield
        finally:
            self._beam_pipeline_args = arguments
            for artifact, uri in uris:
                artifact.uri = uri

    def _analysed(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
        spread: by_shard.Spread,
        splits: list[str],
        temporary: Files,
    ) -> Transforming:
        """Writes the transform graph; gives the transform."""
        schema = _schema(input_dict)
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
                known_spans = _known_spans(schema, exec_properties)
                transform = analyse(preprocess, schema, files, folder, temporary, spread, known_spans)
            except Unknown as unknown:
                logging.info("Transform: %s is analysed by TFX, on Beam.", unknown)
            else:
                raw = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
                metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), raw)
                return transform
        analysis = {k: v for k, v in output_dict.items() if k != standard_component_specs.TRANSFORMED_EXAMPLES_KEY}
        self._by_tfx(input_dict, analysis, exec_properties)
        return Written(temporary.whole(folder), schema.SerializeToString(deterministic=True))


@contextmanager
def _temporary(folder: str) -> Iterator[str]:
    """A folder for workers, too, whoever they run as: `tempfile` would make one for this user alone."""
    path = os.path.join(folder, f".temp-{uuid.uuid4().hex}")
    fileio.makedirs(path)
    try:
        yield path
    finally:
        with suppress(fileio.NotFoundError):
            fileio.rmtree(path)


def _is_plain(examples: types.Artifact) -> bool:
    """Whether the rows are tf.Examples in gzipped TFRecord files."""
    return (
        examples_utils.get_payload_format(examples) == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
        and examples_utils.get_file_format(examples) in _FORMATS
    )


def _is_remote(artifact: types.Artifact) -> bool:
    return bool(stored.scheme(artifact.uri))


def _schema(input_dict: Artifacts) -> schema_pb2.Schema:
    uri = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
    schema: schema_pb2.Schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(uri))
    return schema


def _known_spans(schema: schema_pb2.Schema, exec_properties: dict[str, Any]) -> KnownSpans | None:
    """Where analyses of spans are kept; None where the custom config names no folder for them."""
    config = json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null") or {}
    if "analyses" not in config:
        return None
    digest = hashlib.sha256(schema.SerializeToString(deterministic=True)).hexdigest()
    return KnownSpans(mirrored.local(config["analyses"]), f"{config['code']} {digest}")


def _shards_of(
    examples: list[types.Artifact], transformed: list[types.Artifact], splits: list[str]
) -> dict[str, list[Shard]]:
    """Folder of each split's transformed shards -> its raw shards."""
    return {
        folder: shards(source, split)
        for source, target in zip(examples, transformed, strict=True)
        for split in splits
        for folder in artifact_utils.get_split_uris([target], split)
    }
