"""The model: how it was trained, what it gets right and wrong, and what it goes by."""

from typing import Any

from pipeline import evaluation
from pipeline.evidence.report import NAME as EVIDENCE
from pipeline.labels import Binary, Classes, Regression
from pipeline.report.sections.model import binary, classes, earlier, examples, influence, regression, rows, training
from pipeline.report.sections.model.drawing import charts
from pipeline.report.sources import Run
from pipeline.task import Task
from serving.errors import ServingError

NAME = "model"
TITLE = "Model"
_ENDED = "The run ended before the model was evaluated: there is nothing on how good it is."
_EARLIER = (
    "The model was evaluated by an earlier version of Millrace, which left no evidence.json: it is not shown here."
)

__all__ = ["NAME", "TITLE", "charts", "collect"]


def collect(run: Run) -> dict[str, Any] | None:
    """The part of report.json, or None where the Trainer has not run.

    Returns:
      kind: of the label, such as "Binary"; None where the task can't be loaded. training: see `training.collect`.
      binary, classes, regression: of that kind, else None. errors, examples, importance: of the rows that were asked
      again, None where none were; asked: their number, of how many, and `earlier.key_of` them. serving, lite: reports of the serving check and
      of the conversion. missing: a sentence for each thing that is not there.
    """
    if run.uri("Trainer", "model") is None and run.uri("Trainer", "model_run") is None:
        return None
    task = training.resolved(run)
    found: dict[str, Any] = {
        "kind": type(task.label).__name__ if task else None,
        "label": task.label.name if task else None,
        "training": training.collect(run),
        "serving": run.record.get("serving"),
        "lite": _lite(run.record.get("lite")),
        "missing": [],
    }
    found |= dict.fromkeys(("binary", "classes", "regression", "errors", "examples", "importance", "asked"))
    evidence = run.json("Evaluator", "evaluation", EVIDENCE)
    if found["training"]["course"] is None:
        found["missing"].append("The Trainer left no account of its steps: this model is of an earlier version.")
    if task is None:
        found["missing"].append(
            f"The task {run.record['task']} can't be loaded any more, so nothing of its label and its rows is shown."
        )
    elif evidence is None:
        ended = run.uri("Evaluator", "evaluation") is None
        found["missing"].append(_ENDED if ended else _EARLIER)
    else:
        found |= _of_evaluation(run, task, evidence)
        found |= _of_rows(run, task, evidence, found["missing"])
    return found


def _of_evaluation(run: Run, task: Task, evidence: dict[str, Any]) -> dict[str, Any]:
    """What TFMA counted."""
    uri = str(run.uri("Evaluator", "evaluation"))
    plots, other = evaluation.plots(uri), evaluation.plots(uri, evaluation.BASELINE)
    if isinstance(task.label, Binary) and "confusionMatrixAtThresholds" in plots:
        return {"binary": binary.collect(plots, other, evidence["confidence"])}
    if isinstance(task.label, Classes):
        return {"classes": classes.collect(task.label.names, evaluation.by_class(uri, task.label), plots, other)}
    if isinstance(task.label, Regression) and "calibrationHistogramBuckets" in plots:
        return {"regression": regression.collect(plots, other)}
    return {}


def _of_rows(run: Run, task: Task, evidence: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    """What only the rows themselves can tell."""
    key = earlier.key_of(run, task)
    if key and (told := earlier.found(run.home, key)):
        return told
    try:
        asked = rows.ask(run, task.label, evidence["split"])
    except ServingError as error:
        missing.append(f"The model could not be asked again: {error.message}")
        return {}
    if asked is None:
        missing.append("The model or its rows are not on this machine any more: it could not be asked again.")
        return {}
    try:
        weighed = influence.collect(task, asked)
        single = not set(task.sensitive) & task.label.columns
        return {
            "asked": {"rows": asked.rows, "of": evidence["rows"], "split": evidence["split"], "key": key},
            "importance": weighed,
            "examples": examples.collect(task, asked, [feature["name"] for feature in weighed["features"]]),
            "errors": regression.errors(asked.target, asked.answers, single=single)
            if isinstance(task.label, Regression)
            else None,
        }
    finally:
        asked.close()


def _lite(report: dict[str, Any] | None) -> dict[str, Any] | None:
    """A conversion: each format beside the full model, by the first metric of the label."""
    if report is None:
        return None
    full = report.get("full") or {}
    metric = next(iter(full.get("metrics") or {}), None)

    def entry(name: str, found: dict[str, Any]) -> dict[str, Any]:
        figures = {key: found.get(key) for key in ("bytes", "milliseconds", "max_difference", "agreement")}
        kept = {key: found.get(key) for key in ("passed", "may_fail", "reason")}
        return {"name": name, "value": (found.get("metrics") or {}).get(metric), **figures, **kept}

    return {
        "part": report.get("part"),
        "not_converted": report.get("not_converted") or None,
        "metric": metric,
        "rows": full.get("rows"),
        "formats": [
            *([entry("full model", full)] if full else []),
            *(entry(name, found) for name, found in report["formats"].items()),
        ],
    }
