"""Rows as rows: none lost, few in quarantine, no span left out, none delivered twice, about as many as before."""

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from components.data_checks import distance
from components.data_checks.facts import Dataset, Facts, columns_of
from components.data_checks.findings import Finding, Report, cut, finding, schema_snippet

_LONGEST_VALUE = 60
_DOMAIN_RULES = ("domain", "range", "required")
_DEFECT = "run again with --no-cache; if it stays, this is a defect of Millrace: please report it"


def accounting(facts: Facts) -> Report:
    """Rows in = rows of all splits + quarantined; and the statistics count as many."""
    account = facts.account
    if not account:
        return Report()
    written = {split: int(rows) for split, rows in account["splits"].items()}
    quarantined = int(account["quarantined"])
    found = []
    out = sum(written.values()) + quarantined
    if out != account["rows"]:
        found.append(
            finding(
                "accounting",
                f"as many rows in splits and quarantine as came in, {account['rows']:,}",
                f"{out:,} ({quarantined:,} of them in quarantine)",
                next=_DEFECT,
            )
        )
    for split, dataset in facts.statistics.items():
        if int(dataset.num_examples) != written.get(split, 0):
            found.append(
                finding(
                    "accounting",
                    f"{written.get(split, 0):,} rows, as were written",
                    f"{int(dataset.num_examples):,} in the statistics",
                    split=split,
                    next=_DEFECT,
                )
            )
    return Report(tuple(found))


def quarantine(facts: Facts) -> Report:
    """Quarantined rows by rule and column: bad_rows where they are more than the task bears, else quarantined_rows."""
    account = facts.account
    quarantined, total = int(account.get("quarantined", 0)), int(account.get("rows", 0))
    if not quarantined:
        return Report()
    allowed = float(account.get("max_bad_fraction", facts.task.rows.max_bad_fraction))
    share = quarantined / total
    check = "bad_rows" if share > allowed else "quarantined_rows"
    whole = f"{share:.2%} of all rows are in quarantine, {allowed:.2%} may be"
    return Report(tuple(_broken(check, rule, whole, total, facts) for rule in account["rules"]))


def _broken(check: str, rule: Mapping[str, Any], whole: str, total: int, facts: Facts) -> Finding:
    accept = (
        schema_snippet(facts.task.name)
        if rule["rule"] in _DOMAIN_RULES
        else "mend the rows, or raise `rows.max_bad_fraction` in the task: the run then goes on without them"
    )
    expected = str(rule["message"]).removeprefix("expected ").partition(". Received")[0]
    several = len(facts.account.get("files", ())) > 1
    places = tuple(_place(example, several) for example in rule.get("examples", ()))
    more = ", …" if int(rule["rows"]) > len(places) else ""
    found = finding(
        check,
        expected,
        f"{', '.join(places)}{more}; {whole}",
        feature=rule.get("column"),
        rows=int(rule["rows"]),
        total=total,
        next=accept,
    )
    return replace(found, examples=places)


def _place(example: Mapping[str, Any], several: bool) -> str:
    """Value, file and line; of several files the folder, too, as in a window all may have one name."""
    file = "/".join(str(example.get("file", "")).split("/")[-2 if several else -1 :])
    value = example.get("value")
    shown = "nothing" if value is None else repr(cut(str(value), _LONGEST_VALUE))
    return f"{shown} ({file}:{example.get('line')})"


def span_gap(facts: Facts) -> Report:
    """Spans of the window that are not there."""
    gaps = [str(span) for span in facts.account.get("gaps", ())]
    if not gaps:
        return Report()
    window = facts.account.get("window", 1)
    newest = facts.account.get("span_name", facts.span)
    expected = f"files of every span of the window of {window} up to {newest}"
    return Report((finding("span_gap", expected, f"none of {', '.join(gaps)}"),))


def volume(facts: Facts) -> Report:
    """Far fewer or far more rows than before: a truncated file, or a doubled one.

    In a window, the newest span is compared with the median of the others; else the data with the previous.
    """
    least = facts.task.checks.volume
    spans = _spans(facts)
    if len(spans) > 1:
        *others, (newest, rows, _) = spans
        usual = statistics.median(count for _, count, _ in others)
        if least <= rows / usual <= 1 / least:
            return Report()
        expected = (
            f"{least * usual:,.0f} to {usual / least:,.0f} rows in span {newest}, from the other spans' {usual:,.0f}"
        )
        return Report((finding("volume", expected, f"{rows:,}", total=rows),))
    if facts.previous is None or not facts.previous.rows or not facts.rows:
        return Report()
    share = facts.rows / facts.previous.rows
    if least <= share <= 1 / least:
        return Report()
    low, high = round(least * facts.previous.rows), round(facts.previous.rows / least)
    expected = f"{low:,} to {high:,} rows, from the {facts.previous.rows:,} of {facts.previous.name}"
    return Report((finding("volume", expected, f"{facts.rows:,}", total=facts.rows),))


def duplicate_rows(facts: Facts) -> Report:
    """Rows that are exact copies of another one."""
    hashes = [values for values in facts.hashes.values() if values.size]
    if not hashes:
        return Report()
    ordered = np.sort(np.concatenate(hashes))
    share = float((ordered[1:] == ordered[:-1]).sum()) / ordered.size
    allowed = facts.task.checks.duplicate_rows
    if share <= allowed:
        return Report()
    return Report(
        (
            finding(
                "duplicate_rows",
                f"at most {allowed:.1%} of the rows to be copies of others",
                f"{share:.1%}; perhaps a file was delivered twice",
                rows=round(share * facts.rows),
                total=facts.rows,
            ),
        )
    )


def _spans(facts: Facts) -> list[tuple[str, int, int]]:
    """Name, rows and digest of the rows of each span of the window, oldest first."""
    found: dict[int, tuple[str, int, int]] = {}
    for file in facts.account.get("files", ()):
        name, rows, digest = found.get(file["span"], (str(file.get("span_name", file["span"])), 0, 0))
        found[file["span"]] = (name, rows + file["rows"], (digest + int(file.get("digest", "0"), 16)) % 2**64)
    return [found[span] for span in sorted(found)]


def repeated_span(facts: Facts) -> Report:
    """A span with the very rows of another of the window, or the very statistics of the previous data."""
    seen: dict[tuple[int, int], str] = {}
    for name, rows, digest in _spans(facts):
        if digest and (rows, digest) in seen:
            expected = f"other rows in span {name} than in span {seen[rows, digest]}"
            return Report(
                (finding("repeated_span", expected, "the same, delivered again", rows=rows, total=facts.rows),)
            )
        seen[rows, digest] = name
    previous = facts.previous
    if previous is None or previous.span is None or previous.span == facts.span or not facts.rows:
        return Report()
    if facts.statistics.keys() != previous.splits.keys():
        return Report()
    if any(_moments(dataset) != _moments(previous.splits[split]) for split, dataset in facts.statistics.items()):
        return Report()
    expected = f"other rows than those of {previous.name}"
    received = "the same number of rows with the same means, deviations and counts in every column"
    return Report((finding("repeated_span", expected, received, rows=facts.rows, total=facts.rows),))


def _moments(dataset: Dataset) -> dict[str, tuple[float, ...]]:
    """What two different samples do not share: rows, and of each column counts, mean, deviation."""
    moments: dict[str, tuple[float, ...]] = {"": (float(dataset.num_examples),)}
    for name, feature in columns_of(dataset).items():
        numbers, texts, images = feature.num_stats, feature.string_stats, feature.bytes_stats
        exact = (*distance.rows_of(feature), numbers.num_zeros, numbers.min, numbers.max, texts.unique)
        means = (numbers.mean, numbers.std_dev, texts.avg_length, images.avg_num_bytes)
        moments[name] = (*map(float, exact), *(_rounded(v) for v in means))
    return moments


def _rounded(value: float) -> float:
    """To nine digits: sums of the same numbers in another order differ beyond."""
    return float(f"{value:.9g}")
