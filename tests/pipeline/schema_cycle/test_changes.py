"""Changes: what a run's rows call for, read from hand-made artifacts, with counts, places and doubts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from pipeline.errors import UsageError
from pipeline.expressions import Column
from pipeline.features import Categorical, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.ingest.columns import of_schema
from pipeline.ingest.quarantine import SCHEMA
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.schema_cycle.apply import apply
from pipeline.schema_cycle.changes import Change, changes
from pipeline.schema_cycle.evidence import Evidence, gather
from pipeline.schema_cycle.others import others
from pipeline.sources import Csv
from pipeline.task import Task

TASK = Task(
    name="trips",
    question="Will a trip be tipped?",
    source=Csv("rows.csv"),
    label=Binary.where("tips", greater_than=0.2 * Column("fare")),
    features=(Numeric("fare"), Categorical("hour", size=24), Vocabulary("kind")),
    model=Linear(),
    evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
)
SCHEMA_TEXT = """
feature { name: "fare" type: FLOAT value_count { min: 1 max: 1 } presence { min_fraction: 1 min_count: 1 }
  float_domain { min: 0 max: 100 } }
feature { name: "hour" type: INT value_count { min: 1 max: 1 } presence { min_fraction: 1 min_count: 1 }
  int_domain { min: 0 max: 20 } }
feature { name: "kind" type: BYTES value_count { max: 1 } presence { min_fraction: 0.9 min_count: 1 } domain: "kind" }
feature { name: "note" type: BYTES value_count { max: 1 } presence { min_fraction: 0.5 min_count: 1 } }
string_domain { name: "kind" value: "Card" value: "Cash" }
"""
ROW = {"fare": "5.5", "hour": "7", "kind": "Cash", "note": "x"}


def schema() -> schema_pb2.Schema:
    return text_format.Parse(SCHEMA_TEXT, schema_pb2.Schema())


def statistics(rows: int, present: Mapping[str, int], values: Mapping[str, Mapping[str, int]]) -> bytes:
    """Of one split: rows with a value, by column; and the values of columns of text."""
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(num_examples=rows)
    for name, count in present.items():
        feature = dataset.features.add()
        feature.path.step.append(name)
        if name in values:
            feature.string_stats.common_stats.num_non_missing = count
            feature.string_stats.unique = len(values[name])
            for rank, (value, number) in enumerate(values[name].items()):
                feature.string_stats.rank_histogram.buckets.add(
                    low_rank=rank, high_rank=rank, label=value, sample_count=number
                )
        else:
            feature.num_stats.common_stats.num_non_missing = count
    return bytes(found.SerializeToString())


def evidence(
    tmp_path: Path,
    bad: Sequence[Mapping[str, Any]] = (),
    rows: int = 1000,
    present: Mapping[str, int] | None = None,
    values: Mapping[str, Mapping[str, int]] | None = None,
    findings: Sequence[Mapping[str, Any]] = (),
    **account: Any,
) -> Evidence:
    """What a run of `rows` rows left: the given ones in quarantine, the others in the split train."""
    quarantine, stats = tmp_path / "quarantine", tmp_path / "statistics" / "Split-train"
    quarantine.mkdir()
    stats.mkdir(parents=True)
    lines = [
        {"file": "/d/a.csv", "line": 2 + at, "column": "?", "value": None, "rule": "domain", "message": "", "others": 0}
        | {"row": json.dumps({**ROW, **row})}
        for at, row in enumerate(bad)
    ]
    pq.write_table(pa.Table.from_pylist(lines, SCHEMA), quarantine / "rows.parquet")
    (quarantine / "account.json").write_text(json.dumps({"rows": rows, "quarantined": len(bad), **account}))
    good = rows - len(bad)
    kept = dict.fromkeys(ROW, good) if present is None else present
    kinds = {"kind": {"Cash": good - 10, "Card": 10}} if values is None else values
    (stats / "FeatureStats.pb").write_bytes(statistics(good, kept, kinds))
    (tmp_path / "findings.json").write_text(json.dumps({"findings": list(findings)}))
    record = {
        "run_id": "r",
        "outcome": "data_blocked",
        "artifacts": {
            "quarantine": str(quarantine),
            "statistics": str(stats.parent),
            "findings": str(tmp_path),
            "schema": None,
        },
    }
    return gather(record, of_schema(schema()))


def only(found: Evidence) -> Change:
    (change,) = changes(TASK, schema(), found)
    return change


def applied(change: Change) -> dict[str, schema_pb2.Feature]:
    made = schema()
    apply(made, change.kind, change.column, change.settings)
    return {feature.name: feature for feature in made.feature}


def test_rows_that_all_fit(tmp_path: Path) -> None:
    assert changes(TASK, schema(), evidence(tmp_path)) == []


def test_new_values_of_a_domain_each_with_its_rows_and_places(tmp_path: Path) -> None:
    found = evidence(tmp_path, [{"kind": "Bitcoin"}] * 5 + [{"kind": "cash"}] * 2)
    first, second = changes(TASK, schema(), found)
    assert (first.column, first.kind, first.text, first.rows, first.total) == (
        "kind",
        "value",
        "may be 'Bitcoin'",
        5,
        1000,
    )
    assert first.examples == ("/d/a.csv:2", "/d/a.csv:3", "/d/a.csv:4")
    assert first.doubts == ()
    assert second.text == "may be 'cash'"
    assert second.doubts == ("differs from 'Cash' by case, blanks or punctuation only",)
    made = schema()
    apply(made, first.kind, first.column, first.settings)
    assert list(made.string_domain[0].value) == ["Bitcoin", "Card", "Cash"]


def test_a_value_that_may_be_another_ones_new_name(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, [{"kind": "Plastic"}] * 50, values={"kind": {"Cash": 950}}))
    assert change.examples[-1] == "no row has 'Card': renamed?"
    assert change.doubts == ()


def test_a_wider_range_of_integers_is_exact(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, [{"hour": "24"}, {"hour": "25"}, {"hour": "24"}]))
    assert (change.kind, change.text, change.rows) == ("range", "at most 25, not 20", 3)
    assert change.examples == ("25 at /d/a.csv:3",)
    assert change.doubts == ()
    assert (applied(change)["hour"].int_domain.min, applied(change)["hour"].int_domain.max) == (0, 25)


def test_a_wider_range_of_floats_is_rounded_outwards(tmp_path: Path) -> None:
    low, high = changes(TASK, schema(), evidence(tmp_path, [{"fare": "117.31"}, {"fare": "-0.123"}, {"fare": 101.5}]))
    assert (low.text, high.text) == ("at least -0.13, not 0", "at most 120, not 100")
    assert (low.examples, high.examples) == (("-0.123 at /d/a.csv:3",), ("117.31 at /d/a.csv:2",))
    assert low.doubts == ("negative where nothing was below 0", "in a single row")
    assert (low.rows, high.rows, high.doubts) == (1, 2, ())
    assert applied(high)["fare"].float_domain.max == 120


def test_the_ends_of_a_range_are_judged_apart(tmp_path: Path) -> None:
    low, high = changes(TASK, schema(), evidence(tmp_path, [{"hour": "22"}] * 100 + [{"hour": "-1"}]))
    assert (high.text, high.rows, high.total, high.doubts) == ("at most 22, not 20", 100, 1000, ())
    assert (low.text, low.rows, low.examples) == ("at least -1, not 0", 1, ("-1 at /d/a.csv:102",))
    assert low.doubts == (
        "negative where nothing was below 0",
        "-1 often stands for a missing value",
        "in a single row",
    )
    assert (low.choice, high.choice) == ("hour=min", "hour=max")
    assert [low.names(asked) for asked in ("hour", "hour=min", "hour=max", "hour=None")] == [True, True, False, False]
    for change, ends in ((low, (-1, 20)), (high, (0, 22))):
        domain = applied(change)["hour"].int_domain
        assert (domain.min, domain.max) == ends


def test_an_end_of_a_range_that_is_open_stays_open(tmp_path: Path) -> None:
    found = evidence(tmp_path, [{"hour": "-3"}, {"hour": "25"}])
    open_below = schema()
    open_below.feature[1].int_domain.ClearField("min")
    (change,) = changes(TASK, open_below, found)
    assert (change.text, change.rows) == ("at most 25, not 20", 1)
    apply(open_below, change.kind, change.column, change.settings)
    assert not open_below.feature[1].int_domain.HasField("min")


def test_a_required_value_that_is_missing(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, [{"hour": None}] * 20))
    assert (change.kind, change.text, change.rows) == (
        "optional",
        "present in 95 % of the rows or more, not in all",
        20,
    )
    assert change.examples == ("/d/a.csv:2", "/d/a.csv:3", "/d/a.csv:4")
    assert change.doubts == ()
    hour = applied(change)["hour"]
    assert (hour.presence.min_fraction, hour.value_count.HasField("min"), hour.value_count.max) == (0.95, False, 1)


def test_a_label_column_that_is_missing_is_doubtful(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, [{"fare": " "}] * 2))
    assert (change.column, change.kind, change.doubts) == ("fare", "optional", ("the label is computed from it",))


def test_integers_that_became_floats(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, [{"hour": "7.5"}, {"hour": "8.25"}]))
    assert (change.kind, change.text, change.rows) == ("type", "FLOAT, not INT", 2)
    assert change.examples == ("'7.5' at /d/a.csv:2", "'8.25' at /d/a.csv:3")
    assert change.doubts == ("Categorical takes INT: the task would have to change, too",)
    hour = applied(change)["hour"]
    assert (hour.type, hour.float_domain.min, hour.float_domain.max) == (schema_pb2.FLOAT, 0, 20)
    assert not hour.HasField("int_domain")


def test_text_in_a_column_of_numbers_is_no_change(tmp_path: Path) -> None:
    found = evidence(tmp_path, [{"hour": "7.5"}, {"hour": "noon"}, {"hour": "noon"}, {"fare": "inf"}])
    assert changes(TASK, schema(), found) == []
    told = list(others(TASK, found, set()))
    assert [(other["what"], other["rows"], other["example"]) for other in told] == [
        ("fare: not a finite number", 1, "'inf' at /d/a.csv:5"),
        ("hour: no value of the schema's type", 3, "'noon' at /d/a.csv:3"),
    ]


def test_all_faults_of_a_row_count(tmp_path: Path) -> None:
    found = evidence(tmp_path, [{"hour": "25", "kind": "Bitcoin", "fare": "101"}] * 2)
    assert [(change.column, change.kind, change.rows) for change in changes(TASK, schema(), found)] == [
        ("fare", "range", 2),
        ("hour", "range", 2),
        ("kind", "value", 2),
    ]


def test_what_the_schema_allows_by_now_is_not_proposed(tmp_path: Path) -> None:
    assert changes(TASK, schema(), evidence(tmp_path, [{"kind": "Cash"}, {"hour": "20"}])) == []


def test_presence_that_fell(tmp_path: Path) -> None:
    change = only(evidence(tmp_path, present={**dict.fromkeys(ROW, 1000), "kind": 880, "note": 500}))
    assert (change.column, change.kind, change.rows, change.total) == ("kind", "presence", 120, 1000)
    assert change.text == "present in 80 % of the rows or more, not in 90 %"
    assert change.examples == ("missing in 12 % of split 'train'",)
    assert change.doubts == ()
    assert applied(change)["kind"].presence.min_fraction == 0.8
    assert applied(change)["kind"].value_count.max == 1


def test_a_column_that_vanished(tmp_path: Path) -> None:
    found = evidence(
        tmp_path,
        present={"fare": 1000, "hour": 1000, "kind": 1000, "remark": 1000},
        values={"kind": {"Cash": 900, "Card": 100}, "remark": {f"v{n}": 1 for n in range(1000)}},
        missing_columns=[{"column": "note", "file": "/d/a.csv"}],
        new_columns=[{"column": "remark", "file": "/d/a.csv", "examples": ["v1"]}],
    )
    missing, new = changes(TASK, schema(), found)
    assert (missing.column, missing.text, missing.examples) == (
        "note",
        "may be missing altogether",
        ("not in /d/a.csv",),
    )
    assert missing.doubts == ("columns seldom vanish on purpose", "'remark' came at the same time: renamed?")
    note = applied(missing)["note"]
    assert (note.presence.min_fraction, note.presence.min_count) == (0, 0)
    assert (new.column, new.kind, new.text) == ("remark", "new", "is new: BYTES")


def test_a_required_column_that_vanished_is_one_change(tmp_path: Path) -> None:
    found = evidence(tmp_path, [{"hour": None}] * 40, rows=40, present={}, values={})
    hour = next(change for change in changes(TASK, schema(), found) if change.column == "hour")
    assert (hour.kind, hour.rows) == ("missing", 40)
    assert hour.doubts == ("columns seldom vanish on purpose", "the task reads it: a feature")


def test_a_column_that_is_new(tmp_path: Path) -> None:
    found = evidence(
        tmp_path,
        present={**dict.fromkeys(ROW, 1000), "vendor": 990, "seats": 1000},
        values={
            "kind": {"Cash": 900, "Card": 100},
            "vendor": {"A": 600, "B": 390},
            "seats": {str(number): 200 for number in range(1, 6)},
        },
        new_columns=[{"column": "vendor", "file": "/d/a.csv", "examples": ["A", "B"]}],
    )
    seats, vendor = changes(TASK, schema(), found)
    assert (seats.text, seats.rows) == ("is new: INT", 1000)
    assert (vendor.text, vendor.rows) == ("is new: BYTES, one of 2 values", 990)
    assert vendor.examples == ("'A'", "'B'", "in /d/a.csv")
    assert vendor.settings["feature"].startswith("# 1 % of the values missing; 2 distinct\nfeature {\n")
    made = schema()
    for change in (seats, vendor):
        apply(made, change.kind, change.column, change.settings)
    assert [feature.name for feature in made.feature][-2:] == ["seats", "vendor"]
    assert made.feature[-1].presence.min_fraction == 0.95
    assert list(made.string_domain[-1].value) == ["A", "B"]


def test_a_new_column_that_is_a_flag_is_limited(tmp_path: Path) -> None:
    values = {"kind": {"Cash": 900, "Card": 100}, "is_card": {"0": 990, "1": 10}}
    change = only(evidence(tmp_path, present={**dict.fromkeys(ROW, 1000), "is_card": 1000}, values=values))
    assert change.text == "is new: INT, 0 to 1"


def test_a_new_column_without_statistics_is_a_guess(tmp_path: Path) -> None:
    found = evidence(tmp_path, new_columns=[{"column": "seats", "file": "/d/a.csv", "examples": ["4", "2.5"]}])
    change = only(found)
    assert (change.text, change.examples) == ("is new: FLOAT", ("'4'", "'2.5'", "in /d/a.csv"))
    assert change.settings["feature"].startswith("# a few values seen: the type is a guess\n")
    assert "value_count" not in change.settings["feature"]


def test_a_domain_that_may_be_left_by_some(tmp_path: Path) -> None:
    loose = schema()
    loose.feature[2].distribution_constraints.min_domain_mass = 0.99
    inside = evidence(tmp_path, values={"kind": {"Cash": 995, "Bitcoin": 5}})
    assert changes(TASK, loose, inside) == []
    outside = evidence(_fresh(tmp_path), values={"kind": {"Cash": 900, "Bitcoin": 100}})
    (change,) = changes(TASK, loose, outside)
    assert (change.text, change.rows) == ("may be 'Bitcoin'", 100)


def test_what_is_not_a_matter_of_the_schema(tmp_path: Path) -> None:
    drift = {
        "check": "drift",
        "feature": "fare",
        "severity": "fail",
        "message": "fare: moved",
        "next": "look",
        "rows": 0,
    }
    found = evidence(
        tmp_path,
        rules=[
            {
                "rule": "parse",
                "column": None,
                "rows": 3,
                "message": "expected 4 values",
                "examples": [{"file": "a", "line": 9, "value": "x"}],
            },
            {"rule": "unique", "column": "id", "rows": 2, "message": "expected a new key", "examples": []},
            {"rule": "domain", "column": "kind", "rows": 2, "message": "", "examples": []},
        ],
        findings=[
            drift,
            drift | {"severity": "warn"},
            drift | {"waiver": {"reason": "known"}},
            drift | {"check": "bad_rows"},
            drift | {"feature": "kind"},
        ],
    )
    told = list(others(TASK, found, {("kind", "value")}))
    assert [(other["what"], other["rows"], other["example"]) for other in told] == [
        ("expected 4 values", 3, "'x' at a:9"),
        ("id: expected a new key", 2, ""),
        ("drift: fare: moved", 0, ""),
    ]
    assert told[1]["next"] == "mend the data, or review RowRules(key=…) in pipeline/tasks/trips.py"


def test_a_run_without_data() -> None:
    for artifacts in ({}, {"artifacts": None}, {"artifacts": {"schema": "/x", "quarantine": None}}):
        record = {"run_id": "r7", "outcome": "failed", **artifacts}
        with pytest.raises(
            UsageError, match=r"run r7 left no data to look at: it ended \(failed\) before .* Next: run again"
        ):
            gather(record, {})


def test_an_empty_quarantine_proposes_nothing(tmp_path: Path) -> None:
    quarantine = tmp_path / "quarantine"
    quarantine.mkdir()
    pq.ParquetWriter(quarantine / "rows.parquet", SCHEMA).close()
    (quarantine / "account.json").write_text(json.dumps({"rows": 10, "quarantined": 0}))
    (tmp_path / "findings.json").write_text('{"findings": []}')
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "FeatureStats.pb").write_bytes(statistics(10, dict.fromkeys(ROW, 10), {}))
    artifacts = {"quarantine": str(quarantine), "statistics": str(tmp_path), "findings": str(tmp_path), "schema": None}
    found = gather({"run_id": "r", "outcome": "pushed", "artifacts": artifacts}, of_schema(schema()))
    assert found.offences == {}


def test_what_a_run_left_is_gone_or_broken(tmp_path: Path) -> None:
    record = {"run_id": "r7", "outcome": "pushed", "artifacts": {"quarantine": str(tmp_path)}}
    with pytest.raises(UsageError, match=r"run r7: what it left can't be read: .*account\.json"):
        gather(record, {})
    (tmp_path / "account.json").write_text("[1]")
    with pytest.raises(UsageError, match="expected a JSON object"):
        gather(record, {})
    (tmp_path / "account.json").write_text("{}")
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(UsageError, match="can't be read"):
        gather(record, {})
    record["artifacts"] = {"statistics": str(tmp_path)}
    with pytest.raises(UsageError, match=r"no FeatureStats\.pb"):
        gather(record, {})
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "FeatureStats.pb").write_bytes(b"\xff\xff")
    with pytest.raises(UsageError, match="can't be read"):
        gather(record, {})


def test_statistics_alone_are_enough(tmp_path: Path) -> None:
    evidence(tmp_path, present={**dict.fromkeys(ROW, 1000), "kind": 700})
    record = {"run_id": "r", "outcome": "pushed", "artifacts": {"statistics": f"file://{tmp_path}/statistics"}}
    found = gather(record, of_schema(schema()))
    assert found.rows == 1000
    assert [(change.column, change.kind) for change in changes(TASK, schema(), found)] == [("kind", "presence")]


def _fresh(tmp_path: Path) -> Path:
    made = tmp_path / "again"
    made.mkdir()
    return made
