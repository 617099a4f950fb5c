"""An executor of Transform, run on rows."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts


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
def transform() -> Callable[..., Outputs]:
    """A function that runs an executor of Transform with a preprocessing_fn.

    With `rows_to` the transformed rows go to that place, and not to a folder of `folder`.
    """

    def run(
        kind: type[Any],
        examples: Any,
        schema: schema_pb2.Schema,
        preprocess: Callable[..., Any],
        folder: Path,
        runner: str = "FnApiRunner",
        rows_to: str = "",
        **config: Any,
    ) -> Outputs:
        (folder / "schema").mkdir(parents=True)
        (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
        of = {"schema": standard_artifacts.Schema(), "graph": standard_artifacts.TransformGraph()}
        of["examples"] = standard_artifacts.Examples()
        for name, artifact in of.items():
            artifact.uri = rows_to if rows_to and name == "examples" else str(folder / name)
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
