"""Makes the changes of a proposal in a schema."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

Settings = Mapping[str, Any]


def apply(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    """Makes one change, in place.

    Args:
      schema: to change.
      kind: value, range, optional, presence, missing, new or type.
      column: the one concerned; there, unless it is new.
      settings: as in `pipeline.schema_cycle.changes.Change`.
    """
    _APPLY[kind](schema, kind, column, settings)


def domain_of(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> schema_pb2.StringDomain | None:
    """The domain of strings that a column has, its own or one of the schema's; or None."""
    if feature.HasField("string_domain"):
        return feature.string_domain
    return next((d for d in schema.string_domain if d.name == feature.domain and d.name), None)


def feature_in(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature:
    """The feature of that name; it is there."""
    return next(feature for feature in schema.feature if feature.name == name)


def _apply_value(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    domain = domain_of(schema, feature_in(schema, column))
    value = settings["value"]
    if domain is None or value in domain.value:
        return
    values = list(domain.value)
    ordered = values == sorted(values)
    values.append(value)
    domain.value[:] = sorted(values) if ordered else values


def _apply_range(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    feature = feature_in(schema, column)
    domain = feature.int_domain if feature.HasField("int_domain") else feature.float_domain
    for end in ("min", "max"):
        if settings.get(end) is not None:
            setattr(domain, end, settings[end])


def _apply_presence(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    feature = feature_in(schema, column)
    feature.presence.min_fraction = settings["min_fraction"]
    if kind == "missing":
        feature.presence.min_count = 0
    if kind == "presence":
        return
    if feature.HasField("shape"):  # a fixed shape has no room for a missing value
        feature.value_count.max = 1
    feature.value_count.ClearField("min")
    if not feature.value_count.HasField("max"):
        feature.ClearField("value_count")


def _apply_type(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    feature = feature_in(schema, column)
    feature.type = schema_pb2.FeatureType.Value(settings["type"])
    if feature.HasField("int_domain"):
        old = schema_pb2.IntDomain()
        old.CopyFrom(feature.int_domain)
        feature.float_domain.SetInParent()
        for end in ("min", "max"):
            if old.HasField(end):
                setattr(feature.float_domain, end, getattr(old, end))


def _apply_new(schema: schema_pb2.Schema, kind: str, column: str, settings: Settings) -> None:
    made = text_format.Parse(settings["feature"], schema_pb2.Schema())
    schema.feature.extend(made.feature)
    if settings["domain"] and column not in {domain.name for domain in schema.string_domain}:
        text_format.Parse(settings["domain"], schema.string_domain.add())


_APPLY: dict[str, Callable[[schema_pb2.Schema, str, str, Settings], None]] = {
    "value": _apply_value,
    "range": _apply_range,
    "optional": _apply_presence,
    "presence": _apply_presence,
    "missing": _apply_presence,
    "type": _apply_type,
    "new": _apply_new,
}
