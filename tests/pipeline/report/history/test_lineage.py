"""Where a run came from, and its model card."""

import json
from pathlib import Path
from typing import Any

from pipeline import schema, tasks
from pipeline.report import page
from pipeline.report.sections import lineage
from pipeline.runners import environment

SCHEMA = 'feature { name: "fare" type: FLOAT }'


def shown(part: dict[str, Any]) -> str:
    return str(page.section("lineage", {"task": "taxi_tips", "run_id": "r", "lineage": part}, {}))


def test_data_schema_and_artifacts_are_those_of_the_run(history: Any, make: Any, tmp_path: Path) -> None:
    data = tmp_path / "<b>.csv"
    data.write_bytes(b"x" * 2048)
    run = history.add(
        1,
        {
            ("ExampleGen", "quarantine", "account.json"): make.account(
                100, [(str(data), 100, "abcd"), ("s3://b/c.csv", 0, "")]
            ),
            ("SchemaGen", "schema", "schema.pbtxt"): SCHEMA,
        },
        nodes={"SchemaGen": {"cached": True}},
        environment=make.environment | {"schema": {"path": "schemas/taxi_tips/schema.pbtxt", "digest": "d"}},
    )
    part = lineage.collect(run)
    assert [(file["kib"], file["rows"], file["digest"]) for file in part["data"]["files"]] == [
        (2.0, 100, "abcd"),
        (None, 0, ""),
    ]
    assert (part["data"]["rows"], part["data"]["quarantined"]) == (100, 1)
    assert part["data"]["splits"] == [{"split": "train", "rows": 90}, {"split": "eval", "rows": 9}]
    path = Path(run.artifacts["SchemaGen", "schema"].uri) / "schema.pbtxt"
    assert part["schema"] == {
        "curated": True, "path": "schemas/taxi_tips/schema.pbtxt", "digest": schema.digest(path), "file_digest": "d",
        "columns": 1,
    }  # fmt: skip
    assert part["artifacts"][1] == {
        "node": "SchemaGen", "key": "schema", "type": "schema", "id": 101, "uri": "artifacts/SchemaGen/schema/1", "cached": True,
    }  # fmt: skip
    html = shown(part)
    assert "<b>.csv" not in html and "&lt;b&gt;.csv" in html
    assert str(history.root) not in html.replace(str(data).replace("<b>", "&lt;b&gt;"), "")


def test_a_run_of_an_earlier_version_says_what_was_not_recorded(history: Any) -> None:
    run = history.add(1, environment=None, outcome="failed")
    part = lineage.collect(run)
    assert (part["data"], part["schema"], part["code"], part["libraries"], part["artifacts"]) == (
        None,
        None,
        None,
        None,
        [],
    )
    html = shown(part)
    assert "Not recorded" in html and "The run read no data" in html


def test_the_card_says_what_the_task_and_the_evaluation_say(history: Any, make: Any) -> None:
    found = make.evidence(
        {"auc": make.metric(0.95, 0.01, 0.94)},
        verdicts=[{"name": "auc at least 0.9", "passed": True, "metric": "auc", "slice": "overall", "checks": []}],
    )
    run = history.add(
        1,
        {("Evaluator", "evaluation", "evidence.json"): found},
        config={"task": "taxi_tips", "root": str(history.root), "overrides": ["training.steps=200`|<i>"]},
    )
    card = lineage.collect(run)["card"]
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Ethical considerations",
        "Caveats and recommendations",
    ]  # fmt: skip
    assert "Will a Chicago taxi trip be tipped more than 20 % of its fare?" in card
    assert "tips paid in cash are not in the data" in card
    assert "| auc | 0.950 | 0.940 to 0.960 | 0.940 |" in card
    assert "- passed: auc at least 0.9" in card
    assert "4,980 rows of the split eval. It also validates the training." in card
    assert (
        "Not said. Write it in the docstring of pipeline/tasks/taxi_tips.py, as a paragraph that begins with `Ethics:`."
        in card
    )
    assert "`training.steps=200'\\|<i>`" in card
    assert "<i>" not in shown(lineage.collect(run))


def test_the_docstring_is_read_by_paragraph() -> None:
    found = lineage.docs("taxi_tips")
    assert found[0] == {"title": "", "text": "Will a Chicago taxi trip be tipped more than 20 % of its fare?"}
    assert [paragraph["title"] for paragraph in found[1:]] == ["Run", "Data", "Limits"]
    assert found[-1]["text"].endswith("mostly tells who pays by card and tips as usual.")
    assert lineage.docs("movie_reviews")[3]["text"].endswith("a single split is often 0.08 above or below.")


def test_the_environment_of_a_run_names_no_place_and_no_person() -> None:
    found = environment.describe(tasks.load("taxi_tips", ("training.steps=200", "features.fare.clip=[0,50]")))
    assert found["changed"] == [
        {"path": "features.fare.clip", "default": "none", "value": "0.0, 50.0"},
        {"path": "training.steps", "default": "1000", "value": "200"},
    ]
    assert found["settings"]["evaluation.gates"].startswith(
        "auc at least 0.9 and no worse than the baseline by more than 0.005, "
    )
    assert found["settings"]["training.steps"] == "200" and found["settings"]["model"] == "WideDeep"
    assert found["machine"]["cores"] >= 1 and found["machine"]["memory_mb"] > 100
    assert next(each["version"] for each in found["libraries"] if each["name"] == "tfx") == "1.21.0"
    assert len(found["code"]["digest"]) == 16
    assert str(Path.home()) + "/" not in json.dumps(found)
    assert str(Path(environment.__file__).parents[2]) not in json.dumps(found)
