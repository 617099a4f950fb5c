"""A TF Lite file beside the full model: the same rows, the differences, and what the rules say to them."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pipeline.gates import HIGHER_IS_BETTER
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression
from pipeline.lite import Format, Lite

_TIMED = 200
_EQUAL = 1e-9
Rows = Mapping[str, np.ndarray]


class Interpreted:
    """A TF Lite file, run by LiteRT on one thread."""

    def __init__(self, content: bytes, output: str) -> None:
        """Loads the file; `output` is the name of the answer to give."""
        self._run = Interpreter(model_content=content, num_threads=1).get_signature_runner()
        self._output = output

    def __call__(self, inputs: Rows) -> np.ndarray:
        """The answers to some rows."""
        return np.array(self._run(**inputs)[self._output])


def milliseconds(answer: Callable[[Rows], Any], inputs: Rows) -> float:
    """The median time of an answer to one row, over the first rows of a batch; the first answer is not counted."""
    count = min(_TIMED, len(next(iter(inputs.values()))))
    one = [{name: values[i : i + 1] for name, values in inputs.items()} for i in range(count)]
    answer(one[0])
    times = []
    for row in one:
        started = time.perf_counter()
        answer(row)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def measured(label: Label, target: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """The label's metrics on the rows whose label is known.

    Args:
      label: the task's.
      target: [rows, *shape], NaN where unknown.
      answers: [rows] or [rows, classes].
    """
    known = np.isfinite(target).reshape(len(target), -1).all(axis=1)
    if not known.any():
        return {}
    kept = answers[known].reshape(int(known.sum()), -1)
    found = {}
    for name, metric in label.metrics().items():
        metric.update_state(target[known], kept)
        found[name] = float(metric.result())
    return found


def compared(label: Label, target: np.ndarray, full: np.ndarray, lite: np.ndarray) -> dict[str, Any]:
    """How far answers are from the full model's.

    Args:
      label: the task's.
      target: [rows, *shape].
      full: the full model's main answers.
      lite: the converted model's, of the same shape.

    Returns:
      `max_difference` and `mean_difference`, absolute; for numbers in standard deviations of the label; `agreement`: the
      share of equal decisions, None for numbers; `metrics`: name -> value.
    """
    unit = _unit(label, target)
    differences = np.abs(lite.astype(np.float64) - full) / unit
    chosen, other = decisions(label, full), decisions(label, lite)
    return {
        "max_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "agreement": None if chosen is None or other is None else float(np.mean(chosen == other)),
        "metrics": measured(label, target, lite),
    }


def _unit(label: Label, target: np.ndarray) -> float:
    """What a difference is counted in."""
    known = target[np.isfinite(target)]
    return (float(known.std()) if known.size else 0.0) or 1.0 if isinstance(label, Regression) else 1.0


def decisions(label: Label, answers: np.ndarray) -> np.ndarray | None:
    """What a model says where it has to choose; None for numbers."""
    if isinstance(label, MultiClass):
        return np.argmax(answers, axis=1)
    if isinstance(label, MultiLabel):
        return answers > label.threshold
    return answers > 0.5 if isinstance(label, Binary) else None


def broken(rules: Lite, kind: Format, found: Mapping[str, Any], full: Mapping[str, float]) -> list[str]:
    """A sentence for each rule that a converted model breaks.

    Args:
      rules: the task's.
      kind: the format.
      found: see `compared`.
      full: the full model's metrics.
    """
    said = []
    limit = rules.limit(kind)
    if not found["max_difference"] <= limit:
        said.append(f"an answer differs from the full model's by {found['max_difference']:.4g}, more than {limit:g}")
    if found["agreement"] is not None and found["agreement"] < rules.min_agreement:
        said.append(f"{found['agreement']:.2%} of decisions agree, fewer than {rules.min_agreement:.2%}")
    for name, value in full.items():
        loss = _loss(name, value, found["metrics"][name])
        if loss > rules.max_metric_loss + _EQUAL:
            said.append(
                f"{name} is {found['metrics'][name]:.4f}, {loss:.2%} worse than the full model's {value:.4f}, "
                f"more than {rules.max_metric_loss:.2%}"
            )
    return said


def _loss(metric: str, full: float, lite: float) -> float:
    """By what share of its value a metric is worse; 0 where it is not."""
    worse = full - lite if HIGHER_IS_BETTER[metric] else lite - full
    return max(0.0, worse / abs(full) if full else worse)
