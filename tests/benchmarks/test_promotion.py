"""The simulation of the gate, a short one: the shares that it promises, and that its models are as good as it says."""

from math import sqrt

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.promotion import BETTER, PER_SLICE, ROWS, SCENARIOS, Scenario, by_accuracy, by_area, passes


def share(scenario: Scenario, trials: int) -> float:
    return float(np.mean([passed for passed, _ in passes(scenario, trials, seed=7)]))


def test_equal_models_are_seldom_better_and_a_gain_is_found() -> None:
    equal = list(passes(Scenario("equal", by_accuracy(0.0, 0.5), BETTER), 40, seed=7))
    assert np.mean([passed for passed, _ in equal]) <= 0.05
    assert 0.3 < np.mean([naive for _, naive in equal]) < 0.7
    assert share(Scenario("gain", by_accuracy(0.02, 0.5), BETTER), 20) >= 0.8


def test_slices_raise_no_alarm_by_their_number_and_one_that_is_harmed_is_found() -> None:
    assert share(Scenario("equal", by_accuracy(0.0, 0.5), PER_SLICE), 20) >= 0.95
    assert share(Scenario("harmed", by_accuracy(0.0, 0.5, harmed=0.2), PER_SLICE), 10) <= 0.2


def test_the_models_are_as_good_as_they_are_said_to_be() -> None:
    gains, disagreement = [], []
    for trial in range(20):
        columns = by_accuracy(0.02, 0.5)(np.random.default_rng(trial))
        yes = columns.target[:, 0] > 0.5
        right = {model: (given > 0.5) == yes for model, given in columns.answers.items()}
        gains.append(right["candidate"].mean() - right["baseline"].mean())
        disagreement.append((right["candidate"] != right["baseline"]).mean())
    assert np.mean(gains) == pytest.approx(0.02, abs=4 * sqrt(0.13 / ROWS / 20))
    assert np.mean(disagreement) == pytest.approx(0.13, abs=0.02)
    areas = [
        [roc_auc_score(columns.target[:, 0], columns.answers[model]) for model in ("baseline", "candidate")]
        for columns in (by_area(0.02, 0.7)(np.random.default_rng(trial)) for trial in range(10))
    ]
    assert np.mean(areas, axis=0) == pytest.approx([0.85, 0.87], abs=0.01)


def test_every_scenario_says_what_it_asks() -> None:
    asked = {scenario.name: (scenario.least, scenario.most) for scenario in SCENARIOS}
    assert asked["equal, accuracy: better"] == (0.0, 0.05)
    assert asked["2 points more, accuracy: better"] == (0.8, 1.0)
    assert len(asked) == len(SCENARIOS)
