"""Which Java is taken, and what is said where there is none."""

from pathlib import Path

import pytest

from pipeline.errors import MillraceError
from pipeline.flink import java


@pytest.fixture(autouse=True)
def _no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def _java(folder: Path, prints: str, code: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{prints}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return program


def test_there_is_none() -> None:
    with pytest.raises(MillraceError, match=r"Java was not found.*Next: install Java 11 or newer.*or set JAVA_HOME"):
        java.find()


@pytest.mark.parametrize("said", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "11" 2018'])
def test_that_of_path(said: str, tmp_path: Path) -> None:
    wanted = _java(tmp_path, said)
    assert java.find() == str(wanted)


def test_java_home_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, 'openjdk version "17"')
    wanted = _java(tmp_path / "home" / "bin", 'openjdk version "21.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.find() == str(wanted)


def test_a_java_home_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    with pytest.raises(MillraceError, match=r"Java does not run: JAVA_HOME=.*none: .*none/bin/java"):
        java.find()


def test_an_old_one(tmp_path: Path) -> None:
    _java(tmp_path, 'java version "1.8.0_412"')
    with pytest.raises(MillraceError, match=r"too old\. Expected: 11 or newer\. Received: 8 "):
        java.find()


def test_one_that_fails(tmp_path: Path) -> None:
    _java(tmp_path, "no command runtime", 1)
    with pytest.raises(MillraceError, match=r"ended with 1: no command runtime"):
        java.find()


def test_the_command() -> None:
    made = java.command("/j", ["-Xmx1m"], [Path("/a.jar"), Path("/b.jar")], "Main", "--x")
    assert made[0] == "/j" and "-Xmx1m" in made
    assert made[-4:] == ["-cp", "/a.jar:/b.jar", "Main", "--x"]
    assert "--add-opens=java.base/java.util=ALL-UNNAMED" in made
