"""What is fetched, checked and kept; the registries are folders and a server of this test."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from apache_beam.utils.subprocess_server import JavaJarServer

from pipeline.errors import MillraceError
from pipeline.flink import fetch


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "millrace" / "jars"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a version in a Maven repository, which Beam's client is sent to."""
    root = tmp_path / "maven"
    folder = root / "org/apache/beam/beam-runners-flink-1.19-job-server" / fetch.beam_version()
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(JavaJarServer, "MAVEN_CENTRAL_REPOSITORY", address)
    monkeypatch.setattr(JavaJarServer, "GOOGLE_MAVEN_MIRROR", f"{address}/mirror")
    monkeypatch.setattr(
        JavaJarServer.path_to_beam_jar.__func__, "__defaults__", (None, fetch.beam_version(), None, None)
    )
    monkeypatch.setattr(JavaJarServer.path_to_maven_jar.__func__, "__defaults__", (address, None, None))
    yield folder
    server.shutdown()
    server.server_close()


def test_a_job_server_is_fetched_once(maven: Path, cache: Path, job_server_jar: Callable[..., Path]) -> None:
    jar = job_server_jar(maven, beam=fetch.beam_version())
    Path(f"{jar}.sha512").write_text(f"{hashlib.sha512(jar.read_bytes()).hexdigest()}  {jar.name}\n")
    found = fetch.job_server()
    assert (found.beam, found.flink) == (fetch.beam_version(), "1.19")
    assert found.jar == cache / f"beam-{found.beam}" / jar.name
    jar.unlink()
    assert fetch.job_server() == found
    assert sorted(path.name for path in cache.iterdir()) == [f"beam-{found.beam}"]


def test_sha1_where_there_is_no_sha512(maven: Path, cache: Path, job_server_jar: Callable[..., Path]) -> None:
    jar = job_server_jar(maven, beam=fetch.beam_version())
    Path(f"{jar}.sha1").write_text("0" * 40)
    with pytest.raises(MillraceError, match=r"not what was published\. Expected: sha1 0+\. Received: [0-9a-f]{40}\."):
        fetch.job_server()
    assert list(cache.iterdir()) == []


def test_one_that_is_not_there(maven: Path, cache: Path) -> None:
    name = rf"beam-runners-flink-1\.19-job-server-{fetch.beam_version()}\.jar"
    with pytest.raises(
        MillraceError, match=rf"can't be fetched: {name}: .*404.*Next: .*job_server\.py jars.*--jar PATH"
    ):
        fetch.job_server()
    assert list(cache.iterdir()) == []


def _package(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"apache-flink-libraries-1/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_only_wanted_jars_are_taken_out(tmp_path: Path) -> None:
    package = _package(tmp_path / "p.tar.gz", {"deps/lib/a.jar": b"a", "deps/lib/b.jar": b"b", "deps/opt/a.jar": b"x"})
    out = tmp_path / "out"
    out.mkdir()
    fetch.extract(package, out, {"a.jar": hashlib.sha256(b"a").hexdigest()})
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"a.jar": b"a"}


def test_another_jar_or_none_is_refused(tmp_path: Path) -> None:
    package = _package(tmp_path / "p.tar.gz", {"deps/lib/a.jar": b"changed"})
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(MillraceError, match=r"a\.jar is not what was published\. Expected: sha256 "):
        fetch.extract(package, out, {"a.jar": hashlib.sha256(b"a").hexdigest()})
    assert list(out.iterdir()) == []
    with pytest.raises(MillraceError, match=r"p\.tar\.gz lacks b\.jar\. Next"):
        fetch.extract(package, out, {"b.jar": ""})


def test_pip_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    pip = tmp_path / "pip"
    pip.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(fetch, "_pip", lambda: [str(pip)])
    with pytest.raises(MillraceError, match=r"apache-flink-libraries 1\.19\.3 can't be fetched: ERROR: No matching"):
        fetch.flink()
    assert list(cache.iterdir()) == []


def test_flink_is_taken_from_what_pip_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    files = {name: name.encode() for name in fetch._FLINK_JARS}
    package = _package(tmp_path / "p.tar.gz", {f"deps/lib/{name}": data for name, data in files.items()})
    monkeypatch.setattr(fetch, "_FLINK_JARS", {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    monkeypatch.setattr(fetch.jars, "flink_of", lambda path: path)
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\ncp {package} $1\necho run >> {tmp_path}/runs\n")
    pip.chmod(0o755)
    monkeypatch.setattr(fetch, "_pip", lambda: [str(pip)])
    for _ in range(2):
        assert str(fetch.flink()) == str(cache / "flink-1.19.3" / "flink-dist-1.19.3.jar")
    assert (tmp_path / "runs").read_text() == "run\n"
    assert {path.name for path in (cache / "flink-1.19.3").iterdir()} == files.keys()
