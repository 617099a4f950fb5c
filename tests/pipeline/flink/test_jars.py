"""Which jar is which, and which fit together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.flink import jars

Make = Callable[..., Path]


def test_a_folder_with_both_and_more(tmp_path: Path, flink_jar: Make, job_server_jar: Make, any_jar: Make) -> None:
    dist, server = flink_jar(tmp_path), job_server_jar(tmp_path)
    logger = any_jar(tmp_path / "log4j-core-2.17.1.jar", {"x": ""})
    any_jar(tmp_path / "flink-csv-1.19.3.jar", {"x": ""})
    found = jars.given([str(tmp_path)])
    assert found.flink == jars.Flink("1.19.3", (dist, logger))
    assert found.job_server == jars.JobServer("2.77.0", "1.19", server)


def test_one_alone(tmp_path: Path, flink_jar: Make, job_server_jar: Make, any_jar: Make) -> None:
    assert jars.given([str(job_server_jar(tmp_path))]).flink is None
    assert jars.given([]) == jars.Jars()


def test_another_name_tells_by_its_manifest(
    tmp_path: Path, flink_jar: Make, job_server_jar: Make, any_jar: Make
) -> None:
    renamed = flink_jar(tmp_path, "1.20.1").rename(tmp_path / "x.jar")
    found = jars.given([str(renamed)]).flink
    assert found and found.version == "1.20.1"


def test_what_is_refused(tmp_path: Path, flink_jar: Make, job_server_jar: Make, any_jar: Make) -> None:
    other = any_jar(tmp_path / "o" / "other.jar", {"x": ""})
    with pytest.raises(UsageError, match=r"other\.jar: neither Flink nor Beam's job server is in it\. Expected"):
        jars.given([str(other)])
    with pytest.raises(UsageError, match="no such file"):
        jars.given([str(tmp_path / "none.jar")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no \*\.jar in this folder"):
        jars.given([str(tmp_path / "empty")])
    (tmp_path / "half.jar").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"half\.jar: File is not a zip file\. Expected: a whole jar"):
        jars.given([str(tmp_path / "half.jar")])
    two = [str(flink_jar(tmp_path / "a")), str(flink_jar(tmp_path / "b"))]
    with pytest.raises(UsageError, match="Flink is given twice"):
        jars.given(two)
    servers = [str(job_server_jar(tmp_path / "a")), str(job_server_jar(tmp_path / "b"))]
    with pytest.raises(UsageError, match="job server is given twice"):
        jars.given(servers)
    renamed = job_server_jar(tmp_path / "c").rename(tmp_path / "c" / "server.jar")
    with pytest.raises(UsageError, match="for which Flink it is, its name must say"):
        jars.given([str(renamed)])


def test_the_minor_versions_must_be_the_same(
    tmp_path: Path, flink_jar: Make, job_server_jar: Make, any_jar: Make
) -> None:
    found = jars.given([str(flink_jar(tmp_path)), str(job_server_jar(tmp_path, "1.20"))])
    assert found.flink and found.job_server
    with pytest.raises(UsageError, match=r"do not fit.*Received: Flink 1\.19\.3 .*job server for 1\.20 .*Next: --jar"):
        jars.check(found.flink, found.job_server)
    jars.check(found.flink, jars.JobServer("2.77.0", "1.19", tmp_path))
