"""What tests of training share: a fit on the tiny data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.task import Task
from pipeline.train.fit import Data, Fitted, fit


@pytest.fixture
def data(tiny_data: Any) -> Data:
    """The tiny rows, for training and for validation."""
    return Data(tiny_data.files, tiny_data.files, tiny_data.transform)


@pytest.fixture
def train(data: Data, tmp_path: Path) -> Callable[..., Fitted]:
    """A function: fits a task on the tiny data."""

    def run(task: Task, **more: Any) -> Fitted:
        return fit(task, data, log_dir=str(tmp_path / "logs"), **more)

    return run
