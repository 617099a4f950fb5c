"""A private, newer glibc under a copied interpreter, for hosts whose own is too old for TFX's wheels.

The wheels of TensorFlow Data Validation and ML Metadata need glibc 2.38 and a libstdc++ of GCC 13, and are tagged
manylinux_2_39. Debian 12 and Ubuntu 22.04 are older. There, without root and without touching the system:

1. `fetch_libraries`: apt, with a configuration of its own, downloads three packages of the next release of the same
   distribution from the mirror that the machine already uses, checked against the keys it already trusts; they are
   unpacked into `.runtime/glibc`.
2. `make_interpreter`: a copy of the Python binary is told (patchelf) to start with that loader and those libraries.
   The standard library stays where it is.

A virtual environment made from the copy passes this on to child processes, as they start from the same binary;
programs that are not Python (git, java) keep the system's libraries, because no variable is exported.
Newer hosts (Ubuntu 24.04, Debian 13) need none of this.
"""

import os
import platform
import re
import shutil
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands import BootstrapError, Commands

NEEDED = (2, 39)
"""The oldest glibc that the wheels accept."""

_SUITES = {"debian": "trixie", "ubuntu": "noble"}
_PACKAGES = ("libc6", "libstdc++6", "libgcc-s1")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
# Loaded with the interpreter, from the private folder. A module with its own RUNPATH that asked for one of these first
# would find the system's, and two halves of two glibcs don't fit.
_PRELOADED = (
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libresolv.so.2",
)


def glibc_version(text: str | None) -> tuple[int, int] | None:
    """Major and minor of `os.confstr("CS_GNU_LIBC_VERSION")`, or None where there is no glibc (musl).

    >>> glibc_version("glibc 2.36")
    (2, 36)
    """
    found = re.match(r"glibc (\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def host_glibc() -> tuple[int, int] | None:
    """The glibc that this very process runs on."""
    try:
        return glibc_version(os.confstr("CS_GNU_LIBC_VERSION"))
    except (ValueError, OSError):
        return None


@dataclass(frozen=True)
class Source:
    """One apt source: an archive, its suites and components, and the key it is signed by (a path, or a key block)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def parse_one_line(text: str) -> list[Source]:
    """Sources of a `sources.list`: `deb [signed-by=…] URI suite component…`."""
    sources = []
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)", line)
        if found:
            key = re.search(r"signed-by=(\S+)", found[1] or "", re.IGNORECASE)
            sources.append(Source(found[2], (found[3],), tuple(found[4].split()), key[1] if key else ""))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Sources of a `*.sources` file: stanzas of `Field: value`, where indented lines go on with the value."""
    sources = []
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        found = re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = defaultdict(str, {name.lower(): value.strip() for name, value in found})
        if "deb" in fields["types"].split() and fields["enabled"].lower() not in ("no", "false"):
            suites, components = tuple(fields["suites"].split()), tuple(fields["components"].split())
            sources += [Source(uri, suites, components, fields["signed-by"]) for uri in fields["uris"].split()]
    return sources


def read_sources(etc_apt: Path) -> list[Source]:
    """All sources of a machine, in apt's order."""
    folder = etc_apt / "sources.list.d"
    sources: list[Source] = []
    for path in [etc_apt / "sources.list", *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            sources += parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    return sources


def newer_source(os_release: Mapping[str, str], sources: Iterable[Source]) -> Source:
    """The archive of the distribution's next release, on the mirror that the machine's sources already name.

    Args:
        os_release: the fields of /etc/os-release.
        sources: the machine's own.

    Raises:
        BootstrapError: another distribution, or no source of its main archive.
    """
    names = [os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()]
    family = next((name for name in names if name in _SUITES), None)
    if family is None:
        raise BootstrapError(
            f"{os_release.get('PRETTY_NAME', 'This system')} has a glibc older than {NEEDED[0]}.{NEEDED[1]} and is"
            " neither Debian nor Ubuntu: use a newer release, or a container of Debian 13 or Ubuntu 24.04."
        )
    codename = os_release.get(f"{family.upper()}_CODENAME") or os_release.get("VERSION_CODENAME", "")
    main = [s for s in sources if "main" in s.components and {codename, "stable", "oldstable"} & set(s.suites)]
    main.sort(key=lambda source: family not in source.uri)  # others publish under the release's name too
    if not main:
        raise BootstrapError(
            f"apt's sources name no main archive of {family} {codename}: add it, to get a newer C library from there."
        )
    return Source(main[0].uri, (_SUITES[family],), ("main",), main[0].signed_by)


def as_deb822(source: Source) -> str:
    """The source as a stanza that asks for package lists only."""
    lines = ["Types: deb", f"URIs: {source.uri}", f"Suites: {' '.join(source.suites)}", "Components: main"]
    lines.append("Targets: Packages")
    if source.signed_by:
        lines.append("Signed-By:" + ("\n " if "\n" in source.signed_by else " ") + source.signed_by)
    return "\n".join(lines) + "\n"


def without_hooks(configuration: str) -> str:
    """The machine's apt settings (`apt-config dump`), as its proxies and certificates, less the commands it runs."""
    return "".join(line for line in configuration.splitlines(keepends=True) if "-Invoke" not in line)


def fetch_libraries(commands: Commands) -> Path:
    """Downloads and unpacks the newer C and C++ libraries (about 16 MB), unless they are there already.

    They hold no absolute path, so they are made in a folder aside that gets its name only once complete.

    Returns:
        `.runtime/glibc`.
    """
    folder = commands.root / ".runtime" / "glibc"
    if folder.exists():
        return folder
    for tool in ("apt-get", "apt-config", "dpkg"):
        if shutil.which(tool) is None:
            raise BootstrapError(f"This system's glibc is too old, and {tool} is missing to fetch a newer one.")
    source = newer_source(platform.freedesktop_os_release(), read_sources(Path("/etc/apt")))
    making, apt = folder.with_name("glibc.making"), folder.with_name("apt")
    for path in (making, apt):
        shutil.rmtree(path, ignore_errors=True)
    for path in (making, apt / "sources", apt / "lists" / "partial", apt / "cache" / "archives" / "partial"):
        path.mkdir(parents=True)
    (apt / "sources" / "newer.sources").write_text(as_deb822(source), encoding="utf-8")
    (apt / "status").touch()
    own = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "sources",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    configuration = without_hooks(commands.run("apt's settings", "apt-config", "dump"))
    configuration += "".join(f'{name} "{value}";\n' for name, value in own.items())
    (apt / "apt.conf").write_text(configuration, encoding="utf-8")
    private = Commands(commands.root, {**commands.env, "APT_CONFIG": str(apt / "apt.conf")}, commands.lock)
    private.run("the list of newer system libraries", "apt-get", "update")
    private.run("newer system libraries", "apt-get", "download", *_PACKAGES, cwd=apt)
    for package in sorted(apt.glob("*.deb")):
        commands.run("newer system libraries", "dpkg", "-x", package, making)
    making.rename(folder)
    shutil.rmtree(apt, ignore_errors=True)
    return folder


def make_interpreter(commands: Commands, libraries: Path, patchelf: Path) -> Path:
    """Copies the running interpreter to `.runtime/python`, bound to the private libraries.

    Absolute paths are baked in: it is made anew with each virtual environment, and a moved project needs both again.
    The patchelf calls are separate on purpose; combined, they have corrupted the search path.

    Returns:
        The copy, which runs.
    """
    home, version = commands.root / ".runtime" / "python", f"python{sys.version_info.major}.{sys.version_info.minor}"
    shutil.rmtree(home, ignore_errors=True)
    for part in ("bin", "lib", "include"):
        (home / part).mkdir(parents=True)
    (home / "lib" / version).symlink_to(sysconfig.get_path("stdlib"))
    (home / "include" / version).symlink_to(sysconfig.get_path("include"))
    copy = home / "bin" / version
    shutil.copy2(os.path.realpath(sys.executable), copy)
    copy.chmod(0o755)
    folder = libraries / _LIBRARIES
    search = f"{folder}:{Path(sys.base_prefix) / 'lib'}"
    steps: Sequence[Sequence[str]] = (
        ("--set-interpreter", str(folder / "ld-linux-x86-64.so.2")),
        ("--remove-rpath",),
        [part for name in _PRELOADED for part in ("--add-needed", name)],
        ("--force-rpath", "--set-rpath", search),
    )
    for step in steps:
        commands.run("the private interpreter", patchelf, *step, copy)
    check = "import ctypes, os, sqlite3, ssl, sys; print(sys.base_prefix, os.confstr('CS_GNU_LIBC_VERSION'), sep='\\n')"
    prefix, glibc = commands.run("the private interpreter", copy, "-c", check).split("\n")[-3:-1]
    if Path(prefix) != home or (glibc_version(glibc) or (0, 0)) < NEEDED:
        raise BootstrapError(
            f"The private interpreter is wrong. Expected: {home}, new glibc. Received: {prefix}, {glibc}."
        )
    return copy
