"""What families share: which features they take, penalties, what stands for text and images, phases."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import TaskError
from pipeline.features import Date, RawText
from pipeline.models.base import mean_of_tokens, scaled
from pipeline.models.cnn import Cnn
from pipeline.models.dnn import Dnn
from pipeline.models.linear import Linear
from pipeline.models.resnet import ResNet
from pipeline.models.text_bag import TextBag
from pipeline.models.text_cnn import TextCnn
from pipeline.models.text_rnn import TextRnn
from pipeline.models.text_transformer import TextTransformer


def test_features_that_a_family_has_no_use_for(kinds: Any) -> None:
    assert Cnn().problems([kinds["image"], kinds["number"]]) == []
    assert Cnn().problems([kinds["number"]]) == [
        "model Cnn: expected a feature of image at least. Received: 'length' (Numeric, number)"
    ]
    assert TextCnn().problems([kinds["image"], kinds["ids"]]) == [
        "model TextCnn: expected a feature of text at least. Received: 'photo' (Image, image), 'plan' (Categorical, ids)"
    ]
    assert Dnn().problems([kinds["number"], RawText("review")]) == [
        "model Dnn: it does not read 'review' (RawText, string). Expected: ids, image, number, text"
    ]
    assert Cnn(mean=(0.5, 0.4)).problems([kinds["image"]]) == [
        "model Cnn: mean: expected one value, or 3 for the channels of 'photo'. Received: mean=(0.5, 0.4)"
    ]


def test_a_task_says_it_when_it_is_made(tiny: Any) -> None:
    with pytest.raises(TaskError, match="model ResNet: expected a feature of image at least"):
        replace(tiny, model=ResNet())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(l1=-1.0), "model Linear: l1: expected at least 0. Received: l1=-1.0"),
        (lambda: Dnn(hidden_units=()), "model Dnn: hidden_units: expected at least one width above 0. Received: hid"),
        (lambda: Dnn(dropout=1.0), "model Dnn: dropout: expected a share in [0, 1). Received: dropout=1.0"),
        (lambda: Cnn(filters=(8, 0)), "model Cnn: filters: expected at least one width above 0. Received: filters=(8,"),
        (lambda: Cnn(stage_dropout=1.5), "model Cnn: stage_dropout: expected a share in [0, 1)"),
        (lambda: Cnn(deviation=(0.0,)), "model Cnn: deviation: expected values above 0. Received: deviation=(0.0,)"),
        (lambda: ResNet(blocks=0), "model ResNet: blocks: expected at least 1. Received: blocks=0"),
        (lambda: TextCnn(widths=()), "model TextCnn: widths: expected at least one width above 0"),
        (lambda: TextRnn(cell="rnn"), "model TextRnn: cell: expected 'lstm' or 'gru'. Received: cell='rnn'"),  # type: ignore[arg-type]
        (
            lambda: TextTransformer(heads=3),
            "token_embedding: expected a multiple of heads. Received: token_embedding=64",
        ),
        (lambda: TextBag(weights="idf"), "model TextBag: weights: expected 'rank' or 'equal'. Received: weights='idf'"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    assert message in str(caught.value)


def test_penalties_are_on_kernels_and_embeddings_by_their_formula(kinds: Any, build: Any) -> None:
    model = build(Dnn(hidden_units=(5,), l1=0.02, l2=0.3), [kinds["number"], kinds["ids"]])
    kernel = np.array(model.get_layer("hidden_0").kernel)
    assert float(sum(model.losses)) == pytest.approx(0.02 * abs(kernel).sum() + 0.3 * (kernel**2).sum(), rel=1e-5)
    linear = build(Linear(l1=0.5), [kinds["number"], kinds["ids"]])
    linear.get_layer("ids_weight").set_weights([np.full((5, 2), -3.0)])
    linear.get_layer("numbers_weight").set_weights([np.array([[2.0, 1.0]]), np.array([9.0, 9.0])])
    assert float(sum(linear.losses)) == pytest.approx(0.5 * (10 * 3 + 3))
    convolved = build(Cnn(filters=(2,), l2=0.1, hidden_units=()), [kinds["image"]])
    kernel = np.array(convolved.get_layer("photo_xf_0_0_conv").kernel)
    assert float(sum(convolved.losses)) == pytest.approx(0.1 * (kernel**2).sum(), rel=1e-5)
    assert build(Dnn(), [kinds["number"]]).losses == []


def test_the_mean_of_tokens_leaves_padding_out() -> None:
    vectors = np.array([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], [[5.0, 5.0]] * 3], np.float32)
    ids = np.array([[4, 7, 0], [0, 0, 0]])
    np.testing.assert_allclose(mean_of_tokens(keras.ops.array(vectors), ids), [[2.0, 4.0], [0.0, 0.0]])


def test_images_are_scaled_and_standardised_by_channel() -> None:
    pixels = keras.ops.array(np.array([[[[0, 51, 255]]]], np.uint8))
    np.testing.assert_allclose(np.ravel(scaled(pixels)), [0.0, 0.2, 1.0], rtol=1e-6)
    standardised = scaled(pixels, (0.5, 0.1, 0.4), (0.5, 0.2, 0.3))
    np.testing.assert_allclose(np.ravel(standardised), [-1.0, 0.5, 2.0], rtol=1e-5)
    np.testing.assert_allclose(np.ravel(scaled(pixels, (0.5,), (0.25,))), [-2.0, -1.2, 2.0], rtol=1e-5)


def test_a_feature_of_several_ids_is_followed_by_the_next_range(kinds: Any, build: Any) -> None:
    day = Date("day", parts=("quarter", "is_weekend"))
    assert (day.cardinality, day.shape) == (8, (2,))
    model = build(Linear(), [day, kinds["ids"]], units=1)
    model.get_layer("ids_weight").set_weights([2.0 ** np.arange(13)[:, None]])
    columns = {"day_xf": np.array([[0, 5], [4, 7]]), "plan_xf": np.array([[0], [4]])}
    np.testing.assert_allclose(model(columns), [[1 + 32 + 256], [16 + 128 + 4096]])


def test_a_linear_model_on_a_text_an_image_and_numbers(kinds: Any, build: Any) -> None:
    circle = Date("at", parts=("hour",), encoding="cyclic")
    model = build(Linear(), [circle, kinds["text"], kinds["image"]], units=1)
    weights = np.concatenate([[10.0, 20.0], np.zeros(8 * 8 * 3 - 1), [4.0]])[:, None]
    model.get_layer("numbers_weight").set_weights([weights, np.array([0.5])])
    model.get_layer("review_xf_weight").set_weights([np.arange(30.0)[:, None]])
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, 7, 7, 2] = 51
    columns = {"at_xf": np.array([[1.0, -1.0]]), "review_xf": np.array([[4, 9, 2, 0, 0, 0, 0]]), "photo_xf": pixels}
    np.testing.assert_allclose(model(columns), [[10 - 20 + 0.5 + (4 + 9 + 2) / 3 + 4 * 0.2]], rtol=1e-5)


def test_batch_norm_of_hidden_layers_has_moving_statistics(kinds: Any, build: Any, separable: Any) -> None:
    columns, _ = separable([kinds["number"]])
    model = build(Dnn(hidden_units=(3,), batch_norm=True), [kinds["number"]])
    sums = columns["length_xf"] @ np.array(model.get_layer("hidden_0").kernel)
    model(columns, training=True)
    norm = model.get_layer("hidden_norm_0")
    np.testing.assert_allclose(norm.moving_mean, 0.01 * sums.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.99 + 0.01 * sums.var(0), rtol=1e-4)


def test_dropout_is_for_training_only(kinds: Any, build: Any, separable: Any) -> None:
    columns, _ = separable([kinds["image"]])
    model = build(Cnn(filters=(4,), hidden_units=(4,), dropout=0.5, stage_dropout=0.5), [kinds["image"]])
    names = {layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert names == {"photo_xf_0_dropout", "vectors_dropout", "dropout_0"}
    first, second = (model(columns, training=False).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(model(columns, training=True).numpy() - model(columns, training=True).numpy()).max() > 1e-3
