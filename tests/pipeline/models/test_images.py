"""Convolutional families, by hand-set weights, and the batch norm of ours against Keras's."""

from typing import Any

import keras
import numpy as np

from pipeline.features import Image
from pipeline.models.cnn import Cnn
from pipeline.models.layers import BatchNorm
from pipeline.models.resnet import ResNet


def test_a_plain_network_by_hand(build: Any) -> None:
    """A filter that adds a pixel's right neighbour; the largest of each 2x2; a bias and ReLU; then weights."""
    model = build(
        Cnn(filters=(1,), hidden_units=(), batch_norm=False), [Image("x", height=2, width=4, channels=1)], units=1
    )
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1], kernel[1, 2] = 1.0, 1.0
    model.get_layer("x_xf_0_0_conv").set_weights([kernel, np.array([-1.0])])
    model.get_layer("scores").set_weights([np.array([[10.0], [1.0]]), np.array([0.25])])
    pixels = np.array([[0, 255, 51, 0], [255, 255, 0, 102]], np.uint8).reshape(1, 2, 4, 1)
    # Sums with the right neighbour: [1, 1.2, 0.2, 0], [2, 1, 0.4, 0.4]; largest: 2 and 0.4; less 1: 1 and 0.
    np.testing.assert_allclose(model({"x_xf": pixels}), [[10.25]], rtol=1e-5)


def test_a_residual_block_by_hand(build: Any) -> None:
    """x + w2 * relu(w1 * relu(x)), then ReLU and the mean over pixels."""
    model = build(
        ResNet(filters=(1,), blocks=1, batch_norm=False), [Image("x", height=2, width=2, channels=1)], units=1
    )
    for name, weight in (("stem", 2.0), ("0_0_0", 3.0), ("0_0_1", -0.25)):
        kernel = np.zeros((3, 3, 1, 1))
        kernel[1, 1] = weight
        model.get_layer(f"x_xf_{name}_conv").set_weights([kernel, np.array([0.0])])
    model.get_layer("scores").set_weights([np.array([[1.0]]), np.array([0.0])])
    pixels = np.array([0, 51, 102, 255], np.uint8).reshape(1, 2, 2, 1)
    stem = 2 * (pixels.ravel() / 255)
    np.testing.assert_allclose(model({"x_xf": pixels}), [[np.mean(stem - 0.25 * 3 * stem)]], rtol=1e-5)


def test_stages_of_a_residual_network_halve_the_image(build: Any) -> None:
    model = build(ResNet(filters=(4, 8, 6), blocks=2), [Image("x", height=9, width=16)])
    shapes = [model.get_layer(f"x_xf_{stage}_1_add").output.shape for stage in range(3)]
    assert shapes == [(None, 9, 16, 4), (None, 5, 8, 8), (None, 3, 4, 6)]
    assert model.get_layer("x_xf_vector").output.shape == (None, 6)


def test_an_image_of_one_pixel(build: Any) -> None:
    for family in (Cnn(filters=(2, 2)), ResNet(filters=(2, 2), blocks=1)):
        model = build(family, [Image("x", height=1, width=1)])
        assert np.isfinite(model({"x_xf": np.full((3, 1, 1, 3), 255, np.uint8)})).all()


def test_two_images_have_networks_of_their_own(build: Any) -> None:
    front, back = Image("front", height=4, width=4), Image("back", height=6, width=6)
    model = build(Cnn(filters=(3,), pooling="max", hidden_units=()), [front, back])
    assert model.get_layer("scores").kernel.shape == (6, 2)
    assert {"front_xf_0_0_conv", "back_xf_0_0_conv"} <= {layer.name for layer in model.layers}


def test_batch_norm_is_kerass_but_for_the_unbiased_variance() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, (4, 5, 5, 3)).astype(np.float32)
    ours, kerass = BatchNorm(), keras.layers.BatchNormalization()
    np.testing.assert_allclose(ours(values, training=True), kerass(values, training=True), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.moving_mean, kerass.moving_mean, rtol=1e-4)
    unbiased = values.var((0, 1, 2)) * 100 / 99
    np.testing.assert_allclose(ours.moving_variance, 0.99 + 0.01 * unbiased, rtol=1e-4)
    moved = np.array(ours.moving_mean)
    ours.trainable = False
    expected = (values - moved) / np.sqrt(np.array(ours.moving_variance) + 1e-3)
    np.testing.assert_allclose(ours(values, training=True), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(ours.moving_mean, moved)


def test_batch_norms_gradient_is_kerass() -> None:
    import tensorflow as tf

    values = tf.constant(np.random.default_rng(0).normal(size=(4, 3, 3, 2)), tf.float32)
    gradients = []
    for layer in (BatchNorm(), keras.layers.BatchNormalization()):
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(layer(values, training=True) ** 3)
        gradients.append(tape.gradient(loss, [values, layer.gamma.value, layer.beta.value]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
