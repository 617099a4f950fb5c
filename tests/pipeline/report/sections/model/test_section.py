"""The section as a whole: what of a run it shows, and the page that it makes of hostile names."""

import html
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import evaluation
from pipeline.labels import MultiClass, Regression
from pipeline.report import figures, page, written
from pipeline.report.sections import model
from pipeline.report.sections.model import earlier, rows
from pipeline.report.sources import Run
from pipeline.task import Task
from pipeline.train import account
from pipeline.train.validation import Validation

FIGURE = re.compile(r'<data value="([^"]*)" data-path="([^"]*)">')


def drawn(part: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """report.json and the section's HTML."""
    report = {"model": written.plain(part)}
    return report, str(page.section("model", report, model.charts(report["model"])))


@pytest.fixture(scope="module")
def run(
    tiny: Task,
    with_label: Any,
    tiny_data: Any,
    exported: str,
    evaluate: Any,
    run_of: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A run of the tiny task that came to its evaluation."""
    folder = tmp_path_factory.mktemp("artifacts")
    (folder / "examples" / "Split-eval").mkdir(parents=True)
    shutil.copy(tiny_data.raw_files[0], folder / "examples" / "Split-eval")
    asked = rows.of_files(f"{exported}/Format-Serving", tiny.label, tiny_data.raw_files)
    assert asked is not None
    history = [Validation(3, {"loss": 0.5, "val_loss": 0.4, "val_auc": 0.5})]
    (folder / account.TRAINING).write_text(json.dumps(account.training(history, 3)))
    return run_of(
        tiny,
        {
            ("Trainer", "model"): exported,
            ("Trainer", "model_run"): str(folder),
            ("ExampleGen", "examples"): str(folder / "examples"),
            ("Evaluator", "evaluation"): evaluate(with_label(tiny.label, "auc"), asked.target, asked.answers),
        },
    )


def test_the_model_is_not_asked_again_where_an_earlier_report_has_what_it_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(run, folder=tmp_path / "runs" / "2")
    told = model.collect(here)
    assert told is not None
    earlier_report = tmp_path / "reports" / "1" / "report.json"
    earlier_report.parent.mkdir(parents=True)
    written.write_json(earlier_report, written.plain({"model": told}))
    later = tmp_path / "reports" / "2" / "report.json"
    later.parent.mkdir()
    later.write_text('{"model": null}')
    asked: list[Any] = []
    monkeypatch.setattr(rows, "ask", lambda *args: asked.append(args))
    again = model.collect(here)
    assert written.plain(again) == written.plain(told)
    assert asked == []
    monkeypatch.setattr(earlier, "code", lambda: "edited")
    assert model.collect(here)["asked"] is None  # type: ignore[index]
    assert len(asked) == 1


def test_every_figure_of_the_page_is_in_report_json(run: Run) -> None:
    part = model.collect(run)
    assert part is not None
    assert part["missing"] == []
    report, content = drawn(part)
    found = FIGURE.findall(content)
    assert len(found) > 100
    for value, path in found:
        stored = figures.at(report, path)
        assert html.unescape(value) == ("" if stored is None else str(stored))


def test_rows_counts_and_tfmas_points_agree(run: Run) -> None:
    part = model.collect(run)
    assert part is not None
    at = part["binary"]["at"]
    assert at["tp"] + at["fp"] + at["tn"] + at["fn"] == part["asked"]["rows"] == part["asked"]["of"] == 300
    uri = str(run.uri("Evaluator", "evaluation"))
    assert part["binary"]["points"][0] in model.binary.points_of(evaluation.plots(uri))
    assert part["importance"]["metric"] == "auc"
    assert part["examples"]["columns"] == [own["name"] for own in part["importance"]["features"]]


def test_the_points_of_the_explorer_are_json(run: Run) -> None:
    part = model.collect(run)
    assert part is not None
    _, content = drawn(part)
    (points,) = re.findall(r'<script type="application/json" class="points">(.*?)</script>', content)
    assert json.loads(points) == part["binary"]["points"]


def test_sensitive_columns_are_not_on_the_page(run: Run, tiny: Task) -> None:
    hidden = replace(tiny, sensitive=("company", "miles"))
    part = model.collect(replace(run, task=hidden))
    assert part is not None
    assert not {"company", "miles"} & set(part["examples"]["columns"])
    label = replace(tiny, sensitive=("tips",))
    found = model.collect(replace(run, task=label))
    assert found is not None
    assert found["examples"]["rows"] == []


def test_a_run_without_a_trainer_has_no_section(tiny: Task, run_of: Any) -> None:
    assert model.collect(run_of(tiny, {})) is None


def test_what_is_missing_is_said(tiny: Task, run_of: Any, exported: str) -> None:
    part = model.collect(run_of(tiny, {("Trainer", "model"): exported}))
    assert part is not None
    assert len(part["missing"]) == 2
    assert "before the model was evaluated" in drawn(part)[1]
    gone = model.collect(run_of(None, {("Trainer", "model"): exported}))
    assert gone is not None
    assert "can&#39;t be loaded" in drawn(gone)[1]


def test_a_model_that_is_gone_leaves_what_tfma_counted(run: Run, tmp_path: Path) -> None:
    artifacts = {key: found for key, found in run.artifacts.items() if key != ("ExampleGen", "examples")}
    part = model.collect(replace(run, artifacts=artifacts))
    assert part is not None
    assert (part["binary"] is not None, part["examples"], part["importance"]) == (True, None, None)
    assert "not on this machine any more" in drawn(part)[1]


HOSTILE = ("<script>alert(1)</script>", "\u202egnp", '"><img src=x onerror=alert(1)>')


def test_names_of_classes_are_escaped(with_label: Any, evaluate: Any, run_of: Any, exported: str) -> None:
    task = with_label(MultiClass("kind", classes=HOSTILE), "accuracy")
    answers = np.random.default_rng(0).dirichlet([1, 1, 1], 60).astype(np.float32)
    uri = evaluate(task, np.arange(60).reshape(-1, 1) % 3, answers)
    part = model.collect(run_of(task, {("Trainer", "model_run"): exported, ("Evaluator", "evaluation"): uri}))
    assert part is not None
    _, content = drawn(part)
    assert "<script>alert" not in content
    assert "<img" not in content
    assert "\u202e" not in content
    assert "&lt;script&gt;alert(1)" in content


def test_texts_and_values_are_escaped(run: Run) -> None:
    part = model.collect(run)
    assert part is not None
    found = {"expected": "<b>x</b>", "predicted": "no", "score": 0.5, "values": ["<svg onload=1>", None, 3, 0.25]}
    part["examples"] |= {"rows": [found], "columns": ["<u>a</u>", "b", "c", "d"]}
    _, content = drawn(part)
    assert not re.search(r"<(b|u|svg onload)>", content)
    assert "&lt;svg onload=1&gt;" in content
    part["examples"] |= {"kind": "texts", "rows": [found | {"text": "<script>1</script>"}]}
    assert "<script>1" not in drawn(part)[1]


def test_a_number_has_its_errors_and_charts(with_label: Any, evaluate: Any, run_of: Any, exported: str) -> None:
    task = with_label(Regression("price"), "mae")
    target = np.random.default_rng(0).random((90, 1))
    uri = evaluate(task, target, target[:, 0].astype(np.float32) + 0.1)
    part = model.collect(run_of(task, {("Trainer", "model_run"): exported, ("Evaluator", "evaluation"): uri}))
    assert part is not None
    part["errors"] = model.regression.errors(target, target[:, 0] + 0.1)
    charts = model.charts(written.plain(part))
    assert set(charts) == {"predicted", "residuals", "deciles", "scatter"}
    assert "at most" in drawn(part)[1]


def test_serving_lite_and_trials(run_of: Callable[..., Run], exported: str) -> None:
    check = {"name": "serving load", "passed": False, "reason": "<b>late</b>"}
    entry = {"passed": False, "may_fail": True, "reason": "too far off", "bytes": 2048, "milliseconds": 0.1}
    record = {
        "serving": {"checks": [check], "milliseconds": {"p50": 1.5, "p99": 9.0}, "memory_mb": 700.0},
        "lite": {
            "part": "the whole graph",
            "not_converted": "",
            "full": {"bytes": 9000, "milliseconds": 0.3, "rows": 100, "metrics": {"auc": 0.9}},
            "formats": {"int8": entry | {"max_difference": 0.4, "agreement": 0.91, "metrics": {"auc": 0.8}}},
        },
        "tuning": {
            **{"best": {"model.l2": 0.1}, "objective": "val_loss", "direction": "min", "algorithm": "random"},
            "trials": [{"value": 0.5, "values": {"model.l2": 0.1}}, {"value": None, "values": {}, "reason": "broke"}],
        },
    }
    part = model.collect(run_of(None, {("Trainer", "model"): exported}, **record))
    assert part is not None
    assert [own["value"] for own in part["lite"]["formats"]] == [0.9, 0.8]
    _, content = drawn(part)
    assert "&lt;b&gt;late" in content
    assert "1.50</data> ms (median)" in content
    assert "left out" in content
    assert "broke" in content


def test_nothing_converted(run_of: Callable[..., Run], exported: str) -> None:
    lite = {
        "part": None,
        "not_converted": "it reads text",
        "formats": {"int8": {"passed": False, "may_fail": False, "reason": "x"}},
    }
    part = model.collect(run_of(None, {("Trainer", "model"): exported}, lite=lite))
    assert part is not None
    assert "Nothing was converted: " in drawn(part)[1]
