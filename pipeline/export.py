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

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

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
    # Traced once and called by all that answer: a call is one operation of theirs.
    scores = _traced(lambda inputs: {"scores": trained.model(inputs, training=False)}, read)

    def shared(inputs: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        return scores({name: tf.ensure_shape(inputs[name], read[name].shape) for name in read})["scores"]

    calling = dataclasses.replace(trained, model=cast(keras.Model, shared))

    def serve_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return calling.answers(tf.io.parse_example(examples, serving_spec))

    def serve_columns(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return calling.answers({name: _as_raw(value, serving_spec[name]) for name, value in columns.items()})

    def transform_labels(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {label.transformed: graph(tf.io.parse_example(examples, label_spec))[label.transformed]}

    archive = keras.export.ExportArchive()
    archive.track(trained.model)
    archive._tf_trackable.transform_graph = graph
    for name, function, signature in (
        (SERVING_SIGNATURE, _traced(serve_examples, examples), examples),
        (COLUMNS_SIGNATURE, _traced(serve_columns, columns), columns),
        (TRANSFORMED_SIGNATURE, _traced(calling.answers_to, read), read),
        (LABELS_SIGNATURE, _traced(transform_labels, examples), examples),
    ):
        archive.add_endpoint(name, tf.function(_call(function), input_signature=[signature], autograph=False))
    archive.write_out(path, verbose=False)


def _traced(function: Callable[[Any], dict[str, tf.Tensor]], signature: Any) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A function's graph, with one argument. `saved_model.save` traces an endpoint anew, in a context of its own; if it
    only calls such a graph, that costs nothing."""
    made = tf.function(function, input_signature=[signature], autograph=False).get_concrete_function()
    return cast(Callable[[Any], dict[str, tf.Tensor]], made)


def _call(function: Callable[[Any], dict[str, tf.Tensor]]) -> Callable[[Any], dict[str, tf.Tensor]]:
    def endpoint(given: Any) -> dict[str, tf.Tensor]:
        return function(given)

    return endpoint


def _as_raw(values: tf.Tensor, spec: Any) -> tf.Tensor | tf.SparseTensor:
    """A dense column of shape [rows] as the raw feature spec has it, without the values that stand for missing ones."""
    if not isinstance(spec, tf.io.VarLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    empty = EMPTY[spec.dtype]
    present = tf.math.is_finite(values) if spec.dtype == tf.float32 else tf.not_equal(values, empty)
    rows = tf.where(present)
    indices = tf.concat([rows, tf.zeros_like(rows)], 1)
    return tf.SparseTensor(indices, tf.gather(values, rows[:, 0]), [tf.shape(values, tf.int64)[0], 1])


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
            answers = run.answers(signature, list(expected), inputs)
            for output, values in expected.items():
                _compare(signature, output, answers[output], values, [f.name for f in features])
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
            self._model = SessionModel(path, as_written())
        except ServingError as error:
            raise ExportError(f"export: {Path(path).name} does not load in a session: {error.message}") from error

    def __call__(
        self, signature: str, output: str, inputs: Callable[[dict[str, tf.DType]], dict[str, Any]]
    ) -> np.ndarray:
        return self.answers(signature, [output], inputs)[output]

    def answers(
        self, signature: str, outputs: Sequence[str], inputs: Callable[[dict[str, tf.DType]], dict[str, Any]]
    ) -> dict[str, np.ndarray]:
        """Several outputs, in one run."""
        known = self._model.signatures
        if signature not in known:
            raise ExportError(f"export: no signature {signature!r}. Received: {', '.join(sorted(known))}")
        spec = known[signature]
        values = inputs({name: tensor.dtype for name, tensor in spec.inputs.items()})
        missing = [output for output in outputs if output not in spec.outputs]
        if missing or set(values) != set(spec.inputs):
            raise ExportError(
                f"export: signature {signature!r}: expected inputs {sorted(values)} and output "
                f"{(missing or list(outputs))[0]!r}. "
                f"Received: inputs {sorted(spec.inputs)} and outputs {sorted(spec.outputs)}"
            )
        try:
            return self._model.run(signature, values, outputs)
        except ServingError as error:
            raise ExportError(f"export: signature {signature!r} fails in a session: {error.message}") from error

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._model.close()


def as_written() -> config_pb2.ConfigProto:
    """Runs graphs as they are, functions in one piece with what calls them.

    To rewrite the graphs of four signatures takes a second, and to ask them 64 rows as they are a few hundredths of one. The
    serving check asks the same rows of a server, which does rewrite them.
    """
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.do_function_inlining = True
    return config


def _column(rows: Sequence[Any], name: str, dtype: tf.DType) -> np.ndarray:
    """A raw column of parsed tf.Examples as a JSON client would send it, shape [rows]."""
    kind = {tf.float32: "float_list", tf.int64: "int64_list", tf.string: "bytes_list"}[dtype]
    values = [getattr(row[name], kind).value if name in row else () for row in rows]
    filled = [value[0] if value else EMPTY[dtype] for value in values]
    return np.array(filled, dtype=object if dtype == tf.string else dtype.as_numpy_dtype)
