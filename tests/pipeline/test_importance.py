"""Permutation importance of models whose use of each column is known."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.importance import Plan, afford, chosen, importance

ROWS = 500


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=ROWS) for name in ("noise", "strong", "weak")}


def answer(given: Mapping[str, np.ndarray]) -> np.ndarray:
    return 3 * given["strong"] + given["weak"]


def squared_error(answers: np.ndarray) -> float:
    return float(((answers - answer(columns())) ** 2).mean())


def test_what_the_model_reads_matters_by_how_much_it_reads_it() -> None:
    found = importance(columns(), answer, squared_error)
    assert [each.column for each in found] == ["strong", "weak", "noise"]
    # Shuffling x adds the variance of c(x' - x), which is 2c² of a standard normal one.
    assert found[0].mean == pytest.approx(18, rel=0.15)
    assert found[1].mean == pytest.approx(2, rel=0.15)
    assert found[2].losses == (0.0,) * 5


def test_the_same_seed_gives_the_same_shuffles() -> None:
    first, same, other = (importance(columns(), answer, squared_error, 3, seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first[0].losses != other[0].losses
    assert len(set(first[0].losses)) == 3


def test_columns_of_text_are_shuffled_too() -> None:
    texts = np.array([b"yes", b"no"] * 50, object)
    found = importance(
        {"said": texts},
        lambda given: (given["said"] == b"yes").astype(float),
        lambda a: float((a != (texts == b"yes")).mean()),
    )
    assert found[0].mean == pytest.approx(0.5, abs=0.1)


@given(st.floats(1e-9, 1.0), st.integers(1, 10**6), st.integers(1, 500))
def test_a_plan_keeps_to_the_budget(seconds: float, rows: int, features: int) -> None:
    plan = afford(seconds, rows, features, 1.5)
    if plan is None:
        assert seconds * features * 3 * min(rows, 400) > 1.5 * 0.99
    else:
        assert plan.rows <= rows
        assert 3 <= plan.repeats <= 5
        assert plan.rows * plan.repeats * features * seconds <= 1.5 * 1.001


def test_rows_are_drawn_where_there_are_too_many() -> None:
    assert chosen(4, Plan(9), seed=1).tolist() == [0, 1, 2, 3]
    some = chosen(1000, Plan(10), seed=1)
    assert len(set(some)) == 10
    assert some.tolist() == sorted(some)
    assert some.tolist() == chosen(1000, Plan(10), seed=1).tolist()
