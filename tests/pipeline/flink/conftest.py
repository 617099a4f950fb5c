"""Jars that look like Flink and like Beam's job server."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

FLINK_CLASS = "org/apache/flink/runtime/taskexecutor/TaskManagerRunner.class"
SERVER_CLASS = "org/apache/beam/runners/flink/FlinkJobServerDriver.class"


def jar(path: Path, files: dict[str, str]) -> Path:
    """A jar with these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as target:
        for name, text in files.items():
            target.writestr(name, text)
    return path


@pytest.fixture
def any_jar() -> Callable[..., Path]:
    """See `jar`."""
    return jar


@pytest.fixture
def flink_jar() -> Callable[..., Path]:
    """(folder, version) -> what looks like flink-dist."""

    def make(folder: Path, version: str = "1.19.3") -> Path:
        manifest = f"Manifest-Version: 1.0\nImplementation-Version: {version}\n"
        return jar(folder / f"flink-dist-{version}.jar", {"META-INF/MANIFEST.MF": manifest, FLINK_CLASS: ""})

    return make


@pytest.fixture
def job_server_jar() -> Callable[..., Path]:
    """(folder, flink, beam) -> what looks like a job server, which has Flink's own classes, too."""

    def make(folder: Path, flink: str = "1.19", beam: str = "2.77.0") -> Path:
        properties = f"# made\nversion={beam}\nsdk_version=x\n"
        files = {SERVER_CLASS: "", FLINK_CLASS: "", "org/apache/beam/sdk/sdk.properties": properties}
        return jar(folder / f"beam-runners-flink-{flink}-job-server-{beam}.jar", files)

    return make
