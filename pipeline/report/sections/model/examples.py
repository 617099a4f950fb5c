"""The rows on which the model was wrong by most: as pictures, as texts, or as rows of a table."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.labels import Binary, Classes, Label, MultiClass, MultiLabel
from pipeline.report.sections.model.binary import THRESHOLD
from pipeline.report.sections.model.rows import Asked, told
from pipeline.task import Task

_PICTURES, _TEXTS, _ROWS, _COLUMNS = 12, 8, 10, 8
_LENGTH = 200
_SIDE, _SIDES, _BYTES = 64, (64, 48, 32), 10_000


def collect(task: Task, asked: Asked, ordered: Sequence[str] = ()) -> dict[str, Any]:
    """The worst rows, the worst first.

    Args:
      task: whose rows they are.
      asked: rows and answers.
      ordered: the features, the most important first.

    Returns:
      kind: "pictures", "texts" or "rows", or None with a `reason`; columns: of "rows"; rows: expected, predicted, score,
      and `picture` (a data URI), `text` or `values`. The score is the probability of what was predicted, or the error
      of a number; None where several classes may be. wrong: how many rows were.
    """
    hidden = set(task.sensitive)
    if hidden & task.label.columns:
        return _none("The label is computed from a sensitive column, so no row is shown.")
    single = next((f for f in task.features if f.modality in ("image", "text") and f.name not in hidden), None)
    if single is None and any(feature.modality in ("image", "text") for feature in task.features):
        return _none("What the model reads is a sensitive column, so no row is shown.")
    worst, wrong = _worst(task.label, asked.target, asked.answers)
    kind = "rows" if single is None else "pictures" if single.modality == "image" else "texts"
    worst = worst[: {"rows": _ROWS, "pictures": _PICTURES, "texts": _TEXTS}[kind]]
    names = [name for name in (ordered or [f.name for f in task.features]) if name not in hidden][:_COLUMNS]
    rows = []
    for row in worst:
        found = _answer(task.label, asked.target[row], asked.answers[row])
        if kind == "rows":
            found["values"] = [told(asked.columns[name][row]) for name in names]
        elif single is not None:
            raw = bytes(asked.columns[single.name][row])
            if kind == "pictures":
                found["picture"] = picture(raw, grey=getattr(single, "channels", 3) == 1)
            else:
                text = raw.decode(errors="replace")
                found["text"] = text[:_LENGTH] + ("…" if len(text) > _LENGTH else "")
        rows.append(found)
    return {
        "kind": kind,
        "reason": None,
        "columns": names if kind == "rows" else [],
        "rows": rows,
        "wrong": wrong,
        "asked": asked.rows,
        "error": not isinstance(task.label, Binary | Classes),
        "hidden": bool(hidden & {feature.name for feature in task.features}),
    }


def _none(reason: str) -> dict[str, Any]:
    return {"kind": None, "reason": reason, "columns": [], "rows": [], "wrong": None, "asked": None} | {
        "error": False,
        "hidden": True,
    }


def _worst(label: Label, target: np.ndarray, answers: np.ndarray) -> tuple[list[int], int | None]:
    """Positions of wrong rows, the worst first, and how many rows are wrong; of a number the largest errors."""
    known = np.isfinite(target).reshape(len(target), -1).all(1) & np.isfinite(answers).reshape(len(answers), -1).all(1)
    if isinstance(label, MultiClass):
        true = np.where(known, target.reshape(-1), 0).astype(int)
        wrong, off = answers.argmax(1) != true, 1 - answers[np.arange(len(true)), true]
    elif isinstance(label, MultiLabel):
        wrong = ((answers > label.threshold) != (target > 0.5)).any(1)
        off = np.abs(answers - target).max(1)
    else:
        off = np.abs(answers.reshape(-1) - target.reshape(-1))
        yes = isinstance(label, Binary)
        wrong = (answers.reshape(-1) > THRESHOLD) != (target.reshape(-1) > 0.5) if yes else np.full(len(off), True)
    wrong &= known
    order = np.argsort(-np.where(known, off, -np.inf), kind="stable")
    counted = int(wrong.sum()) if isinstance(label, Binary | Classes) else None
    return [int(row) for row in order if wrong[row]][:_PICTURES], counted


def _answer(label: Label, target: np.ndarray, answer: np.ndarray) -> dict[str, Any]:
    """What was expected and predicted of a row, in the label's own words."""
    if isinstance(label, MultiClass):
        chosen = int(answer.argmax())
        expected = label.names[int(target.item())]
        return {"expected": expected, "predicted": label.names[chosen], "score": float(answer[chosen])}
    if isinstance(label, MultiLabel):
        texts = [
            label.separator.join(name for name, has in zip(label.names, chosen, strict=True) if has) or "none"
            for chosen in (target > 0.5, answer > label.threshold)
        ]
        return {"expected": texts[0], "predicted": texts[1], "score": None}
    true, given = float(target.item()), float(np.asarray(answer).item())
    if isinstance(label, Binary):
        yes = given > THRESHOLD
        names = [label.classes[int(true > 0.5)], label.classes[int(yes)]]
        return {"expected": names[0], "predicted": names[1], "score": given if yes else 1 - given}
    return {"expected": true, "predicted": given, "score": abs(given - true)}


def picture(raw: bytes, *, grey: bool) -> dict[str, Any] | None:
    """An image of at most 64 pixels a side and 10 kB as a data URI, with its sides; None where it can't be decoded."""
    try:
        decoded = Image.open(io.BytesIO(raw))
        decoded.draft("RGB", (_SIDE * 2, _SIDE * 2))
        image = decoded.convert("L" if grey else "RGB")
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    for side in _SIDES:
        small = image.copy()
        small.thumbnail((side, side))
        content = io.BytesIO()
        small.save(content, "PNG", optimize=True)
        if content.tell() < _BYTES:
            break
    uri = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return {"uri": uri, "width": small.width, "height": small.height}
