"""MNIST and CIFAR-10 as Parquet, from what Keras downloaded; without a network a clear refusal."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from keras.datasets import cifar10, mnist
from PIL import Image

from pipeline import tasks
from pipeline.datasets import keras_images
from pipeline.errors import UsageError


def arrays(*shape: int) -> Any:
    """Pixels and class numbers as Keras gives them: three rows to train, two to test; CIFAR-10's numbers in a column."""
    random = np.random.default_rng(5)
    sides = [(random.integers(0, 256, (rows, *shape), np.uint8), np.array([9, 0, 3][:rows])) for rows in (3, 2)]
    return tuple((pixels, numbers[:, None] if len(shape) == 3 else numbers) for pixels, numbers in sides)


@pytest.mark.parametrize(
    ("name", "module", "shape", "labels"),
    [("mnist", mnist, (28, 28), ["9", "0", "3"]), ("cifar10", cifar10, (32, 32, 3), ["truck", "airplane", "cat"])],
)
def test_folders_are_splits(
    name: str, module: Any, shape: tuple[int, ...], labels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = arrays(*shape)
    monkeypatch.setattr(module, "load_data", lambda: made)
    getattr(keras_images, f"write_{name}")(tmp_path)
    for split, (pixels, _) in zip(("train", "test"), made, strict=True):
        table = pq.read_table(tmp_path / split / f"{name}.parquet")
        assert table["label"].to_pylist() == labels[: len(pixels)]
        read = [np.asarray(Image.open(io.BytesIO(png))) for png in table["image"].to_pylist()]
        np.testing.assert_array_equal(np.stack(read), pixels)


def test_class_names_are_those_of_the_task() -> None:
    assert tasks.load("cifar10").label.classes == keras_images.CIFAR10


@pytest.mark.parametrize(("name", "module"), [("mnist", mnist), ("cifar10", cifar10), ("mnist_dense", mnist)])
def test_without_a_network_it_says_what_to_do(
    name: str, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable() -> None:
        sys.stdout.write("Downloading data from …")
        raise Exception("URL fetch failure: Name or service not known")

    monkeypatch.setattr(module, "load_data", unreachable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        tasks.load(name).source.at(None)
    assert caught.value.exit_code == 2
    for part in (
        "load_data() could not download",
        "Name or service",
        "--data FOLDER",
        "train and test",
        "image (binary",
    ):
        assert part in str(caught.value)
    assert list((tmp_path / "millrace").iterdir()) == []
    said = capsys.readouterr()
    assert (said.out, "Downloading" in said.err) == ("", True), "standard output is for the record of a run"
    assert tasks.load(name).source.at("/images").path == "/images"
