"""The exported model: four signatures on the transform graph and the trained model, and the proof that they work.

- `serving_default`: serialised tf.Examples -> the model's output.
- `columns`: one input a raw column, shape [rows]; for JSON clients. A missing float is NaN, a missing string "", a
  missing integer `features.INT_MISSING`.
- `transformed`: one input a transformed column, as the model reads it, shape [rows, *shape]; for clients that have these
  already, and the part of the model that TF Lite can always hold.
- `labels`: serialised tf.Examples with a label -> the transformed label; only the evaluator uses it.

`tf.saved_model.save(keras3_model, signatures=…)` writes a model that TensorFlow loads and TF Serving then fails on with
"Could not find variable". `keras.export.ExportArchive` does not, and `verify` proves it for each export by TF Serving's
own path, a TF1 session on the loaded graph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import ExportError
from pipeline.features.base import Feature
from pipeline.labels import Label, Scale
from pipeline.transform_graph import EMPTY, TransformGraph
from serving.errors import ServingError
from serving.session import SessionModel

SERVING_SIGNATURE = "serving_default"
COLUMNS_SIGNATURE = "columns"
TRANSFORMED_SIGNATURE = "transformed"
LABELS_SIGNATURE = "labels"
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Trained:
    """A trained model and what it takes to answer on raw rows.

    Attributes:
      model: transformed name -> [rows, *shape], to scores [rows, units].
      scale: of the label in training.
      graph: the transform graph.
      features: the task's.
      label: the task's.
    """

    model: keras.Model
    scale: Scale
    graph: TransformGraph
    features: Sequence[Feature]
    label: Label

    def answers(self, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """What is served for raw columns, see Label.answers."""
        return self.answers_to(model_inputs(self.graph, self.features, raw))

    def answers_to(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What is served for what the model reads."""
        scores = tf.cast(self.model(inputs, training=False), tf.float32)
        return self.label.answers(scores, self.scale)

    @property
    def serving_spec(self) -> dict[str, Any]:
        """Parsing spec of the raw columns that are there at serving."""
        spec = self.graph.spec
        return {feature.name: spec[feature.name] for feature in self.features}


def model_inputs(graph: TransformGraph, features: Sequence[Feature], raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Transformed name -> what the model reads, [rows, *shape], of raw columns."""
    transformed = graph(raw)
    return {f.transformed: f.model_input(transformed[f.transformed]) for f in features}


def export(trained: Trained, path: str) -> None:
    """Writes the SavedModel.

    Args:
      trained: the model.
      path: folder to write to.
    """
    graph, label = trained.graph, trained.label
    serving_spec = trained.serving_spec
    label_spec = {column: graph.spec[column] for column in label.columns}
    examples = tf.TensorSpec([None], tf.string, name="examples")
    columns = {name: tf.TensorSpec([None], spec.dtype, name=name) for name, spec in serving_spec.items()}
    read = {
        f.transformed: tf.TensorSpec([None, *f.shape], tf.as_dtype(f.dtype), name=f.transformed)
        for f in trained.features
    }

    def serve_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return trained.answers(tf.io.parse_example(examples, serving_spec))

    def serve_columns(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return trained.answers({name: _as_raw(value, serving_spec[name]) for name, value in columns.items()})

    def serve_transformed(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return trained.answers_to(inputs)

    def transform_labels(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {label.transformed: graph(tf.io.parse_example(examples, label_spec))[label.transformed]}

    archive = keras.export.ExportArchive()
    archive.track(trained.model)
    archive._tf_trackable.transform_graph = graph
    for name, function, signature in (
        (SERVING_SIGNATURE, serve_examples, examples),
        (COLUMNS_SIGNATURE, serve_columns, columns),
        (TRANSFORMED_SIGNATURE, serve_transformed, read),
        (LABELS_SIGNATURE, transform_labels, examples),
    ):
        endpoint = tf.function(function, input_signature=[signature], autograph=False)
        endpoint.get_concrete_function()
        archive.add_endpoint(name, endpoint)
    archive.write_out(path, verbose=False)


def _as_raw(values: tf.Tensor, spec: Any) -> tf.Tensor | tf.SparseTensor:
    """A dense column of shape [rows] as the raw feature spec has it, without the values that stand for missing ones."""
    if not isinstance(spec, tf.io.VarLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    empty = EMPTY[spec.dtype]
    present = tf.math.is_finite(values) if spec.dtype == tf.float32 else tf.not_equal(values, empty)
    rows = tf.where(present)
    indices = tf.concat([rows, tf.zeros_like(rows)], 1)
    return tf.SparseTensor(indices, tf.boolean_mask(values, present), [tf.shape(values, tf.int64)[0], 1])


def verify(path: str, examples: Sequence[bytes], trained: Trained) -> dict[str, np.ndarray]:
    """Loads the export as TF Serving does and runs it on rows.

    Args:
      path: the SavedModel.
      examples: serialised raw tf.Examples, with the label.
      trained: what it must answer as.

    Returns:
      What the trained model answers: output -> [rows, …].

    Raises:
      ExportError: a signature is missing, fails, or answers otherwise by more than TOLERANCE, absolute
        and, for large answers, relative.
    """
    features, label = trained.features, trained.label
    read = model_inputs(trained.graph, features, tf.io.parse_example(examples, trained.serving_spec))
    expected = {name: answer.numpy() for name, answer in trained.answers_to(read).items()}
    rows = [tf.train.Example.FromString(example).features.feature for example in examples]
    with _Session(path) as run:
        for signature, inputs in (
            (SERVING_SIGNATURE, lambda keys: {"examples": list(examples)}),
            (
                COLUMNS_SIGNATURE,
                lambda keys: {f.name: _column(rows, f.name, keys[f.name]) for f in features if f.name in keys},
            ),
            (TRANSFORMED_SIGNATURE, lambda keys: {name: read[name].numpy() for name in keys if name in read}),
        ):
            for output, values in expected.items():
                _compare(signature, output, run(signature, output, inputs), values, [f.name for f in features])
        targets = run(LABELS_SIGNATURE, label.transformed, lambda keys: {"examples": list(examples)})
        if targets.shape[0] != len(examples):
            raise ExportError(
                f"export: {LABELS_SIGNATURE!r}: expected {len(examples)} labels. Received: {targets.shape[0]}"
            )
    return expected


def _compare(signature: str, output: str, received: np.ndarray, expected: np.ndarray, features: Sequence[str]) -> None:
    """Raises ExportError where the answers differ."""
    if received.shape != expected.shape:
        raise ExportError(
            f"export: signature {signature!r}, {output}: expected shape {expected.shape}. Received: {received.shape}"
        )
    if expected.dtype.kind == "f":
        equal = np.isclose(received, expected, rtol=TOLERANCE, atol=TOLERANCE)
    else:
        equal = np.asarray(received == expected)
    if not equal.all():
        row = int(np.argwhere(~equal)[0][0])
        raise ExportError(
            f"export: signature {signature!r} does not answer as the trained model. "
            f"Expected row {row}: {output} {expected[row]}. Received: {received[row]} "
            f"(features {', '.join(features)}). The model was not released."
        )


class _Session:
    """The exported model in a TF1 session, TF Serving's path: called with a signature, an output's name and a function of
    the inputs' types that makes the inputs.

    Raises:
      ExportError: the model does not load, has no such signature, or fails on the request.
    """

    def __init__(self, path: str) -> None:
        try:
            self._model = SessionModel(path)
        except ServingError as error:
            raise ExportError(f"export: {Path(path).name} does not load in a session: {error.message}") from error

    def __call__(
        self, signature: str, output: str, inputs: Callable[[dict[str, tf.DType]], dict[str, Any]]
    ) -> np.ndarray:
        known = self._model.signatures
        if signature not in known:
            raise ExportError(f"export: no signature {signature!r}. Received: {', '.join(sorted(known))}")
        spec = known[signature]
        values = inputs({name: tensor.dtype for name, tensor in spec.inputs.items()})
        if output not in spec.outputs or set(values) != set(spec.inputs):
            raise ExportError(
                f"export: signature {signature!r}: expected inputs {sorted(values)} and output {output!r}. "
                f"Received: inputs {sorted(spec.inputs)} and outputs {sorted(spec.outputs)}"
            )
        try:
            return self._model.run(signature, values, [output])[output]
        except ServingError as error:
            raise ExportError(f"export: signature {signature!r} fails in a session: {error.message}") from error

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._model.close()


def _column(rows: Sequence[Any], name: str, dtype: tf.DType) -> np.ndarray:
    """A raw column of parsed tf.Examples as a JSON client would send it, shape [rows]."""
    kind = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}[dtype]
    values = [getattr(row[name], kind).value if name in row else () for row in rows]
    filled = [value[0] if value else EMPTY[dtype] for value in values]
    return np.array(filled, dtype=object if dtype == tf.string else dtype.as_numpy_dtype)
