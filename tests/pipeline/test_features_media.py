"""Images, texts and dates in one model: materialised in columns, exported, and asked as a JSON client asks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.shards import Shard
from components.transform import materialise
from components.transform.rows import Rows
from pipeline.errors import ExportError
from pipeline.export import COLUMNS_SIGNATURE, Trained, _Session, export, verify
from pipeline.features import Date, Image, Text
from pipeline.features.base import INT_MISSING, Feature
from pipeline.labels import Binary, Scale
from pipeline.models.base import inputs_of
from pipeline.transform_graph import TransformGraph
from tests.bad_inputs import pictures

FEATURES: tuple[Feature, ...] = (
    Image("photo", height=4, width=4),
    Text("words", vocabulary=10, length=5, ngrams=(1, 2)),
    Date("seconds", parts=("weekday", "hour")),
    Date("day", parts=("month",), encoding="cyclic"),
)
LABEL = Binary("sold")
SPEC = {name: tf.io.VarLenFeature(tf.string) for name in ("photo", "words", "day")} | {
    "seconds": tf.io.VarLenFeature(tf.int64),
    "sold": tf.io.VarLenFeature(tf.float32),
}
FULL = {"photo": pictures.picture(), "words": "a good film", "seconds": 86_400, "day": "2024-02-29", "sold": 1.0}
ROWS: list[dict[str, Any]] = [
    *(FULL, {"sold": 0.0}, FULL | {"photo": pictures.picture("JPEG", height=40), "words": "", "sold": 0.0}),
    *(FULL | {"day": "no date", "photo": None}, FULL | {"photo": pictures.picture(height=1, width=1)}),
] * 20


@dataclass(frozen=True)
class Shop:
    """The rows, transformed, and an untrained model of all features."""

    data: Any
    trained: Trained


@pytest.fixture(scope="module")
def shop(transformed: Any) -> Shop:
    data = transformed(ROWS, SPEC, FEATURES, LABEL)
    keras.utils.set_random_seed(3)
    inputs = inputs_of(FEATURES)
    flat = [keras.layers.Flatten()(keras.ops.cast(one, "float32")) for one in inputs.values()]
    scores = keras.layers.Dense(1)(keras.layers.Concatenate()(flat))
    return Shop(data, Trained(keras.Model(inputs, scores), Scale(), TransformGraph(data.transform), FEATURES, LABEL))


def stored(path: Path, shop: Shop) -> dict[str, np.ndarray]:
    """The columns of a file of transformed rows."""
    rows = list(tf.data.TFRecordDataset(str(path), compression_type="GZIP").as_numpy_iterator())
    parsed = tf.io.parse_example(rows, shop.data.transform.transformed_feature_spec())
    return {name: column.numpy() for name, column in parsed.items()}


@pytest.mark.parametrize("limit", [64 << 20, 2_000])
def test_rows_in_columns_equal_those_of_beam(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(materialise, "BATCH_BYTES", limit)
    path = tmp_path / "rows.gz"
    rows, graph = Rows(shop.data.transform.raw_metadata.schema), TransformGraph(shop.data.transform)
    assert materialise.materialise(rows, graph, Shard(shop.data.raw_files[0]), str(path)) == len(ROWS)
    made = stored(path, shop)
    assert set(made) == set(shop.data.columns)
    for name, expected in shop.data.columns.items():
        np.testing.assert_array_equal(made[name].reshape(expected.shape), expected, err_msg=name)


def test_every_signature_answers_as_the_model(shop: Shop, tmp_path: Path) -> None:
    export(shop.trained, str(tmp_path / "model"))
    verify(str(tmp_path / "model"), shop.data.raw, shop.trained)
    run = _Session(str(tmp_path / "model"))
    given = {
        "photo": np.array([FULL["photo"], b""], object),
        "words": np.array([FULL["words"], ""], object),
        "seconds": np.array([FULL["seconds"], INT_MISSING]),
        "day": np.array([FULL["day"], ""], object),
    }
    answers = run(COLUMNS_SIGNATURE, "probability", lambda types: given)
    with_all, with_nothing = (shop.data.raw[:1], shop.data.raw[1:2])
    for answer, row in zip(answers, (with_all, with_nothing), strict=True):
        parsed = tf.io.parse_example(row, shop.trained.serving_spec)
        np.testing.assert_allclose(answer, shop.trained.answers(parsed)["probability"][0], rtol=1e-5)
    with pytest.raises(ExportError, match="fails in a session"):
        run(COLUMNS_SIGNATURE, "probability", lambda types: given | {"photo": np.array([b"GIF89a", b""], object)})
