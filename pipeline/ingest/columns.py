"""What the schema demands of each value: type, presence, domain, range."""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import schema_pb2

_INACTIVE = (schema_pb2.DEPRECATED, schema_pb2.PLANNED, schema_pb2.ALPHA)


@dataclass(frozen=True)
class Column:
    """The rules for the values of one column.

    Attributes:
      name: of the column.
      kind: INT, FLOAT or BYTES.
      required: no row may lack it.
      single: a row has one value at most.
      values: the only ones allowed (integers for INT), or None.
      low: the smallest one allowed, or None.
      high: the largest one allowed, or None.
    """

    name: str
    kind: str
    required: bool = False
    single: bool = False
    values: frozenset[bytes] | frozenset[int] | None = None
    low: float | None = None
    high: float | None = None


def of_schema(schema: schema_pb2.Schema) -> dict[str, Column]:
    """The columns of a schema, by name.

    A domain of which `distribution_constraints` let some of the mass go is left to the statistics, and so is a presence
    below 1.
    """
    domains = {domain.name: frozenset(v.encode() for v in domain.value) for domain in schema.string_domain}
    return {feature.name: _column(feature, domains) for feature in schema.feature}


def of_kinds(kinds: Mapping[str, str]) -> dict[str, Column]:
    """Columns of which only the type is known, by name."""
    return {name: Column(name, kind) for name, kind in kinds.items()}


def _column(feature: schema_pb2.Feature, domains: Mapping[str, frozenset[bytes]]) -> Column:
    kind = schema_pb2.FeatureType.Name(feature.type)
    active = feature.lifecycle_stage not in _INACTIVE
    # The presence that a feature has in an environment that lacks it is not demanded of the training data either.
    required = active and (feature.presence.min_fraction >= 1.0 or feature.value_count.min >= 1)
    single = feature.value_count.max == 1 or bool(feature.HasField("shape") and not feature.shape.dim)
    strict = not feature.HasField("distribution_constraints") or (
        feature.distribution_constraints.min_domain_mass >= 1.0
    )
    if not (active and strict):
        return Column(feature.name, kind, required, single)
    values: frozenset[bytes] | None = None
    if feature.HasField("string_domain"):
        values = frozenset(value.encode() for value in feature.string_domain.value)
    elif feature.HasField("domain"):
        values = domains.get(feature.domain)
    elif feature.HasField("bool_domain") and kind == "BYTES":
        values = frozenset((feature.bool_domain.true_value.encode(), feature.bool_domain.false_value.encode()))
    domain = feature.int_domain if feature.HasField("int_domain") else feature.float_domain
    low = domain.min if domain.HasField("min") else None
    high = domain.max if domain.HasField("max") else None
    return Column(feature.name, kind, required, single, values or None, low, high)
