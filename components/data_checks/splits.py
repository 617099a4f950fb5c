"""The audit of the splits: what was learned from must not be what is measured on."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from components.data_checks.facts import Facts
from components.data_checks.findings import Report, finding
from pipeline.splits import HashSplit

_KEYED = "split by the entity's key, HashSplit(by=…), in the task"


def split_overlap(facts: Facts) -> Report:
    """The same row in two splits."""
    return _overlap("split_overlap", "a row", facts.hashes, "remove the copies, or split by a hash of the row", facts)


def entity_overlap(facts: Facts) -> Report:
    """The same entity in two splits, where the split is by its key."""
    split = facts.task.split
    if not (isinstance(split, HashSplit) and split.by):
        return Report()
    key = ", ".join(split.by)
    return _overlap("entity_overlap", f"a {key}", facts.entities, _KEYED, facts)


def _overlap(check: str, thing: str, hashes: Mapping[str, np.ndarray], next_step: str, facts: Facts) -> Report:
    found = []
    fraction = float(facts.account.get("hash_fraction", 1.0))
    for one, other in itertools.combinations(hashes, 2):
        copies = _among(hashes[other], hashes[one])
        if not copies:
            continue
        total = int(facts.statistics[other].num_examples) if other in facts.statistics else 0
        rows = min(round(copies / fraction), total) if total else round(copies / fraction)
        found.append(
            finding(
                check,
                f"{thing} in one split only",
                f"{rows:,} rows of {other!r} also in {one!r}"
                + (f" (estimated from {fraction:.0%} of the rows)" if fraction < 1 else ""),
                split=other,
                rows=rows,
                total=total,
                next=next_step,
            )
        )
    return Report(tuple(found))


def _among(some: np.ndarray, others: np.ndarray) -> int:
    """How many of some hashes are among others; on sorted ones a fraction of the time of `np.isin`."""
    if not some.size or not others.size:
        return 0
    ordered, wanted = np.sort(others), np.sort(some)
    at = np.minimum(np.searchsorted(ordered, wanted), ordered.size - 1)
    return int((ordered[at] == wanted).sum())


def time_overlap(facts: Facts) -> Report:
    """Where rows are split by time, all of one split are before all of the next."""
    times = facts.account.get("times") or {}
    ordered = [(split, times[split]) for split in ("train", "eval", "test") if split in times]
    found = [
        finding(
            "time_overlap",
            f"each row of {later!r} to be after all rows of {earlier!r}, the last of which is of {_day(end)}",
            f"a row of {_day(start)}",
            split=later,
        )
        for (earlier, (_, end)), (later, (start, _)) in itertools.pairwise(ordered)
        if start <= end
    ]
    return Report(tuple(found))


def _day(seconds: float) -> str:
    """A moment for people; the number where it is none."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OSError, OverflowError):
        return str(seconds)
