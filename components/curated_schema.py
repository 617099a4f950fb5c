"""CuratedSchema: a reviewed schema enters the pipeline.

TFX's ImportSchemaGen has only the file's path in its cache key, so that an edited schema meets a cached result, and its
path must exist where the node runs. Here the text itself is the parameter.
"""

import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils


@component  # type: ignore[untyped-decorator]
def CuratedSchema(
    schema: OutputArtifact[standard_artifacts.Schema],
    text: Parameter[str],
) -> None:
    """Writes the schema as an artifact.

    Args:
      schema: the artifact.
      text: a schema_pb2.Schema in text format.
    """
    io_utils.write_string_file(os.path.join(schema.uri, "schema.pbtxt"), text)
