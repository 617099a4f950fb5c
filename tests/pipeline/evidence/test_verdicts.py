"""Verdicts: which rules hold by value, which by interval, and what the sentences say."""

import math
from typing import Any

import pytest

from pipeline.evidence.cuts import OVERALL, Cut
from pipeline.evidence.standing import Standing
from pipeline.evidence.tables import Measured
from pipeline.evidence.verdicts import verdicts
from pipeline.gates import Evaluation, Gate

COMPARED, FIRST = Standing("compared"), Standing("none")
NAN = math.nan


def measured(
    metric: str,
    value: float,
    base: float = NAN,
    *,
    error: float = 0.01,
    off: float = 0.004,
    name: str = OVERALL,
    **given: Any,
) -> Measured:
    cross = () if name == OVERALL else tuple(part.split("=")[0] for part in name.split(", "))
    cut = Cut(name, cross, None, given.pop("n", 1000))
    values = {"support": 1000, "same": False, "problem": "", **given}
    return Measured(metric, cut, value, base, error, NAN if math.isnan(base) else off, **values)


def verdict(gate: Gate, *found: Measured, standing: Standing = COMPARED, **settings: Any) -> dict[str, Any]:
    slices = () if gate.per is None else (gate.per,)
    rules = Evaluation(metrics=(gate.metric,), slices=slices, gates=(gate,), **settings)
    table = {(each.cut.name, each.metric): each for each in found}
    (judged,) = verdicts(rules, [each.cut for each in found], table, {}, standing)
    assert judged["name"] == str(gate)
    return judged


@pytest.mark.parametrize(
    ("gate", "value", "passed", "how"),
    [
        (Gate("auc", at_least=0.9), 0.9, True, "at least 0.9: holds, judged by the value."),
        (Gate("auc", at_least=0.9), 0.899, False, "at least 0.9: broken, as the value is below it."),
        (Gate("mae", at_most=2.0), 2.0, True, "at most 2: holds, judged by the value."),
        (Gate("mae", at_most=2.0), 2.001, False, "at most 2: broken, as the value is above it."),
    ],
)
def test_of_all_rows_the_value_decides_on_a_bound(gate: Gate, value: float, passed: bool, how: str) -> None:
    found = verdict(gate, measured(gate.metric, value))
    assert (found["passed"], found["reason"].endswith(how)) == (passed, True), found["reason"]


@pytest.mark.parametrize(
    ("gate", "difference", "passed"),
    [
        # The interval of the difference reaches 1.96 * 0.004 = 0.0078 to either side.
        (Gate("auc", better_by=0.0), 0.0080, True),
        (Gate("auc", better_by=0.0), 0.0077, False),
        (Gate("auc", better_by=0.01), 0.0180, True),
        (Gate("auc", better_by=0.01), 0.0170, False),
        (Gate("mae", better_by=0.0), -0.0080, True),
        (Gate("mae", better_by=0.0), -0.0077, False),
        (Gate("mae", better_by=0.0), 0.0080, False),
        (Gate("auc", no_worse_by=0.01), 0.0, True),
        (Gate("auc", no_worse_by=0.01), -0.0021, True),
        (Gate("auc", no_worse_by=0.01), -0.0023, False),
        (Gate("mae", no_worse_by=0.01), 0.0021, True),
        (Gate("mae", no_worse_by=0.01), 0.0023, False),
        (Gate("auc", no_worse_by=0.01, proof="harm"), -0.0177, True),
        (Gate("auc", no_worse_by=0.01, proof="harm"), -0.0179, False),
        (Gate("mae", no_worse_by=0.01, proof="harm"), 0.0177, True),
        (Gate("mae", no_worse_by=0.01, proof="harm"), 0.0179, False),
    ],
)
def test_the_interval_of_the_difference_decides_on_a_comparison(gate: Gate, difference: float, passed: bool) -> None:
    assert verdict(gate, measured(gate.metric, 0.9 + difference, 0.9))["passed"] == passed


def test_a_sentence_says_it_all() -> None:
    found = verdict(Gate("auc", no_worse_by=0.005), measured("auc", 0.951, 0.95, off=0.002, n=4980))
    assert found["reason"] == (
        "auc of all rows (n = 4,980): candidate 0.9510, baseline 0.9500, difference +0.0010, 95 % interval of the "
        "difference -0.0029 to +0.0049. Rule: no worse than the baseline by more than 0.005: holds, as the whole interval "
        "is above -0.005."
    )
    expected = {
        "metric": "auc",
        "slice": "overall",
        "candidate": 0.951,
        "baseline": 0.95,
        "n": 4980,
        "corrected_for": 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["difference"] == pytest.approx(0.001)
    assert found["interval"] == pytest.approx([-0.00292, 0.00492], abs=1e-5)
    assert found["rule"] == "no worse than the baseline by more than 0.005"


def test_a_model_that_answers_alike_is_no_worse_and_not_better() -> None:
    same = measured("auc", 0.9, 0.9, off=0.0, same=True)
    assert verdict(Gate("auc", no_worse_by=0.0), same)["passed"]
    assert not verdict(Gate("auc", better_by=0.0), same)["passed"]


def test_equal_decisions_of_different_models_prove_as_much_as_their_rows() -> None:
    """No spread at all in 100 rows, all of them right: what was seen in none may happen in 3.6 % of them."""
    found = measured("accuracy", 1.0, 1.0, error=0.0, off=0.0, support=100)
    assert verdict(Gate("accuracy", no_worse_by=0.04), found)["passed"]
    assert not verdict(Gate("accuracy", no_worse_by=0.03), found)["passed"]
    assert verdict(Gate("accuracy", at_least=0.9), found)["interval"] == pytest.approx([1 - 0.0362, 1.0], abs=1e-4)


def test_a_first_run_passes_comparisons_and_no_bounds() -> None:
    gate = Gate("auc", at_least=0.9, no_worse_by=0.0, better_by=0.1)
    found = verdict(gate, measured("auc", 0.95), standing=FIRST)
    assert found["passed"]
    assert found["reason"].count("holds, as there is no baseline to compare with on a first run") == 2
    assert not verdict(gate, measured("auc", 0.85), standing=FIRST)["passed"]


@pytest.mark.parametrize("status", ["missing", "unloadable", "other_label", "unreadable"])
@pytest.mark.parametrize("per", [None, "hour"])
def test_what_is_not_comparable_fails_comparisons_only(status: Any, per: str | None) -> None:
    standing = Standing(status, "this is why")
    name = "hour=1" if per else OVERALL
    found = verdict(Gate("auc", no_worse_by=0.5, per=per), measured("auc", 0.95, name=name), standing=standing)
    assert not found["passed"]
    assert "--force-promote REASON (this is why)" in found["reason"]
    assert verdict(Gate("auc", at_least=0.9, per=per), measured("auc", 0.95, name=name), standing=standing)["passed"]


def hours(count: int, **given: Any) -> list[Measured]:
    return [measured("auc", 0.9, 0.9, name=f"hour={hour}", **given) for hour in range(count)]


def test_slices_are_corrected_for_their_number() -> None:
    gate = Gate("auc", no_worse_by=0.0, per="hour")
    worse = measured("auc", 0.89, 0.9, name="hour=99")
    assert not verdict(gate, worse)["passed"]
    found = verdict(gate, worse, *hours(19))
    assert found["passed"]
    assert (found["corrected_for"], found["slice"]) == (20, "hour=99")
    assert "corrected for 20 slices" in found["reason"]
    assert found["reason"].startswith("All 20 slices hold. The closest: auc of hour=99 (n = 1,000): candidate 0.8900")
    much = measured("auc", 0.88, 0.9, name="hour=99")
    broken = verdict(gate, much, *hours(19))
    assert not broken["passed"]
    assert broken["reason"].endswith("broken, as the whole interval is below 0.")
    assert [check["slice"] for check in broken["checks"] if not check["passed"]] == ["hour=99"]


def test_a_slices_bound_is_broken_by_a_whole_interval() -> None:
    gate = Gate("auc", at_least=0.9, per="hour")
    assert verdict(gate, measured("auc", 0.885, name="hour=1"))["passed"]
    assert not verdict(gate, measured("auc", 0.875, name="hour=1"))["passed"]
    assert not verdict(Gate("auc", at_most=0.9, per="hour"), measured("auc", 0.925, name="hour=1"))["passed"]


def test_no_harm_can_be_asked_of_each_slice() -> None:
    gate = Gate("auc", no_worse_by=0.01, per="hour", proof="no_harm")
    assert verdict(gate, *hours(1))["passed"]
    assert not verdict(gate, *hours(20))["passed"]


def test_small_and_undefined_slices_are_listed() -> None:
    small = measured("auc", 0.1, 0.9, name="hour=1", n=29)
    single = measured("auc", NAN, NAN, name="hour=2", problem="it is not defined on these rows")
    found = verdict(
        Gate("auc", no_worse_by=0.0, per="hour"),
        small,
        single,
        *hours(1, n=30)[:0],
        measured("auc", 0.9, 0.9, name="hour=3"),
    )
    assert found["passed"]
    assert found["not_judged"] == [
        "hour=1 (n = 29): fewer than 30 rows",
        "hour=2 (n = 1,000): it is not defined on these rows",
    ]
    assert found["reason"].endswith("Not judged: 2 slices.")
    nothing = verdict(Gate("auc", no_worse_by=0.0, per="hour"), small)
    assert not nothing["passed"]
    assert (
        "none of 1 slices of hour could be judged: hour=1 (n = 29): fewer than 30 rows. Next: more rows"
        in nothing["reason"]
    )
    assert not verdict(Gate("auc", no_worse_by=0.0, per="hour"))["passed"]


def test_answers_that_are_no_numbers_fail_where_they_are() -> None:
    broken = measured("auc", NAN, 0.9, name="hour=1", problem="the candidate's answer is not a number in 3 rows")
    for name in (OVERALL, "hour=1"):
        gate = Gate("auc", no_worse_by=0.5, per=None if name == OVERALL else "hour")
        own = broken if name != OVERALL else measured("auc", NAN, problem=broken.problem)
        found = verdict(gate, own)
        assert not found["passed"]
        assert "candidate not computed, the candidate's answer is not a number in 3 rows" in found["reason"]


def test_no_interval_proves_nothing() -> None:
    unknown = measured("auc", 0.8, 0.9, error=NAN, off=NAN, name="hour=1")
    assert verdict(Gate("auc", no_worse_by=0.0, at_least=0.9, per="hour"), unknown)["passed"]
    overall = measured("auc", 0.9, 0.9, off=NAN)
    assert not verdict(Gate("auc", no_worse_by=0.0), overall)["passed"]
    assert not verdict(Gate("auc", better_by=0.0), overall)["passed"]


def test_three_failures_are_shown_and_the_rest_counted() -> None:
    bad = [measured("auc", 0.5, 0.9, name=f"hour={hour}") for hour in range(5)]
    found = verdict(Gate("auc", no_worse_by=0.0, per="hour"), *bad)
    assert found["reason"].count("broken") == 3
    assert found["reason"].endswith("(and 2 more)")


def test_a_cross_is_found_in_any_order() -> None:
    found = measured("auc", 0.9, 0.9, name="day=1, hour=2")
    assert verdict(Gate("auc", no_worse_by=0.1, per=("hour", "day")), found)["passed"]


def test_a_gap_is_broken_by_a_whole_interval() -> None:
    gate = Gate("tpr_gap", at_most=0.1, per="company")
    rules = Evaluation(metrics=("auc",), gates=(gate,), fairness=("company",))

    def judge(value: float | None, interval: list[float] | None, reason: str | None = None, groups: int = 2) -> Any:
        own = {"value": value, "interval": interval, "highest": "a", "lowest": "b", "groups": groups, "reason": reason}
        found = {"candidate": {"groups": {str(i): {"n": 50} for i in range(groups)}, "gaps": {"tpr_gap": own}}}
        (judged,) = verdicts(rules, [], {}, {"company": found}, COMPARED)
        return judged

    assert judge(0.2, [0.09, 0.3])["passed"]
    broken = judge(0.3, [0.11, 0.4])
    assert not broken["passed"]
    assert broken["reason"] == (
        "tpr_gap of company (n = 100): candidate 0.3000, between a and b, 95 % interval of the candidate 0.1100 to 0.4000, "
        "corrected for the pairs of 2 groups. Rule: at most 0.1: broken, as the whole interval is above it."
    )
    assert not judge(None, None, "too few rows")["passed"]
    assert judge(None, None, "one group", groups=1)["passed"]
