"""What holds for every family: it learns, it is exported, it takes what else the task has, and its settings reach it."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.models.base import Model
from pipeline.models.cnn import Cnn
from pipeline.models.dnn import Dnn
from pipeline.models.linear import Linear
from pipeline.models.resnet import ResNet
from pipeline.models.text_bag import TextBag
from pipeline.models.text_cnn import TextCnn
from pipeline.models.text_rnn import TextRnn
from pipeline.models.text_transformer import TextTransformer
from pipeline.models.wide_deep import WideDeep

SMALL: list[tuple[Model, tuple[str, ...]]] = [
    (Linear(), ("number", "ids", "text", "image")),
    (Dnn(hidden_units=(8, 4), batch_norm=True, dropout=0.1), ("number", "ids", "text", "image")),
    (WideDeep(hidden_units=(8,)), ("number", "ids", "text", "image")),
    (Cnn(filters=(4, 6), hidden_units=(8,)), ("image",)),
    (Cnn(filters=(4,), convolutions=2, pooling="average", stage_dropout=0.1), ("image", "number", "ids", "text")),
    (ResNet(filters=(4, 8), blocks=1), ("image",)),
    (ResNet(filters=(4,), blocks=1, hidden_units=(4,)), ("image", "number", "ids", "text")),
    (TextBag(), ("text",)),
    (TextBag(weights="equal"), ("text", "number", "ids", "image")),
    (TextBag(hidden_units=(8,), token_embedding=6), ("text", "number", "ids", "image")),
    (TextCnn(token_embedding=8, widths=(2, 3), filters=4), ("text", "number", "ids", "image")),
    (TextRnn(token_embedding=8, states=(6,)), ("text", "number", "ids", "image")),
    (TextRnn(token_embedding=8, states=(6, 4), cell="gru", bidirectional=False), ("text",)),
    (TextTransformer(token_embedding=8, heads=2, feed_forward=12, blocks=1), ("text", "number", "ids", "image")),
]
NAMES = [f"{type(family).__name__}-{'-'.join(modalities)}" for family, modalities in SMALL]


@pytest.mark.parametrize(("family", "modalities"), SMALL, ids=NAMES)
def test_learns_and_is_served_as_it_answers(
    family: Model, modalities: tuple[str, ...], kinds: Any, separable: Any, build: Any, fit: Any, served: Any
) -> None:
    features = [kinds[modality] for modality in modalities]
    columns, target = separable(features)
    model = build(family, features)
    before = [np.array(variable) for variable in model.trainable_variables]
    losses = fit(family, model, columns, target, rate=0.03)
    assert losses[-1] < 0.6 * losses[0]
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert np.any(np.array(variable) != value), f"{variable.path} was not trained"
    scores = model(columns, training=False).numpy()
    assert scores.shape == (48, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(served(model, columns), scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("family", "modalities"), SMALL, ids=NAMES)
@pytest.mark.parametrize("policy", ["mixed_bfloat16"])
def test_scores_are_float32_in_mixed_precision(
    family: Model, modalities: tuple[str, ...], policy: str, kinds: Any, separable: Any, build: Any, fit: Any
) -> None:
    features = [kinds[modality] for modality in modalities]
    columns, target = separable(features, rows=16)
    keras.config.set_dtype_policy(policy)
    try:
        model = build(family, features)
        losses = fit(family, model, columns, target, steps=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert np.isfinite(losses).all()
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize(("family", "modalities"), [pair for pair in SMALL if "text" in pair[1]])
def test_a_text_that_is_padded_further_and_an_empty_one(
    family: Model, modalities: tuple[str, ...], kinds: Any, separable: Any, build: Any
) -> None:
    features = [kinds[modality] for modality in modalities]
    columns, _ = separable(features, rows=6)
    columns["review_xf"][0] = 0
    model = build(family, features)
    longer = [replace(f, length=12) if f.modality == "text" else f for f in features]
    wide = build(family, longer)
    random = np.random.default_rng(1)
    values = [random.normal(size=weight.shape, scale=0.5) for weight in model.get_weights()]
    resized = [
        np.concatenate([v, random.normal(size=(w.shape[0] - len(v), *v.shape[1:]))]) if v.shape != w.shape else v
        for v, w in zip(values, wide.get_weights(), strict=True)
    ]
    model.set_weights([np.abs(v) if "moving" in w.path else v for v, w in zip(values, model.weights, strict=True)])
    wide.set_weights([np.abs(v) if "moving" in w.path else v for v, w in zip(resized, wide.weights, strict=True)])
    padded = {**columns, "review_xf": np.pad(columns["review_xf"], ((0, 0), (0, 5)))}
    scores = model(columns, training=False).numpy()
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(wide(padded, training=False).numpy(), scores, rtol=1e-4, atol=1e-5)
