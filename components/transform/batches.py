"""Batches of one size for TFX's analysis.

TFX lets Beam choose the size by how long a batch takes, so that means and variances, which are added up batch by batch,
come out otherwise in their last digit from run to run, and with them the model. There is no setting for it: the size is
asked of a method of a class that TFX's executor makes by itself. A test holds TFX to that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfx.components.transform import executor as tfx_transform


@contextmanager
def steady_batches(rows: int) -> Iterator[None]:
    """Makes TFX's Transform read so many rows at a time, in this process, as long as the context lasts."""
    original = tfx_transform.TransformProcessor

    class Steady(original):  # type: ignore[valid-type, misc]
        def _GetDesiredBatchSize(self, *asked: Any) -> int:
            return super()._GetDesiredBatchSize(*asked) or rows

    tfx_transform.TransformProcessor = Steady
    try:
        yield
    finally:
        tfx_transform.TransformProcessor = original
