"""The model: its answers to rows, as a server gives them.

Rows go through the same session and the same signature as in the embedded server. Of models that we export that is
`columns`, one input a raw column; of others `serving_default`, if it takes serialised tf.Examples.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import MillraceError, UsageError
from pipeline.features.base import INT_MISSING, Feature
from pipeline.ingest import rules, typed
from pipeline.remote import brought

if TYPE_CHECKING:
    from serving.session import SessionModel, Signature

COLUMNS = "columns"
EXAMPLES = "serving_default"
_HOPELESS = 256
"""Rows that fail one by one, with none answered, after which the model is taken to be broken, not the rows."""

_LONGEST = 300
_KINDS = {"float32": "FLOAT", "int64": "INT", "string": "BYTES"}
_MISSING = {"FLOAT": float("nan"), "INT": INT_MISSING, "BYTES": b""}


@lru_cache(maxsize=1)
def load(path: str) -> "Model":
    """The model of a folder, or of a place in a bucket; the last one stays loaded, so that a process loads it once.

    Raises:
      MillraceError: the bucket can't be read.
      UsageError: it does not load, or can't be asked about rows.
    """
    from serving.errors import ServingError
    from serving.session import SessionModel

    with brought.here(path) as folder:
        try:
            return Model(SessionModel(folder))
        except ServingError as error:
            raise UsageError(f"predict: {error.message.replace(folder, path)}") from error


class Model:
    """A model that is loaded, asked about typed columns.

    Attributes:
      signature: the one that is asked.
    """

    def __init__(self, session: "SessionModel") -> None:
        """Chooses the signature.

        Raises:
          UsageError: none takes columns or tf.Examples.
        """
        found = session.signatures
        asked = found.get(COLUMNS) or found.get(EXAMPLES)
        kinds = {} if asked is None else {n: _KINDS.get(tensor.dtype.name) for n, tensor in asked.inputs.items()}
        fits = len(kinds) == 1 and {*kinds.values()} == {"BYTES"} if COLUMNS not in found else all(kinds.values())
        if asked is None or not fits:
            raise UsageError(
                f"predict: {session.path} can't be asked about rows. Expected a signature {COLUMNS!r} of float32, int64 "
                f"and string columns, or {EXAMPLES!r} of serialised tf.Examples. Received: {', '.join(sorted(found))}"
            )
        self._session = session
        self._answered = False
        self.signature: Signature = asked

    @property
    def kinds(self) -> dict[str, str] | None:
        """Column -> INT, FLOAT or BYTES; None of a model that takes tf.Examples, which don't say what is in them."""
        if self.signature.name != COLUMNS:
            return None
        return {name: _KINDS[tensor.dtype.name] for name, tensor in self.signature.inputs.items()}

    def inputs(self, columns: Mapping[str, pa.Array]) -> dict[str, np.ndarray]:
        """Typed columns of shape [rows] as the signature takes them.

        Args:
          columns: name -> int64, float32 or binary, or lists of one value at most; null is missing.
        """
        if self.kinds is not None:
            return {name: _dense(rules.single(columns[name]), kind) for name, kind in self.kinds.items()}
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        batch = pa.RecordBatch.from_pydict({name: typed.as_lists(values) for name, values in columns.items()})
        name = next(iter(self.signature.inputs))
        return {name: np.array(RecordBatchToExamplesEncoder().encode(batch), object)}

    def nothing(self, rows: int) -> dict[str, np.ndarray]:
        """Inputs of rows in which all is missing."""
        if self.kinds is None:
            return {next(iter(self.signature.inputs)): np.array([b""] * rows, object)}
        types = {"FLOAT": np.float32, "INT": np.int64, "BYTES": object}
        return {name: np.full(rows, _MISSING[kind], types[kind]) for name, kind in self.kinds.items()}

    def ask(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Answers to a batch, output -> array whose first dimension is rows; without `outputs`, all of them.

        Raises:
          ServingError: the model fails on it.
        """
        return self._session.run(self.signature.name, inputs, outputs)

    def answers(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], rows: int, at_once: int
    ) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        """Answers to rows; where a batch fails, its halves are asked, down to single rows.

        Args:
          inputs: of `inputs`.
          outputs: what is wanted of the model.
          rows: how many there are.
          at_once: rows of a batch.

        Returns:
          Output -> answers to the rows that were answered, in order; row -> why it was not. An answer that is not a
          finite number counts as none.

        Raises:
          MillraceError: the model fails on every row.
        """
        failed: dict[int, str] = {}
        parts = [
            part
            for at in range(0, rows, at_once)
            for part in self._asked(inputs, outputs, at, min(at + at_once, rows), failed)
        ]
        if not parts:
            return {}, failed
        merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        places = np.delete(np.arange(rows), list(failed))
        finite, said = _finite(merged)
        failed |= {int(places[index]): message for index, message in said.items()}
        return {name: values[finite] for name, values in merged.items()} if said else merged, failed

    def _asked(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        first: int,
        last: int,
        failed: dict[int, str],
    ) -> Iterator[dict[str, np.ndarray]]:
        """Answers to rows from first to before last, in parts; notes those that fail."""
        from serving.errors import ServingError

        try:
            found = self.ask({name: values[first:last] for name, values in inputs.items()}, outputs)
            self._answered = True
            yield _checked(found, last - first)
        except ServingError as error:
            if last - first > 1:
                middle = (first + last) // 2
                yield from self._asked(inputs, outputs, first, middle, failed)
                yield from self._asked(inputs, outputs, middle, last, failed)
                return
            failed[first] = f"the model fails on the row: {_short(error.message)}"
            if not self._answered and len(failed) >= _HOPELESS:
                raise MillraceError(
                    f"predict: the model fails on each of the first {_HOPELESS} rows: {_short(error.message)}. "
                    "Next: millrace rollback, or give another --model"
                ) from error


def _short(message: str) -> str:
    """What TensorFlow says, in one line, without the nodes of the graph."""
    lines = (line.strip() for line in message.splitlines())
    said = " ".join(line for line in lines if line and "{{node" not in line and line != "Graph execution error:")
    return said[:_LONGEST].rstrip(". ")


def _dense(column: pa.Array, kind: str) -> np.ndarray:
    """A column as an array, with the value that stands for a missing one; it must not share memory that Arrow frees."""
    filled = pc.fill_null(column, pa.scalar(_MISSING[kind], column.type))
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _checked(answers: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """The answers, if each is one a row.

    Raises:
      MillraceError: an output has another number of rows.
    """
    for name, values in answers.items():
        if not values.ndim or len(values) != rows:
            raise MillraceError(
                f"predict: output {name!r}: expected an answer for each of {rows} rows. Received: shape={values.shape}"
            )
    return answers


def _finite(answers: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[int, str]]:
    """Bool [rows], where all numbers are finite; and, row by row, which answer is not."""
    rows = len(next(iter(answers.values())))
    finite = np.ones(rows, bool)
    said: dict[int, str] = {}
    for name, values in answers.items():
        if values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        flat = values.reshape(rows, -1)
        for row in np.flatnonzero(~np.isfinite(flat).all(axis=1)):
            wrong = flat[row][~np.isfinite(flat[row])][0]
            said.setdefault(int(row), f"expected a finite answer of the model. Received: {name}={wrong}")
            finite[row] = False
    return finite, said


def batch_rows(features: Sequence[Feature]) -> int:
    """Rows that a model is asked about at once; docs/predict.md has the measurements.

    Returns:
      8,192 where it reads numbers and ids; else as many as make about 16 MB of inputs, 256 at most, since the layers
      of a network hold many times that.
    """
    if all(feature.modality in ("number", "ids") for feature in features):
        return 8192
    size = 4 * sum(math.prod(feature.shape) for feature in features)
    return max(1, min(256, (16 << 20) // size))
