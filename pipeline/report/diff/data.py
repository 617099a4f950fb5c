"""What differs between the data of two runs: files, rows, statistics of each column, schema."""

import math
from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_checks import distance
from components.data_checks.facts import columns_of
from pipeline import schema
from pipeline.report.sources import Run
from pipeline.runners.environment import private

SHOWN = 20
_STATISTICS = "FeatureStats.pb"


def compare(a: Run, b: Run) -> dict[str, Any]:
    """The data of both.

    Returns:
      `known`: whether both read data; `same`: whether all rows that passed are the same, None where that is not known;
      `files`, added, removed and changed; `spans`; `rows`, a list of counts; `split`, of which `features` are compared, the
      furthest apart first; `apart`, how many are by more than chance explains; `columns` that only one has.
    """
    accounts = [run.json("ExampleGen", "quarantine", "account.json") for run in (a, b)]
    prints = [_fingerprint(run) for run in (a, b)]
    known = all(found is not None for found in (accounts if any(accounts) else prints))
    files = _files(*accounts) if all(accounts) else {"added": [], "removed": [], "changed": [], "same": 0}
    rows = _rows(a.record, b.record)
    same = None
    if known:
        moved = files["added"] or files["removed"] or files["changed"]
        same = not moved and all(row["difference"] == 0 for row in rows) if all(accounts) else prints[0] == prints[1]
    return {
        "known": known,
        "same": same,
        "files": {key: value[:SHOWN] if isinstance(value, list) else value for key, value in files.items()}
        | {"counts": {key: len(value) for key, value in files.items() if isinstance(value, list)}},
        "spans": [{"a": _text(a.record.get("spans")), "b": _text(b.record.get("spans"))}],
        "rows": rows,
        **_statistics(a, b),
    }


def _fingerprint(run: Run) -> str | None:
    """What ExampleGen says of the files it read."""
    examples = run.artifacts.get(("ExampleGen", "examples"))
    return examples.custom_properties["input_fingerprint"].string_value or None if examples else None


def _files(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """By name, and by the digest of the rows that passed."""
    before, after = ({private(file["file"]): file for file in account["files"]} for account in (a, b))
    both = [name for name in after if name in before]
    changed = [name for name in both if before[name].get("digest") != after[name].get("digest")]
    return {
        "added": [{"file": name, "rows": after[name]["rows"]} for name in after if name not in before],
        "removed": [{"file": name, "rows": before[name]["rows"]} for name in before if name not in after],
        "changed": [{"file": name, "before": before[name]["rows"], "rows": after[name]["rows"]} for name in changed],
        "same": len(both) - len(changed),
    }


def _rows(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    before, after = a.get("rows") or {}, b.get("rows") or {}
    return [
        {
            "name": name,
            "a": before.get(name),
            "b": after.get(name),
            "difference": _less(after.get(name), before.get(name)),
        }
        for name in dict.fromkeys((*before, *after))
    ]


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _text(spans: Any) -> str | None:
    if not spans:
        return None
    return str(spans[0]) if len(spans) == 1 else f"{spans[0]} to {spans[-1]}, {len(spans)} of them"


def _statistics(a: Run, b: Run) -> dict[str, Any]:
    """Each column of the first split that both have, `train` where there is one."""
    folders = [run.uri("StatisticsGen", "statistics") for run in (a, b)]
    empty: dict[str, Any] = {"split": None, "features": [], "apart": 0, "compared": 0, "columns": []}
    if folders[0] is None or folders[1] is None:
        return empty
    splits = [{path.name.removeprefix("Split-") for path in folder.glob("Split-*")} for folder in folders if folder]
    both = sorted(splits[0] & splits[1], key=lambda name: (name != "train", name))
    if not both:
        return empty
    before, after = (
        columns_of(
            statistics_pb2.DatasetFeatureStatisticsList.FromString(
                (folder / f"Split-{both[0]}" / _STATISTICS).read_bytes()
            ).datasets[0]
        )
        for folder in folders
        if folder
    )
    hidden = _hidden(a, b, {*before, *after})
    found = [_feature(name, before[name], after[name], name in hidden) for name in after if name in before]
    found.sort(
        key=lambda each: (not each["apart"], -(each["distance"] or 0.0), -abs(each["shift"] or 0.0), each["name"])
    )
    only = [{"name": name, "only": "b" if name in after else "a"} for name in sorted(before.keys() ^ after.keys())]
    return {
        "split": both[0],
        "features": found[:SHOWN],
        "apart": sum(each["apart"] for each in found),
        "compared": len(found),
        "columns": only,
    }


def _hidden(a: Run, b: Run, columns: set[str]) -> set[str]:
    """The columns of which no value is shown: all where a task is not known."""
    if a.task is None or b.task is None:
        return columns
    return {*a.task.sensitive, *b.task.sensitive}


def _feature(name: str, before: distance.Feature, after: distance.Feature, hidden: bool) -> dict[str, Any]:
    """How far a column has moved; of a hidden one only the distance and what is missing."""
    taken = distance.compare(after, before)
    numeric = before.WhichOneof("stats") == after.WhichOneof("stats") == "num_stats" and not hidden
    means = [feature.num_stats.mean if numeric else None for feature in (before, after)]
    deviation = before.num_stats.std_dev if numeric else 0.0
    shift = None
    if numeric and deviation > 0 and all(math.isfinite(mean or 0.0) for mean in means):
        shift = (after.num_stats.mean - before.num_stats.mean) / deviation
    return {
        "name": name,
        "distance": taken.value if taken else None,
        "noise": taken.noise if taken else None,
        "measure": {"jensen_shannon": "Jensen-Shannon", "l_infinity": "L-infinity"}[taken.measure] if taken else None,
        "apart": taken is not None and taken.value > 0 and taken.value > taken.noise,
        "where": None if taken is None or hidden else taken.where,
        "mean": {"a": means[0], "b": means[1]},
        "shift": shift,
        "missing": {"a": _missing(before), "b": _missing(after)},
        "hidden": hidden,
    }


def _missing(feature: distance.Feature) -> float | None:
    values, missing = distance.rows_of(feature)
    return missing / (values + missing) if values + missing else None


def schemas(a: Run, b: Run) -> dict[str, Any]:
    """The schemas that were used: `{"known", "same", "changes": [{"column", "what"}]}`."""
    texts = []
    for run in (a, b):
        folder = run.uri("SchemaGen", "schema")
        path = folder / "schema.pbtxt" if folder else None
        texts.append(schema.parse(path.read_text("utf-8"), path) if path and path.is_file() else None)
    before, after = texts
    if before is None or after is None:
        return {"known": False, "same": None, "changes": []}
    changes = _changes(before, after)
    return {"known": True, "same": before == after, "changes": changes}


def _changes(before: schema_pb2.Schema, after: schema_pb2.Schema) -> list[dict[str, str]]:
    """By column; and one of "the rest", such as domains that columns share."""
    old, new = ({feature.name: feature for feature in found.feature} for found in (before, after))
    changes = [{"column": name, "what": "added"} for name in new if name not in old]
    changes += [{"column": name, "what": "removed"} for name in old if name not in new]
    changes += [
        {"column": name, "what": _what(old[name], new[name])} for name in new if name in old and old[name] != new[name]
    ]
    rest = [type(found).FromString(found.SerializeToString()) for found in (before, after)]
    for found in rest:
        del found.feature[:]
    return changes + ([{"column": "", "what": "domains or other parts"}] if rest[0] != rest[1] else [])


def _what(old: schema_pb2.Feature, new: schema_pb2.Feature) -> str:
    """The parts of a column's rule that differ."""
    fields = {field.name for found in (old, new) for field, _ in found.ListFields()}
    differ = (name for name in sorted(fields) if str(getattr(old, name)) != str(getattr(new, name)))
    return "changed: " + ", ".join(name.replace("_", " ") for name in differ)
