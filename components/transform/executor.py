"""The analysis is TFX's and runs on Beam; on one machine the rows are then transformed in batches of thousands.

TFX sends each row through Beam a second time to transform it, in batches that start at one row. With the in-process
runner there is nothing to distribute: the same graph on large batches gives the same rows in a fraction of the time.
On any other runner TFX's own way is taken.
The analysis reads in batches of one size, see batches.py.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.transform import executor as tfx_transform
from tfx.components.transform import executor_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils
from tfx_bsl.coders import example_coder

from components.transform.batches import steady_batches
from pipeline.transform_graph import TransformGraph

_BATCH_ROWS = 8192
_BATCH_BYTES = 64 << 20
_FIRST_ROWS = 64
_IN_PROCESS = "--runner=FnApiRunner"


class Executor(tfx_transform.Executor):
    """Analyses with TFX; materialises by itself where the runner is in process."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See TFX's executor."""
        with steady_batches(_rows_of(input_dict[standard_component_specs.EXAMPLES_KEY])):
            self._do(input_dict, output_dict, exec_properties)

    def _do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        if _IN_PROCESS not in self._beam_pipeline_args:
            super().Do(input_dict, output_dict, exec_properties)
            return
        examples = input_dict[standard_component_specs.EXAMPLES_KEY]
        executor_utils.MatchNumberOfTransformedExamplesArtifacts(input_dict, output_dict)
        transformed = output_dict[standard_component_specs.TRANSFORMED_EXAMPLES_KEY]
        analysis = {k: v for k, v in output_dict.items() if k != standard_component_specs.TRANSFORMED_EXAMPLES_KEY}
        super().Do(input_dict, analysis, exec_properties)

        splits = executor_utils.ResolveSplitsConfig(
            exec_properties.get(standard_component_specs.SPLITS_CONFIG_KEY), examples
        ).transform
        executor_utils.SetSplitNames(splits, transformed)
        output = tft.TFTransformOutput(
            artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        )
        for source, target in zip(examples, transformed, strict=True):
            for split in splits:
                (raw,) = artifact_utils.get_split_uris([source], split)
                (folder,) = artifact_utils.get_split_uris([target], split)
                fileio.makedirs(folder)
                shards = sorted(tf.io.gfile.glob(io_utils.all_files_pattern(raw)))
                for number, shard in enumerate(shards):
                    name = f"transformed_examples-{number:05d}-of-{len(shards):05d}.gz"
                    materialise(output, shard, os.path.join(folder, name))


def _rows_of(examples: list[types.Artifact]) -> int:
    """Rows of a batch of the analysis: the same for the same data."""
    for artifact in examples:
        for split in artifact_utils.decode_split_names(artifact.split_names):
            (folder,) = artifact_utils.get_split_uris([artifact], split)
            files = tf.data.TFRecordDataset(
                sorted(tf.io.gfile.glob(io_utils.all_files_pattern(folder))), compression_type="GZIP"
            )
            for first in files.batch(_FIRST_ROWS).take(1).as_numpy_iterator():
                return int(max(1, min(_BATCH_ROWS, _BATCH_BYTES * len(first) // max(1, sum(map(len, first))))))
    return _BATCH_ROWS


def materialise(output: tft.TFTransformOutput, pattern: str, path: str) -> int:
    """Transforms the rows of some files.

    Args:
      output: what the analysis wrote.
      pattern: gzipped TFRecord files of serialised raw tf.Examples.
      path: gzipped TFRecord file of serialised transformed tf.Examples, in the same order.

    Returns:
      The number of rows.
    """
    graph = TransformGraph(output)
    spec = graph.spec
    transform = tf.function(
        lambda rows: graph(tf.io.parse_example(rows, spec)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    encoder = example_coder.RecordBatchToExamplesEncoder(_without_domains(output.transformed_metadata.schema))
    files = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), compression_type="GZIP")
    batches = files.batch(_rows_at_once(files, transform)).map(transform, num_parallel_calls=1).prefetch(1)
    rows = 0
    with tf.io.TFRecordWriter(path, options="GZIP") as writer:
        for batch in batches:
            for example in encoder.encode(record_batch(batch)):
                writer.write(example)
                rows += 1
    return rows


def _rows_at_once(files: tf.data.Dataset, transform: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> int:
    """8,192 rows, or fewer where the first ones say that these would be more than 64 MB, before or after."""
    for first in files.batch(_FIRST_ROWS).take(1).as_numpy_iterator():
        columns = [column.numpy() for column in transform(tf.constant(first)).values()]
        before = sum(map(len, first))
        after = sum(sum(map(len, c.ravel())) if c.dtype == object else c.nbytes for c in columns)
        return int(max(1, min(_BATCH_ROWS, _BATCH_BYTES * len(first) // max(before, after))))
    return _BATCH_ROWS


def record_batch(columns: dict[str, tf.Tensor]) -> pa.RecordBatch:
    """Dense columns of shape [rows] or [rows, values] as Arrow lists, sorted by name."""
    return pa.RecordBatch.from_pydict({name: _lists(columns[name].numpy()) for name in sorted(columns)})


def _lists(values: np.ndarray) -> pa.Array:
    width = int(np.prod(values.shape[1:], dtype=int))
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))


def _without_domains(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    """Names and types only, which is all that the encoder looks at."""
    return schema_pb2.Schema(
        feature=[schema_pb2.Feature(name=feature.name, type=feature.type) for feature in schema.feature]
    )
