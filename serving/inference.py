"""Classify, Regress and MultiInference on serialised tf.Examples, for both fronts.

Rules and messages are TF Serving's (servables/tensorflow/classifier.cc, regressor.cc, multi_inference.cc): the
signature has the one input `inputs`; a classifier has the outputs `classes`, `scores` or both of shape [rows, classes];
a regressor has the output `outputs` of shape [rows] or [rows, 1]. What the signature's method is called does not matter.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.session import Signature

if TYPE_CHECKING:
    from serving.servable import Servable

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_INPUT, _CLASSES, _SCORES, _OUTPUT = "inputs", "classes", "scores", "outputs"


async def classify(
    servable: "Servable", signature: str, examples: Sequence[bytes], deadline: float | None = None
) -> list[list[tuple[str, float]]]:
    """Answers a Classify request.

    Args:
      servable: the version that answers.
      signature: its name; "" is serving_default.
      examples: serialised tf.Examples, one a row.
      deadline: a value of time.monotonic().

    Returns:
      For each row its classes: (label, score); "" and 0.0 where the signature has no such output.

    Raises:
      ServingError: the signature is none of a classifier, or the model fails.
    """
    asked = _example_signature(servable, signature)
    outputs = _classifier_outputs(asked)
    answers = await servable.run(asked, _inputs(examples), outputs, deadline)
    return _classes(answers, len(examples))


async def regress(
    servable: "Servable", signature: str, examples: Sequence[bytes], deadline: float | None = None
) -> list[float]:
    """Answers a Regress request: a value for each row; see `classify`."""
    asked = _example_signature(servable, signature)
    outputs = _regressor_outputs(asked)
    answers = await servable.run(asked, _inputs(examples), outputs, deadline)
    return _values(answers[_OUTPUT], len(examples))


async def multi(
    servable: "Servable", tasks: Sequence[tuple[str, str]], examples: Sequence[bytes], deadline: float | None = None
) -> list[list[list[tuple[str, float]]] | list[float]]:
    """Answers a MultiInference request: for each task what `classify` or `regress` answers.

    Args:
      servable: the version that answers.
      tasks: the signature's name, and the method, CLASSIFY or REGRESS.
      examples: serialised tf.Examples, the same for all tasks.
      deadline: see `classify`.

    Raises:
      ServingError: a signature is asked twice, is not there or does not fit, or the model fails.
    """
    seen = set()
    for signature, method in tasks:
        name = signature or DEFAULT_SIGNATURE
        if name in seen:
            raise ServingError(Code.INVALID_ARGUMENT, f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in servable.model.signatures:
            raise ServingError(Code.INVALID_ARGUMENT, f"Requested signature not found in model graph: {name}")
        if method not in (CLASSIFY, REGRESS):
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")
        asked = servable.model.signatures[name]
        _classifier_outputs(asked) if method == CLASSIFY else _regressor_outputs(asked)
    results: list[list[list[tuple[str, float]]] | list[float]] = []
    for signature, method in tasks:
        answer = classify if method == CLASSIFY else regress
        results.append(await answer(servable, signature, examples, deadline))
    return results


def examples_of(given: Any) -> list[bytes]:
    """The tf.Examples of a request's `input`, serialised; what its context has is in each of them.

    Args:
      given: a tensorflow.serving.Input.

    Raises:
      ServingError: there are none.
    """
    joint = given.example_list_with_context
    context = joint.context.SerializeToString() if joint.examples else b""
    # Two serialised messages one after the other are both of them merged.
    examples = [context + one.SerializeToString() for one in joint.examples or given.example_list.examples]
    if not examples:
        raise ServingError(Code.INVALID_ARGUMENT, "Input is empty.")
    return examples


def _inputs(examples: Sequence[bytes]) -> dict[str, np.ndarray]:
    if not examples:
        raise ServingError(Code.INVALID_ARGUMENT, "Input is empty.")
    return {_INPUT: np.array(examples, object)}


def _example_signature(servable: "Servable", signature: str) -> Signature:
    name = signature or DEFAULT_SIGNATURE
    if name not in servable.model.signatures:
        raise ServingError(Code.INVALID_ARGUMENT, f"No signature was found with the name: {name}")
    return servable.model.signatures[name]


def _classifier_outputs(signature: Signature) -> list[str]:
    _expect(len(signature.inputs) == 1, "Expected one input Tensor.")
    count = len(signature.outputs)
    _expect(count in (1, 2), f"Expected one or two output Tensors, found {count}")
    _expect(_INPUT in signature.inputs, f"No classification inputs found in SignatureDef: {_names(signature)}")
    outputs = [name for name in (_CLASSES, _SCORES) if name in signature.outputs]
    _expect(
        bool(outputs),
        f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
        f"Signature was: {_names(signature)}",
    )
    return outputs


def _regressor_outputs(signature: Signature) -> list[str]:
    _expect(len(signature.inputs) == 1, "Expected one input Tensor.")
    _expect(len(signature.outputs) == 1, "Expected one output Tensor.")
    _expect(_INPUT in signature.inputs, f"No regression inputs found in SignatureDef: {_names(signature)}")
    _expect(_OUTPUT in signature.outputs, f"No regression outputs found in SignatureDef: {_names(signature)}")
    return [_OUTPUT]


def _names(signature: Signature) -> str:
    inputs, outputs = ", ".join(signature.inputs), ", ".join(signature.outputs)
    return f"inputs {{{inputs}}}, outputs {{{outputs}}}, method_name {signature.method}"


def _classes(answers: dict[str, np.ndarray], rows: int) -> list[list[tuple[str, float]]]:
    for name, answer in answers.items():
        _expect(
            answer.ndim == 2,
            f"Expected Tensor shape: [batch_size num_classes] but got {_shape(answer)}",
        )
        kind, received = ("DT_STRING", object) if name == _CLASSES else ("DT_FLOAT", np.float32)
        _expect(answer.dtype == received, f"Expected {name} Tensor of {kind}. Got: {_dtype(answer)}")
        _expect(len(answer) == rows, f"Expected {name} output batch size of {rows}. Got: {len(answer)}")
    classes, scores = answers.get(_CLASSES), answers.get(_SCORES)
    if classes is not None and scores is not None:
        wide = classes.shape[1], scores.shape[1]
        _expect(wide[0] == wide[1], f"Tensors class and score should match in dim_size(1). Got {wide[0]} vs. {wide[1]}")
    labels = None if classes is None else [[one.decode(errors="replace") for one in row] for row in classes.tolist()]
    numbers = None if scores is None else scores.tolist()
    if labels is None:
        return [[("", score) for score in row] for row in numbers or ()]
    if numbers is None:
        return [[(label, 0.0) for label in row] for row in labels]
    return [list(zip(*both, strict=True)) for both in zip(labels, numbers, strict=True)]


def _values(answer: np.ndarray, rows: int) -> list[float]:
    _expect(
        answer.ndim == 1 or (answer.ndim == 2 and answer.shape[1] == 1),
        f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(answer)}",
    )
    _expect(len(answer) == rows, f"Input batch size did not match output batch size: {rows} vs. {len(answer)}")
    _expect(answer.dtype == np.float32, f"Expected output Tensor of DT_FLOAT.  Got: {_dtype(answer)}")
    values: list[float] = answer.ravel().tolist()
    return values


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise ServingError(Code.INVALID_ARGUMENT, message)


def _shape(answer: np.ndarray) -> str:
    return f"[{','.join(map(str, answer.shape))}]"


def _dtype(answer: np.ndarray) -> str:
    return f"DT_{tf.as_dtype(answer.dtype).name.upper()}"
