"""A function of raw columns that any process can make by itself: in this one, or in a worker of Beam.

A traced function can't travel. What it is traced from can: the preprocessing_fn by its name, the schema, and what the
analyses gave so far. TFT names the same tensors in every trace, which its own way on Beam relies on, too. Tracing costs
a second, so a process does it once for all shards of a phase.
"""

import posixpath
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from components.transform.rows import Rows
from components.transform.tracing import Preprocess, Traced, Tracer
from pipeline.ingest import files
from pipeline.remote import transfer
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
      sent: of `known`, those whose value is a file's place in a bucket, which has to be brought first.
      outputs: name -> name of a tensor that is made of the rows; None: the transformed columns.
      key: of this phase and no other.
    """

    preprocess: Preprocess
    schema: bytes
    known: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()
    outputs: Mapping[str, str] | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ready(self) -> Ready:
        """Traces, where this process has not yet."""
        return _once(self.key, self._traced)

    def is_traced(self, traced: Traced) -> None:
        """Spares this process another trace."""
        _once(self.key, lambda: self._of(traced))

    def _traced(self) -> Ready:
        tracer = Tracer(self.preprocess, self._rows().specs, _folder())
        values = {name: self._brought(value) if name in self.sent else value for name, (value, _) in self.known.items()}
        known = {name: tf.constant(values[name], tf.dtypes.as_dtype(kind)) for name, (_, kind) in self.known.items()}
        return self._of(tracer.trace(known or None))

    def _brought(self, url: str) -> str:
        return _brought(url, self.key, posixpath.basename(url))

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
      folder: of the transform graph, maybe in a bucket.
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
        folder = _brought(self.folder, self.key) if files.scheme(self.folder) else self.folder
        graph = TransformGraph(tft.TFTransformOutput(folder))
        return Rows(schema_pb2.Schema.FromString(self.schema), sorted(graph.spec)), graph


@dataclass(frozen=True)
class Files:
    """What analyses wrote, such as vocabularies, on its way to workers.

    Attributes:
      folder: of this machine, where it is written.
      url: of a folder in a bucket, where workers find it; None: they reach the one of this machine.
    """

    folder: str
    url: str | None = None

    def phase(
        self,
        preprocess: Preprocess,
        schema: bytes,
        known: Mapping[str, tf.Tensor],
        outputs: Mapping[str, str] | None = None,
    ) -> Phase:
        """The phase after these analyses; the files that it names are sent.

        Raises:
          MillraceError: the bucket can't be written.
        """
        found = {name: (value.numpy(), value.dtype.name) for name, value in known.items()}
        sent = {name: self._sent(value) for name, (value, _) in found.items() if self.url and self._is_path(value)}
        values = {name: (sent.get(name, value), kind) for name, (value, kind) in found.items()}
        return Phase(preprocess, schema, values, frozenset(sent), outputs)

    def whole(self, folder: str) -> str:
        """Where workers find a folder of this machine; it is sent, if they don't reach it.

        Raises:
          MillraceError: the bucket can't be written.
        """
        if self.url is None:
            return folder
        url = transfer.join(self.url, Path(folder).name)
        transfer.upload(Path(folder), url)
        return url

    def _is_path(self, value: Any) -> bool:
        return isinstance(value, bytes) and value.startswith(f"{self.folder}/".encode())

    def _sent(self, value: bytes) -> str:
        path = Path(value.decode())
        url = transfer.join(str(self.url), path.relative_to(self.folder).as_posix())
        transfer.upload(path, url)
        return url


def _folder() -> str:
    """For files of this process, as long as it lives: tables read theirs when they like."""
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="millrace-transform"))
    return _folders[0].name


def _brought(url: str, *names: str) -> str:
    """A file or folder of this process for one in a bucket."""
    path = Path(_folder(), *names)
    transfer.download(url, path)
    return str(path)


def _once(key: str, make: Callable[[], Ready]) -> Ready:
    """A worker may live for many runs: it keeps the last few."""
    with _making:
        if key not in _made:
            for oldest in list(_made)[: max(0, len(_made) - _MOST + 1)]:
                del _made[oldest]
            _made[key] = make()
        return _made[key]
