"""One loaded version of a model: what a request holds on to from its arrival to its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serving.batching import Batcher
from serving.errors import Code, ServingError
from serving.inference import DEFAULT_SIGNATURE
from serving.request_log import RequestLog
from serving.session import SessionModel, Signature


@dataclass(frozen=True)
class Servable:
    """A version that is loaded and has been warmed up.

    Attributes:
      name: of the model.
      version: its number.
      model: what answers.
      batcher: runs the model for all requests of this version.
      log: where a sample of the requests goes, or None.
    """

    name: str
    version: int
    model: SessionModel
    batcher: Batcher
    log: RequestLog | None = None

    def signature(self, name: str) -> Signature:
        """A signature by its name; "" is serving_default.

        Raises:
          ServingError: FAILED_PRECONDITION where there is none.
        """
        asked = name or DEFAULT_SIGNATURE
        found = self.model.signatures.get(asked)
        if found is None:
            raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{asked}" not found.')
        return found

    async def run(
        self,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
        deadline: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Answers one request, alone or merged with others that wait.

        Args:
          signature: of this version.
          inputs: an array for each of the signature's inputs.
          outputs: which of the signature's; none are all of them.
          deadline: a value of time.monotonic(); None is the server's own timeout.

        Raises:
          ServingError: INVALID_ARGUMENT where inputs or outputs are not the signature's or have too many rows,
            RESOURCE_EXHAUSTED where too many wait, DEADLINE_EXCEEDED, or what the model says.
        """
        if inputs.keys() != signature.inputs.keys():
            raise ServingError(Code.INVALID_ARGUMENT, _other_inputs(signature, inputs))
        _check_types(signature, inputs)
        if outputs:
            _check_outputs(signature, outputs)
        answers = await self.batcher.run(signature, inputs, tuple(outputs), deadline)
        if self.log is not None:
            self.log.offer(self.name, self.version, signature.name, inputs, answers)
        if outputs and len(answers) > len(outputs):
            return {name: answers[name] for name in outputs}
        return answers


def _other_inputs(signature: Signature, inputs: Mapping[str, np.ndarray]) -> str:
    """TF Serving's message (predict_util.cc)."""
    sent, known = sorted(inputs), sorted(signature.inputs)
    extra, missing = sorted(set(sent) - set(known)), sorted(set(known) - set(sent))
    return (
        f"input size does not match signature: {len(sent)}!={len(known)} len({{{','.join(sent)}}}) != "
        f"len({{{','.join(known)}}}). Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
    )


def _check_types(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """A prepared call of a session takes numbers of any type, and answers nonsense; TF Serving refuses them."""
    for place, (name, tensor) in enumerate(signature.inputs.items()):
        given = inputs[name].dtype
        if given != tensor.numpy_dtype and not (tensor.numpy_dtype.kind == "O" and given.kind in "SU"):
            kind = "string" if given.kind in "OSU" else given.name
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Expects arg[{place}] to be {_type_name(tensor.dtype.name)} but {_type_name(kind)} is provided",
            )


def _type_name(name: str) -> str:
    """TensorFlow's name of a type in messages."""
    return {"float32": "float", "float64": "double"}.get(name, name)


def _check_outputs(signature: Signature, outputs: Sequence[str]) -> None:
    for place, name in enumerate(outputs):
        if name not in signature.outputs:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{','.join(sorted(signature.outputs))}}}.",
            )
        if name in outputs[:place]:
            raise ServingError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {name}")
