"""The Dockerfile and what enters its build, read as an engine reads them; scripts/image_root.py builds it whole."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import packages
import private_glibc
import pytest

from pipeline import image

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = {"g++", "gcc", "clang", "build-essential", "cmake", "make", "python3-dev", "libc6-dev"}
ADDRESS = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:io|com|dev|org|net|cloud)\b")


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile: `RUN`, and what follows it in one line."""

    name: str
    text: str


def parse(text: str) -> list[list[Instruction]]:
    """The stages of a Dockerfile; before them, what comes before the first FROM."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    stages: list[list[Instruction]] = [[]]
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest.strip()))
    return stages


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    return parse((ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock() -> dict[str, object]:
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


def texts(stage: list[Instruction], name: str) -> list[str]:
    return [instruction.text for instruction in stage if instruction.name == name]


def arguments(stage: list[Instruction]) -> dict[str, str]:
    """Of ARG: name -> default."""
    parts = (text.partition("=") for text in texts(stage, "ARG"))
    return {name: default.strip('"') for name, _, default in parts}


def environment(stage: list[Instruction]) -> dict[str, str]:
    return dict(part.split("=", 1) for text in texts(stage, "ENV") for part in shlex.split(text))


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file out of the build: the last pattern that fits it, or a folder of it, decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = re.split(r"(\*\*/|\*|\[[^]]+\])", pattern)
        wild = {"**/": "(?:.*/)?", "*": "[^/]*"}
        fits = "".join(wild.get(part, part if part.startswith("[") else re.escape(part)) for part in parts)
        if re.fullmatch(f"{fits}(?:/.*)?", path):
            out = not line.startswith("!")
    return out


def test_all_stages_are_on_the_same_base(stages: list[list[Instruction]]) -> None:
    """The environment names the base's interpreter, so each stage must have it at the same place."""
    froms = [texts(stage, "FROM") for stage in stages[1:]]
    assert froms == [["${BASE} AS libraries"], ["libraries AS project"], ["${BASE}"]]
    assert {instruction.name for stage in stages for instruction in stage} <= {
        *("ARG", "FROM", "RUN", "ENV", "WORKDIR", "COPY", "USER", "LABEL", "ENTRYPOINT", "CMD"),
    }


def test_the_base_has_the_c_library_that_the_locked_wheels_need(
    stages: list[list[Instruction]], lock: dict[str, list[dict[str, list[dict[str, str]]]]]
) -> None:
    """The suite is that from which `make env` takes a C library on older systems, for just these wheels."""
    base = re.fullmatch(r"python:3\.(\d+)-slim-([a-z]+)", arguments(stages[0])["BASE"])
    assert base is not None
    assert base[2] == private_glibc._SUITES["debian"]
    wheels = [wheel["url"] for package in lock["package"] for wheel in package.get("wheels", [])]
    tags = [re.findall(r"manylinux_(\d+)_(\d+)", url) for url in wheels if f"-cp3{base[1]}-cp3{base[1]}-" in url]
    oldest = [min((int(major), int(minor)) for major, minor in found) for found in tags if found]
    assert len(oldest) > 20
    assert max(oldest) == private_glibc.NEEDED


def test_libraries_are_those_of_the_lock(stages: list[list[Instruction]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [sync] = [text for text in texts(stages[1], "RUN") if "uv sync" in text]
    assert {"--frozen", "--no-dev", "--no-install-project"} <= set(sync.split())
    assert "--extra %s' ${EXTRAS}" in sync
    assert set(arguments(stages[1])["EXTRAS"].split()) == {"s3", "gcs"} <= set(project["optional-dependencies"])
    assert f"uv=={arguments(stages[1])['UV_VERSION']}" == packages.UV
    assert environment(stages[1])["UV_PYTHON_DOWNLOADS"] == "never"


def test_the_project_is_a_layer_of_its_own_built_without_a_network(stages: list[list[Instruction]]) -> None:
    """Else each edit would have the libraries, gigabytes, pushed and pulled again."""
    assert texts(stages[1], "COPY") == ["pyproject.toml uv.lock ./"]
    [install] = texts(stages[2], "RUN")
    assert install.startswith("uv pip install ")
    assert {"--offline", "--no-deps", "--no-build-isolation"} <= set(install.split())
    assert install.endswith("--python /opt/millrace/bin/python --prefix /opt/project .")
    names = [package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]]
    assert "setuptools" in names
    changing = [i.text for i in stages[3] if i.name in ("COPY", "RUN")]
    assert changing[0] == "--from=libraries /opt/millrace /opt/millrace"
    assert changing.index("--from=project /opt/project /opt/millrace") == len(changing) - 2  # then the check


def test_bytecode_holds_whatever_happens_to_the_times_of_files(stages: list[list[Instruction]]) -> None:
    made = environment(stages[1])
    assert made["UV_COMPILE_BYTECODE"] == "1"
    assert made["PYC_INVALIDATION_MODE"] == "CHECKED_HASH"


def test_the_final_stage_has_no_compiler_and_no_installer(stages: list[list[Instruction]]) -> None:
    words = {word for text in texts(stages[3], "RUN") for word in text.split()}
    assert not words & {*COMPILERS, "apt-get", "apt", "pip", "uv", "curl", "wget"}
    copies = ["--from=libraries /opt/millrace /opt/millrace", "--from=project /opt/project /opt/millrace"]
    assert texts(stages[3], "COPY") == copies
    assert environment(stages[1])["UV_PROJECT_ENVIRONMENT"] == "/opt/millrace"
    assert COMPILERS & {word for text in texts(stages[1], "RUN") for word in text.split()} == {"g++"}


def test_it_runs_as_a_user_that_is_not_root(stages: list[list[Instruction]]) -> None:
    user, group = texts(stages[3], "USER")[-1].split(":")
    assert int(user) >= 1000  # a number: Kubernetes' runAsNonRoot can't judge a name
    assert group == "0"
    after = [instruction.name for instruction in stages[3]]
    assert after.index("USER") > after.index("COPY")


def test_any_user_may_write_where_it_must(stages: list[list[Instruction]]) -> None:
    made = environment(stages[3])
    [text] = [text for text in texts(stages[3], "RUN") if "install --directory" in text]
    command = next(part.split() for part in text.split("&&") if "install" in part)
    assert command[command.index("--mode") + 1] == "1777"
    assert {"/var/millrace", "/gcs", "/s3", "/minio"} <= set(command)
    assert made["HOME"] in command
    assert texts(stages[3], "WORKDIR") == [made["HOME"]]
    assert made["USER"]  # getpass.getuser() asks for it before /etc/passwd, where a random user is not
    assert made["PYTHONUNBUFFERED"] == "1"
    assert made["PATH"].split(":")[0] == "/opt/millrace/bin"


def test_the_build_leaves_nothing_in_the_home_folder(stages: list[list[Instruction]]) -> None:
    after = [i for i in stages[3][[i.name for i in stages[3]].index("USER") :] if i.name == "RUN"]
    assert after
    for instruction in after:
        assert instruction.text.startswith('export HOME="$(mktemp -d)"')
        assert instruction.text.endswith('&& rm -rf "${HOME}"')


def test_the_image_is_checked_while_it_is_built(stages: list[list[Instruction]]) -> None:
    checks = texts(stages[3], "RUN")[-1]
    assert "import tensorflow_data_validation" in checks
    assert 'python -m pipeline.image ${CODE:+--expect "${CODE}"}' in checks
    labels = dict(part.split("=", 1) for text in texts(stages[3], "LABEL") for part in shlex.split(text))
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert labels["org.opencontainers.image.revision"] == "${REVISION}"
    assert labels["millrace.code"] == "${CODE}"
    assert set(arguments(stages[3])) == {"VERSION", "REVISION", "CODE"}


def test_a_backend_says_the_command(stages: list[list[Instruction]]) -> None:
    assert texts(stages[3], "ENTRYPOINT") == ["[]"]
    assert texts(stages[3], "CMD") == ['["python", "-m", "pipeline.image"]']


def test_what_is_copied_is_there_and_enters_the_build(stages: list[list[Instruction]]) -> None:
    for text in (*texts(stages[1], "COPY"), *texts(stages[2], "COPY")):
        *sources, target = text.split()
        for source in sources:
            found = sorted(ROOT.glob(source))
            assert found, source
            for path in found:
                name = path.relative_to(ROOT).as_posix()
                assert not ignored(name), name
                assert path.is_file() or target == name  # a folder's content is copied to one of its name


def test_each_file_that_the_fingerprint_counts_enters_the_build(stages: list[list[Instruction]]) -> None:
    copied = [source for text in texts(stages[2], "COPY") for source in text.split()[:-1]]
    names = [path.relative_to(ROOT).as_posix() for path in image.files(ROOT)]
    assert len(names) > 200
    assert [name for name in names if ignored(name) or name.partition("/")[0] not in copied] == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".git/config",
            ".venv/bin/python",
            ".runtime/log",
            "runs/taxi/metadata.db",
            "tests/conftest.py",
            "build/lib/x",
        ),
        *(
            "docs/push.md",
            "scripts/env.sh",
            "benchmarks/part.py",
            ".env",
            "pipeline/.env",
            "millrace.egg-info/PKG-INFO",
        ),
        *("pipeline/__pycache__/dag.cpython-311.pyc", "pipeline/tasks/__pycache__", "serving/old.pyc", "key.json"),
        *("deploy/Dockerfile", ".dockerignore", "deployment/compose.yaml"),
    ],
)
def test_nothing_else_enters_the_build(name: str) -> None:
    assert ignored(name)


def _files() -> Iterator[Path]:
    yield from (ROOT / "deploy/Dockerfile", ROOT / ".dockerignore", ROOT / "Makefile")
    yield from sorted((ROOT / "scripts").glob("image*"))


def test_no_registry_is_named() -> None:
    """Neither of images nor of packages: the machine's own settings say where they are."""
    found = {path.name: ADDRESS.findall(path.read_text(encoding="utf-8")) for path in _files()}
    assert len(found) >= 5
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


@pytest.mark.parametrize(("target", "command"), [("image", "build"), ("push", "push")])
def test_make_hands_the_name_on(target: str, command: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target, "IMAGE=registry.example/team/mill:1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f'scripts/image.py {command} "registry.example/team/mill:1"' in done.stdout


def test_the_parser_reads_what_it_is_given() -> None:
    before, first, last = parse("ARG A=1\n# a\nFROM x AS y\nRUN a \\\n# why\n    && b\nFROM z\nUSER 7:0\n")
    assert [before, first, last] == [
        [Instruction("ARG", "A=1")],
        [Instruction("FROM", "x AS y"), Instruction("RUN", "a      && b")],
        [Instruction("FROM", "z"), Instruction("USER", "7:0")],
    ]
