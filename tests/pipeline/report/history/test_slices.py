"""Slices on the report: the order, what is hidden, and that figures are evidence.json's own."""

import dataclasses
import json
import re
import time
from typing import Any

import pytest

from pipeline.report import figures, page
from pipeline.report.sections import slices

AUC = "auc"
HOSTILE = 'company=<script>alert("x")</script>\u202e'


def shown(part: dict[str, Any]) -> str:
    report = {"task": "taxi_tips", "run_id": "r", "slices": part}
    return str(page.section("slices", report, slices.charts(part)))


@pytest.fixture
def part(history: Any, make: Any) -> dict[str, Any]:
    """Five slices: one far behind, one within its interval, one too small, one without a value, one that breaks a gate."""
    broken = {
        "metric": AUC, "slice": "hour=4", "rule": "at least 0.9", "passed": False, "candidate": 0.95, "baseline": None,
        "difference": None, "interval": [0.94, 0.96], "corrected_for": 3, "n": 50, "sentence": "auc of hour=4 is broken",
    }  # fmt: skip
    found = make.evidence(
        {AUC: make.metric(0.95), "example_count": make.metric(4980.0), "calibration": make.metric(1.0)},
        {
            name: (rows, {AUC: auc, "example_count": make.metric(float(rows)), "calibration": make.metric(1.1)})
            for name, rows, auc in (
                ("hour=1", 100, make.metric(0.94, 0.02)),
                ("hour=2", 3, make.metric(0.5, 0.4)),
                ("hour=3", 900, make.metric(0.85, 0.05)),
                ("hour=4", 50, make.metric(0.95, 0.01)),
                (HOSTILE, 400, make.metric(None)),
            )
        },
        verdicts=[
            {**broken, "name": "auc at least 0.9 for each hour", "reason": "", "checks": [broken], "not_judged": []}
        ],
    )
    run = history.add(1, {("Evaluator", "evaluation", "evidence.json"): found})
    collected = slices.collect(run)
    assert collected is not None
    return collected


def test_the_worst_comes_first_broken_gates_before_all_and_what_is_not_judged_last(part: dict[str, Any]) -> None:
    assert [each["name"] for each in part["slices"]] == ["hour=4", "hour=3", "hour=1", HOSTILE, "hour=2"]
    assert [each["shortfall"] for each in part["slices"]] == [
        pytest.approx(0),
        pytest.approx(2),
        pytest.approx(0.5),
        None,
        None,
    ]
    assert [each["behind"] for each in part["slices"]] == [False, True, False, False, False]
    assert (part["total"], part["judged"], part["behind"], part["broken"]) == (5, 4, 1, 1)


def test_figures_are_those_of_evidence_json(history: Any, part: dict[str, Any]) -> None:
    stored = json.loads((history.home / "artifacts/Evaluator/evaluation/1/evidence.json").read_text())
    assert part["metrics"] == [AUC, "calibration"]
    assert part["overall"] == [{"metric": name, **stored["metrics"][name]} for name in (AUC, "calibration")]
    for each in part["slices"]:
        own = stored["slices"][each["name"]]
        assert (each["n"], each["judged"]) == (own["n"], own["judged"])
        assert each["metrics"] == [{"metric": name, **own["metrics"][name]} for name in (AUC, "calibration")]


def test_less_is_better_turns_the_order(history: Any, make: Any) -> None:
    found = make.evidence(
        {"mae": make.metric(2.0)},
        {"a=1": (50, {"mae": make.metric(1.0, 0.5)}), "a=2": (50, {"mae": make.metric(3.0, 0.5)})},
    )
    part = slices.collect(history.add(1, {("Evaluator", "evaluation", "evidence.json"): found}))
    assert part is not None
    assert [(each["name"], each["shortfall"]) for each in part["slices"]] == [("a=2", 2.0), ("a=1", -2.0)]


def test_a_run_without_an_evaluation_has_no_slices(history: Any) -> None:
    assert slices.collect(history.add(1, outcome="data_blocked")) is None


def test_the_page_escapes_names_and_every_figure_is_in_the_report(part: dict[str, Any]) -> None:
    html = shown(part)
    assert "<script>alert" not in html and "\u202e" not in html
    assert "&lt;script&gt;" in html
    found = re.findall(r'<data value="([^"]*)" data-path="([^"]*)">', html)
    assert len(found) > 40
    for value, path in found:
        kept = figures.at({"slices": part}, path)
        assert value == ("" if kept is None else str(kept)), path
    assert "auc of hour=4 is broken" in html and "too small to judge" in html


def test_a_sensitive_columns_slices_have_numbers_and_no_sentences(history: Any, make: Any) -> None:
    history.task = dataclasses.replace(history.task, sensitive=("company",))
    gap: dict[str, Any] = {
        "value": 0.1,
        "interval": [0.0, 0.2],
        "highest": "company=Ann",
        "lowest": "company=Bob",
        "groups": 2,
        "reason": None,
    }
    rate = {"value": 0.5, "n": 50, "interval": [0.4, 0.6], "compared": True}
    rates = {"selection_rate": rate, "tpr": rate, "fpr": rate, "fnr": rate}
    groups = {"company=Ann": {"n": 60, **rates}, "company=Bob": {"n": 50, **rates}}
    fair = {"company": {"candidate": {"groups": groups, "gaps": {f"{name}_gap": gap for name in rates}}}}
    own = {AUC: make.metric(0.9)}
    found = make.evidence(
        {AUC: make.metric(0.95)},
        {"company=Ann": (60, own), "company=Bob": (50, own), "hour=1": (50, own)},
        fairness=fair,
    )
    run = history.add(1, {("Evaluator", "evaluation", "evidence.json"): found})
    part = slices.collect(run)
    assert part is not None and part["hidden"] == "sensitive"
    assert sorted(each["name"] for each in part["slices"]) == ["company, group 1", "company, group 2", "hour=1"]
    assert part["fairness"][0]["gaps"][0] | {"said": ""} == {
        "rate": "selection_rate", "title": "Selection rate", "said": "", "gate": None, **gap,
        "highest": "company, group 1", "lowest": "company, group 2", "baseline": None,
    }  # fmt: skip
    assert [group["rates"][1]["value"] for group in part["fairness"][0]["groups"]] == [0.5, 0.5]
    html = shown(part)
    assert "Ann" not in html + json.dumps(part) and "Bob" not in html + json.dumps(part)

    unknown = slices.collect(dataclasses.replace(run, task=None))
    assert unknown is not None and unknown["hidden"] == "unknown"
    assert "hour=1" not in json.dumps(unknown)


def test_a_thousand_slices_are_quick_and_the_first_200_are_shown(history: Any, make: Any) -> None:
    own = {name: make.metric(0.9, 0.01, 0.91) for name in (AUC, "auc_pr", "binary_accuracy", "calibration")}
    found = make.evidence(own, {f"hour={number}": (100, own) for number in range(1000)})
    run = history.add(1, {("Evaluator", "evaluation", "evidence.json"): found})
    began = time.process_time()
    part = slices.collect(run)
    assert part is not None
    html = shown(part)
    assert time.process_time() - began < 5
    assert html.count('<th scope="row"') == 200
    assert "The first" in html and len(part["slices"]) == 1000
    assert len(html) < 2_000_000
