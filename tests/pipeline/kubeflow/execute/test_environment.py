"""What a task's process finds around it, and secrets."""

import json
import os
import sys
from pathlib import Path

_PRINT = "import json,os; print(json.dumps(dict(os.environ)))"


def _environment(result, name: str = "a") -> dict[str, str]:
    return json.loads(Path(result.tasks[name].log).read_text())


def _secret(field: str = "secretAsEnv", **more) -> dict:
    settings = {
        field: [{"secretName": "warehouse", "keyToEnv": [{"secretKey": "password", "envVar": "DB_PASSWORD"}], **more}]
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-a": settings}}}}}


def test_little_more_than_a_container_has(specs, run, root, monkeypatch) -> None:
    monkeypatch.setenv("OF_THE_USER", "x")
    monkeypatch.setenv("HOME", "/home/user")
    task = specs.task("a", _PRINT)
    specs.executors["exec-a"]["container"]["env"] = [{"name": "MODE", "value": "spec"}, {"name": "LEVEL", "value": "1"}]
    spec = specs.pipeline({"a": task}, defaultPipelineRoot="s3://bucket/prefix")
    found = _environment(run(spec, environment={"LEVEL": "2"}))
    assert "OF_THE_USER" not in found
    assert (found["MODE"], found["LEVEL"], found["HOME"]) == ("spec", "2", "/home/user")
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert found["MILLRACE_JOB"] == "job-1"
    assert found["MILLRACE_ROOT_IS"] == f"s3://bucket/prefix={root}"
    assert found["MILLRACE_SCRATCH"] == str(root / ".scratch" / "a")


def test_a_root_that_is_no_bucket_stands_for_none(specs, run) -> None:
    assert "MILLRACE_ROOT_IS" not in _environment(run(specs.pipeline({"a": specs.task("a", _PRINT)})))


def test_the_scratch_folder_is_kept_and_the_working_folder_is_fresh(specs, run) -> None:
    code = (
        "import os,pathlib; s=pathlib.Path(os.environ['MILLRACE_SCRATCH'],'kept'); print(s.exists(), os.listdir('.'));"
        "s.touch(); pathlib.Path('gone').touch()"
    )
    spec = specs.pipeline({"a": specs.task("a", code)})
    first, second = run(spec), run(spec, job_id="job-2")
    assert Path(first.tasks["a"].log).read_text() == "False []\n"
    assert Path(second.tasks["a"].log).read_text() == "True []\n"


def test_a_secret_comes_from_the_environment_and_goes_nowhere_else(specs, run, root, monkeypatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-xyzzy")
    code = "import os,hashlib; print(len(os.environ['DB_PASSWORD']))"
    result = run(specs.pipeline({"a": specs.task("a", code, "{{$}}")}), _secret())
    assert Path(result.tasks["a"].log).read_text() == "13\n"
    files = [path for path in root.rglob("*") if path.is_file()]
    assert root / "trial" / "job-1" / "a" / "executor_input.json" in files
    assert not [path for path in files if b"hunter2" in path.read_bytes()]
    assert "hunter2" not in json.dumps(result.record())


def test_a_missing_secret_fails_the_task_by_name(specs, run, monkeypatch) -> None:
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    spec = specs.pipeline({"a": specs.task("a", _PRINT)})
    result = run(spec, _secret())
    assert result.exit_code == 1
    assert result.tasks["a"].error == (
        "secret 'warehouse': variable DB_PASSWORD is not set. The backend fills it from key 'password'; here it comes "
        "from the environment. Next: export DB_PASSWORD"
    )
    assert run(spec, _secret(optional=True), job_id="job-2").exit_code == 0


def test_a_volume_is_a_folder_of_this_machine(specs, run, tmp_path) -> None:
    spec = specs.pipeline({"a": specs.task("a")})
    folder = tmp_path / "mounted"
    platform = _secret("secretAsVolume", mountPath=str(folder))
    result = run(spec, platform)
    assert f"secret 'warehouse': {folder} is not there" in result.tasks["a"].error
    folder.mkdir()
    assert run(spec, platform, job_id="job-2").exit_code == 0
