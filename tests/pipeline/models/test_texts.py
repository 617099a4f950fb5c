"""Families for texts, by hand-set weights."""

from typing import Any

import numpy as np
import pytest

from pipeline.features import Text
from pipeline.models.text_bag import TextBag
from pipeline.models.text_cnn import TextCnn
from pipeline.models.text_rnn import TextRnn
from pipeline.models.text_transformer import TextTransformer

TEXT = Text("x", vocabulary=8, length=4)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("equal", (7 + 2 * 3) / np.sqrt(3)),
        ("rank", (7 * (1 + np.log(5)) + 2 * 3 * 1) / np.sqrt((1 + np.log(5)) ** 2 + 2)),
    ],
)
def test_a_bag_by_hand(build: Any, weights: Any, expected: float) -> None:
    model = build(TextBag(weights=weights), [TEXT], units=1)
    table = np.zeros((10, 1))
    table[0], table[1], table[5] = 100.0, 3.0, 7.0
    model.get_layer("x_xf_weight").set_weights([table])
    model.get_layer("scores").set_weights([np.array([0.5])])
    np.testing.assert_allclose(
        model({"x_xf": np.array([[1, 5, 1, 0], [0, 0, 0, 0]])}), [[expected + 0.5], [0.5]], rtol=1e-5
    )


def test_filters_over_tokens_by_hand(build: Any) -> None:
    """A filter of width 2 that takes a token less the next one: what counts is the largest fall."""
    model = build(TextCnn(token_embedding=1, widths=(2,), filters=1), [TEXT], units=1)
    model.get_layer("x_xf_tokens").set_weights([np.array([[50.0], *[[float(i)] for i in range(1, 10)]])])
    model.get_layer("x_xf_conv_2").set_weights([np.array([[[1.0]], [[-1.0]]]), np.array([0.0])])
    model.get_layer("scores").set_weights([np.array([[1.0]]), np.array([0.0])])
    rows = np.array([[2, 9, 3, 1], [1, 4, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(model({"x_xf": rows}), [[6.0], [4.0], [0.0]])


def test_a_recurrent_state_is_of_the_last_token_and_backwards_of_the_first(build: Any) -> None:
    family = TextRnn(token_embedding=2, states=(3,))
    model = build(family, [TEXT])
    both = model.get_layer("x_xf_lstm_0_both")
    table = np.array(model.get_layer("x_xf_tokens").embeddings)
    states = []
    for layer, tokens in ((both.forward_layer, [4, 2]), (both.backward_layer, [2, 4])):
        kernel, recurrent, bias = (np.array(weight) for weight in layer.weights)
        state, cell = np.zeros(3), np.zeros(3)
        for token in tokens:
            gates = table[token] @ kernel + state @ recurrent + bias
            opened, forget, new, shown = np.split(gates, 4)
            cell = _sigmoid(forget) * cell + _sigmoid(opened) * np.tanh(new)
            state = _sigmoid(shown) * np.tanh(cell)
        states.append(state)
    head = [np.array(weight) for weight in model.get_layer("scores").weights]
    expected = np.concatenate(states) @ head[0] + head[1]
    np.testing.assert_allclose(model({"x_xf": np.array([[4, 2, 0, 0]])})[0], expected, rtol=1e-4, atol=1e-6)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_a_transformer_and_a_recurrent_network_read_the_order_and_a_bag_does_not(build: Any) -> None:
    rows = {"x_xf": np.array([[4, 2, 6, 0], [6, 2, 4, 0]])}
    for family, ordered in (
        (TextTransformer(token_embedding=8, heads=2), True),
        (TextRnn(token_embedding=8, states=(4,)), True),
        (TextBag(hidden_units=(4,)), False),
    ):
        first, second = build(family, [TEXT])(rows).numpy()
        assert bool(np.abs(first - second).max() > 1e-5) is ordered
