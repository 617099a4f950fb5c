"""Rates by group and the gaps between groups, against counts by hand."""

import numpy as np
import pytest

from pipeline.evidence.cuts import cuts
from pipeline.evidence.fairness import decisions, fairness, gap
from pipeline.evidence.intervals import quantile, wilson
from pipeline.labels import Binary, MultiClass


def test_rates_and_gaps() -> None:
    groups = np.array(["a"] * 100 + ["b"] * 100 + ["c"] * 5, object)
    target = np.tile([1.0, 0.0], 103)[:205].reshape(-1, 1)
    answers = np.where(target[:, 0] > 0, 0.9, 0.1)
    answers[:20:2] = 0.1
    answers[101:121:2] = 0.9
    (_, *own) = cuts({"group": groups}, [("group",)], 205)
    found = fairness(own, Binary("y"), "", target, {"candidate": answers}, min_slice=30, confidence=0.95)["candidate"]
    first, second = found["groups"]["group=a"], found["groups"]["group=b"]
    assert (first["tpr"]["value"], first["fnr"]["value"], first["fpr"]["value"]) == pytest.approx((0.8, 0.2, 0.0))
    assert (second["tpr"]["value"], second["fpr"]["value"], second["selection_rate"]["value"]) == pytest.approx(
        (1, 0.2, 0.6)
    )
    assert first["tpr"]["interval"] == wilson(40, 50, quantile(0.95))
    assert (first["selection_rate"]["n"], first["tpr"]["n"]) == (100, 50)
    assert not found["groups"]["group=c"]["tpr"]["compared"]
    rate = found["gaps"]["tpr_gap"]
    assert rate["value"] == pytest.approx(0.2)
    assert (rate["highest"], rate["lowest"], rate["groups"]) == ("group=b", "group=a", 2)
    assert rate["interval"][0] < 0.2 < rate["interval"][1]
    assert found["gaps"]["selection_rate_gap"]["value"] == pytest.approx(0.2)


def test_a_class_that_counts_as_selected() -> None:
    label = MultiClass("y", ("no", "yes", "maybe"))
    target = np.array([[1.0], [0.0], [np.nan]])
    known, positive, selected = decisions(
        label, "yes", target, np.array([[0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [1.0, 0, 0]])
    )
    assert (known.tolist(), positive.tolist()) == ([True, True, False], [True, False, False])
    assert selected.tolist() == [True, True, False]


def test_one_group_has_no_gap() -> None:
    found = gap({"a": (5, 50), "b": (1, 3)}, 30, 0.95)
    assert found["value"] is None
    assert found["reason"] == "1 of 2 groups have 30 rows or more to compare; two are needed"


def test_equal_groups_have_a_gap_by_chance_whose_interval_begins_at_0() -> None:
    """10 groups of 200 rows with the same rate: the largest less the smallest is 0.1, and that proves nothing."""
    random, above = np.random.default_rng(1), 0
    for _ in range(200):
        counts = {str(group): (int(random.binomial(200, 0.3)), 200) for group in range(10)}
        found = gap(counts, 30, 0.95)
        above += found["interval"][0] > 0
        assert found["value"] <= found["interval"][1]
    assert above <= 10


def test_the_interval_of_a_gap_holds_the_truth() -> None:
    random, held = np.random.default_rng(2), 0
    for _ in range(200):
        counts = {name: (int(random.binomial(300, rate)), 300) for name, rate in (("a", 0.2), ("b", 0.35), ("c", 0.3))}
        low, high = gap(counts, 30, 0.95)["interval"]
        held += low <= 0.15 <= high
    assert held >= 190
