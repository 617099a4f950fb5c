"""What would have to change in a schema so that the rows of a run pass it.

Each change is about one column (and one value of a domain, or one end of a range), says what it rests on, and can be
applied by itself.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest import typed
from pipeline.ingest.infer import MOST_VALUES, of_counts
from pipeline.schema_cycle import doubts
from pipeline.schema_cycle.apply import domain_of
from pipeline.schema_cycle.draft import as_text, feature_of, min_fraction, seen
from pipeline.schema_cycle.evidence import Evidence, Offence
from pipeline.schema_cycle.words import number, percent, quoted
from pipeline.task import Task

_FIGURES = 2
_SHOWN = 3
_MANY = 0.01


@dataclass(frozen=True)
class Change:
    """One change of a schema.

    Attributes:
      column: the one concerned.
      kind: value, range, optional, presence, missing, new or type.
      text: what changes, in a few words.
      rows: how many rows are concerned.
      total: of how many.
      examples: values and places.
      doubts: why it may be an error in the data; empty where it looks legitimate.
      settings: what `pipeline.schema_cycle.apply` sets.
    """

    column: str
    kind: str
    text: str
    rows: int
    total: int
    examples: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choice(self) -> str:
        """What `--only` and `--except` call it: `column=value`, `column=min`, `column=max`, or just its column."""
        ends = [end for end in ("min", "max") if self.settings.get(end) is not None]
        if self.kind == "value":
            return f"{self.column}={self.settings['value']}"
        return f"{self.column}={ends[0]}" if self.kind == "range" and len(ends) == 1 else self.column

    def names(self, asked: str) -> bool:
        """Whether `--only` or `--except` means it: by its column, or by its choice."""
        return asked in (self.column, self.choice)


def changes(task: Task, schema: schema_pb2.Schema, evidence: Evidence) -> list[Change]:
    """All changes, in the schema's order of columns, new columns last."""
    found = [change for feature in schema.feature for change in _of_feature(task, schema, feature, evidence)]
    return [*found, *_new_columns(task, schema, evidence)]


def _of_feature(
    task: Task, schema: schema_pb2.Schema, feature: schema_pb2.Feature, evidence: Evidence
) -> Iterator[Change]:
    name = feature.name
    if _vanished(feature, evidence):
        yield _missing(task, schema, feature, evidence)
        return
    offence = evidence.offences.get((name, "type"))
    if offence and feature.type == schema_pb2.INT and _are_floats(offence):
        yield _type(task, feature, offence, evidence.rows)
    if offence := evidence.offences.get((name, "domain")):
        yield from _values(schema, feature, offence.values, offence.places, evidence)
    elif _light_domain(schema, feature, evidence):
        yield from _values(schema, feature, _strangers(schema, feature, evidence), {}, evidence)
    if offence := evidence.offences.get((name, "range")):
        yield from _range(feature, offence, evidence.rows)
    if offence := evidence.offences.get((name, "required")):
        yield _optional(task, feature, offence, evidence.rows)
    yield from _presence(feature, evidence)


def _values(
    schema: schema_pb2.Schema,
    feature: schema_pb2.Feature,
    values: Mapping[str, int],
    places: Mapping[str, list[str]],
    evidence: Evidence,
) -> Iterator[Change]:
    """A change for each new value of a domain, the most frequent first."""
    domain = domain_of(schema, feature)
    if domain is None:
        return
    seen_values = evidence.columns[feature.name].values if feature.name in evidence.columns else {}
    vanished = [value for value in domain.value if seen_values and value not in seen_values]
    for value, rows in sorted(values.items(), key=lambda item: (-item[1], item[0])):
        yield Change(
            column=feature.name,
            kind="value",
            text=f"may be {quoted(value)}",
            rows=rows,
            total=evidence.rows,
            examples=(*places.get(value, ()), *_gone(vanished, rows, evidence.rows)),
            doubts=tuple(doubts.of_value(value, rows, list(domain.value))),
            settings={"value": value},
        )


def _gone(vanished: list[str], rows: int, total: int) -> list[str]:
    """A hint, where a value that many rows have may be another one's new name."""
    few = vanished and len(vanished) <= _SHOWN and rows >= _MANY * total
    return [f"no row has {', '.join(map(quoted, vanished))}: renamed?"] if few else []


def _light_domain(schema: schema_pb2.Schema, feature: schema_pb2.Feature, evidence: Evidence) -> bool:
    """Whether more rows are outside a domain than its min_domain_mass allows."""
    if not feature.HasField("distribution_constraints") or feature.name not in evidence.columns:
        return False
    counted = evidence.columns[feature.name].values
    outside = sum(_strangers(schema, feature, evidence).values())
    return outside > (1 - feature.distribution_constraints.min_domain_mass) * sum(counted.values())


def _strangers(schema: schema_pb2.Schema, feature: schema_pb2.Feature, evidence: Evidence) -> dict[str, int]:
    domain = domain_of(schema, feature)
    known = set(domain.value) if domain else set()
    return {v: n for v, n in evidence.columns[feature.name].values.items() if v not in known}


def _range(feature: schema_pb2.Feature, offence: Offence, total: int) -> Iterator[Change]:
    """A change for each end of a range that rows are beyond; of floats, rounded outwards to two figures.

    The ends are judged apart: a single -1 says nothing against the hundred rows that have a new greatest value.
    """
    kind = schema_pb2.FeatureType.Name(feature.type)
    numbers = {}
    for text in offence.values:
        value = typed.cast(pa.array([text]), kind)[0][0].as_py()
        if value is not None and math.isfinite(value):
            numbers[text] = value
    domain = feature.int_domain if feature.HasField("int_domain") else feature.float_domain
    old = tuple(getattr(domain, end) if domain.HasField(end) else None for end in ("min", "max"))
    for at, (end, said, direction) in enumerate((("min", "at least", -1), ("max", "at most", 1))):
        bound = old[at]
        beyond = {t: v for t, v in numbers.items() if bound is not None and (v - bound) * direction > 0}
        if bound is None or not beyond:
            continue
        text, furthest = max(beyond.items(), key=lambda item: (item[1] * direction, item[0]))
        now = furthest if kind == "INT" else _outwards(furthest, direction)
        rows = sum(offence.values[text] for text in beyond)
        new = (now, old[1]) if end == "min" else (old[0], now)
        yield Change(
            column=feature.name,
            kind="range",
            text=f"{said} {number(now)}, not {number(bound)}",
            rows=rows,
            total=total,
            examples=(f"{text} at {offence.places[text][0]}",),
            doubts=tuple(doubts.of_range((old[0], old[1]), new, rows, total)),
            settings={end: now},
        )


def _outwards(value: float, direction: int) -> float:
    """The next number with two figures: 117.3 upwards is 120."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - _FIGURES + 1)
    steps = round(value / unit, 9)
    return float(f"{(math.ceil(steps) if direction > 0 else math.floor(steps)) * unit:.12g}")


def _optional(task: Task, feature: schema_pb2.Feature, offence: Offence, total: int) -> Change:
    """A required column of which some rows lack the value."""
    share = 1 - offence.rows / total if total else 0.0
    found = doubts.of_presence(1.0, share)
    if feature.name in task.label.columns:
        found.append("the label is computed from it")
    return Change(
        column=feature.name,
        kind="optional",
        text=f"present in {percent(min_fraction(share), 1)} of the rows or more, not in all",
        rows=offence.rows,
        total=total,
        examples=tuple(offence.places.get("", ())),
        doubts=tuple(found),
        settings={"min_fraction": min_fraction(share)},
    )


def _presence(feature: schema_pb2.Feature, evidence: Evidence) -> Iterator[Change]:
    """A column that is present in a smaller share of a split than the schema demands."""
    demanded = feature.presence.min_fraction
    found = evidence.columns.get(feature.name)
    if not 0 < demanded < 1 or found is None:
        return
    shares = {split: found.present.get(split, 0) / rows for split, rows in evidence.splits.items() if rows}
    worst = min(shares, key=lambda split: shares[split], default=None)
    if worst is None or shares[worst] >= demanded:
        return
    rows = evidence.splits[worst]
    new = min_fraction(shares[worst])
    yield Change(
        column=feature.name,
        kind="presence",
        text=f"present in {percent(new, 1)} of the rows or more, not in {percent(demanded, 1)}",
        rows=rows - found.present.get(worst, 0),
        total=rows,
        examples=(f"missing in {percent(1 - shares[worst], 1)} of split {worst!r}",),
        doubts=tuple(doubts.of_presence(demanded, shares[worst])),
        settings={"min_fraction": new},
    )


def _vanished(feature: schema_pb2.Feature, evidence: Evidence) -> bool:
    """Whether no row has a value of a column that the schema demands."""
    if not (feature.presence.min_fraction > 0 or feature.presence.min_count > 0 or feature.value_count.min > 0):
        return False
    offence = evidence.offences.get((feature.name, "required"))
    if offence and evidence.rows and offence.rows >= evidence.rows:
        return True
    if not evidence.splits or not any(evidence.splits.values()) or offence:
        return False
    found = evidence.columns.get(feature.name)
    return found is None or not any(found.present.values())


def _missing(task: Task, schema: schema_pb2.Schema, feature: schema_pb2.Feature, evidence: Evidence) -> Change:
    known = {known.name for known in schema.feature}
    kind = schema_pb2.FeatureType.Name(feature.type)
    alike = [name for name in evidence.columns if name not in known and _summary(name, evidence).type == kind]
    gone = [entry["file"] for entry in evidence.account.get("missing_columns", ()) if entry["column"] == feature.name]
    return Change(
        column=feature.name,
        kind="missing",
        text="may be missing altogether",
        rows=evidence.rows,
        total=evidence.rows,
        examples=tuple(f"not in {file}" for file in gone[:1]),
        doubts=tuple(doubts.of_missing(task.columns.get(feature.name), alike)),
        settings={"min_fraction": 0.0},
    )


def _are_floats(offence: Offence) -> bool:
    values = pa.array(list(offence.values), pa.string())
    return len(values) > 0 and not typed.cast(values, "FLOAT")[1].any()


def _type(task: Task, feature: schema_pb2.Feature, offence: Offence, total: int) -> Change:
    found = ["in a single row"] if offence.rows == 1 else []
    reader = next((f for f in task.features if f.name == feature.name), None)
    if reader is not None and "FLOAT" not in reader.accepts:
        found.append(f"{type(reader).__name__} takes {' or '.join(reader.accepts)}: the task would have to change, too")
    shown = [f"{quoted(value)} at {offence.places[value][0]}" for value, _ in offence.values.most_common(3)]
    return Change(
        column=feature.name,
        kind="type",
        text="FLOAT, not INT",
        rows=offence.rows,
        total=total,
        examples=tuple(shown),
        doubts=tuple(found),
        settings={"type": "FLOAT"},
    )


def _summary(name: str, evidence: Evidence) -> Any:
    """What is known of a new column: its most frequent values, or a few examples where there are no statistics."""
    statistics = evidence.columns.get(name)
    if statistics is not None:
        rows = sum(evidence.splits.values())
        summary = of_counts(name, statistics.values, rows)
        summary.nulls = rows - sum(statistics.present.values())
        if statistics.distinct > len(statistics.values) or statistics.distinct > MOST_VALUES:
            summary.values = None
        return summary
    entries = [entry for entry in evidence.account.get("new_columns", ()) if entry["column"] == name]
    examples = [str(value) for entry in entries for value in entry["examples"]]
    summary = of_counts(name, dict.fromkeys(examples, 1), evidence.rows)
    summary.values = None
    return summary


def _new_columns(task: Task, schema: schema_pb2.Schema, evidence: Evidence) -> Iterator[Change]:
    known = {feature.name for feature in schema.feature}
    told = {entry["column"]: entry for entry in evidence.account.get("new_columns", ())}
    for name in sorted((told.keys() | evidence.columns.keys()) - known):
        summary = _summary(name, evidence)
        feature, domain = feature_of(summary)
        present = summary.rows - summary.nulls
        if not evidence.columns.get(name):
            feature.ClearField("value_count")
            feature.presence.min_fraction, feature.presence.min_count = 0.0, 0
        kind = schema_pb2.FeatureType.Name(feature.type)
        text = f"is new: {kind}"
        text += f", one of {len(domain.value)} values" if domain else ""
        codes = feature.int_domain
        text += f", {number(codes.min)} to {number(codes.max)}" if feature.HasField("int_domain") else ""
        comment = seen(summary, feature) if evidence.columns.get(name) else "a few values seen: the type is a guess"
        examples = list(dict.fromkeys(told.get(name, {}).get("examples") or summary.values or ()))
        files = [told[name]["file"]] if name in told else []
        yield Change(
            column=name,
            kind="new",
            text=text,
            rows=present,
            total=evidence.rows,
            examples=(*(quoted(str(value)) for value in examples[:_SHOWN]), *(f"in {file}" for file in files)),
            settings={
                "feature": as_text(feature, [comment]),
                "domain": text_format.MessageToString(domain, as_utf8=True) if domain else None,
            },
        )
