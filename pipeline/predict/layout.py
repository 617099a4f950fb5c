"""The columns of the output: what is kept of the input, then what the model answers, then `model_version`.

| the model answers | columns |
|---|---|
| `probability`, `prediction`, `class`: [rows] | of these names |
| `probabilities`: [rows, classes], beside `classes`, the names | `probability_<class>` for each |
| `chosen`: [rows, classes], beside `classes` | `chosen_<class>` for each |
| another output of [rows, n] without names | `<output>_0`, `<output>_1`, … |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataBlocked, MillraceError
from pipeline.ingest import mixed, typed
from pipeline.predict.models import Model

FILE, LINE, VERSION = "file", "line", "model_version"
_CLASSES = "classes"
_SINGULAR = {"probabilities": "probability"}


@dataclass(frozen=True)
class Kept:
    """A column of the input that is written.

    Attributes:
      name: of the column.
      type: that it is written with.
    """

    name: str
    type: pa.DataType


@dataclass(frozen=True)
class Answer:
    """A column of answers.

    Attributes:
      name: of the column.
      output: of the model.
      place: among the values that the output has for a row; None where it has one without a dimension of its own.
      type: Arrow's.
    """

    name: str
    output: str
    place: int | None
    type: pa.DataType


def answers_of(model: Model, classes: Sequence[str]) -> list[Answer]:
    """The columns of a model's answers, from what it says of a row in which all is missing.

    Args:
      model: the model.
      classes: of the task's label; their names where the model gives none, as when it fails on such a row.

    Raises:
      MillraceError: an output has more than one dimension beside the rows, or its columns can't be told apart.
    """
    from serving.errors import ServingError

    try:
        said = model.ask(model.nothing(1))
    except ServingError:
        said = _shapes(model)
    named = said.get(_CLASSES)
    given = [_text(name) for name in named[0]] if named is not None and named.size else list(classes)
    found: list[Answer] = []
    for output, values in sorted(said.items()):
        if output == _CLASSES:
            continue
        kind = pa.string() if values.dtype.kind in "OSU" else pa.from_numpy_dtype(values.dtype)
        if values.ndim == 1:
            found.append(Answer(output, output, None, kind))
        elif values.ndim == 2 and values.shape[1] == 1:
            found.append(Answer(output, output, 0, kind))
        elif values.ndim == 2:
            size = values.shape[1]
            labels = given if len(given) == size else [str(number) for number in range(size)]
            stem = _SINGULAR.get(output, output)
            found += [Answer(f"{stem}_{label}", output, place, kind) for place, label in enumerate(labels)]
        else:
            raise MillraceError(f"predict: output {output!r}: expected [rows] or [rows, n]. Received: {values.shape}")
    names = [answer.name for answer in found]
    twice = sorted({name for name in [*names, VERSION] if [*names, VERSION].count(name) > 1})
    if twice:
        raise MillraceError(f"predict: answers of the model can't be told apart: columns {', '.join(twice)}")
    return found


def _shapes(model: Model) -> dict[str, np.ndarray]:
    """Answers to no rows: types and shapes are all that they have."""
    from serving.errors import ServingError

    try:
        return model.ask(model.nothing(0))
    except ServingError as error:
        raise MillraceError(f"predict: the model answers neither a row nor none: {error.message}") from error


def answer_columns(answers: Sequence[Answer], said: Mapping[str, np.ndarray]) -> list[pa.Array]:
    """The columns of answers to a batch."""
    columns = []
    for answer in answers:
        values = said[answer.output] if answer.place is None else said[answer.output][:, answer.place]
        if pa.types.is_string(answer.type):
            columns.append(pa.array([_text(value) for value in values], answer.type))
        else:
            columns.append(pa.array(np.ascontiguousarray(values), answer.type))
    return columns


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def own_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column of a file with types is written with: its own; text as text; lists and structs as JSON."""
    if pa.types.is_dictionary(kind):
        return own_type(kind.value_type)
    if typed.is_text(kind) or pa.types.is_nested(kind):
        return pa.string()
    return kind


def kept_column(column: pa.Array, kind: pa.DataType, decimal: str, file: str, name: str) -> pa.Array:
    """A column of the input as it is written.

    Args:
      column: the good rows.
      kind: the type to write.
      decimal: the decimal point of numbers that are text.
      file: in messages.
      name: of the column, in messages.

    Raises:
      DataBlocked: it has another type than in the first rows of the first file.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == kind:
        return column
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    if pa.types.is_string(kind):
        return _as_text(column)
    try:
        return _converted(column, kind, decimal)
    except (pa.ArrowException, typed.Unsupported) as error:
        raise DataBlocked(
            f"{file}: column {name!r}: expected {kind}, as in the first rows of the first file. Received: {column.type}. "
            "Next: name the columns to write with --keys, or predict files of one type together"
        ) from error


def _as_text(column: pa.Array) -> pa.Array:
    """Text as it stands, bytes that are not UTF-8 as \\xNN; numbers, lists and objects as JSON."""
    if typed.is_text(column.type):
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:
            pass
    return mixed.texts(column.to_pylist())


def _converted(column: pa.Array, kind: pa.DataType, decimal: str) -> pa.Array:
    """Values as another type. A block of text with one bad row comes as text; its good rows all have numbers.

    Raises:
      ArrowException, Unsupported: a value does not fit.
    """
    if pa.types.is_integer(kind):
        made, misfits = typed.cast(column, "INT", decimal)
        if misfits.any():
            raise typed.Unsupported(str(column.type))
        return made.cast(kind)
    if not typed.is_text(column.type):
        return column.cast(kind)
    text = pc.utf8_trim(column.cast(pa.string()), " \t")
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    if decimal != ".":
        text = pc.replace_substring(text, decimal, ".")
    return text.cast(kind)
