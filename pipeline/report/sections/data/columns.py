"""One column in one set of rows, as TFDV's proto has it."""

from typing import Any

from tensorflow_data_validation import constants
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.data_checks.distance import common_statistics
from pipeline.report.sections.data.facts import Feature, Set
from pipeline.report.values import number, share, text

QUANTILES = (0.02, 0.1, 0.9, 0.98)
_KEYS = ("missing", "missing_share", "values", "distinct", "list", "numbers", "histogram", "bytes", "length")
_STAND_INS = {
    constants.NON_UTF8_PLACEHOLDER: "values that are not UTF-8",
    constants.LARGE_BYTES_PLACEHOLDER: "values too large to count",
}
_INT = statistics_pb2.FeatureNameStatistics.INT


def of_set(rows: Set, name: str, *, hidden: bool) -> dict[str, Any]:
    """What a set says of a column.

    Args:
      rows: the set.
      name: of the column.
      hidden: only counts are wanted.

    Returns:
      set, rows, there (whether the set has the column), missing, missing_share, values (in lists, all of them), distinct;
      of lists `list`, of numbers `numbers` and `histogram`, of bytes `bytes`, of strings `length`. None is what the
      column has not or is withheld.
    """
    feature = rows.columns.get(name)
    told: dict[str, Any] = {"set": rows.name, "rows": rows.rows, "there": feature is not None, **dict.fromkeys(_KEYS)}
    if feature is None:
        return told
    common = common_statistics(feature)
    told |= {
        "missing": int(common.num_missing),
        "missing_share": share(int(common.num_missing), rows.rows),
        "values": int(common.tot_num_values),
    }
    if feature.WhichOneof("stats") == "string_stats":
        told["distinct"] = int(feature.string_stats.unique)
    if int(common.max_num_values) > 1:
        told["list"] = _spread(common.min_num_values, common.avg_num_values, common.max_num_values)
    if not hidden:
        told |= _values(feature)
    return told


def _spread(least: float, mean: float, most: float) -> dict[str, float | None]:
    return {"least": number(least, whole=True), "mean": number(mean), "most": number(most, whole=True)}


def _values(feature: Feature) -> dict[str, Any]:
    kind = feature.WhichOneof("stats")
    if kind == "num_stats":
        return _numbers(feature)
    if kind == "bytes_stats":
        sizes = feature.bytes_stats
        return {"bytes": _spread(sizes.min_num_bytes, sizes.avg_num_bytes, sizes.max_num_bytes)}
    if kind == "string_stats":
        return {"length": number(feature.string_stats.avg_length)}
    return {}


def _numbers(feature: Feature) -> dict[str, Any]:
    stats, whole = feature.num_stats, feature.type == _INT
    if not stats.common_stats.num_non_missing:
        return {}
    buckets = _buckets(feature, statistics_pb2.Histogram.STANDARD)
    return {
        "numbers": {
            "least": number(stats.min, whole=whole),
            "most": number(stats.max, whole=whole),
            "mean": number(stats.mean),
            "deviation": number(stats.std_dev),
            "median": number(stats.median, whole=whole),
            "zeros": int(stats.num_zeros),
            "quantiles": _quantiles(feature, whole=whole),
        },
        "histogram": [
            {"low": low, "high": high, "rows": number(bucket.sample_count)}
            for bucket in buckets
            if (low := number(bucket.low_value)) is not None and (high := number(bucket.high_value)) is not None
        ],
    }


def _quantiles(feature: Feature, *, whole: bool) -> list[dict[str, Any]]:
    """The ends of those buckets of the quantile histogram that end at a share worth naming."""
    buckets = _buckets(feature, statistics_pb2.Histogram.QUANTILES)
    ends = [(part, part * len(buckets)) for part in QUANTILES]
    return [
        {"share": part, "value": number(buckets[round(end) - 1].high_value, whole=whole)}
        for part, end in ends
        if abs(end - round(end)) < 1e-6 and round(end) >= 1
    ]


def _buckets(feature: Feature, kind: int) -> list[statistics_pb2.Histogram.Bucket]:
    return next((list(h.buckets) for h in feature.num_stats.histograms if h.type == kind), [])


def counted(feature: Feature) -> tuple[dict[str, float], bool]:
    """Value -> rows, of the values that the statistics count one by one; and whether these are all values."""
    buckets = feature.string_stats.rank_histogram.buckets
    known = {bucket.label: bucket.sample_count for bucket in buckets if bucket.low_rank == bucket.high_rank}
    known |= {top.value: top.frequency for top in feature.string_stats.top_values}
    return known, len(known) >= int(feature.string_stats.unique)


def named(value: str) -> dict[str, Any]:
    """A value, or what TFDV has in its place: `{"value", "stands_for"}`."""
    return {"value": text(value, 200), "stands_for": _STAND_INS.get(value)}
