"""Rows in shards, and an executor run on them."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.ingest import columnar, files
from pipeline.ingest.column_shards import ColumnShards

Shards = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What an execution of Transform wrote.

    Attributes:
      graph: TFT's output.
      folder: of the transform graph.
      examples: folder of the transformed rows.
    """

    graph: tft.TFTransformOutput
    folder: Path
    examples: Path

    def files(self, split: str) -> list[str]:
        """The transformed shards of a split."""
        return sorted(map(str, (self.examples / f"Split-{split}").glob("*.gz")))

    def rows(self, split: str) -> dict[str, np.ndarray]:
        """The transformed rows of a split."""
        records = list(tf.data.TFRecordDataset(self.files(split), compression_type="GZIP").as_numpy_iterator())
        parsed = tf.io.parse_example(records, self.graph.transformed_feature_spec())
        return {name: column.numpy() for name, column in parsed.items()}

    def vocabularies(self) -> dict[str, bytes]:
        """Name -> content of each vocabulary's file."""
        assets = self.folder / "transform_fn" / "assets"
        return {path.name: path.read_bytes() for path in assets.iterdir()} if assets.exists() else {}


@pytest.fixture(scope="session")
def write_examples(example: Callable[[Mapping[str, Any]], bytes]) -> Callable[..., Any]:
    """A function that writes an Examples artifact: split -> shards -> rows.

    With `schema` as ExampleGen leaves it, with columns and their index; shard i of a split is of span `spans[i]`.
    """

    def write(
        folder: Path, splits: Shards, schema: schema_pb2.Schema | None = None, spans: Sequence[int] | None = None
    ) -> Any:
        index = []
        for split, shards in splits.items():
            (folder / f"Split-{split}").mkdir(parents=True)
            for number, rows in enumerate(shards):
                name = f"data_tfrecord-{number:05d}-of-{len(shards):05d}"
                records = f"Split-{split}/{name}.gz"
                serialised = [example(row) for row in rows]
                with tf.io.TFRecordWriter(str(folder / records), "GZIP") as writer:
                    for row in serialised:
                        writer.write(row)
                if schema:
                    (folder / "columns" / split).mkdir(parents=True, exist_ok=True)
                    path, digest = _write_columns(f"{folder}/columns/{split}/{name}", serialised, schema)
                    file = str(Path(path).relative_to(folder))
                    span = spans[number] if spans else 0
                    index.append(dataclasses.asdict(columnar.Shard(split, file, records, len(rows), span, digest)))
        if index:
            (folder / "columns" / columnar.INDEX).write_text(json.dumps({"shards": index}))
        artifact = standard_artifacts.Examples()
        artifact.uri, artifact.split_names = str(folder), artifact_utils.encode_split_names(list(splits))
        artifact.set_string_custom_property("file_format", "tfrecords_gzip")
        artifact.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        return artifact

    return write


def _write_columns(prefix: str, rows: Sequence[bytes], schema: schema_pb2.Schema) -> tuple[str, str]:
    batch = ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(list(rows))
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type.value_type
        columns[name] = column.cast(pa.list_(pa.binary() if kind == pa.large_binary() else kind))
    writer = ColumnShards(prefix, files.create, 10**9)
    hashes = np.array([int.from_bytes(row[-7:], "big") for row in rows], np.uint64)
    writer.write(pa.RecordBatch.from_pydict(columns), hashes)
    writer.close()
    (written,) = writer.written
    return str(written.path), written.digest


@pytest.fixture(scope="session")
def transform() -> Callable[..., Outputs]:
    """A function that runs an executor of Transform with a preprocessing_fn."""

    def run(
        kind: type[Any],
        examples: Any,
        schema: schema_pb2.Schema,
        preprocess: Callable[..., Any],
        folder: Path,
        runner: str = "FnApiRunner",
        **config: Any,
    ) -> Outputs:
        (folder / "schema").mkdir(parents=True)
        (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
        of = {"schema": standard_artifacts.Schema(), "graph": standard_artifacts.TransformGraph()}
        of["examples"] = standard_artifacts.Examples()
        for name, artifact in of.items():
            artifact.uri = str(folder / name)
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=[f"--runner={runner}"])
        properties = {
            "preprocessing_fn": "of.the.test",
            "disable_statistics": 1,
            "custom_config": json.dumps(config) if config else None,
        }
        executor = kind(context)
        executor._GetPreprocessingFn = lambda *_: preprocess
        executor.Do(
            {"examples": [examples], "schema": [of["schema"]]},
            {"transform_graph": [of["graph"]], "transformed_examples": [of["examples"]]},
            properties,
        )
        return Outputs(tft.TFTransformOutput(str(folder / "graph")), folder / "graph", folder / "examples")

    return run
