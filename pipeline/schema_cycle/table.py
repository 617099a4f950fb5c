"""A schema as a table: a row for each column, with what the task uses it for."""

from collections.abc import Iterator
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.schema_cycle.apply import domain_of
from pipeline.schema_cycle.words import number, percent, quoted, some
from pipeline.task import Task


def table(task: Task, schema: schema_pb2.Schema) -> list[dict[str, Any]]:
    """A row for each column: name, type, presence, allowed values, environments, use, thresholds."""
    return [
        {
            "column": feature.name,
            "type": schema_pb2.FeatureType.Name(feature.type),
            "presence": presence(feature),
            "allowed": allowed(schema, feature),
            "environments": environments(schema, feature),
            "used as": task.columns.get(feature.name, ""),
            "thresholds": ", ".join([*thresholds(feature), *drift(task, feature)]),
        }
        for feature in schema.feature
    ]


def presence(feature: schema_pb2.Feature) -> str:
    """`required`, `in 95 % of the rows or more`, `optional`; and how many values a row has, where not one."""
    fraction, least = feature.presence.min_fraction, feature.value_count.min
    if fraction >= 1.0 or least >= 1 or feature.HasField("shape"):
        said = "required"
    else:
        said = f"in {percent(fraction, 1)} or more" if fraction > 0 else "optional"
    if feature.lifecycle_stage in (schema_pb2.DEPRECATED, schema_pb2.PLANNED, schema_pb2.ALPHA):
        said = f"not checked ({schema_pb2.LifecycleStage.Name(feature.lifecycle_stage)})"
    most = feature.value_count.max
    if feature.HasField("value_count") and most != 1:
        said += f", {least} to {most} values" if most else ", any number of values"
    return said


def allowed(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> str:
    """The values that the column may have; empty where that is open."""
    domain = domain_of(schema, feature)
    if domain is not None:
        return some([quoted(value) for value in domain.value]) or "no value"
    bounds = feature.int_domain if feature.HasField("int_domain") else feature.float_domain
    low = number(bounds.min) if bounds.HasField("min") else None
    high = number(bounds.max) if bounds.HasField("max") else None
    if low is None or high is None:
        return f"at most {high}" if high is not None else f"at least {low}" if low is not None else ""
    return f"{low} to {high}"


def environments(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> str:
    """The environments in which the column is expected."""
    known = list(schema.default_environment)
    named = [name for name in known if name not in feature.not_in_environment]
    named += [name for name in feature.in_environment if name not in named]
    return ", ".join(named)


def thresholds(feature: schema_pb2.Feature) -> Iterator[str]:
    """Limits of drift and skew, and the share of values that must be in the domain, where the schema has them."""
    for name in ("drift", "skew"):
        comparator = getattr(feature, f"{name}_comparator")
        for measure in ("infinity_norm", "jensen_shannon_divergence", "normalized_abs_difference"):
            if comparator.HasField(measure):
                yield f"{name} {measure} {number(getattr(comparator, measure).threshold)}"
    if feature.HasField("distribution_constraints"):
        yield f"{percent(feature.distribution_constraints.min_domain_mass, 1)} in the domain"


def drift(task: Task, feature: schema_pb2.Feature) -> Iterator[str]:
    """The limit of the task's own drift check, for a column that the task reads: `drift 0.1 (fail)`."""
    level = task.checks.level("drift", feature.name)
    if feature.name in task.columns and level != "ignore":
        limit = task.checks.drift.of(feature.name, categorical=feature.type == schema_pb2.BYTES)
        yield f"drift {number(limit)} ({level})"
