"""Distances from earlier data, from what is served, from logged requests and between splits.

Two references, because one misses what comes slowly: data that moves a little with each span stays close to the span
before and far from what the served model learned.
"""

from collections.abc import Iterable, Mapping

from components.data_checks import distance
from components.data_checks.distance import Distance, Feature
from components.data_checks.facts import Dataset, Facts, Reference, columns_of
from components.data_checks.findings import Finding, Measured, Report, finding
from pipeline.checks import Limits
from pipeline.splits import FolderSplit, HashSplit, TimeSplit

_RARE = 1e-6
"""Chance below which it is ruled out that no request happened to have a value."""


def drift(facts: Facts) -> Report:
    """Each column that the task reads, and each split, against the previous data; the label's columns have a limit of
    their own."""
    if facts.previous is None:
        return Report()
    found = _against("drift", facts, facts.previous, facts.task.checks.drift, _inputs(facts))
    label = Limits(categories=facts.task.checks.label_shift, numbers=facts.task.checks.label_shift)
    return found + _against("label_shift", facts, facts.previous, label, _outcomes(facts))


def served_drift(facts: Facts) -> Report:
    """The same against what the served model learned from; the label's columns are among them."""
    if facts.served is None:
        return Report()
    columns = [*_inputs(facts), *_outcomes(facts)]
    return _against("served_drift", facts, facts.served, facts.task.checks.served_drift, columns)


def split_drift(facts: Facts) -> Report:
    """Splits by hash or by folder are of one kind of rows; those by time or by span may differ."""
    train = facts.statistics.get("train")
    if train is None or not isinstance(facts.task.split, HashSplit | FolderSplit):
        return Report()
    others = {split: dataset for split, dataset in facts.statistics.items() if split != "train"}
    reference = Reference("the train split", dict.fromkeys(others, train))
    limits = facts.task.checks.split_drift
    return _compare("split_drift", others, reference, limits, [*_inputs(facts), *_outcomes(facts)])


def skew(facts: Facts) -> Report:
    """Logged requests against the train split: what the model will be asked against what it learns from."""
    train = facts.statistics.get("train")
    if facts.requests is None or train is None or not facts.requests.rows:
        return Report()
    present = columns_of(facts.requests.splits["requests"])
    absent_at_serving = not_at_serving(facts)
    rows = facts.requests.rows
    report = _compare(
        "skew",
        facts.requests.splits,
        Reference("the train split", {"requests": train}),
        facts.task.checks.skew,
        [name for name in facts.features if name in present and name not in facts.media],
    )
    known = columns_of(train)
    never = [
        finding(
            "skew",
            f"a value as in {_share(known[name])} of the rows of the train split",
            "none in any logged request",
            feature=name,
            split="requests",
            rows=rows,
            total=rows,
        )
        for name in facts.features
        if name in known
        and (name not in present or not distance.rows_of(present[name])[0])
        and _missing_by_chance(known[name], rows) < _RARE
    ]
    labelled = [
        finding(
            "label_at_serving",
            "no value when serving, as the label is not known then",
            f"a value in {distance.rows_of(present[name])[0]:,} logged requests",
            feature=name,
            split="requests",
            rows=distance.rows_of(present[name])[0],
            total=rows,
        )
        for name in sorted(absent_at_serving)
        if name in present and distance.rows_of(present[name])[0]
    ]
    told = {f.feature for f in never}
    kept = tuple(f for f in report.findings if f.feature not in told)
    return Report((*kept, *never, *labelled), report.measured)


def missing_values(facts: Facts) -> Report:
    """The share of missing values of a column, against the previous data."""
    if facts.previous is None:
        return Report()
    found: dict[str, Finding] = {}
    for split, name, now, before in _pairs(facts.statistics, facts.previous, facts.task.columns):
        (values, missing), (values_before, missing_before) = distance.rows_of(now), distance.rows_of(before)
        total, total_before = values + missing, values_before + missing_before
        if not total or not total_before:
            continue
        share, share_before = missing / total, missing_before / total_before
        rise = share - share_before
        pooled = (missing + missing_before) / (total + total_before)
        noise = distance.share_noise(pooled, total, total_before)
        if rise > facts.task.checks.missing_values and rise > noise and name not in found:
            found[name] = finding(
                "missing_values",
                f"about {share_before:.1%} of the values missing, as in {facts.previous.name}",
                f"{share:.1%}",
                feature=name,
                split=split,
                rows=missing,
                total=total,
            )
    return Report(tuple(found.values()))


def not_at_serving(facts: Facts) -> set[str]:
    """The columns that the schema says are absent when serving, and the label."""
    absent = {feature.name for feature in facts.schema.feature if "SERVING" in feature.not_in_environment}
    return absent | {facts.task.label.name}


def _inputs(facts: Facts) -> list[str]:
    """What the model reads, and slices; not the time that rows are split by, which always moves on, and no media."""
    split = facts.task.split
    left_out = {split.column} if isinstance(split, TimeSplit) else set()
    left_out |= {*_outcomes(facts), *facts.media}
    return [name for name in facts.task.columns if name not in left_out]


def _outcomes(facts: Facts) -> list[str]:
    """The columns of the label that are no features."""
    return sorted(facts.task.label.columns - set(facts.features))


def _against(check: str, facts: Facts, reference: Reference, limits: Limits, columns: Iterable[str]) -> Report:
    return _compare(check, facts.statistics, reference, limits, columns)


def _compare(
    check: str,
    splits: Mapping[str, Dataset],
    reference: Reference,
    limits: Limits,
    columns: Iterable[str],
) -> Report:
    """Measures each column in each split; of a column that is off in several splits, the worst is a finding."""
    worst: dict[str, tuple[Distance, Finding]] = {}
    measured = []
    for split, name, now, before in _pairs(splits, reference, columns):
        taken = distance.compare(now, before)
        if taken is None:
            continue
        limit = limits.of(name, categorical=distance.is_categorical(before))
        measured.append(Measured(check, name, split, taken.value, limit, taken.noise, taken.measure, reference.name))
        if not taken.exceeds(limit) or _only_missing(now, before, limit):
            continue
        if name not in worst or taken.value > worst[name][0].value:
            worst[name] = taken, _too_far(check, name, split, taken, limit, now, reference)
    return Report(tuple(found for _, found in worst.values()), tuple(measured))


def _only_missing(now: Feature, before: Feature, limit: float) -> bool:
    """Whether the values that are there are as before, and only fewer: then it is a matter for `missing_values`."""
    rise = distance.rows_of(now)[1] > distance.rows_of(before)[1] * _ratio(now, before)
    values = distance.compare(now, before, missing=False)
    return rise and values is not None and not values.exceeds(limit)


def _ratio(now: Feature, before: Feature) -> float:
    return sum(distance.rows_of(now)) / max(sum(distance.rows_of(before)), 1)


def _too_far(
    check: str, name: str, split: str, taken: Distance, limit: float, now: Feature, reference: Reference
) -> Finding:
    measure = {"jensen_shannon": "Jensen-Shannon", "l_infinity": "L-infinity"}[taken.measure]
    total = sum(distance.rows_of(now))
    return finding(
        check,
        f"values within {limit:g} ({measure}) of {reference.name}",
        f"{taken.value:.3f}; largest change: {taken.where} of the rows{_medians(now, reference, name, split)}",
        feature=name,
        split=split,
        total=total,
    )


def _medians(now: Feature, reference: Reference, name: str, split: str) -> str:
    before = columns_of(reference.splits[split]).get(name)
    if before is None or now.WhichOneof("stats") != "num_stats" or before.WhichOneof("stats") != "num_stats":
        return ""
    return f"; median {before.num_stats.median:,.6g} -> {now.num_stats.median:,.6g}"


def _pairs(
    splits: Mapping[str, Dataset],
    reference: Reference,
    columns: Iterable[str],
) -> Iterable[tuple[str, str, Feature, Feature]]:
    """Split, column, its statistics now and in the reference; splits without rows and absent columns are left out."""
    names = list(columns)
    for split, dataset in splits.items():
        known = reference.splits.get(split)
        if known is None or not dataset.num_examples or not known.num_examples:
            continue
        now, before = columns_of(dataset), columns_of(known)
        for name in names:
            if name in now and name in before:
                yield split, name, now[name], before[name]


def _missing_by_chance(feature: Feature, rows: int) -> float:
    """How likely so many rows are all without a value, where a column has it as often as here."""
    values, missing = distance.rows_of(feature)
    return float((missing / max(values + missing, 1)) ** rows) if values else 1.0


def _share(feature: Feature) -> str:
    values, missing = distance.rows_of(feature)
    return f"{values / max(values + missing, 1):.1%}"
