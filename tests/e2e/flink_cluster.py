"""A real Flink of this machine for tests: `from flink_cluster import flink_cluster`, in a conftest or a module.

Its jars are in the folder that MILLRACE_FLINK_JARS names, or are fetched once (scripts/flink_jars.py); where they can't
be had, what needs them is skipped, with the reason.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import flink_jars
import job_server
import pytest

from pipeline.errors import MillraceError
from pipeline.flink import java, local
from pipeline.flink.state import Cluster


def folder_of_jars() -> Path:
    """What `--jar` takes; the test is skipped where there are none, or no Java."""
    try:
        java.find()
        named = os.environ.get("MILLRACE_FLINK_JARS")
        return Path(named) if named else flink_jars.provide()
    except (MillraceError, job_server.JobServerError) as error:
        pytest.skip(f"no Flink: {error}")


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two slots, which all tests of the session share; its files are in a temporary folder.

    XDG_STATE_HOME and XDG_CACHE_HOME name that folder until the end of the session, so that commands find it.
    """
    jars = folder_of_jars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        try:
            yield local.up(local.Settings(slots=2, jars=(str(jars),)))[0]
        finally:
            local.down()
