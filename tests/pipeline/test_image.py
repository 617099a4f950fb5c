"""The fingerprint of an image's code: what changes it, what does not, and what is said where it does not fit."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import fingerprint, image
from pipeline.errors import UsageError

FOLDERS = ("pipeline", "components", "serving", "schemas")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the project's wheel is built from."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in (*FOLDERS, "deploy"):
        shutil.copytree(image.ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(image.ROOT / file, root)
    for file in image.ROOT.glob("*_runner.py"):
        shutil.copy(file, root)
    return root


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `site-packages` of the project's wheel, built by the environment's setuptools."""
    out = tmp_path_factory.mktemp("wheel")
    build = f"from setuptools import build_meta; print('wheel', build_meta.build_wheel({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        wheel.extractall(out / "site-packages")
    return out / "site-packages"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project."""
    for name, text in {
        "pipeline/__init__.py": "",
        "pipeline/dag.py": "NODES = 3\n",
        "pipeline/report/templates/page.html.j2": "<p>\n",
        "schemas/taxi/schema.pbtxt": "feature {}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _write(name: str, text: str = "x\n") -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    return edit


def _move_bytes(root: Path) -> None:
    """The same names and contents one after the other, but split elsewhere."""
    (root / "pipeline/dag.py").write_text("NODES = 3", encoding="utf-8")
    (root / "pipeline/report/templates/page.html.j2").write_text("\n<p>\n", encoding="utf-8")


CHANGES = {
    "a module": _write("pipeline/dag.py", "NODES = 4\n"),
    "a new module": _write("components/pusher.py"),
    "an empty module": _write("serving/__init__.py", ""),
    "a template": _write("pipeline/report/templates/page.html.j2"),
    "a schema": _write("schemas/taxi/schema.pbtxt"),
    "a schema less": lambda root: (root / "schemas/taxi/schema.pbtxt").unlink(),
    "a name": lambda root: (root / "pipeline/dag.py").rename(root / "pipeline/gad.py"),
    "bytes from one file to the next": _move_bytes,
}
NO_CHANGES = {
    "bytecode": _write("pipeline/__pycache__/dag.cpython-311.pyc"),
    "what an editor leaves": _write("pipeline/dag.py.orig"),
    "hidden files": _write("pipeline/.dag.py"),
    "hidden folders": _write("pipeline/.ipynb_checkpoints/dag.py"),
    "tests": _write("tests/test_dag.py"),
    "docs": _write("docs/dag.md"),
    "times": lambda root: os.utime(root / "pipeline/dag.py", (1, 1)),
}


@pytest.mark.parametrize("edit", CHANGES.values(), ids=CHANGES)
def test_each_file_that_decides_what_a_run_does_counts(tree: Path, edit: Callable[[Path], None]) -> None:
    before = image.fingerprint(tree)
    edit(tree)
    assert image.fingerprint(tree) != before


@pytest.mark.parametrize("edit", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_lies_beside_it_does_not(tree: Path, edit: Callable[[Path], None]) -> None:
    before = image.fingerprint(tree)
    edit(tree)
    assert image.fingerprint(tree) == before


def test_the_folder_does_not_count(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = shutil.copytree(tree, tmp_path_factory.mktemp("other") / "place")
    assert image.fingerprint(tree) == image.fingerprint(other)


def test_another_version_of_a_library_counts(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.fingerprint(tree)
    found = importlib.metadata.version
    monkeypatch.setattr(fingerprint, "_version", lambda name: "2.22.0" if name == "tensorflow" else found(name))
    assert image.fingerprint(tree) != before


def test_sixteen_hexadecimal_digits_that_repeat() -> None:
    code = image.fingerprint()
    assert len(code) == 16
    assert int(code, 16) >= 0
    assert code == image.fingerprint()


def test_a_checkout_and_its_wheel_have_the_same(checkout: Path, installed: Path) -> None:
    ours = [path.relative_to(checkout).as_posix() for path in image.files(checkout)]
    theirs = [path.relative_to(installed).as_posix() for path in image.files(installed)]
    assert theirs == ours
    assert {name.partition("/")[0] for name in ours} == set(FOLDERS)
    assert image.fingerprint(installed) == image.fingerprint(checkout) == image.fingerprint()


def test_each_file_of_the_repository_counts() -> None:
    """A kind of file that is not known yet would be missing from the digest, and perhaps from the wheel."""
    listed = subprocess.run(
        ["git", "-C", str(image.ROOT), "ls-files", "-z", "--", *FOLDERS], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {name for name in listed.stdout.split("\0") if name and (image.ROOT / name).exists()}
    assert tracked
    assert tracked - {path.relative_to(image.ROOT).as_posix() for path in image.files()} == set()


def test_an_installed_wheel_works_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    """Schemas and templates are found beside the packages; neither the checkout nor its environment's link is used."""
    script = (
        "import json, pipeline\n"
        "from pipeline import image, schema\n"
        "from pipeline.push import render\n"
        "from pipeline.report import page\n"
        "from pathlib import Path\n"
        "print(json.dumps({'package': pipeline.__file__, 'schema': str(schema.path_of('taxi_tips')),\n"
        "  'columns': len(schema.read(schema.curated('taxi_tips')).feature), 'style': len(page.inlined('style.css')),\n"
        "  'templates': sorted(p.name for p in render.TEMPLATES.rglob('*.j2')), 'code': image.fingerprint()}))\n"
    )
    done = _python(installed, tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["package"] == str(installed / "pipeline/__init__.py")
    assert said["schema"] == str(installed / "schemas/taxi_tips/schema.pbtxt")
    assert said["columns"] == 18
    assert said["style"] > 1000
    assert said["templates"] == sorted(path.name for path in (image.ROOT / "deploy").rglob("*.j2"))
    assert said["code"] == image.fingerprint()


def _python(packages: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with packages from a folder, which comes before the editable install of the checkout."""
    env = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_its_own_code_is_accepted() -> None:
    image.check(image.fingerprint())
    image.check(image.fingerprint(), compiled_by="0.0.1")


@pytest.mark.parametrize(
    ("compiled_by", "source"), [(None, "as the spec says"), ("9.1.0", "as compiled by millrace 9.1.0")]
)
def test_other_code_is_refused(compiled_by: str | None, source: str) -> None:
    with pytest.raises(UsageError) as refused:
        image.check("0123456789abcdef", compiled_by)
    assert str(refused.value) == (
        "image: the code in it is not that which the spec was compiled from. Expected code 0123456789abcdef, "
        f"{source}. Received: {image.fingerprint()}, of millrace {importlib.metadata.version('millrace')}. "
        "Next: build and push the image of this checkout (make image && make push), or compile again"
    )


def test_a_spec_without_code_is_refused() -> None:
    with pytest.raises(UsageError, match="Expected code none"):
        image.check("")


def test_the_command_prints_json_and_loads_no_tensorflow(tmp_path: Path) -> None:
    done = _python(image.ROOT, tmp_path, "-X", "importtime", "-m", "pipeline.image", "--expect", image.fingerprint())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"version": image.version(), "code": image.fingerprint()}
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pipeline.fingerprint" in loaded
    assert not loaded & {"tensorflow", "tfx", "apache_beam"}


def test_the_command_refuses_other_code(tmp_path: Path) -> None:
    done = _python(image.ROOT, tmp_path, "-m", "pipeline.image", "--expect", "0123456789abcdef")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error image: the code in it is not that which the spec was compiled from.")
    assert "Traceback" not in done.stderr
