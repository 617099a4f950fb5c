"""What is known of one signature with one choice of outputs: may its requests be merged, and is it quick?"""

from collections.abc import Hashable, Mapping

import numpy as np

from serving.session import Signature, Tensor

_QUICK_SECONDS = 0.0005
_QUICK_RUNS = 20
_QUICK_BYTES = 1 << 16


class Lane:
    """The memory of a signature's runs.

    An output that does not depend on the rows has one and the same first dimension in every run. So runs of two sizes
    that fit, where "fits" is that each output has as many rows as the inputs, prove that there is no such output. A
    merged run of another size than the one that fitted is such a proof itself.
    """

    def __init__(self, signature: Signature, outputs: tuple[str, ...]) -> None:
        """Nothing is known yet but what the signature says.

        Args:
          signature: of the requests.
          outputs: which of its outputs are asked; none are all.
        """
        self.signature = signature
        self.outputs = outputs or tuple(signature.outputs)
        asked = [signature.outputs[name] for name in self.outputs]
        self._mergeable = (
            all(_free_rows(tensor) for tensor in (*signature.inputs.values(), *asked))
            and all(None not in (tensor.shape or ())[1:] for tensor in asked)
            and bool(signature.inputs)
        )
        self._fitted: int | None = None
        self._proven = False
        self._quick_runs = 0
        self._quick_rows = 0

    def form(self, inputs: Mapping[str, np.ndarray]) -> Hashable | None:
        """What two requests must have in common to be merged; None for one that is run alone."""
        if not self._mergeable:
            return None
        rows = -1
        form: list[object] = [id(self)]
        for name, tensor in self.signature.inputs.items():
            given = inputs[name]
            if given.dtype != tensor.numpy_dtype or not _fits(given.shape, tensor.shape or ()):
                return None
            if rows == -1:
                rows = given.shape[0]
            if not rows or given.shape[0] != rows:
                return None
            form.append(given.shape[1:])
        return tuple(form)

    def may_run(self, rows: int) -> bool:
        """Whether requests may be merged to so many rows."""
        return self._mergeable and (self._proven or (self._fitted is not None and self._fitted != rows))

    def ran(self, rows: int, answers: Mapping[str, np.ndarray]) -> bool:
        """Learns from a run; returns whether the answers can be cut apart."""
        if not all(answer.ndim and answer.shape[0] == rows for answer in answers.values()):
            self._mergeable = False
            return False
        if self._fitted is None:
            self._fitted = rows
        elif rows != self._fitted:
            self._proven = True
        return True

    def took(self, rows: int, seconds: float) -> None:
        """Learns how long a run took."""
        if seconds > _QUICK_SECONDS:
            self._quick_runs = self._quick_rows = 0
        else:
            self._quick_runs += 1
            self._quick_rows = max(self._quick_rows, rows)

    def quick(self, rows: int, size: int) -> bool:
        """Whether a run will most likely take less than half a millisecond, as the last twenty did.

        Args:
          rows: of the run; at most twice as many as in the runs that were quick.
          size: of the inputs, in bytes.
        """
        return self._quick_runs >= _QUICK_RUNS and rows <= 2 * self._quick_rows and size <= _QUICK_BYTES


def size_of(inputs: Mapping[str, np.ndarray]) -> int:
    """Bytes of a request's inputs, the texts' own ones included."""
    return sum(
        array.nbytes if array.dtype != object else array.nbytes + sum(map(len, array.ravel().tolist()))
        for array in inputs.values()
    )


def rows_of(inputs: Mapping[str, np.ndarray]) -> int:
    """The largest first dimension of a request's inputs; 1 where none has one."""
    return max((array.shape[0] for array in inputs.values() if array.ndim), default=1)


def _free_rows(tensor: Tensor) -> bool:
    return bool(tensor.shape) and tensor.shape is not None and tensor.shape[0] is None


def _fits(given: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    return len(given) == len(declared) and all(d is None or d == g for g, d in zip(given, declared, strict=True))
