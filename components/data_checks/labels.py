"""The label: that it varies, has the values that the task says, and is as in the other splits."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from components.data_checks import distance
from components.data_checks.facts import Facts, columns_of
from components.data_checks.findings import Finding, Measured, Report, finding
from components.data_checks.sample import Sample
from pipeline.labels import Binary, Classes, MultiClass

_SHOWN = 5


def label_values(facts: Facts) -> Report:
    """Rows whose label is none of the task's classes, or missing: nothing can be learned from them, or measured."""
    label = facts.task.label
    if not isinstance(label, Classes):
        return Report()
    found = []
    for split, sample in facts.samples.items():
        unknown = ~known(sample)
        if not sample.label.size or not unknown.any():
            continue
        raw = sample.texts.get(label.name, sample.numbers.get(label.name))
        values = Counter("no value" if raw is None else _shown(raw[row]) for row in np.flatnonzero(unknown))
        found.append(
            finding(
                "label_values",
                f"a label of the classes {_some(label.names)}",
                _counted(values),
                feature=label.name,
                split=split,
                rows=int(unknown.sum()),
                total=sample.rows,
                next="mend the data, or name the class in the task's label; a string_domain in the schema quarantines "
                "rows with other values",
            )
        )
    return Report(tuple(found))


def label_constant(facts: Facts) -> Report:
    """A label that is the same in every row teaches nothing; told once, of the first split where it is so."""
    label = facts.task.label
    for split, sample in facts.samples.items():
        values = sample.label[known(sample)]
        if not sample.label.size or (len(values) and (values != values[0]).any()):
            continue
        if not len(values) and isinstance(label, Classes):
            continue  # `label_values` has said so of each row
        rows = f"in each of the {len(values):,} rows looked at"
        if not len(values):
            received = "no value at all"
        elif isinstance(label, MultiClass):
            received = f"{label.names[int(values[0])]!r} {rows}"
        elif isinstance(label, Classes):
            received = f"{_some([label.names[i] for i in np.flatnonzero(values[0])]) or 'no class'} {rows}"
        else:
            received = f"{values[0]:g} {rows}"
        return Report(
            (
                finding(
                    "label_constant",
                    "a label that differs from row to row",
                    received,
                    feature=label.name,
                    split=split,
                    rows=len(values),
                    total=sample.rows,
                ),
            )
        )
    return Report()


def label_unseen(facts: Facts) -> Report:
    """Classes that another split has and the train split has not: the model can't have learned them."""
    train = facts.samples.get("train")
    label = facts.task.label
    if train is None or not isinstance(label, Classes) or not known(train).any():
        return Report()
    learned = _counts(facts, "train")
    found = []
    for split in facts.samples:
        unseen = {name: rows for name, rows in _counts(facts, split).items() if rows and not learned[name]}
        if split == "train" or not unseen:
            continue
        found.append(
            finding(
                "label_unseen",
                f"classes that the train split has, too ({sum(map(bool, learned.values()))} of them)",
                _counted({repr(name): rows for name, rows in unseen.items()}),
                feature=label.name,
                split=split,
                rows=sum(unseen.values()),
                total=facts.samples[split].rows,
            )
        )
    return Report(tuple(found))


def label_absent(facts: Facts) -> Report:
    """Classes that the task names and no split has."""
    label = facts.task.label
    counts = [_counts(facts, split) for split, sample in facts.samples.items() if known(sample).any()]
    if not isinstance(label, Classes) or not counts:
        return Report()
    absent = [name for name in label.names if not any(rows[name] for rows in counts)]
    if not absent:
        return Report()
    total = sum(sample.rows for sample in facts.samples.values())
    received = f"no row of {_some(absent)}"
    next_step = "take them out of the task's label, unless rows of them are to come"
    return Report(
        (
            finding(
                "label_absent",
                f"a row of each of the {len(label.names)} classes",
                received,
                feature=label.name,
                total=total,
                next=next_step,
            ),
        )
    )


def label_between_splits(facts: Facts) -> Report:
    """The label in the other splits against the train split."""
    train = facts.samples.get("train")
    if train is None:
        return Report()
    limit = facts.task.checks.label_shift
    before = train.label[known(train)]
    findings, measured = [], []
    for split, sample in facts.samples.items():
        now = sample.label[known(sample)]
        if split == "train" or not len(now) or not len(before):
            continue
        label = facts.task.label
        if isinstance(label, Classes):
            value, noise, expected, received = _classes_apart(label, now, before, limit)
            measure = "l_infinity"
        else:
            value, noise, measure = _label_distance(now, before, binary=isinstance(label, Binary))
            expected = f"a label as in the train split, with a mean of {before.mean():.4g}, within {limit:g}"
            received = f"a mean of {now.mean():.4g}, {value:.3f} apart"
        measured.append(Measured("label_shift", label.name, split, value, limit, noise, measure, "the train split"))
        if value > limit and value > noise:
            findings.append(_shifted(label.name, split, sample, expected, received))
    return Report(tuple(findings), tuple(measured))


def known(sample: Sample) -> np.ndarray:
    """Whether each row's label is known, [rows]."""
    finite = np.isfinite(sample.label)
    return finite if finite.ndim == 1 else np.asarray(finite.all(1))


def hot(label: Classes, values: np.ndarray) -> np.ndarray:
    """Whether each row has each class, [rows, classes], of labels that are known."""
    if values.ndim == 2:
        return np.asarray(values > 0.5)
    return np.asarray(values[:, None] == np.arange(len(label.names)))


def _shifted(name: str, split: str, sample: Sample, expected: str, received: str) -> Finding:
    return finding("label_shift", expected, received, feature=name, split=split, total=sample.rows)


def _classes_apart(label: Classes, now: np.ndarray, before: np.ndarray, limit: float) -> tuple[float, float, str, str]:
    """The largest difference of a class's share, what chance explains of it, and what to say."""
    shares = hot(label, now).mean(0), hot(label, before).mean(0)
    worst = int(np.argmax(np.abs(shares[0] - shares[1])))
    one, other = float(shares[0][worst]), float(shares[1][worst])
    pooled = (one * len(now) + other * len(before)) / (len(now) + len(before))
    return (
        abs(one - other),
        distance.share_noise(pooled, len(now), len(before)),
        f"each class as often as in the train split, within {limit:g}",
        f"{label.names[worst]!r} in {one:.1%} of the rows, in the train split {other:.1%}",
    )


def _label_distance(now: np.ndarray, before: np.ndarray, *, binary: bool) -> tuple[float, float, str]:
    """Difference of the share of yes; of a number, Jensen-Shannon over the deciles of the train split; and its noise."""
    sizes = now.size, before.size
    if binary:
        pooled = float(np.concatenate([now, before]).mean())
        return abs(float(now.mean() - before.mean())), distance.share_noise(pooled, *sizes), "l_infinity"
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 11)[1:-1]))
    shares = [np.bincount(np.searchsorted(edges, v), minlength=edges.size + 1) / v.size for v in (now, before)]
    return distance.divergence(*shares), distance.divergence_noise(edges.size + 1, *sizes), "jensen_shannon"


def _counts(facts: Facts, split: str) -> dict[str, int]:
    """Rows of each class among those looked at; where the statistics count the values of all rows, at least theirs."""
    label, sample = facts.task.label, facts.samples[split]
    if not isinstance(label, Classes) or not sample.label.size:
        return dict.fromkeys(label.classes, 0)
    seen = hot(label, sample.label[known(sample)]).sum(0)
    counts = dict(zip(label.names, map(int, seen), strict=True))
    column = columns_of(facts.statistics[split]).get(label.name)
    if isinstance(label, MultiClass) and column is not None and distance.is_categorical(column):
        for bucket in column.string_stats.rank_histogram.buckets:
            if bucket.low_rank == bucket.high_rank and bucket.label in counts:
                counts[bucket.label] = max(counts[bucket.label], int(bucket.sample_count))
    return counts


def _shown(value: object) -> str:
    """A raw value, for people."""
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "backslashreplace"))
    return "no value" if value is None or value != value else f"{value:g}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")


def _counted(values: Mapping[str, int]) -> str:
    """`'bird' in 10 rows, 'Cat' in 2 rows`, the most frequent first."""
    ordered = sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = ", ".join(f"{value} in {rows:,} row{'s' if rows != 1 else ''}" for value, rows in ordered[:_SHOWN])
    return shown + (f", … ({len(ordered)} values in all)" if len(ordered) > _SHOWN else "")
