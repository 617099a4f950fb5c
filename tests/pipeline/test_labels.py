"""Labels: the target against NumPy, the columns they need, the settings they refuse."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.expressions import Column
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression, Scale

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


def test_a_text_is_its_position_among_the_names() -> None:
    label = MultiClass("animal", ("cat", "dog", "owl"))
    column = np.array([b"dog", b"cat", b"owl", b"Dog", b"", b" cat"], object)
    np.testing.assert_array_equal(target(label, animal=column), [1, 0, 2, NAN, NAN, NAN])
    assert (label.units, label.shape, label.classes) == (3, (1,), ("cat", "dog", "owl"))


def test_an_integer_is_a_position_unless_every_name_is_one() -> None:
    column = np.array([0, 2, 3, -1, 7, 0.5, NAN], np.float32)
    named = MultiClass("n", ("cat", "dog", "owl"))
    np.testing.assert_array_equal(target(named, n=column), [0, 2, NAN, NAN, NAN, NAN, NAN])
    numbers = MultiClass("n", ("3", "7", "2"))
    np.testing.assert_array_equal(target(numbers, n=column), [NAN, 2, 0, NAN, 1, NAN, NAN])
    padded = MultiClass("n", ("03", "07", "02"))
    np.testing.assert_array_equal(target(padded, n=column), [0, 2, NAN, NAN, NAN, NAN, NAN])


def test_a_number_of_classes_names_them() -> None:
    label = MultiClass("digit", 10)
    assert label.classes == tuple("0123456789")
    assert label == MultiClass("digit", tuple("0123456789"))
    texts = np.array([b"7", b"0", b"10", b""], object)
    np.testing.assert_array_equal(target(label, digit=texts), [7, 0, NAN, NAN])
    np.testing.assert_array_equal(target(label, digit=np.array([7, 0, 10], np.float32)), [7, 0, NAN])


def test_names_joined_by_a_separator_are_each_yes() -> None:
    label = MultiLabel("tags", ("a", "b", "c"))
    column = np.array([b"a", b"c|a", b" b | a ", b"", b"a|x", b"a||b", b"a|a", b"-"], object)
    unknown = [NAN] * 3
    np.testing.assert_array_equal(
        target(label, tags=column),
        [[1, 0, 0], [1, 0, 1], [1, 1, 0], unknown, unknown, unknown, [1, 0, 0], unknown],
    )
    assert (label.units, label.shape, label.classes) == (3, (3,), ("a", "b", "c"))
    none = MultiLabel("tags", ("a", "b", "c"), separator=", ", none="-")
    received = target(none, tags=np.array([b"-", b"a, c", b"a|c", b"", b"-, a"], object))
    np.testing.assert_array_equal(received, [[0, 0, 0], [1, 0, 1], unknown, unknown, unknown])
    assert target(none, tags=np.array([], object)).shape == (0, 3)


SCORES = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_one_class_is_the_cross_entropy_of_the_softmax(smoothing: float) -> None:
    label = MultiClass("animal", 3, label_smoothing=smoothing)
    logs = np.log(softmax(SCORES))
    expected = -(1 - smoothing) * logs[[0, 1], [2, 0]] - smoothing * logs.mean(1)
    np.testing.assert_allclose(label.losses(np.array([[2.0], [0.0]], np.float32), SCORES, Scale()), expected, rtol=1e-6)
    assert np.isnan(label.losses(np.array([[NAN], [0.0]], np.float32), SCORES, Scale())).tolist() == [True, False]


def test_the_loss_of_several_classes_is_the_mean_of_their_cross_entropies() -> None:
    label = MultiLabel("tags", ("a", "b", "c"))
    wanted = np.array([[1, 0, 1], [0, 0, 0]], np.float32)
    yes = 1 / (1 + np.exp(-SCORES))
    expected = -(wanted * np.log(yes) + (1 - wanted) * np.log(1 - yes)).mean(1)
    np.testing.assert_allclose(label.losses(wanted, SCORES, Scale()), expected, rtol=1e-5)
    assert np.isnan(label.losses(np.full((2, 3), NAN, np.float32), SCORES, Scale())).all()


def test_answers_have_the_names_of_the_classes() -> None:
    one = {k: v.numpy() for k, v in MultiClass("animal", ("cat", "dog", "owl")).answers(SCORES, Scale()).items()}
    assert set(one) == {"probabilities", "classes", "class"}
    np.testing.assert_allclose(one["probabilities"], softmax(SCORES), rtol=1e-6)
    assert one["classes"].tolist() == [[b"cat", b"dog", b"owl"]] * 2
    assert one["class"].tolist() == [b"cat", b"owl"]
    label = MultiLabel("tags", ("a", "b", "c"), threshold=0.6)
    several = {k: v.numpy() for k, v in label.answers(SCORES, Scale()).items()}
    assert set(several) == {"probabilities", "classes", "chosen"}
    np.testing.assert_allclose(several["probabilities"], 1 / (1 + np.exp(-SCORES)), rtol=1e-6)
    assert several["chosen"].tolist() == [[True, False, True], [False, False, True]]
    assert several["classes"].tolist() == [[b"a", b"b", b"c"]] * 2


def test_class_of_each_target() -> None:
    assert MultiClass("animal", 3).class_of(np.array([[2.0], [0.0]], np.float32)).numpy().tolist() == [2, 0]
    assert Binary("paid").class_of(np.array([[1.0], [0.0]], np.float32)).numpy().tolist() == [1, 0]
    assert (Binary("paid").classes, Regression("fare").classes) == (("no", "yes"), ())
    for label in (Regression("fare"), MultiLabel("tags", ("a", "b"))):
        with pytest.raises(TaskError, match=f"Binary or MultiClass. Received: {type(label).__name__}"):
            label.class_of(np.zeros((2, 1), np.float32))


def test_what_is_watched_in_training_is_measured_on_the_main_answer() -> None:
    one = MultiClass("animal", 5)
    scores = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]], np.float32)
    watched = watch(one, np.array([[0], [2], [0]], np.float32), scores)
    assert watched == pytest.approx({"accuracy": 1 / 3, "top_3_accuracy": 2 / 3})
    several = MultiLabel("tags", ("a", "b"))
    scores = np.array([[3, -1], [-3, 1]], np.float32)
    assert watch(several, np.array([[1, 0], [1, 1]], np.float32), scores)["hamming_accuracy"] == 0.75
    assert watch(Binary("paid"), np.array([[1], [0]], np.float32), np.array([[2], [3]], np.float32)) == pytest.approx(
        {"binary_accuracy": 0.5, "auc": 0.0}, abs=1e-6
    )
    assert watch(Regression("fare"), np.array([[1], [0]], np.float32), np.array([[2], [3]], np.float32)) == (
        pytest.approx({"mae": 2.0, "rmse": 5**0.5})
    )


def watch(label: Label, wanted: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    watched = label.metrics()
    for metric in watched.values():
        metric.update_state(wanted, label.answers(scores, Scale())[label.output])
    return {name: float(metric.result()) for name, metric in watched.items()}


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Binary(""), ["Binary", "needs a column", "name=''"]),
        (lambda: Regression("fare", loss="log"), ["'fare'", "'huber', 'mse' or 'mae'", "loss='log'"]),
        (lambda: Regression("fare", clip=(5.0, 5.0)), ["'fare'", "low < high", "clip=(5.0, 5.0)"]),
        (lambda: MultiClass("a"), ["'a' (MultiClass)", "at least 2", "classes=()"]),
        (lambda: MultiClass("a", 1), ["at least 2", "classes=('0',)"]),
        (lambda: MultiClass("a", ("x", "y", "x")), ["each name once", "classes=['x']"]),
        (lambda: MultiClass("a", ("x", "")), ["none empty", "classes=['']"]),
        (lambda: MultiClass("a", {"x", "y"}), ["names in quotation marks, in an order"]),
        (lambda: MultiClass("a", "xyz"), ["names in quotation marks", "classes='xyz'"]),
        (lambda: MultiClass("a", (1, 2)), ["names in quotation marks", "classes=(1, 2)"]),
        (lambda: MultiClass("a", ("1", "20000000")), ["[0, 16,777,216)", "classes=[20000000]"]),
        (lambda: MultiClass("a", 3, label_smoothing=1.0), ["share in [0, 1)", "label_smoothing=1.0"]),
        (lambda: MultiLabel("a"), ["'a' (MultiLabel)", "at least 1"]),
        (lambda: MultiLabel("a", ("x|y", "z")), ["no name with '|'", "classes=['x|y']"]),
        (lambda: MultiLabel("a", ("x", "-"), none="-"), ["nor '-'", "classes=['-']"]),
        (lambda: MultiLabel("a", ("x",), separator=""), ["separator=''"]),
        (lambda: MultiLabel("a", ("x",), threshold=1.0), ["threshold=1.0"]),
        (lambda: Regression("fare", clip=(NAN, 5.0)), ["'fare'", "low < high", "clip=(nan, 5.0)"]),
    ],
)
def test_a_wrong_setting_is_refused_with_label_rule_and_value(make: Callable[[], Label], parts: list[str]) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)
