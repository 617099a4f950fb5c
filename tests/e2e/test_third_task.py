"""A third task is one file (and, if it has one, its schema): the example of CONTRIBUTING.md, run."""

import re
from pathlib import Path

import numpy as np
from e2e_support import PROJECT, copy_project, millrace, run

CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _block(title: str) -> str:
    """The fenced block that follows a line with this title in the guide."""
    found = re.search(rf"`{re.escape(title)}`.*?```\w*\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert found, title
    return found[1]


def test_the_guide_s_task_runs(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
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

    drafted = millrace("schema", "init", "--task", "churn", project=project)
    assert drafted.returncode == 0, drafted.stdout + drafted.stderr
    assert "support_calls" in (project / "schemas" / "churn" / "schema.pbtxt").read_text()
    curated = run("--task", "churn", "--root", "runs", project=project)
    assert (curated.code, curated.record["outcome"]) == (0, "pushed"), curated.text
    assert not curated.record["nodes"]["SchemaGen"]["cached"]

    lines[10] = "12.5,gold,1,0"
    (project / "customers.csv").write_text("\n".join(lines) + "\n")
    kept_out = run("--task", "churn", "--root", "runs", "--to", "ExampleGen", project=project)
    assert kept_out.record["rows"]["quarantined"] == 1
