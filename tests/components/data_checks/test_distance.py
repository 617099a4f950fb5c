"""Distances from statistics: known values, ties, tails, missing values, and what chance explains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.data_checks import distance
from components.data_checks.distance import Distance
from components.data_checks.facts import columns_of


@pytest.fixture
def apart(dataset: Callable[..., Any]) -> Callable[..., Distance]:
    """A function: present values, reference values and their column, to the distance."""

    def measured(now: Any, before: Any, column: str = "fare", **options: Any) -> Distance:
        one, other = columns_of(dataset({column: now}))[column], columns_of(dataset({column: before}))[column]
        found = distance.compare(one, other, **options)
        assert found is not None
        return found

    return measured


def test_divergence_in_bits() -> None:
    assert distance.divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    assert distance.divergence(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.0
    # H(1/4) - H(1/2) / 2 - H(0) / 2 = 0.8113 - 0.5
    assert distance.divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == pytest.approx(0.3113, abs=1e-4)


def test_l_infinity_is_the_largest_difference_of_a_share(apart: Callable[..., Distance]) -> None:
    found = apart(["a"] * 50 + ["b"] * 40 + ["c"] * 10, ["a"] * 70 + ["b"] * 30, "company")
    assert (found.value, found.measure) == (pytest.approx(0.2), "l_infinity")
    assert found.where == "a: 70.0% -> 50.0%"


def test_missing_text_is_a_value(apart: Callable[..., Distance]) -> None:
    found = apart(["a"] * 50 + [None] * 50, ["a"] * 90 + [None] * 10, "company")
    assert found.value == pytest.approx(0.4)
    assert apart(["a"] * 50 + [None] * 50, ["a"] * 90 + [None] * 10, "company", missing=False).value == 0.0


def test_equal_numbers_are_not_apart(apart: Callable[..., Distance]) -> None:
    values = np.random.default_rng(1).lognormal(2.0, 1.0, 5000)
    assert apart(values, values).value == pytest.approx(0.0, abs=1e-9)


def test_numbers_without_a_common_value_are_one_apart(apart: Callable[..., Distance]) -> None:
    values = np.random.default_rng(1).uniform(1.0, 2.0, 5000)
    assert apart(values + 10, values).value == 1.0
    assert apart(values, values + 10).value == 1.0


def test_ties_do_not_blur(apart: Callable[..., Distance]) -> None:
    """Of two thirds zeros, a tenth more is seen as just that: 0.6 against 0.7 of the rows."""
    random = np.random.default_rng(1)

    def zeros(share: float) -> np.ndarray:
        return np.where(np.arange(10_000) < share * 10_000, 0.0, random.gamma(3.0, 5.0, 10_000))

    expected = distance.divergence(np.array([0.7, 0.3]), np.array([0.6, 0.4]))
    found = apart(zeros(0.7), zeros(0.6))
    assert found.value == pytest.approx(expected, abs=0.003)
    assert found.where.startswith("0: 60.")


def test_a_constant_column_that_moved(apart: Callable[..., Distance]) -> None:
    assert apart([3.0] * 100, [3.0] * 100).value == 0.0
    assert apart([4.0] * 100, [3.0] * 100).value == 1.0


def test_one_outlier_is_not_a_shift(apart: Callable[..., Distance]) -> None:
    """TFDV's ten equal steps up to the maximum say 0.3 and more of this."""
    values = np.random.default_rng(1).lognormal(2.0, 0.7, 5000)
    assert apart(np.append(values, 100_000.0), values).value < 0.001


@pytest.mark.parametrize(
    ("change", "least"), [(lambda v: v * 100, 0.6), (lambda v: v + 5, 0.2), (lambda v: v * 1.5, 0.05)]
)
def test_a_shift_on_a_long_tail_is_seen(apart: Callable[..., Distance], change: Any, least: float) -> None:
    values = np.random.default_rng(1).lognormal(2.0, 0.7, 5000)
    assert apart(change(values), values).value > least


def test_missing_numbers_are_a_value(apart: Callable[..., Distance]) -> None:
    values = list(np.random.default_rng(1).gamma(3.0, 5.0, 1000))
    gone = [None if i % 2 else value for i, value in enumerate(values)]
    found = apart(gone, values)
    # H(1/4) - H(1/2) / 2 for present against missing; the values themselves are as before.
    assert found.value == pytest.approx(0.3113, abs=0.01)
    assert found.where == "missing: 0.0% -> 50.0%"
    assert apart(gone, values, missing=False).value < 0.02


def test_all_missing_and_no_rows(apart: Callable[..., Distance], dataset: Callable[..., Any]) -> None:
    assert apart([1.0] * 10, [1.0] * 10).value == 0.0
    empty = columns_of(dataset({"fare": [None] * 10}))["fare"]
    full = columns_of(dataset({"fare": [1.0] * 10}))["fare"]
    found = distance.compare(empty, full)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert distance.compare(empty, full, missing=False) is None


def test_text_and_numbers_are_not_compared(dataset: Callable[..., Any]) -> None:
    text = columns_of(dataset({"company": ["a"]}))["company"]
    number = columns_of(dataset({"fare": [1.0]}))["fare"]
    assert distance.compare(text, number) is None


@pytest.mark.parametrize("rows", [60, 300, 3000])
@pytest.mark.parametrize("column", ["fare", "company"])
def test_chance_explains_two_samples_of_one_distribution(
    apart: Callable[..., Distance], rows: int, column: str
) -> None:
    random = np.random.default_rng(7)
    for _ in range(10):
        one, other = random.gamma(3.0, 5.0, (2, rows))
        if column == "company":
            one, other = random.choice(list("abcdefgh"), (2, rows))
        found = apart(one.tolist(), other.tolist(), column)
        assert found.value < found.noise


def test_a_distance_exceeds_its_limit_and_chance() -> None:
    assert Distance(0.2, 0.01, "", "").exceeds(0.1)
    assert not Distance(0.2, 0.3, "", "").exceeds(0.1)
    assert not Distance(0.05, 0.01, "", "").exceeds(0.1)
