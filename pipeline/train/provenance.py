"""What the rows and columns of a model's weights stand for, found by walking its graph back to its inputs.

A dense layer's weight has a row for each number that it reads, and which feature that number came from depends on how
the features were put side by side; a table of embeddings has a row for each id. A model that is built from other
features, or from the same ones in another order, has weights of the same shapes that mean something else. So each row
gets a name, and weights are carried from model to model by these names.

    names = provenance.of(model, features, {"company": ["missing", "term:Blue Cab", …]}, classes=())
    names["hidden_0/kernel"].rows[:2]     # ["miles", "company·0"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import keras

from pipeline.features.base import Feature

_AS_IT_IS = (
    *(keras.layers.Dropout, keras.layers.Activation, keras.layers.ReLU, keras.layers.Rescaling),
    *(keras.layers.BatchNormalization, keras.layers.LayerNormalization),
)
"""Layers that give as many numbers as they get, each from its own."""


UNUSED = ""
"""Stands for nothing: a row for an id that no value has."""


@dataclass(frozen=True)
class Names:
    """Of one weight; None where nothing is known, and the shape alone decides.

    Attributes:
      rows: of its first axis.
      columns: of its last axis.
      head: whether the model's scores are a sum that this weight enters without another layer in between.
    """

    rows: list[str] | None = None
    columns: list[str] | None = None
    head: bool = False


def keyed(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by path, in its order; a path that comes again gets a number."""
    found: dict[str, keras.Variable] = {}
    for variable in model.weights:
        path, again = variable.path, 1
        while path in found:
            again += 1
            path = f"{variable.path}#{again}"
        found[path] = variable
    return found


def of(
    model: keras.Model, features: Sequence[Feature], ids: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> dict[str, Names]:
    """The names of all weights.

    Args:
      model: functional, from transformed columns to scores.
      features: those that it reads.
      ids: feature -> what each id stands for, from id 0; ids beyond the last are in no use.
      classes: what each score is of, or nothing.

    Returns:
      Key as in `keyed` -> names.
    """
    walk = _Walk({feature.transformed: feature for feature in features})
    heads = {id(layer) for output in model.outputs for layer in walk.sources(output) if layer.weights}
    paths = {id(variable): path for path, variable in keyed(model).items()}
    found = {path: Names() for path in paths.values()}
    for layer in model.layers:
        head = id(layer) in heads
        for variable in layer.weights:
            rows = _rows(layer, variable, walk, ids)
            named = head and len(classes) > 1 and variable.shape[-1] == len(classes)
            found[paths[id(variable)]] = Names(rows, list(classes) if named else None, head)
    return found


def _rows(
    layer: keras.layers.Layer, variable: keras.Variable, walk: "_Walk", ids: Mapping[str, Sequence[str]]
) -> list[str] | None:
    """What the first axis of a weight stands for."""
    read = _only_input(layer)
    if read is None:
        return None
    if isinstance(layer, keras.layers.Embedding):
        order = dict.fromkeys(walk.features(read))
        size = sum(feature.cardinality or 0 for feature in order)
        return _ids(tuple(order), ids) if order and size == variable.shape[0] else None
    dense = isinstance(layer, keras.layers.Dense) and len(variable.shape) == 2
    if dense or isinstance(layer, _AS_IT_IS):
        names = walk.names(read)
        return _unique(names) if len(names) == variable.shape[0] else None
    return None


def _ids(features: Sequence[Feature], ids: Mapping[str, Sequence[str]]) -> list[str]:
    """The rows of a table in which the ids of these features follow one another."""
    found = []
    for feature in features:
        size = feature.cardinality or 0
        known = list(ids.get(feature.name, ()))[:size]
        found += [f"{feature.name}={name}" for name in known]
        found += [UNUSED] * (size - len(known))
    return found


def _unique(names: Sequence[str]) -> list[str]:
    """The same names; one that comes again gets a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _only_input(operation: Any) -> Any:
    """The tensor that an operation reads; None where it reads several, or is used more than once."""
    try:
        read = operation.input
    except (ValueError, AttributeError):
        return None
    if isinstance(read, list | tuple):
        return read[0] if len(read) == 1 else None
    return read


class _Walk:
    """Goes from a symbolic tensor back to what it was made from.

    Keras has no public way from a tensor to the operation that made it; `_keras_history` is what its own functional
    models are built on.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        """Features by the name of the model's input."""
        self._features = features

    def _made_by(self, tensor: Any) -> tuple[Any, list[Any]]:
        """The operation, and the tensors that it read."""
        operation, node, _ = tensor._keras_history
        return operation, list(operation._inbound_nodes[node].input_tensors)

    def names(self, tensor: Any) -> list[str]:
        """What each number of the last axis is."""
        operation, read = self._made_by(tensor)
        width = tensor.shape[-1] or 0
        if isinstance(operation, keras.layers.InputLayer):
            name = self._features[operation.name].name if operation.name in self._features else operation.name
            return [name] if width == 1 else [f"{name}·{number}" for number in range(width)]
        if isinstance(operation, keras.layers.Concatenate) and operation.axis in (-1, len(tensor.shape) - 1):
            return [name for part in read for name in self.names(part)]
        alike = isinstance(operation, _AS_IT_IS) or not getattr(operation, "weights", None)
        if len(read) == 1 and alike and read[0].shape == tensor.shape:
            return self.names(read[0])
        if isinstance(operation, keras.layers.Flatten) and len(read) == 1:
            made_by, ids = self._made_by(read[0])
            if isinstance(made_by, keras.layers.Embedding) and len(ids[0].shape) == 2:
                vector = made_by.output_dim
                return [f"{name}·{number}" for name in self.names(ids[0]) for number in range(vector)]
            width = prod(size or 0 for size in read[0].shape[1:])
        origin = "+".join(sorted({self._called(source) for source in self.sources(tensor)}))
        return [f"{origin}[{number}/{width}]" for number in range(width)]

    def sources(self, tensor: Any) -> list[Any]:
        """The nearest operations with weights, and inputs, that a tensor is made from."""
        operation, read = self._made_by(tensor)
        if isinstance(operation, keras.layers.InputLayer) or getattr(operation, "weights", None):
            return [operation]
        found: list[Any] = []
        for part in read:
            found += [source for source in self.sources(part) if all(source is not other for other in found)]
        return found

    def features(self, tensor: Any) -> list[Feature]:
        """The features whose ids a tensor holds, in order; one with several ids comes several times."""
        operation, read = self._made_by(tensor)
        if isinstance(operation, keras.layers.InputLayer):
            return [self._features[operation.name]] if operation.name in self._features else []
        return [feature for part in read for feature in self.features(part)]

    def _called(self, operation: Any) -> str:
        feature = self._features.get(operation.name)
        return feature.name if feature else operation.name
