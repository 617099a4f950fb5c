"""A third task is one file (and, if it has one, its schema): the example of CONTRIBUTING.md, run."""

import re
import shutil
from pathlib import Path

import numpy as np
from e2e_support import PROJECT, run

CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _project(folder: Path) -> Path:
    for name in ("pipeline", "components", "schemas"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "local_runner.py", folder)
    return folder


def _block(title: str) -> str:
    """The fenced block that follows a line with this title in the guide."""
    found = re.search(rf"`{re.escape(title)}`.*?```\w*\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert found, title
    return found[1]


def test_the_guide_s_task_runs(tmp_path: Path) -> None:
    project = _project(tmp_path)
    (project / "pipeline" / "tasks" / "churn.py").write_text(_block("pipeline/tasks/churn.py"))
    random = np.random.default_rng(1)
    months = random.integers(0, 60, 3000)
    plan = random.choice(["basic", "plus", "pro"], 3000)
    calls = random.poisson(2.0, 3000)
    left = random.random(3000) < 1 / (1 + np.exp(0.1 * months - 0.8 * calls + (plan == "pro")))
    lines = ["months,plan,support_calls,left"]
    lines += [f"{m}.5,{p},{c},{int(v)}" for m, p, c, v in zip(months, plan, calls, left, strict=True)]
    (project / "customers.csv").write_text("\n".join(lines) + "\n")

    inferred = run("--task", "churn", "--root", "runs", project=project)
    assert (inferred.code, inferred.record["outcome"]) == (0, "pushed"), inferred.text
    assert inferred.record["metrics"]["auc"] > 0.8

    (project / "schemas" / "churn").mkdir()
    (project / "schemas" / "churn" / "schema.pbtxt").write_text(_block("schemas/churn/schema.pbtxt"))
    curated = run("--task", "churn", "--root", "runs", project=project)
    assert (curated.code, curated.record["outcome"]) == (0, "pushed"), curated.text
    assert curated.record["nodes"]["ExampleGen"]["cached"]
    assert not curated.record["nodes"]["SchemaGen"]["cached"]
