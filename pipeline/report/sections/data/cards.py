"""A card for each column, the one that needs attention most first."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks.distance import common_statistics
from pipeline.report.sections.data import columns, distances
from pipeline.report.sections.data.facts import Facts, Feature
from pipeline.report.values import number, share, text

FULL = 60
"""Columns that have a card; the others have a line of a table."""
_TOP = 20
_NARROW = 0.1
_KINDS = {"num_stats": "numbers", "string_stats": "categories", "bytes_stats": "bytes", "struct_stats": "nested"}
_MEDIA = {"image": "images", "text": "texts"}


def collect(facts: Facts, found: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The columns of the statistics, the schema and the task, in the order in which they need attention.

    That is: findings on it, the gravest first; distance from other data, where above a threshold; what the task reads before
    what it does not; share of missing values; place in the task.

    Args:
      facts: of the run.
      found: its findings, as `findings.collect` tells them.
    """
    if not any(rows.present for rows in facts.sets):
        return []
    ratios = distances.worst(facts)
    graves = Counter((entry["feature"], entry["severity"]) for entry in found or ())
    names = list(_names(facts))

    def attention(at: int) -> tuple[float, ...]:
        told = text(names[at])
        ratio = ratios.get(names[at], 0.0)
        return (
            -graves[told, "fail"],
            -graves[told, "warn"],
            -ratio if ratio > 1 else 0.0,
            names[at] not in facts.roles,
            -_missing(facts, names[at]),
            at,
        )

    order = sorted(range(len(names)), key=attention)
    told = [_card(facts, names[at], full=place < FULL) for place, at in enumerate(order)]
    for card, at in zip(told, order, strict=True):
        card["ratio"] = ratios.get(names[at])
        card["fails"], card["warns"] = graves[card["name"], "fail"], graves[card["name"], "warn"]
        card["checks"] = sorted(
            {e["check"] for e in found or () if e["feature"] == card["name"] and e["severity"] != "ignore"}
        )
    return told


def _names(facts: Facts) -> Iterator[str]:
    """All columns: the task's features, what else it reads, the schema's, any others."""
    known: dict[str, None] = dict.fromkeys(f.name for f in facts.run.task.features) if facts.run.task else {}
    known |= dict.fromkeys(facts.roles)
    known |= dict.fromkeys(feature.name for feature in facts.schema.feature) if facts.schema else {}
    for rows in facts.sets:
        known |= dict.fromkeys(rows.columns) if rows.present else {}
    yield from known


def _missing(facts: Facts, name: str) -> float:
    """The largest share of missing values of the run's own splits; all where a split lacks the column."""
    shares = [0.0]
    for rows in facts.sets:
        if rows.present and rows.rows:
            feature = rows.columns.get(name)
            shares.append(1.0 if feature is None else common_statistics(feature).num_missing / rows.rows)
    return max(shares)


def _card(facts: Facts, name: str, *, full: bool) -> dict[str, Any]:
    hidden = facts.privacy.hides(name)
    sets = [rows for rows in facts.sets if rows.present or name in rows.columns]
    features = [rows.columns.get(name) for rows in sets]
    kind = _kind(facts, name, features)
    told = [columns.of_set(rows, name, hidden=hidden) for rows in sets]
    if not full:
        told = [entry | {"histogram": None} for entry in told]
    counted = full and not hidden and kind.removeprefix("lists of ") == "categories"
    return {
        "name": text(name, 20_000),
        "kind": kind,
        "type": _type(facts, name, features),
        "role": facts.roles.get(name),
        "withheld": hidden,
        "full": full,
        "missing_share": _missing(facts, name),
        "sets": told,
        "narrow": _narrow(told),
        "quantiles": _quantiles(told),
        "axis": _axis(told),
        "top": _top(sets_of=features, rows=[entry["values"] if entry["there"] else 0 for entry in told])
        if counted
        else [],
    }


def _kind(facts: Facts, name: str, features: Sequence[Feature | None]) -> str:
    """images, texts, numbers, categories, bytes, nested, or lists of these; unknown without statistics."""
    modalities = {f.name: str(f.modality) for f in facts.run.task.features} if facts.run.task else {}
    if modalities.get(name) in _MEDIA:
        return _MEDIA[modalities[name]]
    there = [feature for feature in features if feature is not None]
    if not there:
        return "unknown"
    kind = _KINDS.get(there[0].WhichOneof("stats") or "", "unknown")
    return f"lists of {kind}" if any(common_statistics(f).max_num_values > 1 for f in there) else kind


def _type(facts: Facts, name: str, features: Sequence[Feature | None]) -> str | None:
    """Of the schema; without one of the statistics."""
    for column in facts.schema.feature if facts.schema else ():
        if column.name == name:
            return str(schema_pb2.FeatureType.Name(column.type))
    for feature in features:
        if feature is not None:
            return str(statistics_pb2.FeatureNameStatistics.Type.Name(feature.type))
    return None


def _narrow(told: Sequence[Mapping[str, Any]]) -> bool:
    """Whether three digits would not tell most values of a column apart, as those of latitudes."""
    ends = [(one["numbers"]["least"], one["numbers"]["most"]) for one in told if one["numbers"]]
    if not ends or any(None in pair for pair in ends):
        return False
    low, high = min(least for least, _ in ends), max(most for _, most in ends)
    return bool(high > low and high - low < _NARROW * max(abs(low), abs(high)))


def _quantiles(told: Sequence[Mapping[str, Any]]) -> list[float]:
    """The shares whose quantiles all sets with numbers have."""
    known = [[entry["share"] for entry in one["numbers"]["quantiles"]] for one in told if one["numbers"]]
    return known[0] if known and all(shares == known[0] for shares in known) else []


def _axis(told: Sequence[Mapping[str, Any]]) -> dict[str, float | None] | None:
    """The range of all histograms of a column, and the largest share of the rows for a unit of it."""
    drawn = [entry["histogram"] for entry in told if entry["histogram"]]
    if not drawn:
        return None
    low = min(bucket["low"] for buckets in drawn for bucket in buckets)
    high = max(bucket["high"] for buckets in drawn for bucket in buckets)
    dense = 0.0
    for buckets in drawn:
        rows = sum(bucket["rows"] for bucket in buckets)
        for bucket in buckets:
            width = bucket["high"] - bucket["low"]
            dense = max(dense, bucket["rows"] / rows / width if rows and width else 0.0)
    return {"low": number(low, whole=True), "high": number(high, whole=True), "dense": dense}


def _top(sets_of: Sequence[Feature | None], rows: Sequence[int]) -> list[dict[str, Any]]:
    """The values with the largest share in any set, twenty of them: of each set the rows and their share.

    A value that a set's statistics do not count one by one has None there.
    """
    counts = [columns.counted(feature) if feature is not None else ({}, False) for feature in sets_of]
    largest: dict[str, float] = {}
    for (known, _), total in zip(counts, rows, strict=True):
        for value, count in sorted(known.items(), key=lambda item: -item[1])[:_TOP]:
            largest[value] = max(largest.get(value, 0.0), count / total if total else 0.0)
    return [
        {
            **columns.named(value),
            "sets": [_count(value, known, whole, total) for (known, whole), total in zip(counts, rows, strict=True)],
        }
        for value in sorted(largest, key=lambda value: (-largest[value], value))[:_TOP]
    ]


def _count(value: str, known: Mapping[str, float], whole: bool, total: int) -> dict[str, float | None]:
    rows = known.get(value, 0.0 if whole else None)
    return {"rows": rows, "share": None if rows is None else share(rows, total)}
