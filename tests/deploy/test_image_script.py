"""`make image` and `make push`: names, engines, and what is said when something is missing. The engines are stand-ins."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import image as script
import image_root
import pytest

from pipeline import image
from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
TAG = f"{image.version()}-{image.fingerprint()}"

Program = Callable[..., Path]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes an engine of shell lines, which first writes its arguments to `<tmp>/asked`; PATH has no other one."""
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "git", "cat"):
        found = next(folder for folder in os.environ["PATH"].split(":") if os.access(f"{folder}/{tool}", os.X_OK))
        (tmp_path / "bin" / tool).symlink_to(f"{found}/{tool}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def make(name: str, *lines: str) -> Path:
        path = tmp_path / "bin" / name
        path.write_text("\n".join(["#!/bin/sh", f'echo "$0 $*" >> {tmp_path}/asked', *lines]) + "\n", encoding="utf-8")
        path.chmod(0o755)
        return tmp_path / "asked"

    return make


def _script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/image.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("millrace", f"millrace:{TAG}"),
        ("registry.example/team/millrace", f"registry.example/team/millrace:{TAG}"),
        ("registry.example:5000/millrace", f"registry.example:5000/millrace:{TAG}"),
        ("localhost:5000/mill_race", f"localhost:5000/mill_race:{TAG}"),
        ("registry:5000/millrace:nightly", "registry:5000/millrace:nightly"),
        ("EU.registry.example/a/b/c:v1.0_2", "EU.registry.example/a/b/c:v1.0_2"),
    ],
)
def test_a_name_without_a_tag_gets_that_of_the_code(name: str, expected: str) -> None:
    assert script.reference(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "Millrace",
        "X/y",
        "a b",
        "a/b:",
        "a/b:t ag",
        "https://registry.example/a",
        "a/b@sha256:00",
        "-a",
        "a//b",
        "a:b:c",
    ],
)
def test_a_name_that_no_registry_takes_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"no name that a registry takes\. Expected .*Received: "):
        script.reference(name)


def test_no_name_says_how() -> None:
    with pytest.raises(UsageError, match=r"no name\. .* Next: make image IMAGE=<registry>/<name>"):
        script.reference("")


def test_where_there_is_no_engine_it_says_what_to_install(engine: Program) -> None:
    with pytest.raises(UsageError) as refused:
        script.find_engine()
    assert str(refused.value).splitlines() == [
        "image: no container engine answers.",
        "  - docker: not installed",
        "  - podman: not installed",
        "  - buildah: not installed",
        "Next: start Docker's engine, or install one: Docker Engine with buildx, Podman or Buildah "
        "(Debian, Ubuntu: apt-get install podman)",
    ]


def test_a_client_whose_engine_is_down_is_named_and_passed_over(engine: Program) -> None:
    engine("docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    with pytest.raises(UsageError, match=r"docker: `docker version .*` failed: Cannot connect to the Docker daemon"):
        script.find_engine()
    engine("podman")
    assert script.find_engine() == "podman"
    with pytest.raises(UsageError, match="Cannot connect"):
        script.find_engine("docker")


def test_docker_without_buildx_is_passed_over(engine: Program) -> None:
    engine("docker", '[ "$1" != buildx ] || exit 1')
    with pytest.raises(UsageError, match="docker: `docker buildx version` failed: nothing"):
        script.find_engine()


def test_an_unknown_engine_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--engine: unknown 'dockr'\. Did you mean 'docker'\?"):
        script.find_engine("dockr")


@pytest.mark.parametrize(
    ("using", "start"),
    [
        ("docker", ["docker", "buildx", "build", "--load"]),
        ("podman", ["podman", "build"]),
        ("buildah", ["buildah", "build", "--layers"]),
    ],
)
def test_the_command_that_builds(using: str, start: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "revision", lambda: "29268ed")
    command = script.build_command(using, "a/b:c", script.Arguments(base="mirror.example/python:3.11"))
    assert command == [
        *start,
        *("--platform", "linux/amd64", "--file", str(ROOT / "deploy/Dockerfile"), "--tag", "a/b:c"),
        *("--build-arg", f"VERSION={image.version()}", "--build-arg", "REVISION=29268ed"),
        *("--build-arg", f"CODE={image.fingerprint()}", "--build-arg", "BASE=mirror.example/python:3.11"),
        str(ROOT),
    ]


def test_the_revision_says_that_files_differ(engine: Program, tmp_path: Path) -> None:
    (tmp_path / "bin/git").unlink()
    assert script.revision() == ""
    engine("git", 'case "$*" in *rev-parse*) echo 29268ed;; esac')
    assert script.revision() == "29268ed"
    engine("git", 'case "$*" in *rev-parse*) echo 29268ed;; *) echo " M setup.py";; esac')
    assert script.revision() == "29268ed-dirty"


def test_a_build_says_name_size_and_code(engine: Program) -> None:
    asked = engine("podman", 'case "$1" in images) echo "3.9 GB";; esac')
    done = _script("build", "registry.example/team/mill", "--extras", "s3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"image   registry.example/team/mill:{TAG}",
        "size    3.9 GB",
        f"code    {image.fingerprint()}",
    ]
    assert lines[3].startswith("built   by podman, ")
    assert lines[4] == "next    make push IMAGE=registry.example/team/mill"
    assert f"--tag registry.example/team/mill:{TAG} " in asked.read_text(encoding="utf-8")
    assert "--build-arg EXTRAS=s3 " in asked.read_text(encoding="utf-8")


def test_a_build_that_fails_says_so_after_the_engine(engine: Program) -> None:
    engine("podman", '[ "$1" != build ] || { echo "no space left" >&2; exit 125; }')
    done = _script("build", "a/b")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "no space left",
        "error image: the build failed: podman ended with exit code 125; see above. "
        "Next: mend what it says, then: make image",
    ]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_name_is_a_usage_error() -> None:
    done = _script("build", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error image: no name. Expected NAME[:TAG]. Next: make image IMAGE=<registry>/<name>\n"


def test_push_pushes_what_was_built(engine: Program) -> None:
    asked = engine("podman")
    done = _script("push", "registry.example/team/mill")
    assert (done.returncode, done.stdout) == (0, f"pushed  registry.example/team/mill:{TAG}\n")
    assert asked.read_text(encoding="utf-8").endswith(f"/podman push registry.example/team/mill:{TAG}\n")


def test_push_refused_by_the_registry_says_how_to_log_in(engine: Program) -> None:
    engine("podman", '[ "$1" != push ] || { echo "unauthorized" >&2; exit 125; }')
    done = _script("push", "registry.example/team/mill")
    assert done.returncode == 1
    assert "`podman login registry.example` if it was refused" in done.stderr


def test_push_needs_a_registry(engine: Program) -> None:
    asked = engine("podman")
    done = _script("push", "mill:1")
    assert done.returncode == 2
    assert "push: mill:1 names no registry. Expected <registry>/<name>[:tag]." in done.stderr
    assert not asked.exists()


def test_the_proof_sees_what_is_written_where_it_must_not_be(tmp_path: Path) -> None:
    for name in ("opt/millrace/a.py", "var/lib/b", "var/millrace/runs/c", "tmp/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    before = image_root._listing(tmp_path)
    assert {name.partition(" ")[0] for name in before} == {"opt/millrace/a.py", "var/lib/b"}
    (tmp_path / "tmp/d").write_text("22", encoding="utf-8")
    (tmp_path / "var/millrace/e").write_text("22", encoding="utf-8")
    assert image_root._listing(tmp_path) == before
    (tmp_path / "opt/millrace/a.py").write_text("22", encoding="utf-8")
    assert {name.partition(" ")[0] for name in image_root._listing(tmp_path) - before} == {"opt/millrace/a.py"}


def test_the_proof_says_what_it_needs(engine: Program, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/image_root.py"), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "missing: debootstrap, buildah. Expected root, debootstrap and buildah." in done.stderr
    assert not (tmp_path / "work").exists()
