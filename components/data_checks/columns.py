"""Features that say nothing, or what another one says already."""

import hashlib

import numpy as np

from components.data_checks import distance
from components.data_checks.facts import Facts, columns_of
from components.data_checks.findings import Report, finding
from components.data_checks.sample import Sample

_TASK = 'take it out of the task, or say there that it is meant: checks=Checks(severities=(Severity("{check}", "ignore", feature="{name}"),))'


def constant_feature(facts: Facts) -> Report:
    """Features with one value, or none, in all rows of the train split."""
    train = facts.statistics.get("train")
    if train is None or not train.num_examples:
        return Report()
    found = []
    known = columns_of(train)
    for name in facts.features:
        value = only_value(known[name]) if name in known else None
        if value is not None and name in facts.media and distance.rows_of(known[name])[0]:
            value = "the same value in every row"
        if value is not None:
            found.append(
                finding(
                    "constant_feature",
                    "a feature that differs from row to row",
                    value,
                    feature=name,
                    split="train",
                    rows=int(train.num_examples),
                    total=int(train.num_examples),
                    next=_TASK.format(check="constant_feature", name=name),
                )
            )
    return Report(tuple(found))


def only_value(feature: distance.Feature) -> str | None:
    """The one value that a column has in all rows, for people; None where it differs, be it by missing values."""
    values, missing = distance.rows_of(feature)
    if not values:
        return "no value in any row" if missing else None
    if missing:
        return None
    if distance.is_categorical(feature):
        texts = feature.string_stats
        return f"{texts.top_values[0].value!r} in every row" if texts.unique == 1 and texts.top_values else None
    if feature.WhichOneof("stats") != "num_stats":
        return None  # such as images: of these, only the lengths are known
    numbers = feature.num_stats
    return f"{numbers.min:g} in every row" if numbers.min == numbers.max else None


def duplicate_features(facts: Facts) -> Report:
    """Features that are equal in all rows looked at."""
    sample = facts.samples.get("train")
    if sample is None or sample.rows < 2:
        return Report()
    first: dict[bytes, str] = {}
    found = []
    for name in facts.features:
        digest = _digest(sample, name)
        if digest is None:
            continue
        other = first.setdefault(digest, name)
        if other != name:
            found.append(
                finding(
                    "duplicate_features",
                    "features that differ from each other",
                    f"the values of {other!r} in each of the {sample.rows:,} rows looked at",
                    feature=name,
                    split="train",
                    rows=sample.rows,
                    total=sample.rows,
                    next=_TASK.format(check="duplicate_features", name=name),
                )
            )
    return Report(tuple(found))


def _digest(sample: Sample, name: str) -> bytes | None:
    """A digest of all values; None for a column that is not there or has one value only."""
    if name in sample.numbers:
        values = sample.numbers[name]
        filled = np.where(np.isnan(values), -np.inf, values + 0.0)
        return None if (filled == filled[0]).all() else hashlib.sha256(filled.tobytes()).digest()
    if name in sample.texts:
        texts = sample.texts[name]
        if len(set(texts)) == 1:
            return None
        parts = (b"-" if text is None else b"+%d:%b" % (len(text), text) for text in texts)
        return hashlib.sha256(b"".join(parts)).digest()
    return None
