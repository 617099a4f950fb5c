"""Drafts: domains and ranges only where the rows cover them, presence with room, and the reason for each in a comment."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.expressions import Column
from pipeline.features import Categorical, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.ingest.batch import RawBatch
from pipeline.ingest.infer import Summary, infer
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.schema_cycle.draft import (
    accepted,
    code_range,
    domain_values,
    draft,
    feature_of,
    min_fraction,
    not_at_serving,
    seen,
)
from pipeline.sources import Csv
from pipeline.task import Task

TASK = Task(
    name="trips",
    question="Will a trip\n  be tipped?",
    source=Csv("rows.csv"),
    label=Binary.where("tips", greater_than=Column("fare") + Column("tolls")),
    features=(Numeric("fare"), Categorical("hour", size=24), Vocabulary("kind")),
    model=Linear(),
    evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
)


def summaries(**columns: Any) -> dict[str, Summary]:
    arrays = [values if isinstance(values, pa.Array) else pa.array(values, pa.string()) for values in columns.values()]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    return infer([RawBatch(batch, np.arange(2, batch.num_rows + 2))])


def summary(values: Any) -> Summary:
    return summaries(a=values)["a"]


@pytest.mark.parametrize(
    ("share", "fraction"),
    [(1.0, 1.0), (0.9999, 0.95), (0.97, 0.95), (0.96, 0.9), (0.94, 0.9), (0.9, 0.85), (0.3, 0.0), (0.0, 0.0)],
)
def test_presence_leaves_room(share: float, fraction: float) -> None:
    assert min_fraction(share) == fraction


def test_a_domain_of_values_that_repeat() -> None:
    assert domain_values(summary(["b", "a"] * 10)) == ["a", "b"]


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"] * 9,  # fewer than ten rows for each
        [f"v{number}" for number in range(51)] * 10,  # too many values
        ["a"] * 97 + ["b", "c", "d"],  # 3 % seen once: more are to come
        pa.array([b"a", b"\xff"] * 10),  # not UTF-8
        pa.array([["a"], ["a", "b"]] * 10),  # lists
    ],
)
def test_no_domain_where_the_rows_do_not_cover_it(values: Any) -> None:
    assert domain_values(summary(values)) is None


def test_a_range_of_codes() -> None:
    assert code_range(summary([str(hour) for hour in range(24)] * 10)) == (0, 23)
    assert code_range(summary([f"{month:02}" for month in range(1, 13)] * 10)) == (1, 12)
    assert code_range(summary(["0", "1.0"] * 10)) == (0, 1)


@pytest.mark.parametrize(
    "values",
    [
        ["0", "2"] * 50,  # a gap
        ["5", "6"] * 50,  # not from 0 or 1 on
        ["1"] * 50,  # constant
        ["0"] * 900 + ["1"] * 90 + ["2"] * 20,  # a count: its end is rare
        [str(number) for number in range(101)] * 10,  # too many
        ["0", "1"] * 9,  # too few rows
        ["0.5", "1"] * 20,
    ],
)
def test_no_range_where_it_is_no_code(values: list[str]) -> None:
    assert code_range(summary(values)) is None


def test_lists_keep_their_length() -> None:
    fixed, _ = feature_of(summary(pa.array([[1, 2], [3, 4], None])))
    loose, _ = feature_of(summary(pa.array([[1, 2], [3]])))
    assert (fixed.value_count.min, fixed.value_count.max, fixed.presence.min_fraction) == (2, 2, 0.5)
    assert (loose.value_count.min, loose.value_count.HasField("max")) == (1, False)


def test_what_the_task_says_of_columns() -> None:
    assert accepted(TASK) == {
        "fare": ("FLOAT", "INT"),
        "tolls": ("FLOAT", "INT"),
        "tips": ("FLOAT", "INT"),
        "hour": ("INT",),
        "kind": ("BYTES", "INT"),
    }
    assert not_at_serving(TASK) == {"tips", "tolls"}


@pytest.mark.parametrize(
    ("values", "comment"),
    [
        (["1.5", "2"], "none missing; 2 distinct; 1.5 to 2"),
        (["a"] * 9 + [None], "10 % of the values missing; 1 distinct"),
        ([None, None], "no value in any row: the type is a guess"),
        (
            ["02139", "10001"],
            "none missing; 2 distinct; integers with leading zeros, such as '02139' (line 2), that INT would lose",
        ),
        (
            ["9223372036854775808", "1"],
            "none missing; 2 distinct; 1 to 9.223372e+18; "
            "FLOAT loses digits of integers such as '9223372036854775808' (line 2); BYTES keeps them",
        ),
        (
            ["1", "inf"],
            "none missing; 2 distinct; 1 to 1; 1 value not finite, such as 'inf' (line 3): such rows are quarantined",
        ),
        (["Cash", "cash"], "none missing; 2 distinct; 'Cash' and 'cash' differ in spelling only"),
        ([str(number) for number in range(1001)], "none missing; more than 1,000 distinct; 0 to 1000"),
        (pa.array([[1], [2, 3]]), "none missing; 3 distinct; 1 to 3; lists of 1 to 2"),
        (pa.array([b"\xff\n"]), "none missing; 1 distinct; 1 value not UTF-8"),
        (pa.array([{"x": 1}]), "none missing; 1 distinct; nested values, which no tf.Example can hold"),
    ],
)
def test_the_comment_says_what_was_seen(values: Any, comment: str) -> None:
    found = summary(values)
    assert seen(found, feature_of(found)[0]) == comment


def test_a_comment_stays_on_its_line() -> None:
    found = summary(["1"] * 200 + ["no\nnumber"])
    feature, _ = feature_of(found, ("INT",))
    assert "1 value no number, such as 'no\\nnumber' (line 202): such rows are quarantined" in seen(found, feature)


def test_the_whole_text() -> None:
    found = summaries(
        fare=["1.5"] * 19 + [None],
        hour=["00", "01"] * 10,
        kind=["Cash", "Card"] * 10,
        tips=["0"] * 20,
        tolls=["0.5", "1"] * 10,
    )
    text = draft(TASK, found, "20 rows")
    assert text.startswith(
        "# Will a trip be tipped?\n"
        "# Inferred by `millrace schema init` from 20 rows; review every line.\n"
        "# value_count min: 1 means that no row may lack the value; a domain that is left open is open on purpose.\n"
        "\n"
        "# 5 % of the values missing; 1 distinct; 1.5 to 1.5\n"
        'feature {\n  name: "fare"\n  type: FLOAT\n  value_count {\n    max: 1\n  }\n'
        "  presence {\n    min_fraction: 0.9\n    min_count: 1\n  }\n}\n"
    )
    schema = text_format.Parse(text, schema_pb2.Schema())
    by_name = {feature.name: feature for feature in schema.feature}
    assert list(by_name) == ["fare", "hour", "kind", "tips", "tolls"]
    assert by_name["hour"].type == schema_pb2.INT
    assert (by_name["hour"].int_domain.min, by_name["hour"].int_domain.max) == (0, 1)
    assert by_name["kind"].domain == "kind"
    assert {domain.name: list(domain.value) for domain in schema.string_domain} == {"kind": ["Card", "Cash"]}
    assert by_name["kind"].value_count.min == 1
    absent = {name for name, feature in by_name.items() if list(feature.not_in_environment) == ["SERVING"]}
    assert absent == {"tips", "tolls"}
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]
