"""One fork server for all tests of this folder: it imports TFX once."""

from pathlib import Path

import pytest

from pipeline.runners import processes


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Starts it; the log of what its imports print."""
    log = tmp_path_factory.mktemp("fork_server") / "millrace.log"
    processes.warm_up(log)
    return log
