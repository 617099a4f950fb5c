"""The index of a task's runs."""

import json
import re
import time
from typing import Any

import pytest

from pipeline.report import figures, index, page, written


def rows_of(html: str) -> list[str]:
    return re.findall(r"<tr><th scope=\"row\".*?</tr>", html, re.DOTALL)


def taken(
    check: str, feature: str, distance: float, threshold: float, reference: str = "the previous data (span 1)"
) -> dict[str, Any]:
    return {
        "check": check, "feature": feature, "split": "train", "distance": distance, "threshold": threshold, "noise": 0.01,
        "measure": "l_infinity", "reference": reference,
    }  # fmt: skip


def test_runs_are_listed_newest_first_with_what_run_json_says(history: Any) -> None:
    gates = [{"name": "auc at least 0.9", "metric": "auc", "passed": True, "reason": "fine"}]
    for day, value in ((1, 0.91), (2, 0.95)):
        history.add(
            day, outcome="pushed", metrics={"example_count": 9.0, "binary_accuracy": 0.8, "auc": value}, gates=gates,
            intervals={"auc": [value - 0.01, value + 0.01]}, rows={"in": 100 * day, "quarantined": day - 1},
            pushed={"version": str(day), "path": ""},
        )  # fmt: skip
    history.add(3, outcome="data_blocked", reason=f"fare: expected less\n{'x' * 300}")
    version = history.home / "serving" / "taxi_tips" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    report = history.home / "reports" / "20260102T000000" / "index.html"
    report.parent.mkdir(parents=True)
    report.touch()

    html = index.write(history.home).read_text()
    found = json.loads((history.home / "reports" / "index.json").read_text())
    assert [run["run_id"] for run in found["runs"]] == ["20260103T000000", "20260102T000000", "20260101T000000"]
    assert (found["total"], found["pushed"], found["served"]) == (3, 2, "1")
    assert found["metrics"] == ["auc", "binary_accuracy"]
    blocked, newer, older = found["runs"]
    assert blocked["tone"] == "bad" and len(blocked["reason"]) == 161 and "\n" not in blocked["reason"]
    assert newer["metrics"][0] == {"metric": "auc", "value": 0.95, "interval": [0.94, 0.96]}
    assert (newer["rows"], newer["quarantined"], newer["seconds"]) == (200, 1, 12.5)
    assert (newer["served"], older["served"]) == (False, True)
    assert (newer["report"], older["report"]) == ("20260102T000000/index.html", None)
    assert [">served<" in row for row in rows_of(html)] == [False, False, True]
    assert 'href="20260102T000000/index.html"' in html
    for value, path in re.findall(r'<data value="([^"]*)" data-path="([^"]*)">', html):
        kept = figures.at(found, path)
        assert value == ("" if kept is None else str(kept)), path
    assert re.findall(r'(?:src|href)="(?!#)([^"]+)"', html) == ["20260102T000000/index.html", "index.json"]


def test_drift_is_the_largest_distance_over_its_threshold_from_other_data(history: Any) -> None:
    measured = [
        taken("drift", "fare", 0.04, 0.05), taken("drift", "<i>", 0.12, 0.1), taken("split_drift", "tips", 0.9, 0.1),
        taken("label_shift", "tips", 0.9, 0.1, index.TRAIN), taken("drift", "none", 9.0, 0.0),
    ]  # fmt: skip
    run = history.add(1, {("DataChecks", "findings", "findings.json"): {"measured": measured}})
    folder = run.artifacts["DataChecks", "findings"].uri
    record = dict(run.record) | {"artifacts": {"findings": folder}}
    (run.folder / "run.json").write_text(json.dumps(record))
    found = index.collect(history.home)["runs"][0]["drift"]
    assert (found["feature"], found["distance"], found["ratio"]) == ("<i>", 0.12, pytest.approx(1.2))
    assert "<i>" not in rows_of(index.write(history.home).read_text())[0].replace('<i class="name">', "")

    moved = dict(record) | {"config": {"root": "/elsewhere"}}
    moved["artifacts"] = {"findings": folder.replace(str(history.root), "/elsewhere")}
    (run.folder / "run.json").write_text(json.dumps(moved))
    assert index.collect(history.home)["runs"][0]["drift"] == found

    (history.home / "artifacts/DataChecks/findings/1/findings.json").write_text("{")
    assert index.collect(history.home)["runs"][0]["drift"] is None


def test_a_reason_is_not_shown_where_it_may_tell_a_sensitive_value(history: Any) -> None:
    record = history.add(1, outcome="failed", reason="received 'Ann'").record
    assert index.reason_of(record, history.task) == "received 'Ann'"
    assert index.reason_of(record, None).startswith("Not shown: the task can't be loaded")


def test_without_runs_and_with_one_there_are_no_trends(history: Any) -> None:
    history.home.mkdir()
    assert "None yet" in index.write(history.home).read_text()
    history.add(1, rows={"in": 5, "quarantined": 0})
    assert "Trends" not in index.write(history.home).read_text()


def test_five_hundred_runs_are_quick_and_the_last_hundred_are_drawn(history: Any) -> None:
    history.home.mkdir()
    plain = history.add(
        1, metrics={"auc": 0.9, "auc_pr": 0.8}, intervals={"auc": [0.8, 1.0], "auc_pr": [0.7, 0.9]}
    ).record
    plain = dict(plain) | {"rows": {"in": 100, "quarantined": 0}, "environment": None}
    for number in range(499):
        folder = history.home / "runs" / f"20260201T{number:06d}"
        folder.mkdir()
        (folder / "run.json").write_text(
            json.dumps(plain | {"run_id": folder.name, "started": f"2026-02-01T{number:06d}"})
        )
    began = time.process_time()
    html = index.write(history.home).read_text()
    assert time.process_time() - began < 5
    assert len(rows_of(html)) == 500
    assert html.count("over the last 100 runs") == 4
    assert len(html) < 1_500_000


def test_the_index_is_whole_or_not_there(history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history.add(1)
    path = index.write(history.home)
    before = path.read_text()
    monkeypatch.setattr(page, "render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index.write(history.home)
    assert path.read_text() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["index.html", "index.json"]
    assert written.plain(json.loads((path.parent / "index.json").read_text()))["total"] == 1
