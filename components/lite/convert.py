"""A SavedModel's signature as a TF Lite file.

The whole graph, from raw columns on, is tried first. TF Lite has neither TensorFlow's operations on strings nor its hash
tables, of which our vocabularies are made; where one of these or another missing operation is in the way, the part
after the transform is taken: transformed columns to answers. Recurrent networks don't convert at all: the lists in which
Keras keeps their states have no size before the number of rows is known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.export import COLUMNS_SIGNATURE, TRANSFORMED_SIGNATURE
from pipeline.lite import Format

_MISSING = re.compile(r"(?:TF Select|Custom) ops: (.+)")
_ON_TEXT = re.compile("Lookup|Table|String|Regex|Decode")
Rows = Mapping[str, np.ndarray]


class CannotConvert(Exception):
    """With the reason, as a sentence without its subject."""


@dataclass(frozen=True)
class Part:
    """What of a model TF Lite can hold.

    Attributes:
      loaded: the SavedModel.
      signature: COLUMNS_SIGNATURE for the whole graph, TRANSFORMED_SIGNATURE for the part after the transform.
      refusals: what was tried before, and why it can't be converted.
    """

    loaded: Any
    signature: str
    refusals: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Name -> shape and type; any number of rows."""
        return dict(sorted(self._function.structured_input_signature[1].items()))

    @property
    def _function(self) -> Any:
        return self.loaded.signatures[self.signature]

    @property
    def title(self) -> str:
        """In words."""
        return "the whole graph" if self.signature == COLUMNS_SIGNATURE else "the part after the transform"

    def convert(self, kind: Format, calibration: Iterable[Rows] = ()) -> bytes:
        """The TF Lite file.

        Args:
          kind: its format.
          calibration: rows to learn ranges from, for int8: input's name -> [1, …].

        Raises:
          CannotConvert: with the converter's reason.
        """
        names = self.inputs
        answer = tf.function(self._numbers, autograph=False).get_concrete_function(**names)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([answer], self.loaded)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if kind == "int8":
            rows = list(calibration)
            if not rows:
                raise CannotConvert("has no row to learn ranges from")

            def representative() -> Iterator[dict[str, np.ndarray]]:
                yield from ({name: row[name] for name in names} for row in rows)

            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = representative
        try:
            content: bytes = converter.convert()
        except Exception as error:  # The converter raises its own, ValueError and RuntimeError alike.
            raise CannotConvert(_reason(error)) from error
        return content

    def _numbers(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """The answers, without the names of classes: those are text."""
        answers = self._function(**inputs)
        return {name: answer for name, answer in answers.items() if answer.dtype != tf.string}


def convertible(loaded: Any) -> Part:
    """The largest part of a model that converts.

    Args:
      loaded: the SavedModel.

    Raises:
      CannotConvert: none does; with the reason for each.
    """
    refusals: tuple[str, ...] = ()
    for signature in (COLUMNS_SIGNATURE, TRANSFORMED_SIGNATURE):
        part = Part(loaded, signature, refusals)
        text = [name for name, spec in part.inputs.items() if spec.dtype == tf.string]
        if text:
            operations = ", ".join(_on_text(part._function.graph.as_graph_def()))
            refusals += (f"{part.title} reads text ({', '.join(text)}), with {operations}",)
            continue
        try:
            part.convert("float32")
        except CannotConvert as error:
            refusals += (f"{part.title} {error}",)
        else:
            return part
    raise CannotConvert("; ".join(refusals))


def _on_text(graph: Any) -> list[str]:
    """The types of the operations on text and tables in a graph and in the functions that it calls."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sorted({node.op for node in nodes if _ON_TEXT.search(node.op)})


def _reason(error: Exception) -> str:
    """What stood in the way: the missing operations where the converter names them, else its first line."""
    text = str(error)
    missing = sorted({op.strip() for found in _MISSING.findall(text) for op in found.split(",")})
    if missing:
        return f"needs operations that TF Lite does not have: {', '.join(missing)}"
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"does not convert: {first.partition(' error: ')[2] or first}"
