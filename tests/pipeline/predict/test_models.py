"""What becomes of a batch with a row that it fails on; how much it is asked at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import MillraceError, UsageError
from pipeline.features import Image, Numeric
from pipeline.features.base import INT_MISSING
from pipeline.predict import models
from pipeline.task import Task


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UsageError, match="does not load"):
        models.load(str(tmp_path))


def test_a_model_that_takes_other_things_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="pixels")])
        def serve(self, pixels: Any) -> dict[str, Any]:
            return {"sum": tf.reduce_sum(pixels, 1)}

    made = Other()
    tf.saved_model.save(made, str(tmp_path / "m"), {"serving_default": made.serve})
    with pytest.raises(UsageError, match=r"can't be asked about rows\. Expected a signature 'columns'"):
        models.load(str(tmp_path / "m"))


def columns(x: list[float]) -> dict[str, pa.Array]:
    rows = len(x)
    return {"x": pa.array(x, pa.float32()), "n": pa.nulls(rows, pa.int64()), "t": pa.nulls(rows, pa.binary())}


def test_what_is_missing_is_what_a_client_sends(model: str) -> None:
    given = {**columns([1.0, 2.0]), "x": pa.array([None, 2.0], pa.float32()), "n": pa.array([3, None], pa.int64())}
    found = models.load(model).inputs(given)
    assert np.isnan(found["x"][0]) and found["x"][1] == 2.0
    assert found["n"].tolist() == [3, INT_MISSING]
    assert found["t"].tolist() == [b"", b""]


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_only_the_row_that_the_model_fails_on_is_lost(model: str, at_once: int) -> None:
    x = [1.0, 13.0, 2.0, 3.0, 4.0, 13.0, 14.0, 5.0]
    loaded = models.load(model)
    answers, failed = loaded.answers(loaded.inputs(columns(x)), ("probability",), len(x), at_once)
    assert answers["probability"].tolist() == [value / 128 for value in (1, 2, 3, 4, 5)]
    assert sorted(failed) == [1, 5, 6]
    assert "no thirteens" in failed[1]
    assert failed[6] == "expected a finite answer of the model. Received: probability=nan"


def test_a_model_that_fails_on_every_row_ends_it(model: str) -> None:
    models.load.cache_clear()
    loaded = models.load(model)
    inputs = loaded.inputs(columns([13.0] * 1000))
    with pytest.raises(MillraceError, match=r"fails on each of the first 256 rows: .*thirteens"):
        loaded.answers(inputs, ("probability",), 1000, 500)
    loaded.answers(loaded.inputs(columns([1.0])), ("probability",), 1, 1)
    _, failed = loaded.answers(inputs, ("probability",), 1000, 500)
    assert len(failed) == 1000


def test_large_rows_are_asked_about_in_small_batches(task: Task) -> None:
    assert models.batch_rows(task.features) == 8192
    assert models.batch_rows((Numeric("a"), Image("i", height=8, width=8, channels=1))) == 256
    assert models.batch_rows((Image("i", height=224, width=224, channels=3),)) == 27


def test_names_are_those_of_the_export() -> None:
    from pipeline.export import COLUMNS_SIGNATURE, SERVING_SIGNATURE

    assert (models.COLUMNS, models.EXAMPLES) == (COLUMNS_SIGNATURE, SERVING_SIGNATURE)
