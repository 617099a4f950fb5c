"""What TFDV finds, as findings: once for each reason, with the check that fits."""

from collections.abc import Callable
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data_checks import anomalies
from components.data_checks.facts import Facts

Trips = Callable[..., dict[str, Any]]
Making = Callable[..., Facts]
Type = anomalies_pb2.AnomalyInfo


def found_by_tfdv(*reasons: tuple[str, int, str, str]) -> anomalies_pb2.Anomalies:
    """Anomalies: (column, type, short, long) of each."""
    made = anomalies_pb2.Anomalies()
    for column, kind, short, long in reasons:
        info = made.anomaly_info[column]
        info.path.step.append(column)
        info.reason.add(type=kind, short_description=short, description=long)
    return made


MASS = ("company", Type.ENUM_TYPE_UNEXPECTED_STRING_VALUES, "Unexpected string values", "Examples contain: x (~3%).")
NEW = ("colour", Type.SCHEMA_NEW_COLUMN, "New column", "not in schema")


def test_data_without_anomalies(facts: Making, trips: Trips) -> None:
    made = facts({"train": trips(20)})
    assert anomalies.schema_anomalies(made).findings == ()
    assert anomalies.empty_splits(made).findings == ()


def test_an_empty_split_is_said_once_instead_of_every_column(facts: Making, trips: Trips) -> None:
    gone = found_by_tfdv(("fare", Type.FEATURE_TYPE_NOT_PRESENT, "Column dropped", "no values"))
    made = facts({"train": trips(20), "eval": {}}, anomalies={"train": found_by_tfdv(), "eval": gone})
    (found,) = anomalies.empty_splits(made).findings
    assert (found.check, found.message) == ("empty_split", "the data (split 'eval'): expected rows. Received: none")
    assert anomalies.schema_anomalies(made).findings == ()


def test_a_reason_that_holds_in_two_splits_is_told_once(facts: Making, trips: Trips) -> None:
    made = facts(
        {"train": trips(20), "eval": trips(10)},
        anomalies={"train": found_by_tfdv(MASS), "eval": found_by_tfdv(MASS)},
    )
    (found,) = anomalies.schema_anomalies(made).findings
    assert found.check == "schema"
    assert found.message == (
        "company (split 'train', 20 rows): expected what the schema says. "
        "Received: Unexpected string values: Examples contain: x (~3%)."
    )
    assert "`millrace schema propose --task tiny`" in found.next


def test_two_reasons_of_a_column_are_two_findings(facts: Making, trips: Trips) -> None:
    low = ("company", Type.FEATURE_TYPE_LOW_FRACTION_PRESENT, "Column dropped", "minimum fraction = 0.5")
    made = facts({"train": trips(20)}, anomalies={"train": found_by_tfdv(MASS, low)})
    assert len(anomalies.schema_anomalies(made).findings) == 2


def test_too_few_values_are_counted(facts: Making, trips: Trips) -> None:
    low = ("hour", Type.FEATURE_TYPE_LOW_FRACTION_PRESENT, "Column dropped", "minimum fraction = 0.5")
    given = {**trips(20), "hour": [1, 2, 3, 4] + [None] * 16}
    (found,) = anomalies.schema_anomalies(facts({"train": given}, anomalies={"train": found_by_tfdv(low)})).findings
    assert found.message == (
        "hour (split 'train', 16 of 20 rows): expected a value in at least 50.0% of the rows. Received: in 20.0%"
    )


def test_a_new_column_shows_values(facts: Making, trips: Trips) -> None:
    account = {"new_columns": [{"column": "colour", "file": "day.csv", "examples": ["red", "blue"]}]}
    made = facts({"train": trips(20)}, anomalies={"train": found_by_tfdv(NEW)}, account=account)
    (found,) = anomalies.schema_anomalies(made).findings
    assert (found.check, found.feature, found.examples) == ("new_column", "colour", ("'red'", "'blue'"))


def test_missing_columns_matter_where_the_task_reads_them(facts: Making, trips: Trips) -> None:
    read = ("fare", Type.SCHEMA_MISSING_COLUMN, "Column missing", "")
    unread = ("tract", Type.FEATURE_TYPE_NOT_PRESENT, "Column dropped", "")
    made = facts({"train": trips(20)}, anomalies={"train": found_by_tfdv(read, unread)})
    found = anomalies.schema_anomalies(made).findings
    assert [(f.check, f.feature) for f in found] == [("missing_column", "fare"), ("unread_column", "tract")]
    assert "expected the column, a feature. Received: no value in any row" in found[0].message


def test_a_column_that_one_file_lacks(facts: Making, trips: Trips) -> None:
    account = {"missing_columns": [{"column": "tract", "file": "b.csv"}]}
    (found,) = anomalies.schema_anomalies(facts({"train": trips(20)}, account=account)).findings
    assert (found.check, found.received) == ("unread_column", "the file b.csv lacks it")


def test_an_anomaly_of_the_whole_split(facts: Making, trips: Trips) -> None:
    whole = anomalies_pb2.Anomalies()
    whole.dataset_anomaly_info.description = "too few examples"
    (found,) = anomalies.schema_anomalies(facts({"train": trips(20)}, anomalies={"train": whole})).findings
    assert found.message == (
        "the data (split 'train', 20 rows): expected what the schema says. Received: too few examples"
    )


def test_an_anomaly_without_reasons_is_said_by_its_summary(facts: Making, trips: Trips) -> None:
    made = anomalies_pb2.Anomalies()
    made.anomaly_info["fare"].short_description = "Odd"
    made.anomaly_info["fare"].description = "very odd"
    (found,) = anomalies.schema_anomalies(facts({"train": trips(20)}, anomalies={"train": made})).findings
    assert (found.feature, found.received) == ("fare", "Odd: very odd")
