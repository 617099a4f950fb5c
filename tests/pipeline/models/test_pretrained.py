"""Backbones of keras.applications: what is trained when, where weights come from, what is said without a network."""

import socket
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import MillraceError, TaskError
from pipeline.features import Image
from pipeline.models.base import Phase, every_trainable
from pipeline.models.pretrained import _APPLICATIONS, Pretrained

PHOTO = Image("photo", height=8, width=8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of the weights of one small backbone, by suffix, and of another."""
    folder = tmp_path_factory.mktemp("weights")
    keras.utils.set_random_seed(8)
    backbone = _small(0.1)
    for variable in backbone.trainable_variables:
        # Random weights shrink the signal from layer to layer, where batch norm has no statistics yet.
        variable.assign(variable * (3.0 if "kernel" in variable.path else 1.0))
    files = {kind: str(folder / f"backbone{kind}") for kind in (".weights.h5", ".keras")}
    backbone.save_weights(files[".weights.h5"])
    backbone.save(files[".keras"])
    files["other"] = str(folder / "other.weights.h5")
    _small(0.35).save_weights(files["other"])
    files["kernel"] = np.array(backbone.get_layer("conv1").kernel)  # type: ignore[assignment]
    return files


def _small(alpha: float) -> keras.Model:
    return keras.applications.MobileNet((32, 32, 3), alpha=alpha, include_top=False, weights=None, pooling="avg")


def small(**settings: Any) -> Pretrained:
    return Pretrained(**{"backbone": "mobilenet", "alpha": 0.1, **settings})


def test_weights_from_a_file_and_a_frozen_backbone(
    weights: Any, build: Any, fit: Any, separable: Any, served: Any
) -> None:
    family = small(weights=weights[".weights.h5"])
    model = build(family, [PHOTO])
    backbone = model.get_layer("photo_xf_backbone")
    np.testing.assert_array_equal(backbone.get_layer("conv1").kernel, weights["kernel"])
    before = [np.array(variable) for variable in backbone.variables]
    columns, target = separable([PHOTO], rows=16)
    assert [variable.path for variable in model.trainable_variables] == ["scores/kernel", "scores/bias"]
    losses = fit(family, model, columns, target, steps=6, rate=0.1)
    assert losses[-1] < losses[0]
    for variable, value in zip(backbone.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    np.testing.assert_allclose(served(model, columns), model(columns), rtol=1e-5, atol=1e-5)


def test_frozen_first_then_fine_tuned(weights: Any, build: Any, separable: Any, fit: Any) -> None:
    family = small(weights=weights[".keras"], trainable="top", top_layers=4, head_first=0.25, fine_tune_rate=0.01)
    assert family.phases == (Phase(0.25, 1.0), Phase(0.75, 0.01))
    family.prepare()
    model = build(family, [PHOTO])
    backbone = model.get_layer("photo_xf_backbone")
    np.testing.assert_array_equal(backbone.get_layer("conv1").kernel, weights["kernel"])
    # The last four layers: convolution, batch norm, ReLU, pooling.
    tuned = {"conv_pw_13/kernel", "scores/kernel", "scores/bias"}
    assert {variable.path.removeprefix("photo_xf_backbone/") for variable in every_trainable(family, model)} == tuned
    assert len(model.trainable_variables) == 2
    before = {variable.path: np.array(variable) for variable in model.variables}
    columns, target = separable([PHOTO], rows=16)
    fit(family, model, columns, target, steps=4, rate=0.1)
    changed = {v.path for v in model.variables if np.any(np.array(v) != before[v.path])}
    assert {path.removeprefix("photo_xf_backbone/") for path in changed} == tuned
    family.enter(model, 0)
    assert not backbone.trainable_variables


def test_from_scratch_all_is_trained_and_batch_norm_moves(build: Any, separable: Any, fit: Any) -> None:
    family = small(weights=None, trainable="all")
    assert family.phases == (Phase(),)
    model = build(family, [PHOTO])
    statistics = model.get_layer("photo_xf_backbone").get_layer("conv1_bn").moving_mean
    columns, target = separable([PHOTO], rows=8)
    fit(family, model, columns, target, steps=2)
    assert np.abs(np.array(statistics)).max() > 0
    assert len(model.trainable_variables) > 20


def test_all_layers_are_fine_tuned_with_the_statistics_they_came_with(
    weights: Any, build: Any, separable: Any, fit: Any
) -> None:
    family = small(weights=weights[".keras"], trainable="all", head_first=0.0)
    assert family.phases == (Phase(1.0, 0.1),)
    model = build(family, [PHOTO])
    norm = model.get_layer("photo_xf_backbone").get_layer("conv1_bn")
    columns, target = separable([PHOTO], rows=8)
    fit(family, model, columns, target, steps=2)
    assert len(model.trainable_variables) > 20
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(norm.moving_mean.shape))


@pytest.mark.parametrize(
    ("image", "settings", "seen"),
    [
        (PHOTO, {}, (None, 32, 32, 3)),
        (Image("photo", height=40, width=20, channels=1), {}, (None, 40, 32, 3)),
        (PHOTO, {"size": 48}, (None, 48, 48, 3)),
        (PHOTO, {"backbone": "inception_v3", "alpha": 1.0}, (None, 75, 75, 3)),
    ],
)
def test_images_are_brought_to_what_a_backbone_takes(
    build: Any, image: Image, settings: Any, seen: tuple[int | None, ...]
) -> None:
    model = build(small(weights=None, trainable="all", **settings), [image])
    assert model.get_layer("photo_xf_backbone").input.shape == seen


def test_the_backbones_own_preprocessing_is_in_the_model(build: Any) -> None:
    """MobileNet takes pixels in [-1, 1]."""
    image = Image("photo", height=32, width=32)
    model = build(small(weights=None, trainable="all"), [image])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    backbone = model.get_layer("photo_xf_backbone")
    vectors = backbone(pixels / 127.5 - 1, training=False)
    expected = np.array(vectors) @ np.array(model.get_layer("scores").kernel)
    np.testing.assert_allclose(model({"photo_xf": pixels}, training=False), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(_APPLICATIONS))
def test_keras_has_every_backbone(name: str) -> None:
    module = getattr(keras.applications, _APPLICATIONS[name].module)
    assert callable(getattr(module, _APPLICATIONS[name].constructor))
    assert callable(module.preprocess_input)


def test_without_a_network_it_says_what_was_asked_and_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/"
    # Keras names the server in this constant of the module; `get_file` is given an address below it.
    from keras.src.applications import mobilenet_v2

    assert mobilenet_v2.BASE_WEIGHT_PATH.startswith("https://")
    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", closed)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Keras itself reads KERAS_HOME when it is imported.
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(MillraceError) as caught:
        Pretrained().prepare()
    message = str(caught.value)
    assert "the ImageNet weights of mobilenet_v2 can't be had" in message
    assert closed in message and "refused" in message
    assert f"Looked first in {tmp_path}/models" in message
    assert "--set model.weights=<path" in message
    assert socket.getdefaulttimeout() is None


def test_a_file_of_another_network_or_none(weights: Any, tmp_path: Path) -> None:
    with pytest.raises(MillraceError, match="does not hold the weights of mobilenet without its top") as caught:
        small(weights=weights["other"]).prepare()
    assert "Expected a .weights.h5, .h5 or .keras file of MobileNet(include_top=False), with the same alpha" in str(
        caught.value
    )
    with pytest.raises(MillraceError, match=r"nowhere.h5: no such file or folder"):
        small(weights=str(tmp_path / "nowhere.h5")).prepare()
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(MillraceError, match="does not hold the weights"):
        small(weights=str(tmp_path / "text.weights.h5")).prepare()


def test_the_state_of_a_file_of_weights_is_its_origin(weights: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.weights.h5"
    file.write_bytes(b"one")
    first = small(weights=str(file)).origin
    file.write_bytes(b"other")
    assert small(weights=str(file)).origin != first
    assert Pretrained().origin == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "mobilenet_v9"}, "backbone: not known. Did you mean 'mobilenet_v2'? Known: densenet121, "),
        ({"weights": None}, "knows nothing. Expected 'all'. Received: weights=None, trainable='frozen'"),
        ({"backbone": "vgg16", "alpha": 0.5}, "alpha: expected 1, or above 0 with mobilenet or mobilenet_v2"),
        ({"size": 16}, "size: mobilenet_v2 takes 32 and more. Received: size=16"),
        ({"head_first": 1.0}, "head_first: expected a share in [0, 1). Received: head_first=1.0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        Pretrained(**settings)
    assert message in str(caught.value)
