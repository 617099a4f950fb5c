"""Image sets that keras.datasets downloads, and keeps in its own cache: MNIST and CIFAR-10."""

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.datasets.images import write_images
from pipeline.errors import UsageError

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Pixels and class numbers of the train rows, and of the test rows."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Names of the classes, in the order of their numbers."""


def write_mnist(folder: Path) -> None:
    """Writes train/mnist.parquet, 60,000 rows, and test/mnist.parquet, 10,000: grey PNGs of 28 x 28; "0" to "9"."""
    _write("mnist", [str(digit) for digit in range(10)], folder)


def write_cifar10(folder: Path) -> None:
    """Writes train/cifar10.parquet, 50,000 rows, and test/cifar10.parquet, 10,000: RGB PNGs of 32 x 32."""
    _write("cifar10", CIFAR10, folder)


def _write(name: str, classes: Sequence[str], folder: Path) -> None:
    """Downloads a set, where Keras has not done so before, and writes its two splits.

    Keras shows the progress of a download on standard output, where `--json` puts the record of the run.

    Raises:
      UsageError: it can't be downloaded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else importing it tells of the GPUs that are not there
    try:
        with contextlib.redirect_stdout(sys.stderr):
            splits: Arrays = importlib.import_module(f"keras.datasets.{name}").load_data()
    except Exception as error:  # Keras raises bare ones for what the network, the disk or a broken download do.
        raise UsageError(
            f"{name}: keras.datasets.{name}.load_data() could not download the images "
            f"({type(error).__name__}: {str(error).strip()[:300]}). Next: run once where it can; or have the images as "
            "Parquet and add --data FOLDER. Expected in it: folders train and test, their files with the columns "
            f"image (binary: a PNG or JPEG) and label (string: {', '.join(classes)})"
        ) from error
    for split, (pixels, numbers) in zip(("train", "test"), splits, strict=True):
        write_images(folder / split / f"{name}.parquet", pixels, [classes[int(number)] for number in numbers.ravel()])
