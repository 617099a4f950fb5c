"""Images as Parquet: what comes back is what was written."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.datasets import images


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 5, 4, 3)], ids=["grey", "colour"])
def test_pixels_come_back(shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_ROWS", 2)
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    images.write_images(tmp_path / "train" / "a.parquet", pixels, ["x", "y", "z"])
    table = pq.read_table(tmp_path / "train" / "a.parquet")
    assert table.schema == pa.schema({"image": pa.binary(), "label": pa.string()})
    assert table["label"].to_pylist() == ["x", "y", "z"]
    for encoded, expected in zip(table["image"].to_pylist(), pixels, strict=True):
        assert encoded.startswith(b"\x89PNG")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), expected)


def test_each_image_has_a_label(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 images, 1 labels"):
        images.write_images(tmp_path / "a.parquet", np.zeros((2, 1, 1), np.uint8), ["x"])
    assert not list(tmp_path.iterdir())
