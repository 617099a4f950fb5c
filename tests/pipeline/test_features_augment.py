"""Augmentation: what each setting does to pixels, and that a seed repeats it."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.features import Augment, Image

RAMP = np.tile(np.arange(8, dtype=np.uint8)[None, :, None] * 30, (200, 8, 1, 3))
NOISE = np.random.default_rng(5).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
ALL = Augment(flip=True, shift=2, rotate=15, zoom=0.1, brightness=0.1, contrast=0.1, cutout=3)


def made(augment: Augment, images: np.ndarray = RAMP, seed: int = 1) -> np.ndarray:
    values = augment(tf.constant(images), tf.constant([seed, 2], tf.int64))
    assert values.dtype == tf.uint8
    assert values.shape == images.shape
    return np.asarray(values.numpy())


def test_a_seed_repeats_it_and_another_does_not() -> None:
    np.testing.assert_array_equal(made(ALL, NOISE), made(ALL, NOISE))
    assert (made(ALL, NOISE) != made(ALL, NOISE, seed=2)).mean() > 0.5


def test_nothing_is_the_default() -> None:
    np.testing.assert_array_equal(made(Augment(), NOISE), NOISE)


def test_flip_mirrors_about_half() -> None:
    flipped = made(Augment(flip=True), NOISE)
    mirrored = (flipped == NOISE[:, :, ::-1]).all((1, 2, 3))
    assert ((flipped == NOISE).all((1, 2, 3)) ^ mirrored).all()
    assert 60 < mirrored.sum() < 140


def test_shift_moves_by_whole_pixels_and_mirrors_at_the_edge() -> None:
    padded = np.pad(NOISE, ((0, 0), (2, 2), (2, 2), (0, 0)), "symmetric")
    seen = []
    for image, around in zip(made(Augment(shift=2), NOISE), padded, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if (image == around[y : y + 8, x : x + 8]).all()]
        assert len(places) == 1
        seen += places
    assert set(seen) == {(y, x) for y in range(5) for x in range(5)}


def test_rotation_keeps_the_middle() -> None:
    turned = made(Augment(rotate=90), RAMP)
    angles = np.abs(turned.astype(int) - RAMP).mean((1, 2, 3))
    assert angles.max() > 50
    assert np.abs(turned[:, 3:5, 3:5].mean((1, 2, 3)) - 105).max() < 2


def test_zoom_changes_the_steepness_of_a_ramp() -> None:
    steps = np.diff(made(Augment(zoom=0.5), RAMP)[:, 4, 3:5, 0].astype(int)).ravel()
    assert 18 <= steps.min() < 25  # 30 / 1.5
    assert steps.max() > 40


def test_brightness_adds_the_same_to_all_pixels() -> None:
    grey = np.full((200, 4, 4, 1), 100, np.uint8)
    values = made(Augment(brightness=0.1), grey).reshape(200, -1)
    assert (values == values[:, :1]).all()
    assert values.min() in range(74, 80)
    assert values.max() in range(121, 127)


def test_contrast_keeps_the_mean() -> None:
    values = made(Augment(contrast=0.5), RAMP).astype(float)
    np.testing.assert_allclose(values.mean((1, 2, 3)), 105, atol=8)
    assert values.std((1, 2, 3)).min() < 0.6 * RAMP[0].std()
    assert values.std((1, 2, 3)).max() > 1.2 * RAMP[0].std()


def test_cutout_is_a_grey_square() -> None:
    white = np.full((200, 8, 8, 3), 255, np.uint8)
    grey = (made(Augment(cutout=3), white) == 128).all(3)
    counts = grey.sum((1, 2))
    assert counts.max() == 9
    assert counts.min() >= 4
    assert set(grey.any(2).sum(1)) <= {2, 3}


def test_images_come_augmented_and_without_it_as_they_are() -> None:
    seed = tf.constant([1, 2], tf.int64)
    feature = Image("photo", height=8, width=8, augment=ALL)
    np.testing.assert_array_equal(feature.augmented(tf.constant(NOISE), seed), made(ALL, NOISE))
    plain = Image("photo", height=8, width=8)
    np.testing.assert_array_equal(plain.augmented(tf.constant(NOISE), seed), NOISE)


@pytest.mark.parametrize(
    "settings", [{"shift": -1}, {"rotate": 181}, {"zoom": 1.0}, {"brightness": 2}, {"contrast": -0.1}, {"cutout": -1}]
)
def test_settings_out_of_range(settings: Mapping[str, float]) -> None:
    (name,) = settings
    with pytest.raises(TaskError, match=f"Augment: {name}: expected"):
        Augment(**settings)  # type: ignore[arg-type]
