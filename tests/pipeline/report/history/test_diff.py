"""What changed between two runs, and how carefully the cause is said."""

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline import cli
from pipeline.errors import ExitCode, UsageError
from pipeline.report import figures, written
from pipeline.report.diff import compare, pick, show

SCHEMA = 'feature { name: "fare" type: FLOAT } feature { name: "company" type: BYTES }'
FILES = (("a.csv", 100, "aa"),)


@pytest.fixture
def add(history: Any, make: Any) -> Any:
    """A function that adds a run with data, schema and evaluation; keywords replace parts of it."""

    def add_run(
        day: int,
        *,
        auc: dict[str, Any] | None = None,
        files: Any = FILES,
        fare: Any = None,
        company: Any = None,
        schema: str = SCHEMA,
        surroundings: Any = None,
        baseline: Any = None,
        **record: Any,
    ) -> Any:
        columns = {
            "fare": list(range(8, 13)) * 100 if fare is None else fare,
            "company": ["Ann", "Bob"] * 250 if company is None else company,
        }
        own = auc or make.metric(0.95)
        found = make.evidence({"auc": own, "example_count": make.metric(9.0)})
        if baseline:
            found["baseline"] = {"status": "compared", "said": "", "uri": baseline.artifacts["Trainer", "model"].uri}
        rows = sum(of for _, of, _ in files)
        return history.add(
            day,
            {
                ("ExampleGen", "quarantine", "account.json"): make.account(rows, files),
                ("ExampleGen", "examples", "x"): "",
                ("StatisticsGen", "statistics", "Split-train/FeatureStats.pb"): make.statistics(columns),
                ("SchemaGen", "schema", "schema.pbtxt"): schema,
                ("Trainer", "model", "x"): "",
                ("Evaluator", "evaluation", "evidence.json"): found,
            },
            rows={"in": rows, "train": rows - 10, "eval": 9, "quarantined": 1},
            metrics={"auc": own["candidate"], "example_count": 9.0},
            intervals={"auc": own["interval"]},
            environment=make.environment | (surroundings or {}),
            **record,
        )

    return add_run


def changed(found: dict[str, Any]) -> dict[str, bool | None]:
    return {each["kind"]: each["changed"] for each in found["changes"]}


def test_only_the_parameters_changed_and_the_paired_interval_is_the_evidences(add: Any, make: Any) -> None:
    a = add(1)
    settings = {"settings": make.environment["settings"] | {"training.steps": "200"}}
    own = make.metric(0.90, 0.01, 0.95, 0.004)
    found = compare.compare(a, add(2, auc=own, surroundings=settings, baseline=a))
    assert changed(found) == {kind: kind == "parameters" for kind in changed(found)}
    assert found["parameters"]["changes"] == [{"name": "training.steps", "a": "1000", "b": "200"}]
    metric = found["metrics"]["metrics"][0]
    assert (found["metrics"]["paired"], found["metrics"]["same_rows"], metric["how"]) == ("b", True, "paired")
    assert (metric["difference"], metric["interval"]) == (own["difference"], own["difference_interval"])
    assert (metric["verdict"], metric["model"]) == ("worse", None)
    assert found["cause"] == [
        "Only the parameters changed: training.steps 1000 → 200.",
        "It is the likely cause of the differences beyond chance: auc (worse).",
    ]


def test_the_other_way_round_turns_the_signs(add: Any, make: Any) -> None:
    a = add(1)
    own = make.metric(0.90, 0.01, 0.95, 0.004)
    metric = compare.compare(add(2, auc=own, baseline=a), a)["metrics"]["metrics"][0]
    assert metric["difference"] == -own["difference"] and metric["verdict"] == "better"
    assert metric["interval"] == [-own["difference_interval"][1], -own["difference_interval"][0]]


def test_only_the_data_changed(add: Any, make: Any) -> None:
    a = add(1)
    b = add(
        2,
        files=(*FILES, ("b.csv", 50, "bb")),
        fare=list(range(12, 17)) * 100,
        company=["Ann"] * 500,
        auc=make.metric(0.80),
    )
    found = compare.compare(a, b)
    assert [kind for kind, is_new in changed(found).items() if is_new] == ["data"]
    data = found["data"]
    assert data["files"]["added"] == [{"file": "b.csv", "rows": 50}] and data["files"]["same"] == 1
    assert data["rows"][0] == {"name": "in", "a": 100, "b": 150, "difference": 50}
    moved = {each["name"]: each for each in data["features"]}
    assert moved["company"]["distance"] == pytest.approx(0.5) and moved["company"]["measure"] == "L-infinity"
    assert moved["fare"]["shift"] == pytest.approx(4 / 2**0.5) and moved["fare"]["measure"] == "Jensen-Shannon"
    assert data["features"][0]["distance"] == max(each["distance"] for each in data["features"])
    assert (data["apart"], data["compared"]) == (2, 2)
    assert found["cause"][0].startswith("Only the data changed: 1 file added, +50 rows, 2 of 2 columns differ")
    assert "likely cause" in found["cause"][1]


def test_several_changes_are_listed_and_not_told_apart(add: Any, make: Any) -> None:
    a = add(1)
    code = {"code": make.environment["code"] | {"digest": "f" * 16, "commit": "d" * 40}}
    b = add(
        2,
        files=(("a.csv", 100, "other"),),
        schema=SCHEMA.replace("FLOAT", "INT"),
        auc=make.metric(0.80),
        surroundings=code,
    )
    found = compare.compare(a, b)
    assert [kind for kind, is_new in changed(found).items() if is_new] == ["data", "schema", "code"]
    assert found["schema"]["changes"] == [{"column": "fare", "what": "changed: type"}]
    assert {each["name"] for each in found["code"]["changes"]} == {"commit", "modules"}
    assert found["cause"][0].startswith(
        "Several things changed, and these runs can't tell their effects apart: data (1 file changed"
    )
    assert not any("likely" in sentence for sentence in found["cause"])
    assert found["cause"][-1].endswith("only one of them changed: data, schema and code.")


def test_nothing_changed(add: Any, make: Any) -> None:
    a = add(1)
    assert compare.compare(a, add(2))["cause"] == ["Nothing that is recorded changed.", "All metrics are equal."]
    within = compare.compare(a, add(3, auc=make.metric(0.951)))
    assert within["metrics"]["metrics"][0]["verdict"] == "within chance"
    assert within["cause"][1].endswith("that is as randomness explains.")
    beyond = compare.compare(a, add(4, auc=make.metric(0.90)))
    assert beyond["cause"][1].startswith("Yet auc (worse) differ by more than the intervals")


def test_a_model_from_the_cache_is_the_same_one(add: Any) -> None:
    a, b = add(1), add(2)
    b.artifacts["Trainer", "model"].id = a.artifacts["Trainer", "model"].id
    assert "Both runs evaluated one and the same model" in compare.compare(a, b)["cause"][1]


def test_of_long_settings_the_part_that_differs_is_shown(add: Any, make: Any) -> None:
    long = {"settings": make.environment["settings"] | {"training.steps": f"{'x' * 90}1000{'y' * 90}"}}
    other = {"settings": make.environment["settings"] | {"training.steps": f"{'x' * 90}2000{'y' * 90}"}}
    said = compare.compare(add(1, surroundings=long), add(2, surroundings=other))["cause"][0]
    assert (
        said == f"Only the parameters changed: training.steps …{'x' * 10}1000{'y' * 26}… → …{'x' * 10}2000{'y' * 26}…."
    )


def test_unpaired_intervals_are_those_of_two_independent_values(add: Any, make: Any) -> None:
    found = compare.compare(add(1, auc=make.metric(0.95, 0.03)), add(2, auc=make.metric(0.90, 0.04)))
    metric = found["metrics"]["metrics"][0]
    assert metric["how"] == "unpaired" and metric["difference"] == pytest.approx(-0.05)
    assert metric["interval"] == pytest.approx([-0.10, 0.0])


def test_a_setting_that_no_model_is_made_from_is_no_cause(add: Any, make: Any) -> None:
    settings = {"settings": make.environment["settings"] | {"push.keep": "9"}}
    found = compare.compare(add(1), add(2, auc=make.metric(0.8), surroundings=settings))
    assert found["cause"][0] == "Only the parameters changed: push.keep not set → 9, which no model is made from."
    assert found["cause"][1].startswith("Yet auc (worse) differ")


def test_on_other_rows_the_change_is_split_into_rows_and_model(add: Any, make: Any) -> None:
    a = add(1)
    own = make.metric(0.90, 0.01, 0.91, 0.02)
    found = compare.compare(a, add(2, auc=own, files=(("a.csv", 100, "other"),), baseline=a))
    metric = found["metrics"]["metrics"][0]
    assert (metric["how"], metric["verdict"], metric["on_b"]) == ("unpaired", "worse", 0.91)
    assert metric["model"] == {
        "difference": own["difference"],
        "interval": own["difference_interval"],
        "verdict": "within chance",
    }
    assert any(
        "auc: -0.0400 as A's model meets B's rows, -0.0100 as B's model takes its place" in said
        for said in found["cause"]
    )


def test_what_was_not_recorded_is_not_taken_for_unchanged(history: Any, add: Any) -> None:
    a = history.add(1, environment=None, metrics={"auc": 0.9}, intervals={"auc": [0.89, 0.91]})
    found = compare.compare(a, add(2))
    assert changed(found) == {
        "data": None,
        "schema": None,
        "code": None,
        "libraries": None,
        "parameters": False,
        "machine": None,
    }
    assert found["cause"][:2] == [
        "Nothing that is recorded changed.",
        "Whether data, schema, code, libraries and machine changed was not recorded by both runs, or can't be compared.",
    ]
    assert not any("likely" in sentence or "Yet" in sentence for sentence in found["cause"])
    stopped = compare.compare(history.add(3, outcome="data_blocked"), add(4))
    assert "The metrics can't be compared, as run 20260103T000000 has none." in stopped["cause"]


def test_values_of_sensitive_columns_are_not_shown(history: Any, add: Any) -> None:
    history.task = dataclasses.replace(history.task, sensitive=("company", "fare"))
    found = compare.compare(add(1), add(2, company=["Zoe"] * 500, outcome="failed", reason="received 'Zoe'"))
    company = next(each for each in found["data"]["features"] if each["name"] == "company")
    assert company["distance"] == 1.0 and company["where"] is None and company["hidden"]
    assert all(each["mean"] == {"a": None, "b": None} and each["shift"] is None for each in found["data"]["features"])
    assert "Zoe" not in json.dumps(found) and "Ann" not in json.dumps(found)


def test_the_page_and_the_terminal_are_safe_and_every_figure_is_in_the_json(history: Any, add: Any, make: Any) -> None:
    evil = "<img src=x>\x1b[31m\u202e"
    a = add(1)
    b = add(
        2, files=((f"{evil}.csv", 90, "aa"),), company=[evil] * 500, auc=make.metric(0.8), outcome="failed", reason=evil
    )
    found = written.plain(compare.compare(a, b))
    path = show.write(history.home, found)
    assert path == history.home / "reports" / "diff-20260101T000000-20260102T000000.html"
    html = path.read_text()
    assert "<img" not in html and "\x1b" not in html and "\u202e" not in html
    kept = json.loads(path.with_suffix(".json").read_text())
    shown = re.findall(r'<data value="([^"]*)" data-path="([^"]*)">', html)
    assert len(shown) > 20
    for value, place in shown:
        own = figures.at(kept, place)
        assert value == ("" if own is None else str(own)), place
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(show.terminal(found))
    told = console.export_text()
    assert "\x1b" not in told and "Several" not in told and "-0.15" in told.replace("\N{MINUS SIGN}", "-")


def test_runs_are_found_by_word_and_by_id(history: Any) -> None:
    root = str(history.root)
    history.add(1, pushed={"version": "7", "path": ""})
    history.add(2)
    version = history.home / "serving" / "taxi_tips" / "7"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    folders = {name: pick.folder_of(root, "taxi_tips", name).name for name in (*pick.WORDS, "20260101T000000")}
    assert folders == {
        "last": "20260102T000000", "previous": "20260101T000000", "served": "20260101T000000",
        "20260101T000000": "20260101T000000",
    }  # fmt: skip
    assert pick.task_of(root, None, ("last", "previous")) == "taxi_tips"
    with pytest.raises(UsageError, match=r"no run '20260103T000000' .* Did you mean '2026010"):
        pick.folder_of(root, "taxi_tips", "20260103T000000")
    with pytest.raises(UsageError, match=r"'taxi_tip' has no runs .* Did you mean 'taxi_tips'"):
        pick.task_of(root, "taxi_tip", ())
    (history.root / "digits" / "runs").mkdir(parents=True)
    with pytest.raises(UsageError, match="several tasks have such runs: digits, taxi_tips"):
        pick.task_of(root, None, ("last", "previous"))
    assert pick.task_of(root, None, ("20260102T000000", "last")) == "taxi_tips"
    with pytest.raises(UsageError, match="expected 2 or more runs of 'digits'"):
        pick.folder_of(root, "digits", "previous")
    with pytest.raises(UsageError, match="nothing of 'digits' is served"):
        pick.folder_of(root, "digits", "served")


def test_the_command(history: Any, tmp_path: Path) -> None:
    history.add(1, metrics={"auc": 0.9}, intervals={"auc": [0.89, 0.91]})
    history.add(2, metrics={"auc": 0.9}, intervals={"auc": [0.89, 0.91]})
    run = CliRunner().invoke
    shown = run(cli.app, ["diff", "previous", "last", "--root", str(tmp_path), "--page"])
    assert shown.exit_code == ExitCode.PUSHED, shown.output
    assert "All metrics are equal." in shown.output and "diff-20260101T000000-20260102T000000.html" in shown.output
    told = json.loads(run(cli.app, ["diff", "previous", "last", "--root", str(tmp_path), "--json"]).stdout)
    assert told["metrics"]["metrics"][0]["verdict"] == "equal"
    assert isinstance(run(cli.app, ["diff", "previous", "lst", "--root", str(tmp_path)]).exception, UsageError)
