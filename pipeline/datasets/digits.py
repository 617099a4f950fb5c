"""The scans inside scikit-learn, 1,797 of 8 x 8: the test set of UCI's Optical Recognition of Handwritten Digits."""

from pathlib import Path

import numpy as np

from pipeline.datasets.images import write_images

_INK = 16
"""The darkest value in the data, which counts the black pixels in each 4 x 4 block of a larger scan."""


def write(folder: Path) -> None:
    """Writes digits.parquet: `image`, a grey PNG of 8 x 8 with ink as 255, and `label`, "0" to "9"."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    pixels = np.rint(scans.images * (255 / _INK)).astype(np.uint8)
    write_images(folder / "digits.parquet", pixels, [str(digit) for digit in scans.target])
