"""What clients rely on: the signatures of the model that is served, beside the candidate's."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.io import fileio

from pipeline.export import LABELS_SIGNATURE

Tensors = dict[str, tuple[str, tuple[int, ...] | None]]
"""Name -> dtype and shape, -1 where any size fits."""


def changes(served: str | Path, candidate: str | Path) -> list[str]:
    """What clients of the served model would notice, a phrase each.

    Args:
      served: the version that is served, a SavedModel.
      candidate: the other.
    """
    try:
        before = signatures(served)
    except DecodeError:  # It is no model, and nobody can be asking it.
        return []
    after = signatures(candidate)
    found = []
    for name, (inputs, outputs) in before.items():
        if name not in after:
            found.append(f"signature {name!r} is gone")
            continue
        found += [f"signature {name!r}: input {phrase}" for phrase in _changed(inputs, after[name][0])]
        found += [f"signature {name!r}: output {phrase}" for phrase in _changed(outputs, after[name][1])]
    return found


def refusal(served: str | Path, candidate: str | Path) -> str | None:
    """Why a candidate can't take the served model's place without its clients; None where they notice nothing."""
    found = changes(served, candidate)
    if not found:
        return None
    return (
        f"serving signature: not as in version {Path(served).name}, which is served: {'; '.join(found)}. "
        "Clients have to change with it. Next: tell them, then --set serving.signature_change=true"
    )


def _changed(before: Tensors, after: Tensors) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name!r} is gone"
        elif name not in before:
            yield f"{name!r} is new"
        elif before[name] != after[name]:
            yield f"{name!r} is {_shown(after[name])}, was {_shown(before[name])}"


def _shown(tensor: tuple[str, tuple[int, ...] | None]) -> str:
    dtype, shape = tensor
    sizes = "any shape" if shape is None else f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
    return f"{dtype} {sizes}"


def signatures(path: str | Path) -> dict[str, tuple[Tensors, Tensors]]:
    """Name -> inputs and outputs, read without loading the model; not the evaluator's own signature."""
    with fileio.open(f"{path}/saved_model.pb", "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    return {
        name: (_tensors(found.inputs), _tensors(found.outputs))
        for meta in saved.meta_graphs
        for name, found in meta.signature_def.items()
        if name != LABELS_SIGNATURE and not name.startswith("__")
    }


def _tensors(infos: Mapping[str, Any]) -> Tensors:
    return {
        name: (
            tf.as_dtype(info.dtype).name,
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }
