"""scripts/job_server.py: merging jars, and a Maven of this test."""

import zipfile
from pathlib import Path

import job_server
import pytest


def _jar(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as jar:
        for name, text in files.items():
            jar.writestr(name, text)
    return path


def test_a_merged_jar(tmp_path: Path) -> None:
    one = {
        "META-INF/MANIFEST.MF": "Main-Class: other",
        "META-INF/services/x.Y": "a.One\n# told\n",
        "META-INF/A.SF": "signed",
        "META-INF/versions/9/module-info.class": "m",
        "module-info.class": "m",
        "a/One.class": "1",
        "both": "first",
    }
    two = {"META-INF/services/x.Y": "a.Two\na.One", "both": "second", "a/": ""}
    target = tmp_path / "out.jar"
    job_server.merge([_jar(tmp_path / "1.jar", one), _jar(tmp_path / "2.jar", two)], target)
    with zipfile.ZipFile(target) as jar:
        assert sorted(jar.namelist()) == ["META-INF/MANIFEST.MF", "META-INF/services/x.Y", "a/One.class", "both"]
        assert jar.read("META-INF/services/x.Y") == b"a.One\n# told\na.Two\n"
        assert jar.read("both") == b"first"
        assert b"Main-Class: org.apache.beam.runners.flink.FlinkJobServerDriver\r\n" in jar.read("META-INF/MANIFEST.MF")


def _mvn(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> Path:
    """A Maven on PATH that fails so many times, and then gives one jar; how often it ran is in a file."""
    part = _jar(folder / "part.jar", {"a/B.class": "b"})
    runs = folder / "runs"
    script = folder / "mvn"
    script.write_text(
        f"#!/bin/sh\necho run >> {runs}\n[ $(wc -l < {runs}) -le {fails} ] && echo 'no such artifact' && exit 1\n"
        f"for each do case $each in -DoutputDirectory=*) out=${{each#*=}};; esac; done\n"
        f'grep -q "<version>2.62.0</version>" pom.xml && mkdir -p $out && cp {part} $out\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return runs


def test_the_parts_are_fetched_with_one_more_try_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _mvn(tmp_path, monkeypatch, fails=1)
    for _ in range(2):
        made = job_server.make(tmp_path / "out")
        assert made == tmp_path / "out" / "beam-runners-flink-1.19-job-server-2.62.0.jar"
    assert runs.read_text() == "run\nrun\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [made.name]
    with zipfile.ZipFile(made) as jar:
        assert "a/B.class" in jar.namelist()


def test_what_maven_said_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _mvn(tmp_path, monkeypatch, fails=9)
    with pytest.raises(job_server.JobServerError, match=r"(?s)Beam 2\.62\.0 for Flink 1\.19:\nno such artifact\nNext"):
        job_server.make(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(job_server.JobServerError, match=r"mvn was not found\. Next: install Maven"):
        job_server.make(tmp_path)
