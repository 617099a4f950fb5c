"""The exported model: three signatures on the transform graph and the trained model, and the proof that they work.

- `serving_default`: serialised tf.Examples -> the model's output.
- `columns`: one input a raw column, shape [rows]; for JSON clients. A missing float is NaN, a missing string "", a
  missing integer `features.INT_MISSING`.
- `labels`: serialised tf.Examples with a label -> the transformed label; only the evaluator uses it.

`tf.saved_model.save(keras3_model, signatures=…)` writes a model that TensorFlow loads and TF Serving then fails on with
"Could not find variable". `keras.export.ExportArchive` does not, and `verify` proves it for each export by TF Serving's
own path, a TF1 session on the loaded graph.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import ExportError
from pipeline.features import Feature
from pipeline.labels import Label
from pipeline.transform_graph import EMPTY, TransformGraph

SERVING_SIGNATURE = "serving_default"
COLUMNS_SIGNATURE = "columns"
LABELS_SIGNATURE = "labels"
TOLERANCE = 1e-5


def export(model: keras.Model, graph: TransformGraph, features: Sequence[Feature], label: Label, path: str) -> None:
    """Writes the SavedModel.

    Args:
      model: transformed name -> tensor [rows, 1], to tensor [rows, 1].
      graph: the transform graph.
      features: the task's features.
      label: the task's label.
      path: folder to write to.
    """
    serving_spec = {feature.name: graph.spec[feature.name] for feature in features}
    label_spec = {column: graph.spec[column] for column in label.columns}
    examples = tf.TensorSpec([None], tf.string, name="examples")
    columns = {name: tf.TensorSpec([None], spec.dtype, name=name) for name, spec in serving_spec.items()}

    def serve_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {label.output: predict(model, graph, features, tf.io.parse_example(examples, serving_spec))}

    def serve_columns(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        raw = {name: _as_raw(value, serving_spec[name]) for name, value in columns.items()}
        return {label.output: predict(model, graph, features, raw)}

    def transform_labels(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {label.transformed: graph(tf.io.parse_example(examples, label_spec))[label.transformed]}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive._tf_trackable.transform_graph = graph
    for name, function, signature in (
        (SERVING_SIGNATURE, serve_examples, examples),
        (COLUMNS_SIGNATURE, serve_columns, columns),
        (LABELS_SIGNATURE, transform_labels, examples),
    ):
        endpoint = tf.function(function, input_signature=[signature], autograph=False)
        endpoint.get_concrete_function()
        archive.add_endpoint(name, endpoint)
    archive.write_out(path, verbose=False)


def predict(
    model: keras.Model, graph: TransformGraph, features: Sequence[Feature], raw: Mapping[str, Any]
) -> tf.Tensor:
    """The model's answers on raw columns: shape [rows]."""
    transformed = graph(raw)
    inputs = {feature.transformed: transformed[feature.transformed] for feature in features}
    return tf.squeeze(model(inputs, training=False), 1)


def _as_raw(values: tf.Tensor, spec: Any) -> tf.Tensor | tf.SparseTensor:
    """A dense column of shape [rows] as the raw feature spec has it, without the values that stand for missing ones."""
    if not isinstance(spec, tf.io.VarLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    empty = EMPTY[spec.dtype]
    present = tf.math.is_finite(values) if spec.dtype == tf.float32 else tf.not_equal(values, empty)
    rows = tf.where(present)
    indices = tf.concat([rows, tf.zeros_like(rows)], 1)
    return tf.SparseTensor(indices, tf.boolean_mask(values, present), [tf.shape(values, tf.int64)[0], 1])


def verify(
    path: str,
    examples: Sequence[bytes],
    expected: np.ndarray,
    features: Sequence[Feature],
    label: Label,
) -> None:
    """Loads the export as TF Serving does and runs it on real rows.

    Args:
      path: the SavedModel.
      examples: serialised raw tf.Examples, with the label.
      expected: the trained model's answers on the same rows in the same order, shape [rows].
      features: the task's features.
      label: the task's label.

    Raises:
      ExportError: a signature is missing, fails, or answers otherwise by more than TOLERANCE, absolute
        and, for large answers, relative.
    """
    rows = [tf.train.Example.FromString(example).features.feature for example in examples]
    run = _session(path)
    for signature, inputs in (
        (SERVING_SIGNATURE, lambda keys: {"examples": list(examples)}),
        (
            COLUMNS_SIGNATURE,
            lambda keys: {f.name: _column(rows, f.name, keys[f.name]) for f in features if f.name in keys},
        ),
    ):
        received = run(signature, label.output, inputs).reshape(-1)
        if received.shape != expected.shape or not np.allclose(received, expected, rtol=TOLERANCE, atol=TOLERANCE):
            worst = int(np.argmax(np.abs(received - expected))) if received.shape == expected.shape else 0
            raise ExportError(
                f"export: signature {signature!r} does not answer as the trained model. "
                f"Expected row {worst}: {expected[worst]:.6f}. Received: {received[worst]:.6f} "
                f"(features {', '.join(feature.name for feature in features)}). The model was not released."
            )
    targets = run(LABELS_SIGNATURE, label.transformed, lambda keys: {"examples": list(examples)})
    if targets.shape[0] != len(examples):
        raise ExportError(
            f"export: {LABELS_SIGNATURE!r}: expected {len(examples)} labels. Received: {targets.shape[0]}"
        )


def _session(path: str) -> Callable[[str, str, Callable[[dict[str, tf.DType]], dict[str, Any]]], np.ndarray]:
    """A function of a signature, an output's name and what makes the inputs: runs it in a TF1 session, TF Serving's path.

    Raises:
      ExportError: the model does not load, has no such signature, or fails on the request.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default():
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def
    except (tf.errors.OpError, OSError, ValueError) as error:
        raise ExportError(f"export: {Path(path).name} does not load in a session: {error}") from error

    def run(signature: str, output: str, inputs: Callable[[dict[str, tf.DType]], dict[str, Any]]) -> np.ndarray:
        if signature not in signatures:
            raise ExportError(f"export: no signature {signature!r}. Received: {', '.join(sorted(signatures))}")
        spec = signatures[signature]
        values = inputs({name: tf.as_dtype(info.dtype) for name, info in spec.inputs.items()})
        if output not in spec.outputs or set(values) != set(spec.inputs):
            raise ExportError(
                f"export: signature {signature!r}: expected inputs {sorted(values)} and output {output!r}. "
                f"Received: inputs {sorted(spec.inputs)} and outputs {sorted(spec.outputs)}"
            )
        try:
            answer: np.ndarray = session.run(
                spec.outputs[output].name, {spec.inputs[name].name: value for name, value in values.items()}
            )
        except tf.errors.OpError as error:
            raise ExportError(f"export: signature {signature!r} fails in a session: {error.message}") from error
        return answer

    return run


def _column(rows: Sequence[Any], name: str, dtype: tf.DType) -> np.ndarray:
    """A raw column of parsed tf.Examples as a JSON client would send it, shape [rows]."""
    kind = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}[dtype]
    values = [getattr(row[name], kind).value if name in row else () for row in rows]
    filled = [value[0] if value else EMPTY[dtype] for value in values]
    return np.array(filled, dtype=object if dtype == tf.string else dtype.as_numpy_dtype)
