"""Expressions over columns: the same arithmetic as NumPy's, the columns they read, how they read as text."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.expressions import Column, Expression

TIPS, FARE = Column("tips"), Column("fare")
VALUES = {"tips": np.array([0.0, 2.0, 3.0, np.nan]), "fare": np.array([10.0, 10.0, 10.0, 10.0])}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (TIPS + FARE, VALUES["tips"] + VALUES["fare"]),
        (1 + TIPS, 1 + VALUES["tips"]),
        (TIPS - 1, VALUES["tips"] - 1),
        (1 - TIPS, 1 - VALUES["tips"]),
        (TIPS * 2, VALUES["tips"] * 2),
        (2 * TIPS, VALUES["tips"] * 2),
        (TIPS / FARE, VALUES["tips"] / VALUES["fare"]),
        (1 / FARE, 1 / VALUES["fare"]),
        (TIPS > 0.2 * FARE, VALUES["tips"] > 0.2 * VALUES["fare"]),
        (TIPS >= 2, VALUES["tips"] >= 2),
        (TIPS < 2, VALUES["tips"] < 2),
        (TIPS <= 2, VALUES["tips"] <= 2),
        ((TIPS + FARE) * (TIPS - 1), (VALUES["tips"] + VALUES["fare"]) * (VALUES["tips"] - 1)),
    ],
)
def test_value_is_numpys_and_tensorflows(expression: Expression, expected: np.ndarray) -> None:
    np.testing.assert_allclose(expression.evaluate(VALUES), expected)
    tensors = {name: tf.constant(value, tf.float32) for name, value in VALUES.items()}
    np.testing.assert_allclose(expression.evaluate(tensors).numpy(), expected, rtol=1e-6)


def test_a_python_comparison_with_the_number_first_is_turned_round() -> None:
    np.testing.assert_array_equal((2 < TIPS).evaluate(VALUES), [False, False, True, False])


def test_columns_are_those_that_it_reads() -> None:
    assert (TIPS > 0.2 * FARE).columns == {"tips", "fare"}
    assert (TIPS * TIPS).columns == {"tips"}


def test_text_has_the_operators_and_their_order() -> None:
    assert str(TIPS > 0.2 * FARE) == "(tips > (0.2 * fare))"


def test_equal_expressions_are_equal_and_have_the_same_repr() -> None:
    assert (TIPS > 0.2 * FARE) == (Column("tips") > 0.2 * Column("fare"))
    assert repr(TIPS > 0.2 * FARE) != repr(TIPS > 0.3 * FARE)


def test_a_chain_is_refused_as_it_would_lose_one_half() -> None:
    a, b = Column("a"), Column("b")
    for wrong in (
        lambda: 0 <= a <= 9,
        lambda: (a > 0) and (b > 0),
        lambda: (a > 0) & (b > 0),
        lambda: (a > 0) | (b > 0),
    ):
        with pytest.raises(TaskError, match="expected one comparison"):
            wrong()
