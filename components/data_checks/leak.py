"""The label: that it varies, that it is as in the other splits, and that no single feature gives it away."""

from collections.abc import Callable

import numpy as np

from components.data_checks import distance
from components.data_checks.facts import Facts
from components.data_checks.findings import Measured, Report, finding
from components.data_checks.sample import Sample
from pipeline.labels import Binary

_FOLDS = 5
_FEWEST = 25
"""Rows of each class (or, of a number, four times as many) below which a leak is not looked for."""
_PRIOR = 1.0
_BINS = 50


def label_constant(facts: Facts) -> Report:
    """A label that is the same in every row teaches nothing; told once, of the first split where it is so."""
    for split, sample in facts.samples.items():
        known = sample.label[np.isfinite(sample.label)]
        if not sample.label.size or (known.size and known.min() != known.max()):
            continue
        received = f"{known[0]:g} in each of the {known.size:,} rows looked at" if known.size else "no value at all"
        return Report(
            (
                finding(
                    "label_constant",
                    "a label that differs from row to row",
                    received,
                    feature=facts.task.label.name,
                    split=split,
                    rows=int(known.size),
                    total=sample.rows,
                ),
            )
        )
    return Report()


def label_between_splits(facts: Facts) -> Report:
    """The label in the other splits against the train split."""
    train = facts.samples.get("train")
    if train is None:
        return Report()
    limit = facts.task.checks.label_shift
    before = train.label[np.isfinite(train.label)]
    findings, measured = [], []
    for split, sample in facts.samples.items():
        now = sample.label[np.isfinite(sample.label)]
        if split == "train" or not now.size or not before.size:
            continue
        value, noise, measure = _label_distance(now, before, binary=isinstance(facts.task.label, Binary))
        name = facts.task.label.name
        measured.append(Measured("label_shift", name, split, value, limit, noise, measure, "the train split"))
        if value > limit and value > noise:
            findings.append(
                finding(
                    "label_shift",
                    f"a label as in the train split, with a mean of {before.mean():.4g}, within {limit:g}",
                    f"a mean of {now.mean():.4g}, {value:.3f} apart",
                    feature=name,
                    split=split,
                    total=sample.rows,
                )
            )
    return Report(tuple(findings), tuple(measured))


def _label_distance(now: np.ndarray, before: np.ndarray, *, binary: bool) -> tuple[float, float, str]:
    """Difference of the share of yes; of a number, Jensen-Shannon over the deciles of the train split; and its noise."""
    sizes = now.size, before.size
    if binary:
        pooled = float(np.concatenate([now, before]).mean())
        return abs(float(now.mean() - before.mean())), distance.share_noise(pooled, *sizes), "l_infinity"
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 11)[1:-1]))
    shares = [np.bincount(np.searchsorted(edges, v), minlength=edges.size + 1) / v.size for v in (now, before)]
    return distance.divergence(*shares), distance.divergence_noise(edges.size + 1, *sizes), "jensen_shannon"


def leak(facts: Facts) -> Report:
    """How well each feature alone tells the label, on the train split.

    Columns that the label is computed from are looked at only where the task lists them as features.
    """
    sample = facts.samples.get("train")
    if sample is None or not _enough(facts, sample):
        return Report()
    limit = facts.task.checks.leak
    findings, measured = [], []
    binary = isinstance(facts.task.label, Binary)
    measure = "AUC" if binary else "rank correlation"
    for name in facts.features:
        power = tells(sample, name, binary=binary)
        if power is None:
            continue
        measured.append(
            Measured("leak", name, "train", power, limit, 0.0, "auc" if binary else "rank_correlation", "the label")
        )
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


def _enough(facts: Facts, sample: Sample) -> bool:
    known = sample.label[np.isfinite(sample.label)]
    if isinstance(facts.task.label, Binary):
        ones = int((known > 0.5).sum())
        return min(ones, known.size - ones) >= _FEWEST
    return known.size >= 4 * _FEWEST
