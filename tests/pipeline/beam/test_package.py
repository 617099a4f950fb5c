"""The package that workers on other machines install: made as Beam makes it, with all that a run reads."""

import shutil
import tarfile
from pathlib import Path

from apache_beam.runners.portability.stager import Stager

from pipeline import image

FOLDERS = ("pipeline", "components", "serving", "schemas", "deploy")


def test_it_holds_the_project_and_the_user_s_new_task(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in FOLDERS:
        shutil.copytree(image.ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "local_runner.py", "kubeflow_runner.py"):
        shutil.copy(image.ROOT / name, project / name)
    (project / "pipeline" / "tasks" / "mine.py").write_text('"""A new task."""\n')
    (project / "schemas" / "mine").mkdir()
    (project / "schemas" / "mine" / "schema.pbtxt").write_text("")
    out = tmp_path / "staged"
    out.mkdir()
    made = Stager._build_setup_package(str(project / "setup.py"), str(out))
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pipeline/tasks/mine.py", "schemas/mine/schema.pbtxt", "setup.py", "pyproject.toml"} <= names
    missing = {path.relative_to(project).as_posix() for path in image.files(project)} - names
    assert missing == set()
