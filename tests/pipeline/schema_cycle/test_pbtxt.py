"""Edits of a schema's text: the result says what the new schema says, and the rest stays as it was."""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.schema_cycle.pbtxt import rewrite

TEXT = """\
# Trips; the fare is in dollars.

feature {
  name: "hour"   # local time
  type: INT
  value_count {
    min: 1
    max: 1
  }
  presence { min_fraction: 1.0 min_count: 1 }
  int_domain {
    min: 0
    max: 23
  }
}
feature {
  name: "kind"
  type: BYTES
  presence {
    min_fraction: 0.9
    min_count: 1
  }
  domain: "kind"
}
# What a trip may be.
string_domain {
  name: "kind"
  value: "Cash"
  value: "No { Charge"  # braces # and hashes in strings
  value: "Pcard"
}
default_environment: "TRAINING"
"""


def parsed(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def edited(
    change: Callable[[schema_pb2.Schema], object], text: str = TEXT, blocks: dict[str, str] | None = None
) -> list[str]:
    """The lines that an edit takes away and adds, as `-line` and `+line`; the result is checked."""
    new = parsed(text)
    change(new)
    result = rewrite(text, new, blocks)
    assert parsed(result) == new
    lines = difflib.unified_diff(text.splitlines(), result.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def values(*names: str) -> Callable[[schema_pb2.Schema], None]:
    def change(schema: schema_pb2.Schema) -> None:
        schema.string_domain[0].value[:] = names

    return change


def test_nothing_to_change() -> None:
    assert rewrite(TEXT, parsed(TEXT)) == TEXT


def test_a_value_is_one_line_at_its_place() -> None:
    assert edited(values("Bitcoin", "Cash", "No { Charge", "Pcard")) == ['+  value: "Bitcoin"']
    assert edited(values("Cash", "No { Charge", "Pcard", 'Z\n"')) == ['+  value: "Z\\n\\""']
    new = parsed(TEXT)
    new.string_domain[0].value[:] = ["Cash", "Check", "Dispute", "No { Charge", "Pcard", "Ü"]
    result = rewrite(TEXT, new)
    start = result.index('  value: "Cash"')
    assert result[start : start + 64] == '  value: "Cash"\n  value: "Check"\n  value: "Dispute"\n  value: "No'
    assert '  value: "Pcard"\n  value: "Ü"\n}' in result
    assert "# braces # and hashes in strings" in result


def test_a_value_that_goes() -> None:
    assert edited(values("Cash", "Pcard")) == [
        '-  value: "No { Charge"  # braces # and hashes in strings',
        "+    # braces # and hashes in strings",
    ]
    assert edited(values("Cash", "No { Charge")) == ['-  value: "Pcard"']


def test_a_bound_is_one_line() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature[0].int_domain.max = 25

    assert edited(change) == ["-    max: 23", "+    max: 25"]


def test_a_value_inside_a_line_of_several() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature[0].presence.min_fraction = 0.85

    assert edited(change) == [
        "-  presence { min_fraction: 1.0 min_count: 1 }",
        "+  presence { min_fraction: 0.85 min_count: 1 }",
    ]


def test_a_field_that_goes_takes_its_line() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature[0].value_count.ClearField("min")

    assert edited(change) == ["-    min: 1"]


def test_a_block_that_another_one_replaces() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature[0].type = schema_pb2.FLOAT
        schema.feature[0].float_domain.min = 0.5

    assert edited(change) == [
        "-  type: INT",
        "+  type: FLOAT",
        "-  int_domain {",
        "-    min: 0",
        "-    max: 23",
        "+  float_domain {",
        "+    min: 0.5",
    ]


def test_a_block_that_is_new_goes_to_the_end_of_its_feature() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature[1].value_count.max = 1

    assert edited(change) == ["+  value_count {", "+    max: 1", "+  }"]
    new = parsed(TEXT)
    change(new)
    assert '  domain: "kind"\n  value_count {\n    max: 1\n  }\n}' in rewrite(TEXT, new)


def test_a_feature_that_is_new_comes_behind_the_others_with_its_comment() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature.add(name="vendor", type=schema_pb2.BYTES)

    block = '# none missing\nfeature {\n  name: "vendor"\n  type: BYTES\n}\n'
    assert edited(change, blocks={"vendor": block}) == [f"+{line}" for line in block.splitlines()]
    assert edited(change) == [f"+{line}" for line in block.splitlines()[1:]]
    new = parsed(TEXT)
    change(new)
    assert rewrite(TEXT, new, {"vendor": block}).index("vendor") < TEXT.index("# What a trip may be.") + 100


def test_several_new_columns_keep_their_order() -> None:
    names = [f"n{number}" for number in range(9)]

    def change(schema: schema_pb2.Schema) -> None:
        for name in names:
            schema.feature.add(name=name, type=schema_pb2.INT)

    added = edited(change)
    assert [line for line in added if "name" in line] == [f'+  name: "{name}"' for name in names]
    assert len(added) == 4 * len(names)


def test_a_new_column_with_a_new_domain() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.feature.add(name="vendor", type=schema_pb2.BYTES, domain="vendor")
        schema.string_domain.add(name="vendor", value=["a"])

    assert [line for line in edited(change) if line.startswith("-")] == []


def test_an_environment_is_added() -> None:
    def change(schema: schema_pb2.Schema) -> None:
        schema.default_environment.append("SERVING")
        schema.feature[0].not_in_environment.append("SERVING")

    assert edited(change) == ['+  not_in_environment: "SERVING"', '+default_environment: "SERVING"']


def test_windows_newlines_stay() -> None:
    text = TEXT.replace("\n", "\r\n")
    new = parsed(text)
    new.feature[0].int_domain.max = 25
    new.string_domain[0].value.append("Zelle")
    result = rewrite(text, new)
    assert parsed(result) == new
    assert result.count("\n") == result.count("\r\n") == text.count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        '# Head.\nfeature { name: "a" type: INT int_domain { max: 5 } }',
        '# Head.\nfeature: < name: "a", type: INT; int_domain: < max: 5 > >',
        "# Head.\nfeature {\n  name: 'a'\n  type: INT\n  int_domain { max: 5 }\n}",
        '# Head.\nfeature [{ name: "a" type: INT int_domain { max: 5 } }]',
        '# Head.\nfeature { name: "a" name: "a" type: INT int_domain { max: 5 } }'.replace('name: "a" name', "name"),
    ],
)
def test_odd_layouts_still_say_the_new_schema_and_keep_their_head(text: str) -> None:
    new = parsed(text)
    new.feature[0].int_domain.max = 7
    new.feature[0].presence.min_count = 1
    result = rewrite(text, new)
    assert parsed(result) == new
    assert result.startswith("# Head.\n")


def test_an_odd_list_of_values_is_written_anew() -> None:
    text = '# Head.\nstring_domain { name: "k" value: ["a", "c"] }\n'
    new = parsed(text)
    new.string_domain[0].value[:] = ["a", "b", "c"]
    assert rewrite(text, new) == '# Head.\nstring_domain {\n  name: "k"\n  value: "a"\n  value: "b"\n  value: "c"\n}\n'


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[3].glob("schemas/*/schema.pbtxt")), ids=lambda p: p.parent.name
)
def test_the_curated_schemas_change_by_a_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    def change(schema: schema_pb2.Schema) -> None:
        own = [feature.string_domain for feature in schema.feature if feature.HasField("string_domain")]
        domains = [*schema.string_domain, *own] or [schema.string_domain.add(name="new")]
        domains[0].value.insert(0, "A new one")

    lines = [line.strip("+ ") for line in edited(change, text)]
    assert lines in (['value: "A new one"'], ["string_domain {", 'name: "new"', 'value: "A new one"', "}"])
