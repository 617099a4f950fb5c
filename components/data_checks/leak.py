"""That no single feature gives the label away."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from components.data_checks import labels
from components.data_checks.facts import Facts
from components.data_checks.findings import Measured, Report, finding
from components.data_checks.sample import Sample
from pipeline.labels import Binary, Classes, Label

_FOLDS = 5
_FEWEST = 25
"""Rows of each class (or, of a number, four times as many) below which a leak is not looked for."""
_PRIOR = 1.0
_BINS = 50
_CLASSES = 20
"""The most frequent classes, which are looked at one by one."""


def leak(facts: Facts) -> Report:
    """How well each feature alone tells the label, on the train split.

    Columns that the label is computed from are looked at only where the task lists them as features; images are not
    looked at.
    """
    sample = facts.samples.get("train")
    if sample is None:
        return Report()
    limit = facts.task.checks.leak
    findings, measured = [], []
    label = facts.task.label
    measure = "AUC" if isinstance(label, Binary | Classes) else "rank correlation"
    asked = _questions(label, sample)
    for name in (feature.name for feature in facts.task.features if feature.modality != "image"):
        powers = [(share, tells(part, name, binary=measure == "AUC")) for share, part in asked]
        known = [(share, power) for share, power in powers if power is not None]
        if not known:
            continue
        power = sum(share * power for share, power in known) / sum(share for share, _ in known)
        kind = measure.lower().replace(" ", "_")
        measured.append(Measured("leak", name, "train", power, limit, 0.0, kind, "the label"))
        if power >= limit:
            findings.append(
                finding(
                    "leak",
                    f"no feature that gives the label {facts.task.label.name!r} away ({measure} below {limit:g})",
                    f"{measure} {power:.4f} from this feature alone",
                    feature=name,
                    split="train",
                    total=sample.rows,
                )
            )
    return Report(tuple(findings), tuple(measured))


def tells(sample: Sample, name: str, *, binary: bool) -> float | None:
    """How much a column alone tells of the label.

    Args:
      sample: rows with their label.
      name: of the column.
      binary: whether the label is 0 or 1.

    Returns:
      The larger of two: by the order of the numbers, and by the mean label of the value (of a number, of its bin) on
      other rows. Of a binary label the area under the ROC curve, 0.5 to 1; else the absolute rank correlation, 0 to 1.
      None for a column that the sample lacks.
    """
    known = np.isfinite(sample.label)
    label = sample.label[known]
    score: Callable[[np.ndarray, np.ndarray], float] = auc if binary else rank_correlation
    if name in sample.texts:
        return score(_means_on_other_rows(_codes(sample.texts[name][known]), label), label)
    if name not in sample.numbers:
        return None
    values = sample.numbers[name][known]
    lowest = values[np.isfinite(values)].min(initial=0.0) - 1.0
    filled = np.where(np.isfinite(values), values, lowest)
    return max(score(filled, label), score(_means_on_other_rows(_binned(filled), label), label))


def auc(scores: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve whichever direction is better, by ranks (Mann-Whitney); 0.5 is no better than chance."""
    positive = label > 0.5
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return 0.5
    area = (_ranks(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return float(max(area, 1 - area))


def rank_correlation(scores: np.ndarray, label: np.ndarray) -> float:
    """Absolute Spearman correlation; 0 where a side is constant."""
    one, other = _ranks(scores), _ranks(label)
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(one, other)[0, 1]))


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 for the smallest; ties have the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)]


def _codes(texts: np.ndarray) -> np.ndarray:
    """An integer for each different value; missing is one of them."""
    codes: dict[object, int] = {}
    return np.array([codes.setdefault(text, len(codes)) for text in texts], dtype=np.int64)


def _binned(values: np.ndarray) -> np.ndarray:
    """Numbers with few different values as they are, others by fiftieths."""
    distinct, codes = np.unique(values, return_inverse=True)
    if distinct.size <= 4 * _BINS:
        return codes.reshape(-1)
    return np.searchsorted(np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1])), values)


def _means_on_other_rows(codes: np.ndarray, label: np.ndarray) -> np.ndarray:
    """For each row the mean label of its value on the rows of other folds, drawn a little to the mean of all."""
    fold = np.arange(codes.size) % _FOLDS
    size = int(codes.max(initial=0)) + 1
    sums = np.zeros((_FOLDS, size))
    counts = np.zeros((_FOLDS, size))
    np.add.at(sums, (fold, codes), label)
    np.add.at(counts, (fold, codes), 1.0)
    mean = label.mean() if label.size else 0.0
    others, rows = sums.sum(0) - sums, counts.sum(0) - counts
    return ((others + _PRIOR * mean) / (rows + _PRIOR))[fold, codes]


def _questions(label: Label, sample: Sample) -> list[tuple[float, Sample]]:
    """What a feature is asked, each with its weight: the label; of named classes, each against the rest.

    The mean over the classes is judged: that one class of several stands apart by one measurement is common and honest.
    """
    known = labels.known(sample)
    if not isinstance(label, Classes):
        return [(1.0, sample)] if _enough(sample.label[known], binary=isinstance(label, Binary)) else []
    if not known.any():
        return []
    has = labels.hot(label, sample.label[known])
    rows = has.sum(0)
    questions = []
    for number in np.argsort(-rows, kind="stable")[:_CLASSES]:
        answer = np.full(sample.rows, np.nan)
        answer[known] = has[:, number]
        if _enough(answer[known], binary=True):
            questions.append((float(rows[number]), replace(sample, label=answer)))
    return questions


def _enough(values: np.ndarray, *, binary: bool) -> bool:
    if binary:
        ones = int((values > 0.5).sum())
        return min(ones, values.size - ones) >= _FEWEST
    return values.size >= 4 * _FEWEST
