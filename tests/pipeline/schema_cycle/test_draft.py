"""Drafts: domains and ranges only where the rows cover them, presence with room, and the reason for each in a comment."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.expressions import Column
from pipeline.features import Categorical, Image, Numeric, Text, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.ingest.batch import RawBatch
from pipeline.ingest.infer import Summary, infer
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.schema_cycle.draft import (
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


def summary(values: Any, name: str = "a") -> Summary:
    return summaries(**{name: values})[name]


def integers(low: int, high: int) -> list[str]:
    """Ten rows for each."""
    return [str(number) for number in range(low, high + 1)] * 10


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


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("hour", 0, 23),
        ("trip_start_hour", 1, 24),
        ("hourOfDay", 0, 23),
        ("Month", 1, 12),
        ("weekday", 0, 6),
        ("dayofweek", 1, 7),
        ("day_of_month", 1, 31),
        ("dow", 1, 7),
        ("quarter", 1, 4),
        ("anything", 0, 1),
    ],
)
def test_a_range_of_codes(name: str, low: int, high: int) -> None:
    assert code_range(summary(integers(low, high), name)) == (low, high)


def test_a_range_of_codes_however_they_are_written() -> None:
    assert code_range(summary([f"{month:02}" for month in range(1, 13)] * 10, "month")) == (1, 12)
    assert code_range(summary(["0", "1.0"] * 10)) == (0, 1)


@pytest.mark.parametrize("name", ["is_fraud", "hasCard", "return_flag", "flag"])
def test_a_flag_by_its_name_may_be_rare(name: str) -> None:
    assert code_range(summary(["0"] * 980 + ["1"] * 20, name)) == (0, 1)
    assert code_range(summary(["0"] * 980 + ["1"] * 20, "accidents")) is None
    assert code_range(summary(integers(0, 2), name)) is None


@pytest.mark.parametrize(
    ("values", "size", "found"),
    [
        (integers(0, 20), 24, (0, 23)),
        (["3", "5"], 24, (0, 23)),
        (integers(1, 12), 13, (1, 12)),
        (integers(1, 11), 13, (0, 12)),
        (["1"] * 50, 2, (0, 1)),
        ([str(number) for number in range(2000)], 5000, (0, 4999)),
        (integers(0, 24), 24, None),
        (integers(-1, 20), 24, None),
        ([None], 24, None),
    ],
)
def test_a_range_of_categories_is_what_the_task_says(
    values: list[str], size: int, found: tuple[int, int] | None
) -> None:
    assert code_range(summary(values), size) == found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("calls", integers(0, 9)),  # the next customer has 10
        ("rating", integers(1, 5)),
        ("day_calls", integers(0, 6)),
        ("calls_per_day", integers(0, 6)),
        ("month", integers(1, 11)),  # not all of them: December is to come
        ("hour", integers(0, 24)),
        ("month", integers(1, 11) * 20 + ["12"]),  # its end is rare
        ("weekday", [str(day) for day in range(7)] * 9),  # too few rows
        ("hour", ["0", "23"] * 200),  # gaps
        ("flag", ["1"] * 50),  # constant
        ("flag", ["0", "1"] * 9),
        ("flag", ["0.5", "1"] * 20),
        ("1", integers(0, 9)),
    ],
)
def test_no_range_where_it_is_no_code(name: str, values: list[str]) -> None:
    assert code_range(summary(values, name)) is None


def test_a_count_stays_open_with_what_was_seen() -> None:
    text = draft(TASK, summaries(calls=integers(0, 9), hour=integers(0, 9)), "100 rows")
    calls, hour = text_format.Parse(text, schema_pb2.Schema()).feature
    assert not calls.HasField("int_domain")
    assert '# none missing; 10 distinct; 0 to 9\nfeature {\n  name: "calls"\n' in text
    assert (hour.int_domain.min, hour.int_domain.max) == (0, 23)


def test_lists_keep_their_length() -> None:
    fixed, _ = feature_of(summary(pa.array([[1, 2], [3, 4], None])))
    loose, _ = feature_of(summary(pa.array([[1, 2], [3]])))
    assert (fixed.value_count.min, fixed.value_count.max, fixed.presence.min_fraction) == (2, 2, 0.5)
    assert (loose.value_count.min, loose.value_count.HasField("max")) == (1, False)


def test_what_the_task_says_of_columns() -> None:
    assert TASK.accepts == {
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
    assert (by_name["hour"].int_domain.min, by_name["hour"].int_domain.max) == (0, 23)
    assert by_name["kind"].domain == "kind"
    assert {domain.name: list(domain.value) for domain in schema.string_domain} == {"kind": ["Card", "Cash"]}
    assert by_name["kind"].value_count.min == 1
    absent = {name for name, feature in by_name.items() if list(feature.not_in_environment) == ["SERVING"]}
    assert absent == {"tips", "tolls"}
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]


def test_images_are_said_to_be_images_and_texts_have_no_domain() -> None:
    task = dataclasses.replace(TASK, features=(Image("photo", height=8, width=8), Text("kind"), Vocabulary("make")))
    photos = pa.array([b"\x89PNG\r\n\x1a\n" + bytes([n]) for n in range(40)], pa.binary())
    text = draft(task, summaries(photo=photos, kind=["ok", "bad"] * 20, make=["a", "b"] * 20), "40 rows")
    made = text_format.Parse(text, schema_pb2.Schema())
    columns = {feature.name: feature for feature in made.feature}
    assert columns["photo"].WhichOneof("domain_info") == "image_domain"
    assert columns["photo"].type == schema_pb2.BYTES
    assert columns["kind"].WhichOneof("domain_info") is None
    assert columns["make"].domain == "make"
    assert "40 distinct; images" in text
    assert "UTF-8" not in text
