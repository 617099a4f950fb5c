"""What a schema demands of single rows."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.ingest.columns import Column, of_kinds, of_schema


@pytest.mark.parametrize(
    ("feature", "want"),
    [
        ("type: INT", Column("x", "INT")),
        ("type: FLOAT presence { min_fraction: 1 }", Column("x", "FLOAT", required=True)),
        ("type: FLOAT presence { min_fraction: 0.9 }", Column("x", "FLOAT")),
        ("type: FLOAT value_count { min: 1 max: 1 }", Column("x", "FLOAT", required=True, single=True)),
        ("type: FLOAT value_count { min: 1 max: 3 }", Column("x", "FLOAT", required=True)),
        ("type: INT shape {}", Column("x", "INT", single=True)),
        ("type: INT shape { dim { size: 2 } }", Column("x", "INT")),
        ("type: INT int_domain { min: -3 max: 9223372036854775807 }", Column("x", "INT", low=-3, high=2**63 - 1)),
        ("type: INT int_domain { max: 0 }", Column("x", "INT", high=0)),
        ("type: FLOAT float_domain { min: 0.5 }", Column("x", "FLOAT", low=0.5)),
        (
            "type: BYTES string_domain { value: 'a' value: 'é' }",
            Column("x", "BYTES", values=frozenset((b"a", "é".encode()))),
        ),
        ("type: BYTES domain: 'shared'", Column("x", "BYTES", values=frozenset((b"s", b"t")))),
        ("type: BYTES domain: 'other'", Column("x", "BYTES")),
        ("type: BYTES string_domain {}", Column("x", "BYTES")),
        (
            "type: BYTES bool_domain { true_value: 'y' false_value: 'n' }",
            Column("x", "BYTES", values=frozenset((b"y", b"n"))),
        ),
        (
            "type: BYTES string_domain { value: 'a' } distribution_constraints { min_domain_mass: 0.9 }",
            Column("x", "BYTES"),
        ),
        (
            "type: BYTES string_domain { value: 'a' } distribution_constraints { min_domain_mass: 1 }",
            Column("x", "BYTES", values=frozenset((b"a",))),
        ),
        (
            "type: FLOAT float_domain { min: 0 } presence { min_fraction: 1 } lifecycle_stage: DEPRECATED",
            Column("x", "FLOAT"),
        ),
    ],
)
def test_a_feature(feature: str, want: Column) -> None:
    text = f"feature {{ name: 'x' {feature} }} string_domain {{ name: 'shared' value: 's' value: 't' }}"
    assert of_schema(text_format.Parse(text, schema_pb2.Schema())) == {"x": want}


def test_types_alone() -> None:
    assert of_kinds({"a": "INT"}) == {"a": Column("a", "INT")}
