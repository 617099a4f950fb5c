"""Labels: the target against NumPy, the columns they need, the settings they refuse."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.expressions import Column
from pipeline.labels import Binary, Label, Regression

NAN = float("nan")
TIPS = np.array([0.0, 2.0, 2.1, 5.0, NAN, 1.0], np.float32)
FARE = np.array([10.0, 10.0, 10.0, NAN, 10.0, 0.0], np.float32)


def target(label: Label, **columns: np.ndarray) -> np.ndarray:
    values: np.ndarray = label.target({name: tf.constant(column) for name, column in columns.items()}).numpy()
    assert values.dtype == np.float32
    return values


def test_binary_is_its_column() -> None:
    column = np.array([0.0, 1.0, NAN], np.float32)
    np.testing.assert_array_equal(target(Binary("paid"), paid=column), column)
    assert Binary("paid").columns == {"paid"}


def test_binary_where_compares_with_an_expression_and_takes_missing_as_no() -> None:
    label = Binary.where("tips", greater_than=0.2 * Column("fare"))
    with np.errstate(invalid="ignore"):
        expected = (TIPS > np.float32(0.2) * FARE).astype(np.float32)
    np.testing.assert_array_equal(target(label, tips=TIPS, fare=FARE), expected)
    assert expected.tolist() == [0, 0, 1, 0, 0, 1]
    assert label.columns == {"tips", "fare"}


def test_binary_where_compares_with_a_number() -> None:
    label = Binary.where("tips", greater_than=2)
    assert target(label, tips=TIPS).tolist() == [0, 0, 1, 1, 0, 0]
    assert label.columns == {"tips"}


def test_regression_is_its_column_clipped() -> None:
    column = np.array([-5.0, 3.0, 500.0], np.float32)
    assert target(Regression("fare"), fare=column).tolist() == [-5, 3, 500]
    assert target(Regression("fare", clip=(0.0, 100.0)), fare=column).tolist() == [0, 3, 100]


def test_names_and_outputs() -> None:
    assert (Binary("tips").transformed, Binary("tips").output) == ("tips_label", "probability")
    assert (Regression("fare").transformed, Regression("fare").output) == ("fare_label", "prediction")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Binary(""), ["Binary", "needs a column", "name=''"]),
        (lambda: Regression("fare", loss="log"), ["'fare'", "'huber', 'mse' or 'mae'", "loss='log'"]),
        (lambda: Regression("fare", clip=(5.0, 5.0)), ["'fare'", "low < high", "clip=(5.0, 5.0)"]),
        (lambda: Regression("fare", clip=(NAN, 5.0)), ["'fare'", "low < high", "clip=(nan, 5.0)"]),
    ],
)
def test_a_wrong_setting_is_refused_with_label_rule_and_value(make: Callable[[], Label], parts: list[str]) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)
