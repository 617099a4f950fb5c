"""TensorProto to array and back, without TensorFlow's own detours where the element type is a common one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.errors import Code, ServingError

_FIELDS: dict[int, tuple[str, Any]] = {
    types_pb2.DT_FLOAT: ("float_val", np.dtype(np.float32)),
    types_pb2.DT_DOUBLE: ("double_val", np.dtype(np.float64)),
    types_pb2.DT_INT64: ("int64_val", np.dtype(np.int64)),
    types_pb2.DT_INT32: ("int_val", np.dtype(np.int32)),
    types_pb2.DT_UINT8: ("int_val", np.dtype(np.uint8)),
    types_pb2.DT_BOOL: ("bool_val", np.dtype(np.bool_)),
    types_pb2.DT_STRING: ("string_val", np.dtype(object)),
}
"""Element type -> the field that has its values one by one, and the array's dtype."""
_TYPES = {dtype: (number, field) for number, (field, dtype) in _FIELDS.items()}
_STRETCHED_BYTES = 64 << 20


def decode_all(inputs: Mapping[str, tensor_pb2.TensorProto]) -> dict[str, np.ndarray]:
    """The arrays of a request.

    Raises:
      ServingError: INVALID_ARGUMENT, in TF Serving's words, for what is no tensor.
    """
    arrays = {}
    for name in inputs:
        try:
            arrays[name] = decode(inputs[name])
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ServingError(Code.INVALID_ARGUMENT, f"tensor parsing error: {name}: {error}") from error
    return arrays


def decode(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """An array of a TensorProto; strings as an array of bytes objects.

    Where there are fewer values than elements the last value stands for the rest, and zero for none, as in TensorFlow;
    to at most 64 MiB, as a few bytes of request could ask for any amount of memory.

    Raises:
      ValueError: it does not hold together.
      TypeError: the element type is unknown.
    """
    if proto.tensor_shape.unknown_rank:
        raise ValueError("expected a shape, received an unknown rank")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    count = 1
    for size in shape:
        if size < 0:
            raise ValueError(f"expected a shape without negative sizes, received {shape}")
        count *= size
    known = _FIELDS.get(proto.dtype)
    if known is None:
        return _decode_other(proto, count)
    field, dtype = known
    if proto.tensor_content and dtype.kind != "O":
        flat = np.frombuffer(proto.tensor_content, dtype)
    else:
        values = getattr(proto, field)
        flat = np.empty(len(values), object) if dtype.kind == "O" else np.array(values, dtype)
        if dtype.kind == "O":
            flat[:] = values
        if len(flat) < count:
            if count * dtype.itemsize > _STRETCHED_BYTES:
                raise ValueError(f"expected {count} values, received {len(flat)}")
            last = flat[-1] if len(flat) else b"" if dtype.kind == "O" else 0
            flat = np.concatenate([flat, np.full(count - len(flat), last, dtype)])
    if len(flat) != count:
        raise ValueError(f"expected {count} values for shape {shape}, received {len(flat)}")
    return flat.reshape(shape)


def _decode_other(proto: tensor_pb2.TensorProto, count: int) -> np.ndarray:
    if not types_pb2.DataType.Name(proto.dtype) or proto.dtype == types_pb2.DT_INVALID:
        raise TypeError("expected an element type, received none")
    if count * tf.as_dtype(proto.dtype).size > max(_STRETCHED_BYTES, proto.ByteSize()):
        raise ValueError(f"expected {count} values, received {proto.ByteSize()} bytes")
    array: np.ndarray = tf.make_ndarray(proto)
    return array


def encode(array: np.ndarray, into: tensor_pb2.TensorProto) -> None:
    """Writes an array to a TensorProto, value by value as TF Serving does, so that each client can read it.

    Args:
      array: an answer.
      into: an empty message.
    """
    known = _TYPES.get(array.dtype)
    if known is None:
        into.CopyFrom(tf.make_tensor_proto(array))
        return
    into.dtype, field = known
    add = into.tensor_shape.dim.add
    for size in array.shape:
        add().size = size
    getattr(into, field).extend(array.ravel().tolist())
