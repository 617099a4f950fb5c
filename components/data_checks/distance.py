"""How far two distributions of a column lie apart, from statistics alone.

    numbers(statistics, reference)       Jensen-Shannon divergence in bits: 0 is equal, 1 has nothing in common
    categories(statistics, reference)    L-infinity: the largest difference of one value's share

Both count missing values as a value of their own, and both say how large the distance can be by chance.

TFDV's comparators measure the same two, but take Jensen-Shannon over ten buckets of equal width. On a column with a long
tail nearly every row is in the first of them: fares in cents instead of dollars are seen only because the range grows,
and a tail of one row hides a shift of all others. Here the buckets are the tenths of the reference, from the quantiles
that TFDV keeps, one below its smallest value, one above its largest, and one for each value that many rows have.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2

Feature: TypeAlias = statistics_pb2.FeatureNameStatistics

_SMALLEST_BUCKET = 0.08
"""Share of the reference's rows below which two buckets are made one: small ones are mostly noise."""
_TIED = 0.25
"""Share of the reference's rows from which one value is a bucket of its own."""
_SURE = 5.0
"""Standard deviations above what chance gives on average; past them, chance is ruled out."""


@dataclass(frozen=True)
class Distance:
    """How far two samples of a column lie apart.

    Attributes:
      value: the distance, 0 to 1.
      noise: what two samples of these sizes from one distribution may show by chance.
      measure: "jensen_shannon" or "l_infinity".
      where: the value or the range that differs most, for people.
    """

    value: float
    noise: float
    measure: str
    where: str

    def exceeds(self, limit: float) -> bool:
        """Whether it is above the limit, and above what chance explains."""
        return self.value > limit and self.value > self.noise


def rows_of(feature: Feature) -> tuple[int, int]:
    """Rows with a value, and rows without one; an empty list is none."""
    common = common_statistics(feature)
    values = min(int(common.num_non_missing), int(common.tot_num_values))
    return values, int(common.num_missing) + int(common.num_non_missing) - values


def common_statistics(feature: Feature) -> statistics_pb2.CommonStatistics:
    """The part that all types of column have; empty for a type that TFDV does not summarise."""
    kind = feature.WhichOneof("stats")
    return getattr(feature, kind).common_stats if kind else statistics_pb2.CommonStatistics()


def is_categorical(feature: Feature) -> bool:
    """Whether its values are counted one by one: strings, and integers that the schema says are categories."""
    return feature.WhichOneof("stats") == "string_stats"


def compare(present: Feature, reference: Feature, *, missing: bool = True) -> Distance | None:
    """The distance of a column from its reference; None where the two can't be compared.

    Args:
      present: statistics of the column.
      reference: of the same column in other rows.
      missing: whether missing values count as a value of their own; if not, they are left out.
    """
    if is_categorical(present) != is_categorical(reference):
        return None
    measure = categories if is_categorical(present) else numbers
    return measure(present, reference, missing=missing)


def categories(present: Feature, reference: Feature, *, missing: bool = True) -> Distance | None:
    """L-infinity distance of two counted columns; None where a side has no rows."""
    one, other = _counts(present, missing), _counts(reference, missing)
    totals = _total(present, missing), _total(reference, missing)
    if not all(totals):
        return None
    shares = {label: (one.get(label, 0) / totals[0], other.get(label, 0) / totals[1]) for label in {*one, *other}}
    worst = max(sorted(shares), key=lambda label: abs(shares[label][0] - shares[label][1]))
    now, before = shares[worst]
    pooled = (now * totals[0] + before * totals[1]) / sum(totals)
    return Distance(
        abs(now - before),
        share_noise(pooled, *totals),
        "l_infinity",
        f"{worst or 'missing'}: {before:.1%} -> {now:.1%}",
    )


def numbers(present: Feature, reference: Feature, *, missing: bool = True) -> Distance | None:
    """Jensen-Shannon divergence of two columns of numbers; None where a side has no rows.

    JSD(P, Q) = H((P + Q) / 2) - H(P) / 2 - H(Q) / 2 with H in bits (Lin 1991, "Divergence measures based on the Shannon
    entropy").
    """
    totals = _total(present, missing), _total(reference, missing)
    if not all(totals):
        return None
    edges = _Edges.of(_Distribution.of(reference))
    now, before = _shares(present, edges, missing), _shares(reference, edges, missing)
    noise = divergence_noise(int(((now + before) > 0).sum()), *totals)
    worst = int(np.argmax(np.abs(now - before)))
    where = f"{edges.name(worst)}: {before[worst]:.1%} -> {now[worst]:.1%}"
    return Distance(divergence(now, before), noise, "jensen_shannon", where)


def divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits of two arrays of shares."""
    value = _entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2
    return float(np.clip(value, 0.0, 1.0))


def share_noise(share: float, rows: int, others: int) -> float:
    """How far a share may differ between two samples of one distribution by chance."""
    return float(_SURE * np.sqrt(share * (1 - share) * (1 / rows + 1 / others)))


def divergence_noise(buckets: int, rows: int, others: int) -> float:
    """How large Jensen-Shannon may be between two samples of one distribution by chance.

    Of n and m rows over k buckets, 8 ln(2) nm / (n + m) times it is about chi-squared with k - 1 degrees of freedom.
    """
    freedom = max(buckets - 1, 1)
    return float((freedom + _SURE * np.sqrt(2 * freedom)) * (1 / rows + 1 / others) / (8 * np.log(2)))


def _entropy(shares: np.ndarray) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log2(present)).sum())


def _rows(feature: Feature, missing: bool) -> tuple[int, int]:
    values, absent = rows_of(feature)
    return values, absent if missing else 0


def _total(feature: Feature, missing: bool) -> int:
    return sum(_rows(feature, missing))


def _counts(feature: Feature, missing: bool) -> dict[str, float]:
    """Value -> rows, of the values that the statistics count one by one, the most frequent; "" is missing."""
    counted = {
        bucket.label: bucket.sample_count
        for bucket in feature.string_stats.rank_histogram.buckets
        if bucket.low_rank == bucket.high_rank
    }
    if missing:
        counted[""] = counted.get("", 0) + rows_of(feature)[1]
    return counted


@dataclass(frozen=True)
class _Distribution:
    """Rows of a column by value, as far as the quantiles tell.

    Attributes:
      values: ascending, shape [n]: the smallest value and the upper end of each quantile.
      upto: rows at or below each.
      below: rows below each; less than `upto` only where several quantiles end at the value, which many rows have then.
    """

    values: np.ndarray
    upto: np.ndarray
    below: np.ndarray

    @classmethod
    def of(cls, feature: Feature) -> "_Distribution":
        histograms = feature.num_stats.histograms
        buckets = [b for h in histograms if h.type == statistics_pb2.Histogram.QUANTILES for b in h.buckets]
        if not buckets:
            return cls(np.empty(0), np.empty(0), np.empty(0))
        highs = np.array([bucket.high_value for bucket in buckets])
        counts = np.array([bucket.sample_count for bucket in buckets])
        counts *= rows_of(feature)[0] / max(counts.sum(), 1)
        values, first, quantiles = np.unique(highs, return_index=True, return_counts=True)
        upto = np.cumsum(counts)[first + quantiles - 1]
        before = np.append(0.0, upto[:-1])
        # Of k quantiles that end at one value, the first also has what lies between that value and the one before.
        below = np.where(quantiles > 1, before + (upto - before) / (2 * quantiles), upto)
        lowest = buckets[0].low_value
        if lowest < values[0]:
            return cls(np.append(lowest, values), np.append(0.0, upto), np.append(0.0, below))
        below[0] = 0.0
        return cls(values, upto, below)

    def rows(self, edges: "_Edges") -> np.ndarray:
        """Rows below the smallest edge, between each two, and above the largest."""
        if not self.values.size:
            return np.zeros(edges.values.size + 1)
        at = np.searchsorted(self.values, edges.values)
        inside = at < self.values.size
        at = np.minimum(at, self.values.size - 1)
        exact = inside & (self.values[at] == edges.values)
        before = np.where(at > 0, self.upto[at - 1], 0.0)
        start = self.values[np.maximum(at - 1, 0)]
        width = np.where(self.values[at] > start, self.values[at] - start, 1.0)
        between = before + (self.below[at] - before) * np.where(at > 0, (edges.values - start) / width, 0.0)
        total = self.upto[-1]
        counted = np.where(exact, np.where(edges.inclusive, self.upto[at], self.below[at]), between)
        counted = np.where(inside, counted, total)
        # A quantile that reaches beyond the reference's range may have most of its rows within: they are not counted
        # as beyond. Of the largest rows the statistics only know the maximum, and that moves by chance.
        if not exact[0]:
            counted[0] = before[0] if inside[0] else total
        if not exact[-1] and at[-1] > 0:
            counted[-1] = self.upto[at[-1]] if inside[-1] else total
        return np.diff(np.maximum.accumulate(counted), prepend=0.0, append=total)


@dataclass(frozen=True)
class _Edges:
    """The buckets of a reference, but for the one of missing values.

    Attributes:
      values: ascending; the first is the smallest value, the last the largest.
      inclusive: whether the bucket below has the value itself.
    """

    values: np.ndarray
    inclusive: np.ndarray

    @classmethod
    def of(cls, reference: _Distribution) -> "_Edges":
        """About the tenths of the reference; a value that a quarter of the rows have is a bucket of its own."""
        if not reference.values.size:
            return cls(np.zeros(1), np.zeros(1, bool))
        total = reference.upto[-1]
        edges = [(float(reference.values[0]), False)]
        reached = 0.0
        for value, upto, below in zip(reference.values, reference.upto, reference.below, strict=True):
            tied = upto - below >= _TIED * total
            if tied and below > reached:
                edges.append((float(value), False))
            if tied or upto - reached >= _SMALLEST_BUCKET * total:
                edges.append((float(value), True))
                reached = upto
        last = (float(reference.values[-1]), True)
        if len(edges) > 1 and 0 < total - reached < _SMALLEST_BUCKET * total:
            edges.pop()
        if edges[-1] != last:
            edges.append(last)
        values, inclusive = zip(*edges, strict=True)
        return cls(np.array(values), np.array(inclusive))

    def name(self, bucket: int) -> str:
        """A bucket for people; the last is that of missing values."""
        if bucket == self.values.size + 1:
            return "missing"
        if bucket == 0:
            return f"below {self.values[0]:,.6g}"
        if bucket == self.values.size:
            return f"above {self.values[-1]:,.6g}"
        low, high = self.values[bucket - 1], self.values[bucket]
        return f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"


def _shares(feature: Feature, edges: _Edges, missing: bool) -> np.ndarray:
    """The share of the rows in each bucket; the last is that of missing values."""
    values, absent = _rows(feature, missing)
    return np.append(_Distribution.of(feature).rows(edges), absent) / max(values + absent, 1)
