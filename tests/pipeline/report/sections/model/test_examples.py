"""The rows that a model gets most wrong: which, in what words, and what is never shown."""

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from pipeline.features import Image, Numeric, Text, Vocabulary
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression
from pipeline.models.cnn import Cnn
from pipeline.models.text_bag import TextBag
from pipeline.report.sections.model import examples
from pipeline.task import Task

Make = Callable[..., Any]


@pytest.fixture
def task(with_label: Make) -> Callable[..., Task]:
    """A function: a label and settings, to a task of two columns."""

    def make(label: Label, **settings: Any) -> Task:
        metric = min(label.measures - {"calibration", "example_count"})
        features = (Numeric("miles"), Vocabulary("company", top_k=3))
        return replace(with_label(label, metric), **({"features": features} | settings))

    return make


COLUMNS = {"miles": [np.float32(1.5), np.float32("nan"), np.float32(3.0)], "company": [b"<i>A</i>", b"", b"C"]}


def test_wrong_rows_the_surest_first(task: Make, asked: Make) -> None:
    label = Binary("yes")
    found = examples.collect(task(label), asked(label, COLUMNS, [[0], [1], [1]], [0.75, 0.1, 0.9]))
    assert [(row["expected"], row["predicted"]) for row in found["rows"]] == [("yes", "no"), ("no", "yes")]
    assert [row["score"] for row in found["rows"]] == pytest.approx([0.9, 0.75])
    assert [row["values"] for row in found["rows"]] == [[None, None], [1.5, "<i>A</i>"]]
    assert (found["wrong"], found["asked"], found["columns"]) == (2, 3, ["miles", "company"])


def test_columns_in_the_order_of_their_importance_and_no_sensitive_one(task: Make, asked: Make) -> None:
    label = Binary("yes")
    rows = asked(label, COLUMNS, [[0], [1], [1]], [0.75, 0.1, 0.9])
    assert examples.collect(task(label), rows, ["company", "miles"])["columns"] == ["company", "miles"]
    found = examples.collect(task(label, sensitive=("company",)), rows, ["company", "miles"])
    assert (found["columns"], found["hidden"]) == (["miles"], True)
    assert [row["values"] for row in found["rows"]] == [[None], [1.5]]


def test_a_sensitive_label_shows_no_row(task: Make, asked: Make) -> None:
    label = Regression("income")
    found = examples.collect(task(label, sensitive=("income",)), asked(label, COLUMNS, [[0], [1], [1]], [1, 2, 3]))
    assert found["rows"] == []
    assert "sensitive" in found["reason"]


def test_classes_in_their_names(task: Make, asked: Make) -> None:
    label = MultiClass("kind", classes=("a", "b"))
    rows = asked(label, COLUMNS, [[0], [1], [np.nan]], [[0.2, 0.8], [0.1, 0.9], [0.0, 1.0]])
    (row,) = examples.collect(task(label), rows)["rows"]
    assert (row["expected"], row["predicted"], row["score"]) == ("a", "b", pytest.approx(0.8))


def test_any_number_of_classes(task: Make, asked: Make) -> None:
    label = MultiLabel("kinds", classes=("a", "b"))
    rows = asked(label, COLUMNS, [[1, 1], [0, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.3], [0.0, 1.0]])
    (row,) = examples.collect(task(label), rows)["rows"]
    assert (row["expected"], row["predicted"]) == ("a|b", "b")


def test_numbers_by_the_size_of_the_error(task: Make, asked: Make) -> None:
    label = Regression("price")
    found = examples.collect(task(label), asked(label, COLUMNS, [[10], [20], [np.nan]], [11, 5, 1]))
    assert [(row["expected"], row["predicted"], row["score"]) for row in found["rows"]] == [(20, 5, 15), (10, 11, 1)]
    assert (found["wrong"], found["error"]) == (None, True)


def test_texts_are_shortened(task: Make, asked: Make) -> None:
    label = Binary("good")
    own = task(label, features=(Text("text", length=10),), model=TextBag())
    found = examples.collect(own, asked(label, {"text": [b"x" * 300, "é".encode()]}, [[0], [1]], [0.9, 0.8]))
    assert found["kind"] == "texts"
    assert found["rows"][0]["text"] == "x" * 200 + "…"
    hidden = replace(own, sensitive=("text",))
    assert examples.collect(hidden, asked(label, {"text": [b"x"]}, [[0]], [0.9]))["rows"] == []


def png(side: int, mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    content = io.BytesIO()
    Pillow.fromarray(noise).convert(mode).save(content, "PNG")
    return content.getvalue()


def test_pictures_are_small(task: Make, asked: Make) -> None:
    label = MultiClass("kind", classes=2)
    own = task(label, features=(Image("image", height=8, width=8),), model=Cnn(filters=(4,)))
    images = [png(500), png(8, "L"), b"no picture"]
    found = examples.collect(own, asked(label, {"image": images}, [[0]] * 3, [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]))
    large, small, broken = (row["picture"] for row in found["rows"])
    content = base64.b64decode(large["uri"].removeprefix("data:image/png;base64,"))
    assert len(content) < 10_000
    assert max(large["width"], large["height"]) <= 64
    assert (small["width"], small["height"], broken) == (8, 8, None)
    assert Pillow.open(io.BytesIO(base64.b64decode(small["uri"].split(",")[1]))).size == (8, 8)


def test_at_most_twelve_pictures(task: Make, asked: Make) -> None:
    label = MultiClass("kind", classes=2)
    own = task(label, features=(Image("image", height=8, width=8),), model=Cnn(filters=(4,)))
    rows = asked(label, {"image": [png(8)] * 30}, [[0]] * 30, [[0.1, 0.9]] * 30)
    found = examples.collect(own, rows)
    assert (len(found["rows"]), found["wrong"]) == (12, 30)
