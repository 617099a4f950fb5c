"""Figures of a label that is a number against NumPy and TFMA's buckets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline import evaluation
from pipeline.labels import Regression
from pipeline.report.sections.model import regression

RANDOM = np.random.default_rng(8)
TARGET = RANDOM.gamma(2.0, 5.0, (500, 1)).astype(np.float32)
ANSWERS = (TARGET[:, 0] + RANDOM.normal(size=500)).astype(np.float32)


def test_predictions_against_labels(evaluate: Callable[..., str], with_label: Callable[..., Any]) -> None:
    uri = evaluate(with_label(Regression("price"), "mae"), TARGET, ANSWERS)
    (own,) = regression.collect(evaluation.plots(uri), evaluation.plots(uri, evaluation.BASELINE))["calibration"]
    assert own["model"] == "candidate"
    assert sum(bin["rows"] for bin in own["bins"]) == 500
    assert sum(bin["rows"] * bin["observed"] for bin in own["bins"]) == pytest.approx(float(TARGET.sum()), rel=1e-5)
    assert sum(bin["rows"] * bin["predicted"] for bin in own["bins"]) == pytest.approx(float(ANSWERS.sum()), rel=1e-5)


def test_errors_are_numpys() -> None:
    found = regression.errors(TARGET, ANSWERS)
    absolute = np.abs(TARGET.ravel().astype(float) - ANSWERS)
    assert {own["share"]: own["error"] for own in found["quantiles"]} == pytest.approx(
        {q: np.quantile(absolute, q) for q in (0.5, 0.8, 0.9, 0.95, 0.99)}
    )
    assert sum(bar["rows"] for bar in found["histogram"]) == 500
    assert [own["rows"] for own in found["deciles"]] == [50] * 10
    lowest = np.argsort(ANSWERS, kind="stable")[:50]
    assert found["deciles"][0]["mae"] == pytest.approx(absolute[lowest].mean())
    assert found["deciles"][0]["residual"] == pytest.approx((TARGET.ravel() - ANSWERS)[lowest].mean(), rel=1e-4)
    assert np.mean([own["mae"] for own in found["deciles"]]) == pytest.approx(absolute.mean())


def test_rows_with_an_unknown_label_are_left_out() -> None:
    found = regression.errors(np.array([[1.0], [np.nan]]), np.array([3.0, 5.0]))
    assert found["rows"] == 1
    assert found["points"] == [{"prediction": 3.0, "residual": -2.0}]
    assert regression.errors(np.array([[np.nan]]), np.array([1.0]))["deciles"] == []


def test_single_rows_stay_hidden_where_they_must() -> None:
    assert regression.errors(TARGET, ANSWERS, single=False)["points"] == []
    assert len(regression.errors(TARGET, ANSWERS)["points"]) == 200
