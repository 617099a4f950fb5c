"""What a baseline says of rows, where that can be compared with what the candidate says.

It may be of another time: gone, broken, or with another label.
"""

import numpy as np

from components.evaluator import loaded
from pipeline.evidence.standing import Status
from pipeline.export import LABELS_SIGNATURE, SERVING_SIGNATURE
from pipeline.ingest import files
from pipeline.labels import Label
from serving.errors import ServingError
from serving.session import SessionModel

_CLOSE = 1e-6
"""Targets that differ by less, absolute or relative, are of the same label."""


class NotComparable(Exception):
    """A baseline that can't be compared, and why."""

    def __init__(self, status: Status, detail: str) -> None:
        """See Standing."""
        super().__init__(detail)
        self.status = status
        self.detail = detail


def answers(model: SessionModel, rows: np.ndarray, label: Label) -> np.ndarray:
    """A model's main output to serialised rows, [rows] or [rows, classes]."""
    return model.run(SERVING_SIGNATURE, {"examples": rows}, (label.output,))[label.output]


def baseline_of(path: str) -> SessionModel:
    """The baseline of a folder, or of a place in a bucket.

    Raises:
      NotComparable: it is not there or broken.
    """
    if not files.exists(path):
        raise NotComparable("missing", f"there is no {path}")
    try:
        return loaded.model(path)
    except ServingError as error:
        raise NotComparable("unloadable", error.message) from error


def told(model: SessionModel, rows: np.ndarray, label: Label) -> tuple[np.ndarray, np.ndarray]:
    """The baseline's targets and answers to some serialised rows.

    Raises:
      NotComparable: it has another label, or fails on the rows.
    """
    lacking = [name for name in (LABELS_SIGNATURE, SERVING_SIGNATURE) if name not in model.signatures]
    if lacking:
        raise NotComparable("unreadable", f"it has no signature {lacking[0]!r}")
    outputs = {name: model.signatures[name].outputs for name in (LABELS_SIGNATURE, SERVING_SIGNATURE)}
    for signature, wanted in ((LABELS_SIGNATURE, label.transformed), (SERVING_SIGNATURE, label.output)):
        if wanted not in outputs[signature]:
            there = ", ".join(sorted(outputs[signature]))
            raise NotComparable("other_label", f"expected {wanted} of {signature}. Received: {there}")
    try:
        own = model.run(LABELS_SIGNATURE, {"examples": rows}, (label.transformed,))[label.transformed]
        return own, answers(model, rows, label)
    except (ServingError, KeyError) as error:
        raise NotComparable("unreadable", _cause(str(error))) from error


def compared(baseline: tuple[np.ndarray, np.ndarray], target: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """The baseline's answers to some rows, where they can be compared with the candidate's.

    Args:
      baseline: its targets and its answers, see `told`.
      target: of the rows, as the candidate's `labels` signature has it.
      candidate: its answers.

    Raises:
      NotComparable: it has another label, or answers that are no numbers.
    """
    own, given = baseline
    if own.shape != target.shape or given.shape != candidate.shape:
        raise NotComparable(
            "other_label",
            f"expected a label of shape {target.shape[1:]} and answers of {candidate.shape[1:]}. "
            f"Received: {own.shape[1:]} and {given.shape[1:]}",
        )
    equal = np.isclose(own, target, rtol=_CLOSE, atol=_CLOSE, equal_nan=True).reshape(len(own), -1).all(axis=1)
    if not equal.all():
        row = int(np.argmin(equal))
        raise NotComparable(
            "other_label",
            f"{int((~equal).sum()):,} of {len(own):,} rows have another target. Expected, for example: {target[row]}. "
            f"Received: {own[row]}",
        )
    if not np.isfinite(given).all():
        raise NotComparable("unreadable", "its answers to some of them are not numbers")
    return given


def _cause(message: str) -> str:
    """The line of TensorFlow's message that says what is wrong; the others say where in the graph."""
    places = ("Graph execution error", "Detected at", "<stack", "Node:", "[[", "(0) ", "(1) ")
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(places)), lines[0] if lines else "no reason given")
