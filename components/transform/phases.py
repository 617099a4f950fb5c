"""A function of raw columns that any process can make by itself: in this one, or in a worker of Beam.

A traced function can't travel. What it is traced from can: the preprocessing_fn by its name, the schema, and what the
analyses gave so far. TFT names the same tensors in every trace, which its own way on Beam relies on, too. Tracing costs
a second, so a process does it once for all shards of a phase.
"""

import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from components.transform.rows import Rows
from components.transform.tracing import Preprocess, Traced, Tracer
from pipeline.transform_graph import TransformGraph

Ready = tuple[Rows, Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]]
"""What reads the raw columns that are needed, and the function of them."""

_MOST = 4
_made: dict[str, Ready] = {}
_making = threading.Lock()
_folders: list[tempfile.TemporaryDirectory[str]] = []


class Transforming(Protocol):
    """Can be made ready to transform rows."""

    def ready(self) -> Ready:
        """See Ready; the same in every process."""


@dataclass(frozen=True)
class Phase:
    """A preprocessing_fn of which some analyses are known.

    Attributes:
      preprocess: the preprocessing_fn; it travels by its name, with its custom_config.
      schema: of the raw rows, serialised.
      known: placeholder's name -> value and type of what an analysis gave. The value may be the path of a file.
      outputs: name -> name of a tensor that is made of the rows; None: the transformed columns.
      key: of this phase and no other.
    """

    preprocess: Preprocess
    schema: bytes
    known: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    outputs: Mapping[str, str] | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ready(self) -> Ready:
        """Traces, where this process has not yet."""
        return _once(self.key, self._traced)

    def is_traced(self, traced: Traced) -> None:
        """Spares this process another trace."""
        _once(self.key, lambda: self._of(traced))

    def _traced(self) -> Ready:
        if not _folders:
            _folders.append(tempfile.TemporaryDirectory(prefix="millrace-transform"))
        tracer = Tracer(self.preprocess, self._rows().specs, _folders[0].name)
        known = {name: tf.constant(value, tf.dtypes.as_dtype(kind)) for name, (value, kind) in self.known.items()}
        return self._of(tracer.trace(known or None))

    def _of(self, traced: Traced) -> Ready:
        graph, made = traced.function.graph, traced.function.structured_outputs
        if self.outputs is not None:
            made = {name: graph.get_tensor_by_name(tensor) for name, tensor in self.outputs.items()}
        columns, function = traced.part(made)
        return self._rows().only(columns), function

    def _rows(self) -> Rows:
        return Rows(schema_pb2.Schema.FromString(self.schema))


@dataclass(frozen=True)
class Written:
    """The transform that TFX has written.

    Attributes:
      folder: of the transform graph.
      schema: of the raw rows, serialised.
      key: of this one and no other.
    """

    folder: str
    schema: bytes
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ready(self) -> Ready:
        """Loads it, where this process has not yet."""
        return _once(self.key, self._loaded)

    def _loaded(self) -> Ready:
        graph = TransformGraph(tft.TFTransformOutput(self.folder))
        return Rows(schema_pb2.Schema.FromString(self.schema), sorted(graph.spec)), graph


def constants(known: Mapping[str, tf.Tensor]) -> dict[str, tuple[Any, str]]:
    """What is known of the analyses, as Phase takes it."""
    return {name: (value.numpy(), value.dtype.name) for name, value in known.items()}


def _once(key: str, make: Callable[[], Ready]) -> Ready:
    """A worker may live for many runs: it keeps the last few."""
    with _making:
        if key not in _made:
            for oldest in list(_made)[: len(_made) - _MOST + 1]:
                del _made[oldest]
            _made[key] = make()
        return _made[key]
