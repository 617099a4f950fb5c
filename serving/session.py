"""A SavedModel in a TF1 session, as TF Serving runs it.

`tf.saved_model.load` accepts models on which TF Serving fails at the first request (see pipeline/export.py); a session
does not, so that what answers here answers there.
"""

import re
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.errors import Code, ServingError

_INIT = "__saved_model_init_op"
_IN_THE_CALLING_THREAD = -1
_NODES = re.compile(r"\n\s*\[\[.*\]\]")


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a signature.

    Attributes:
      name: in the graph, as `scope/op:0`.
      dtype: of the elements.
      shape: a dimension is None where any size fits; None as a whole where any rank does.
      numpy_dtype: of arrays that hold such elements; object for strings.
    """

    name: str
    dtype: tf.DType
    shape: tuple[int | None, ...] | None
    numpy_dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Looks the array's dtype up once: it is asked for with every request."""
        object.__setattr__(self, "numpy_dtype", np.dtype(self.dtype.as_numpy_dtype))


@dataclass(frozen=True)
class Signature:
    """One way to ask a model.

    Attributes:
      name: its key in the model.
      method: `tensorflow/serving/predict`, `…/classify` or `…/regress`.
      inputs: by the names that requests use.
      outputs: by the names that answers use.
    """

    name: str
    method: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


class SessionModel:
    """A model that is loaded; any number of threads may run it at once.

    Attributes:
      path: where it was loaded from.
      signatures: by name, without `__saved_model_init_op`.
      meta_graph: the MetaGraphDef's signature_def map, as GetModelMetadata gives it.
    """

    def __init__(self, path: str | Path, config: config_pb2.ConfigProto | None = None) -> None:
        """Loads the model, and runs its initialisers.

        Args:
          path: folder of the SavedModel.
          config: of the session; None: TensorFlow's defaults.

        Raises:
          ServingError: NOT_FOUND where there is no SavedModel; else what TensorFlow says of it.
        """
        self.path = str(path)
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self._calls: dict[tuple[str, tuple[str, ...]], Callable[..., Any]] = {}
        # At the end of the process, too, and before TensorFlow is gone: a call that is freed after it complains.
        self._end = weakref.finalize(self, _free, self._calls, self._session)
        self._lock = threading.Lock()
        try:
            with self._graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], self.path)
        except Exception as error:  # What a broken file makes TensorFlow raise is of many kinds.
            self._session.close()
            raise ServingError(_code_of(error), f"{self.path} does not load: {_said(error)}") from error
        self.meta_graph = loaded.signature_def
        self.signatures: dict[str, Signature] = {
            name: Signature(name, found.method_name, _tensors(found.inputs), _tensors(found.outputs))
            for name, found in loaded.signature_def.items()
            if name != _INIT
        }

    def run(self, signature: str, inputs: Mapping[str, Any], outputs: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Answers.

        Args:
          signature: a key of `signatures`.
          inputs: an array, or what can be made one, for each of the signature's inputs.
          outputs: of the signature; none are all of them.

        Raises:
          ServingError: what TensorFlow says of the request.
          KeyError: there is no such signature, input or output; who asks has looked.
        """
        asked = self.signatures[signature]
        names = tuple(outputs) or tuple(asked.outputs)
        call = self._call(asked, names)
        try:
            answers = call(*(np.asarray(inputs[name], tensor.numpy_dtype) for name, tensor in asked.inputs.items()))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise ServingError(_code_of(error), _said(error)) from error
        return dict(zip(names, answers, strict=True))

    def _call(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., Any]:
        """The session's prepared call for some outputs of a signature."""
        key = (signature.name, outputs)
        call = self._calls.get(key)
        if call is None:
            with self._lock:
                call = self._calls[key] = self._prepared(signature, outputs)
        return call

    def _prepared(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., Any]:
        """A call that runs the graph's operations one after the other in the thread that calls.

        `Session.make_callable` hands them to a pool of threads, and waking these takes ten times as long as a small model:
        15 against 166 microseconds were measured for three dense layers. What one operation does in parallel, such as a
        product of matrices, it does as before. The public way to ask for it costs a message a call.
        """
        options = config_pb2.CallableOptions()
        options.feed.extend(tensor.name for tensor in signature.inputs.values())
        options.fetch.extend(signature.outputs[name].name for name in outputs)
        options.run_options.inter_op_thread_pool = _IN_THE_CALLING_THREAD
        return self._session._make_callable_from_options(options)

    def close(self) -> None:
        """Frees the session; no call may be under way."""
        self._end()


def _free(calls: dict[Any, Any], session: Any) -> None:
    calls.clear()
    session.close()


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: Tensor(
            info.name,
            tf.as_dtype(info.dtype),
            None
            if info.tensor_shape.unknown_rank
            else tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim),
        )
        for name, info in sorted(infos.items())
    }


def _code_of(error: Exception) -> Code:
    if isinstance(error, tf.errors.OpError):
        return Code(error.error_code)
    return Code.NOT_FOUND if isinstance(error, OSError) else Code.INVALID_ARGUMENT


def _said(error: Exception) -> str:
    """The message without the graph's node definitions and traces."""
    text = str(error.message if isinstance(error, tf.errors.OpError) else error)
    for trace in ("\n\nOriginal stack trace", "\n\nErrors may have originated"):
        text = text.split(trace)[0]
    return _NODES.sub("", text).removeprefix("Graph execution error:").strip()
