"""The bundled scans, as images."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.datasets import digits


def test_every_scan_is_there_as_it_was(tmp_path: Path) -> None:
    digits.write(tmp_path)
    table = pq.read_table(tmp_path / "digits.parquet")
    scans = load_digits()
    assert table["label"].to_pylist() == [str(digit) for digit in scans.target]
    assert Counter(table["label"].to_pylist())["8"] == 174
    read = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in table["image"].to_pylist()])
    assert (read.shape, read.min(), read.max()) == ((1797, 8, 8), 0, 255)
    np.testing.assert_array_equal(np.rint(read / (255 / 16)), scans.images)
