"""What the models say of the rows of one shard; how a worker writes it, and how shards become the columns of all rows."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from components.by_shard import Form
from pipeline.errors import DataBlocked
from pipeline.evidence.report import Columns
from pipeline.evidence.standing import Standing, Status
from pipeline.evidence.tables import BASELINE, CANDIDATE
from serving.errors import Code, ServingError

_TARGET, _ABOUT = "target", "about"


@dataclass(frozen=True, eq=False)
class Part:
    """Of one shard.

    Attributes:
      target: [rows, *shape]; None where the shard has no row.
      answers: model -> its answers; without the baseline where there is none, or it was refused.
      slices: column -> of each row: text, or the name of a range.
      refused: why the baseline can't be compared, as Standing's status and detail; None where it can.
      failed: why the candidate does not answer, as ServingError's code and message; then there is nothing else.
    """

    target: np.ndarray | None = None
    answers: Mapping[str, np.ndarray] = field(default_factory=dict)
    slices: Mapping[str, pd.Categorical] = field(default_factory=dict)
    refused: tuple[Status, str] | None = None
    failed: tuple[int, str] | None = None


def joined(parts: Iterable[Part], standing: Standing) -> tuple[Columns, Standing]:
    """The columns of all rows.

    Args:
      parts: in the order of the rows.
      standing: of the baseline, where no part refuses it; else the first that does tells.

    Raises:
      DataBlocked: there is no row.
      ServingError: the candidate does not answer.
    """
    targets: list[np.ndarray] = []
    answers: dict[str, list[np.ndarray]] = {CANDIDATE: [], BASELINE: []}
    slices: dict[str, list[pd.Categorical]] = {}
    for part in parts:
        if part.failed:
            raise ServingError(Code(part.failed[0]), part.failed[1])
        if part.refused and standing.comparable:
            standing = Standing(*part.refused, standing.uri)
            answers[BASELINE].clear()
        if part.target is None:
            continue
        targets.append(part.target)
        for model in (CANDIDATE, BASELINE) if standing.comparable else (CANDIDATE,):
            answers[model].append(part.answers[model])
        for name, column in part.slices.items():
            slices.setdefault(name, []).append(column)
    if not targets:
        raise DataBlocked(
            "The split that measures the model has no row. Next: check the split of the task and the size of the data."
        )
    return (
        Columns(
            _freed(targets),
            {model: _freed(found) for model, found in answers.items() if found},
            {name: union_categoricals(columns) for name, columns in slices.items()},
        ),
        standing,
    )


def _freed(arrays: list[np.ndarray]) -> np.ndarray:
    """All in one; they are let go, so that no two columns are there twice at a time."""
    found = np.concatenate(arrays)
    arrays.clear()
    return found


def _dumped(part: Part) -> bytes:
    """Arrays as NumPy writes them, the rest as JSON in one more."""
    about = {
        "models": list(part.answers),
        "slices": [[name, column.categories.tolist()] for name, column in part.slices.items()],
        "refused": part.refused,
        "failed": part.failed,
    }
    arrays: dict[str, Any] = {_ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    if part.target is not None:
        arrays[_TARGET] = part.target
    arrays |= {f"answers {number}": values for number, values in enumerate(part.answers.values())}
    arrays |= {f"codes {number}": column.codes for number, column in enumerate(part.slices.values())}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _loaded(stored: bytes) -> Part:
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        about = json.loads(arrays[_ABOUT].tobytes())
        return Part(
            arrays[_TARGET] if _TARGET in arrays else None,
            {model: arrays[f"answers {number}"] for number, model in enumerate(about["models"])},
            {
                name: pd.Categorical.from_codes(arrays[f"codes {number}"], pd.Index(categories, dtype=object))
                for number, (name, categories) in enumerate(about["slices"])
            },
            about["refused"] and tuple(about["refused"]),
            about["failed"] and tuple(about["failed"]),
        )


FORM: Form[Part] = Form(_dumped, _loaded)
