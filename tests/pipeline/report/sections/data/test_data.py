"""What stands where: rows, findings, distances, cards, schema, and what there is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_checks.findings import Measured, finding, schema_snippet
from pipeline import schema as schemas
from pipeline.checks import Checks, Severity, Waiver
from pipeline.report.sections import data
from pipeline.report.sections.data.rows import described
from pipeline.splits import FolderSplit, HashSplit, SpanSplit, Split, TimeSplit
from pipeline.task import Task

Made = Callable[..., Any]
Rendered = Callable[..., Any]
ROWS = {"fare": [1.0, 2.0, 3.0], "company": ["a", "b", None], "other": ["x", None, None]}


def test_rows_are_accounted_for(made: Made, rendered: Rendered) -> None:
    bad = [("range", "fare", "expected at most 9", 12.5), ("range", "fare", "expected at most 9", 13.5)]
    part, html = rendered(made({"train": ROWS, "eval": {"fare": [5.0]}}, bad=bad))
    rows = part["rows"]
    assert (rows["read"], rows["quarantined"], rows["adds_up"]) == (6, 2, True)
    assert rows["splits"] == [
        {"split": "train", "rows": 3, "share": 0.5},
        {"split": "eval", "rows": 1, "share": 1 / 6},
    ]
    assert rows["files"] == [{"file": "/data/in.csv", "rows": 6, "quarantined": 2}]
    assert "too many in quarantine" in html
    assert part["quarantine"]["rules"][0]["examples"][1] == {"file": "/data/in.csv", "line": 3, "value": "13.5"}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (HashSplit(train=2, eval=1), "By a hash of the whole row. Of 3 parts: 2 to train, 1 to eval."),
        (
            HashSplit(train=8, eval=1, test=1, by=("customer",)),
            "By a hash of customer: all rows of one are in the same split. Of 10 parts: 8 to train, 1 to eval, 1 to test.",
        ),
        (
            TimeSplit("day", eval_from="2026-06-01", test_from="2026-07-01"),
            "By the time in day: train, then eval from 2026-06-01, test from 2026-07-01.",
        ),
        (SpanSplit(eval=1, test=2), "By span: the newest 2 are test, before them 1 to eval, the earlier ones train."),
        (FolderSplit(), "By folder: train is train, eval is eval."),
    ],
)
def test_splits_in_words(split: Split, expected: str) -> None:
    assert described(split) == expected


def test_the_split_is_audited(made: Made, rendered: Rendered, tiny: Task) -> None:
    task = replace(tiny, split=HashSplit(by=("company",)))
    found = [
        finding("entity_overlap", "a company in one split only", "3 rows of 'eval' also in 'train'", rows=3, total=9),
        finding("split_overlap", "a row in one split only", "1 rows of 'eval' also in 'train'", rows=1, total=9),
    ]
    part, _ = rendered(made({"train": ROWS}, task=task, findings=found))
    assert {check["check"]: check["state"] for check in part["split"]["checks"]} == {
        "entity_overlap": "fail",
        "split_overlap": "warn",
        "time_overlap": "off",
        "split_drift": "ok",
        "empty_split": "ok",
    }
    assert part["split"]["checks"][0]["why"] == "3 rows of 'eval' also in 'train'"


def test_the_gravest_findings_are_first(made: Made, rendered: Rendered, tiny: Task) -> None:
    checks = Checks(
        severities=(Severity("volume", "ignore"),),
        waivers=(
            Waiver("drift", feature="fare", reason="New tariff.", until="2026-11-30"),
            Waiver("skew", reason="Over.", until="2026-11-20"),
        ),
    )
    found = [
        finding("volume", "more", "less"),
        finding("constant_feature", "differs", "one", feature="area"),
        finding("drift", "near", "far", feature="fare", split="train", rows=2, total=9),
        finding("skew", "near", "far", feature="miles"),
        finding("bad_rows", "at most 9", "…", feature="fare", rows=1, total=9, next=schema_snippet("tiny")),
    ]
    run = made({"train": ROWS}, task=replace(tiny, checks=checks), findings=found, outcome="data_blocked",
               bad=[("range", "fare", "expected at most 9", 12.5)])  # fmt: skip
    part, html = rendered(run)
    assert [(f["check"], f["severity"]) for f in part["findings"]] == [
        ("bad_rows", "fail"),
        ("skew", "fail"),
        ("drift", "warn"),
        ("constant_feature", "warn"),
        ("volume", "ignore"),
    ]
    assert [level["count"] for level in part["levels"]] == [2, 1, 1, 1]
    bad = part["findings"][0]
    assert bad["bad_rows"] == [{"file": "/data/in.csv", "line": 2, "value": "12.5"}]
    root = run.home.parent
    assert bad["next"][1] == {"code": f"millrace schema propose --task tiny --root {root}"}
    assert part["findings"][2]["waiver"] == {"reason": "New tariff.", "until": "2026-11-30"}
    assert part["findings"][1]["next"][1]["code"].endswith('until="2026-12-05"),))')
    assert [(w["check"], w["held"], w["findings"]) for w in part["waivers"]] == [("drift", True, 1), ("skew", False, 0)]
    assert "The data gate stopped the run." in html


def test_the_verdict_goes_before_the_checks(made: Made) -> None:
    run = made({"train": ROWS}, findings=[finding("drift", "near", "far", feature="fare")], judged=True)
    verdict = Path(run.artifacts["DataGate", "verdict"].uri) / "verdict.json"
    verdict.write_text(verdict.read_text().replace('"fail"', '"warn"'))
    part = data.collect(run)
    assert part is not None and [f["severity"] for f in part["findings"]] == ["warn"]


@pytest.mark.parametrize(("rows", "shown"), [(1, 1), (4, 4), (5, 5), (9, 5)])
def test_five_bad_rows_of_each_rule(made: Made, rendered: Rendered, rows: int, shown: int) -> None:
    bad = [("type", "fare", "expected a number", f"v{i}") for i in range(rows)]
    bad += [("parse", None, f"expected 3 values, received {i}", "a,b") for i in range(2)]
    found = [
        finding("bad_rows", "a number", "…", feature="fare", rows=rows, total=20),
        finding("bad_rows", "3 values, received 0", "…", rows=2, total=20),
    ]
    part, _ = rendered(made({"train": ROWS}, bad=bad, findings=found))
    told = {f["feature"]: f["bad_rows"] for f in part["findings"]}
    assert [row["value"] for row in told["fare"]] == [f"v{i}" for i in range(shown)]
    assert [row["line"] for row in told[None]] == [rows + 2, rows + 3]
    assert told[None][0]["value"] == '{"None": "a,b"}'


def measured(feature: str, distance: float, noise: float = 0.01, check: str = "drift") -> Measured:
    return Measured(check, feature, "train", distance, 0.1, noise, "l_infinity", "the previous data")


def test_what_exceeds_is_first(made: Made, rendered: Rendered) -> None:
    taken = [
        measured("hour", 0.05),
        measured("area", 0.3, noise=0.4),
        measured("fare", 0.15),
        measured("company", 0.2, check="skew"),
        Measured("leak", "miles", "train", 0.9, 0.99, 0.0, "auc", "the label"),
    ]
    part, html = rendered(made({"train": ROWS}, measured=taken, previous=ROWS))
    assert [(d["feature"], d["exceeds"]) for d in part["distances"]["taken"]] == [
        ("company", True),
        ("fare", True),
        ("area", False),
        ("hour", False),
    ]
    assert (part["distances"]["exceeding"], part["distances"]["count"]) == (2, 4)
    first = part["distances"]["taken"][0]
    assert (first["against"], first["measure"], first["distance"]) == (
        "logged requests against train",
        "L-infinity",
        0.2,
    )
    assert part["references"] == [
        {**part["references"][0], "what": "previous", "name": "the previous data", "span": 3, "rows": 4}
    ]
    assert "distances exceed their threshold" in html


def test_cards_in_the_order_of_attention(made: Made, rendered: Rendered) -> None:
    columns = {"miles": [1.0, 2.0, 3.0], "hour": [1, None, 2], "area": [1, 2, 3], **ROWS}
    found = [
        finding("constant_feature", "differs", "one", feature="area"),
        finding("drift", "near", "far", feature="company"),
    ]
    part, _ = rendered(made({"train": columns}, findings=found, measured=[measured("fare", 0.5)]))
    names = [card["name"] for card in part["features"]]
    assert names == ["company", "area", "fare", "tips", "hour", "miles", "other"]
    assert [card["fails"] for card in part["features"]][:2] == [1, 0]
    assert part["features"][3]["kind"] == "unknown"
    assert part["features"][0]["checks"] == ["drift"]


def test_narrow_columns_are_told(made: Made, rendered: Rendered) -> None:
    part, _ = rendered(made({"train": {"fare": [41.87, 41.88, 41.9], "miles": [0.0, 1.0, 40.0]}}))
    narrow = {card["name"]: card["narrow"] for card in part["features"]}
    assert (narrow["fare"], narrow["miles"]) == (True, False)


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> schema_pb2.Schema:
    """Of two columns; curated."""
    made = schema_pb2.Schema()
    made.feature.add(name="fare", type=schema_pb2.FLOAT).presence.min_fraction = 1.0
    made.feature.add(name="company", type=schema_pb2.BYTES).string_domain.value.extend(["a", "b"])
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path / "schemas")
    text = (
        'feature { name: "fare" type: FLOAT }\nfeature { name: "company" type: BYTES string_domain { value: "a" } }\n'
    )
    schemas.write(tmp_path / "schemas" / "tiny" / "schema.pbtxt", text)
    return made


def test_the_schema_and_its_change(made: Made, rendered: Rendered, schema: schema_pb2.Schema) -> None:
    bad = [("domain", "company", "expected one of a", "b")] * 2
    run = made({"train": {"fare": [1.0] * 9, "company": ["a"] * 9}}, bad=bad, schema=schema)
    part, html = rendered(run)
    assert part["schema"]["columns"][1] == {
        "column": "company", "type": "BYTES", "presence": "optional", "withheld": False, "allowed": "'a', 'b'",
        "role": "a feature", "environments": "", "thresholds": "",
    }  # fmt: skip
    assert (part["schema"]["inferred"], part["schema"]["file"]) == (False, "schemas/tiny/schema.pbtxt")
    (change,) = part["proposal"]["changes"]
    assert (change["column"], change["rows"], change["total"]) == ("company", 2, 11)
    where = f"--task tiny --root {run.home.parent} --run r1"
    assert part["proposal"]["commands"][0] == f"millrace schema propose {where}"
    assert part["proposal"]["commands"][1].startswith(f"millrace schema accept {where}")
    assert "1</data> place" in html


def test_a_schema_that_was_inferred(made: Made, rendered: Rendered, schema: schema_pb2.Schema, tmp_path: Path) -> None:
    (tmp_path / "schemas" / "tiny" / "schema.pbtxt").unlink()
    nodes = {node: {"state": "done"} for node in ("ExampleGen", "StatisticsGen", "SchemaGen")}
    part, html = rendered(made({"train": ROWS}, schema=schema, nodes=nodes))
    assert part["schema"]["inferred"] and part["schema"]["file"] is None
    assert "no curated schema" in part["proposal"]["why"]
    assert "millrace schema init" in html


NODES = ("SchemaGen", "ExampleGen", "StatisticsGen", "DataChecks")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("done", "failed", "not_run", "not_run"), ["account of the rows: ExampleGen failed."]),
        (("done", "done", "not_run", "not_run"), ["statistics of the columns: StatisticsGen has not run."]),
    ],
)
def test_what_there_is_not(
    made: Made, rendered: Rendered, schema: schema_pb2.Schema, states: Sequence[str], expected: list[str]
) -> None:
    nodes = {node: {"state": state} for node, state in zip(NODES, states, strict=True)}
    run = made(findings=None, bad=() if states[1] == "done" else None, schema=schema, nodes=nodes)
    part, html = rendered(run)
    assert set(expected) <= {reason.removeprefix("No ") for reason in part["missing"]}
    assert "findings and distances: DataChecks has not run." in html
    assert (part["features"], part["findings"]) == ([], None)
    assert "The checks on the data have not run." in html


def test_bad_rows_are_shown_though_no_check_ran(made: Made, rendered: Rendered) -> None:
    part, html = rendered(made({"train": ROWS}, findings=None, bad=[("type", "fare", "expected a number", "n/a")]))
    assert part["findings"] is None
    assert "expected a number" in html and "n/a" in html


def test_a_run_without_any_data(made: Made) -> None:
    assert data.collect(made(findings=None, bad=None)) is None


def test_earlier_statistics_that_are_gone(made: Made, rendered: Rendered) -> None:
    run = made({"train": ROWS}, previous=ROWS)
    (run.home / "earlier" / "Split-train" / "FeatureStats.pb").write_bytes(b"no proto")
    part, _ = rendered(run)
    assert "Statistics that are gone or can't be read: previous." in part["missing"]
    assert [told["set"] for told in part["features"][0]["sets"]] == ["train"]


def test_logged_requests_are_drawn_where_their_statistics_were_kept(made: Made, rendered: Rendered) -> None:
    run = made({"train": ROWS})
    folder = Path(run.artifacts["DataChecks", "findings"].uri)
    path = folder / "findings.json"
    entry = '{"name": "the logged requests", "span": null, "uri": "log", "rows": 3}'
    path.write_text(path.read_text().replace('"serving_log": null', f'"serving_log": {entry}'))
    assert "only their distances are shown" in " ".join(rendered(run)[0]["missing"])
    (folder / "requests").mkdir()
    train = Path(run.artifacts["StatisticsGen", "statistics"].uri) / "Split-train" / "FeatureStats.pb"
    (folder / "requests" / "FeatureStats.pb").write_bytes(train.read_bytes())
    part, _ = rendered(run)
    card = next(card for card in part["features"] if card["name"] == "fare")
    assert [told["set"] for told in card["sets"]] == ["train", "requests"]
